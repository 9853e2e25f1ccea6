//! The generator's HTTP/2 (RFC 9113) as far as it goes: the same GET on many streams of a connection,
//! each followed by the next one as soon as its answer is complete. It reads no header fields but the
//! status, which every candidate writes first.

use super::message::request;
use super::tally::Tally;
use crate::case::Http;
use std::collections::HashMap;
use std::time::Instant;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Types and flags of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// Bytes before a payload.
const HEAD: usize = 9;
/// The window that is given at first, and from which use on it is given again.
const WINDOW: u32 = 0x7fff_ffff;
const DEFAULT_WINDOW: u32 = 65_535;
const GIVE_AGAIN: u32 = 1 << 30;
/// `:status: 200` in the static table, as a whole field (RFC 7541, section 6.1).
const STATUS_200: u8 = 0x88;

/// The block of header fields of the first request of a connection, which puts what it can into the
/// table, and that of all others, which name it there.
pub struct Blocks {
    first: Vec<u8>,
    again: Vec<u8>,
}

impl Blocks {
    /// For these messages.
    #[must_use]
    pub fn new(http: Http) -> Self {
        let scheme = if http.tls { 0x87 } else { 0x86 };
        // `:method: GET` and the scheme have places of their own.
        let (mut first, mut again) = (vec![0x82, scheme], vec![0x82, scheme]);
        let text = String::from_utf8_lossy(&request(http)).into_owned();
        let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
        let path = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or("/");
        let mut kept = 0_u8;
        let mut keep = |name: Result<u8, &str>, value: &str| {
            match name {
                Ok(index) => first.push(0x40 | index),
                Err(name) => {
                    first.push(0x40);
                    text_of(&mut first, &name.to_ascii_lowercase());
                }
            }
            text_of(&mut first, value);
            kept += 1;
        };
        keep(Ok(4), path);
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            keep(if name == "Host" { Ok(1) } else { Err(name) }, value);
        }
        // The newest field is the first of the table; the last that are kept are named first.
        again.extend((0..kept).rev().map(|place| 0x80 | (62 + place)));
        Self { first, again }
    }
}

/// A text of HPACK, as it is (RFC 7541, section 5.2).
fn text_of(block: &mut Vec<u8>, text: &str) {
    let length = text.len().min(126);
    block.push(u8::try_from(length).unwrap_or(0));
    block.extend_from_slice(&text.as_bytes()[..length]);
}

fn frame(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    to.extend_from_slice(&length[1..]);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    to.extend_from_slice(payload);
}

/// One connection.
pub struct Frames {
    http: Http,
    /// What came and is no whole frame.
    incoming: Vec<u8>,
    /// What is to be sent.
    pub said: Vec<u8>,
    next: u32,
    /// Requests under way: when they began, and the bytes of the body that have come.
    open: HashMap<u32, (Instant, usize)>,
    /// Of the connection's window.
    used: u32,
}

