//! The words of a case: what the generator does, what is counted, and what a candidate has beside it.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What the generator does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// The endpoint sends without end, the generator receives.
    BulkDown,
    /// The generator sends without end, the endpoint receives.
    BulkUp,
    /// 64 bytes there, 64 bytes back, again and again: a closed loop per connection.
    PingPong,
    /// Connect, 64 bytes there, 64 bytes back, close; a closed loop in each of N lanes.
    ConnectClose,
    /// The same behind a PROXY header of version 2, which the candidate takes and hands on.
    ProxyV2,
    /// Connect, a ClientHello there, 64 bytes back, close: the candidate reads the server name and
    /// opens nothing.
    Passthrough,
    /// An upgrade, then frames of 64 bytes there and their echo back, again and again.
    Websocket,
    /// Some bytes both ways, then silence with the connection open.
    Idle,
    /// HTTP requests and their answers: a closed loop per connection, as [`Http`] says.
    Http,
}

impl Work {
    /// Whether each operation has a connection of its own.
    #[must_use]
    pub fn is_once(self) -> bool {
        matches!(self, Self::ConnectClose | Self::ProxyV2 | Self::Passthrough)
    }

    /// Whether operations can begin at times of their own: streams have none, and idle sessions
    /// have one each.
    #[must_use]
    pub fn can_be_paced(self) -> bool {
        !matches!(self, Self::BulkDown | Self::BulkUp | Self::Idle)
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Unit {
    /// 10^9 bytes that arrived at the receiving end.
    #[serde(rename = "GB")]
    Gigabyte,
    /// A request with its answer.
    #[serde(rename = "round trip")]
    RoundTrip,
    /// A connection from connect to close.
    #[serde(rename = "connection")]
    Connection,
    /// An HTTP request with its answer.
    #[serde(rename = "request")]
    Request,
}

impl Unit {
    /// How many of what the traffic processes count (bytes, or operations) make one unit.
    #[must_use]
    pub fn size(self) -> f64 {
        match self {
            Self::Gigabyte => 1e9,
            Self::RoundTrip | Self::Connection | Self::Request => 1.0,
        }
    }
}

/// The key of the certificate that candidates show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// ECDSA with P-256.
    #[default]
    P256,
    /// RSA with 2048 bits.
    Rsa2048,
}

/// The messages of [`Work::Http`], and of idle sessions that speak HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Header fields of a request, and of its answer.
    pub fields: usize,
    /// Bytes of the answer's body; of gRPC those of the message, which goes both ways.
    pub body: usize,
    /// Whether each request has a connection of its own, which the candidate is asked to close.
    #[serde(default)]
    pub fresh: bool,
    /// Whether the generator speaks TLS with the candidate.
    #[serde(default)]
    pub tls: bool,
    /// The key of the candidate's certificate.
    #[serde(default)]
    pub key: Key,
    /// Whether each connection but a lane's first resumes the session of the one before.
    #[serde(default)]
    pub resumed: bool,
    /// Streams of a connection at once, by HTTP/2; 0: HTTP/1.1.
    #[serde(default)]
    pub streams: usize,
    /// Whether they are unary calls of gRPC, by HTTP/2 on both sides.
    #[serde(default)]
    pub grpc: bool,
}

impl Http {
    /// A small request on a lasting connection.
    pub const SMALL: Self = Self {
        fields: 4,
        body: 100,
        fresh: false,
        tls: false,
        key: Key::P256,
        resumed: false,
        streams: 0,
        grpc: false,
    };

    /// What the endpoint behind a candidate speaks: never TLS, HTTP/2 for gRPC alone.
    #[must_use]
    pub fn behind(self) -> Self {
        let streams = if self.grpc { self.streams } else { 0 };
        Self { tls: false, streams, fresh: false, resumed: false, ..self }
    }

    /// Bytes of data that an answer brings: in gRPC a message has five before it.
    #[must_use]
    pub fn data(self) -> usize {
        if self.grpc { self.body + 5 } else { self.body }
    }

    /// What is wrong with it, if anything.
    #[must_use]
    pub fn mistake(self) -> Option<&'static str> {
        if self.fresh && self.streams > 0 {
            return Some("`streams` share a connection: they cannot be `fresh`");
        }
        if self.grpc && self.streams == 0 {
            return Some("`grpc` needs `streams`");
        }
        (self.resumed && !(self.fresh && self.tls)).then_some("`resumed` needs `fresh` and `tls`")
    }

    /// As the traffic processes take it on their command line.
    ///
    /// # Panics
    /// Never: numbers and truth values always have a form.
    #[must_use]
    pub fn to_word(self) -> String {
        #[allow(clippy::expect_used, reason = "numbers and truth values always have a form")]
        serde_json::to_string(&self).expect("plain values")
    }

    /// What [`Self::to_word`] wrote.
    ///
    /// # Errors
    /// It is something else.
    pub fn from_word(word: &str) -> Result<Self, String> {
        serde_json::from_str(word).map_err(|error| error.to_string())
    }
}

/// What a candidate has to do beside carrying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Nothing: no log, no figures, one way for all.
    Bare,
    /// What an operator would have: a record of each session or request in a file or a pipe,
    /// figures that can be asked for, an access list, and twenty routes.
    Dressed,
}

impl Form {
    /// As in names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Dressed => "dressed",
        }
    }

    /// Routes, the one that is taken included.
    #[must_use]
    pub fn routes(self) -> usize {
        match self {
            Self::Bare => 1,
            Self::Dressed => 20,
        }
    }
}

/// What a case has several counts of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// Threads, or processes, that carry traffic.
    Workers,
    /// Addresses that traffic goes to.
    Endpoints,
    /// Routes, of which the last is taken.
    Routes,
}

/// Steps of a case: each candidate is measured with each count, in the same rounds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// What of.
    pub of: Of,
    /// How many; the first is what the others are compared with.
    pub counts: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_cannot_be_are_told() {
        let mistake = |http: Http| http.mistake().unwrap_or_default();
        assert_eq!(mistake(Http::SMALL), "");
        assert!(mistake(Http { fresh: true, streams: 1, ..Http::SMALL }).contains("fresh"));
        assert!(mistake(Http { grpc: true, ..Http::SMALL }).contains("streams"));
        assert!(mistake(Http { resumed: true, fresh: true, ..Http::SMALL }).contains("tls"));
    }

    #[test]
    fn endpoints_speak_less_than_candidates() {
        let http = Http { tls: true, streams: 8, ..Http::SMALL };
        assert_eq!(http.behind(), Http::SMALL);
        let grpc = Http { grpc: true, ..http };
        assert_eq!((grpc.behind().streams, grpc.behind().tls), (8, false));
        assert_eq!((http.data(), grpc.data()), (100, 105));
    }

    #[test]
    fn works_are_called_alike_on_both_ways() {
        for work in Work::value_variants() {
            let word = work.to_possible_value().map(|value| value.get_name().to_owned());
            let read: Option<Work> = word.and_then(|word| serde_json::from_value(word.into()).ok());
            assert_eq!(read, Some(*work));
        }
    }
}
