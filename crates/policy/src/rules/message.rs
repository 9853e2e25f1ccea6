//! A whole answer in one text, as HAProxy's `errorfile` has it: status line, header fields, an empty
//! line, the body.

use super::header::{self, NameError, is_token};
use std::sync::Arc;

/// The longest head of such a text.
const HEAD_MAX: usize = 16 << 10;
/// Fields that it has at most.
const FIELDS_MAX: usize = 100;

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// 200 to 599.
    pub status: u16,
    /// Names and values of its fields, in order, without those that say how messages follow each
    /// other: they are written anew.
    pub fields: Vec<(Box<str>, Box<str>)>,
    /// The body.
    pub body: Arc<[u8]>,
}

impl Message {
    /// Reads a text. Lines may end in LF alone.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let (head, body) = split(text)?;
        let head = std::str::from_utf8(head).map_err(|_| "its head is no text".to_owned())?;
        let mut lines = head.lines();
        let status = status(lines.next().unwrap_or_default())?;
        let mut fields = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or("a header field has no `:`")?;
            let value = value.trim_matches([' ', '\t']);
            if !is_token(name) || value.chars().any(|c| c.is_control() && c != '\t') {
                return Err("a header field is none".to_owned());
            }
            // `Host` is for requests.
            if !matches!(header::name(name), Err(NameError::Framing | NameError::Host)) {
                fields.push((name.into(), value.into()));
            }
        }
        if fields.len() > FIELDS_MAX {
            return Err(format!("it has more than {FIELDS_MAX} header fields"));
        }
        if matches!(status, 204 | 205 | 304) && !body.is_empty() {
            return Err(format!("an answer of status {status} has no body"));
        }
        Ok(Self { status, fields, body: body.into() })
    }
}

/// The head without its empty line, and the body.
fn split(text: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let ends: [&[u8]; 2] = [b"\r\n\r\n", b"\n\n"];
    let found = ends.iter().filter_map(|end| {
        let at = text.windows(end.len()).take(HEAD_MAX).position(|part| part == *end)?;
        Some((at, end.len()))
    });
    match found.min() {
        Some((at, length)) => Ok((&text[..at], &text[at + length..])),
        None => Err("it has no empty line behind its head".to_owned()),
    }
}

/// The status of a line such as `HTTP/1.0 503 Service Unavailable`.
fn status(line: &str) -> Result<u16, String> {
    let mut words = line.split(' ');
    let version = words.next().unwrap_or_default();
    if !["HTTP/1.0", "HTTP/1.1"].contains(&version) {
        return Err("it does not begin with a status line, as \"HTTP/1.1 503 Unavailable\"".into());
    }
    let status = words.next().filter(|word| word.len() == 3).and_then(|word| word.parse().ok());
    status
        .filter(|status| (200..600).contains(status))
        .ok_or_else(|| "its status is none from 200 to 599".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_haproxy_is_read() {
        let text = "HTTP/1.0 503 Service Unavailable\r\nCache-Control: no-cache\r\n\
                    Connection: close\r\nContent-Length: 4\r\nContent-Type:text/csv \r\n\r\na,b\n";
        let message = Message::parse(text.as_bytes()).unwrap();
        let fields: Vec<_> = message.fields.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(message.status, 503);
        assert_eq!(fields, ["Cache-Control=no-cache", "Content-Type=text/csv"]);
        assert_eq!(&*message.body, b"a,b\n");
        let plain = Message::parse(b"HTTP/1.1 200\nX: \n\n\r\n\r\n").unwrap();
        assert_eq!((plain.status, &*plain.body), (200, &b"\r\n\r\n"[..]));
        assert_eq!(&*plain.fields[0].1, "");
    }

    #[test]
    fn what_is_no_answer_says_why() {
        for (text, why) in [
            ("", "no empty line"),
            ("<html></html>\n\n", "status line"),
            ("HTTP/2 200 OK\n\n", "status line"),
            ("HTTP/1.1 20 OK\n\n", "200 to 599"),
            ("HTTP/1.1 100 Continue\n\n", "200 to 599"),
            ("HTTP/1.1 +20 OK\n\n", "200 to 599"),
            ("HTTP/1.1 200 OK\nX\n\n", "no `:`"),
            ("HTTP/1.1 200 OK\nX Y: z\n\n", "is none"),
            ("HTTP/1.1 200 OK\nX: a\u{1}b\n\n", "is none"),
            ("HTTP/1.1 304 OK\n\nx", "no body"),
        ] {
            let told = Message::parse(text.as_bytes()).unwrap_err();
            assert!(told.contains(why), "{text:?}: {told}");
        }
        assert!(Message::parse(b"HTTP/1.1 200 OK\nX: \xff\n\n").is_err());
        let long = format!("HTTP/1.1 200 OK\nX: {}\n\n", "a".repeat(HEAD_MAX));
        assert!(Message::parse(long.as_bytes()).is_err());
    }
}
