//! A head as conditions and rules see it.

use eclusa_policy::condition::Request;
use eclusa_wire::http1::Head;
use std::borrow::Cow;

/// The head of a request, with its host in the form in which hosts are compared.
pub(crate) struct Seen<'a> {
    head: &'a Head,
    host: Cow<'a, str>,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(head: &'a Head) -> Self {
        let host = text(head.host());
        let host = host.strip_suffix('.').unwrap_or(host);
        Self { head, host: lowercase(host) }
    }
}

/// In lower case, as nearly every host comes.
fn lowercase(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return host.to_ascii_lowercase().into();
    }
    host.into()
}

/// The codec lets nothing but ASCII into these.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

impl Request for Seen<'_> {
    fn method(&self) -> &str {
        text(self.head.method())
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn path(&self) -> &str {
        text(self.head.path())
    }

    fn query(&self) -> Option<&str> {
        self.head.query().map(text)
    }

    fn header(&self, name: &str, holds: &mut dyn FnMut(&str) -> bool) -> bool {
        self.head.all(name.as_bytes()).any(|value| holds(&String::from_utf8_lossy(value)))
    }
}
