//! What may come of a case, and whether it has come.

use super::run::PATIENCE;
use eclusa_testkit::http2::{Client, Seen, code_named, name_of_code};
use std::time::{Duration, Instant};

/// What is still on its way when a PING is answered: responses, which another side makes.
const AFTERMATH: Duration = Duration::from_secs(3);

/// What is still on its way when all responses have come, too: an error, perhaps.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// One of the things that may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// `connection CODE`: GOAWAY with this code, and the end. `any`: with any that is an error.
    Connection(Option<u32>),
    /// `closed`: the end.
    Closed,
    /// `stream N CODE`: RST_STREAM.
    Stream(u32, Option<u32>),
    /// `status N 4xx`: a final head with such a status.
    Status(u32, &'static str),
    /// `echo N TEXT`: 200 and this body, to its end.
    Echo(u32, &'static str),
    /// `trailers N`: a response with trailers, to its end.
    Trailers(u32),
    /// `malformed N`: a stream error PROTOCOL_ERROR, or an answer of 4xx before it (section 8.1.1).
    Malformed(u32),
    /// `refused`: a stream, whichever, is reset with REFUSED_STREAM or PROTOCOL_ERROR.
    Refused,
    /// `alive`: nothing, and PING is answered.
    Alive,
}

impl Outcome {
    /// Reads a line.
    pub(super) fn read(line: &'static str) -> Self {
        Self::try_read(line).unwrap_or_else(|| panic!("no outcome: {line}"))
    }

    fn try_read(line: &'static str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        let kind = words.next()?;
        let code = |word: &str| match word {
            "any" => Some(None),
            name => code_named(name).map(Some),
        };
        Some(match kind {
            "closed" => Self::Closed,
            "alive" => Self::Alive,
            "refused" => Self::Refused,
            "connection" => Self::Connection(code(words.next()?)?),
            _ => {
                let stream = words.next()?.parse().ok()?;
                match kind {
                    "stream" => Self::Stream(stream, code(words.next()?)?),
                    "status" => Self::Status(stream, words.next()?),
                    "echo" => Self::Echo(stream, words.next()?),
                    "malformed" => Self::Malformed(stream),
                    "trailers" => Self::Trailers(stream),
                    _ => return None,
                }
            }
        })
    }

    /// The stream that it is about.
    fn stream(&self) -> Option<u32> {
        match self {
            Self::Stream(number, _)
            | Self::Status(number, _)
            | Self::Echo(number, _)
            | Self::Trailers(number)
            | Self::Malformed(number) => Some(*number),
            Self::Connection(_) | Self::Closed | Self::Refused | Self::Alive => None,
        }
    }

    /// Whether the connection goes on behind it.
    fn goes_on(&self) -> bool {
        !matches!(self, Self::Connection(_) | Self::Closed)
    }

    /// Whether a connection error with this code may come instead: each stream error may be treated
    /// as one (RFC 9113, section 5.4.1).
    fn allows(&self, found: u32) -> bool {
        match self {
            Self::Connection(code) | Self::Stream(_, code) => is_code(*code, found),
            Self::Malformed(_) | Self::Refused => is_code(code_named("PROTOCOL_ERROR"), found),
            Self::Closed => true,
            _ => false,
        }
    }

    fn holds(&self, seen: &Seen, over: bool, answered: bool) -> bool {
        let stream = |number: &u32| seen.streams.get(number);
        let reset = |number: &u32| stream(number).and_then(|stream| stream.reset);
        match self {
            Self::Connection(_) => {
                over && seen.failure().is_some_and(|found| self.allows(found.code))
            }
            Self::Closed => over,
            Self::Stream(number, code) => match (seen.failure(), reset(number)) {
                (Some(goaway), _) => over && self.allows(goaway.code),
                (None, found) => found.is_some_and(|found| is_code(*code, found)),
            },
            Self::Malformed(number) => {
                Self::Stream(*number, code_named("PROTOCOL_ERROR")).holds(seen, over, answered)
                    || Self::Status(*number, "4xx").holds(seen, over, answered)
            }
            Self::Refused => {
                let codes = ["REFUSED_STREAM", "PROTOCOL_ERROR"].map(code_named);
                seen.streams
                    .values()
                    .any(|stream| stream.reset.is_some_and(|code| codes.contains(&Some(code))))
            }
            Self::Status(number, pattern) => stream(number)
                .and_then(|stream| stream.head())
                .is_some_and(|head| is_like(head.status, pattern)),
            Self::Echo(number, text) => stream(number).is_some_and(|stream| {
                stream.ended
                    && stream.head().is_some_and(|head| head.status == 200)
                    && stream.body == text.as_bytes()
            }),
            Self::Trailers(number) => {
                stream(number).is_some_and(|stream| stream.ended && stream.trailers.is_some())
            }
            Self::Alive => {
                answered
                    && !over
                    && seen.failure().is_none()
                    && seen.streams.values().all(|stream| stream.reset.is_none())
            }
        }
    }
}

/// A generic code may always stand for a special one (RFC 9113, section 5.4).
fn is_code(wanted: Option<u32>, found: u32) -> bool {
    let generic = ["PROTOCOL_ERROR", "INTERNAL_ERROR"].map(code_named);
    wanted.is_none_or(|wanted| wanted == found) || generic.contains(&Some(found))
}

/// `200`, `4xx`, `any`.
fn is_like(status: u16, pattern: &str) -> bool {
    let status = status.to_string();
    pattern == "any"
        || status
            .bytes()
            .zip(pattern.bytes())
            .all(|(found, wanted)| wanted == b'x' || found == wanted)
}

/// How an outcome has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// As it is listed.
    AsSaid,
    /// A connection error where a stream error is listed.
    Wider,
}

