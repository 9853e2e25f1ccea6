//! Version 1: one line of text (section 2.1).

use super::{Header, Parsed, ProxyError, Tlvs};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The longest line of version 1, in bytes, with its CR LF (section 2.1).
pub const V1_MAX: usize = 107;

/// The shortest header of all: `PROXY UNKNOWN` with CR LF.
pub(super) const SHORTEST: usize = 15;

const START: &[u8] = b"PROXY ";

/// The protocols, each with the length of its shortest line, in bytes.
const PROTOCOLS: [(&[u8], usize); 3] = [(b"TCP4", 32), (b"TCP6", 22), (b"UNKNOWN", SHORTEST)];

/// The longest addresses and ports as text, in bytes (section 2.1).
const V4_TEXT_MAX: usize = 15;
const V6_TEXT_MAX: usize = 39;
const PORT_TEXT_MAX: usize = 5;

/// Reads a line that begins with `P`.
pub(super) fn parse(buf: &[u8]) -> Result<Parsed<'_>, ProxyError> {
    let known = buf.len().min(START.len());
    if buf[..known] != START[..known] {
        return Err(ProxyError::NotProxy);
    }
    let mut line = Line { bytes: &buf[..buf.len().min(V1_MAX)], at: known, shortest: SHORTEST };
    match read(&mut line)? {
        Some(header) => Ok(Parsed::Complete { header, consumed: line.at }),
        None => Ok(line.incomplete()),
    }
}

/// `None`: the line goes on.
fn read(line: &mut Line<'_>) -> Result<Option<Header<'static>>, ProxyError> {
    let Some((protocol, end)) = line.protocol()? else { return Ok(None) };
    if protocol == b"UNKNOWN" {
        let ended = line.skip_to_end(end)?;
        return Ok(ended.then(|| Header::Unknown(Tlvs::default())));
    }
    separator(end)?;
    let is_v4 = protocol == b"TCP4";
    let Some(source) = line.address(is_v4)? else { return Ok(None) };
    let Some(destination) = line.address(is_v4)? else { return Ok(None) };
    let Some((source_port, end)) = line.port()? else { return Ok(None) };
    separator(end)?;
    let Some((destination_port, end)) = line.port()? else { return Ok(None) };
    if end == b' ' {
        return Err(ProxyError::V1Fields);
    }
    if !line.ended(end)? {
        return Ok(None);
    }
    Ok(Some(Header::Proxied {
        source: SocketAddr::new(source.to_canonical(), source_port),
        destination: SocketAddr::new(destination.to_canonical(), destination_port),
        tlvs: Tlvs::default(),
    }))
}

/// The line so far, read from left to right. A field is judged while it still grows, so that a
/// wrong byte is found when it comes.
struct Line<'a> {
    bytes: &'a [u8],
    at: usize,
    shortest: usize,
}

/// A field, and what ended it.
enum Field<'a> {
    Open(&'a [u8]),
    Closed(&'a [u8], u8),
}

impl<'a> Line<'a> {
    fn field(&mut self) -> Field<'a> {
        let rest = &self.bytes[self.at..];
        match rest.iter().position(|byte| matches!(byte, b' ' | b'\r' | b'\n')) {
            Some(length) => {
                self.at += length + 1;
                Field::Closed(&rest[..length], rest[length])
            }
            None => Field::Open(rest),
        }
    }

    fn protocol(&mut self) -> Result<Option<(&'a [u8], u8)>, ProxyError> {
        let (text, end) = match self.field() {
            Field::Open(text) => (text, None),
            Field::Closed(text, end) => (text, Some(end)),
        };
        self.shortest = PROTOCOLS
            .iter()
            .filter(|(name, _)| if end.is_some() { *name == text } else { name.starts_with(text) })
            .map(|(_, shortest)| *shortest)
            .min()
            .ok_or(ProxyError::V1Protocol)?;
        Ok(end.map(|end| (text, end)))
    }

    fn address(&mut self, is_v4: bool) -> Result<Option<IpAddr>, ProxyError> {
        let (longest, parse): (_, fn(&str) -> Option<IpAddr>) = if is_v4 {
            (V4_TEXT_MAX, |text| Ipv4Addr::from_str(text).ok().map(IpAddr::V4))
        } else {
            (V6_TEXT_MAX, |text| Ipv6Addr::from_str(text).ok().map(IpAddr::V6))
        };
        // A v6 address may end in a dotted v4 part: that is how inet_ntop writes a mapped one.
        let fits = |byte: &u8| {
            byte.is_ascii_digit()
                || *byte == b'.'
                || (!is_v4 && (byte.is_ascii_hexdigit() || *byte == b':'))
        };
        match self.field() {
            Field::Open(text) if text.len() <= longest && text.iter().all(fits) => Ok(None),
            Field::Closed(text, end) if text.len() <= longest => {
                let address = str::from_utf8(text).ok().and_then(parse);
                let address = address.ok_or(ProxyError::V1Address)?;
                separator(end)?;
                Ok(Some(address))
            }
            Field::Open(_) | Field::Closed(..) => Err(ProxyError::V1Address),
        }
    }

    fn port(&mut self) -> Result<Option<(u16, u8)>, ProxyError> {
        let (text, end) = match self.field() {
            Field::Open(text) => (text, None),
            Field::Closed(text, end) => (text, Some(end)),
        };
        let leading_zero = text.len() > 1 && text[0] == b'0';
        let empty = text.is_empty() && end.is_some();
        if empty || leading_zero || text.len() > PORT_TEXT_MAX {
            return Err(ProxyError::V1Port);
        }
        let mut port: u32 = 0;
        for digit in text {
            if !digit.is_ascii_digit() {
                return Err(ProxyError::V1Port);
            }
            port = port * 10 + u32::from(digit - b'0');
        }
        let port = u16::try_from(port).map_err(|_| ProxyError::V1Port)?;
        Ok(end.map(|end| (port, end)))
    }

    /// Whether the line is over; `end` is the byte that ended its last field.
    fn ended(&mut self, end: u8) -> Result<bool, ProxyError> {
        if end != b'\r' {
            return Err(ProxyError::V1LineEnd);
        }
        match self.bytes.get(self.at) {
            Some(b'\n') => {
                self.at += 1;
                Ok(true)
            }
            Some(_) => Err(ProxyError::V1LineEnd),
            None => Ok(false),
        }
    }

    /// Passes over what follows `UNKNOWN`: the receiver has to ignore it up to CR LF.
    fn skip_to_end(&mut self, mut end: u8) -> Result<bool, ProxyError> {
        if end == b' ' {
            // A CR later than this leaves no room for its LF.
            let last = self.bytes.len().min(V1_MAX - 1);
            let rest = &self.bytes[self.at..last];
            let Some(length) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
                let full = self.bytes.len() >= V1_MAX - 1;
                return if full { Err(ProxyError::V1TooLong) } else { Ok(false) };
            };
            end = rest[length];
            self.at += length + 1;
        }
        self.ended(end)
    }

    fn incomplete(&self) -> Parsed<'static> {
        let missing = if self.bytes.last() == Some(&b'\r') { 1 } else { 2 };
        Parsed::Incomplete { at_least: self.shortest.max(self.bytes.len() + missing) }
    }
}

/// What ends a field that others follow must be a space.
fn separator(end: u8) -> Result<(), ProxyError> {
    match end {
        b' ' => Ok(()),
        b'\n' => Err(ProxyError::V1LineEnd),
        _ => Err(ProxyError::V1Fields),
    }
}
