//! What clients record, and its sum.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Records, and sessions, that one client keeps at most: hours of a fast one.
const KEPT: usize = 1_000_000;

/// Where a request stood when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Waited for the connection.
    Connect,
    /// Waited for the TLS handshake.
    Tls,
    /// Waited for the head of the answer.
    Head,
    /// Waited for the rest of the answer.
    Body,
}

/// How a request or a session ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// In good order, with a status below 400.
    Ok,
    /// A whole answer with this status, 400 or more.
    Status(u16),
    /// The connection was refused.
    Refused,
    /// No route, or the network is down.
    Unreachable,
    /// A reset.
    Reset,
    /// The other end closed too early.
    Closed,
    /// It took too long.
    Timeout,
    /// TLS failed, in words.
    Tls(String),
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Status(code) => write!(f, "status {code}"),
            Self::Refused => f.write_str("refused"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Reset => f.write_str("reset"),
            Self::Closed => f.write_str("closed"),
            Self::Timeout => f.write_str("timeout"),
            Self::Tls(why) => write!(f, "tls: {why}"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

/// A request that has brought no answer: where it stood, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Where it stood.
    pub step: Step,
    /// How it ended.
    pub outcome: Outcome,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} while waiting for {:?}", self.outcome, self.step)
    }
}

impl std::error::Error for Failed {}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// When it began, since the client's start.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
    /// Who answered (`x-master`).
    pub master: Option<String>,
    /// The session it ran on, an index into the client's sessions; `None`: it never got one.
    pub session: Option<usize>,
    /// Where it stood when it ended ([`Step::Body`] for a whole answer).
    pub step: Step,
    /// How it ended.
    pub outcome: Outcome,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// When it was ready for requests, since the client's start.
    pub at: Duration,
    /// Who answers at its other end (`x-master`), once that is known.
    pub master: Option<String>,
    /// Answers it has brought.
    pub answers: u64,
    /// Requests on it that another master answered: always zero, or a balancer has mixed two
    /// sessions up.
    pub strays: u64,
    /// When and how it ended; `None`: it stands.
    pub end: Option<(Duration, Outcome)>,
}

/// The records of one client, shared with its thread.
#[derive(Clone, Debug)]
pub(super) struct Log(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    records: Mutex<Vec<Record>>,
    sessions: Mutex<Vec<Session>>,
}

/// A panic elsewhere has its own message: the records stay readable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    pub(super) fn new() -> Self {
        let (records, sessions) = Default::default();
        Self(Arc::new(Inner { start: Instant::now(), records, sessions }))
    }

    pub(super) fn now(&self) -> Duration {
        self.0.start.elapsed()
    }

    pub(super) fn records(&self) -> Vec<Record> {
        lock(&self.0.records).clone()
    }

    pub(super) fn ended(&self) -> usize {
        lock(&self.0.records).len()
    }

    pub(super) fn sessions(&self) -> Vec<Session> {
        lock(&self.0.sessions).clone()
    }

    /// Notes a request; the session learns from it who is at its other end.
    pub(super) fn note(&self, record: Record) {
        if let (Some(session), Some(master)) = (record.session, &record.master)
            && let Some(session) = lock(&self.0.sessions).get_mut(session)
        {
            session.answers += 1;
            session.strays += u64::from(session.master.get_or_insert(master.clone()) != master);
        }
        let mut records = lock(&self.0.records);
        if records.len() < KEPT {
            records.push(record);
        }
    }

    /// Notes a new session and returns its index; too many are numbered, but not kept.
    pub(super) fn open(&self) -> usize {
        let at = self.now();
        let mut sessions = lock(&self.0.sessions);
        if sessions.len() < KEPT {
            sessions.push(Session { at, master: None, answers: 0, strays: 0, end: None });
            return sessions.len() - 1;
        }
        KEPT
    }

    /// Notes the end of a session, the first time it is told.
    pub(super) fn close(&self, session: usize, outcome: Outcome) {
        let now = self.now();
        if let Some(session) = lock(&self.0.sessions).get_mut(session) {
            session.end.get_or_insert((now, outcome));
        }
    }
}

