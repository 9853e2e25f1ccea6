//! The records that a ClientHello comes in (RFC 8446, section 5.1), without looking into it.

use super::{HELLO_MAX, Stop};
use std::borrow::Cow;

/// Content type, version, length.
const RECORD_HEAD: usize = 5;

/// Handshake type and length.
const MESSAGE_HEAD: usize = 4;

/// The shortest body: version, random, no session id, one cipher suite, one compression method,
/// no extensions.
const BODY_MIN: usize = 2 + 32 + 1 + 2 + 2 + 1 + 1;

/// The longest payload of a plaintext record, in bytes.
const PAYLOAD_MAX: usize = 1 << 14;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// A whole hello's records.
pub(super) struct Records {
    /// Bytes of all of them.
    pub(super) wire_len: usize,
    /// Bytes of the handshake message in them, with its head.
    message_len: usize,
}

impl Records {
    /// The message without its head: borrowed from `buf` if it lies in one record.
    pub(super) fn body<'a>(&self, buf: &'a [u8]) -> Cow<'a, [u8]> {
        if self.wire_len == RECORD_HEAD + self.message_len {
            return Cow::Borrowed(&buf[RECORD_HEAD + MESSAGE_HEAD..self.wire_len]);
        }
        let mut message = Vec::with_capacity(self.message_len);
        let mut at = 0;
        while at < self.wire_len {
            let length = usize::from(u16::from_be_bytes([buf[at + 3], buf[at + 4]]));
            at += RECORD_HEAD;
            message.extend_from_slice(&buf[at..at + length]);
            at += length;
        }
        message.drain(..MESSAGE_HEAD);
        Cow::Owned(message)
    }
}

/// Goes from record to record until the handshake message is whole.
pub(super) fn walk(buf: &[u8]) -> Result<Records, Stop> {
    let mut head = Head::default();
    let mut at = 0; // where the next record begins
    let mut covered = 0; // bytes of the message in the records before that
    while head.need() > covered || head.length.is_none() {
        let header = &buf[at..buf.len().min(at + RECORD_HEAD)];
        let Some(length) = record(header, at == 0)? else {
            return Err(Stop::Incomplete { at_least: end_of(at, covered, &head) });
        };
        let start = at + RECORD_HEAD;
        covered += length;
        at = start + length;
        check(at, covered, &head)?;
        if head.take(&buf[start..buf.len().min(at)])? {
            check(at, covered, &head)?;
        }
        if at > buf.len() {
            return Err(Stop::Incomplete { at_least: end_of(at, covered, &head) });
        }
    }
    Ok(Records { wire_len: at, message_len: covered })
}

/// Where the hello ends at the earliest, if the records up to offset `at` hold `covered` bytes.
fn end_of(at: usize, covered: usize, head: &Head) -> usize {
    match head.need().saturating_sub(covered) {
        0 => at,
        missing => at + RECORD_HEAD + missing,
    }
}

fn check(at: usize, covered: usize, head: &Head) -> Result<(), Stop> {
    if head.length.is_some() && covered > head.need() {
        return Err(Stop::Malformed("bytes follow the ClientHello in its record"));
    }
    if end_of(at, covered, head) > HELLO_MAX {
        return Err(Stop::TooLarge);
    }
    Ok(())
}

/// The payload's length in bytes, or `None` while `header` is not whole.
fn record(header: &[u8], first: bool) -> Result<Option<usize>, Stop> {
    let foreign = |why| if first { Stop::NotTls } else { Stop::Malformed(why) };
    if header.first().is_some_and(|kind| *kind != HANDSHAKE) {
        return Err(foreign("another kind of record inside the ClientHello"));
    }
    // The minor version has no meaning: 1 and 3 are usual (RFC 8446, section 5.1).
    if header.get(1).is_some_and(|major| *major != 3) {
        return Err(foreign("a record inside the ClientHello has a version that is not TLS"));
    }
    let Some(length) = header.get(3..RECORD_HEAD) else { return Ok(None) };
    match usize::from(u16::from_be_bytes([length[0], length[1]])) {
        0 => Err(Stop::Malformed("a record without content")),
        length if length > PAYLOAD_MAX => Err(Stop::Malformed("a record longer than TLS allows")),
        length => Ok(Some(length)),
    }
}

/// The message's head, which may itself lie in several records.
#[derive(Default)]
struct Head {
    bytes: [u8; MESSAGE_HEAD],
    known: usize,
    /// Length of the body, once the head is whole.
    length: Option<usize>,
}

impl Head {
    /// Bytes that the message has, head and body; the least possible while that is not known.
    fn need(&self) -> usize {
        MESSAGE_HEAD + self.length.unwrap_or(BODY_MIN)
    }

    /// Takes what it still lacks from the front of `payload`; `true` when that made it whole.
    fn take(&mut self, payload: &[u8]) -> Result<bool, Stop> {
        if self.length.is_some() {
            return Ok(false);
        }
        for byte in payload.iter().take(MESSAGE_HEAD - self.known) {
            self.bytes[self.known] = *byte;
            self.known += 1;
        }
        if self.known > 0 && self.bytes[0] != CLIENT_HELLO {
            return Err(Stop::Malformed("the first handshake message is no ClientHello"));
        }
        if self.known < MESSAGE_HEAD {
            return Ok(false);
        }
        let [_, high, middle, low] = self.bytes;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if length < BODY_MIN {
            return Err(Stop::Malformed("the ClientHello is too short"));
        }
        self.length = Some(length);
        Ok(true)
    }
}
