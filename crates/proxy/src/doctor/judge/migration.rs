//! Migration: what would bring HAProxy back, or break, once it is masked.

use super::remedies::remedy;
use crate::doctor::facts::{Facts, UnitState};
use crate::doctor::migration::{Deed, HaproxyUnit, Mention, Migration};
use crate::doctor::report::{Findings, Severity};
use crate::doctor::table::{CHECKS, Group};
use crate::listening::Holder;
use eclusa_config::diagnostic::counted;
use std::path::Path;

/// So many findings of a check are told one by one.
const TOLD_MAX: usize = 30;

/// What starts HAProxy where the mask is of no use does this.
const COMES_BACK: &str =
    "HAProxy comes back although its unit is masked, and takes a part of the connections, or all";

/// How it is masked for good.
pub(super) const MASK: &str = "systemctl mask --now haproxy";

pub(super) fn judge(facts: &Facts, out: &mut Findings) {
    let Some(migration) = &facts.migration else { return };
    service(facts, migration, out);
    // Each other check that has places has its say, in the order of the table.
    for check in CHECKS.iter().filter(|check| check.group == Group::Migration) {
        if !["haproxy-service", "haproxy-files"].contains(&check.name) {
            mentions(facts, migration, check.name, out);
        }
    }
    files(facts, migration, out);
}

/// The unit and the processes.
fn service(facts: &Facts, migration: &Migration, out: &mut Findings) {
    let check = "haproxy-service";
    let before = out.findings.len();
    let unit = &migration.unit;
    let running = migration.running.as_ref();
    let state = running.and_then(|running| running.systemd.as_ref());
    let processes = running.map_or(&[][..], |running| running.processes.as_slice());
    let is_masked = unit.mask.is_some() || state.is_some_and(|state| state.load == "masked");
    if is_masked {
        masked(unit, processes, out);
    } else if unit.file.is_some() {
        unmasked(facts, unit, state, !processes.is_empty(), out);
    } else if let [(holder, by), ..] = processes {
        let found = format!("{holder} runs, and there is no unit haproxy.service{}", of(by));
        let effect = "no mask keeps it from coming back";
        let remedy =
            "find out what starts it, and end that before it: systemctl status PID tells the unit";
        out.tell_that(
            check,
            Severity::Warning,
            found,
            effect,
            remedy.replace("PID", &holder.pid.to_string()),
        );
    }
    if unit.is_in_the_way() {
        let path = unit.file.as_deref().unwrap_or(Path::new("haproxy.service")).display();
        let effect = "`systemctl mask haproxy` refuses: the file is where the mask would be";
        let remedy = format!(
            "install -d /usr/local/lib/systemd/system && mv {path} /usr/local/lib/systemd/system/ && \
             systemctl daemon-reload; then {MASK}"
        );
        let found = format!("{path} is a file of this host");
        out.tell_that(check, Severity::Warning, found, effect, remedy);
    }
    if !unit.drop_ins.is_empty() {
        let effect =
            "what they say (limits, processors, environment) is not said of the service here";
        let remedy = format!(
            "read them, and say what is still wanted in a drop-in of its own: systemctl edit {}",
            facts.program.name()
        );
        out.tell_that(check, Severity::Advice, list(&unit.drop_ins), effect, remedy);
    }
    if out.findings.len() == before {
        let found = match (&unit.mask, is_masked) {
            (Some(path), _) => format!("masked by {}; no process of it", path.display()),
            (None, true) => "masked; no process of it".to_owned(),
            (None, false) => "there is no unit haproxy.service, and no process of it".to_owned(),
        };
        out.fine(check, found);
    }
}

fn masked(unit: &HaproxyUnit, processes: &[(Holder, String)], out: &mut Findings) {
    let check = "haproxy-service";
    if let [(holder, by), ..] = processes {
        let found = format!("{holder} runs, although haproxy.service is masked{}", of(by));
        let remedy = format!(
            "systemctl status {0} tells what started it: end that first, then kill {0}",
            holder.pid
        );
        out.tell_that(check, Severity::Error, found, COMES_BACK, remedy);
    }
    if let Some(path) = unit.mask.as_ref().filter(|path| path.starts_with("/run")) {
        let found = format!("masked until the next boot alone ({})", path.display());
        out.tell(check, Severity::Warning, found, MASK);
    }
}

