//! The service as it is: its file, its process, its unit, what is in force.

use crate::admin::{StatusReport, in_words};
use crate::doctor::facts::{Facts, Told, UnitState};
use crate::doctor::report::{Findings, Severity};
use eclusa_config::diagnostic::counted;

/// Restarts that are more than somebody's doing.
const RESTARTS: u64 = 3;

pub(super) fn judge(facts: &Facts, out: &mut Findings) {
    configuration(facts, out);
    service(facts, out);
    unit(facts, out);
    match &facts.service.status {
        Ok(status) => {
            reload(facts, status, out);
            pools(facts, status, out);
        }
        Err(_) => {
            let why = "the program does not answer on its admin socket";
            out.skip("reload", why);
            out.skip("pools", why);
        }
    }
}

fn configuration(facts: &Facts, out: &mut Findings) {
    let check = "configuration";
    let before = out.findings.len();
    for Told { is_error, found, remedy } in &facts.told {
        if found.contains("ermission denied") && !facts.host.sees_all {
            out.skip(check, format!("{found}: run it as root"));
            continue;
        }
        let (severity, effect) = match is_error {
            true => (Severity::Error, "the next start or reload refuses the file"),
            false => (Severity::Warning, "the file is taken, and may not do what was meant"),
        };
        out.tell_that(check, severity, found, effect, remedy);
    }
    if out.findings.len() == before {
        let (listeners, pools) = (facts.plan.listeners.len(), facts.plan.pools.len());
        let counts = format!("{}, {}", counted(listeners, "listener"), counted(pools, "pool"));
        out.fine(check, format!("{}: {counts}", facts.file.display()));
    }
}

fn service(facts: &Facts, out: &mut Findings) {
    let check = "service";
    let name = facts.program.name();
    let status = match &facts.service.status {
        Ok(status) => status,
        Err(why) if facts.service.runs => {
            let effect = "nobody can look and order; traffic is not touched by it";
            return out.tell_that(check, Severity::Warning, why, effect, format!("{name} status"));
        }
        Err(why) => {
            let remedy = format!("systemctl status {name}; systemctl start {name}");
            return out.tell(check, Severity::Error, why, remedy);
        }
    };
    let before = out.findings.len();
    let dead = status.workers.iter().filter(|worker| !worker.alive).count();
    if dead > 0 {
        let found = format!("{dead} of {} workers do not move", status.workers.len());
        let effect = "their sessions stand still until they are replaced";
        let remedy =
            format!("journalctl -u {name} -g stuck; should it last: systemctl restart {name}");
        out.tell_that(check, Severity::Error, found, effect, remedy);
    }
    if status.stopping {
        let remedy = format!("systemctl status {name}; systemctl start {name} once it has ended");
        out.tell(check, Severity::Warning, "it is stopping", remedy);
    }
    let own = env!("CARGO_PKG_VERSION");
    if status.version != own {
        let found = format!("version {} runs, and {own} is installed", status.version);
        let effect = "what was installed is not what runs";
        out.tell_that(check, Severity::Warning, found, effect, format!("systemctl restart {name}"));
    }
    if out.findings.len() == before {
        let sessions: u64 = status.workers.iter().map(|worker| worker.sessions).sum();
        let up = in_words(std::time::Duration::from_secs(status.uptime_seconds));
        let workers = counted(status.workers.len(), "worker");
        out.fine(
            check,
            format!("version {own}, pid {}, up {up}, {workers}, {sessions} sessions", status.pid),
        );
    }
}

