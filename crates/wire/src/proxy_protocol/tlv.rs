//! Type, length, value: what version 2 can carry beside the addresses (sections 2.2 to 2.2.8).

use super::ProxyError;
use super::crc32c::crc32c;

/// The longest unique id, in bytes (section 2.2.5).
pub const UNIQUE_ID_MAX: usize = 128;

/// The longest authority, in bytes: HAProxy's own limit; a DNS name has at most 253.
pub const AUTHORITY_MAX: usize = 255;

/// Types (section 2.2).
pub(super) const ALPN: u8 = 0x01;
pub(super) const AUTHORITY: u8 = 0x02;
pub(super) const CRC32C: u8 = 0x03;
pub(super) const NOOP: u8 = 0x04;
pub(super) const UNIQUE_ID: u8 = 0x05;

/// Type and length in front of a value, in bytes.
pub(super) const TLV_HEAD: usize = 3;

/// What a header of version 2 told beside the addresses. Types that are not here (padding, TLS
/// details, namespaces, private ones) are passed over unread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tlvs<'a> {
    /// The application protocol, such as `h2`, as the sender has it.
    pub alpn: Option<&'a [u8]>,
    /// The host name that the client asked for.
    pub authority: Option<&'a str>,
    /// The name that the sender gave the connection: any bytes, at most [`UNIQUE_ID_MAX`].
    pub unique_id: Option<&'a [u8]>,
}

/// Reads the TLVs of a whole `header` from offset `at` to its end, and verifies its checksum if it
/// has one.
pub(super) fn read(header: &[u8], mut at: usize) -> Result<Tlvs<'_>, ProxyError> {
    let mut tlvs = Tlvs::default();
    let mut checksum_at = None;
    while at < header.len() {
        let head = header.get(at..at + TLV_HEAD).ok_or(ProxyError::TlvCut)?;
        let start = at + TLV_HEAD;
        let end = start + usize::from(u16::from_be_bytes([head[1], head[2]]));
        let value = header.get(start..end).ok_or(ProxyError::TlvCut)?;
        match head[0] {
            ALPN => once(ALPN, &mut tlvs.alpn, value)?,
            AUTHORITY => once(AUTHORITY, &mut tlvs.authority, authority(value)?)?,
            UNIQUE_ID => once(UNIQUE_ID, &mut tlvs.unique_id, unique_id(value)?)?,
            CRC32C if value.len() == 4 => once(CRC32C, &mut checksum_at, start)?,
            CRC32C => return Err(ProxyError::ChecksumLength(value.len())),
            _ => {}
        }
        at = end;
    }
    match checksum_at {
        Some(at) => verify(header, at).map(|()| tlvs),
        None => Ok(tlvs),
    }
}

/// Two values of one kind would leave open which one counts.
fn once<T>(kind: u8, place: &mut Option<T>, value: T) -> Result<(), ProxyError> {
    match place.replace(value) {
        Some(_) => Err(ProxyError::TlvTwice(kind)),
        None => Ok(()),
    }
}

fn authority(value: &[u8]) -> Result<&str, ProxyError> {
    if value.len() > AUTHORITY_MAX {
        return Err(ProxyError::AuthorityTooLong(value.len()));
    }
    str::from_utf8(value).map_err(|_| ProxyError::AuthorityText)
}

fn unique_id(value: &[u8]) -> Result<&[u8], ProxyError> {
    if value.len() > UNIQUE_ID_MAX {
        return Err(ProxyError::UniqueIdTooLong(value.len()));
    }
    Ok(value)
}

/// The checksum covers the whole header with its own four bytes as zeros (section 2.2.3).
fn verify(header: &[u8], at: usize) -> Result<(), ProxyError> {
    let (before, from) = header.split_at(at);
    let (stored, after) = from.split_at(4);
    if crc32c(&[before, &[0; 4], after]).to_be_bytes() == stored {
        Ok(())
    } else {
        Err(ProxyError::Checksum)
    }
}
