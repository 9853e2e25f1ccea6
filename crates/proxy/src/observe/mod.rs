//! What happened: one finish record per session, events, and the writers that never block a worker.

mod end;
mod exchange;
pub(crate) mod http;
mod log;
pub mod metrics;
mod recent;
mod record;
mod refusals;
mod severity;
pub(crate) mod view;

pub(crate) use end::HOWS;
pub use end::{End, Step, Who};
pub use exchange::{Exchange, ExchangeId, ExchangeTimes};
pub(crate) use log::{Live, Logger, Writer, write_accept_date};
pub(crate) use recent::{FOLLOWERS as MAX_FOLLOWERS, Follower, Happened, Recent};
pub(crate) use record::{Hello, Opening, Record, SessionId, TcpSide};
pub(crate) use refusals::{Kept, Origin, Refusals};
pub use refusals::{Part, Refusal};
pub(crate) use severity::Severity;
pub(crate) use view::{Face, Faces, View};

use serde::{Serialize, Serializer};
use serde_json::Value;

/// The longest text in an event, in bytes: what others say (an error, the answer of a probe) does
/// not make a line too long for a datagram.
const TEXT_MAX: usize = 1_024;
/// The longest list in an event.
const LIST_MAX: usize = 32;

/// Something worth telling that is no session: verdicts, limits, start and stop.
#[derive(Debug)]
pub(crate) struct Event {
    /// What kind of event: a word to filter by.
    kind: &'static str,
    /// The event in words.
    message: String,
    severity: Option<Severity>,
    /// What it is about, for machines; fields of the line beside the two above.
    about: serde_json::Map<String, Value>,
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
        let mut message = message.into();
        cut(&mut message);
        Self { kind, message, severity: None, about: serde_json::Map::new() }
    }

    pub(crate) fn about(mut self, key: &str, value: impl Into<Value>) -> Self {
        let mut value = value.into();
        bound(&mut value);
        self.about.insert(key.to_owned(), value);
        self
    }

    /// How grave it is, where its kind does not say so.
    pub(crate) fn severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }
}

/// Cuts texts and lists.
fn bound(value: &mut Value) {
    match value {
        Value::String(text) => cut(text),
        Value::Array(items) => {
            items.truncate(LIST_MAX);
            items.iter_mut().for_each(bound);
        }
        _ => {}
    }
}

fn cut(text: &mut String) {
    if text.len() > TEXT_MAX {
        text.truncate(text.floor_char_boundary(TEXT_MAX));
        text.push('…');
    }
}
