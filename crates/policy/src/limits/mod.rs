//! Limits by client network: how many requests each may make, and who is kept out for a while.
//!
//! A client is its /32, or its /64 with IPv6, which one household has for itself. What is over the
//! limit is only told unless the operator has said that it is to be refused: carriers put thousands
//! behind one address.

mod bucket;
mod outcast;
mod tally;

pub use bucket::{Buckets, Rate, Taken};
pub use outcast::{Outcasts, WINDOW as OUTCAST_WINDOW};
pub use tally::Tally;

use std::net::IpAddr;

/// A client's network: its /32, or its /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientNetwork(u64);

/// A prefix that no client has: multicast (RFC 4291, section 2.7).
const V4: u64 = 0xffff_ffff << 32;

impl From<IpAddr> for ClientNetwork {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(V4 | u64::from(address.to_bits())),
            // The upper half.
            IpAddr::V6(address) => Self(u64::try_from(address.to_bits() >> 64).unwrap_or(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_its_network() {
        let network = |text: &str| ClientNetwork::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("0.0.0.0"), network("::"));
    }
}
