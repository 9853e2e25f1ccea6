//! Writing headers, for endpoints that want to know the client.

use super::tlv::{self, AUTHORITY_MAX, TLV_HEAD, UNIQUE_ID_MAX};
use super::v2::{FIXED, SIGNATURE};
use super::{crc32c, v1};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU8;

/// The longest ALPN value that is sent, in bytes: no protocol's name is longer (RFC 7301).
pub const ALPN_MAX: usize = 255;

/// What a header of version 2 is to say.
#[derive(Clone, Copy, Debug)]
pub struct V2<'a> {
    /// The client.
    pub source: SocketAddr,
    /// What the client connected to.
    pub destination: SocketAddr,
    /// The application protocol; left out if longer than [`ALPN_MAX`].
    pub alpn: Option<&'a [u8]>,
    /// The host name that the client asked for; left out if longer than [`AUTHORITY_MAX`].
    pub authority: Option<&'a str>,
    /// A name for the connection; left out if longer than [`UNIQUE_ID_MAX`].
    pub unique_id: Option<&'a [u8]>,
    /// Whether to add a checksum over the header.
    pub crc32c: bool,
    /// Pads the header with NOOP so that its length in bytes is a multiple of this.
    pub align: Option<NonZeroU8>,
}

impl V2<'_> {
    /// A header with the two addresses and nothing else.
    #[must_use]
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            source,
            destination,
            alpn: None,
            authority: None,
            unique_id: None,
            crc32c: false,
            align: None,
        }
    }
}

/// Both addresses in one family. IPv4 mapped into IPv6 counts as IPv4; where one address is IPv4
/// and the other is not, the IPv4 one is mapped, for a header has one family only.
enum Pair {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Pair {
    fn of(source: SocketAddr, destination: SocketAddr) -> Self {
        let mapped = |address: IpAddr| match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        match (source.ip().to_canonical(), destination.ip().to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Self::V4(source, destination),
            (source, destination) => Self::V6(mapped(source), mapped(destination)),
        }
    }
}

/// Appends a header of version 1, at most 104 bytes.
///
/// Mapped addresses are written as IPv4; of two families the IPv4 address is mapped into IPv6 (so
/// both are always told, never `UNKNOWN`) and written in hexadecimal, the only form that section
/// 2.1 knows.
pub fn encode_v1(out: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr) {
    let (from, to) = (source.port(), destination.port());
    out.reserve(v1::V1_MAX);
    let written = match Pair::of(source, destination) {
        Pair::V4(source, destination) => {
            write!(out, "PROXY TCP4 {source} {destination} {from} {to}\r\n")
        }
        Pair::V6(source, destination) => {
            let (source, destination) = (hexadecimal(source), hexadecimal(destination));
            write!(out, "PROXY TCP6 {source} {destination} {from} {to}\r\n")
        }
    };
    debug_assert!(written.is_ok(), "a Vec takes every write");
}

/// `address` without the dotted form that is usual for mapped ones.
fn hexadecimal(address: Ipv6Addr) -> String {
    match (address.to_ipv4_mapped(), address.segments()) {
        (Some(_), [.., high, low]) => format!("::ffff:{high:x}:{low:x}"),
        (None, _) => address.to_string(),
    }
}

/// Appends a header of version 2 for a relayed TCP connection: checksum first (if any), then
/// ALPN, authority, unique id, padding.
///
/// Values over their limits are left out, never cut: a cut name would be another name. So a header
/// has at most 963 bytes, and [`super::parse`] accepts all of them.
pub fn encode_v2(out: &mut Vec<u8>, header: &V2<'_>) {
    let start = out.len();
    out.extend_from_slice(&SIGNATURE);
    out.push(0x21); // version 2, PROXY
    let (from, to) = (header.source.port(), header.destination.port());
    match Pair::of(header.source, header.destination) {
        Pair::V4(source, destination) => {
            out.extend_from_slice(&[0x11, 0, 0]); // IPv4, STREAM, length to come
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
        Pair::V6(source, destination) => {
            out.extend_from_slice(&[0x21, 0, 0]); // IPv6, STREAM, length to come
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
    }
    out.extend_from_slice(&from.to_be_bytes());
    out.extend_from_slice(&to.to_be_bytes());
    let checksum = header.crc32c.then(|| {
        push(out, tlv::CRC32C, &[0; 4]);
        out.len() - 4
    });
    for (kind, value, longest) in [
        (tlv::ALPN, header.alpn, ALPN_MAX),
        (tlv::AUTHORITY, header.authority.map(str::as_bytes), AUTHORITY_MAX),
        (tlv::UNIQUE_ID, header.unique_id, UNIQUE_ID_MAX),
    ] {
        if let Some(value) = value.filter(|value| value.len() <= longest) {
            push(out, kind, value);
        }
    }
    if let Some(align) = header.align {
        pad(out, start, usize::from(align.get()));
    }
    let length = length_of(out.len() - start - FIXED);
    out[start + FIXED - 2..start + FIXED].copy_from_slice(&length);
    if let Some(at) = checksum {
        let sum = crc32c(&[&out[start..]]);
        out[at..at + 4].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Appends a header of version 2 that says: the proxy itself, nobody behind it. For probes of
/// endpoints that insist on a header.
pub fn encode_v2_local(out: &mut Vec<u8>) {
    out.extend_from_slice(&SIGNATURE);
    out.extend_from_slice(&[0x20, 0, 0, 0]); // version 2, LOCAL; UNSPEC; nothing follows
}

/// Pads with one NOOP. Its own head takes three bytes, so a gap of one or two is widened by a step.
fn pad(out: &mut Vec<u8>, start: usize, align: usize) {
    let past = (out.len() - start) % align;
    if past == 0 {
        return;
    }
    let mut gap = align - past;
    while gap < TLV_HEAD {
        gap += align;
    }
    push(out, tlv::NOOP, &[0; u8::MAX as usize][..gap - TLV_HEAD]);
}

fn push(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&length_of(value.len()));
    out.extend_from_slice(value);
}

/// A length of two bytes. All values are limited far below 65,536, so it never saturates.
fn length_of(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
