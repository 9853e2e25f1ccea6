//! How lines look: a file for each format, and the head that a syslog or a file wants before it.
//!
//! | file | what |
//! |---|---|
//! | `json`, `tcplog`, `httplog`, `words` | one format each: of sessions, exchanges, events |
//! | `head` | what stands before it, by where it goes |
//! | `object` | JSON written field by field |
//! | `fields` | the fields of an entry of the journal |
//! | `time` | when |
//! | `clean` | what no line may hold |
//!
//! No format ever writes a line feed or another control character, whatever a client sent.

mod clean;
mod fields;
mod head;
mod httplog;
mod json;
mod object;
mod tcplog;
mod time;
mod words;

pub(super) use head::{Head, Who};
pub(in crate::observe) use object::{Key, Object, key, quoted};
pub(crate) use tcplog::write_accept_date;

use super::live::Moment;
use super::{Event, Exchange, Line, Record, Severity};
use eclusa_config::plan::{EventFormat, Facility, LogOutput, SessionFormat};
use std::time::SystemTime;

/// The longest message, in bytes; it fits into a datagram with all that stands before it. A session's
/// is always shorter.
const MESSAGE_MAX: usize = 32 * 1024;

/// How the lines of one output look.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) head: Head,
    pub(super) sessions: (SessionFormat, Facility),
    pub(super) events: (EventFormat, Facility),
    pub(super) who: Who,
}

/// What a line is, for its head.
#[derive(Clone, Copy, Debug)]
struct Class {
    at: SystemTime,
    kind: &'static str,
    severity: Severity,
    facility: Facility,
    /// It brings its own time.
    is_json: bool,
}

impl Layout {
    pub(super) fn new(output: &LogOutput, head: Head, who: Who) -> Self {
        Self {
            head,
            // What a sink does not want never comes to its layout.
            sessions: output.sessions.unwrap_or((SessionFormat::Json, <_>::default())),
            events: output.events.unwrap_or((EventFormat::Json, <_>::default())),
            who,
        }
    }

    /// Writes a line, without anything that ends it.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        at: SystemTime,
        line: Line<'_>,
        moment: &mut Moment,
    ) {
        let class = self.class(at, line);
        self.head.write(out, &self.who, class);
        let begin = out.len();
        match line {
            Line::Session(record) => self.write_session(out, at, record, moment),
            Line::Exchange(exchange) => self.write_exchange(out, at, exchange, moment),
            Line::Event(event) => self.write_event(out, at, event),
        }
        if out.len() - begin > MESSAGE_MAX {
            out.truncate(begin);
            let short = Event::new(class.kind, "too long to be written");
            self.write_event(out, at, &short);
        }
        if matches!(self.head, Head::Journal) {
            fields::write(out, line);
        }
    }

    fn class(&self, at: SystemTime, line: Line<'_>) -> Class {
        match line {
            Line::Session(record) => Class {
                at,
                kind: "session",
                severity: Severity::of_session(record),
                facility: self.sessions.1,
                is_json: self.sessions.0 == SessionFormat::Json,
            },
            Line::Exchange(_) => Class {
                at,
                kind: "exchange",
                severity: Severity::Info,
                facility: self.sessions.1,
                is_json: self.sessions.0 == SessionFormat::Json,
            },
            Line::Event(event) => Class {
                at,
                kind: event.kind,
                severity: event.severity.unwrap_or_else(|| Severity::of_event(event)),
                facility: self.events.1,
                is_json: self.events.0 == EventFormat::Json,
            },
        }
    }

    fn write_session(
        &self,
        out: &mut Vec<u8>,
        at: SystemTime,
        record: &Record,
        moment: &mut Moment,
    ) {
        match self.sessions.0 {
            SessionFormat::Json => json::write(out, at, &record.to_json()),
            SessionFormat::Tcplog => tcplog::write(out, at, record, moment),
        }
    }

    fn write_exchange(
        &self,
        out: &mut Vec<u8>,
        at: SystemTime,
        exchange: &Exchange,
        moment: &mut Moment,
    ) {
        match self.sessions.0 {
            SessionFormat::Json => json::write_with(out, at, |object| exchange.write_json(object)),
            SessionFormat::Tcplog => httplog::write(out, at, exchange, moment),
        }
    }

    fn write_event(&self, out: &mut Vec<u8>, at: SystemTime, event: &Event) {
        match self.events.0 {
            EventFormat::Json => json::write(out, at, event),
            EventFormat::Words => words::write(out, event),
        }
    }
}
