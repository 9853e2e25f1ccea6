//! A head as conditions and rules see it.

use eclusa_policy::condition::Request;
use eclusa_wire::http1::Head;
use std::borrow::Cow;

/// The head of a request, with its host in the form in which hosts are compared.
pub(crate) struct Seen<'a> {
    head: &'a Head,
    method: Cow<'a, str>,
    host: Cow<'a, str>,
    path: Cow<'a, str>,
    query: Option<Cow<'a, str>>,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(head: &'a Head) -> Self {
        let written = head.host();
        let host = text(written.strip_suffix(b".").unwrap_or(written));
        let host = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => host.to_ascii_lowercase().into(),
            false => host,
        };
        let (path, query) = (text(head.path()), head.query().map(text));
        Self { head, method: text(head.method()), host, path, query }
    }
}

/// Where a listener allows bytes above ASCII they may be no UTF-8. Such bytes are seen as U+FFFD, as
/// in fields and behind percent signs, and what stands around them is seen all the same: a request
/// must not get round a condition by them.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

impl Request for Seen<'_> {
    fn method(&self) -> &str {
        &self.method
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    fn header(&self, name: &str, holds: &mut dyn FnMut(&str) -> bool) -> bool {
        self.head.all(name.as_bytes()).any(|value| holds(&text(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_policy::condition::{Asked, PathPattern};
    use eclusa_wire::http1::{Leniency, Lenient, Limits, Parsed, Parser};

    fn head(wire: &[u8]) -> Head {
        let lenient = Lenient::NONE.with(Leniency::TargetNonAscii);
        let mut head = Head::new();
        head.buffer().extend_from_slice(wire);
        let parsed = Parser::request(Limits::default(), lenient).parse(&mut head);
        assert_eq!(parsed, Parsed::Complete(wire.len()));
        head
    }

    #[test]
    fn bytes_that_are_no_utf_8_hide_nothing() {
        let head =
            head(b"GET /admin/\xe9?a=1&b=\xff HTTP/1.1\r\nHost: A.test.\r\nX: \xe9y\r\n\r\n");
        let seen = Seen::new(&head);
        assert_eq!((seen.method(), seen.host()), ("GET", "a.test"));
        assert_eq!(seen.path(), "/admin/\u{fffd}");
        assert_eq!(seen.query(), Some("a=1&b=\u{fffd}"));
        assert!(seen.header("x", &mut |value| value == "\u{fffd}y"));
        let asked = Asked::new(&seen);
        assert!(PathPattern::prefix("/admin").matches(asked.path()), "{asked:?}");
    }

    #[test]
    fn utf_8_is_seen_as_it_is() {
        let head = head("GET /caf\u{e9}?q=\u{fc} HTTP/1.1\r\nHost: a.test\r\n\r\n".as_bytes());
        let seen = Seen::new(&head);
        assert_eq!((seen.path(), seen.query()), ("/caf\u{e9}", Some("q=\u{fc}")));
    }
}
