//! What happened: one finish record per session, events, and the writer that never blocks a worker.

mod end;
mod log;
mod record;

pub(crate) use end::{End, Step, Who};
pub(crate) use log::{Line, Logger, Writer};
pub(crate) use record::{Hello, Record, SessionId, TcpSide};

use serde::{Serialize, Serializer};

/// Something worth telling that is no session: verdicts, limits, start and stop.
#[derive(Debug)]
pub(crate) struct Event {
    /// What kind of event: a word to filter by.
    kind: &'static str,
    /// The event in words.
    message: String,
    /// What it is about, for machines; fields of the line beside the two above.
    about: serde_json::Map<String, serde_json::Value>,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let head = [("event", self.kind), ("message", &self.message)];
        let head = head.map(|(key, text)| (key.to_owned(), text.into()));
        serializer.collect_map(head.into_iter().chain(self.about.clone()))
    }
}

impl Event {
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), about: serde_json::Map::new() }
    }

    pub(crate) fn about(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        self.about.insert(key.to_owned(), value.into());
        self
    }
}
