//! Frames of HTTP/2 (RFC 9113, section 4.1), written as an attacker likes them and read for what it
//! has to know.

use super::lane::Heard;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;

/// What a client says first, before its SETTINGS.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes before a payload.
const HEAD: usize = 9;
/// Bytes of a payload that are looked at.
const LOOKED_AT: usize = 8;

/// Appends a frame.
pub(super) fn frame(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    to.extend_from_slice(&length[1..]);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    to.extend_from_slice(payload);
}

/// A block of fields for `method` (an index of HPACK's static table) and `path`, in literals that
/// nobody keeps (RFC 7541, section 6.2.2).
pub(super) fn request(method: u8, path: &str) -> Vec<u8> {
    // :method, then `:scheme: http`.
    let mut block = vec![0x80 | method, 0x86];
    for (name, value) in [(4_u8, path), (1, "attacked.test")] {
        block.extend_from_slice(&[name, u8::try_from(value.len()).unwrap_or(0)]);
        block.extend_from_slice(value.as_bytes());
    }
    block
}

/// A literal field `x` with so many bytes; `kept` in the dynamic table or not.
pub(super) fn field(block: &mut Vec<u8>, length: usize, kept: bool) {
    block.extend_from_slice(&[if kept { 0x40 } else { 0x00 }, 1, b'x']);
    // An integer with a prefix of seven bits (RFC 7541, section 5.1).
    let mut rest = length;
    if rest < 127 {
        block.push(u8::try_from(rest).unwrap_or(0));
    } else {
        block.push(127);
        rest -= 127;
        while rest >= 128 {
            block.push(u8::try_from(rest % 128).unwrap_or(0) | 0x80);
            rest /= 128;
        }
        block.push(u8::try_from(rest).unwrap_or(0));
    }
    block.extend(std::iter::repeat_n(b'v', length));
}

/// Reads frames wherever they are cut.
#[derive(Debug, Default)]
pub(super) struct Reader {
    head: [u8; HEAD + LOOKED_AT],
    filled: usize,
    /// Bytes of the payload that nobody looks at.
    skip: usize,
}

impl Reader {
    /// Takes what came.
    pub(super) fn take(&mut self, mut bytes: &[u8], heard: &Heard) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let wanted = if self.filled < HEAD { HEAD } else { HEAD + self.looked_at() };
            let taken = (wanted - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled >= HEAD && self.filled == HEAD + self.looked_at() {
                self.skip = self.length() - self.looked_at();
                self.filled = 0;
                self.tell(heard);
            }
        }
    }

    fn length(&self) -> usize {
        usize::from(self.head[0]) << 16 | usize::from(self.head[1]) << 8 | usize::from(self.head[2])
    }

    fn looked_at(&self) -> usize {
        self.length().min(LOOKED_AT)
    }

    fn tell(&self, heard: &Heard) {
        let number = |at: usize| {
            u32::from_be_bytes([0, 1, 2, 3].map(|offset| self.head[at + offset])) & 0x7fff_ffff
        };
        let add = |cell: &std::cell::Cell<u64>| cell.set(cell.get() + 1);
        match (self.head[3], self.head[4] & ACK) {
            (HEADERS, _) => add(&heard.answers),
            (RST_STREAM, _) => add(&heard.resets),
            (GOAWAY, _) => add(&heard.goaways),
            (SETTINGS, 0) => heard.settings.set(heard.settings.get() + 1),
            (WINDOW_UPDATE, _) if number(5) == 0 => {
                heard.window.set(heard.window.get().saturating_add(number(HEAD)));
            }
            (WINDOW_UPDATE, _) => {
                heard.stream_window.set(heard.stream_window.get().saturating_add(number(HEAD)));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_wherever_they_are_cut() {
        let mut bytes = Vec::new();
        frame(&mut bytes, SETTINGS, 0, 0, &[]);
        frame(&mut bytes, DATA, 0, 1, &[7; 1000]);
        frame(&mut bytes, HEADERS, END_HEADERS, 1, &[0x88]);
        frame(&mut bytes, WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]);
        frame(&mut bytes, RST_STREAM, 0, 1, &[0; 4]);
        frame(&mut bytes, GOAWAY, 0, 0, &[0; 30]);
        for size in [1, 5, 9, 13, 700, 5000] {
            let (mut reader, heard) = (Reader::default(), Heard::default());
            bytes.chunks(size).for_each(|chunk| reader.take(chunk, &heard));
            assert_eq!((heard.settings.get(), heard.answers.get()), (1, 1), "{size}");
            assert_eq!((heard.resets.get(), heard.goaways.get()), (1, 1), "{size}");
            assert_eq!(heard.window.get(), 65_535 + 256, "{size}");
        }
    }

    #[test]
    fn lengths_are_integers_of_hpack() {
        let mut block = Vec::new();
        field(&mut block, 1337, true);
        // 1337 - 127 = 1210 = 9 * 128 + 58.
        assert_eq!(block[..6], [0x40, 1, b'x', 127, 58 | 0x80, 9]);
        assert_eq!(block.len(), 6 + 1337);
    }
}
