//! CRC32C (Castagnoli), the checksum of PROXY v2's `PP2_TYPE_CRC32C` (RFC 4960, appendix B).

/// The Castagnoli polynomial, bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The remainder of every byte, so that a byte costs one look-up.
const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut remainder = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            let carry = remainder & 1;
            remainder >>= 1;
            if carry == 1 {
                remainder ^= POLYNOMIAL;
            }
            bit += 1;
        }
        table[byte] = remainder;
        byte += 1;
    }
    table
}

/// The CRC32C of `parts`, one after the other. In parts, so that a checksum field inside a header
/// can count as zeros without a copy.
#[must_use]
pub fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut sum = u32::MAX;
    for byte in parts.iter().copied().flatten() {
        let index = (sum ^ u32::from(*byte)) & 0xff;
        sum = TABLE[index as usize] ^ (sum >> 8);
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // RFC 3720, section B.4, and the common check value.
        let rising: Vec<u8> = (0..32).collect();
        for (input, sum) in [
            (&b"123456789"[..], 0xe306_9283),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&rising, 0x46dd_794e),
            (&[], 0),
        ] {
            assert_eq!(crc32c(&[input]), sum);
        }
    }

    #[test]
    fn parts_count_as_one() {
        assert_eq!(crc32c(&[b"1234", b"", b"56789"]), crc32c(&[b"123456789"]));
    }
}