/// Sends a request on a stream that must be answered.
type Ask<'a> = &'a dyn Fn(&mut Client, u32);

/// Waits for one of `outcomes`. Where the connection goes on behind it, a request that `asks` must be
/// answered.
pub(super) fn judge(
    client: &mut Client,
    outcomes: &[Outcome],
    asks: Option<Ask<'_>>,
) -> Result<Kept, String> {
    let payload = client.ping();
    let mut found = None;
    let decided = |seen: &Seen, over: bool| {
        let answered = seen.pings.contains(&payload);
        outcomes.iter().find(|outcome| outcome.holds(seen, over, answered)).cloned()
    };
    let contradicts = |seen: &Seen| {
        let is_allowed = |code| outcomes.iter().any(|outcome| outcome.allows(code));
        !seen.violations.is_empty() || seen.failure().is_some_and(|goaway| !is_allowed(goaway.code))
    };
    client.hear_until(PATIENCE, |seen| {
        found = decided(seen, false);
        found.is_some() || contradicts(seen) || seen.pings.contains(&payload)
    });
    if found.is_none() && !contradicts(client.seen()) && !client.is_over() {
        let mut since = None;
        client.hear_until(AFTERMATH, |seen| {
            found = decided(seen, false);
            let has_ended = |number| seen.streams.get(&number).is_some_and(|stream| stream.ended);
            let all = outcomes.iter().filter_map(Outcome::stream).all(has_ended);
            let is_over = all && since.get_or_insert_with(Instant::now).elapsed() > LAST_WORDS;
            found.is_some() || contradicts(seen) || is_over
        });
    }
    let found = found.or_else(|| decided(client.seen(), client.is_over()));
    if let Some(violation) = client.seen().violations.first() {
        return Err(format!("it violates {violation}"));
    }
    let Some(found) = found else {
        let end = if client.is_over() { ", closed" } else { "" };
        return Err(format!("{}{end}", client.seen().told_in_words()));
    };
    let failed = client.seen().failure().is_some();
    match asks {
        _ if found.goes_on() && failed => Ok(Kept::Wider),
        Some(asks) if found.goes_on() => goes_on(client, asks).map(|()| Kept::AsSaid),
        _ => Ok(Kept::AsSaid),
    }
}

/// A request on a stream of its own is answered.
fn goes_on(client: &mut Client, asks: Ask<'_>) -> Result<(), String> {
    const NUMBER: u32 = 1_000_001;
    asks(client, NUMBER);
    client.make_room(NUMBER);
    let answered = client
        .hear_until(PATIENCE, |seen| seen.streams.get(&NUMBER).is_some_and(|stream| stream.ended));
    let seen = client.seen();
    let status = seen.streams.get(&NUMBER).and_then(|stream| stream.head()).map(|head| head.status);
    // Resets may have had their last chance: the connection may be wound up in order.
    if answered && status == Some(200) || seen.goaways.iter().any(|goaway| goaway.code == 0) {
        return match seen.violations.first() {
            None => Ok(()),
            Some(violation) => Err(format!("it violates {violation}")),
        };
    }
    let reset = seen.streams.get(&NUMBER).and_then(|stream| stream.reset).map(name_of_code);
    Err(format!("the next request is not answered: {status:?} {reset:?}, {}", seen.told_in_words()))
}
