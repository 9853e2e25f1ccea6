//! `status` for people.

use super::drill;
use super::page::{Cell, Page, Style};
use crate::admin::moment::in_words;
use crate::admin::{
    AdminState, CertificateStatus, EndpointStatus, Moment, OverrideStatus, PoolStatus,
    StatusReport, UnconfirmedStatus,
};
use std::time::Duration;

/// A certificate that ends sooner is shown as doubtful: 14 days.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// Writes the whole report.
pub(super) fn status(page: &mut Page, report: &StatusReport) {
    head(page, report);
    for pool in &report.pools {
        page.gap();
        self::pool(page, pool, report.at);
    }
    if !report.certificates.is_empty() {
        page.gap();
        page.line("certificates", Style::Bold);
        let rows: Vec<_> =
            report.certificates.iter().map(|one| certificate(one, report.at)).collect();
        page.table(&rows);
    }
    if !report.overrides.is_empty() {
        page.gap();
        page.line("ordered, and different from the file", Style::Bold);
        let rows: Vec<_> = report.overrides.iter().map(|one| ordered(one, report.at)).collect();
        page.table(&rows);
    }
}

fn head(page: &mut Page, report: &StatusReport) {
    let up = in_words(Duration::from_secs(report.uptime_seconds));
    let StatusReport { program, version, pid, generation, .. } = report;
    page.line(
        &format!("{program} {version}, pid {pid}, up {up}, configuration {generation}"),
        Style::Bold,
    );
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    if report.stopping {
        let text = Cell::new("no new connections; sessions may end by themselves", Style::Doubtful);
        rows.push(vec!["stopping".into(), text]);
    }
    if let Some(why) = &report.file_refused {
        let why = why.lines().next().unwrap_or_default();
        let text =
            format!("NOT the file's, which is refused; the one before a crash goes on: {why}");
        rows.push(vec!["configuration".into(), Cell::new(text, Style::Bad)]);
    }
    if let Some(cause) = &report.gone_back {
        let text = format!(
            "NOT the file's: gone back, as {cause}; correct the file and reload (a boot takes it as \
             it is)"
        );
        rows.push(vec!["configuration".into(), Cell::new(text, Style::Bad)]);
    }
    if let Some(unconfirmed) = &report.unconfirmed {
        rows.push(vec!["unconfirmed".into(), awaited(unconfirmed, report)]);
    }
    if let Some(drill) = &report.drill {
        rows.push(vec!["drill".into(), drill::notice(drill, report.at)]);
    }
    if let Some(reload) = &report.last_reload {
        let ago = in_words(report.at.since(reload.at));
        let style = if reload.succeeded { Style::Plain } else { Style::Bad };
        let word = if reload.succeeded { "done" } else { "failed" };
        let text = format!("{word} {ago} ago: {}", reload.message);
        rows.push(vec!["reload".into(), Cell::new(text, style)]);
    }
    rows.push(vec!["workers".into(), workers(report)]);
    for listener in &report.listeners {
        let addresses: Vec<_> = listener.addresses.iter().map(ToString::to_string).collect();
        let sessions = counted(listener.sessions, "session");
        let text = format!("{}: {}, {sessions}", listener.name, addresses.join(" "));
        rows.push(vec!["listener".into(), text.into()]);
    }
    page.table(&rows);
}

fn awaited(unconfirmed: &UnconfirmedStatus, report: &StatusReport) -> Cell {
    let UnconfirmedStatus { until, by, trouble } = unconfirmed;
    if let Some(why) = trouble {
        let text = format!("its time is over, and it CANNOT go back: {why}; it tries again");
        return Cell::new(text, Style::Bad);
    }
    let (left, name) = (in_words(until.since(report.at)), &report.program);
    let text = format!(
        "goes back by itself in {left} ({until}), reloaded by {by}: {name} confirm keeps it, {name} \
         rollback goes back now"
    );
    Cell::new(text, Style::Doubtful)
}

fn workers(report: &StatusReport) -> Cell {
    let alive = report.workers.iter().filter(|worker| worker.alive).count();
    let sessions: u64 = report.workers.iter().map(|worker| worker.sessions).sum();
    let each: Vec<_> = report.workers.iter().map(|worker| worker.sessions.to_string()).collect();
    let style = if alive == report.workers.len() { Style::Plain } else { Style::Bad };
    let text = format!(
        "{alive} of {} alive, {} ({})",
        report.workers.len(),
        counted(sessions, "session"),
        each.join(", ")
    );
    Cell::new(text, style)
}

