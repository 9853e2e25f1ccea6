//! The record of an exchange: one HTTP request and its response.

use super::End;
use super::record::milliseconds;
use crate::pool::{Endpoint, Pool};
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Everything that the log tells of one exchange.
#[derive(Debug)]
pub struct Exchange {
    /// Its id, which also stands in what the endpoint gets where the configuration says so.
    pub id: String,
    /// The listener's name.
    pub listener: Arc<str>,
    /// The client, as the PROXY header names it where one came.
    pub client: SocketAddr,
    /// Who really connected, where a PROXY header named another.
    pub peer: Option<SocketAddr>,
    /// The address that the client connected to.
    pub local: SocketAddr,
    /// Server name of the TLS connection.
    pub server_name: Option<Arc<str>>,
    /// Version and cipher suite of the TLS connection.
    pub tls: Option<(&'static str, Arc<str>)>,
    /// `HTTP/1.1`
    pub version: &'static str,
    /// The method; empty where no head came.
    pub method: String,
    /// The authority that the request names.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// The status that the client got; 0: none.
    pub status: u16,
    /// The pool that a route gave it.
    pub pool: Option<Arc<Pool>>,
    /// The endpoint that answered, or was tried last.
    pub endpoint: Option<Arc<Endpoint>>,
    /// Endpoints that were dialled or asked over a kept connection.
    pub tries: u32,
    /// The last try went over a kept connection.
    pub reused: bool,
    /// The number of the exchange on its connection, from 1.
    pub number: u64,
    /// How long its parts took.
    pub times: ExchangeTimes,
    /// Bytes of the request's body and of the response with its head, as the client's side saw them.
    pub bytes: (u64, u64),
    /// How it ended.
    pub end: End,
}

/// How long the parts of an exchange took.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExchangeTimes {
    /// From the first byte of the request until its head was complete.
    pub head: Duration,
    /// Waiting for endpoints at their limit.
    pub queue: Duration,
    /// Until a connection to an endpoint stood.
    pub dial: Duration,
    /// From the request's last byte of the head sent until the response's head.
    pub answer: Option<Duration>,
    /// From the first byte of the request to the last of the response.
    pub total: Duration,
}

#[derive(Serialize)]
struct Json<'a> {
    event: &'static str,
    id: &'a str,
    listener: &'a str,
    client: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    local: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cipher: Option<&'a str>,
    version: &'static str,
    method: &'a str,
    host: &'a str,
    target: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<SocketAddr>,
    ended_by: &'static str,
    step: &'static str,
    reason: &'a str,
    letters: &'static str,
    tries: u32,
    reused: bool,
    number: u64,
    ms: Milliseconds,
    bytes: Bytes,
}

#[derive(Serialize)]
struct Milliseconds {
    head: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<f64>,
    dial: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<f64>,
    total: f64,
}

#[derive(Serialize)]
struct Bytes {
    up: u64,
    down: u64,
}

impl Exchange {
    /// The record as JSON, for the log writer's thread.
    pub(super) fn to_json(&self) -> impl Serialize + '_ {
        let times = self.times;
        Json {
            event: "exchange",
            id: &self.id,
            listener: &self.listener,
            client: self.client,
            peer: self.peer,
            local: self.local,
            sni: self.server_name.as_deref(),
            tls: self.tls.as_ref().map(|tls| tls.0),
            cipher: self.tls.as_ref().map(|tls| &*tls.1),
            version: self.version,
            method: &self.method,
            host: &self.host,
            target: &self.target,
            status: self.status,
            pool: self.pool.as_ref().map(|pool| pool.name()),
            endpoint: self.endpoint.as_ref().map(|endpoint| endpoint.address()),
            ended_by: self.end.who.name(),
            step: self.end.step.name(),
            reason: &self.end.reason,
            letters: self.end.letters_as_text(),
            tries: self.tries,
            reused: self.reused,
            number: self.number,
            ms: Milliseconds {
                head: milliseconds(times.head),
                queue: (!times.queue.is_zero()).then(|| milliseconds(times.queue)),
                dial: milliseconds(times.dial),
                answer: times.answer.map(milliseconds),
                total: milliseconds(times.total),
            },
            bytes: Bytes { up: self.bytes.0, down: self.bytes.1 },
        }
    }

    /// Whether it ended as exchanges should: answered, and not by an error of ours.
    pub(super) fn ended_well(&self) -> bool {
        self.end.letters() == *b"--" && self.status < 500
    }
}
