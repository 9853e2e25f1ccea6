//! Host names as patterns: exact (`shop.example.com`) or wildcard (`*.example.com`).

use std::collections::HashSet;
use std::fmt;

/// The longest name DNS allows, in bytes (RFC 1035, section 2.3.4).
pub const NAME_MAX: usize = 253;

/// A pattern that a server name can match. Names compare without regard to ASCII case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NamePattern {
    /// Matches this one name.
    Exact(Box<str>),
    /// `*.example.com`: matches every name that has at least one more label in front of the
    /// suffix (as HAProxy's and nginx's wildcards do), never the suffix itself.
    /// Holds the suffix without `*.`.
    Wildcard(Box<str>),
}

/// Why a text is no name pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Nothing there.
    Empty,
    /// Longer than [`NAME_MAX`].
    TooLong,
    /// A label is empty, longer than 63 bytes, or starts or ends with a hyphen.
    Label,
    /// A character that no host name has.
    Character(char),
    /// A `*` anywhere but as the whole first label.
    Star,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::TooLong => write!(f, "the name is longer than {NAME_MAX} bytes"),
            Self::Label => f.write_str(
                "each part between dots has 1 to 63 characters and no hyphen at its ends",
            ),
            Self::Character(c) => write!(f, "{c:?} is no character of a host name"),
            Self::Star => {
                f.write_str("`*` may only stand alone as the first part: `*.example.com`")
            }
        }
    }
}

impl NamePattern {
    /// Reads `shop.example.com` or `*.example.com`; a trailing dot is dropped, case is folded.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        match text.strip_prefix("*.") {
            Some(suffix) => Ok(Self::Wildcard(checked(suffix)?)),
            None => Ok(Self::Exact(checked(text)?)),
        }
    }

    /// Whether `name` (already in lower case, see [`fold`]) matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *name,
            Self::Wildcard(suffix) => name
                .strip_suffix(&**suffix)
                .and_then(|front| front.strip_suffix('.'))
                .is_some_and(|front| !front.is_empty()),
        }
    }
}

/// Patterns, found by the name: a look-up costs the same with ten of them as with a hundred thousand.
#[derive(Clone, Debug, Default)]
pub struct NameSet {
    exact: HashSet<Box<str>>,
    suffixes: HashSet<Box<str>>,
    /// The longest suffix: a name of hostile length is not looked up at each of its dots.
    longest: usize,
}

impl NameSet {
    /// Whether `name` (already in lower case, see [`fold`]) matches one of the patterns.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.exact.contains(name) {
            return true;
        }
        if self.suffixes.is_empty() {
            return false;
        }
        let mut suffixes = name.match_indices('.').filter(|(at, _)| *at > 0);
        suffixes.any(|(at, _)| {
            let suffix = &name[at + 1..];
            suffix.len() <= self.longest && self.suffixes.contains(suffix)
        })
    }
}

impl FromIterator<NamePattern> for NameSet {
    fn from_iter<I: IntoIterator<Item = NamePattern>>(patterns: I) -> Self {
        let mut set = Self::default();
        for pattern in patterns {
            match pattern {
                NamePattern::Exact(name) => drop(set.exact.insert(name)),
                NamePattern::Wildcard(suffix) => {
                    set.longest = set.longest.max(suffix.len());
                    set.suffixes.insert(suffix);
                }
            }
        }
        set
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

/// `name` as the patterns want it: lower case, no trailing dot.
#[must_use]
pub fn fold(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Checks a plain host name (no wildcard) and folds it.
///
/// # Errors
/// [`NameError`] says what is wrong with the text.
pub fn checked(name: &str) -> Result<Box<str>, NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > NAME_MAX {
        return Err(NameError::TooLong);
    }
    for label in name.split('.') {
        if label.contains('*') {
            return Err(NameError::Star);
        }
        // Underscores are not for hosts, but real DNS has them (RFC 2782) and clients send them.
        if let Some(c) = label.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_".contains(*c))) {
            return Err(NameError::Character(c));
        }
        if label.is_empty() || label.len() > 63 || label.starts_with('-') || label.ends_with('-') {
            return Err(NameError::Label);
        }
    }
    Ok(name.to_ascii_lowercase().into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_needs_a_label_in_front() {
        let pattern = NamePattern::parse("*.Example.com").unwrap();
        assert!(pattern.matches("shop.example.com"));
        assert!(pattern.matches("a.b.example.com"));
        assert!(!pattern.matches("example.com"));
        assert!(!pattern.matches(".example.com"));
        assert!(!pattern.matches("badexample.com"));
    }

    #[test]
    fn an_exact_name_matches_only_itself() {
        let pattern = NamePattern::parse("shop.example.com.").unwrap();
        assert!(pattern.matches("shop.example.com"));
        assert!(!pattern.matches("a.shop.example.com"));
        assert_eq!(pattern.to_string(), "shop.example.com");
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_reason() {
        let long = "a.".repeat(127) + "aa";
        for (text, error) in [
            ("", NameError::Empty),
            ("*.", NameError::Star),
            ("a..b", NameError::Label),
            ("-a.b", NameError::Label),
            ("a.*.b", NameError::Star),
            ("*a.b", NameError::Star),
            ("a b", NameError::Character(' ')),
            ("ü.example.com", NameError::Character('ü')),
            (&long, NameError::TooLong),
        ] {
            assert_eq!(NamePattern::parse(text), Err(error), "{text}");
        }
    }
}
