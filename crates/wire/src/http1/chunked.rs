//! The chunked coding (RFC 9112, section 7.1): a state machine over slices that says which bytes
//! are the body's, without copying them, and the heads of chunks to write.

use super::lenient::Lenient;
use super::limits::{EXTENSIONS_MAX, Limits};
use super::lines::Lines;
use super::reason::Reason;
use super::token::{TOKEN, is};
use super::trailers::Trailers;
use std::num::NonZeroU64;
use std::ops::Range;

/// The most digits of a chunk's size.
const DIGITS_MAX: u8 = 16;

/// What is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Size,
    Extension(Extension),
    /// The LF behind a chunk's head.
    HeadLf,
    Data,
    /// The CR, then the LF, behind a chunk's data.
    EndCr,
    EndLf,
    Trailers,
    Ended,
    Refused(Reason),
}

/// Where in an extension: `;name`, `;name=token` or `;name="text"`. Blanks around its parts, which
/// RFC 9112 calls bad, are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    NameStart,
    Name,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    QuotedEnd,
}

/// What [`Chunked::decode`] found in its input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// How many bytes of the input are done with; go on behind them.
    pub used: usize,
    /// The bytes of the input that are the body's, at the end of those that are used; may be none.
    pub data: Range<usize>,
    /// Whether that was the whole body with its trailers.
    pub ended: bool,
}

/// Reads one chunked body.
#[derive(Clone, Debug)]
pub struct Chunked {
    next: Next,
    /// The chunk's size while it is read, then the bytes of it that are still to come.
    left: u64,
    digits: u8,
    /// Bytes of extensions passed over so far.
    extensions: u32,
    /// Where in the last input reading ended.
    at: usize,
    lines: Lines,
    limits: Limits,
    lenient: Lenient,
}

impl Chunked {
    /// At the body's first byte. `limits` are for its trailers.
    #[must_use]
    pub fn new(limits: Limits, lenient: Lenient) -> Self {
        let lines = Lines::default();
        Self { next: Next::Size, left: 0, digits: 0, extensions: 0, at: 0, lines, limits, lenient }
    }

    /// Bytes of the chunk at hand that are still to come.
    #[must_use]
    pub fn left_in_chunk(&self) -> u64 {
        if self.next == Next::Data { self.left } else { 0 }
    }

    /// Where in the last input reading ended: where the trouble is, in one that is refused. In trailers
    /// it is where those of this input begin.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Goes on with `input`, the bytes behind those that are used up. Ends at the end of a piece of
    /// data, of the body, or of the input. Trailers are added to `trailers`.
    ///
    /// # Errors
    /// [`Reason`]; more bytes do not heal it.
    pub fn decode(&mut self, input: &[u8], trailers: &mut Trailers) -> Result<Decoded, Reason> {
        let decoded = self.run(input, trailers);
        if let Err(reason) = decoded {
            self.next = Next::Refused(reason);
        }
        decoded
    }

    fn run(&mut self, input: &[u8], trailers: &mut Trailers) -> Result<Decoded, Reason> {
        let mut at = 0;
        while let Some(byte) = input.get(at) {
            self.at = at;
            match self.next {
                Next::Data => {
                    let there = input.len() - at;
                    let taken = usize::try_from(self.left).map_or(there, |left| left.min(there));
                    self.left -= taken as u64;
                    if self.left == 0 {
                        self.next = Next::EndCr;
                    }
                    let used = at + taken;
                    return Ok(Decoded { used, data: at..used, ended: false });
                }
                Next::Trailers => {
                    let rest = input.get(at..).unwrap_or_default();
                    let read = trailers.read(&mut self.lines, rest, &self.limits, self.lenient);
                    let (used, ended) = read?;
                    if ended {
                        self.next = Next::Ended;
                    }
                    return Ok(done(at + used, ended));
                }
                Next::Ended => return Ok(done(at, true)),
                Next::Refused(reason) => return Err(reason),
                _ => self.next = self.step(*byte)?,
            }
            at += 1;
        }
        Ok(done(at, self.next == Next::Ended))
    }

