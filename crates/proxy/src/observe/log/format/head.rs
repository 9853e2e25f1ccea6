//! What stands before a message, by where it goes.

use super::{Class, time};
use eclusa_sys::local_time::LocalTime;
use std::io::Write;
use std::sync::Arc;

/// What stands before a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::observe::log) enum Head {
    /// Nothing before JSON, which has its own time; before all else what a syslog writes into its
    /// files.
    Plain,
    /// `<6>`: standard error is read by the journal (sd-daemon(3)).
    Level,
    /// The first fields of an entry of the journal.
    Journal,
    /// RFC 5424.
    Rfc5424,
    /// RFC 3164.
    Rfc3164,
    /// The same without the host: at a socket of this host.
    Rfc3164Local,
}

/// Who speaks.
#[derive(Clone, Debug)]
pub(in crate::observe::log) struct Who {
    pub(in crate::observe::log) host: Arc<str>,
    pub(in crate::observe::log) tag: Arc<str>,
    pub(in crate::observe::log) pid: u32,
}

impl Who {
    /// This process on this host.
    pub(in crate::observe::log) fn here(tag: &Arc<str>) -> Self {
        let name = rustix::system::uname();
        // RFC 5424: printable ASCII, at most 255 of it.
        let name = name.nodename().to_string_lossy();
        let host: String = name.chars().filter(char::is_ascii_graphic).take(255).collect();
        let host = if host.is_empty() { "-" } else { &host };
        Self { host: host.into(), tag: tag.clone(), pid: std::process::id() }
    }
}

impl Head {
    pub(super) fn write(self, out: &mut Vec<u8>, who: &Who, class: Class) {
        let Who { host, tag, pid } = who;
        let priority = u16::from(class.facility.code()) * 8 + u16::from(class.severity.code());
        // Writing to memory does not fail, here and below.
        let _ = match self {
            Self::Plain if class.is_json => Ok(()),
            Self::Plain => {
                write_date(out, class);
                write!(out, "{host} {tag}[{pid}]: ")
            }
            Self::Level => write!(out, "<{}>", class.severity.code()),
            Self::Journal => write!(
                out,
                "PRIORITY={}\nSYSLOG_FACILITY={}\nSYSLOG_IDENTIFIER={tag}\nSYSLOG_PID={pid}\n\
                 MESSAGE=",
                class.severity.code(),
                class.facility.code()
            ),
            Self::Rfc5424 => {
                let _ = write!(out, "<{priority}>1 ");
                time::rfc3339(out, class.at);
                write!(out, " {host} {tag} {pid} {} - ", class.kind)
            }
            Self::Rfc3164 => {
                let _ = write!(out, "<{priority}>");
                write_date(out, class);
                write!(out, "{host} {tag}[{pid}]: ")
            }
            Self::Rfc3164Local => {
                let _ = write!(out, "<{priority}>");
                write_date(out, class);
                write!(out, "{tag}[{pid}]: ")
            }
        };
    }
}

/// The names of the months in dates of RFC 3164 and of HAProxy.
pub(super) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Feb  6 12:12:56 `
fn write_date(out: &mut Vec<u8>, class: Class) {
    let LocalTime { month, day, hour, minute, second, .. } = LocalTime::of(class.at);
    let month = MONTHS[usize::from(month) % MONTHS.len()];
    let _ = write!(out, "{month} {day:2} {hour:02}:{minute:02}:{second:02} ");
}
