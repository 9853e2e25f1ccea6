//! Which endpoint a request belongs to: by a hash of what it says, or by a cookie that it brings back.

use crate::request::Seen;
use crate::site::PoolSite;
use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use eclusa_policy::condition::{Request, cookie};
use eclusa_proxy::layer7::{Pool, Wish};
use eclusa_wire::http1::Head;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of the keyed hash that a cookie has: enough that nobody finds another endpoint's by trying.
const LENGTH: usize = 12;
/// Endpoints whose cookies are remembered; names may resolve to new ones all the time.
const REMEMBERED: usize = 4096;

/// The sticky cookie of a pool. It says nothing of the endpoint to whoever has not the key.
pub(crate) struct Sticky {
    name: Arc<str>,
    pool: Arc<str>,
    key: hmac::Key,
    known: Mutex<HashMap<SocketAddr, Arc<str>>>,
}

impl fmt::Debug for Sticky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sticky").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Sticky {
    pub(crate) fn new(name: Arc<str>, pool: Arc<str>, key: &[u8]) -> Self {
        Self { name, pool, key: hmac::Key::new(hmac::HMAC_SHA256, key), known: Mutex::default() }
    }

    /// What the cookie says for an endpoint.
    fn value(&self, address: SocketAddr) -> Arc<str> {
        // Held for a look-up or a hash, and for that alone; nothing is waited for under it.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.get(&address) {
            return value.clone();
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let said = format!("{}\n{address}", self.pool);
        let tag = hmac::sign(&self.key, said.as_bytes());
        let value: Arc<str> = BASE64URL_NOPAD.encode(&tag.as_ref()[..LENGTH]).into();
        known.insert(address, value.clone());
        value
    }

    /// The endpoint of the pool that the request's cookie names.
    pub(crate) fn endpoint(&self, request: &dyn Request, pool: &Pool) -> Option<SocketAddr> {
        let mut found = None;
        cookie(request, &self.name, &mut |said| {
            let endpoints = pool.endpoints();
            let addresses = endpoints.iter().map(|endpoint| endpoint.address());
            let named = |address: &SocketAddr| *self.value(*address) == *said;
            found = addresses.into_iter().find(named);
            found.is_some()
        });
        found
    }

    /// The `Set-Cookie` that brings the client of `head` back to the endpoint at `address`; `None`: it
    /// has that cookie. `secure`: it is only to come back over TLS.
    pub(crate) fn to_set(&self, head: &Head, address: SocketAddr, secure: bool) -> Option<String> {
        let value = self.value(address);
        if cookie(&Seen::new(head), &self.name, &mut |said| *said == *value) {
            return None;
        }
        let secure = if secure { "; Secure" } else { "" };
        Some(format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}", self.name))
    }
}

/// Whether a cache that many share might keep the answer (RFC 9111, section 3), by its status (RFC 9110,
/// section 15.1) and by what it says itself.
pub(crate) fn may_be_kept(head: &Head, response: &Head) -> bool {
    const STATUSES: [u16; 11] = [200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501];
    const NOT: [&[u8]; 5] = [b"private", b"no-store", b"no-cache", b"max-age=0", b"s-maxage=0"];
    let says =
        |name: &'static [u8]| response.all(name).flat_map(|value| value.split(|it| *it == b','));
    let forbids = |word: &[u8]| NOT.iter().any(|not| word.trim_ascii().eq_ignore_ascii_case(not));
    // Some keep answers to OPTIONS as well (of browsers that ask before they ask), whatever RFC 9110 says.
    matches!(head.method(), b"GET" | b"HEAD" | b"OPTIONS")
        && STATUSES.contains(&response.status())
        && !says(b"cache-control").chain(says(b"pragma")).any(forbids)
}

