//! The keeper's own lines on standard error: events in the format of the engine's log.

use serde_json::{Map, Value};
use std::io::Write;
use std::time::SystemTime;

/// One line, about to be written.
pub(super) struct Line(Map<String, Value>);

impl Line {
    /// An event of a kind, in words.
    pub(super) fn new(kind: &str, message: impl Into<String>) -> Self {
        let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let message = message.into();
        let fields = [("ts", now), ("event", kind.to_owned()), ("message", message)];
        Self(fields.into_iter().map(|(key, text)| (key.to_owned(), text.into())).collect())
    }

    /// What it is about, for machines.
    pub(super) fn about(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// Writes it, in one call: the engine writes to the same place.
    pub(super) fn write(self) {
        let line = format!("{}\n", Value::Object(self.0));
        // Nobody is left to be told.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}