impl Frames {
    /// Begins with as many requests as there are to be at once.
    #[must_use]
    pub fn new(http: Http, blocks: &Blocks) -> Self {
        let mut said = PREFACE.to_vec();
        let [a, b, c, d] = WINDOW.to_be_bytes();
        // No pushes, and the window of streams.
        frame(&mut said, SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 0, 0, 4, a, b, c, d]);
        frame(&mut said, WINDOW_UPDATE, 0, 0, &(WINDOW - DEFAULT_WINDOW).to_be_bytes());
        let (incoming, open) = (Vec::new(), HashMap::new());
        let mut frames = Self { http, incoming, said, next: 1, open, used: 0 };
        for _ in 0..http.streams {
            frames.ask(blocks);
        }
        frames
    }

    fn ask(&mut self, blocks: &Blocks) {
        let block = if self.next == 1 { &blocks.first } else { &blocks.again };
        frame(&mut self.said, HEADERS, END_HEADERS | END_STREAM, self.next, block);
        self.open.insert(self.next, (Instant::now(), 0));
        self.next += 2;
    }

    /// Takes what has come; without `blocks` no request follows an answer.
    ///
    /// # Errors
    /// Something that is no answer to what was asked, in words.
    pub fn take(
        &mut self,
        bytes: &[u8],
        blocks: Option<&Blocks>,
        tally: &mut Tally,
    ) -> Result<(), String> {
        self.incoming.extend_from_slice(bytes);
        let incoming = std::mem::take(&mut self.incoming);
        let mut rest = &incoming[..];
        while let Some((head, after)) = rest.split_at_checked(HEAD) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, after)) = after.split_at_checked(length) else { break };
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            if self.one(head[3], head[4], stream, payload)? {
                let (begun, body) = self.open.remove(&stream).unwrap_or((Instant::now(), 0));
                if body != self.http.body {
                    return Err(format!("{body} bytes, not the length that was asked for"));
                }
                tally.add_timed(begun, Instant::now());
                if let Some(blocks) = blocks {
                    self.ask(blocks);
                }
            }
            rest = after;
        }
        self.incoming.extend_from_slice(rest);
        Ok(())
    }

    /// One frame; whether it ends an answer.
    fn one(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<bool, String> {
        match kind {
            HEADERS => {
                // The size of the table may be told before the first field.
                let fields = payload.iter().find(|byte| **byte & 0xe0 != 0x20);
                if fields != Some(&STATUS_200) || !self.open.contains_key(&stream) {
                    return Err(format!("not the status 200: {}", payload.escape_ascii()));
                }
            }
            DATA => {
                let Some((_, body)) = self.open.get_mut(&stream) else {
                    return Err("a body that nobody has asked for".into());
                };
                *body += payload.len();
                self.used += u32::try_from(payload.len()).unwrap_or(0);
                if self.used >= GIVE_AGAIN {
                    frame(&mut self.said, WINDOW_UPDATE, 0, 0, &self.used.to_be_bytes());
                    self.used = 0;
                }
            }
            SETTINGS if flags & ACK == 0 => frame(&mut self.said, SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => frame(&mut self.said, PING, ACK, 0, payload),
            RST_STREAM | GOAWAY => {
                let what = if kind == GOAWAY { "GOAWAY" } else { "a stream reset" };
                return Err(format!("{what}: {}", payload.escape_ascii()));
            }
            _ => {}
        }
        Ok(matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: Http = Http { fields: 4, body: 3, fresh: false, tls: false, streams: 2 };

    fn answer(stream: u32, block: &[u8], body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame(&mut bytes, HEADERS, END_HEADERS, stream, block);
        frame(&mut bytes, DATA, END_STREAM, stream, body);
        bytes
    }

    #[test]
    fn each_answer_is_followed_by_a_request_wherever_it_is_cut() {
        let blocks = Blocks::new(HTTP);
        let mut bytes = Vec::new();
        frame(&mut bytes, SETTINGS, 0, 0, &[]);
        bytes.extend(answer(1, &[0x20, STATUS_200], b"abc"));
        bytes.extend(answer(3, &[STATUS_200], b"abc"));
        for size in [1, 8, 9, 20, bytes.len()] {
            let (mut frames, mut tally) = (Frames::new(HTTP, &blocks), Tally::new());
            frames.said.clear();
            for piece in bytes.chunks(size) {
                frames.take(piece, Some(&blocks), &mut tally).expect("the right answers");
            }
            assert_eq!(tally.mark().count, 2);
            let mut wanted = Vec::new();
            frame(&mut wanted, SETTINGS, ACK, 0, &[]);
            frame(&mut wanted, HEADERS, END_HEADERS | END_STREAM, 5, &blocks.again);
            frame(&mut wanted, HEADERS, END_HEADERS | END_STREAM, 7, &blocks.again);
            assert_eq!(frames.said, wanted);
        }
    }

    #[test]
    fn another_answer_is_told() {
        let blocks = Blocks::new(HTTP);
        let took =
            |bytes: &[u8]| Frames::new(HTTP, &blocks).take(bytes, Some(&blocks), &mut Tally::new());
        assert!(took(&answer(1, &[STATUS_200], b"abc")).is_ok());
        assert!(took(&answer(1, &[STATUS_200], b"abcd")).is_err());
        assert!(took(&answer(1, &[0x48, 3, b'5', b'0', b'3'], b"abc")).is_err());
        assert!(took(&answer(9, &[STATUS_200], b"abc")).is_err());
        let mut gone = Vec::new();
        frame(&mut gone, GOAWAY, 0, 0, &[0; 8]);
        assert!(took(&gone).is_err());
    }

    #[test]
    fn later_requests_name_what_the_first_has_said() {
        let blocks = Blocks::new(HTTP);
        // Path, host, user agent, accept and one field more.
        assert_eq!(
            blocks.again,
            [0x82, 0x86, 0x80 | 66, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]
        );
        let host = b"app19.example.test";
        assert!(blocks.first.windows(host.len()).any(|part| part == host));
    }
}
