//! Version 2: binary (section 2.2).

use super::{Header, Parsed, ProxyError, Tlvs, tlv};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 2 that is accepted, in bytes in all. The protocol's own limit is
/// 65,551, but a header is meant to fit into one segment; this leaves ample room for TLVs and
/// bounds what a connection can make us hold.
pub const V2_MAX: usize = 4096;

/// The first twelve bytes.
pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The fixed part: signature, version and command, family and transport, length.
pub(super) const FIXED: usize = 16;

/// What the byte for family and transport promises.
struct Shape {
    addresses: Addresses,
    /// Whether the transport is STREAM or DGRAM, so that the ports mean something.
    has_ports: bool,
}

#[derive(Clone, Copy)]
enum Addresses {
    Unspecified,
    V4,
    V6,
    Unix,
}

impl Addresses {
    /// Bytes that both addresses and both ports take.
    fn length(self) -> usize {
        match self {
            Self::Unspecified => 0,
            Self::V4 => 2 * 4 + 2 * 2,
            Self::V6 => 2 * 16 + 2 * 2,
            Self::Unix => 2 * 108,
        }
    }
}

impl Shape {
    fn of(byte: u8) -> Result<Self, ProxyError> {
        let addresses = match byte >> 4 {
            0 => Addresses::Unspecified,
            1 => Addresses::V4,
            2 => Addresses::V6,
            3 => Addresses::Unix,
            family => return Err(ProxyError::Family(family)),
        };
        let has_ports = match byte & 0xf {
            0 => false,
            // DGRAM over a TCP connection is odd, but its addresses are the client's all the same.
            1 | 2 => true,
            transport => return Err(ProxyError::Transport(transport)),
        };
        Ok(Self { addresses, has_ports })
    }
}

/// Reads a header that begins with CR.
pub(super) fn parse(buf: &[u8]) -> Result<Parsed<'_>, ProxyError> {
    let known = buf.len().min(SIGNATURE.len());
    if buf[..known] != SIGNATURE[..known] {
        return Err(ProxyError::NotProxy);
    }
    let Some(relayed) = buf.get(12).copied().map(is_relayed).transpose()? else {
        return Ok(Parsed::Incomplete { at_least: FIXED });
    };
    // The family of a LOCAL header is not looked at (section 2.2).
    let shape = match buf.get(13) {
        Some(byte) if relayed => Some(Shape::of(*byte)?),
        _ => None,
    };
    let addresses = shape.as_ref().map_or(0, |shape| shape.addresses.length());
    let Some(length) = buf.get(14..FIXED) else {
        return Ok(Parsed::Incomplete { at_least: FIXED + addresses });
    };
    let total = FIXED + usize::from(u16::from_be_bytes([length[0], length[1]]));
    if total > V2_MAX {
        return Err(ProxyError::TooLong(total));
    }
    if total < FIXED + addresses {
        return Err(ProxyError::AddressCut);
    }
    let Some(header) = buf.get(..total) else {
        return Ok(Parsed::Incomplete { at_least: total });
    };
    let header = match shape {
        Some(shape) => relayed_header(header, &shape)?,
        None => Header::Local,
    };
    Ok(Parsed::Complete { header, consumed: total })
}

/// Whether the byte for version and command says PROXY rather than LOCAL.
fn is_relayed(byte: u8) -> Result<bool, ProxyError> {
    match (byte >> 4, byte & 0xf) {
        (2, 0) => Ok(false),
        (2, 1) => Ok(true),
        (2, command) => Err(ProxyError::Command(command)),
        (version, _) => Err(ProxyError::Version(version)),
    }
}

fn relayed_header<'a>(header: &'a [u8], shape: &Shape) -> Result<Header<'a>, ProxyError> {
    let (block, tlvs_at) = (&header[FIXED..], FIXED + shape.addresses.length());
    if matches!(shape.addresses, Addresses::Unspecified) {
        // Senders may leave address bytes here that no family gives a length to, and they are to
        // be ignored (section 2.2): only what reads as TLVs to the last byte is taken as such.
        return match tlv::read(header, tlvs_at) {
            Err(ProxyError::TlvCut) => Ok(Header::Unknown(Tlvs::default())),
            other => other.map(Header::Unknown),
        };
    }
    let tlvs = tlv::read(header, tlvs_at)?;
    let (source, destination) = match shape.addresses {
        Addresses::V4 if shape.has_ports => (v4(block, 0, 8), v4(block, 4, 10)),
        Addresses::V6 if shape.has_ports => (v6(block, 0, 32), v6(block, 16, 34)),
        _ => return Ok(Header::Unknown(tlvs)),
    };
    Ok(Header::Proxied { source, destination, tlvs })
}

fn v4(block: &[u8], address: usize, port: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(array(block, address))), port_at(block, port))
}

fn v6(block: &[u8], address: usize, port: usize) -> SocketAddr {
    let address = Ipv6Addr::from(array::<16>(block, address));
    SocketAddr::new(IpAddr::V6(address).to_canonical(), port_at(block, port))
}

fn port_at(block: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(array(block, at))
}

/// `N` bytes of the address block, whose length the caller has checked.
fn array<const N: usize>(block: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&block[at..at + N]);
    bytes
}
