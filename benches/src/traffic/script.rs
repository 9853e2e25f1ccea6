//! What the works of small messages say, at both ends: what a connection begins with, what is asked
//! again and again, and what the endpoint answers.

use super::MESSAGE;
use super::message::HOST;
use super::secure::Client;
use crate::failure::{Failure, Outcome};
use crate::work::Work;

/// Before the client's address (PROXY protocol, section 2.2).
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A WebSocket's key and what an endpoint makes of it, from RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Bytes of a frame's payload: with its head and the client's mask it is [`MESSAGE`] long.
const PAYLOAD: usize = MESSAGE - 6;

/// The longest beginning of a connection that an endpoint waits for.
const BEGINNING_MAX: usize = 4096;

/// What a connection says.
#[derive(Clone, Debug)]
pub struct Script {
    beginning: Beginning,
    /// Sent first, where the endpoint has a word to say to it before the first message.
    pub opening: Vec<u8>,
    /// The endpoint's word.
    pub welcome: Vec<u8>,
    /// What the generator sends each time.
    pub ask: Vec<u8>,
    /// Bytes of that which arrive at the endpoint as a message.
    heard: usize,
    /// What the endpoint sends each time.
    pub answer: Vec<u8>,
}

/// What an endpoint hears first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    /// A message.
    Message,
    /// A PROXY header, of whichever version the candidate sends.
    Proxy,
    /// The head of a request.
    Head,
}

/// What an endpoint has heard of a connection.
#[derive(Debug, Default)]
pub struct Heard {
    /// What is there of its beginning; `None`: that is over.
    beginning: Option<Vec<u8>>,
    /// Bytes of a message that is not complete.
    pending: usize,
}

impl Script {
    /// What this work says.
    ///
    /// # Errors
    /// It says nothing of this kind, or TLS makes no ClientHello.
    pub fn of(work: Work) -> Outcome<Self> {
        let plain = |ask: Vec<u8>| Self {
            beginning: Beginning::Message,
            opening: Vec::new(),
            welcome: Vec::new(),
            heard: ask.len(),
            ask,
            answer: vec![b'q'; MESSAGE],
        };
        Ok(match work {
            Work::PingPong | Work::ConnectClose => plain(vec![b'q'; MESSAGE]),
            Work::Passthrough => plain(Client::new(b"http/1.1", false)?.hello()?),
            Work::ProxyV2 => {
                let ask = [proxy_header(), vec![b'q'; MESSAGE]].concat();
                Self { beginning: Beginning::Proxy, heard: MESSAGE, ..plain(ask) }
            }
            Work::Websocket => {
                // A mask of zeros is a mask: the payload is what it says.
                let head = [0x82, 0x80 | PAYLOAD as u8, 0, 0, 0, 0];
                let ask = [&head[..], &[b'q'; PAYLOAD]].concat();
                let answer = [&[0x82, PAYLOAD as u8][..], &[b'q'; PAYLOAD]].concat();
                let (opening, welcome) = (upgrade().into_bytes(), switched().into_bytes());
                Self { beginning: Beginning::Head, opening, welcome, answer, ..plain(ask) }
            }
            other => return Err(Failure::new(format!("{other:?} has no messages"))),
        })
    }

    /// What an endpoint has heard of a connection that begins.
    #[must_use]
    pub fn begin(&self) -> Heard {
        let beginning = (self.beginning != Beginning::Message).then(Vec::new);
        Heard { beginning, pending: 0 }
    }

    /// Takes what came at the endpoint; what it has to say goes behind `said`.
    ///
    /// # Errors
    /// The connection begins with something else.
    pub fn hear(&self, heard: &mut Heard, bytes: &[u8], said: &mut Vec<u8>) -> Result<(), String> {
        heard.pending += match &mut heard.beginning {
            None => bytes.len(),
            Some(beginning) => {
                beginning.extend_from_slice(bytes);
                let Some(length) = self.beginning.length(beginning)? else { return Ok(()) };
                let rest = beginning.len() - length;
                heard.beginning = None;
                said.extend_from_slice(&self.welcome);
                rest
            }
        };
        while heard.pending >= self.heard {
            heard.pending -= self.heard;
            said.extend_from_slice(&self.answer);
        }
        Ok(())
    }
}

