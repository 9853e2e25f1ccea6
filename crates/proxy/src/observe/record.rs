//! The finish record: one per session, filled in as the session goes, written once.

use super::End;
use super::metrics::ListenerCells;
use crate::pool::{Endpoint, Pool};
use eclusa_sys::tcp_info::TcpInfo;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Identifies a session in logs and in PROXY headers: the run of the program, then a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionId {
    pub(crate) run: u64,
    pub(crate) number: u64,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.run, self.number)
    }
}

/// What the preamble saw where it looked for a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hello {
    /// It did not look.
    Unasked,
    /// A complete one.
    Complete,
    /// Bytes that are no TLS.
    NotTls,
    /// Larger than 16 KiB: passed on unread.
    Oversized,
    /// Not as the RFC has it: passed on unread.
    Malformed(&'static str),
    /// The client said nothing in time.
    Silent,
}

impl Hello {
    fn name(self) -> Option<Cow<'static, str>> {
        match self {
            Self::Unasked | Self::Complete => None,
            Self::NotTls => Some("not TLS".into()),
            Self::Oversized => Some("oversized".into()),
            Self::Malformed(why) => Some(format!("malformed: {why}").into()),
            Self::Silent => Some("silent".into()),
        }
    }
}

/// What is known of a session before it ends: how it was set up. A session at rest carries this about.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) id: SessionId,
    pub(crate) listener: Arc<str>,
    /// Where sessions of the listener are counted.
    pub(crate) cells: Arc<ListenerCells>,
    /// The client, as the PROXY header names it where one came.
    pub(crate) client: SocketAddr,
    /// Who really connected, where a PROXY header named another.
    pub(crate) peer: Option<Box<SocketAddr>>,
    pub(crate) local: SocketAddr,
    pub(crate) hello: Hello,
    pub(crate) server_name: Option<Box<str>>,
    pub(crate) alpn: Option<Box<[u8]>>,
    pub(crate) pool: Option<Arc<Pool>>,
    pub(crate) endpoint: Option<Arc<Endpoint>>,
    pub(crate) tries: u32,
    /// Its first flight was sent to a second endpoint.
    pub(crate) replayed: bool,
    pub(crate) accepted: Instant,
    pub(crate) preamble: Duration,
    /// Waiting for endpoints at their limit.
    pub(crate) queue: Duration,
    /// Dialling, without the time in the queue.
    pub(crate) dial: Duration,
}

// What a session at rest costs is a promise (SPECIFICATION.md).
const _: () = assert!(size_of::<Opening>() <= 256);

/// Everything that the log tells of one session that has ended.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) opening: Box<Opening>,
    /// From accept until the endpoint's first byte.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) total: Duration,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    /// What the kernel knew of the client's connection and the endpoint's when the relay ended.
    pub(crate) tcp: [Option<TcpSide>; 2],
    pub(crate) end: Option<End>,
}

#[derive(Serialize)]
struct Json<'a> {
    event: &'static str,
    id: String,
    listener: &'a str,
    client: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    local: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    hello: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpn: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<SocketAddr>,
    ended_by: &'static str,
    step: &'static str,
    reason: &'a str,
    letters: &'a str,
    tries: u32,
    #[serde(skip_serializing_if = "is_false")]
    replayed: bool,
    ms: Milliseconds,
    bytes: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<Tcp>,
}

#[derive(Serialize)]
struct Milliseconds {
    preamble: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<f64>,
    dial: f64,
    total: f64,
}

#[derive(Serialize)]
struct Bytes {
    up: u64,
    down: u64,
}

#[derive(Serialize)]
struct Tcp {
    client: Option<TcpSide>,
    endpoint: Option<TcpSide>,
}

/// What the log tells of one TCP connection.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct TcpSide {
    pub(super) rtt_us: u32,
    pub(super) retransmits: u32,
}

impl From<&TcpInfo> for TcpSide {
    fn from(info: &TcpInfo) -> Self {
        let rtt_us = u32::try_from(info.rtt.as_micros()).unwrap_or(u32::MAX);
        Self { rtt_us, retransmits: info.retransmits }
    }
}

impl Deref for Record {
    type Target = Opening;

    fn deref(&self) -> &Opening {
        &self.opening
    }
}

impl Record {
    /// Of a session that ends. Whoever ends it adds what is known of it, and the time when it is over.
    pub(crate) fn of(opening: Box<Opening>) -> Self {
        Self {
            first_byte: None,
            total: Duration::ZERO,
            bytes_up: 0,
            bytes_down: 0,
            tcp: Default::default(),
            end: None,
            opening,
        }
    }

    /// The record as JSON, for the log writer's thread.
    pub(super) fn to_json(&self) -> impl Serialize + '_ {
        let end = self.end.as_ref();
        Json {
            event: "session",
            id: self.id.to_string(),
            listener: &self.listener,
            client: self.client,
            peer: self.peer.as_deref().copied(),
            local: self.local,
            hello: self.hello.name(),
            sni: self.server_name.as_deref(),
            alpn: self.alpn.as_deref().map(String::from_utf8_lossy),
            pool: self.pool.as_ref().map(|pool| pool.name()),
            endpoint: self.endpoint.as_ref().map(|endpoint| endpoint.address()),
            ended_by: end.map_or("proxy", |end| end.who.name()),
            step: end.map_or("data", |end| end.step.name()),
            reason: end.map_or("", |end| &end.reason),
            letters: self.letters(),
            tries: self.tries,
            replayed: self.replayed,
            ms: Milliseconds {
                preamble: milliseconds(self.preamble),
                queue: (!self.queue.is_zero()).then(|| milliseconds(self.queue)),
                dial: milliseconds(self.dial),
                total: milliseconds(self.total),
            },
            bytes: Bytes { up: self.bytes_up, down: self.bytes_down },
            tcp: self.tcp(),
        }
    }

    fn letters(&self) -> &'static str {
        self.end.as_ref().map_or("--", End::letters_as_text)
    }

    fn tcp(&self) -> Option<Tcp> {
        let [client, endpoint] = self.tcp;
        (client.is_some() || endpoint.is_some()).then_some(Tcp { client, endpoint })
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Milliseconds with three digits behind the point.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
