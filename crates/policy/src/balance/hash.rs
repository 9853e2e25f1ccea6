//! A hash that is the same on every host and in every version of the program.

use std::net::{IpAddr, SocketAddr};

/// Spreads the bits of a number: the finaliser of SplitMix64 (Steele et al., OOPSLA 2014).
pub(super) fn mix(mut number: u64) -> u64 {
    number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The hash of a client: its IPv4 address, or the /64 of its IPv6 address, in which a host takes
/// another address every day.
pub(super) fn source(address: Option<IpAddr>) -> u64 {
    match address.map(|address| address.to_canonical()) {
        None => 0,
        Some(IpAddr::V4(address)) => mix(u64::from(address.to_bits())),
        // The upper half fits.
        Some(IpAddr::V6(address)) => mix((address.to_bits() >> 64) as u64),
    }
}

/// The hash of what requests are to be told apart by: FNV-1a (Fowler, Noll, Vo), spread.
#[must_use]
pub fn hash_of(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// A stable identity of an endpoint by its address and port.
#[must_use]
pub fn identity_of(address: SocketAddr) -> u64 {
    let port = u64::from(address.port());
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => mix(u64::from(ip.to_bits()) << 16 | port),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            // Both halves fit.
            mix(mix((bits >> 64) as u64) ^ (bits as u64)) ^ mix(port)
        }
    }
}
