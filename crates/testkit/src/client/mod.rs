//! Clients that record the fate of every session and request, to be started in the network
//! namespace where they belong (`host.enter(|| Client::kubelet(...))`).
//!
//! | client | does as | connection |
//! |---|---|---|
//! | [`Client::kubelet`] | a node: requests at a rate, every tenth a POST | one lasting HTTP/2 |
//! | [`Client::singles`] | `kubectl`: each request for itself | a new HTTP/1.1 one each |
//! | [`Watcher`] | a controller: one endless answer | one lasting, until it is cut |
//! | [`who_answers`], [`who_answers_http2`] | a look: one request, at once | one |
//! | [`upload`], [`download`], [`both_ways`] | the other side of [`crate::endpoint`] | the caller's |
//!
//! All keep their rate whatever happens (an open loop): a balancer that stalls shows as late
//! requests, not as fewer. They reconnect at once. Requests are not tried again, except those
//! that HTTP/2 says were never processed (GOAWAY, REFUSED_STREAM), as client-go does.

mod bytes;
mod connect;
mod kubelet;
mod record;
mod single;
mod watch;
mod who;

pub use bytes::{both_ways, download, upload};
pub use connect::Target;
pub use record::{Failed, Outcome, Record, Session, Step, Summary};
pub use watch::{WatchReport, WatchSettings, WatchedSession, Watcher};
pub use who::{Who, who_answers, who_answers_http2};

use crate::background::Background;
use crate::wait;
use record::Log;
use std::io;
use std::time::Duration;

/// Clients of one kind that run until this is dropped.
#[derive(Debug)]
pub struct Client {
    log: Log,
    _thread: Background,
}

impl Client {
    /// A node: `rate` requests a second on one lasting HTTP/2 connection, every tenth a POST,
    /// each given up after `deadline`. A connection on which a request has failed is left for a
    /// new one at once.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn kubelet(target: &Target, rate: f64, deadline: Duration) -> io::Result<Self> {
        let log = Log::new();
        let (target, for_thread) = (target.clone(), log.clone());
        let ((), thread) = Background::start("kubelet", move || {
            Ok(((), kubelet::run(target, rate, deadline, for_thread)))
        })?;
        Ok(Self { log, _thread: thread })
    }

    /// `rate` requests a second, each on a connection of its own (HTTP/1.1), which may take
    /// `deadline` from the first SYN to the last byte.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn singles(target: &Target, rate: f64, deadline: Duration) -> io::Result<Self> {
        let log = Log::new();
        let (target, for_thread) = (target.clone(), log.clone());
        let ((), thread) = Background::start("singles", move || {
            Ok(((), single::run(target, rate, deadline, for_thread)))
        })?;
        Ok(Self { log, _thread: thread })
    }

    /// Time since its start, the scale of all its records.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.log.now()
    }

    /// The requests that have ended so far, in the order of their ends.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.log.records()
    }

    /// Its connections so far.
    #[must_use]
    pub fn sessions(&self) -> Vec<Session> {
        self.log.sessions()
    }

    /// All requests so far, summed up.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::of(&self.log.records())
    }

    /// The requests that began at `from` (on the scale of [`Client::now`]) or later, summed up.
    #[must_use]
    pub fn summary_since(&self, from: Duration) -> Summary {
        let mut records = self.log.records();
        records.retain(|record| record.at >= from);
        Summary::of(&records)
    }

    /// Blocks until `requests` more have ended.
    ///
    /// # Panics
    /// When they have not within `limit`.
    #[track_caller]
    pub fn wait_for_more(&self, requests: usize, limit: Duration) {
        let goal = self.log.ended() + requests;
        wait::wait_until(limit, &format!("{requests} more requests"), || self.log.ended() >= goal);
    }

    /// Ends it and sums all up; what runs at this time is not counted.
    #[must_use]
    pub fn stop(self) -> Summary {
        let log = self.log.clone();
        drop(self);
        Summary::of(&log.records())
    }
}

#[cfg(test)]
mod tests;