fn pool(page: &mut Page, pool: &PoolStatus, at: Moment) {
    let mut words = vec![match &*pool.availability {
        "fine" => "fine".to_owned(),
        "panic" => "PANIC: all fail, it sends to the least bad".to_owned(),
        "nobody" => "NOBODY can take a session".to_owned(),
        other => other.to_owned(),
    }];
    words.extend(pool.quorum.clone());
    if pool.correlated {
        words.push("all fell together: this host or its network is suspected".to_owned());
    }
    if pool.queued > 0 {
        words.push(format!("{} waiting", pool.queued));
    }
    let style = match &*pool.availability {
        "fine" if !pool.correlated => Style::Bold,
        "nobody" => Style::Bad,
        _ => Style::Doubtful,
    };
    page.line(&format!("pool {}: {}", pool.name, words.join(", ")), style);
    let head = ["ENDPOINT", "VERDICT", "FOR", "SESSIONS", "FAILED", "WEIGHT", "WHY"];
    let mut rows = vec![head.map(Cell::from).to_vec()];
    rows.extend(pool.endpoints.iter().map(|endpoint| self::endpoint(endpoint, at)));
    page.table(&rows);
}

fn endpoint(endpoint: &EndpointStatus, at: Moment) -> Vec<Cell> {
    let style = match (&*endpoint.verdict, endpoint.admin.state) {
        (_, AdminState::Drain | AdminState::Maint) => Style::Ordered,
        ("up", _) if !endpoint.blind && !endpoint.correlated => Style::Good,
        ("dead", _) => Style::Bad,
        _ => Style::Doubtful,
    };
    let address = endpoint.address.to_string();
    let name = match endpoint.name == address || endpoint.name == endpoint.address.ip().to_string()
    {
        true => endpoint.name.clone(),
        false => format!("{} ({address})", endpoint.name),
    };
    let weight = match endpoint.file_weight {
        Some(file) => format!("{} (file {file})", endpoint.weight),
        None if endpoint.backup => format!("{} backup", endpoint.weight),
        None => endpoint.weight.to_string(),
    };
    vec![
        name.into(),
        Cell::new(verdict(endpoint), style),
        in_words(at.since(endpoint.since)).into(),
        endpoint.sessions.to_string().into(),
        endpoint.failures.to_string().into(),
        weight.into(),
        why(endpoint, at).into(),
    ]
}

/// What is shown of it and what is wanted of it are two things.
fn verdict(endpoint: &EndpointStatus) -> String {
    let mark = if endpoint.blind { ", blind" } else { "" };
    match endpoint.admin.state {
        AdminState::Ready => format!("{}{mark}", endpoint.verdict),
        state => format!("{}{mark}, {}", endpoint.verdict, state.name()),
    }
}

fn why(endpoint: &EndpointStatus, at: Moment) -> String {
    let mut why = endpoint.why.clone();
    if endpoint.correlated {
        why.push_str("; fell together with others");
    }
    if endpoint.admin.state != AdminState::Ready {
        why.push_str("; ");
        why.push_str(endpoint.admin.state.name());
        if let Some(until) = endpoint.admin.until {
            why.push_str(&format!(" for {} more", in_words(until.since(at))));
        }
        if let Some(reason) = &endpoint.admin.reason {
            why.push_str(&format!(": {reason}"));
        }
    }
    if !endpoint.results.is_empty() {
        why.push_str(&format!(" [{}]", endpoint.results));
    }
    why
}

fn certificate(certificate: &CertificateStatus, at: Moment) -> Vec<Cell> {
    let left = certificate.not_after.since(at);
    let (text, style) = match left {
        Duration::ZERO => {
            let ago = in_words(at.since(certificate.not_after));
            (format!("ENDED {ago} ago"), Style::Bad)
        }
        left if left < SOON => (format!("ends in {}", in_words(left)), Style::Doubtful),
        left => (format!("ends in {}", in_words(left)), Style::Plain),
    };
    let names = certificate.names.join(" ");
    vec![certificate.path.clone().into(), Cell::new(text, style), names.into()]
}

fn ordered(order: &OverrideStatus, at: Moment) -> Vec<Cell> {
    let mut about = format!("by {} {} ago", order.by, in_words(at.since(order.at)));
    if let Some(until) = order.until {
        about.push_str(&format!(", for {} more", in_words(until.since(at))));
    }
    if let Some(reason) = &order.reason {
        about.push_str(&format!(": {reason}"));
    }
    if !order.kept {
        about.push_str(" (until the next restart only)");
    }
    vec![
        format!("{}/{}", order.pool, order.endpoint).into(),
        Cell::new(order.order.clone(), Style::Ordered),
        format!("file: {}", order.file).into(),
        about.into(),
    ]
}

/// `1 session`, `2 sessions`.
pub(super) fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