fn unmasked(
    facts: &Facts,
    unit: &HaproxyUnit,
    state: Option<&UnitState>,
    has_process: bool,
    out: &mut Findings,
) {
    let check = "haproxy-service";
    let active = has_process || state.is_some_and(|state| state.active == "active");
    let enabled = !unit.wanted_by.is_empty() || state.is_some_and(|state| state.file == "enabled");
    let starts = if enabled { "and starts with the host" } else { "and is not masked" };
    match (active, facts.service.runs) {
        (true, _) => {
            let effect = "none while it serves; once this service serves in its place, it comes back at the \
                          next boot or upgrade of its package";
            let remedy = format!("when its clients are here: {MASK} (docs/coming-from-haproxy.md)");
            out.tell_that(check, Severity::Advice, format!("it runs, {starts}"), effect, remedy);
        }
        (false, runs) => {
            let severity = if runs { Severity::Warning } else { Severity::Advice };
            out.tell(check, severity, format!("it does not run, {starts}"), MASK);
        }
    }
}

fn of(started_by: &str) -> String {
    if started_by.is_empty() { String::new() } else { format!(" (of {started_by})") }
}

fn list(paths: &[std::path::PathBuf]) -> String {
    let shown: Vec<_> = paths.iter().take(5).map(|path| path.display().to_string()).collect();
    let more = paths.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}

/// What stands in files, one finding for each file and what it does.
fn mentions(facts: &Facts, migration: &Migration, check: &'static str, out: &mut Findings) {
    let before = out.findings.len();
    let all: Vec<&Mention> = migration.mentions.iter().filter(|it| it.check == check).collect();
    let mut told: Vec<(&Mention, usize)> = Vec::new();
    for mention in all {
        let same = |(known, _): &&mut (&Mention, usize)| {
            known.path == mention.path && known.deed == mention.deed
        };
        match told.iter_mut().find(same) {
            Some((_, count)) => *count += 1,
            None => told.push((mention, 1)),
        }
    }
    // Where a file does something, that it has the name in it besides says nothing.
    let does = |path: &Path| told.iter().any(|(it, _)| it.path == path && it.deed > Deed::Names);
    let told: Vec<_> =
        told.iter().filter(|(it, _)| it.deed > Deed::Names || !does(&it.path)).collect();
    for (mention, count) in told.iter().take(TOLD_MAX) {
        tell(facts, mention, *count, out);
    }
    if let Some((first, _)) = told.get(TOLD_MAX) {
        let found = format!("{} more files", told.len() - TOLD_MAX);
        let remedy = format!(
            "grep -rn haproxy {}",
            first.path.parent().unwrap_or(first.path.as_path()).display()
        );
        out.tell(check, Severity::Warning, found, remedy);
    }
    if check == "haproxy-readers" {
        readers(migration, out);
    }
    let unread: Vec<_> = migration.unread.iter().filter(|(of, ..)| *of == check).collect();
    if let [(_, path, why), more @ ..] = &unread[..] {
        let more =
            if more.is_empty() { String::new() } else { format!(" (and {} more)", more.len()) };
        let remedy = if why.contains("ermission denied") { ": run it as root" } else { "" };
        out.skip(check, format!("{}{more}: {why}{remedy}", path.display()));
    } else if out.findings.len() == before {
        let read = migration.read.get(check).copied().unwrap_or(0);
        out.fine(check, format!("{} read, none has to do with HAProxy", counted(read, "file")));
    }
}

fn tell(facts: &Facts, mention: &Mention, count: usize, out: &mut Findings) {
    let Mention { path, line, deed, does, through, check: _ } = mention;
    let check = mention.check;
    let more = match count {
        1 => String::new(),
        2 => ", and another line of it".to_owned(),
        _ => format!(", and {} more lines of it", count - 1),
    };
    let through =
        through.as_ref().map(|(path, line)| format!(" (run by {}:{line})", path.display()));
    let found = format!("{}:{line}: {does}{more}{}", path.display(), through.unwrap_or_default());
    let severity = severity(check, *deed);
    let remedy = remedy(facts.program, mention);
    match deed {
        Deed::Starts if severity == Severity::Error => {
            out.tell_that(check, severity, found, COMES_BACK, remedy);
        }
        Deed::Needs => {
            let effect =
                "this unit is stopped when HAProxy is, and does not start while it is masked";
            out.tell_that(check, severity, found, effect, remedy);
        }
        Deed::Reads if check == "haproxy-logrotate" => {
            let effect = "no new lines come into that log: it is rotated until it is gone";
            out.tell_that(check, severity, found, effect, remedy);
        }
        Deed::Names if severity == Severity::Advice => {
            let effect = "none that can be told: it has the name in it";
            out.tell_that(check, severity, found, effect, remedy);
        }
        _ => out.tell(check, severity, found, remedy),
    }
}

