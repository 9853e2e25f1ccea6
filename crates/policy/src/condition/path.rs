//! Paths: the form in which they are compared, and patterns.

use super::text::Expression;
use std::borrow::Cow;
use std::fmt;

/// A pattern for paths. Case counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// This path.
    Exact(Box<str>),
    /// This path and all below it, by whole segments: `/api` is `/api`, `/api/` and `/api/v1`, not
    /// `/apiary`. Holds the text without slashes at its end; see [`PathPattern::prefix`].
    Prefix(Box<str>),
    /// A path that ends so.
    Suffix(Box<str>),
    /// A path that matches somewhere.
    Regex(Expression),
}

impl PathPattern {
    /// The path `text` and all below it; slashes at its end mean nothing.
    #[must_use]
    pub fn prefix(text: &str) -> Self {
        Self::Prefix(text.trim_end_matches('/').into())
    }

    /// Whether `path` (in its [`normal`] form) matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *path,
            Self::Prefix(prefix) => below(path, prefix).is_some(),
            Self::Suffix(suffix) => path.ends_with(&**suffix),
            Self::Regex(expression) => expression.matches(path),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Prefix(path) => write!(f, "{path}/..."),
            Self::Suffix(text) => write!(f, "*{text}"),
            Self::Regex(expression) => expression.fmt(f),
        }
    }
}

/// What stands behind `prefix` (without a slash at its end) where `path` is that path (nothing) or
/// below it (from the slash on).
#[must_use]
pub fn below<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(prefix)?;
    (rest.starts_with('/') || (rest.is_empty() && !prefix.is_empty())).then_some(rest)
}

/// The form in which paths are compared: percent-encoding undone, `.` and `..` resolved, slashes
/// that stand together made one. Endpoints read a path so; a condition that did not could be passed
/// by: `/%61dmin`, `//admin` and `/x/../admin` are `/admin` to them. Not for sending on: what was
/// encoded could mean something else.
#[must_use]
pub fn normal(path: &str) -> Cow<'_, str> {
    if is_normal(path) {
        return Cow::Borrowed(path);
    }
    let decoded = decoded(path, false);
    if !decoded.starts_with('/') {
        return Cow::Owned(decoded.into_owned());
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut open = true;
    for segment in decoded.split('/').skip(1) {
        open = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            // Above the root there is nothing.
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let mut path = String::with_capacity(decoded.len());
    for segment in &kept {
        path.push('/');
        path.push_str(segment);
    }
    if open {
        path.push('/');
    }
    Cow::Owned(path)
}

fn is_normal(path: &str) -> bool {
    let bytes = path.as_bytes();
    !bytes.contains(&b'%')
        && !bytes.windows(2).any(|pair| pair[0] == b'/' && matches!(pair[1], b'/' | b'.'))
}

/// A text with its percent-encoding undone; `%` that begins none stays. `form`: `+` is a space.
/// What is no UTF-8 becomes U+FFFD.
pub(crate) fn decoded(text: &str, form: bool) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || (form && byte == b'+')) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = bytes.get(at + 1).zip(bytes.get(at + 2));
        let octet = pair.and_then(|(high, low)| Some(digit(*high)? << 4 | digit(*low)?));
        match (byte, octet) {
            (b'%', Some(octet)) => {
                out.push(octet);
                at += 2;
            }
            (b'+', _) if form => out.push(b' '),
            (byte, _) => out.push(*byte),
        }
        at += 1;
    }
    Cow::Owned(match String::from_utf8(out) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// A path with everything percent-encoded that may not stand in one as it is (RFC 3986, section
/// 3.3).
#[must_use]
pub fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(digit.into(), 16).unwrap_or('0');
                out.push(digit.to_ascii_uppercase());
            }
        }
    }
    out
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prefixes_go_by_whole_segments() {
        let api = PathPattern::prefix("/api/");
        assert!(["/api", "/api/", "/api/v1"].into_iter().all(|path| api.matches(path)));
        assert!(!["/apiary", "/", "/v1/api", "api", "*"].into_iter().any(|path| api.matches(path)));
        let root = PathPattern::prefix("/");
        assert!(root.matches("/") && root.matches("/api") && !root.matches("*"));
    }

    #[test]
    fn ways_around_a_path_lead_to_it() {
        for path in [
            "/%61dmin",
            "//admin",
            "/./admin",
            "/x/../admin",
            "/x/%2e%2E/admin",
            "/%2Fadmin",
            "/../admin",
            "/x//..//admin",
            "/%2e/admin",
        ] {
            assert_eq!(normal(path), "/admin", "{path}");
        }
        for (path, expected) in [
            ("/", "/"),
            ("/a/", "/a/"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/..", "/"),
            ("*", "*"),
            ("/%zz", "/%zz"),
            ("/100%", "/100%"),
            ("/a%2", "/a%2"),
            ("/%ff", "/\u{fffd}"),
            ("/%2561", "/%61"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
        ] {
            assert_eq!(normal(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_as_it_was(path in "/[a-c%./ ?#+\u{e4}\"]{0,12}") {
            let encoded = encoded(&path);
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#'));
            prop_assert_eq!(decoded(&encoded, false), path);
        }

        #[test]
        fn a_normal_path_has_no_way_up(path in "/[a/.%2eEfF]{0,16}") {
            let normal = normal(&path).into_owned();
            prop_assert!(normal.starts_with('/') && !normal.contains("//"), "{}", normal);
            prop_assert!(normal.split('/').all(|segment| segment != "." && segment != ".."));
        }
    }
}
