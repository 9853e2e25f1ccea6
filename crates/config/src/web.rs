//! Leaf values of HTTP and TLS: texts that mean hosts, paths, names of fields, templates, sizes.

use crate::diagnostic::quoted;
use crate::nearest::nearest;
use crate::plan::{ByteSize, HashBy};
use crate::values::{Mistake, mistake};
use eclusa_policy::condition::{Expression, Fingerprint, path};
use eclusa_policy::name::NamePattern;
use eclusa_policy::rules::header::{self, NameError, is_token};
use eclusa_policy::rules::{Template, TemplateError, Users};
use std::net::Ipv6Addr;

/// The longest text of one line.
const TEXT_MAX: usize = 4_096;
/// The longest body of a fixed answer.
const BODY_MAX: usize = 64 << 10;

/// `shop.example.com`, `*.example.com`, `192.168.1.2`, `[fd00::1]`.
pub(crate) fn host_pattern(text: &str) -> Result<NamePattern, Mistake> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<Ipv6Addr>() {
        return Ok(NamePattern::Exact(format!("[{address}]").into()));
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return mistake(
            format!("{} has a port", quoted(text)),
            format!("write \"{}\", and ask for the port with `port`", shown(host)),
        );
    }
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or("");
        return mistake(
            format!("{} is a URL", quoted(text)),
            format!("write the host alone: \"{}\"", shown(host)),
        );
    }
    match NamePattern::parse(text) {
        Ok(pattern) => Ok(pattern),
        Err(error) => mistake(
            format!("{} matches no host: {error}", quoted(text)),
            "write \"shop.example.com\" or \"*.example.com\"; other alphabets in their xn-- form",
        ),
    }
}

/// The beginning of a host, in lower case.
pub(crate) fn host_prefix(text: &str) -> Result<Box<str>, Mistake> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.[:".contains(c);
    if text.is_empty() || text.len() > 255 || !text.chars().all(fits) {
        return mistake(
            format!("no host begins with {}", quoted(text)),
            "write for example \"api.\"; other alphabets in their xn-- form",
        );
    }
    Ok(text.to_ascii_lowercase().into())
}

/// A path in the form in which paths are compared.
pub(crate) fn compared_path(text: &str) -> Result<Box<str>, Mistake> {
    self::text(text)?;
    if !text.starts_with('/') {
        return mistake(format!("{} is no path", quoted(text)), "begin with `/`, as in \"/api\"");
    }
    if text.contains(['?', '#']) {
        return mistake(
            format!("{} has more than a path", quoted(text)),
            "write the path alone; `query` asks for parameters",
        );
    }
    let normal = path::normal(text);
    if normal != text {
        return mistake(
            format!("{} is never compared so", quoted(text)),
            format!("write it as endpoints read it: \"{}\"", shown(&normal)),
        );
    }
    Ok(text.into())
}

/// Something, on one line.
pub(crate) fn text(text: &str) -> Result<Box<str>, Mistake> {
    if text.is_empty() {
        return mistake("the text is empty", "write something, or leave it out");
    }
    line(text)
}

/// A text on one line, or nothing.
pub(crate) fn line(text: &str) -> Result<Box<str>, Mistake> {
    if text.len() > TEXT_MAX {
        return mistake("the text is too long", format!("write at most {TEXT_MAX} bytes"));
    }
    if text.contains(char::is_control) {
        return mistake(
            format!("{} has a control character", quoted(text)),
            "write it without tabs, line ends and the like",
        );
    }
    Ok(text.into())
}

/// The body of a fixed answer.
pub(crate) fn body(text: &str) -> Result<std::sync::Arc<str>, Mistake> {
    if text.len() > BODY_MAX {
        return mistake(
            "the body is too long",
            format!("write at most {} here, or name a `file`", ByteSize(BODY_MAX as u64)),
        );
    }
    Ok(text.into())
}

/// A method, as it is sent.
pub(crate) fn method(text: &str) -> Result<Box<str>, Mistake> {
    if !is_token(text) {
        let remedy = "write a method, such as \"GET\"";
        return mistake(format!("{} is no method", quoted(text)), remedy);
    }
    let upper = text.to_ascii_uppercase();
    if upper != text {
        return mistake(
            format!("{} is no method: their names are upper case", quoted(text)),
            format!("write \"{}\"", shown(&upper)),
        );
    }
    Ok(text.into())
}

/// A word: the name of a cookie or of a protocol.
pub(crate) fn token(text: &str) -> Result<Box<str>, Mistake> {
    if is_token(text) && text.len() <= 256 {
        return Ok(text.into());
    }
    mistake(
        format!("{} cannot be a name here", quoted(text)),
        "write letters, digits and hyphens, without spaces",
    )
}

/// The name of a header field that a condition asks for, in lower case.
pub(crate) fn asked_header(text: &str) -> Result<Box<str>, Mistake> {
    if is_token(text) {
        return Ok(text.to_ascii_lowercase().into());
    }
    not_a_header(text)
}