/// Which endpoint of `pool` the request wants.
pub(crate) fn wish(site: &PoolSite, pool: &Pool, head: &Head) -> Wish {
    if site.http.hash.is_none() && site.sticky.is_none() {
        return Wish::default();
    }
    let request = Seen::new(head);
    let at = site.sticky.as_ref().and_then(|sticky| sticky.endpoint(&request, pool));
    Wish { key: site.http.hash.as_ref().and_then(|by| by.key(&request)), at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_config::plan::HashBy;
    use eclusa_policy::balance::hash_of;
    use eclusa_wire::http1::{Asked, FIELDS_MAX, HEAD_MAX, Lenient, Limits, Parsed, Parser};

    fn request(fields: &str) -> Head {
        asked("GET", fields)
    }

    fn asked(method: &str, fields: &str) -> Head {
        let mut head = Head::new();
        let text = format!("{method} /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        *head.buffer() = text.into_bytes();
        let limits = Limits::new(8 << 10, HEAD_MAX, FIELDS_MAX);
        let parsed = Parser::request(limits, Lenient::default()).parse(&mut head);
        assert!(matches!(parsed, Parsed::Complete(_)), "{parsed:?}");
        head
    }

    fn answer(text: &str) -> Head {
        let mut head = Head::new();
        *head.buffer() = format!("HTTP/1.1 {text}\r\n\r\n").into_bytes();
        let limits = Limits::new(8 << 10, HEAD_MAX, FIELDS_MAX);
        let parsed =
            Parser::response(Asked::default(), limits, Lenient::default()).parse(&mut head);
        assert!(matches!(parsed, Parsed::Complete(_)), "{parsed:?}");
        head
    }

    #[test]
    fn what_caches_may_not_keep_or_would_not_is_told_apart() {
        let get = request("");
        for kept in ["200 OK", "404 Not Found\r\nCache-Control: max-age=60, must-revalidate"] {
            assert!(may_be_kept(&get, &answer(kept)), "{kept}");
        }
        for not in [
            "201 Created",
            "302 Found",
            "200 OK\r\nCache-Control: max-age=60\r\nCache-Control: Private",
            "200 OK\r\ncache-control: no-store, max-age=9",
            "200 OK\r\nPragma: no-cache",
        ] {
            assert!(!may_be_kept(&get, &answer(not)), "{not}");
        }
        assert!(may_be_kept(&asked("OPTIONS", ""), &answer("204 No Content")));
        assert!(!may_be_kept(&asked("POST", "Content-Length: 0\r\n"), &answer("200 OK")));
    }

    fn value(set: &str) -> &str {
        set.split(['=', ';']).nth(1).unwrap()
    }

    #[test]
    fn a_cookie_names_its_endpoint_to_hosts_with_the_same_key_alone() {
        let sticky = |key: u8| Sticky::new("place".into(), "web".into(), &[key; 32]);
        let (one, other): (SocketAddr, SocketAddr) =
            ("10.0.1.100:80".parse().unwrap(), "10.0.1.101:80".parse().unwrap());
        let set = sticky(1).to_set(&request(""), one, true).unwrap();
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{set}");
        assert_eq!(value(&set).len(), 16);
        assert_eq!(sticky(1).to_set(&request(""), one, true).as_ref(), Some(&set), "peers agree");
        for different in
            [sticky(1).to_set(&request(""), other, true), sticky(2).to_set(&request(""), one, true)]
        {
            assert_ne!(value(&different.unwrap()), value(&set));
        }
        let back = request(&format!("Cookie: a=b; place={}\r\n", value(&set)));
        assert_eq!(sticky(1).to_set(&back, one, true), None);
        assert!(sticky(1).to_set(&back, other, true).is_some(), "it has moved");
    }

    #[test]
    fn requests_are_told_apart_by_what_the_pool_names() {
        let of = |by: &HashBy, fields: &str| by.key(&Seen::new(&request(fields)));
        let header = HashBy::Header("x-user".into());
        assert_eq!(of(&header, ""), None);
        assert_eq!(of(&header, "X-User: eve\r\n"), Some(hash_of(b"eve")));
        let cookie = HashBy::Cookie("id".into());
        assert_eq!(of(&cookie, "Cookie: x=y\r\n"), None);
        assert_eq!(of(&cookie, "Cookie: x=y; id=7\r\n"), Some(hash_of(b"7")));
        assert_eq!(of(&HashBy::Path, ""), Some(hash_of(b"/a")));
    }
}
