//! The record of an exchange: one HTTP request and its response.

use super::End;
use super::SessionId;
use super::log::{Object, key, quoted};
use crate::pool::{Endpoint, Pool};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The memory that a text of a record that was written may keep for the next.
const TEXT_KEPT: usize = 512;

/// Identifies an exchange: its connection, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeId {
    pub(crate) session: SessionId,
    pub(crate) number: u64,
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.session, self.number)
    }
}

/// Everything that the log tells of one exchange.
#[derive(Debug)]
pub struct Exchange {
    /// Its id, which also stands in what the endpoint gets where the configuration says so.
    pub id: ExchangeId,
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
    /// Header fields of the request that the configuration wants in the log, with their names in lower
    /// case.
    pub headers: Vec<(Arc<str>, String)>,
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

impl Exchange {
    /// Writes the record as JSON, for the log.
    pub(super) fn write_json(&self, object: &mut Object<'_>) {
        object.word(quoted!("event"), "exchange");
        object.exchange(quoted!("id"), self.id);
        object.text(key!("listener"), &self.listener);
        object.address(quoted!("client"), self.client);
        if let Some(peer) = self.peer {
            object.address(quoted!("peer"), peer);
        }
        object.address(quoted!("local"), self.local);
        if let Some(sni) = &self.server_name {
            object.text(key!("sni"), sni);
        }
        if let Some((version, cipher)) = &self.tls {
            object.word(quoted!("tls"), version);
            object.text(key!("cipher"), cipher);
        }
        object.word(quoted!("version"), self.version);
        object.text(key!("method"), &self.method);
        object.text(key!("host"), &self.host);
        object.text(key!("target"), &self.target);
        let there = || self.headers.iter().filter(|(_, value)| !value.is_empty());
        if there().next().is_some() {
            let headers = there().map(|(name, value)| (&**name, value.as_str()));
            object.texts(key!("headers"), headers);
        }
        object.number(key!("status"), self.status.into());
        if let Some(pool) = &self.pool {
            object.text(key!("pool"), pool.name());
        }
        if let Some(endpoint) = &self.endpoint {
            object.address(quoted!("endpoint"), endpoint.address());
        }
        object.word(quoted!("ended_by"), self.end.who.name());
        object.word(quoted!("step"), self.end.step.name());
        object.text(key!("reason"), &self.end.reason);
        object.word(quoted!("letters"), self.end.letters_as_text());
        object.number(key!("tries"), self.tries.into());
        object.truth(key!("reused"), self.reused);
        object.number(key!("number"), self.id.number);
        let times = &self.times;
        object.milliseconds(key!("ms", "head"), times.head);
        if !times.queue.is_zero() {
            object.milliseconds(key!("queue"), times.queue);
        }
        object.milliseconds(key!("dial"), times.dial);
        if let Some(answer) = times.answer {
            object.milliseconds(key!("answer"), answer);
        }
        object.milliseconds(key!("total"), times.total);
        object.end();
        object.number(key!("bytes", "up"), self.bytes.0);
        object.number(key!("down"), self.bytes.1);
        object.end();
    }

    /// Lets go of what it tells of; its texts keep their memory, unless they have grown unusually
    /// long.
    pub fn forget(&mut self) {
        (self.pool, self.endpoint, self.server_name, self.tls) = (None, None, None, None);
        self.headers.clear();
        for text in [&mut self.method, &mut self.host, &mut self.target] {
            text.clear();
            text.shrink_to(TEXT_KEPT);
        }
    }

    /// Whether it ended as exchanges should: answered, and not by an error of ours.
    pub(super) fn ended_well(&self) -> bool {
        self.end.letters() == *b"--" && self.status < 500
    }
}
