//! What can be wrong with a PROXY header, in words for an operator's log.

use super::{AUTHORITY_MAX, UNIQUE_ID_MAX, V1_MAX, V2_MAX};
use std::fmt;

/// Why bytes are no acceptable PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyError {
    /// The bytes begin like neither version.
    NotProxy,
    /// Version 1: no end of line within [`V1_MAX`] bytes.
    V1TooLong,
    /// Version 1: neither `TCP4` nor `TCP6` nor `UNKNOWN`.
    V1Protocol,
    /// Version 1: an address that is not of the announced family, or not written as it should be.
    V1Address,
    /// Version 1: no port from 0 to 65535 in decimal without leading zeros.
    V1Port,
    /// Version 1: the line has fewer fields than it should, or more.
    V1Fields,
    /// Version 1: CR without LF, or LF without CR.
    V1LineEnd,
    /// Version 2: a version other than 2.
    Version(u8),
    /// Version 2: a command other than LOCAL and PROXY.
    Command(u8),
    /// Version 2: an address family that does not exist.
    Family(u8),
    /// Version 2: a transport protocol that does not exist.
    Transport(u8),
    /// Version 2: announces more bytes in all than [`V2_MAX`].
    TooLong(usize),
    /// Version 2: shorter than the two addresses of its family.
    AddressCut,
    /// Version 2: a TLV reaches beyond the end of the header.
    TlvCut,
    /// Version 2: a TLV that may occur once is there twice. Holds its type.
    TlvTwice(u8),
    /// Version 2: the checksum TLV is not four bytes long.
    ChecksumLength(usize),
    /// Version 2: the checksum is wrong.
    Checksum,
    /// Version 2: the unique id is longer than [`UNIQUE_ID_MAX`].
    UniqueIdTooLong(usize),
    /// Version 2: the authority is longer than [`AUTHORITY_MAX`].
    AuthorityTooLong(usize),
    /// Version 2: the authority is not UTF-8.
    AuthorityText,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotProxy => f.write_str("no PROXY header: the first bytes are something else"),
            Self::V1TooLong => {
                write!(f, "PROXY v1: the line does not end within {V1_MAX} bytes")
            }
            Self::V1Protocol => {
                f.write_str("PROXY v1: the protocol is none of TCP4, TCP6, UNKNOWN")
            }
            Self::V1Address => f.write_str("PROXY v1: an address is not one of the named protocol"),
            Self::V1Port => {
                f.write_str("PROXY v1: a port is not 0 to 65535 written without leading zeros")
            }
            Self::V1Fields => f.write_str(
                "PROXY v1: the line does not consist of two addresses and two ports, one space apart",
            ),
            Self::V1LineEnd => f.write_str("PROXY v1: the line does not end with CR LF"),
            Self::Version(version) => write!(f, "PROXY v2: the version field says {version}"),
            Self::Command(command) => {
                write!(f, "PROXY v2: the command {command} is neither LOCAL nor PROXY")
            }
            Self::Family(family) => write!(f, "PROXY v2: there is no address family {family}"),
            Self::Transport(transport) => {
                write!(f, "PROXY v2: there is no transport protocol {transport}")
            }
            Self::TooLong(length) => {
                write!(f, "PROXY v2: the header has {length} bytes, at most {V2_MAX} are accepted")
            }
            Self::AddressCut => {
                f.write_str("PROXY v2: the header is shorter than the addresses of its family")
            }
            Self::TlvCut => f.write_str("PROXY v2: a TLV reaches beyond the end of the header"),
            Self::TlvTwice(kind) => write!(f, "PROXY v2: the TLV of type {kind} is there twice"),
            Self::ChecksumLength(length) => {
                write!(f, "PROXY v2: the CRC32C has {length} bytes instead of 4")
            }
            Self::Checksum => f.write_str("PROXY v2: the CRC32C is wrong"),
            Self::UniqueIdTooLong(length) => write!(
                f,
                "PROXY v2: the unique id has {length} bytes, at most {UNIQUE_ID_MAX} are allowed"
            ),
            Self::AuthorityTooLong(length) => write!(
                f,
                "PROXY v2: the authority has {length} bytes, at most {AUTHORITY_MAX} are accepted"
            ),
            Self::AuthorityText => f.write_str("PROXY v2: the authority is not UTF-8"),
        }
    }
}

impl std::error::Error for ProxyError {}
