//! Which attacks there are.

use super::h2::H2;
use super::http1::Http1;
use super::lane::Heard;
use clap::ValueEnum;
use std::time::Duration;

/// Where an endpoint has an answer that is too large for any buffer.
pub(super) const LARGE: &str = "/large";
/// Where it waits for the whole of a body before it answers.
pub(super) const UPLOAD: &str = "/upload";

/// One kind of flood. What answers has something small at `/`, something large at `/large`, and reads
/// a body to its end at `/upload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Attack {
    /// HTTP/2: requests, each reset as soon as it is made (CVE-2023-44487).
    RapidReset,
    /// HTTP/2: requests that the other side must reset, by a WINDOW_UPDATE of 0 (CVE-2025-8671).
    MadeYouResetZero,
    /// The same by a WINDOW_UPDATE that makes the window overflow.
    MadeYouResetOverflow,
    /// The same by HEADERS on a stream that is half-closed.
    MadeYouResetHeaders,
    /// HTTP/2: CONTINUATION without end, with header fields in it.
    Continuation,
    /// HTTP/2: CONTINUATION without end and without a byte.
    EmptyContinuation,
    /// HTTP/2: SETTINGS, each of which must be acknowledged.
    Settings,
    /// HTTP/2: PING, each of which must be answered.
    Ping,
    /// HTTP/2: PRIORITY of streams that there are not.
    Priority,
    /// HTTP/2: the window of the connection raised by 1, again and again.
    WindowDrip,
    /// HTTP/2: a body of DATA without a byte, without end.
    EmptyData,
    /// HTTP/2: a body of DATA that is padding alone.
    PaddedData,
    /// HTTP/2: one large field in the table, named four thousand times by each request.
    HpackBomb,
    /// HTTP/2: whole requests with 256 KiB of header fields.
    LargeHeaders,
    /// HTTP/2: many large answers asked for, and no window to send them.
    ClosedWindows,
    /// HTTP/2: the same, and a byte of window at a time.
    StreamDrip,
    /// HTTP/2: as many requests at once as may be, none of which ends.
    EndlessRequests,
    /// HTTP/2: frames of a type that nobody knows.
    UnknownFrames,
    /// HTTP/2: GOAWAY, and requests all the same.
    AfterGoaway,
    /// TLS: a ClientHello, and off as soon as it is answered.
    Handshakes,
    /// TLS: connections with half a ClientHello each, held.
    HalfHandshakes,
    /// HTTP/1.1: a head without end.
    EndlessHead,
    /// HTTP/1.1: empty lines before a request that never comes.
    EndlessLines,
    /// HTTP/1.1: a body in chunks of one byte.
    TinyChunks,
    /// HTTP/1.1: chunks of one byte with 4 KiB of extensions.
    ChunkExtensions,
    /// HTTP/1.1: requests behind each other, no answer waited for.
    Pipelining,
    /// HTTP/1.1: the end of the stream within a body.
    HalfClosed,
    /// TCP: a request and a reset, as fast as connections can be made.
    ResetStorm,
    /// TCP: more connections than there can be, held without a byte.
    FullTable,
}

/// What an attack is spoken in, and so which listener it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// HTTP/2 with prior knowledge, without TLS.
    H2,
    /// TLS, the handshake of which is attacked.
    Tls,
    /// HTTP/1.1 without TLS.
    Http1,
}

impl Attack {
    /// All of them.
    #[must_use]
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Its name, as `eclusa-flood` takes it: `rapid-reset`.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What it is spoken in.
    #[must_use]
    pub fn ground(self) -> Ground {
        match self {
            Self::Handshakes | Self::HalfHandshakes => Ground::Tls,
            Self::EndlessHead
            | Self::EndlessLines
            | Self::TinyChunks
            | Self::ChunkExtensions
            | Self::Pipelining
            | Self::HalfClosed
            | Self::ResetStorm
            | Self::FullTable => Ground::Http1,
            _ => Ground::H2,
        }
    }

    /// Connections that an attacker holds at once.
    #[must_use]
    pub fn connections(self) -> usize {
        match self {
            Self::FullTable => 8_000,
            Self::HalfHandshakes => 3_000,
            Self::HalfClosed | Self::ResetStorm | Self::Handshakes | Self::ClosedWindows => 64,
            Self::EndlessRequests | Self::StreamDrip | Self::HpackBomb => 32,
            _ => 16,
        }
    }

    /// What says it on a new connection.
    pub(super) fn script(self, hello: &[u8]) -> Box<dyn Script> {
        match self.ground() {
            Ground::H2 => Box::new(H2::new(self)),
            Ground::Http1 => Box::new(Http1::new(self)),
            Ground::Tls => Box::new(Hello { attack: self, bytes: hello.to_vec() }),
        }
    }
}

/// What an attacker does next on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send what was put down, and go on.
    Send,
    /// Send it, and go on when something was heard or this time is over.
    Wait(Duration),
    /// Send it and the end of the stream.
    Finish,
    /// Be gone, with a reset.
    Leave,
}

/// The words of one connection.
pub(super) trait Script {
    /// Puts down what is to be said next.
    fn next(&mut self, heard: &Heard, said: &mut Vec<u8>) -> Next;
}

/// How long a connection rests that is only held.
pub(super) const HELD: Duration = Duration::from_secs(3600);

/// The words of TLS: a ClientHello or half of one.
struct Hello {
    attack: Attack,
    bytes: Vec<u8>,
}

impl Script for Hello {
    fn next(&mut self, heard: &Heard, said: &mut Vec<u8>) -> Next {
        if heard.bytes.get() > 0 {
            return Next::Leave;
        }
        let whole = std::mem::take(&mut self.bytes);
        let part = if self.attack == Attack::Handshakes { whole.len() } else { whole.len() / 2 };
        said.extend_from_slice(&whole[..part]);
        Next::Wait(HELD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_enough_of_every_kind_and_each_has_a_name() {
        let of = |ground| Attack::all().iter().filter(|attack| attack.ground() == ground).count();
        assert!(of(Ground::H2) >= 17 && of(Ground::Tls) == 2 && of(Ground::Http1) == 8);
        assert_eq!(Attack::RapidReset.name(), "rapid-reset");
    }
}
