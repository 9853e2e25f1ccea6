//! A reader (and, for clients of tests, a writer) of PROXY headers, versions 1 and 2. It shares no code with
//! `crates/wire` on purpose: it is there to test what that crate writes. Source: the
//! specification of the PROXY protocol (haproxy.org, `doc/proxy-protocol.txt`).

use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The twelve bytes that begin a header of version 2.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 1, with its line end.
const V1_MAX: usize = 107;

/// TLV type: the protocol agreed by ALPN.
pub const ALPN: u8 = 0x01;
/// TLV type: the host name that the client sent (SNI).
pub const AUTHORITY: u8 = 0x02;
/// TLV type: CRC32C of the whole header.
pub const CRC32C: u8 = 0x03;
/// TLV type: padding.
pub const NOOP: u8 = 0x04;
/// TLV type: an identifier of the connection.
pub const UNIQUE_ID: u8 = 0x05;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Header {
    /// 1 or 2.
    pub version: u8,
    /// Whether it is of the proxy's own making (`LOCAL` in version 2).
    pub local: bool,
    /// The client; `None` for `UNKNOWN`, `LOCAL` or a family that is not IP.
    pub source: Option<SocketAddr>,
    /// What the client has connected to; `None` as above.
    pub destination: Option<SocketAddr>,
    /// The TLVs in their order: type and value. Empty in version 1.
    pub tlvs: Vec<(u8, Vec<u8>)>,
    /// Whether a CRC32C stands in it; a wrong one is an error of [`parse`].
    pub has_crc: bool,
}

impl Header {
    /// The value of the first TLV of this type.
    #[must_use]
    pub fn tlv(&self, kind: u8) -> Option<&[u8]> {
        self.tlvs.iter().find(|(k, _)| *k == kind).map(|(_, value)| value.as_slice())
    }

    /// The protocol agreed by ALPN, if it stands there and is text.
    #[must_use]
    pub fn alpn(&self) -> Option<&str> {
        std::str::from_utf8(self.tlv(ALPN)?).ok()
    }

    /// The host name that the client sent, if it stands there and is text.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        std::str::from_utf8(self.tlv(AUTHORITY)?).ok()
    }
}

/// What is wrong with a header, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no PROXY header: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// A header of version 1.
#[must_use]
pub fn write_v1(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.port(), destination.port());
    format!("PROXY {family} {} {} {from} {to}\r\n", source.ip(), destination.ip()).into_bytes()
}

/// A header of version 2 for TCP with these TLVs, and a CRC32C as the last one if asked for.
///
/// # Panics
/// When the addresses are of two families, or the header is longer than 65,535 bytes.
#[must_use]
pub fn write_v2(
    source: SocketAddr,
    destination: SocketAddr,
    tlvs: &[(u8, &[u8])],
    crc: bool,
) -> Vec<u8> {
    let mut body = Vec::new();
    let family = match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            body.extend(source.octets());
            body.extend(destination.octets());
            0x11
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            body.extend(source.octets());
            body.extend(destination.octets());
            0x21
        }
        _ => panic!("{source} and {destination} are of two families"),
    };
    body.extend(source.port().to_be_bytes());
    body.extend(destination.port().to_be_bytes());
    assemble(0x21, family, body, tlvs, crc)
}

fn assemble(
    command: u8,
    family: u8,
    mut body: Vec<u8>,
    tlvs: &[(u8, &[u8])],
    crc: bool,
) -> Vec<u8> {
    let length = |bytes: usize| u16::try_from(bytes).expect("a length of two bytes").to_be_bytes();
    for (kind, value) in tlvs {
        body.push(*kind);
        body.extend(length(value.len()));
        body.extend(*value);
    }
    if crc {
        body.extend([CRC32C, 0, 4, 0, 0, 0, 0]);
    }
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend(length(body.len()));
    bytes.extend(body);
    if crc {
        let sum = crc32c(&bytes).to_be_bytes();
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&sum);
    }
    bytes
}

fn wrong<T>(what: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(what.into()))
}

/// Reads the header at the beginning of `bytes`; yields it and its length, or `None` when more
/// bytes are needed.
///
/// # Errors
/// The bytes cannot be (the beginning of) a header, or its CRC32C is wrong.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    let begins = |with: &[u8]| {
        let common = bytes.len().min(with.len());
        bytes[..common] == with[..common]
    };
    if begins(&SIGNATURE) {
        return parse_v2(bytes);
    }
    if begins(b"PROXY ") {
        return parse_v1(bytes);
    }
    wrong(format!("it begins with {:?}", bytes[..bytes.len().min(12)].escape_ascii().to_string()))
}

