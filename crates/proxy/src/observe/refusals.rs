//! The last messages that the codec has refused, with their bytes: what an operator looks at when a
//! client or an application gets 400 or 502. They are kept in memory, shown over the admin socket, and
//! never in a log. Values that let somebody in are blanked before they are kept.

use eclusa_wire::http1::Reason;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Messages that are kept.
const KEPT: usize = 100;
/// Bytes that are kept of one.
const BYTES_MAX: usize = 4 << 10;
/// Where the trouble is farther behind, so many of them stand before it.
const BEFORE: usize = 3 << 10;

/// Fields whose values let somebody in, by what their names contain: letters and digits alone, in lower
/// case. A message that is refused may well have them misspelt.
const SECRETS: [&str; 2] = ["authorization", "cookie"];

/// Which part of a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its head.
    Head,
    /// Its body: chunks or trailers.
    Body,
}

impl Part {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Body => "body",
        }
    }
}

/// A message that is refused, where it is.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    /// Why.
    pub reason: Reason,
    /// Of which part these bytes are.
    pub part: Part,
    /// The bytes that are there of it.
    pub bytes: &'a [u8],
    /// Where in them reading ended.
    pub at: usize,
}

/// Who has sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) listener: Arc<str>,
    pub(crate) client: SocketAddr,
    /// Of an answer: the pool and the endpoint.
    pub(crate) endpoint: Option<(Arc<str>, SocketAddr)>,
}

/// A message that was refused, as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Its number, from 1.
    pub(crate) number: u64,
    pub(crate) when: SystemTime,
    pub(crate) origin: Origin,
    pub(crate) reason: Reason,
    pub(crate) part: Part,
    /// How many bytes there were.
    pub(crate) length: usize,
    /// Where in them reading ended.
    pub(crate) at: usize,
    /// Where the bytes below begin in them.
    pub(crate) from: usize,
    pub(crate) bytes: Box<[u8]>,
}

/// The messages, and how many there were in all.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<(u64, VecDeque<Kept>)>);

impl Refusals {
    /// Keeps one in place of the oldest.
    pub(crate) fn keep(&self, refusal: Refusal<'_>, origin: Origin) {
        let Refusal { reason, part, bytes, at } = refusal;
        let at = at.min(bytes.len());
        let from = if at < BYTES_MAX { 0 } else { at - BEFORE };
        let kept = blanked(bytes, from, (from + BYTES_MAX).min(bytes.len()));
        let length = bytes.len();
        let when = SystemTime::now();
        let mut kept =
            Kept { number: 0, when, origin, reason, part, length, at, from, bytes: kept };
        // Held to put it in its place, and for that alone.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.0 += 1;
        kept.number = all.0;
        if all.1.len() == KEPT {
            all.1.pop_front();
        }
        all.1.push_back(kept);
    }

    /// How many there were since the engine began, and the last of them, in their order.
    pub(crate) fn all(&self) -> (u64, Vec<Kept>) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (all.0, all.1.iter().cloned().collect())
    }
}

/// The bytes `from..to` of a message, without what lets somebody in: `*` stands there.
fn blanked(bytes: &[u8], from: usize, to: usize) -> Box<[u8]> {
    let mut kept: Box<[u8]> = bytes.get(from..to).unwrap_or_default().into();
    let mut start = 0;
    while start < to {
        let line = bytes.get(start..).unwrap_or_default();
        let Some(secret) = secret_in(line) else {
            // A bare CR ends a line for some readers.
            let end = line.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            start += end.map_or(line.len(), |end| end + 1);
            continue;
        };
        let end = start + end_of_value(line);
        for place in (start + secret).max(from)..end.min(to) {
            if let Some(byte) = kept.get_mut(place - from)
                && !matches!(byte, b'\r' | b'\n')
            {
                *byte = b'*';
            }
        }
        start = end;
    }
    kept
}