fn not_a_header<T>(text: &str) -> Result<T, Mistake> {
    mistake(
        format!("{} is no name of a header field", quoted(text)),
        "write letters, digits and hyphens, such as \"X-Env\"",
    )
}

/// The name of a header field that a rule changes.
pub(crate) fn header_name(text: &str) -> Result<Box<str>, Mistake> {
    match header::name(text) {
        Ok(name) => Ok(name),
        Err(NameError::Token) => not_a_header(text),
        Err(error @ NameError::Framing) => mistake(
            format!("a rule cannot change {}: {error}", quoted(text)),
            "leave it out: the program writes it as the message needs it",
        ),
        Err(error @ NameError::Host) => mistake(
            format!("a rule for header fields cannot change {}: {error}", quoted(text)),
            "write `rewrite_host = \"shop.example.com\"`",
        ),
    }
}

/// A text with variables of a request.
pub(crate) fn template(text: &str) -> Result<Template, Mistake> {
    let template = answer_template(text)?;
    match template.late() {
        Some(name) => mistake(
            format!("`{{{name}}}` is known only when an endpoint has answered"),
            "use it in `set_response_header` or `add_response_header`",
        ),
        None => Ok(template),
    }
}

/// A text with variables of a request and of its answer.
pub(crate) fn answer_template(text: &str) -> Result<Template, Mistake> {
    if text.len() > TEXT_MAX {
        return mistake("the text is too long", format!("write at most {TEXT_MAX} bytes"));
    }
    Template::parse(text).map_err(|error| {
        let remedy = match &error {
            TemplateError::Unknown(name) => {
                let known = || Template::variables().map(|name| format!("{{{name}}}"));
                match nearest(name, Template::variables()) {
                    Some(hint) => format!("did you mean `{{{hint}}}`?"),
                    None => format!("use one of {}", known().collect::<Vec<_>>().join(", ")),
                }
            }
            TemplateError::Open | TemplateError::Close => {
                "write a variable such as {client}, or the brace twice for itself".to_owned()
            }
            TemplateError::HeaderName(_) => "write for example {header:User-Agent}".to_owned(),
            TemplateError::Control => "write it on one line".to_owned(),
        };
        let error = match &error {
            TemplateError::Unknown(name) => format!("there is no variable {}", quoted(name)),
            TemplateError::HeaderName(name) => format!("{} names no header field", quoted(name)),
            other => other.to_string(),
        };
        Mistake { message: error, remedy }
    })
}

/// A host, perhaps with variables and a port.
pub(crate) fn host_template(text: &str) -> Result<Template, Mistake> {
    let template = template(text)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    let wrong = template.literal().is_some_and(|text| text.is_empty() || !text.chars().all(fits));
    if wrong {
        return mistake(
            format!("{} is no host", quoted(text)),
            "write a name, perhaps with a port: \"shop.example.com\", \"{host}:8443\"",
        );
    }
    Ok(template)
}

/// `header:NAME`, `cookie:NAME`, `query:NAME`, `path`.
pub(crate) fn hash_by(text: &str) -> Result<HashBy, Mistake> {
    match text.split_once(':') {
        None if text == "path" => Ok(HashBy::Path),
        Some(("header", name)) => asked_header(name).map(|name| HashBy::Header(name.into())),
        Some(("cookie", name)) => token(name).map(|name| HashBy::Cookie(name.into())),
        Some(("query", name)) => self::text(name).map(|name| HashBy::Query(name.into())),
        _ => mistake(
            format!("{} says nothing to hash by", quoted(text)),
            "write \"header:X-User\", \"cookie:session\", \"query:id\" or \"path\"; for the client's \
             address `balance = \"source-hash\"`",
        ),
    }
}

/// The name of a header field that may stand in the log, in lower case.
pub(crate) fn logged_header(text: &str) -> Result<Box<str>, Mistake> {
    let name = asked_header(text)?;
    if ["authorization", "cookie", "proxy-authorization", "set-cookie"].contains(&&*name) {
        return mistake(
            format!("{} has secrets, which no log is to have", quoted(text)),
            "leave it out",
        );
    }
    Ok(name)
}

/// The beginning of a media type, in lower case; `*` for all.
pub(crate) fn media_prefix(text: &str) -> Result<Box<str>, Mistake> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+/".contains(c);
    if text == "*" || !text.is_empty() && text.len() <= 255 && text.chars().all(fits) {
        return Ok(text.to_ascii_lowercase().into());
    }
    mistake(
        format!("no `Content-Type` begins with {}", quoted(text)),
        "write for example \"text/\" or \"application/json\", or \"*\" for all",
    )
}

/// SHA-256 in hexadecimal digits, with or without colons.
pub(crate) fn fingerprint(text: &str) -> Result<Fingerprint, Mistake> {
    let digits: Vec<u32> =
        text.chars().filter(|c| *c != ':').map_while(|c| c.to_digit(16)).collect();
    let whole = digits.len() == text.chars().filter(|c| *c != ':').count();
    let mut bytes = [0_u8; 32];
    if !whole || digits.len() != 64 {
        return mistake(
            format!("{} is no SHA-256 fingerprint", quoted(text)),
            "copy what `openssl x509 -noout -fingerprint -sha256 -in FILE` prints behind the `=`",
        );
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = pair.iter().fold(0, |sum, digit| sum << 4 | u8::try_from(*digit).unwrap_or(0));
    }
    Ok(Fingerprint(bytes))
}

