//! The generator's HTTP/2 (RFC 9113) as far as it goes: the same GET, or the same unary call of gRPC,
//! on many streams of a connection, each followed by the next one as soon as its answer is complete.
//! It reads no header fields but the status, which every candidate writes first; that a call went well
//! shows in its message, which a failed one has not, and in the trailers that end it.

use super::message::request;
use super::tally::Tally;
use crate::case::Http;
use std::collections::HashMap;
use std::time::Instant;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Types and flags of frames.
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
/// Bytes before a payload.
pub(super) const HEAD: usize = 9;
/// The window that is given at first, and from which use on it is given again.
pub(super) const WINDOW: u32 = 0x7fff_ffff;
pub(super) const DEFAULT_WINDOW: u32 = 65_535;
const GIVE_AGAIN: u32 = 1 << 30;
/// `:status: 200` in the static table, as a whole field (RFC 7541, section 6.1).
pub(super) const STATUS_200: u8 = 0x88;

/// The head of a call of gRPC, as a request of HTTP/1 would have it.
const CALL: &str = concat!(
    "POST /bench.Echo/Unary HTTP/2\r\nHost: app19.example.test\r\n",
    "content-type: application/grpc\r\nte: trailers\r\nuser-agent: grpc-bench/1.0\r\n\r\n"
);

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
        // `:method: GET`, `:method: POST` and the scheme have places of their own.
        let method = if http.grpc { 0x83 } else { 0x82 };
        let (mut first, mut again) = (vec![method, scheme], vec![method, scheme]);
        let text = if http.grpc { CALL.into() } else { request(http) };
        let text = String::from_utf8_lossy(&text).into_owned();
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

/// A message of gRPC: not compressed, its length, itself.
#[must_use]
pub fn message(http: Http) -> Vec<u8> {
    let mut message = vec![0];
    message.extend(u32::try_from(http.body).unwrap_or(0).to_be_bytes());
    message.resize(http.data(), b'm');
    message
}

/// Puts a frame behind what is there.
pub(super) fn frame(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
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
    /// Requests under way.
    open: HashMap<u32, Request>,
    /// Of the connection's window.
    used: u32,
    /// What requests of gRPC send.
    message: Vec<u8>,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
struct Request {
    begun: Instant,
    /// Whether the head of its answer has come.
    answered: bool,
    /// Bytes of data that have come.
    data: usize,
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
        let message = if http.grpc { message(http) } else { Vec::new() };
        let mut frames = Self { http, incoming, said, next: 1, open, used: 0, message };
        for _ in 0..http.streams {
            frames.ask(blocks, Instant::now());
        }
        frames
    }

    /// Requests under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.open.len()
    }

    /// Begins a request; its latency is from `begun` on.
    pub fn ask(&mut self, blocks: &Blocks, begun: Instant) {
        let block = if self.next == 1 { &blocks.first } else { &blocks.again };
        if self.http.grpc {
            frame(&mut self.said, HEADERS, END_HEADERS, self.next, block);
            frame(&mut self.said, DATA, END_STREAM, self.next, &self.message);
        } else {
            frame(&mut self.said, HEADERS, END_HEADERS | END_STREAM, self.next, block);
        }
        self.open.insert(self.next, Request { begun, answered: false, data: 0 });
        self.next += 2;
    }

    /// Takes what has come; without `blocks` no request follows an answer. How many are complete.
    ///
    /// # Errors
    /// Something that is no answer to what was asked, in words.
    pub fn take(
        &mut self,
        bytes: &[u8],
        blocks: Option<&Blocks>,
        tally: &mut Tally,
    ) -> Result<usize, String> {
        let mut complete = 0;
        self.incoming.extend_from_slice(bytes);
        let incoming = std::mem::take(&mut self.incoming);
        let mut rest = &incoming[..];
        while let Some((head, after)) = rest.split_at_checked(HEAD) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, after)) = after.split_at_checked(length) else { break };
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            if self.one(head[3], head[4], stream, payload)? {
                let Some(request) = self.open.remove(&stream) else {
                    return Err("the end of what nobody has asked for".into());
                };
                if request.data != self.http.data() {
                    let data = request.data;
                    return Err(format!("{data} bytes, not the length that was asked for"));
                }
                complete += 1;
                let now = Instant::now();
                tally.add_timed(request.begun, now);
                if let Some(blocks) = blocks.filter(|_| !tally.is_done()) {
                    self.ask(blocks, now);
                }
            }
            rest = after;
        }
        self.incoming.extend_from_slice(rest);
        Ok(complete)
    }

    /// One frame; whether it ends an answer.
    fn one(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<bool, String> {
        match kind {
            HEADERS => {
                let Some(request) = self.open.get_mut(&stream) else {
                    return Err("a head that nobody has asked for".into());
                };
                // The size of the table may be told before the first field.
                let field = payload.iter().find(|byte| **byte & 0xe0 != 0x20);
                // Behind the data come trailers.
                if !request.answered && field != Some(&STATUS_200) {
                    return Err(format!("not the status 200: {}", payload.escape_ascii()));
                }
                request.answered = true;
            }
            DATA => {
                if self.http.grpc && flags & END_STREAM != 0 {
                    return Err("a call without trailers".into());
                }
                let Some(request) = self.open.get_mut(&stream) else {
                    return Err("a body that nobody has asked for".into());
                };
                request.data += payload.len();
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

    const HTTP: Http = Http { body: 3, streams: 2, ..Http::SMALL };

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
            let (mut frames, mut tally) = (Frames::new(HTTP, &blocks), Tally::new(None));
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
        let took = |bytes: &[u8]| {
            Frames::new(HTTP, &blocks).take(bytes, Some(&blocks), &mut Tally::new(None))
        };
        assert!(took(&answer(1, &[STATUS_200], b"abc")).is_ok());
        assert!(took(&answer(1, &[STATUS_200], b"abcd")).is_err());
        assert!(took(&answer(1, &[0x48, 3, b'5', b'0', b'3'], b"abc")).is_err());
        assert!(took(&answer(9, &[STATUS_200], b"abc")).is_err());
        assert!(took(&answer(1, &[STATUS_200], b"abc").repeat(2)).is_err());
        let mut gone = Vec::new();
        frame(&mut gone, GOAWAY, 0, 0, &[0; 8]);
        assert!(took(&gone).is_err());
    }

    #[test]
    fn a_call_ends_with_trailers_behind_its_message() {
        let http = Http { grpc: true, ..HTTP };
        let blocks = Blocks::new(http);
        let took = |end: &[u8]| {
            let mut bytes = Vec::new();
            frame(&mut bytes, HEADERS, END_HEADERS, 1, &[STATUS_200]);
            bytes.extend_from_slice(end);
            Frames::new(http, &blocks).take(&bytes, None, &mut Tally::new(None))
        };
        let ending = |flags, trailers: bool| {
            let mut bytes = Vec::new();
            frame(&mut bytes, DATA, flags, 1, &message(http));
            if trailers {
                frame(&mut bytes, HEADERS, END_HEADERS | END_STREAM, 1, &[0xbf]);
            }
            bytes
        };
        assert_eq!(took(&ending(0, true)), Ok(1));
        assert!(took(&ending(END_STREAM, false)).is_err());
        assert_eq!(took(&ending(0, false)), Ok(0));
        let mut failed = Vec::new();
        frame(&mut failed, HEADERS, END_HEADERS | END_STREAM, 1, &[0xbf]);
        assert!(took(&failed).is_err(), "no message");
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