/// Requests, summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// All that ended.
    pub requests: u64,
    /// Those that did not end as [`Outcome::Ok`].
    pub failed: u64,
    /// How many ended how (in the words of [`Outcome`]'s `Display`).
    pub outcomes: BTreeMap<String, u64>,
    /// How many each master answered, whatever the status.
    pub by_master: BTreeMap<String, u64>,
    /// The longest of all, failed or not.
    pub slowest: Duration,
    /// The median of those that ended well.
    pub median: Duration,
    /// The longest time between the ends of two requests that ended well.
    pub longest_outage: Duration,
}

impl Summary {
    /// Sums `records` up.
    #[must_use]
    pub fn of(records: &[Record]) -> Self {
        let mut summary = Self { requests: records.len() as u64, ..Self::default() };
        let (mut times, mut ends) = (Vec::new(), Vec::new());
        for record in records {
            *summary.outcomes.entry(record.outcome.to_string()).or_default() += 1;
            if let Some(master) = &record.master {
                *summary.by_master.entry(master.clone()).or_default() += 1;
            }
            summary.slowest = summary.slowest.max(record.took);
            if record.outcome == Outcome::Ok {
                times.push(record.took);
                ends.push(record.at + record.took);
            } else {
                summary.failed += 1;
            }
        }
        times.sort_unstable();
        ends.sort_unstable();
        summary.median = times.get(times.len() / 2).copied().unwrap_or_default();
        summary.longest_outage =
            ends.windows(2).map(|two| two[1] - two[0]).max().unwrap_or_default();
        summary
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, failed, outcomes, by_master, slowest, median, longest_outage } = self;
        write!(
            f,
            "{requests} requests, {failed} failed; median {median:?}, slowest {slowest:?}, longest \
             outage {longest_outage:?}; {outcomes:?}; answered by {by_master:?}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at: u64, took: u64, master: Option<&str>, outcome: Outcome) -> Record {
        let (at, took) = (Duration::from_millis(at), Duration::from_millis(took));
        let master = master.map(str::to_owned);
        Record { at, took, master, session: Some(0), step: Step::Body, outcome }
    }

    #[test]
    fn a_summary_counts_failures_masters_and_the_outage() {
        let summary = Summary::of(&[
            record(0, 10, Some("m1"), Outcome::Ok),
            record(100, 10, Some("m2"), Outcome::Ok),
            record(200, 500, None, Outcome::Timeout),
            record(300, 20, Some("m2"), Outcome::Status(500)),
            record(900, 30, Some("m2"), Outcome::Ok),
        ]);
        assert_eq!((summary.requests, summary.failed), (5, 2));
        assert_eq!(summary.by_master, BTreeMap::from([("m1".into(), 1), ("m2".into(), 3)]));
        assert_eq!(summary.outcomes["status 500"], 1);
        assert_eq!(summary.slowest, Duration::from_millis(500));
        assert_eq!(summary.median, Duration::from_millis(10));
        assert_eq!(summary.longest_outage, Duration::from_millis(930 - 110));
    }

    #[test]
    fn a_session_knows_its_master_and_strays() {
        let log = Log::new();
        assert_eq!(log.open(), 0);
        log.note(record(0, 1, Some("m1"), Outcome::Ok));
        log.note(record(1, 1, Some("m2"), Outcome::Ok));
        log.close(0, Outcome::Reset);
        log.close(0, Outcome::Ok);
        let session = &log.sessions()[0];
        assert_eq!(
            (session.master.as_deref(), session.answers, session.strays),
            (Some("m1"), 2, 1)
        );
        assert_eq!(session.end.as_ref().map(|(_, how)| how), Some(&Outcome::Reset));
    }
}