impl Beginning {
    /// Its bytes, once all of them are there.
    fn length(self, bytes: &[u8]) -> Result<Option<usize>, String> {
        let ends_with = |end: &[u8]| {
            bytes.windows(end.len()).position(|part| part == end).map(|at| at + end.len())
        };
        let length = match self {
            Self::Message => Some(0),
            Self::Head => ends_with(b"\r\n\r\n"),
            Self::Proxy if bytes.starts_with(b"PROXY ") => ends_with(b"\r\n"),
            Self::Proxy => match bytes.get(..16) {
                Some(head) if !head.starts_with(SIGNATURE) => {
                    return Err(format!("no PROXY header: {}", head.escape_ascii()));
                }
                Some(head) => Some(16 + usize::from(u16::from_be_bytes([head[14], head[15]]))),
                None => None,
            },
        };
        if length.is_none() && bytes.len() > BEGINNING_MAX {
            return Err("a beginning without an end".into());
        }
        Ok(length.filter(|&length| length <= bytes.len()))
    }
}

/// A header of version 2 as a balancer in front of the candidate would send it: a client of TCP over
/// IPv4 (PROXY protocol, section 2.2).
fn proxy_header() -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend([0x21, 0x11, 0, 12]);
    header.extend([192, 0, 2, 7, 203, 0, 113, 9]);
    header.extend(40_000_u16.to_be_bytes());
    header.extend(443_u16.to_be_bytes());
    header
}

fn upgrade() -> String {
    format!(
        "GET /socket HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}

fn switched() -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an endpoint says to `bytes` when they come in pieces.
    fn said(work: Work, bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
        let script = Script::of(work).expect("a script");
        let (mut heard, mut said) = (script.begin(), Vec::new());
        for piece in bytes.chunks(size) {
            script.hear(&mut heard, piece, &mut said)?;
        }
        Ok(said)
    }

    #[test]
    fn an_endpoint_answers_each_message_wherever_it_is_cut() {
        for work in [Work::PingPong, Work::Passthrough, Work::ProxyV2, Work::Websocket] {
            let script = Script::of(work).expect("a script");
            let bytes = [&script.opening[..], &script.ask].concat();
            for size in [1, 7, 60, 4096] {
                let wanted = [&script.welcome[..], &script.answer].concat();
                assert_eq!(said(work, &bytes, size), Ok(wanted), "{work:?}");
            }
        }
    }

    #[test]
    fn proxy_headers_of_both_versions_are_taken_and_nothing_else() {
        let message = [b'q'; MESSAGE];
        let text = [b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", &message[..]].concat();
        assert_eq!(said(Work::ProxyV2, &text, 5), Ok(vec![b'q'; MESSAGE]));
        let local = [SIGNATURE, &[0x20, 0, 0, 0], &message[..]].concat();
        assert_eq!(said(Work::ProxyV2, &local, 11), Ok(vec![b'q'; MESSAGE]));
        assert!(said(Work::ProxyV2, &message, 64).is_err_and(|told| told.starts_with("no PROXY")));
        assert!(said(Work::Websocket, &[b'x'; 5000], 1000).is_err());
    }

    #[test]
    fn a_frame_is_as_long_as_a_message() {
        let script = Script::of(Work::Websocket).expect("a script");
        assert_eq!((script.ask.len(), script.answer.len()), (MESSAGE, MESSAGE - 4));
        let hello = Script::of(Work::Passthrough).expect("a script").ask;
        let name = HOST.as_bytes();
        assert!(hello.windows(name.len()).any(|part| part == name), "no server name");
        assert!(Script::of(Work::Idle).is_err());
    }
}
