//! A pseudo-random stream of bytes that anyone with its seed can make or check at any offset,
//! and a 64-bit checksum. Fast enough for gigabytes in a debug build (bytes are copied from a
//! table, not computed); no cryptography.

use std::sync::OnceLock;

/// Bytes of the stream that stand together in the table.
const BLOCK: usize = 4096;
/// Bytes of the table: so many that two neighbours hardly ever show the same part of it.
const TABLE: usize = 1024 * 1024;

/// Pseudo-random bytes, the same in every process.
fn table() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| (0..TABLE as u64 / 8).flat_map(|word| mix(!word).to_le_bytes()).collect())
}

/// Bytes that follow from a seed: the byte at each offset is known without those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    seed: u64,
}

/// The place where received bytes differ from the expected stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Offset in the stream.
    pub offset: u64,
    /// What the stream has there.
    pub expected: u8,
    /// What was received.
    pub received: u8,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { offset, expected, received } = self;
        write!(f, "byte {offset} is {received:#04x}, expected {expected:#04x}")
    }
}

impl Stream {
    /// The stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed: mix(seed ^ 0x5bd1_e995_c0de_cafe) }
    }

    /// The bytes from `offset` to the end of its block.
    fn rest_of_block(self, offset: u64) -> &'static [u8] {
        let block = offset / BLOCK as u64;
        let place = mix(self.seed.wrapping_add(block)) % (TABLE - BLOCK) as u64;
        let start = place as usize;
        &table()[start + (offset % BLOCK as u64) as usize..start + BLOCK]
    }

    /// Fills `buffer` with the bytes from `offset` on.
    pub fn fill(self, mut offset: u64, mut buffer: &mut [u8]) {
        while !buffer.is_empty() {
            let bytes = self.rest_of_block(offset);
            let length = bytes.len().min(buffer.len());
            let (part, rest) = buffer.split_at_mut(length);
            part.copy_from_slice(&bytes[..length]);
            offset += length as u64;
            buffer = rest;
        }
    }

    /// The `length` bytes from `offset` on.
    #[must_use]
    pub fn bytes(self, offset: u64, length: usize) -> Vec<u8> {
        let mut buffer = vec![0; length];
        self.fill(offset, &mut buffer);
        buffer
    }

    /// Compares what was received from `offset` on with the stream.
    ///
    /// # Errors
    /// The first [`Difference`].
    pub fn check(self, offset: u64, received: &[u8]) -> Result<(), Difference> {
        let (mut offset, mut received) = (offset, received);
        while !received.is_empty() {
            let expected = self.rest_of_block(offset);
            let length = expected.len().min(received.len());
            let (part, rest) = received.split_at(length);
            if part != &expected[..length] {
                let at = expected.iter().zip(part).take_while(|(a, b)| a == b).count();
                let (expected, received) = (expected[at], part[at]);
                return Err(Difference { offset: offset + at as u64, expected, received });
            }
            offset += length as u64;
            received = rest;
        }
        Ok(())
    }

    /// The checksum of the first `length` bytes.
    #[must_use]
    pub fn checksum(self, length: u64) -> u64 {
        let mut sum = Checksum::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut offset = 0;
        while offset < length {
            let part = (length - offset).min(buffer.len() as u64) as usize;
            self.fill(offset, &mut buffer[..part]);
            sum.update(&buffer[..part]);
            offset += part as u64;
        }
        sum.value()
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection that spreads every bit.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A running 64-bit checksum: FNV-1a over words of eight bytes with a final mix. The value
/// depends on the bytes only, not on how they were cut into calls of [`Checksum::update`].
#[derive(Clone, Debug)]
pub struct Checksum {
    state: u64,
    /// Bytes that wait for a full word.
    rest: [u8; 8],
    length: u64,
}

impl Default for Checksum {
    fn default() -> Self {
        Self::new()
    }
}

impl Checksum {
    const PRIME: u64 = 0x0000_0100_0000_01b3;

    /// The checksum of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { state: 0xcbf2_9ce4_8422_2325, rest: [0; 8], length: 0 }
    }

    /// The checksum of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> u64 {
        let mut sum = Self::new();
        sum.update(bytes);
        sum.value()
    }

    /// Takes more bytes in.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let held = (self.length % 8) as usize;
        self.length += bytes.len() as u64;
        if held != 0 {
            let take = bytes.len().min(8 - held);
            self.rest[held..held + take].copy_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if held + take < 8 {
                return;
            }
            self.word(u64::from_le_bytes(self.rest));
        }
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        self.rest[..rest.len()].copy_from_slice(rest);
    }

    fn word(&mut self, word: u64) {
        self.state = (self.state ^ word).wrapping_mul(Self::PRIME).rotate_left(23);
    }

    /// How many bytes it has seen.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The checksum of all bytes so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        let mut state = self.state;
        for byte in &self.rest[..(self.length % 8) as usize] {
            state = (state ^ u64::from(*byte)).wrapping_mul(Self::PRIME);
        }
        mix(state ^ self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_of_the_stream_is_the_same_bytes() {
        let stream = Stream::new(7);
        let whole = stream.bytes(0, 3 * BLOCK);
        for start in (0..40).chain(BLOCK as u64 - 20..BLOCK as u64 + 20) {
            for length in (0..40).chain(BLOCK - 20..BLOCK + 20) {
                assert_eq!(stream.bytes(start, length), whole[start as usize..][..length]);
            }
        }
        assert_ne!(Stream::new(8).bytes(0, 100), whole);
    }

    #[test]
    fn a_shift_a_loss_and_a_swap_show() {
        let stream = Stream::new(2);
        let bytes = stream.bytes(0, 10 * BLOCK);
        for shift in [1, 8, 64, BLOCK as u64, 2 * BLOCK as u64] {
            let difference = stream.check(shift, &bytes[..BLOCK]).unwrap_err();
            assert!(difference.offset - shift < 4, "shifted by {shift}: {difference}");
        }
        let lost = [&bytes[..5000], &bytes[5001..]].concat();
        assert!((5000..5004).contains(&stream.check(0, &lost).unwrap_err().offset));
    }

    #[test]
    fn the_first_wrong_byte_is_named() {
        let stream = Stream::new(1);
        let mut bytes = stream.bytes(4000, 500);
        assert_eq!(stream.check(4000, &bytes), Ok(()));
        bytes[321] ^= 1;
        bytes[400] ^= 1;
        let difference = stream.check(4000, &bytes).unwrap_err();
        assert_eq!(difference.offset, 4321);
        assert_eq!(difference.expected ^ 1, difference.received);
    }

    #[test]
    fn the_checksum_does_not_depend_on_the_cuts() {
        let bytes = Stream::new(3).bytes(0, 1003);
        let whole = Checksum::of(&bytes);
        for cut in 1..50 {
            let mut sum = Checksum::new();
            for part in bytes.chunks(cut) {
                sum.update(part);
            }
            assert_eq!((sum.value(), sum.length()), (whole, 1003), "parts of {cut}");
        }
        assert_eq!(Stream::new(3).checksum(1003), whole);
    }

    #[test]
    fn every_change_shows_in_the_checksum() {
        let bytes = Stream::new(3).bytes(0, 64);
        let whole = Checksum::of(&bytes);
        let mut swapped = bytes.clone();
        swapped.swap(0, 8);
        assert_ne!(Checksum::of(&swapped), whole);
        assert_ne!(Checksum::of(&bytes[..63]), whole);
        assert_ne!(Checksum::of(&[0; 7]), Checksum::of(&[0; 8]));
        for at in 0..64 {
            let mut changed = bytes.clone();
            changed[at] ^= 0x80;
            assert_ne!(Checksum::of(&changed), whole, "byte {at}");
        }
    }
}
