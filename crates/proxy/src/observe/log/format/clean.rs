//! What no line may hold: characters that end a line for one reader or another, steer a terminal,
//! or turn the direction of what follows.

use serde_json::ser::Formatter;
use std::io::{self, Write};

/// Whether the character must not stand in a line as it is.
fn is_unsafe(c: char) -> bool {
    // Cc: C0, DEL and C1 (NEL among them). Zl, Zp. Then what turns the direction of writing.
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether the text is of visible ASCII and blanks alone.
pub(super) fn is_plain(text: &str) -> bool {
    // No early end: the processor looks at many bytes at once.
    text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'))
}

/// Whether the text stands in JSON as it is.
pub(super) fn is_plain_json(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| plain & PLAIN_JSON[usize::from(byte)])
}

/// Bytes that stand in JSON as they are. Most texts are too short to look at many bytes at once.
static PLAIN_JSON: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        plain[byte as usize] = byte != b'"' && byte != b'\\';
        byte += 1;
    }
    plain
};

/// Writes `text`; what must not stand there as `\u{...}`.
pub(super) fn write(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(is_unsafe) {
        let (before, after) = rest.split_at(at);
        out.extend_from_slice(before.as_bytes());
        let mut after = after.chars();
        let escaped = after.next().into_iter().flat_map(char::escape_unicode);
        out.extend(escaped.map(|c| c as u8));
        rest = after.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Compact JSON in which such characters are escaped, also those that JSON itself lets stand.
pub(super) struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Nearly everything is.
        if is_plain(fragment) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(is_unsafe) {
            let (before, after) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut after = after.chars();
            // All of them are in the basic plane: four digits do.
            if let Some(c) = after.next() {
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
            rest = after.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_line_or_steers_a_terminal_is_escaped() {
        let mut out = Vec::new();
        write(&mut out, "a\nb\u{1b}[2J\u{85}\u{2028}\u{202e}é\u{7f}");
        let shown = r"a\u{a}b\u{1b}[2J\u{85}\u{2028}\u{202e}é\u{7f}";
        assert_eq!(String::from_utf8(out).unwrap(), shown);
    }
}
