//! A field as it lies in a head's bytes, and what is known about its name.

use std::ops::Range;

/// A span begins in the bytes of the edits instead of those that were received.
pub(super) const EDITED: u32 = 1 << 31;

/// A place in a head's bytes. Heads are shorter than [`super::HEAD_MAX`], so 32 bits will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) length: u32,
}

impl Span {
    pub(super) const fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, length: end.saturating_sub(start) as u32 }
    }

    pub(super) const fn range(self) -> Range<usize> {
        let start = (self.start & !EDITED) as usize;
        start..start + self.length as usize
    }
}

/// What a field is to this codec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Known {
    /// Passed on, and of no meaning here.
    #[default]
    Other,
    Connection,
    ContentLength,
    Expect,
    /// What proxies before this one say of the client: `Forwarded`, `X-Forwarded-For` and so on.
    Forwarded,
    Host,
    /// Of one connection and without a meaning for this codec: `Keep-Alive`, `Proxy-Connection`,
    /// `HTTP2-Settings`.
    Hop,
    Te,
    TransferEncoding,
    Upgrade,
}

impl Known {
    /// Whether the codec writes this field itself or not at all (RFC 9110, section 7.6.1).
    pub(super) const fn is_owned(self) -> bool {
        !matches!(self, Self::Other | Self::Expect | Self::Forwarded)
    }
}

/// Looks a name up; the lengths keep it cheap.
#[inline]
pub(super) fn known(name: &[u8]) -> Known {
    let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
    match name.len() {
        2 if is(b"te") => Known::Te,
        4 if is(b"host") => Known::Host,
        6 if is(b"expect") => Known::Expect,
        7 if is(b"upgrade") => Known::Upgrade,
        9 if is(b"forwarded") => Known::Forwarded,
        10 if is(b"connection") => Known::Connection,
        10 if is(b"keep-alive") => Known::Hop,
        14 if is(b"content-length") => Known::ContentLength,
        14 if is(b"http2-settings") => Known::Hop,
        15 if is(b"x-forwarded-for") => Known::Forwarded,
        16 if is(b"x-forwarded-host") || is(b"x-forwarded-port") => Known::Forwarded,
        16 if is(b"proxy-connection") => Known::Hop,
        17 if is(b"x-forwarded-proto") => Known::Forwarded,
        17 if is(b"transfer-encoding") => Known::TransferEncoding,
        _ => Known::Other,
    }
}

/// Whether gateways that put names into environment variables (CGI and what came after it) take
/// this one for a field that frames the body.
pub(super) fn is_look_alike(name: &[u8]) -> bool {
    matches!(name.len(), 14 | 17)
        && name.contains(&b'_')
        && [&b"content-length"[..], b"transfer-encoding"].iter().any(|framing| {
            name.len() == framing.len()
                && name.iter().zip(*framing).all(|(byte, wanted)| {
                    byte.eq_ignore_ascii_case(wanted) || (*byte == b'_' && *wanted == b'-')
                })
        })
}

/// A field's place and what is to become of it. Twenty fit into five cache lines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Field {
    name_start: u32,
    value_start: u32,
    value_length: u32,
    name_length: u16,
    pub(super) known: Known,
    flags: u8,
}

/// It lies in the bytes as `Name: value CR LF`, so that runs of such are copied as they are.
pub(super) const PLAIN: u8 = 1;
/// `Connection` names it, or it has no meaning in this message: it is not passed on.
pub(super) const NOMINATED: u8 = 1 << 1;
/// An edit took it away.
pub(super) const REMOVED: u8 = 1 << 2;

impl Field {
    pub(super) const fn new(name: Span, value: Span, known: Known, flags: u8) -> Self {
        Self {
            name_start: name.start,
            value_start: value.start,
            value_length: value.length,
            name_length: name.length as u16,
            known,
            flags,
        }
    }

    pub(super) const fn name(&self) -> Span {
        Span { start: self.name_start, length: self.name_length as u32 }
    }

    pub(super) const fn value(&self) -> Span {
        Span { start: self.value_start, length: self.value_length }
    }

    pub(super) const fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }

    pub(super) const fn set(&mut self, flags: u8) {
        self.flags |= flags;
    }

    pub(super) const fn clear(&mut self, flags: u8) {
        self.flags &= !flags;
    }

    /// Whether it goes to the next hop as it is.
    pub(super) const fn is_forwarded(&self) -> bool {
        !self.known.is_owned() && !self.has(NOMINATED | REMOVED)
    }
}

/// Fields that `Connection` may not take away: what all recipients need (RFC 9110, section 7.6.1,
/// forbids senders to name those). Naming one is ignored, so that a client cannot make a proxy drop
/// what another proxy added for the application.
pub(super) fn is_for_all(name: &[u8]) -> bool {
    const NAMES: [&str; 16] = [
        "authorization",
        "cache-control",
        "cookie",
        "date",
        "expect",
        "forwarded",
        "location",
        "origin",
        "range",
        "set-cookie",
        "trailer",
        "vary",
        "via",
        "www-authenticate",
        "x-real-ip",
        "x-request-id",
    ];
    const PREFIXES: [&[u8]; 3] = [b"content-", b"x-forwarded-", b"x-ssl-"];
    NAMES.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
        || PREFIXES.iter().any(|prefix| {
            name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        })
}

/// Fields that must not be in a trailer: framing, routing, authentication, what says how to read
/// the content, and what must be known before it (RFC 9110, section 6.5.1).
pub(super) fn is_forbidden_in_trailers(name: &[u8]) -> bool {
    const NAMES: [&str; 22] = [
        "age",
        "authorization",
        "cache-control",
        "cookie",
        "date",
        "expires",
        "forwarded",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "location",
        "max-forwards",
        "pragma",
        "range",
        "retry-after",
        "set-cookie",
        "trailer",
        "vary",
        "via",
        "x-real-ip",
    ];
    const PREFIXES: [&[u8]; 3] = [b"content-", b"x-forwarded-", b"proxy-"];
    let is_known = !matches!(known(name), Known::Other);
    is_known
        || name.eq_ignore_ascii_case(b"www-authenticate")
        || NAMES.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
        || PREFIXES.iter().any(|prefix| {
            name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_small() {
        assert_eq!(size_of::<Field>(), 16);
    }

    #[test]
    fn look_alikes() {
        for name in ["Content_Length", "content_length", "TRANSFER_ENCODING", "Transfer_encoding"] {
            assert!(is_look_alike(name.as_bytes()), "{name}");
        }
        for name in ["Content-Length", "Transfer-Encoding", "Content_Lengthy", "X_Forwarded_For"] {
            assert!(!is_look_alike(name.as_bytes()), "{name}");
        }
    }
}
