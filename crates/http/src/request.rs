//! A head as conditions and rules see it.

use eclusa_policy::condition::Request;
use eclusa_wire::http1::Head;

/// The head of a request, with its host in the form in which hosts are compared.
pub(crate) struct Seen<'a> {
    head: &'a Head,
    host: String,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(head: &'a Head) -> Self {
        let host = text(head.host()).to_ascii_lowercase();
        let host = host.strip_suffix('.').map_or_else(|| host.clone(), str::to_owned);
        Self { head, host }
    }
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
