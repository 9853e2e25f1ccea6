//! What `show info` tells of the program, and the exporter's names for it.

use super::table::metric;
use crate::observe::View;
use crate::observe::metrics::Metrics;
use crate::observe::metrics::table::{Kind, Metric};
use std::fmt::Write;
use std::time::Duration;

/// The interface that is spoken here is that of this version of HAProxy.
pub(super) const LIKE: &str = "2.6.0";
/// Its release.
const LIKE_DATE: &str = "2022/05/31";

/// One line.
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// The exporter's name for it.
    pub(super) exported: Option<Metric>,
}

/// The version, in HAProxy's form: whose interface this is, and what it is.
pub(super) fn version() -> String {
    format!("{LIKE}-eclusa-{}", env!("CARGO_PKG_VERSION"))
}

/// All of it.
pub(super) fn figures(metrics: &Metrics, view: &View) -> Vec<Figure> {
    let mut all = program(metrics);
    all.extend(traffic(metrics, view));
    all
}

fn plain(name: &'static str, value: impl ToString) -> Figure {
    Figure { name, value: value.to_string(), exported: None }
}

fn exported(name: &'static str, value: impl ToString, metric: Metric) -> Figure {
    Figure { exported: Some(metric), ..plain(name, value) }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    metric(Kind::Gauge, name, help, &[])
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    metric(Kind::Counter, name, help, &[])
}

fn program(metrics: &Metrics) -> Vec<Figure> {
    let known = metrics.program();
    let up = known.up;
    let descriptors = known.descriptors_max.map(|most| {
        exported(
            "Ulimit-n",
            most,
            gauge("haproxy_process_max_fds", "Descriptors that the process may have open."),
        )
    });
    let mut all = vec![
        plain("Name", "HAProxy"),
        plain("Version", version()),
        plain("Release_date", LIKE_DATE),
        exported(
            "Nbthread",
            known.workers,
            gauge("haproxy_process_nbthread", "Threads that carry traffic."),
        ),
        plain("Nbproc", 1),
        plain("Process_num", 1),
        plain("Pid", std::process::id()),
        plain("Uptime", in_words(up)),
        exported(
            "Uptime_sec",
            up.as_secs(),
            gauge("haproxy_process_uptime_seconds", "Seconds since the process began."),
        ),
        exported(
            "Start_time_sec",
            known.began.round(),
            gauge("haproxy_process_start_time_seconds", "When the process began."),
        ),
        plain("Maxpipes", known.pipes_max),
        plain("PipesUsed", known.pipes),
    ];
    all.extend(descriptors);
    all
}

fn traffic(metrics: &Metrics, view: &View) -> Vec<Figure> {
    let sessions: u64 = view.sessions.iter().map(|sessions| u64::from(*sessions)).sum();
    let (mut connections, mut requests) = (0, 0);
    for face in &view.faces.listeners {
        let totals = metrics.listener(&face.name).totals();
        connections += totals.accepted;
        requests += totals.http.map_or(0, |http| http.statuses.iter().sum());
    }
    let node = rustix::system::uname();
    vec![
        exported(
            "Maxconn",
            view.sessions_max,
            gauge("haproxy_process_max_connections", "Sessions that there may be."),
        ),
        exported(
            "Hard_maxconn",
            view.sessions_max,
            gauge("haproxy_process_hard_max_connections", "Sessions that there may be."),
        ),
        exported(
            "CurrConns",
            sessions,
            gauge("haproxy_process_current_connections", "Sessions that stand."),
        ),
        exported(
            "CumConns",
            connections,
            counter("haproxy_process_connections_total", "Connections that were accepted."),
        ),
        exported(
            "CumReq",
            requests,
            counter("haproxy_process_requests_total", "Exchanges that ended."),
        ),
        plain("Tasks", sessions),
        plain("Run_queue", 0),
        plain("node", node.nodename().to_string_lossy()),
        plain("description", view.program.name()),
        exported(
            "Stopping",
            u8::from(metrics.is_stopping()),
            gauge("haproxy_process_stopping", "1 from the order to stop on."),
        ),
        exported(
            "Listeners",
            view.faces.listeners.len(),
            gauge("haproxy_process_listeners", "Listeners."),
        ),
        exported(
            "DroppedLogs",
            view.log_dropped,
            counter("haproxy_process_dropped_logs_total", "Lines of the log that were lost."),
        ),
    ]
}

/// The lines.
pub(super) fn write(metrics: &Metrics, view: &View) -> String {
    let mut text = String::new();
    for Figure { name, value, .. } in figures(metrics, view) {
        let _ = writeln!(text, "{name}: {value}");
    }
    text
}

/// `0d 0h00m03s`
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    format!("{days}d {hours}h{:02}m{:02}s", seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_look_as_haproxys() {
        assert_eq!(in_words(Duration::from_secs(3)), "0d 0h00m03s");
        assert_eq!(in_words(Duration::from_secs(90_061)), "1d 1h01m01s");
    }
}
