//! `log` and what bears upon it, as `[log]` and `[log.events]`.

use super::Work;
use crate::model::Proxy;
use crate::model::global::{INFO, LogLine, LogTo};
use crate::report::{Kind, Ledger};
use crate::toml::{self, Page};

/// Targets that lines may have.
const TARGETS_MAX: usize = 4;

/// The facilities that there are.
const FACILITIES: [&str; 13] = [
    "daemon", "user", "auth", "authpriv", "syslog", "local0", "local1", "local2", "local3",
    "local4", "local5", "local6", "local7",
];

/// Writes the tables. `fronts`: the listeners that carry traffic.
pub(super) fn write(work: Work<'_>, fronts: &[usize], page: &mut Page, ledger: &mut Ledger) {
    let fronts: Vec<&Proxy> = fronts.iter().map(|front| work.proxy(*front)).collect();
    let http = fronts.iter().any(|front| front.is_http());
    let lines = lines(work, ledger);
    let tcplog = layouts(&fronts, (http, !lines.is_empty()), ledger);
    let usable: Vec<(&LogLine, &str)> = lines
        .iter()
        .filter_map(|line| match &line.to {
            LogTo::Target(target) => Some((*line, target.as_str())),
            _ => None,
        })
        .collect();
    let sampled = is_sampled(&fronts, ledger);
    let tag = work.config.global.words.get("log-tag");
    if lines.is_empty() && !fronts.is_empty() {
        ledger.note(
            "no `log` in haproxy.cfg: records go to standard error here, which is the journal under \
             systemd; `sessions = false` in `[log]` for none",
        );
    }
    if usable.is_empty() && !sampled && tag.is_none() {
        return;
    }
    let logs = |proxy: &Proxy| proxy.logs.iter().any(|line| line.is_global() || line.level >= INFO);
    let logged = work.config.proxies.iter().any(logs);
    let sessions: Vec<_> =
        usable.iter().filter(|(line, _)| line.level >= INFO && logged).copied().collect();
    let events: Vec<_> = usable.iter().filter(|(line, _)| line.level < INFO).copied().collect();
    page.blank();
    page.table(&["log"]);
    let main = if sessions.is_empty() { &usable } else { &sessions };
    let (targets, facility) = targets(main, ledger);
    if !targets.is_empty() {
        page.pair("target", &toml::texts(&targets));
    }
    if tcplog && !sessions.is_empty() {
        page.pair("format", "\"tcplog\"");
    }
    let facility = self::facility(facility, page, "daemon", ledger);
    let rfc5424 = usable.iter().any(|(line, _)| line.format.as_deref() == Some("rfc5424"));
    if targets.iter().any(|it| it.starts_with("udp") || it.starts_with("tcp")) && !rfc5424 {
        page.pair("syslog", "\"rfc3164\"");
    }
    self::tag(tag.map(|set| (set.value.as_slice(), set.line)), page, ledger);
    if sessions.is_empty() && !usable.is_empty() {
        page.pair("sessions", "false");
        for (line, _) in &usable {
            let note = if logged {
                "no records of sessions, which HAProxy writes at level `info`; events go there"
            } else {
                "no records of sessions, as no section has `log global`; events go there"
            };
            ledger.tell(line.line, Kind::Same, note);
        }
    }
    if sampled {
        page.pair("sample", "0.0");
    }
    if !sessions.is_empty() && !events.is_empty() {
        events_of((events.as_slice(), targets.as_slice()), &facility, page, ledger);
    }
}

/// Whether sessions that end well leave no record, as all listeners want it.
fn is_sampled(fronts: &[&Proxy], ledger: &mut Ledger) -> bool {
    let flags: Vec<_> = fronts.iter().filter_map(|front| front.option("dontlog-normal")).collect();
    let all = !flags.is_empty() && flags.len() == fronts.len();
    for flag in flags {
        if all {
            ledger.tell(flag.line, Kind::Same, "`log.sample = 0.0`");
        } else {
            let note = "not for single listeners: `log.sample` is one for all, and stays 1";
            ledger.tell(flag.line, Kind::Improved, note);
        }
    }
    all
}

/// Judges `tcplog` and `httplog`; whether records are written as `tcplog`.
fn layouts(fronts: &[&Proxy], (http, logged): (bool, bool), ledger: &mut Ledger) -> bool {
    let mut tcplog = false;
    for front in fronts {
        if !logged {
            for name in ["tcplog", "httplog", "httpslog"] {
                if let Some(flag) = front.option(name) {
                    let note = "no `log` says where records go";
                    ledger.otherwise(flag.line, Kind::Ignored, note);
                }
            }
            continue;
        }
        if let Some(flag) = front.option("tcplog") {
            tcplog |= !front.is_http();
            if http {
                let note = "records are JSON: they have one layout, and requests have more to tell than \
                            `tcplog` has room for";
                ledger.tell(flag.line, Kind::Improved, note);
            } else {
                ledger.tell(flag.line, Kind::Same, "`log.format = \"tcplog\"`");
            }
        }
        for name in ["httplog", "httpslog"] {
            let Some(flag) = front.option(name) else { continue };
            if front.is_http() {
                let note = "records are JSON, with method, host, target and status: HAProxy's layout of \
                            requests is not written (`docs/logs.md`)";
                ledger.tell(flag.line, Kind::Improved, note);
            } else {
                let note = "it concerns requests, and this is TCP: HAProxy writes `tcplog` instead";
                ledger.otherwise(flag.line, Kind::Ignored, note);
            }
        }
    }
    tcplog && !http
}