fn unit(facts: &Facts, out: &mut Findings) {
    let check = "unit";
    let name = facts.program.name();
    let Some(state) = &facts.service.systemd else {
        return out.skip(check, "there is no systemd here");
    };
    let before = out.findings.len();
    if state.load == "not-found" {
        let found = format!("there is no unit {name}.service");
        return out.tell(check, Severity::Advice, found, format!("apt install {name}"));
    }
    if state.active == "failed" {
        let found = format!("{} ({})", state.active, state.sub);
        let effect = "nobody is served";
        let remedy = format!("journalctl -u {name} -n 50; then systemctl restart {name}");
        out.tell_that(check, Severity::Error, found, effect, remedy);
    } else if state.active != "active" {
        let found = format!("{} ({})", state.active, state.sub);
        out.tell(check, Severity::Warning, found, format!("systemctl start {name}"));
    }
    if state.needs_reload {
        let found = "its file or a drop-in has changed and is not loaded";
        out.tell(
            check,
            Severity::Warning,
            found,
            format!("systemctl daemon-reload && systemctl restart {name}"),
        );
    }
    if state.file == "disabled" {
        let effect = "it does not start with the host";
        out.tell_that(
            check,
            Severity::Warning,
            "disabled",
            effect,
            format!("systemctl enable {name}"),
        );
    }
    if state.restarts >= RESTARTS {
        let found = format!("systemd has restarted it {} times", state.restarts);
        let effect = "sessions ended with each of them";
        out.tell_that(
            check,
            Severity::Warning,
            found,
            effect,
            format!("journalctl -u {name} --since -1d"),
        );
    }
    if out.findings.len() == before {
        out.fine(check, in_order(state));
    }
}

fn in_order(state: &UnitState) -> String {
    let drop_ins = match state.drop_ins.len() {
        0 => String::new(),
        _ => format!("; drop-ins: {}", state.drop_ins.join(", ")),
    };
    format!("{} ({}), {}{drop_ins}", state.active, state.sub, state.file)
}

fn reload(facts: &Facts, status: &StatusReport, out: &mut Findings) {
    let check = "reload";
    let name = facts.program.name();
    let before = out.findings.len();
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let correct = format!("{name} check; correct {}; {name} reload", facts.file.display());
    if let Some(why) = &status.file_refused {
        let found = format!("the file was refused when the engine started anew: {}", first(why));
        out.tell(check, Severity::Error, found, &*correct);
    }
    if let Some(cause) = &status.gone_back {
        out.tell(check, Severity::Warning, format!("gone back, as {}", first(cause)), &*correct);
    }
    if let Some(unconfirmed) = &status.unconfirmed {
        let left = in_words(unconfirmed.until.since(status.at));
        let (severity, found) = match &unconfirmed.trouble {
            None => (
                Severity::Warning,
                format!("reloaded on trial by {}, goes back by itself in {left}", unconfirmed.by),
            ),
            Some(why) => (
                Severity::Error,
                format!("its trial is over, and it cannot go back: {}", first(why)),
            ),
        };
        let effect = "what is in force is not there to stay";
        let remedy = format!("{name} confirm keeps it; {name} rollback goes back now");
        out.tell_that(check, severity, found, effect, remedy);
    }
    if let Some(last) = status.last_reload.as_ref().filter(|last| !last.succeeded) {
        let ago = in_words(status.at.since(last.at));
        let found = format!("the last one, {ago} ago, was refused: {}", first(&last.message));
        out.tell(check, Severity::Warning, found, &*correct);
    }
    let lost = status.overrides.iter().filter(|order| !order.kept).count();
    if lost > 0 {
        let found = format!("{} not kept", counted(lost, "order"));
        let effect = "the next restart forgets them";
        let remedy = format!(
            "let the service write its state directory (/var/lib/eclusa): journalctl -u {name} -g state"
        );
        out.tell_that(check, Severity::Warning, found, effect, remedy);
    }
    if out.findings.len() == before {
        out.fine(
            check,
            format!("configuration {} is in force and is the file's", status.generation),
        );
    }
}

fn pools(facts: &Facts, status: &StatusReport, out: &mut Findings) {
    let check = "pools";
    let name = facts.program.name();
    let before = out.findings.len();
    for pool in &status.pools {
        let states = || {
            let each =
                pool.endpoints.iter().map(|it| format!("{} {}: {}", it.name, it.verdict, it.why));
            each.take(5).collect::<Vec<_>>().join("; ")
        };
        let remedy = format!("{name} status {}", pool.name);
        match &*pool.availability {
            "nobody" => {
                let found = format!("pool {}: nobody can take a session ({})", pool.name, states());
                out.tell(check, Severity::Error, found, remedy);
            }
            "panic" => {
                let found = format!(
                    "pool {}: all fail, and the least bad is used ({})",
                    pool.name,
                    states()
                );
                let effect = "sessions go to endpoints that are not well";
                out.tell_that(check, Severity::Error, found, effect, remedy);
            }
            _ => {}
        }
    }
    if out.findings.len() == before {
        out.fine(check, format!("{} can take sessions", counted(status.pools.len(), "pool")));
    }
}
