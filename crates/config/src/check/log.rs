//! `[log]`: outputs, one for each target, from the targets of sessions and of events.

use super::host;
use crate::diagnostic::quoted;
use crate::plan::{
    ALL_SESSIONS, EventFormat, Facility, JOURNAL, Log, LogOutput, LogTarget, SessionFormat, Syslog,
};
use crate::reader::{Got, Reader};
use crate::reference::Key;
use crate::reference::table as keys;
use crate::values::{self, Mistake};
use std::path::{Path, PathBuf};

/// Targets that sessions or events may have: each has a thread of its own.
const TARGETS_MAX: usize = 4;

pub(super) fn read(reader: &Reader<'_>) -> Log {
    let events = reader.table(&keys::LOG_EVENTS, &keys::LOG_EVENTS_SECTION);
    let targets = targets(reader, &keys::LOG_TARGET);
    let event_targets = events
        .has(&keys::LOG_EVENTS_TARGET)
        .then(|| self::targets(&events, &keys::LOG_EVENTS_TARGET))
        .filter(|targets| !targets.is_empty());
    let format = match reader.choice(&keys::LOG_FORMAT) {
        Some(got) if got.value == "tcplog" => SessionFormat::Tcplog,
        _ => SessionFormat::Json,
    };
    let event_format = match (events.choice(&keys::LOG_EVENTS_FORMAT), format) {
        (Some(got), _) if got.value == "json" => EventFormat::Json,
        (None, SessionFormat::Json) => EventFormat::Json,
        _ => EventFormat::Words,
    };
    let facility = facility(reader, &keys::LOG_FACILITY).unwrap_or_default();
    let event_facility = self::facility(&events, &keys::LOG_EVENTS_FACILITY).unwrap_or(facility);
    let syslog = reader.choice(&keys::LOG_SYSLOG).map(|got| match got.value {
        "rfc3164" => Syslog::Rfc3164,
        _ => Syslog::Rfc5424,
    });
    let sessions = reader.boolean(&keys::LOG_SESSIONS).is_none_or(|got| got.value);
    if let Some(target) = targets.iter().find(|got| got.written)
        && !sessions
        && event_targets.is_some()
    {
        reader.report.warning(
            target.span,
            "nothing goes to this target: sessions leave no record, and events go elsewhere",
            "records of sessions, or events without a target of their own",
            "remove it, or write `sessions = true`",
        );
    }
    let sample = reader.fraction(&keys::LOG_SAMPLE).map_or(ALL_SESSIONS, |got| got.value);
    let tag = reader.text(&keys::LOG_TAG, tag);
    let tag = tag.map_or(reader.report.program.name().into(), |got| got.value);
    let mut outputs = Outputs { outputs: Vec::new(), syslog };
    for target in event_targets.as_ref().unwrap_or(&targets) {
        outputs.of(&target.value).events = Some((event_format, event_facility));
    }
    for target in targets.iter().filter(|_| sessions) {
        outputs.of(&target.value).sessions = Some((format, facility));
    }
    Log { outputs: outputs.outputs, sample, tag }
}

struct Outputs {
    outputs: Vec<LogOutput>,
    syslog: Option<Syslog>,
}

impl Outputs {
    /// The output of this target, made if there is none.
    fn of(&mut self, target: &LogTarget) -> &mut LogOutput {
        let at = match self.outputs.iter().position(|output| output.target == *target) {
            Some(at) => at,
            None => {
                let syslog = self.syslog.unwrap_or(match target {
                    LogTarget::Unix(_) => Syslog::Rfc3164,
                    _ => Syslog::Rfc5424,
                });
                let target = target.clone();
                self.outputs.push(LogOutput { target, syslog, sessions: None, events: None });
                self.outputs.len() - 1
            }
        };
        &mut self.outputs[at]
    }
}

fn facility(reader: &Reader<'_>, key: &Key) -> Option<Facility> {
    reader.choice(key).and_then(|got| Facility::from_name(got.value))
}

fn targets(reader: &Reader<'_>, key: &'static Key) -> Vec<Got<LogTarget>> {
    let Some(list) = reader.texts(key, target) else { return Vec::new() };
    if list.value.len() > TARGETS_MAX {
        reader.report.error(
            list.span,
            &format!("`{}` has {} entries", key.name, list.value.len()),
            &format!("at most {TARGETS_MAX} targets"),
            "send to one syslog, which hands the lines on",
        );
    }
    for (index, got) in list.value.iter().enumerate() {
        if list.value[..index].iter().any(|before| before.value == got.value) {
            let message = format!("{} stands there twice", quoted(&got.value.to_string()));
            reader.report.error(got.span, &message, "each target once", "remove one of them");
        }
        match &got.value {
            LogTarget::File(path) => host::log_file(reader.report, &place(got, path)),
            LogTarget::Unix(path) | LogTarget::Journal(path) => {
                host::log_socket(reader.report, &place(got, path));
            }
            LogTarget::Stderr | LogTarget::Udp(_) | LogTarget::Tcp(_) => {}
        }
    }
    list.value
}

fn place(got: &Got<LogTarget>, path: &Path) -> Got<PathBuf> {
    Got { value: path.to_owned(), span: got.span, written: got.written }
}

/// `stderr`, `journal`, `/var/log/eclusa.log`, `unix:/dev/log`, `udp:192.0.2.7:514`,
/// `tcp:192.0.2.7:601`.
fn target(text: &str) -> Result<LogTarget, Mistake> {
    match text.split_once(':') {
        _ if text == "stderr" => Ok(LogTarget::Stderr),
        _ if text == "journal" => Ok(LogTarget::Journal(JOURNAL.into())),
        _ if text.starts_with('/') => values::path(text).map(LogTarget::File),
        Some(("journal", path)) => values::path(path).map(LogTarget::Journal),
        Some(("unix", path)) => values::path(path).map(LogTarget::Unix),
        Some(("udp", address)) => socket(text, address).map(LogTarget::Udp),
        Some(("tcp", address)) => socket(text, address).map(LogTarget::Tcp),
        _ if matches!(text, "syslog" | "unix") => Err(Mistake {
            message: format!("{} does not say where", quoted(text)),
            remedy: "write \"unix:/dev/log\" for the syslog of this host".to_owned(),
        }),
        _ => values::path(text).map(LogTarget::File),
    }
}

/// What stands before `[pid]:` in RFC 3164, and is APP-NAME in RFC 5424, which has room for 48.
fn tag(text: &str) -> Result<std::sync::Arc<str>, Mistake> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=48).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.into());
    }
    Err(Mistake {
        message: format!("{} cannot be a tag", quoted(text)),
        remedy: "use 1 to 48 letters, digits, `-`, `_`, `.`".to_owned(),
    })
}

/// An address: a log that waits for DNS would be silent when it is needed.
fn socket(whole: &str, text: &str) -> Result<std::net::SocketAddr, Mistake> {
    match text.parse::<std::net::SocketAddr>() {
        Ok(address) if address.port() != 0 && !address.ip().is_unspecified() => Ok(address),
        _ => Err(Mistake {
            message: format!("{} names no syslog", quoted(whole)),
            remedy: "write address and port, such as \"udp:192.0.2.7:514\" or \
                     \"tcp:[2001:db8::7]:601\"; names do not do"
                .to_owned(),
        }),
    }
}
