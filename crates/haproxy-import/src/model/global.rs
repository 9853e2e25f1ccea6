//! `global`, and `log` wherever it stands.

use super::Set;
use crate::report::{Kind, Ledger};
use crate::sections::{Section, Sources};
use crate::table::{GLOBAL, find};
use crate::values;
use std::collections::BTreeMap;

/// What `global` says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Global {
    /// The lines of all of them.
    pub(crate) lines: Vec<usize>,
    pub(crate) heads: Vec<usize>,
    pub(crate) logs: Vec<LogLine>,
    /// `stats socket` and its words.
    pub(crate) sockets: Vec<Set<Vec<String>>>,
    /// Words of which the last line counts, with what follows them.
    pub(crate) words: BTreeMap<String, Set<Vec<String>>>,
}

impl Global {
    /// The first word behind another.
    pub(crate) fn text(&self, word: &str) -> Option<&str> {
        self.words.get(word)?.value.first().map(String::as_str)
    }

    /// A relative path below the directory that `word` names, else below HAProxy's own.
    pub(crate) fn path(&self, word: &str, path: &str) -> String {
        if path.starts_with('/') {
            return path.to_owned();
        }
        let base = self.text(word).unwrap_or("/etc/haproxy");
        format!("{}/{path}", base.trim_end_matches('/'))
    }
}

pub(super) fn read(global: &mut Global, sources: &Sources, section: &Section, ledger: &mut Ledger) {
    global.heads.push(section.head);
    global.lines.extend(&section.lines);
    for id in &section.lines {
        let words = &sources.lines[*id].words;
        if words.is_empty() {
            continue;
        }
        let (negated, words) = match words.split_first() {
            Some((first, rest)) if first == "no" && !rest.is_empty() => (true, rest),
            _ => (false, &words[..]),
        };
        let Some((word, rest)) = words.split_first() else { continue };
        let Some(row) = find(GLOBAL, word) else {
            let note = "HAProxy does not know this word, or the importer does not";
            ledger.tell(*id, Kind::Unsupported, note);
            continue;
        };
        let is_script = word.starts_with("lua-load");
        if is_script && !calls_scripts(sources) {
            let note = "nothing in these files calls what the script brings (`lua.NAME`); tasks that it \
                        might start by itself (`core.register_task`) end with HAProxy";
            ledger.tell(*id, Kind::Ignored, note);
        } else if let Some(kind) = row.fate.kind() {
            ledger.tell(*id, kind, row.says);
        } else {
            ledger.known(*id);
            carried(global, (word, rest), (negated, *id), ledger);
        }
    }
}

/// Whether a line names what scripts bring: actions, samples, converters, services.
fn calls_scripts(sources: &Sources) -> bool {
    let mut words = sources.lines.iter().flat_map(|line| &line.words);
    words.any(|word| word.contains("lua.") || word == "lua")
}

fn carried(
    global: &mut Global,
    (word, rest): (&str, &[String]),
    (negated, id): (bool, usize),
    ledger: &mut Ledger,
) {
    match word {
        "log" if negated => global.logs.clear(),
        "log" => match LogLine::read(rest, id) {
            Ok(line) => global.logs.push(line),
            Err(why) => ledger.tell(id, Kind::Unsupported, why),
        },
        "stats" => match rest.first().map(String::as_str) {
            Some("socket") => {
                global.sockets.push(Set { value: rest[1..].to_vec(), line: id });
            }
            Some("timeout") => {
                let note = "clients of the socket have fixed times (`docs/haproxy-compat.md`)";
                ledger.tell(id, Kind::Ignored, note);
            }
            Some("maxconn") => {
                let value = rest[1..].to_vec();
                global.words.insert("stats maxconn".to_owned(), Set { value, line: id });
            }
            _ => ledger.tell(id, Kind::Ignored, "a detail of HAProxy's socket"),
        },
        "setenv" | "presetenv" | "unsetenv" | "resetenv" => ledger.same(id),
        _ => {
            let set = Set { value: rest.to_vec(), line: id };
            if let Some(before) = global.words.insert(word.to_owned(), set) {
                let note = "another such line comes after it, and the last one counts";
                ledger.otherwise(before.line, Kind::Ignored, note);
            }
        }
    }
}

/// Where lines of the log go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogTo {
    /// To those of `global`.
    Global,
    /// As `log.target` writes it.
    Target(String),
    /// A name, or something else that cannot be written; in words.
    Other(String),
}

/// `log ADDRESS [len N] [format F] FACILITY [LEVEL [LEVEL]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    pub(crate) to: LogTo,
    pub(crate) facility: String,
    /// The least grave level that goes there, 0 (`emerg`) to 7 (`debug`).
    pub(crate) level: usize,
    pub(crate) format: Option<String>,
    pub(crate) line: usize,
}

const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// The level at which HAProxy writes records of sessions.
pub(crate) const INFO: usize = 6;

impl LogLine {
    pub(crate) fn is_global(&self) -> bool {
        self.to == LogTo::Global
    }

    /// Reads what stands behind `log`.
    ///
    /// # Errors
    /// A part is missing.
    pub(crate) fn read(words: &[String], line: usize) -> Result<Self, String> {
        let Some((address, mut rest)) = words.split_first() else {
            return Err("an address is wanted: HAProxy refuses it".to_owned());
        };
        let mut log =
            Self { to: to(address), facility: String::new(), level: 7, format: None, line };
        if log.is_global() {
            return Ok(log);
        }
        while let [word, value, after @ ..] = rest
            && ["len", "format", "sample"].contains(&word.as_str())
        {
            if word == "format" {
                log.format = Some(value.clone());
            }
            rest = after;
        }
        let Some((facility, levels)) = rest.split_first() else {
            return Err("a facility is wanted: HAProxy refuses it".to_owned());
        };
        log.facility.clone_from(facility);
        if let Some(level) = levels.first() {
            let known = LEVELS.iter().position(|known| known == level);
            log.level = known.ok_or(format!("`{level}` is no level: HAProxy refuses it"))?;
        }
        Ok(log)
    }
}

fn to(address: &str) -> LogTo {
    match address {
        "global" => return LogTo::Global,
        "stdout" | "stderr" => return LogTo::Target("stderr".to_owned()),
        _ => {}
    }
    if address.starts_with("fd@") {
        return LogTo::Target("stderr".to_owned());
    }
    let path = address.strip_prefix("unix@").unwrap_or(address);
    if path.starts_with('/') {
        return LogTo::Target(format!("unix:{path}"));
    }
    let tcp = address.starts_with("tcp");
    let bare = ["udp@", "udp4@", "udp6@", "tcp@", "tcp4@", "tcp6@"]
        .iter()
        .find_map(|prefix| address.strip_prefix(prefix))
        .unwrap_or(address);
    match values::place(bare) {
        Ok(place) => {
            let port = place.port.one().unwrap_or(514);
            let scheme = if tcp { "tcp" } else { "udp" };
            match &place.host {
                values::Host::Address(address) if !address.is_unspecified() => {
                    LogTo::Target(format!("{scheme}:{}:{port}", values::shown(&place.host)))
                }
                host => LogTo::Other(format!("`{}`", values::shown(host))),
            }
        }
        Err(what) => LogTo::Other(what),
    }
}
