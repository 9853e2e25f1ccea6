//! How grave a line is, in the numbers of syslog (RFC 5424, section 6.2.1).

use super::{Event, Record};

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// No endpoint is well, or all of them seem to fall together.
    Critical = 2,
    /// Something was asked for and cannot be done.
    Error = 3,
    /// Somebody should look.
    Warning = 4,
    /// Something changed.
    Notice = 5,
    /// The everyday.
    Info = 6,
}

impl Severity {
    /// Its name there.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
        }
    }

    /// Its number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// Of a session: what this host lacked deserves a look, all else is everyday.
    pub(super) fn of_session(record: &Record) -> Self {
        let shortage = |letters: [u8; 2]| letters[0] == b'R';
        if record.end.as_ref().is_some_and(|end| shortage(end.letters())) {
            Self::Warning
        } else {
            Self::Info
        }
    }

    /// Of an event of a kind that says nothing of its own.
    pub(super) fn of_event(event: &Event) -> Self {
        let holds = |key: &str| event.about.get(key).is_some_and(|value| *value == true);
        let is = |key: &str, word: &str| event.about.get(key).is_some_and(|value| *value == word);
        match event.kind {
            "panic" | "correlated" if holds(event.kind) => Self::Critical,
            "verdict" if !is("verdict", "up") => Self::Warning,
            "drill" if holds("on") => Self::Warning,
            "resets" if holds("resetting") => Self::Warning,
            "last_good_config" => Self::Error,
            "warning" | "limit" | "flood" | "certificate" | "list_refused" => Self::Warning,
            _ => Self::Notice,
        }
    }
}
