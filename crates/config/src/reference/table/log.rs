//! Keys of the log.

use super::{LOG_EVENTS_SECTION, LOG_SECTION};
use crate::plan::Facility;
use crate::reference::{Default, Key, Kind};

/// `[log]`
pub static LOG: Key = Key {
    name: "log",
    kind: Kind::Table(&LOG_SECTION),
    default: Default::Words("the defaults of its keys"),
    help: "Where records of sessions and events go (`docs/logs.md`).",
};

/// Places of the log.
pub static LOG_TARGET: Key = Key {
    name: "target",
    kind: Kind::List(&Kind::LogTarget),
    default: Default::Value("\"stderr\""),
    help: "Standard error, the journal, a file that is appended to (opened anew on SIGUSR1), or a \
           syslog; several get the same lines, and none waits for another.",
};

/// Form of records.
pub static LOG_FORMAT: Key = Key {
    name: "format",
    kind: Kind::Choice(&["json", "tcplog"]),
    default: Default::Value("\"json\""),
    help: "How the record of a session looks; `tcplog`: as HAProxy writes it with `option tcplog`.",
};

/// Records of sessions.
pub static LOG_SESSIONS: Key = Key {
    name: "sessions",
    kind: Kind::Boolean,
    default: Default::Value("true"),
    help: "Whether sessions leave a record, each at its end; events are always written.",
};

/// Sampling.
pub static LOG_SAMPLE: Key = Key {
    name: "sample",
    kind: Kind::Fraction,
    default: Default::Value("1.0"),
    help: "Of sessions that ended well, how many leave a record: 0.1 for one of ten, 0 for none. \
           Every other session leaves one.",
};

/// Facility.
pub static LOG_FACILITY: Key = Key {
    name: "facility",
    kind: Kind::Choice(&Facility::NAMES),
    default: Default::Value("\"daemon\""),
    help: "The facility that lines bear at a syslog and in the journal.",
};

/// Head of a line.
pub static LOG_SYSLOG: Key = Key {
    name: "syslog",
    kind: Kind::Choice(&["rfc5424", "rfc3164"]),
    default: Default::Words("`rfc5424` over UDP and TCP; `rfc3164` at a unix socket"),
    help: "What stands before a message at a syslog. What reads `/dev/log` expects `rfc3164`, and so \
           do tools that parse HAProxy's lines.",
};

/// Name of the program.
pub static LOG_TAG: Key = Key {
    name: "tag",
    kind: Kind::Label,
    default: Default::Words("the program's name"),
    help: "What the program is called in lines that say so; `haproxy` for what looks for that.",
};

/// `[log.events]`
pub static LOG_EVENTS: Key = Key {
    name: "events",
    kind: Kind::Table(&LOG_EVENTS_SECTION),
    default: Default::Words("as the records of sessions"),
    help: "Where events go, if elsewhere: verdicts, limits, reloads, start and stop.",
};

/// Places of events.
pub static LOG_EVENTS_TARGET: Key = Key {
    name: "target",
    kind: Kind::List(&Kind::LogTarget),
    default: Default::Words("as in `log`"),
    help: "As in `log`.",
};

/// Form of events.
pub static LOG_EVENTS_FORMAT: Key = Key {
    name: "format",
    kind: Kind::Choice(&["json", "words"]),
    default: Default::Words("`json`, or `words` beside `tcplog`"),
    help: "How an event looks.",
};

/// Facility of events.
pub static LOG_EVENTS_FACILITY: Key = Key {
    name: "facility",
    kind: Kind::Choice(&Facility::NAMES),
    default: Default::Words("as in `log`"),
    help: "The facility that events bear.",
};
