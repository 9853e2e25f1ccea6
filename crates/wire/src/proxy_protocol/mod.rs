//! The PROXY protocol, versions 1 (a line of text) and 2 (binary), read and written.
//!
//! Source of the rules: "The PROXY protocol", versions 1 & 2, `doc/proxy-protocol.txt` of
//! HAProxy; section numbers below are of that document.
//!
//! Whether a header is expected is the configuration's decision, by the network that a connection
//! comes from, never a guess from its bytes (section 5).

mod crc32c;
mod encode;
mod error;
mod tlv;
mod v1;
mod v2;

pub use crc32c::crc32c;
pub use encode::{ALPN_MAX, V2, encode_v1, encode_v2, encode_v2_local};
pub use error::ProxyError;
pub use tlv::{AUTHORITY_MAX, Tlvs, UNIQUE_ID_MAX};
pub use v1::V1_MAX;
pub use v2::V2_MAX;

use std::net::SocketAddr;

/// What [`parse`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// Right so far, and not yet whole.
    Incomplete {
        /// No header that begins like this is shorter than so many bytes in all. Always more than
        /// the buffer holds and never past the header's end: it is safe to read up to here. A
        /// shorter buffer may still prove wrong, so ask again after every read.
        at_least: usize,
    },
    /// A whole header.
    Complete {
        /// What it says.
        header: Header<'a>,
        /// Its length in bytes; what follows in the buffer is the client's.
        consumed: usize,
    },
}

/// What a PROXY header says. Addresses that are IPv4 mapped into IPv6 appear as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header<'a> {
    /// The proxy speaks for itself (a health check): the connection's own addresses hold. Whatever
    /// else the header carries is discarded unread, as section 2.2 demands.
    Local,
    /// The proxy relays for somebody whose addresses it does not know or cannot express here
    /// (UNKNOWN, UNSPEC, a UNIX socket): the connection's own addresses hold.
    Unknown(Tlvs<'a>),
    /// The proxy relays for `source`.
    Proxied {
        /// The client.
        source: SocketAddr,
        /// What the client connected to.
        destination: SocketAddr,
        /// What else the proxy told; empty in version 1.
        tlvs: Tlvs<'a>,
    },
}

impl<'a> Header<'a> {
    /// What the proxy told beside the addresses; empty in version 1 and for [`Header::Local`].
    #[must_use]
    pub fn tlvs(&self) -> Tlvs<'a> {
        match self {
            Self::Local => Tlvs::default(),
            Self::Unknown(tlvs) | Self::Proxied { tlvs, .. } => *tlvs,
        }
    }
}

/// Reads the PROXY header at the start of `buf`, which holds all bytes received so far.
///
/// Each byte is judged by those before it only: feeding a header byte by byte ends in the same
/// result as feeding it whole.
///
/// # Errors
/// [`ProxyError`], at the first byte that cannot belong to a header (an address of version 1 is
/// judged when its field ends). More bytes do not heal it.
pub fn parse(buf: &[u8]) -> Result<Parsed<'_>, ProxyError> {
    match buf.first() {
        None => Ok(Parsed::Incomplete { at_least: v1::SHORTEST }),
        Some(b'P') => v1::parse(buf),
        Some(b'\r') => v2::parse(buf),
        Some(_) => Err(ProxyError::NotProxy),
    }
}
