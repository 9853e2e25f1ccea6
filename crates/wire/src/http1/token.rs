//! Which bytes may stand where, and the scans for the first that may not.

use super::reason::Reason;

/// Bytes of a token: methods, field names, options (RFC 9110, section 5.6.2).
pub(super) const TOKEN: u8 = 1;
/// Bytes of a path: RFC 3986, section 3.3, and the `[`, `]` and `|` that browsers leave as they are.
pub(super) const PATH: u8 = 1 << 1;
/// Bytes of a query: RFC 3986, section 3.4, and what browsers leave as it is (the query percent-encode
/// set of the URL standard is smaller than what RFC 3986 wants encoded).
pub(super) const QUERY: u8 = 1 << 2;
/// What else is printable and stands raw in some clients' paths.
pub(super) const ODD_PATH: u8 = 1 << 3;
/// The same for queries.
pub(super) const ODD_QUERY: u8 = 1 << 4;
/// Bytes of names in the DNS, with the underscore that is common inside clusters.
pub(super) const HOST: u8 = 1 << 5;
/// The further bytes of a registered name (RFC 3986, section 3.2.2), percent apart.
pub(super) const REG_NAME: u8 = 1 << 6;
/// Bytes above ASCII.
pub(super) const NON_ASCII: u8 = 1 << 7;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let class = class(byte as u8);
        table[byte] = class;
        byte += 1;
    }
    table
}

const fn class(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => TOKEN | PATH | QUERY | HOST,
        b'~' | b'!' | b'$' | b'&' | b'\'' | b'*' | b'+' => TOKEN | PATH | QUERY | REG_NAME,
        b'(' | b')' | b',' | b';' | b'=' => PATH | QUERY | REG_NAME,
        b':' | b'@' | b'/' | b'[' | b']' => PATH | QUERY,
        b'|' => TOKEN | PATH | QUERY,
        b'?' => QUERY,
        b'^' | b'`' => TOKEN | QUERY | ODD_PATH,
        b'{' | b'}' | b'\\' => QUERY | ODD_PATH,
        b'"' | b'<' | b'>' => ODD_PATH | ODD_QUERY,
        b'#' | b'%' => TOKEN,
        0x80.. => NON_ASCII,
        0..=b' ' | 0x7f => 0,
    }
}

/// Whether `byte` belongs to one of the classes in `mask`.
pub(super) fn is(byte: u8, mask: u8) -> bool {
    CLASSES[usize::from(byte)] & mask != 0
}

/// Where the run of bytes of the classes in `mask` ends that begins at `at`.
#[inline]
pub(super) fn end_of_run(bytes: &[u8], at: usize, mask: u8) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !is(*byte, mask)).unwrap_or(rest.len())
}

/// One in each byte of a word.
const EACH: u64 = u64::MAX / 255;

/// Where the token that begins at `at` ends: [`end_of_run`] for [`TOKEN`], with a short way for
/// letters, digits and hyphens, eight bytes at a time. Nearly all names consist of those.
#[inline]
pub(super) fn end_of_token(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        // Without the highest bits no sum below reaches the next byte.
        let low = word & (EACH * 0x7f);
        let within = |bytes: u64, first: u8, last: u8| {
            let from = bytes + EACH * u64::from(0x80 - first);
            let beyond = bytes + EACH * u64::from(0x7f - last);
            from & !beyond
        };
        let letters = within(low | (EACH * 0x20), b'a', b'z');
        let usual = letters | within(low, b'0', b'9') | within(low, b'-', b'-');
        let others = !(usual & !word) & (EACH * 0x80);
        if others != 0 {
            at += (others.trailing_zeros() / 8) as usize;
            match bytes.get(at) {
                Some(byte) if is(*byte, TOKEN) => at += 1,
                _ => return at,
            }
        } else {
            at += 8;
        }
    }
    end_of_run(bytes, at, TOKEN)
}

/// Where the text that begins at `at` has its first control character, HTAB among them; the length
/// of `bytes` if it has none. Eight bytes at a time: values are most of a head.
#[inline]
pub(super) fn end_of_text(bytes: &[u8], mut at: usize) -> usize {
    let (words, rest) = bytes.get(at..).unwrap_or_default().as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        // The lowest bit that is set is exact; those above it may be carried over.
        let low = word.wrapping_sub(EACH * 0x20) & !word;
        let delete = word ^ (EACH * 0x7f);
        let delete = delete.wrapping_sub(EACH) & !delete;
        let found = (low | delete) & (EACH * 0x80);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + rest.iter().position(u8::is_ascii_control).unwrap_or(rest.len())
}

/// Whether `text` is a token.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is(*byte, TOKEN))
}

/// The first control character in a field's value, HTAB apart, as a reason.
pub(super) fn fault(value: &[u8]) -> Option<Reason> {
    let bad = value.iter().find(|byte| byte.is_ascii_control() && **byte != b'\t');
    bad.map(|byte| Reason::of_control(*byte))
}

/// `text` without spaces and tabs around it (OWS of RFC 9110, section 5.6.3).
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// The elements of a list (RFC 9110, section 5.6.1), empty ones too. Nothing that is read this way
/// has quoted strings.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_ends_where_a_plain_search_says() {
        for special in 0..=255u8 {
            for length in 0..20 {
                for place in 0..=length {
                    for above in [b'a', 0x80, 0xff, 0x20, 0x7e, 0x9f] {
                        let mut text = vec![above; length];
                        if let Some(byte) = text.get_mut(place) {
                            *byte = special;
                        }
                        let plain = text.iter().position(u8::is_ascii_control).unwrap_or(length);
                        assert_eq!(end_of_text(&text, 0), plain, "{text:?}");
                    }
                }
            }
        }
        assert_eq!(end_of_text(b"abc", 7), 7);
    }

    #[test]
    fn the_token_ends_where_a_plain_search_says() {
        for special in 0..=255u8 {
            for length in 0..20 {
                for place in 0..=length {
                    for usual in *b"azAZ09-_" {
                        let mut text = vec![usual; length];
                        if let Some(byte) = text.get_mut(place) {
                            *byte = special;
                        }
                        let plain = text.iter().position(|byte| !is(*byte, TOKEN));
                        assert_eq!(end_of_token(&text, 0), plain.unwrap_or(length), "{text:?}");
                    }
                }
            }
        }
        assert_eq!(end_of_token(b"abc", 7), 7);
    }

    #[test]
    fn tokens_are_those_of_the_rfc() {
        for byte in 0..=255u8 {
            let wanted = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_token(&[byte]), wanted, "{byte}");
        }
    }

    #[test]
    fn paths_and_queries_hold_what_rfc_3986_lets_them() {
        for byte in b'!'..=b'~' {
            let pchar = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
            assert_eq!(is(byte, PATH), pchar || b"[]|".contains(&byte), "{byte}");
            let query = pchar || byte == b'?';
            assert_eq!(is(byte, QUERY), query || b"[]|^`{}\\".contains(&byte), "{byte}");
        }
    }
}
