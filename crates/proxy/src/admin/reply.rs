//! What comes of a request.

use super::{
    DrillReport, EndpointStatus, EventTable, Explanation, Moment, PlanReport, RefusedTable,
    SaveReport, StatusReport, UnconfirmedStatus,
};
use serde::{Deserialize, Serialize, Serializer};
use std::net::SocketAddr;

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// Done.
    Done,
    /// It was right, but could not be done: a broken file, a port in use, a session that has ended.
    Failed,
    /// The request is wrong: an unknown command, a value out of range, a pool that is not there.
    Wrong,
    /// A guard refused it, which `force` passes by.
    Refused,
}

impl Outcome {
    /// The exit code of the client.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Wrong => 2,
            Self::Refused => 3,
        }
    }

    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Wrong => "wrong",
            Self::Refused => "refused",
        }
    }
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// What came of it.
    pub(crate) outcome: Outcome,
    /// The answer in lines for people, without line ends.
    pub(crate) messages: Vec<String>,
    /// The answer for programs.
    pub(crate) data: Data,
    /// What was so before, and what is so now: for the log, where a request has changed something.
    pub(crate) changed: Option<(String, String)>,
}

impl Reply {
    /// It was done.
    pub(crate) fn done(data: Data) -> Self {
        Self { outcome: Outcome::Done, messages: Vec::new(), data, changed: None }
    }

    /// It was not done, for this reason.
    pub(crate) fn not_done(outcome: Outcome, message: impl Into<String>) -> Self {
        Self { outcome, messages: vec![message.into()], data: Data::None, changed: None }
    }

    /// With what it has changed, for the log.
    pub(crate) fn changed(mut self, before: impl Into<String>, after: impl Into<String>) -> Self {
        self.changed = Some((before.into(), after.into()));
        self
    }

    /// With one more line for people.
    pub(crate) fn line(mut self, message: impl Into<String>) -> Self {
        self.messages.push(message.into());
        self
    }
}

/// The answer for programs; its form follows from the command.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// Nothing.
    None,
    /// To `reload`.
    Reload(Box<ReloadReport>),
    /// To `status`.
    Status(Box<StatusReport>),
    /// To `session list`.
    Sessions(Box<SessionTable>),
    /// To `session show`.
    Session(Box<Session>),
    /// To `session close`.
    Closed(Box<Closed>),
    /// To the orders about an endpoint: how it is now.
    Endpoint(Box<EndpointStatus>),
    /// To `drill start`, `drill stop`, `drill show`.
    Drill(Box<DrillReport>),
    /// To `plan`.
    Plan(Box<PlanReport>),
    /// To `explain`.
    Explanation(Box<Explanation>),
    /// To `errors`.
    Refused(Box<RefusedTable>),
    /// To `events`.
    Events(Box<EventTable>),
    /// To `save`.
    Saved(Box<SaveReport>),
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_none(),
            Self::Reload(data) => data.serialize(serializer),
            Self::Status(data) => data.serialize(serializer),
            Self::Sessions(data) => data.serialize(serializer),
            Self::Session(data) => data.serialize(serializer),
            Self::Closed(data) => data.serialize(serializer),
            Self::Endpoint(data) => data.serialize(serializer),
            Self::Drill(data) => data.serialize(serializer),
            Self::Plan(data) => data.serialize(serializer),
            Self::Explanation(data) => data.serialize(serializer),
            Self::Refused(data) => data.serialize(serializer),
            Self::Events(data) => data.serialize(serializer),
            Self::Saved(data) => data.serialize(serializer),
        }
    }
}

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReloadReport {
    /// The generation of the configuration in force: 1 at the start, one more for each reload.
    pub(crate) generation: u64,
    /// What changed, one line each.
    pub(crate) changes: Vec<String>,
    /// What changed in the file and takes effect at a restart.
    pub(crate) after_restart: Vec<String>,
    /// Orders that ended because the file changed what they were about.
    pub(crate) dropped_overrides: Vec<String>,
    /// What is odd about the file.
    pub(crate) warnings: Vec<String>,
    /// Until when it must be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unconfirmed: Option<UnconfirmedStatus>,
    /// The file says something else than what is in force now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gone_back: Option<String>,
}

/// Sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionTable {
    /// How many fulfil what was asked for; more than are listed where the limit was met.
    pub(crate) matching: u64,
    /// The sessions, sorted as asked for.
    pub(crate) sessions: Vec<Session>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Its id, as in the log.
    pub(crate) id: String,
    /// The listener that it came to.
    pub(crate) listener: String,
    /// The worker that carries it, from 0.
    pub(crate) worker: usize,
    /// The client, as the PROXY header names it where one came and the session is set up.
    pub(crate) client: SocketAddr,
    /// The pool, once it is routed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pool: Option<String>,
    /// The name of its endpoint, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    /// Where that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<SocketAddr>,
    /// The server name that the client asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server_name: Option<String>,
    /// `setup`: from accept until it has an endpoint that took its first bytes; then `data`.
    pub(crate) step: String,
    /// When it was accepted.
    pub(crate) began: Moment,
    /// Seconds since it was accepted.
    pub(crate) age_seconds: u64,
    /// Seconds since a byte last moved, either way.
    pub(crate) idle_seconds: u64,
    /// Bytes from the client.
    pub(crate) bytes_up: u64,
    /// Bytes to the client.
    pub(crate) bytes_down: u64,
}

/// Sessions that were closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    /// How many.
    pub(crate) closed: u64,
    /// Ids that were named and are no session's (any more).
    pub(crate) not_found: Vec<String>,
}