/// How bad it is that a place of this check does this.
fn severity(check: &str, deed: Deed) -> Severity {
    match (check, deed) {
        ("haproxy-rights" | "haproxy-syslog" | "haproxy-upgrades", _) => match deed {
            Deed::Starts if check == "haproxy-upgrades" => Severity::Error,
            _ => Severity::Advice,
        },
        ("haproxy-readers", _) => Severity::Warning,
        // What a run of it does to this host is in no single line.
        ("haproxy-managed", Deed::Names) => Severity::Warning,
        (_, Deed::Starts | Deed::Needs) => Severity::Error,
        ("haproxy-failover", Deed::Looks | Deed::Through | Deed::Orders) => Severity::Error,
        (_, Deed::Orders | Deed::Looks | Deed::Through) => Severity::Warning,
        ("haproxy-logrotate", Deed::Reads) => Severity::Advice,
        (_, Deed::Reads) => Severity::Warning,
        (_, Deed::Names) => Severity::Advice,
    }
}

/// Who may read, and who does now.
fn readers(migration: &Migration, out: &mut Findings) {
    let check = "haproxy-readers";
    if let Some((_, members)) = migration.group.as_ref().filter(|(_, members)| !members.is_empty())
    {
        let found = format!("in the group haproxy: {}", members.join(", "));
        let effect = "they read its socket or its log, and soon nothing";
        let remedy = "[haproxy_socket] group = \"...\" for those that read the socket (docs/haproxy-compat.md)";
        out.tell_that(check, Severity::Warning, found, effect, remedy);
    }
    match migration.running.as_ref().map(|running| &running.connected) {
        Some(Ok(clients)) => {
            for client in clients {
                let found = format!("{client} is connected to HAProxy's socket");
                let remedy = "point it to `[haproxy_socket]` (docs/haproxy-compat.md)";
                out.tell(check, Severity::Warning, found, remedy);
            }
        }
        Some(Err(why)) => out.skip(check, format!("who is connected to its socket: {why}")),
        None => {}
    }
}

/// Files of ours that are HAProxy's.
fn files(facts: &Facts, migration: &Migration, out: &mut Findings) {
    let check = "haproxy-files";
    let before = out.findings.len();
    let group = migration.group.as_ref().map(|(number, _)| *number);
    let mut theirs = 0;
    for file in &facts.files {
        let Some(last) = file.steps.as_ref().ok().and_then(|steps| steps.last()) else { continue };
        let path = file.path.display();
        let of_group = group.is_some_and(|group| last.gid == group);
        let of_user = migration.user.is_some_and(|user| last.uid == user);
        if of_group || of_user {
            theirs += 1;
            if theirs > TOLD_MAX {
                continue;
            }
            let whose = if of_user { "the user" } else { "the group" };
            let others = if file.is_secret { "0640" } else { "0644" };
            let found = format!("{path} belongs to {whose} haproxy");
            let remedy = format!("chown root:eclusa {path} && chmod {others} {path}");
            out.tell(check, Severity::Warning, found, remedy);
        }
    }
    if theirs > TOLD_MAX {
        let found = format!("{} more files", theirs - TOLD_MAX);
        let remedy = "find / -xdev -group haproxy -o -xdev -user haproxy";
        out.tell(check, Severity::Warning, found, remedy);
    }
    let beside = facts.files.iter().map(|file| file.path.clone());
    let folders = ["/etc/haproxy", "/var/lib/haproxy", "/run/haproxy"];
    let beside: Vec<_> =
        beside.filter(|path| folders.iter().any(|folder| path.starts_with(folder))).collect();
    if !beside.is_empty() {
        let effect = "they go, or are taken for rubbish, when somebody clears HAProxy away";
        let remedy = format!(
            "cp -a them to /etc/eclusa, name them there in {}, and let what renews them write there",
            facts.file.display()
        );
        let found = format!("the configuration names {}", list(&beside));
        out.tell_that(check, Severity::Advice, found, effect, remedy);
    }
    if out.findings.len() == before {
        out.fine(check, "none that the configuration names is HAProxy's");
    }
}