/// Where in the line that begins here a secret begins, if it is the line of one.
fn secret_in(line: &[u8]) -> Option<usize> {
    let end = line.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(line.len());
    let line = line.get(..end).unwrap_or_default();
    let colon = line.iter().position(|byte| *byte == b':');
    let name = line.get(..colon.unwrap_or(line.len())).unwrap_or_default();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric().then(|| byte.to_ascii_lowercase());
    let plain: Vec<u8> = name.iter().filter_map(plain).collect();
    let found = SECRETS
        .iter()
        .any(|secret| plain.windows(secret.len()).any(|part| part == secret.as_bytes()));
    // Without a colon nobody knows where the value begins.
    found.then(|| colon.map_or(0, |colon| colon + 1))
}

/// Behind the LF that ends a value; one that a blank follows does not (obs-fold).
fn end_of_value(line: &[u8]) -> usize {
    let ends = |(at, byte): (usize, &u8)| {
        *byte == b'\n' && !matches!(line.get(at + 1), Some(b' ' | b'\t'))
    };
    line.iter().enumerate().position(ends).map_or(line.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        let client = SocketAddr::from(([192, 0, 2, 1], 1));
        Origin { listener: "web".into(), client, endpoint: None }
    }

    fn kept(bytes: &[u8], at: usize) -> Kept {
        let refusals = Refusals::default();
        refusals.keep(Refusal { reason: Reason::BareLf, part: Part::Head, bytes, at }, origin());
        refusals.all().1.remove(0)
    }

    fn shown(bytes: &str) -> String {
        String::from_utf8(kept(bytes.as_bytes(), 0).bytes.into()).unwrap()
    }

    #[test]
    fn what_lets_somebody_in_is_blanked_however_it_is_written() {
        let line = |text: &str| format!("GET / HTTP/1.1\r\nA: b\r\n{text}\r\nC: d\r\n\r\n");
        // What stands in braces must not be seen.
        for marked in [
            "Authorization:{ Basic c2VjcmV0}",
            "proxy-authorization:{secret}",
            "Cookie:{ a=secret; b=c}",
            "Set-Cookie:{ secret}",
            "Authorization :{ secret}",
            "X Authorization\0:{ secret}",
            "Authori zation:{ secret}",
            "{Cookie secret}",
            "Cookie:{ a\r\n secret}",
            "Cookie:{ a\rsecret: b}",
            "A: b\rCookie:{ secret}",
            "A: Cookie",
        ] {
            let (mut written, mut wanted, mut hidden) = (String::new(), String::new(), false);
            for sign in marked.chars() {
                if matches!(sign, '{' | '}') {
                    hidden = sign == '{';
                    continue;
                }
                written.push(sign);
                wanted.push(if hidden && !matches!(sign, '\r' | '\n') { '*' } else { sign });
            }
            assert_eq!(shown(&line(&written)), line(&wanted), "{marked:?}");
        }
        assert_eq!(shown("Cookie: secret"), "Cookie:*******", "the message is cut there");
    }

    #[test]
    fn of_a_long_message_the_place_of_the_trouble_is_kept() {
        let head = [b"Cookie: ".to_vec(), vec![b's'; 10_000], b"\r\nX: y\nZ".to_vec()].concat();
        let kept = kept(&head, 10_014);
        assert_eq!((kept.length, kept.at, kept.from), (head.len(), 10_014, 10_014 - BEFORE));
        assert_eq!(kept.bytes.len(), head.len() - kept.from);
        assert!(kept.bytes.ends_with(b"**\r\nX: y\nZ") && !kept.bytes.contains(&b's'));
        let short = self::kept(&vec![b'x'; 9_000], 10);
        assert_eq!((short.from, short.bytes.len()), (0, BYTES_MAX));
        assert_eq!(self::kept(b"x", 7).at, 1, "never beyond the end");
    }

    #[test]
    fn the_last_hundred_are_kept() {
        let refusals = Refusals::default();
        for _ in 0..150 {
            let refusal = Refusal { reason: Reason::Nul, part: Part::Head, bytes: b"\0", at: 0 };
            refusals.keep(refusal, origin());
        }
        let (count, kept) = refusals.all();
        assert_eq!((count, kept.len()), (150, KEPT));
        assert_eq!((kept[0].number, kept[KEPT - 1].number), (51, 150));
    }
}