/// All lines that say where the log goes, in order; `log global` is judged.
fn lines<'w>(work: Work<'w>, ledger: &mut Ledger) -> Vec<&'w LogLine> {
    let mut all: Vec<&LogLine> = work.config.global.logs.iter().collect();
    for proxy in &work.config.proxies {
        for line in &proxy.logs {
            if line.is_global() {
                ledger.same(line.line);
            } else if !all.iter().any(|known| known.line == line.line) {
                all.push(line);
            }
        }
        if let Some(set) = proxy.words.get("log-tag") {
            ledger.tell(set.line, Kind::Ignored, "one tag for all: `log.tag`");
        }
    }
    for line in &all {
        if let LogTo::Other(what) = &line.to {
            let note = format!(
                "lines went to {what}; now they do not; write the IP address of that host: a log that \
                 waits for DNS is silent when it is needed"
            );
            ledger.tell(line.line, Kind::Unsupported, note);
        }
    }
    all
}

/// The targets of lines, each once, and the facility of the first.
fn targets(lines: &[(&LogLine, &str)], ledger: &mut Ledger) -> (Vec<String>, String) {
    let mut targets: Vec<String> = Vec::new();
    let facility = lines.first().map(|(line, _)| line.facility.clone()).unwrap_or_default();
    for (line, target) in lines {
        if targets.iter().any(|known| known == target) {
            let note = "the same target again: lines go there once, with the facility of the first";
            ledger.tell(line.line, Kind::Ignored, note);
        } else if targets.len() == TARGETS_MAX {
            let note = "a fifth target; now lines do not go there; let a syslog hand them on";
            ledger.tell(line.line, Kind::Unsupported, note);
        } else {
            targets.push((*target).to_owned());
            ledger.same(line.line);
            if line.facility != facility {
                let note = format!("records have one facility: {facility}");
                ledger.tell(line.line, Kind::Improved, note);
            }
        }
    }
    (targets, facility)
}

/// Writes a facility that is not the usual one.
fn facility(name: String, page: &mut Page, usual: &str, ledger: &mut Ledger) -> String {
    if name.is_empty() || name == usual {
        return usual.to_owned();
    }
    if FACILITIES.contains(&name.as_str()) {
        page.pair("facility", &toml::text(&name));
        return name;
    }
    ledger.note(format!("the facility `{name}` of the log is not there: `daemon` is used"));
    usual.to_owned()
}

/// What the program is called: as HAProxy, for what looks for that.
fn tag(tag: Option<(&[String], usize)>, page: &mut Page, ledger: &mut Ledger) {
    let fits = |text: &str| {
        (1..=48).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let Some((words, line)) = tag else {
        return page.pair("tag", "\"haproxy\"");
    };
    match words.first().filter(|word| fits(word)) {
        Some(word) => {
            ledger.same(line);
            page.pair("tag", &toml::text(word));
        }
        None => {
            let note = "a tag with signs that tags have not; now it is `haproxy`; write another";
            ledger.tell(line, Kind::Unsupported, note);
            page.pair("tag", "\"haproxy\"");
        }
    }
}

/// Lines below `info` are events alone.
fn events_of(
    (events, sessions): (&[(&LogLine, &str)], &[String]),
    usual: &str,
    page: &mut Page,
    ledger: &mut Ledger,
) {
    let facility = events.iter().map(|(line, _)| line.facility.as_str()).find(|it| *it != usual);
    let new: Vec<&str> = {
        let mut all: Vec<&str> = sessions.iter().map(String::as_str).collect();
        all.extend(events.iter().map(|(_, target)| *target));
        let mut kept: Vec<&str> = Vec::new();
        all.into_iter().for_each(|it| {
            if !kept.contains(&it) && kept.len() < TARGETS_MAX {
                kept.push(it);
            }
        });
        kept
    };
    for (line, _) in events {
        let note = "events alone: records of sessions are written at level `info`";
        ledger.tell(line.line, Kind::Same, note);
    }
    let more = new.len() > sessions.len();
    if !more && facility.is_none() {
        return;
    }
    page.blank();
    page.table(&["log", "events"]);
    if more {
        page.pair("target", &toml::texts(&new));
    }
    if let Some(facility) = facility.filter(|facility| FACILITIES.contains(facility)) {
        page.pair("facility", &toml::text(facility));
    }
}