    /// One byte of a chunk's head or end.
    fn step(&mut self, byte: u8) -> Result<Next, Reason> {
        match (self.next, byte) {
            (Next::Size, b'\r') if self.digits > 0 => Ok(Next::HeadLf),
            (Next::Size, b';') if self.digits > 0 => {
                self.extension(byte, Next::Extension(Extension::NameStart))
            }
            (Next::Size, _) => self.digit(byte),
            (Next::Extension(state), _) => {
                let next = state.after(byte).ok_or(Reason::ChunkExtension)?;
                self.extension(byte, next)
            }
            (Next::HeadLf, b'\n') => {
                self.digits = 0;
                Ok(if self.left == 0 { Next::Trailers } else { Next::Data })
            }
            (Next::HeadLf, _) => Err(Reason::ChunkSize),
            (Next::EndCr, b'\r') => Ok(Next::EndLf),
            (Next::EndLf, b'\n') => Ok(Next::Size),
            _ => Err(Reason::ChunkEnd),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<Next, Reason> {
        let digit = char::from(byte).to_digit(16).ok_or(Reason::ChunkSize)?;
        self.digits += 1;
        // Four bits each: sixteen digits fit, and of those the first must not reach the sign bit.
        if self.digits > DIGITS_MAX || self.left >> 59 != 0 {
            return Err(Reason::ChunkTooLarge);
        }
        self.left = self.left << 4 | u64::from(digit);
        Ok(Next::Size)
    }

    /// Extensions are passed over: nobody here understands one (RFC 9112, section 7.1.1).
    fn extension(&mut self, byte: u8, next: Next) -> Result<Next, Reason> {
        if byte != b'\r' {
            self.extensions += 1;
        }
        if self.extensions > EXTENSIONS_MAX {
            return Err(Reason::ChunkExtensionTooLong);
        }
        Ok(next)
    }
}

const fn done(used: usize, ended: bool) -> Decoded {
    Decoded { used, data: used..used, ended }
}

impl Extension {
    /// Where `byte` leads; `None` if it cannot stand here.
    fn after(self, byte: u8) -> Option<Next> {
        let is_text = !byte.is_ascii_control() || byte == b'\t';
        let next = match (self, byte) {
            (Self::Name | Self::Value | Self::QuotedEnd, b'\r') => return Some(Next::HeadLf),
            (Self::Name | Self::Value | Self::QuotedEnd, b';') => Self::NameStart,
            (Self::Name, b'=') => Self::ValueStart,
            (Self::NameStart | Self::Name, _) if is(byte, TOKEN) => Self::Name,
            (Self::ValueStart, b'"') => Self::Quoted,
            (Self::ValueStart | Self::Value, _) if is(byte, TOKEN) => Self::Value,
            (Self::Quoted, b'"') => Self::QuotedEnd,
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted | Self::Escaped, _) if is_text => Self::Quoted,
            _ => return None,
        };
        Some(Next::Extension(next))
    }
}

/// The head of a chunk to write: its size and CR LF. Behind the data belongs [`CHUNK_END`].
#[derive(Clone, Copy, Debug)]
pub struct ChunkHead {
    bytes: [u8; 18],
    start: u8,
}

/// What ends a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

impl ChunkHead {
    /// For a chunk of `length` bytes. The last chunk, which has none, is
    /// [`super::write_last_chunk`]'s.
    #[must_use]
    pub fn new(length: NonZeroU64) -> Self {
        let mut head = Self { bytes: *b"0000000000000000\r\n", start: 16 };
        let mut rest = length.get();
        while rest > 0 && head.start > 0 {
            head.start -= 1;
            head.bytes[usize::from(head.start)] = b"0123456789abcdef"[(rest & 15) as usize];
            rest >>= 4;
        }
        head
    }

    /// The bytes to write.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(usize::from(self.start)..).unwrap_or_default()
    }
}
