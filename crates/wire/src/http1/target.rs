//! The request's target (RFC 9112, section 3.2): which bytes it may hold, and its four forms.

use super::authority::{Authority, Scheme};
use super::field::Span;
use super::lenient::{Leniency, Lenient};
use super::reason::Reason;
use super::token::{NON_ASCII, ODD_PATH, ODD_QUERY, PATH, QUERY, end_of_run, is};

/// Path and query as they are read, byte by byte if they come so.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    pub(super) at: usize,
    /// Where the `?` is.
    pub(super) query: Option<usize>,
}

impl Walk {
    /// Goes on to the byte that can be in no path and no query, and returns it; `None` at the end
    /// of the bytes, or at a percent sign whose digits are not all there.
    #[inline]
    pub(super) fn on(&mut self, bytes: &[u8], lenient: Lenient) -> Result<Option<u8>, Reason> {
        loop {
            let mask = mask(self.query.is_some(), lenient);
            self.at = end_of_run(bytes, self.at, mask);
            match bytes.get(self.at) {
                Some(b'?') if self.query.is_none() => {
                    self.query = Some(self.at);
                    self.at += 1;
                }
                Some(b'%') => match percent(bytes, self.at, lenient)? {
                    Some(next) => self.at = next,
                    None => return Ok(None),
                },
                other => return Ok(other.copied()),
            }
        }
    }
}

fn mask(in_query: bool, lenient: Lenient) -> u8 {
    let mut mask = if in_query { QUERY } else { PATH };
    if lenient.allows(Leniency::TargetOdd) {
        mask |= if in_query { ODD_QUERY } else { ODD_PATH };
    }
    if lenient.allows(Leniency::TargetNonAscii) {
        mask |= NON_ASCII;
    }
    mask
}

/// Where to go on behind the percent sign at `at`; `None` if that cannot be said yet.
fn percent(bytes: &[u8], at: usize, lenient: Lenient) -> Result<Option<usize>, Reason> {
    if lenient.allows(Leniency::TargetPercent) {
        return Ok(Some(at + 1));
    }
    for place in [at + 1, at + 2] {
        match bytes.get(place) {
            None => return Ok(None),
            Some(digit) if digit.is_ascii_hexdigit() => {}
            Some(_) => return Err(Reason::TargetPercent),
        }
    }
    Ok(Some(at + 3))
}

/// The reason to refuse a target that holds `byte`.
pub(super) const fn bad_byte(byte: u8) -> Reason {
    match byte {
        b'#' => Reason::TargetFragment,
        0x80.. => Reason::TargetNonAscii,
        // The line ends before a version: HTTP/0.9, or the target is not all of it.
        b'\r' => Reason::RequestLine,
        0..=0x1f | 0x7f => Reason::of_control(byte),
        _ => Reason::TargetByte,
    }
}

/// Checks that all of `text` is a path with an optional query, and returns where the query begins.
pub(super) fn origin(text: &[u8], lenient: Lenient) -> Result<Option<usize>, Reason> {
    if text.first() != Some(&b'/') {
        return Err(Reason::TargetForm);
    }
    path(text, lenient)
}

/// The same for the rest of an absolute URI, which may lack the path.
fn path(text: &[u8], lenient: Lenient) -> Result<Option<usize>, Reason> {
    let mut walk = Walk::default();
    match walk.on(text, lenient)? {
        Some(byte) => Err(bad_byte(byte)),
        None if walk.at < text.len() => Err(Reason::TargetPercent),
        None => Ok(walk.query),
    }
}

/// A target in one of the other forms: goes on to the first byte that none of them holds; what it
/// says is read by [`other`].
pub(super) fn end_of_other(bytes: &[u8], at: usize, lenient: Lenient) -> usize {
    let non_ascii = lenient.allows(Leniency::TargetNonAscii);
    let fits = |byte: u8| {
        byte == b'%'
            || is(byte, PATH | QUERY | ODD_PATH | ODD_QUERY)
            || (non_ascii && is(byte, NON_ASCII))
    };
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !fits(*byte)).unwrap_or(rest.len())
}

