//! The plan of the log: what is told, in which words, to whom.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What is told, in which words, to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Where lines go; no two with the same target.
    pub outputs: Vec<LogOutput>,
    /// How many of a million sessions that ended well are told; all others are.
    pub sample: u32,
    /// What the program is called in lines that say so.
    pub tag: Arc<str>,
}

/// A million: every session is told.
pub const ALL_SESSIONS: u32 = 1_000_000;

impl Log {
    /// Everything as JSON, to one target.
    #[must_use]
    pub fn to(target: LogTarget) -> Self {
        let facility = Facility::default();
        let output = LogOutput {
            target,
            syslog: Syslog::Rfc5424,
            sessions: Some((SessionFormat::Json, facility)),
            events: Some((EventFormat::Json, facility)),
        };
        Self { outputs: vec![output], sample: ALL_SESSIONS, tag: "eclusa".into() }
    }

    /// Without records of sessions.
    #[must_use]
    pub fn without_sessions(mut self) -> Self {
        for output in &mut self.outputs {
            output.sessions = None;
        }
        self
    }

    /// Whether sessions leave a record anywhere.
    #[must_use]
    pub fn sessions(&self) -> bool {
        self.outputs.iter().any(|output| output.sessions.is_some())
    }

    /// The files that are written to.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.outputs.iter().filter_map(|output| match &output.target {
            LogTarget::File(path) => Some(path),
            _ => None,
        })
    }
}

/// One place that lines go to, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOutput {
    /// The place.
    pub target: LogTarget,
    /// The head of a line, where the target is a syslog.
    pub syslog: Syslog,
    /// How records of sessions look; `None`: they do not go there.
    pub sessions: Option<(SessionFormat, Facility)>,
    /// How events look; `None`: they do not go there.
    pub events: Option<(EventFormat, Facility)>,
}

/// The place that a log writer writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error.
    Stderr,
    /// The journal, at its socket.
    Journal(PathBuf),
    /// A file, appended to.
    File(PathBuf),
    /// A syslog on this host.
    Unix(PathBuf),
    /// A syslog that takes datagrams.
    Udp(SocketAddr),
    /// A syslog that takes connections.
    Tcp(SocketAddr),
}

/// Where the journal listens (systemd-journald.service(8)).
pub const JOURNAL: &str = "/run/systemd/journal/socket";

impl fmt::Display for LogTarget {
    /// As it is written in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stderr => f.write_str("stderr"),
            Self::Journal(path) if path.as_os_str() == JOURNAL => f.write_str("journal"),
            Self::Journal(path) => write!(f, "journal:{}", path.display()),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Udp(address) => write!(f, "udp:{address}"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// What stands before a message that goes to a syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syslog {
    /// RFC 5424.
    Rfc5424,
    /// RFC 3164, which HAProxy writes and what reads `/dev/log` expects.
    Rfc3164,
}

/// How the record of a session looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionFormat {
    /// An object.
    Json,
    /// HAProxy's `option tcplog`.
    Tcplog,
}

/// How an event looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFormat {
    /// An object.
    Json,
    /// What kind of event it is, and the event in words.
    Words,
}

/// A facility of syslog (RFC 5424, section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// Their names in syslog.conf(5).
    pub const NAMES: [&'static str; 13] = [
        "daemon", "user", "auth", "authpriv", "syslog", "local0", "local1", "local2", "local3",
        "local4", "local5", "local6", "local7",
    ];

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let code = match name {
            "user" => 1,
            "daemon" => 3,
            "auth" => 4,
            "syslog" => 5,
            "authpriv" => 10,
            local => match local.strip_prefix("local")?.as_bytes() {
                [digit @ b'0'..=b'7'] => 16 + (digit - b'0'),
                _ => return None,
            },
        };
        Some(Self(code))
    }

    /// Its number.
    #[must_use]
    pub fn code(self) -> u8 {
        self.0
    }
}

impl Default for Facility {
    /// `daemon`.
    fn default() -> Self {
        Self(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facilities_have_the_numbers_of_the_rfc() {
        let codes = Facility::NAMES.map(|name| Facility::from_name(name).unwrap().code());
        assert_eq!(codes, [3, 1, 4, 10, 5, 16, 17, 18, 19, 20, 21, 22, 23]);
        for name in ["local8", "local", "local+1", "local01x", "kern"] {
            assert_eq!(Facility::from_name(name), None, "{name}");
        }
        assert_eq!(Facility::default(), Facility::from_name("daemon").unwrap());
    }
}
