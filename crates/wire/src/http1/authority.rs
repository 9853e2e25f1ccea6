//! Host and port, in `Host` and in targets (RFC 9110, sections 4.2 and 7.2; RFC 3986, section 3.2).

use super::lenient::{Leniency, Lenient};
use super::token::{HOST, REG_NAME, is};
use std::net::Ipv6Addr;

/// The longest host, in bytes: what a name in the DNS can have, with its final dot and then some
/// for percent-encoding.
const HOST_MAX: usize = 512;

/// The scheme that a request names, in its target or by HTTP/2's `:scheme`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`.
    Http,
    /// `https`.
    Https,
}

impl Scheme {
    /// The port where none is named.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// How a text reads as host and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    /// Length of the host, with the brackets of an IPv6 address.
    pub(super) host: usize,
    pub(super) port: Option<u16>,
    /// Length of both. A colon without a port behind it does not count.
    pub(super) length: usize,
}

impl Authority {
    /// Reads all of `text`; `None` if it is no host with an optional port. Users before the host
    /// are not allowed.
    pub(super) fn read(text: &[u8], lenient: Lenient) -> Option<Self> {
        let host = match text.first() {
            Some(b'[') => address(text)?,
            Some(_) => name(text, lenient)?,
            None if lenient.allows(Leniency::HostEmpty) => 0,
            None => return None,
        };
        match text.get(host..)? {
            [] | [b':'] if host > 0 || text.is_empty() => {
                Some(Self { host, port: None, length: host })
            }
            [b':', digits @ ..] if host > 0 => {
                Some(Self { host, port: Some(port(digits)?), length: text.len() })
            }
            _ => None,
        }
    }
}

/// The length of the IPv6 address in brackets that `text` begins with.
fn address(text: &[u8]) -> Option<usize> {
    let end = text.iter().position(|byte| *byte == b']')?;
    let inside = str::from_utf8(text.get(1..end)?).ok()?;
    inside.parse::<Ipv6Addr>().ok()?;
    Some(end + 1)
}

/// The length of the name or IPv4 address that `text` begins with.
fn name(text: &[u8], lenient: Lenient) -> Option<usize> {
    let wide = lenient.allows(Leniency::HostRegName);
    let mask = if wide { HOST | REG_NAME } else { HOST };
    let mut length = 0;
    loop {
        match text.get(length..)? {
            [b'%', high, low, ..] if wide => {
                if !(high.is_ascii_hexdigit() && low.is_ascii_hexdigit()) {
                    return None;
                }
                length += 3;
            }
            [byte, ..] if is(*byte, mask) => length += 1,
            _ => break,
        }
    }
    (1..=HOST_MAX).contains(&length).then_some(length)
}

/// A port: 1 to 65535, without leading zeros.
fn port(digits: &[u8]) -> Option<u16> {
    if digits.len() > 5 || digits.first() == Some(&b'0') {
        return None;
    }
    let number = digits.iter().try_fold(0u32, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
    });
    u16::try_from(number?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(usize, Option<u16>, usize)> {
        let read = Authority::read(text.as_bytes(), Lenient::NONE);
        read.map(|Authority { host, port, length }| (host, port, length))
    }

    #[test]
    fn hosts_and_ports() {
        assert_eq!(read("a.example"), Some((9, None, 9)));
        assert_eq!(read("a.example."), Some((10, None, 10)));
        assert_eq!(read("a_b-c.example:8080"), Some((13, Some(8080), 18)));
        assert_eq!(read("10.0.0.5:65535"), Some((8, Some(65535), 14)));
        assert_eq!(read("a:"), Some((1, None, 1)));
        assert_eq!(read("[::1]"), Some((5, None, 5)));
        assert_eq!(read("[2001:db8::1]:443"), Some((13, Some(443), 17)));
        for text in [
            "",
            ":",
            ":80",
            "a:0",
            "a:080",
            "a:65536",
            "a:100000",
            "a:-1",
            "a:8x",
            "a:80:80",
            "a b",
            "a/b",
            "a@b",
            "a,b",
            "a?b",
            "a#b",
            "[::1",
            "[::1]x",
            "[]",
            "[1.2.3.4]",
            "[fe80::1%eth0]",
            "::1",
            "[v1.a]",
            "a+b",
            "a%20b",
            "b\u{fc}cher.example",
            "a[::1]",
            "*",
            "a\\b",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&"a".repeat(512)), Some((512, None, 512)));
        assert_eq!(read(&"a".repeat(513)), None);
    }

    #[test]
    fn what_can_be_allowed() {
        let read = |text: &str| Authority::read(text.as_bytes(), Lenient::all()).map(|a| a.length);
        assert_eq!(read(""), Some(0));
        assert_eq!(read(":"), None);
        assert_eq!(read(":80"), None);
        assert_eq!(read("a+b~c:80"), Some(8));
        assert_eq!(read("a%20b"), Some(5));
        assert_eq!(read("a%2"), None);
        assert_eq!(read("a%2x"), None);
        assert_eq!(read("a@b"), None);
    }
}