/// What a target says, with places in the bytes that it lies in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Target {
    /// Path and query; nothing for CONNECT.
    pub(super) span: Span,
    /// Where the query begins, in the bytes; 0: there is none.
    pub(super) query: usize,
    pub(super) scheme: Option<Scheme>,
    /// The authority that the target names, if it does.
    pub(super) named: Option<Named>,
}

/// An authority in the bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Named {
    pub(super) span: Span,
    pub(super) host: u32,
    pub(super) port: Option<u16>,
}

impl Named {
    pub(super) fn new(start: usize, authority: Authority) -> Self {
        Self {
            span: Span::new(start, start + authority.length),
            host: authority.host as u32,
            port: authority.port,
        }
    }

    /// The host without the port.
    pub(super) const fn host_span(&self) -> Span {
        Span { start: self.span.start, length: self.host }
    }
}

/// Reads the target in `bytes[start..end]` whose first byte is no slash. An absolute URI without a
/// path gets one: its bytes are moved by one place to the left, over the scheme's last slash.
pub(super) fn other(
    bytes: &mut [u8],
    (start, end): (usize, usize),
    method: &[u8],
    lenient: Lenient,
) -> Result<Target, Reason> {
    let text = bytes.get(start..end).unwrap_or_default();
    if method == b"CONNECT" {
        // RFC 9112, section 3.2.3: the port is always there.
        let authority = Authority::read(text, lenient).filter(|authority| authority.port.is_some());
        let named = Named::new(start, authority.ok_or(Reason::TargetForm)?);
        return Ok(Target { named: Some(named), ..Target::default() });
    }
    if method == b"PRI" && text == b"*" {
        return Err(Reason::Http2Preface);
    }
    if text == b"*" {
        // Section 3.2.4.
        let span = Span::new(start, end);
        let fits = method == b"OPTIONS";
        return if fits {
            Ok(Target { span, ..Target::default() })
        } else {
            Err(Reason::TargetForm)
        };
    }
    let colon = text.windows(3).position(|three| three == b"://").ok_or(Reason::TargetForm)?;
    let scheme = scheme(text.get(..colon).unwrap_or_default())?;
    let (mut host, mut after) = (start + colon + 3, end);
    let rest = bytes.get(host..end).unwrap_or_default();
    if let Some(length) = rest.iter().position(|byte| matches!(byte, b'/' | b'?')) {
        after = host + length;
    }
    let authority = bytes.get(host..after).unwrap_or_default();
    if authority.contains(&b'@') {
        return Err(Reason::TargetUserinfo);
    }
    let authority = Authority::read(authority, lenient.without(Leniency::HostEmpty));
    let authority = authority.ok_or(Reason::TargetAuthority)?;
    let text = bytes.get(after..end).unwrap_or_default();
    let query = path(text, lenient)?.map_or(0, |query| after + query);
    if text.first() != Some(&b'/') {
        // RFC 9110, section 4.2.3: an empty path is "/"; RFC 9112, section 3.2.4: OPTIONS for all.
        host -= 1;
        after -= 1;
        let for_all = method == b"OPTIONS" && text.is_empty();
        if let Some(moved) = bytes.get_mut(host..=after) {
            moved.rotate_left(1);
            if let Some(last) = moved.last_mut() {
                *last = if for_all { b'*' } else { b'/' };
            }
        }
    }
    let span = Span::new(after, end);
    Ok(Target { span, query, scheme: Some(scheme), named: Some(Named::new(host, authority)) })
}

/// RFC 3986, section 3.1: schemes in any case.
fn scheme(text: &[u8]) -> Result<Scheme, Reason> {
    if text.eq_ignore_ascii_case(b"http") {
        Ok(Scheme::Http)
    } else if text.eq_ignore_ascii_case(b"https") {
        Ok(Scheme::Https)
    } else {
        Err(Reason::TargetScheme)
    }
}
