//! Hash maps for keys that no client can choose, such as ids: they need no hash that withstands whoever
//! picks keys, and one is looked up for every request.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by keys that no client can choose.
pub type OwnMap<K, V> = HashMap<K, V, BuildHasherDefault<OwnHasher>>;

/// Mixes numbers: each is folded in by a multiplication, whose upper half is what all bits went into.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnHasher(u64);

/// The fraction of the golden ratio, whose multiples lie as evenly as can be (Knuth, The Art of Computer
/// Programming, section 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for OwnHasher {
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number ^ GOLDEN) * u128::from(GOLDEN);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    #[test]
    fn neighbours_fall_apart_in_the_bits_that_a_map_uses() {
        let hash = BuildHasherDefault::<OwnHasher>::default();
        let of = |number: u64| hash.hash_one(number);
        let low: HashSet<_> = (0..1024).map(|number| of(number) % 4096).collect();
        let high: HashSet<_> = (0..1024).map(|number| of(number) >> 57).collect();
        assert!(low.len() > 850, "{} of 1024 places", low.len());
        assert_eq!(high.len(), 128, "all tags");
        assert_ne!(hash.hash_one((1_u64, 2_u64)), hash.hash_one((2_u64, 1_u64)));
    }

    #[test]
    fn addresses_are_told_apart() {
        let hash = BuildHasherDefault::<OwnHasher>::default();
        let addresses = (0..=255).flat_map(|last| (80..84).map(move |port| (last, port)));
        let hashes: HashSet<_> = addresses
            .map(|(last, port)| std::net::SocketAddr::from(([10, 0, 1, last], port)))
            .map(|address| hash.hash_one(address))
            .collect();
        assert_eq!(hashes.len(), 1024);
    }
}