fn parse_v1(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
        return if bytes.len() >= V1_MAX {
            wrong(format!("no line end within {V1_MAX} bytes"))
        } else {
            Ok(None)
        };
    };
    if end + 2 > V1_MAX {
        return wrong(format!("a line of {} bytes, at most {V1_MAX} are allowed", end + 2));
    }
    let Ok(line) = std::str::from_utf8(&bytes[..end]) else {
        return wrong("a line that is not ASCII");
    };
    let words: Vec<&str> = line.split(' ').collect();
    let addresses = match words[1..] {
        ["UNKNOWN", ..] => None,
        [family @ ("TCP4" | "TCP6"), source, destination, from, to] => {
            let address = |ip: &str, port: &str| {
                let ip: IpAddr = ip.parse().ok()?;
                let port: u16 = port.parse().ok().filter(|p: &u16| p.to_string() == port)?;
                (ip.is_ipv4() == (family == "TCP4")).then_some(SocketAddr::new(ip, port))
            };
            match (address(source, from), address(destination, to)) {
                (Some(source), Some(destination)) => Some((source, destination)),
                _ => return wrong(format!("bad addresses in `{line}`")),
            }
        }
        _ => return wrong(format!("bad words in `{line}`")),
    };
    let header = Header {
        version: 1,
        local: false,
        source: addresses.map(|(source, _)| source),
        destination: addresses.map(|(_, destination)| destination),
        tlvs: Vec::new(),
        has_crc: false,
    };
    Ok(Some((header, end + 2)))
}

fn parse_v2(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    if bytes.len() < 16 {
        return Ok(None);
    }
    let (command, family) = (bytes[12], bytes[13]);
    let length = 16 + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if command >> 4 != 2 || command & 0xf > 1 {
        return wrong(format!("version and command are {command:#04x}"));
    }
    if bytes.len() < length {
        return Ok(None);
    }
    let local = command & 0xf == 0;
    let body = &bytes[16..length];
    let (addresses, size) = match family {
        0x11 | 0x12 => (v4_addresses(body), 12),
        0x21 | 0x22 => (v6_addresses(body), 36),
        0x31 | 0x32 => (None, 216),
        0x00 => (None, 0),
        other => return wrong(format!("family and transport are {other:#04x}")),
    };
    if body.len() < size {
        return wrong(format!("{} bytes are too few for the addresses ({size})", body.len()));
    }
    let addresses = addresses.filter(|_| !local);
    let tlvs = read_tlvs(&body[size..])?;
    let has_crc = check_crc(&bytes[..length], 16 + size, &tlvs)?;
    let header = Header {
        version: 2,
        local,
        source: addresses.map(|(source, _)| source),
        destination: addresses.map(|(_, destination)| destination),
        tlvs,
        has_crc,
    };
    Ok(Some((header, length)))
}

fn v4_addresses(body: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let ip = |at: usize| <[u8; 4]>::try_from(body.get(at..at + 4)?).ok().map(Ipv4Addr::from);
    let pair = |at, port_at| Some(SocketAddr::new(ip(at)?.into(), port(body, port_at)?));
    Some((pair(0, 8)?, pair(4, 10)?))
}

fn v6_addresses(body: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let ip = |at: usize| <[u8; 16]>::try_from(body.get(at..at + 16)?).ok().map(Ipv6Addr::from);
    let pair = |at, port_at| Some(SocketAddr::new(ip(at)?.into(), port(body, port_at)?));
    Some((pair(0, 32)?, pair(16, 34)?))
}

fn port(body: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]))
}

