//! An endpoint's half of HTTP, as little of it as a measurement needs: the same answer to every
//! request, by HTTP/1.1 or HTTP/2 (RFC 9113). It reads no header field, so it needs no table of them.

use super::frames::{
    ACK, DATA, DEFAULT_WINDOW, END_HEADERS, END_STREAM, HEAD, HEADERS, PING, PREFACE, SETTINGS,
    STATUS_200, WINDOW, WINDOW_UPDATE, frame, message,
};
use super::message::answer;
use crate::case::Http;

/// The longest body of an answer by HTTP/2: what goes out before the first window is used up, since
/// nobody here keeps account of windows.
pub const BODY_MAX: usize = 1024;

/// The last bytes of a request of HTTP/1.1 without a body.
const END: [u8; 4] = *b"\r\n\r\n";

/// What is said to every request.
pub struct Answer {
    http: Http,
    /// The whole answer of HTTP/1.1.
    whole: Vec<u8>,
    /// The head, the data and the trailers of HTTP/2.
    head: Vec<u8>,
    data: Vec<u8>,
    trailers: Vec<u8>,
}

impl Answer {
    /// The answer to `http`.
    #[must_use]
    pub fn new(http: Http) -> Self {
        let content_type = if http.grpc { "application/grpc" } else { "text/plain" };
        let mut head = vec![STATUS_200];
        literal(&mut head, "content-type", content_type);
        let data = if http.grpc { message(http) } else { vec![b'a'; http.body] };
        let mut trailers = Vec::new();
        literal(&mut trailers, "grpc-status", "0");
        Self { http, whole: answer(http), head, data, trailers }
    }

    /// By HTTP/2, on this stream.
    fn on_stream(&self, stream: u32, said: &mut Vec<u8>) {
        frame(said, HEADERS, END_HEADERS, stream, &self.head);
        if self.http.grpc {
            frame(said, DATA, 0, stream, &self.data);
            frame(said, HEADERS, END_HEADERS | END_STREAM, stream, &self.trailers);
        } else {
            frame(said, DATA, END_STREAM, stream, &self.data);
        }
    }
}

/// A field that goes into no table (RFC 7541, section 6.2.2).
fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        block.push(u8::try_from(text.len()).unwrap_or(0));
        block.extend_from_slice(text.as_bytes());
    }
}

/// What was heard on one connection.
pub enum Heard {
    /// HTTP/1.1: the last bytes of a request that is not complete.
    Text([u8; 4]),
    /// HTTP/2: what is no whole frame yet, and whether the beginning of the connection is over.
    Frames {
        /// Bytes.
        incoming: Vec<u8>,
        /// Whether it is.
        begun: bool,
    },
}

impl Heard {
    /// Nothing; what is to be said first goes behind `said`.
    #[must_use]
    pub fn begin(http: Http, said: &mut Vec<u8>) -> Self {
        if http.streams == 0 {
            return Self::Text([0; 4]);
        }
        let [a, b, c, d] = WINDOW.to_be_bytes();
        // The window of streams, and that of the connection.
        frame(said, SETTINGS, 0, 0, &[0, 4, a, b, c, d]);
        frame(said, WINDOW_UPDATE, 0, 0, &(WINDOW - DEFAULT_WINDOW).to_be_bytes());
        Self::Frames { incoming: Vec::new(), begun: false }
    }

    /// Takes what came; answers go behind `said`. How many were given.
    ///
    /// # Errors
    /// It is no HTTP/2, in words.
    pub fn take(
        &mut self,
        bytes: &[u8],
        answer: &Answer,
        said: &mut Vec<u8>,
    ) -> Result<u64, String> {
        let (incoming, begun) = match self {
            Self::Text(tail) => return Ok(text(tail, bytes, answer, said)),
            Self::Frames { incoming, begun } => (incoming, begun),
        };
        incoming.extend_from_slice(bytes);
        let whole = std::mem::take(incoming);
        let mut rest = &whole[..];
        if !*begun && rest.len() >= PREFACE.len() {
            rest = rest.strip_prefix(PREFACE).ok_or("not the beginning of HTTP/2")?;
            *begun = true;
        }
        let mut answers = 0;
        while let Some((head, after)) = rest.split_at_checked(HEAD).filter(|_| *begun) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, after)) = after.split_at_checked(length) else { break };
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match (head[3], head[4]) {
                (HEADERS | DATA, flags) if flags & END_STREAM != 0 => {
                    answer.on_stream(stream, said);
                    answers += 1;
                }
                (SETTINGS, flags) if flags & ACK == 0 => frame(said, SETTINGS, ACK, 0, &[]),
                (PING, flags) if flags & ACK == 0 => frame(said, PING, ACK, 0, payload),
                _ => {}
            }
            rest = after;
        }
        *incoming = rest.to_vec();
        Ok(answers)
    }
}

/// Counts the ends of requests, wherever they are cut, and answers each.
fn text(tail: &mut [u8; 4], bytes: &[u8], answer: &Answer, said: &mut Vec<u8>) -> u64 {
    let mut answers = 0;
    for &byte in bytes {
        tail.rotate_left(1);
        tail[3] = byte;
        if *tail == END {
            said.extend_from_slice(&answer.whole);
            answers += 1;
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::super::frames::{Blocks, Frames};
    use super::super::message::request;
    use super::super::tally::Tally;
    use super::*;

    const H2: Http = Http { streams: 3, ..Http::SMALL };

    /// What the generator makes of the endpoint's answers to it, all in pieces of `size`.
    fn complete(http: Http, size: usize) -> Result<usize, String> {
        let blocks = Blocks::new(http);
        let (mut frames, answer) = (Frames::new(http, &blocks), Answer::new(http));
        let (mut said, asked) = (Vec::new(), std::mem::take(&mut frames.said));
        let mut heard = Heard::begin(http, &mut said);
        for piece in asked.chunks(size) {
            heard.take(piece, &answer, &mut said)?;
        }
        let mut complete = 0;
        for piece in said.chunks(size) {
            complete += frames.take(piece, None, &mut Tally::new(None))?;
        }
        Ok(complete)
    }

    #[test]
    fn generator_and_endpoint_understand_each_other() {
        for size in [1, 10, 4096] {
            assert_eq!(complete(H2, size), Ok(3));
            assert_eq!(complete(Http { grpc: true, ..H2 }, size), Ok(3));
        }
    }

    #[test]
    fn requests_of_http_1_are_counted_wherever_they_are_cut() {
        let bytes = request(Http::SMALL).repeat(2);
        for size in [1, 5, 1000] {
            let (answer, mut said) = (Answer::new(Http::SMALL), Vec::new());
            let mut heard = Heard::begin(Http::SMALL, &mut said);
            let answers = bytes.chunks(size).map(|piece| heard.take(piece, &answer, &mut said));
            assert_eq!(answers.sum::<Result<u64, _>>(), Ok(2));
            assert_eq!(said, answer.whole.repeat(2));
        }
    }

    #[test]
    fn something_else_is_told() {
        let mut heard = Heard::begin(H2, &mut Vec::new());
        let text = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        assert!(heard.take(text, &Answer::new(H2), &mut Vec::new()).is_err());
    }
}