/// `alice:$2y$...`; the mistake does not repeat what may be a password.
pub(crate) fn user(text: &str) -> Result<Box<str>, Mistake> {
    match Users::default().add(text) {
        Ok(()) => Ok(text.into()),
        Err(message) => mistake(
            format!("this lets no user in: {message}"),
            "write what `htpasswd -nB NAME` prints: \"alice:$2y$05$...\"",
        ),
    }
}

/// `32KiB`, `1MiB`, `512B`.
pub(crate) fn size(text: &str, min: u64, max: u64) -> Result<ByteSize, Mistake> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "B" => Some(0),
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        _ => None,
    };
    let number = number.parse::<u64>().ok();
    let size = shift.zip(number).and_then(|(shift, number)| number.checked_mul(1 << shift));
    match size {
        Some(size) if (min..=max).contains(&size) => Ok(ByteSize(size)),
        Some(_) => mistake(
            format!("{} is out of range", quoted(text)),
            format!("write a size from \"{}\" to \"{}\"", ByteSize(min), ByteSize(max)),
        ),
        None => mistake(
            format!("{} is no size", quoted(text)),
            "write a whole number and a unit (B, KiB, MiB, GiB), such as \"32KiB\"",
        ),
    }
}

/// What replaces a match of `expression`: every group that it names is there.
pub(crate) fn replacement(text: &str, expression: &Expression) -> Result<(), Mistake> {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let after = &rest[at + 1..];
        let name_end = |text: &str| {
            text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
        };
        let (name, next) = match after.strip_prefix('{') {
            _ if after.starts_with('$') => (None, &after[1..]),
            Some(inside) => match inside.split_once('}') {
                Some((name, next)) => (Some(name), next),
                None => (None, inside),
            },
            None => (Some(&after[..name_end(after)]), &after[name_end(after)..]),
        };
        rest = next;
        let Some(name) = name.filter(|name| !name.is_empty()) else { continue };
        let numbered = name.parse::<usize>().is_ok_and(|group| group < expression.groups());
        if !numbered && !expression.group_names().any(|known| known == name) {
            let digits = name.bytes().take_while(u8::is_ascii_digit).count();
            let remedy = if digits > 0 && digits < name.len() {
                format!(
                    "write \"${{{}}}{}\" for a group and a text",
                    &name[..digits],
                    &name[digits..]
                )
            } else {
                format!(
                    "write $0 to ${}, or put parentheses into the expression",
                    expression.groups().saturating_sub(1)
                )
            };
            return mistake(format!("the expression has no group {}", quoted(name)), remedy);
        }
    }
    Ok(())
}

fn shown(text: &str) -> String {
    quoted(text).trim_matches('`').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_unit() {
        let read = |text: &str| size(text, 0, 1 << 40).map(|size| (size.0, size.to_string()));
        for (text, bytes) in [("0B", 0), ("512B", 512), ("32KiB", 32 << 10), ("1MiB", 1 << 20)] {
            assert_eq!(read(text), Ok((bytes, text.to_owned())));
        }
        assert_eq!(read("1024KiB").map(|(_, shown)| shown).as_deref(), Ok("1MiB"));
        for wrong in ["", "32", "32K", "32 KiB", "KiB", "-1B", "99999999999GiB", "2000GiB"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_have_no_port() {
        let read = |text: &str| host_pattern(text).map(|pattern| pattern.to_string()).ok();
        assert_eq!(read("*.Example.com").as_deref(), Some("*.example.com"));
        assert_eq!(read("FD00::1").as_deref(), Some("[fd00::1]"));
        assert_eq!(read("[fd00::1]").as_deref(), Some("[fd00::1]"));
        assert_eq!(read("192.168.1.2").as_deref(), Some("192.168.1.2"));
        for wrong in ["a.test:443", "https://a.test/", "a b", "", "[fd00::1]:443"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn fingerprints_have_colons_or_not() {
        let plain = "5d".repeat(32);
        let colons = vec!["5D"; 32].join(":");
        assert_eq!(fingerprint(&plain).unwrap().to_string(), plain);
        assert_eq!(fingerprint(&colons).unwrap().to_string(), plain);
        for wrong in ["", "5d", &"5d".repeat(33), &"5x".repeat(32)] {
            assert!(fingerprint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn groups_that_are_named_are_there() {
        let expression = crate::pattern::expression("^/(a)/(?P<rest>.*)$").unwrap();
        for right in ["", "/x", "/$1/$2", "/${1}x/${rest}", "/$rest", "/$$1", "$"] {
            assert_eq!(replacement(right, &expression), Ok(()), "{right}");
        }
        for wrong in ["/$3", "/$1x", "/${none}", "/$rest_of"] {
            assert!(replacement(wrong, &expression).is_err(), "{wrong}");
        }
    }
}
