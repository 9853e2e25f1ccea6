//! The Huffman code of RFC 7541, appendix B.
//!
//! The code is canonical: codes of one length follow each other in the order of their symbols, and
//! the shorter come first. So the lengths say all.

use std::sync::OnceLock;

/// The symbol that stands for the end, and must never be written.
pub const END: usize = 256;

/// The bits of each symbol's code.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The code of each symbol.
fn codes() -> &'static [u32; 257] {
    static CODES: OnceLock<[u32; 257]> = OnceLock::new();
    CODES.get_or_init(|| {
        let mut symbols: Vec<usize> = (0..LENGTHS.len()).collect();
        symbols.sort_by_key(|symbol| (LENGTHS[*symbol], *symbol));
        let (mut codes, mut next, mut length) = ([0; 257], 0_u32, 0);
        for symbol in symbols {
            next <<= LENGTHS[symbol] - length;
            length = LENGTHS[symbol];
            codes[symbol] = next;
            next += 1;
        }
        codes
    })
}

/// Bits on their way into bytes.
#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    held: u64,
    count: u8,
}

impl Bits {
    fn put(&mut self, bits: u32, count: u8) {
        self.held = self.held << count | u64::from(bits);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.held >> self.count & 0xff) as u8);
        }
    }
}

/// Writes `bytes`, filled up with the first bits of [`END`].
#[must_use]
pub fn encode(bytes: &[u8]) -> Vec<u8> {
    encode_symbols(bytes.iter().map(|byte| usize::from(*byte)))
}

/// Writes symbols, [`END`] among them if it is asked for: nobody may take that.
///
/// # Panics
/// There is no such symbol.
pub fn encode_symbols(symbols: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut bits = Bits::default();
    for symbol in symbols {
        bits.put(codes()[symbol], LENGTHS[symbol]);
    }
    let missing = (8 - bits.count % 8) % 8;
    bits.put((1 << missing) - 1, missing);
    bits.bytes
}

/// Reads what [`encode`] writes.
///
/// # Errors
/// What RFC 7541, section 5.2, calls a decoding error, in words.
pub fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (mut text, mut code, mut length) = (Vec::new(), 0_u32, 0_u8);
    for byte in bytes {
        for bit in (0..8).rev() {
            code = code << 1 | u32::from(byte >> bit & 1);
            length += 1;
            let found = (0..LENGTHS.len())
                .find(|symbol| LENGTHS[*symbol] == length && codes()[*symbol] == code);
            match found {
                None if length >= 30 => return Err("no such Huffman code".into()),
                None => continue,
                Some(END) => return Err("the end symbol is written".into()),
                Some(symbol) => text.push(u8::try_from(symbol).unwrap_or_default()),
            }
            (code, length) = (0, 0);
        }
    }
    if length > 7 {
        return Err(format!("{length} bits of padding"));
    }
    if code != (1 << length) - 1 {
        return Err("the padding is not of ones".into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        // RFC 7541, appendix C.4 and C.6.
        let examples: [(&str, &[u8]); 3] = [
            (
                "www.example.com",
                &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff],
            ),
            ("no-cache", &[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]),
            ("302", &[0x64, 0x02]),
        ];
        for (text, bytes) in examples {
            assert_eq!(encode(text.as_bytes()), bytes, "{text}");
            assert_eq!(decode(bytes), Ok(text.as_bytes().to_vec()));
        }
    }

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Ok(all));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        assert!(decode(&encode_symbols([END])).is_err());
        assert!(decode(&[0xff]).is_err(), "8 bits of padding");
        // `0` (00000) and three zeros.
        assert!(decode(&[0]).is_err(), "the padding is not of ones");
    }
}