fn read_tlvs(mut rest: &[u8]) -> Result<Vec<(u8, Vec<u8>)>, Malformed> {
    let mut tlvs = Vec::new();
    while !rest.is_empty() {
        let [kind, high, low, value @ ..] = rest else {
            return wrong(format!("{} bytes are too few for a TLV", rest.len()));
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if value.len() < length {
            return wrong(format!("TLV {kind:#04x} says {length} bytes, {} are left", value.len()));
        }
        tlvs.push((*kind, value[..length].to_vec()));
        rest = &value[length..];
    }
    Ok(tlvs)
}

/// Whether there is a CRC32C; it must be right: computed over the header with its own four
/// bytes as zeros.
fn check_crc(header: &[u8], start: usize, tlvs: &[(u8, Vec<u8>)]) -> Result<bool, Malformed> {
    let mut at = start;
    for (kind, value) in tlvs {
        if *kind == CRC32C {
            let Ok(said) = <[u8; 4]>::try_from(value.as_slice()) else {
                return wrong(format!("a CRC32C of {} bytes", value.len()));
            };
            let mut zeroed = header.to_vec();
            zeroed[at + 3..at + 7].fill(0);
            let (said, right) = (u32::from_be_bytes(said), crc32c(&zeroed));
            if said != right {
                return wrong(format!("its CRC32C is {said:#010x}, right is {right:#010x}"));
            }
            return Ok(true);
        }
        at += 3 + value.len();
    }
    Ok(false)
}

/// CRC32C (Castagnoli, reflected polynomial 0x82f63b78), bit by bit.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same from raw parts, right or wrong.
    fn v2(command: u8, family: u8, addresses: &[u8], tlvs: &[(u8, &[u8])], crc: bool) -> Vec<u8> {
        assemble(command, family, addresses.to_vec(), tlvs, crc)
    }

    const V4: [u8; 12] = [192, 168, 1, 50, 10, 0, 1, 100, 0x9c, 0x40, 0x01, 0xbb];

    #[test]
    fn the_crc_is_castagnoli() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283, "the check value of the catalogue");
    }

    #[test]
    fn version_1_is_read_and_asks_for_more() {
        let line = b"PROXY TCP4 192.168.1.50 10.0.1.100 40000 443\r\nhello";
        for end in 0..46 {
            assert_eq!(parse(&line[..end]), Ok(None), "{end} bytes");
        }
        let (header, length) = parse(line).unwrap().unwrap();
        assert_eq!((length, header.version), (46, 1));
        assert_eq!(header.source, "192.168.1.50:40000".parse().ok());
        assert_eq!(header.destination, "10.0.1.100:443".parse().ok());
        let (header, _) = parse(b"PROXY TCP6 fd00::1 fd00::2 1 2\r\n").unwrap().unwrap();
        assert_eq!(header.source, "[fd00::1]:1".parse().ok());
        let (header, length) = parse(b"PROXY UNKNOWN\r\n").unwrap().unwrap();
        assert_eq!((header.source, length), (None, 15));
    }

    #[test]
    fn version_2_is_read_with_its_tlvs() {
        let tlvs: &[(u8, &[u8])] = &[(ALPN, b"h2"), (AUTHORITY, b"a.test"), (NOOP, &[0; 5])];
        let mut bytes = v2(0x21, 0x11, &V4, tlvs, true);
        let whole = bytes.len();
        for end in 0..whole {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{end} bytes");
        }
        bytes.extend(b"hello");
        let (header, length) = parse(&bytes).unwrap().unwrap();
        assert_eq!((length, header.version, header.local, header.has_crc), (whole, 2, false, true));
        assert_eq!(header.source, "192.168.1.50:40000".parse().ok());
        assert_eq!(header.destination, "10.0.1.100:443".parse().ok());
        assert_eq!((header.alpn(), header.authority()), (Some("h2"), Some("a.test")));
        assert_eq!(header.tlv(UNIQUE_ID), None);
    }

    #[test]
    fn version_2_has_v6_and_local() {
        let mut addresses = [0; 36];
        (addresses[15], addresses[31], addresses[33], addresses[35]) = (1, 2, 3, 4);
        let (header, length) = parse(&v2(0x21, 0x21, &addresses, &[], false)).unwrap().unwrap();
        assert_eq!((header.source, length), ("[::1]:3".parse().ok(), 52));
        assert_eq!((header.destination, header.has_crc), ("[::2]:4".parse().ok(), false));
        let (header, length) = parse(&v2(0x20, 0, &[], &[], false)).unwrap().unwrap();
        assert_eq!((header.local, header.source, length), (true, None, 16));
    }

    /// The example bytes of the specification's layout, written by hand.
    #[test]
    fn what_is_written_is_the_specified_layout() {
        let (source, destination) =
            ("192.168.1.50:40000".parse().unwrap(), "10.0.1.100:443".parse().unwrap());
        let line = b"PROXY TCP4 192.168.1.50 10.0.1.100 40000 443\r\n";
        assert_eq!(write_v1(source, destination), line);
        let bytes = b"\x0d\x0a\x0d\x0a\x00\x0d\x0aQUIT\x0a\x21\x11\x00\x11\xc0\xa8\x01\x32\
            \x0a\x00\x01\x64\x9c\x40\x01\xbb\x01\x00\x02h2";
        assert_eq!(write_v2(source, destination, &[(ALPN, b"h2")], false), bytes);
        let (source, destination) = ("[::1]:3".parse().unwrap(), "[::2]:4".parse().unwrap());
        let bytes = write_v2(source, destination, &[(NOOP, &[0; 3])], true);
        let (header, length) = parse(&bytes).unwrap().unwrap();
        assert_eq!((header.source, header.destination), (Some(source), Some(destination)));
        assert_eq!((header.has_crc, length), (true, bytes.len()));
    }

    #[test]
    fn what_is_wrong_is_told_in_words() {
        let mut bad_crc = v2(0x21, 0x11, &V4, &[], true);
        bad_crc[17] ^= 1;
        let long_tlv = v2(0x21, 0x11, &[&V4[..], &[ALPN, 0, 9, 1]].concat(), &[], false);
        let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 96]].concat();
        let cases: [(Vec<u8>, &str); 8] = [
            (b"GET / HTTP/1.1\r\n".to_vec(), "GET"),
            (b"PROXY TCP4 10.0.0.1 fd00::1 1 2\r\n".to_vec(), "bad addresses"),
            (b"PROXY TCP4 10.0.0.1 10.0.0.2 01 2\r\n".to_vec(), "bad addresses"),
            (b"PROXY TCP5 1 2\r\n".to_vec(), "bad words"),
            (endless, "107"),
            (bad_crc, "CRC32C"),
            (long_tlv, "says 9 bytes, 1 are left"),
            (v2(0x21, 0x11, &V4[..8], &[], false), "too few for the addresses"),
        ];
        for (bytes, part) in cases {
            let error = parse(&bytes).unwrap_err().to_string();
            assert!(error.contains(part), "{error} lacks {part}");
        }
    }
}
