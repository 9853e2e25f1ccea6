//! The one table of metrics: what is told, its type, its unit, what it is for, its labels. Pages
//! are written by it, and `docs/metrics.md` is printed from it.

use std::fmt::Write;

/// What is told under one name.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it is to be read.
    pub kind: Kind,
    /// In what it counts.
    pub unit: Unit,
    /// The labels of its samples, in their order.
    pub labels: &'static [&'static str],
    /// What it is for.
    pub help: &'static str,
}

/// How a metric is to be read (Prometheus, "Metric types").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows, and begins at 0 with the engine.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size, with fixed bounds.
    Histogram,
}

impl Kind {
    /// The word of a `# TYPE` line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// In what a metric counts; always a base unit (Prometheus, "Metric and label naming").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things, or 0 and 1 for no and yes.
    Things,
    /// Bytes.
    Bytes,
    /// Seconds; moments are seconds since 1970.
    Seconds,
    /// A part of a whole: 1 is all of it.
    Ratio,
}

impl Unit {
    fn word(self) -> &'static str {
        match self {
            Self::Things => "",
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
            Self::Ratio => "ratio",
        }
    }
}

macro_rules! table {
    ($($part:literal { $($id:ident: $kind:ident $unit:ident $name:literal
        [$($label:literal),*] $help:literal;)* })*) => {
        $($(
            #[doc = $help]
            pub static $id: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: Unit::$unit,
                labels: &[$($label),*],
                help: $help,
            };
        )*)*

        /// Every metric, by parts.
        pub static PARTS: &[(&str, &[&Metric])] = &[$(($part, &[$(&$id),*])),*];
    };
}

table! {
"The program" {
    BUILD_INFO: Gauge Things "eclusa_build_info" ["program", "version"]
        "Always 1; which program and version this is.";
    START_TIME: Gauge Seconds "process_start_time_seconds" []
        "When the engine began.";
    CPU: Counter Seconds "process_cpu_seconds_total" []
        "Processor time of the engine's process, in user space and in the kernel.";
    MEMORY: Gauge Bytes "process_resident_memory_bytes" []
        "Memory of the engine's process that lies in RAM.";
    OPEN_FDS: Gauge Things "process_open_fds" []
        "Open descriptors of the engine's process.";
    MAX_FDS: Gauge Things "process_max_fds" []
        "Descriptors that it may have open.";
    STOPPING: Gauge Things "eclusa_stopping" []
        "1 from the order to stop on.";
    ENGINE_RESTARTS: Counter Things "eclusa_engine_restarts_total" []
        "Engines that the keeper had to start anew since the service began.";
    RELOADS: Counter Things "eclusa_reloads_total" ["outcome"]
        "Reloads: `done` or `refused`.";
    RELOAD_SUCCESSFUL: Gauge Things "eclusa_last_reload_successful" []
        "1 unless the file was refused: by the last reload, or when a crashed engine started again.";
    RELOAD_TIME: Gauge Seconds "eclusa_last_reload_success_timestamp_seconds" []
        "When the configuration in force was taken.";
    GENERATION: Gauge Things "eclusa_config_generation" []
        "Which configuration of this engine is in force, from 1.";
    LAST_GOOD: Gauge Things "eclusa_config_last_good" []
        "1 while not the file is in force but what was so before an engine crashed: the file is broken.";
    UNCONFIRMED: Gauge Things "eclusa_config_unconfirmed" []
        "1 while what is in force goes back by itself unless somebody confirms it (`reload --confirm`).";
    GONE_BACK: Gauge Things "eclusa_config_gone_back" []
        "1 while not the file is in force but what was so before it: nobody confirmed it, or somebody ordered it back (`rollback`).";
    ROLLBACKS: Counter Things "eclusa_rollbacks_total" ["why"]
        "How often what was in force before was put back: `unconfirmed` or `ordered`.";
    DRILL_ON: Gauge Things "eclusa_drill_on" []
        "1 while an endpoint is treated as if it failed (`drill`): verdicts on it are the drill's doing.";
    DRILLS: Counter Things "eclusa_drills_total" ["fault"]
        "Drills that began: `freeze`, `refuse` or `slow`.";
}
"The dashboard" {
    DASHBOARD_OPEN: Gauge Things "eclusa_dashboard_open" ["what"]
        "Pages that are kept up to date (`viewers`) and connections (`connections`) at this moment.";
    DASHBOARD_OPEN_MAX: Gauge Things "eclusa_dashboard_open_max" ["what"]
        "Those that may be. A further page is told so and tries again; connections wait in the kernel's queue.";
    DASHBOARD_REFUSED: Counter Things "eclusa_dashboard_refused_total" ["reason"]
        "Requests refused and connections cut, by reason: `host`, `cross_site`, `token`, `viewers`, `slow`.";
}
"Workers" {
    HEARTBEAT_AGE: Gauge Seconds "eclusa_worker_heartbeat_age_seconds" ["worker"]
        "Time since the worker last showed that it runs; every 250 ms unless it is stuck.";
    WORKER_SESSIONS: Gauge Things "eclusa_worker_sessions" ["worker"]
        "Sessions of the worker at this moment.";
    WORKER_PIPES: Gauge Things "eclusa_worker_pipes" ["worker"]
        "Pipes that the worker has, in use or kept for the next bulk transfer.";
    CROWD: Gauge Things "eclusa_worker_crowd_waiting" ["worker"]
        "What waits at this moment because one turn was not enough for it, or because its client has a crowd of streams: together such have half a millisecond of each round of the worker, by client network, so that others wait for no more.";
    CROWD_WAITS: Counter Things "eclusa_worker_crowd_waits_total" ["worker"]
        "How often something had to wait so.";
    WORKERS_REPLACED: Counter Things "eclusa_workers_replaced_total" []
        "Workers that were stuck and got a successor.";
}
"Limits" {
    SESSIONS: Gauge Things "eclusa_sessions" []
        "Sessions at this moment, and requests of HTTP/2 beside the first of their connection.";
    SESSIONS_MAX: Gauge Things "eclusa_sessions_max" []
        "Sessions that there may be; beyond, clients wait in the kernel's queue.";
    LIMIT_WAITS: Counter Things "eclusa_sessions_max_waits_total" []
        "How often a worker had to wait for a session to end before it could accept another, or refused a request of HTTP/2 (three quarters of the limit were in use).";
    SHORTAGES: Counter Things "eclusa_host_shortages_total" []
        "How often this host lacked something for a session: descriptors, ports, memory, a route.";
    HAPROXY_CLIENTS: Gauge Things "eclusa_haproxy_socket_clients" []
        "Clients at the socket that answers as HAProxy's does.";
    HAPROXY_CLIENTS_MAX: Gauge Things "eclusa_haproxy_socket_clients_max" []
        "Clients that there may be, 0 without such a socket; beyond, they wait in the kernel's queue.";
    HAPROXY_CUT: Counter Things "eclusa_haproxy_socket_cut_total" ["reason"]
        "Clients of it that were cut: `idle` (nothing asked for a minute), `line` (too long, or not complete within 10 s), `slow` (did not read the answer).";
    PIPES_MAX: Gauge Things "eclusa_pipes_max" []
        "Pipes that all workers together may have; without one, bulk is copied.";
    QUEUE: Gauge Things "eclusa_queue_length" ["queue"]
        "What waits: `log` lines of a worker for their target (the most of all), `signals` of the workers for the probes.";
    QUEUE_MAX: Gauge Things "eclusa_queue_max" ["queue"]
        "What may wait there; what finds no place is dropped.";
    LOG_DROPPED: Counter Things "eclusa_log_lines_dropped_total" []
        "Lines of the log that were lost because their target did not keep up.";
    FOLLOWERS: Gauge Things "eclusa_events_followers" []
        "Clients that follow the events over the admin socket (`events --follow`), 4 at most.";
    FOLLOWERS_CUT: Counter Things "eclusa_events_followers_cut_total" []
        "Clients that followed the events and were cut off because they did not read.";
}
"Listeners" {
    ACCEPTED: Counter Things "eclusa_listener_sessions_total" ["listener"]
        "Sessions that began.";
    LISTENER_ENDED: Counter Things "eclusa_listener_sessions_ended_total"
        ["listener", "ended_by", "step", "how"]
        "Sessions that ended: by whom and at which step, as in the log, and how.";
    LISTENER_BYTES: Counter Bytes "eclusa_listener_bytes_total" ["listener", "direction"]
        "Bytes of sessions and exchanges that have ended: `up` to endpoints, `down` to clients.";
    PREAMBLE: Histogram Seconds "eclusa_listener_preamble_seconds" ["listener"]
        "From accept until what the client has to say first was read (PROXY header, ClientHello).";
    SESSION_TIME: Histogram Seconds "eclusa_listener_session_seconds" ["listener"]
        "From accept to the end of the session.";
    LISTENER_CERTIFICATE_END: Gauge Seconds "eclusa_listener_certificate_expiry_timestamp_seconds"
        ["listener", "name", "file"]
        "When a certificate that the listener shows ends; `name`: the first of its names.";
}
"Lists in files" {
    LIST_ENTRIES: Gauge Things "eclusa_list_entries" ["file", "of"]
        "Entries of a list that conditions ask; `of`: what they are compared with, `source`, `sni` or `host`.";
    LIST_REFUSED: Gauge Things "eclusa_list_refused" ["file", "of"]
        "1 while the file of the list is wrong or cannot be read, and what it said before holds.";
}
"Pools" {
    POOL_AVAILABLE: Gauge Things "eclusa_pool_available" ["pool"]
        "Whether an endpoint of the pool can take a session.";
    POOL_PANIC: Gauge Things "eclusa_pool_panic" ["pool"]
        "1 while no endpoint is well and the least bad are used.";
    POOL_CORRELATED: Gauge Things "eclusa_pool_correlated" ["pool"]
        "1 while endpoints that fell together make this host or its network suspect.";
    POOL_ENDPOINTS: Gauge Things "eclusa_pool_endpoints" ["pool"]
        "Endpoints of the pool.";
    POOL_READY: Gauge Things "eclusa_pool_ready" ["pool"]
        "Endpoints that are up (or whose name does not resolve, and that work by their last address).";
    POOL_CAN_LOSE: Gauge Things "eclusa_pool_can_lose" ["pool"]
        "Ready endpoints that may be lost: of masters, before etcd has no majority; of others, before none is left.";
    POOL_ENDED: Counter Things "eclusa_pool_sessions_ended_total"
        ["pool", "ended_by", "step", "how"]
        "Sessions that a route gave to the pool and that ended: by whom, at which step, and how.";
    POOL_BYTES: Counter Bytes "eclusa_pool_bytes_total" ["pool", "direction"]
        "Bytes of sessions and exchanges that have ended: `up` to endpoints, `down` to clients.";
    DIAL: Histogram Seconds "eclusa_pool_dial_seconds" ["pool"]
        "From the first dial of a session until a connection to an endpoint stood.";
    REDIALS: Counter Things "eclusa_pool_redials_total" ["pool"]
        "Dials beyond the first of a session: another endpoint after a failure, or beside a slow one.";
    WAITING: Gauge Things "eclusa_pool_waiting" ["pool"]
        "Sessions that wait at this moment: every endpoint that is well is at its limit.";
    WAITING_MAX: Gauge Things "eclusa_pool_waiting_max" ["pool"]
        "Sessions that may wait; who comes then is refused (`queue`).";
    QUEUED: Counter Things "eclusa_pool_queued_total" ["pool", "outcome"]
        "Waits for a place, by what came of them: `placed`, `timed_out`, `client_left`, `no_endpoint` (none was left), or `full`: it might not wait.";
    QUEUE_TIME: Histogram Seconds "eclusa_pool_queue_seconds" ["pool"]
        "How long a session waited that had to; counted when it ends.";
    MOVED: Counter Things "eclusa_pool_rebalanced_total" ["pool"]
        "Sessions at rest that were closed so that their clients connect to an endpoint with fewer.";
    FIRST_BYTE: Histogram Seconds "eclusa_pool_first_byte_seconds" ["pool"]
        "From the end of the preamble until the endpoint's first byte, the dial included.";
    REPLAYS: Counter Things "eclusa_pool_replays_total" ["pool"]
        "First flights that a second endpoint was sent.";
    REPLAYS_WON: Counter Things "eclusa_pool_replays_won_total" ["pool", "by"]
        "Replays that were answered: by the `first` endpoint after all, or by the `second`.";
    REPLAYS_REFUSED: Counter Things "eclusa_pool_replays_refused_total" ["pool", "reason"]
        "Late first flights that were not sent again: `budget`, or the whole pool is `slow`.";
    RETRIES: Counter Things "eclusa_pool_retries_total" ["pool"]
        "Requests that were sent to another endpoint after one had failed (or, with `retry_unavailable`, had answered 503).";
    HEDGES: Counter Things "eclusa_pool_hedges_total" ["pool"]
        "Requests that a second endpoint was sent because the first kept silent for longer than is usual.";
    HEDGES_WON: Counter Things "eclusa_pool_hedges_won_total" ["pool", "by"]
        "Hedged requests that were answered: by the `first` endpoint after all, or by the `second`.";
    RETRIES_REFUSED: Counter Things "eclusa_pool_retries_refused_total" ["pool", "reason"]
        "Second tries that were not made: `retry_budget` was spent (`budget`), or the whole pool is `slow`.";
    RETRANSMITS: Counter Things "eclusa_pool_tcp_retransmits_total" ["pool", "side"]
        "Segments that the kernel sent again, towards the `client` or the `endpoint`; counted when a session ends.";
    RTT: Histogram Seconds "eclusa_pool_tcp_rtt_seconds" ["pool", "side"]
        "The kernel's smoothed round-trip time to the `client` or the `endpoint` when a session ends.";
    VERDICT_CHANGES: Counter Things "eclusa_pool_verdict_changes_total" ["pool", "verdict"]
        "Verdicts on endpoints of the pool that became this one.";
    PROBES: Counter Things "eclusa_pool_probes_total" ["pool", "way"]
        "Probes that began, over a `fresh` connection or the `kept` one.";
    EVIDENCE: Counter Things "eclusa_pool_evidence_total" ["pool", "kind"]
        "What probes and traffic saw of endpoints, by its kind.";
    VOID: Counter Things "eclusa_pool_probes_void_total" ["pool", "cause"]
        "Results of probes that say something of this host and nothing of the endpoint.";
    RESETS: Counter Things "eclusa_pool_resets_ordered_total" ["pool"]
        "How often the sessions of an endpoint were ordered to be reset.";
}
"TLS and HTTP" {
    HANDSHAKES: Counter Things "eclusa_listener_tls_handshakes_total" ["listener", "outcome"]
        "TLS handshakes with clients: `full` and `resumed` ones that were done, all others by what ended them.";
    EXCHANGES: Counter Things "eclusa_listener_exchanges_total" ["listener", "status"]
        "Exchanges that are over, by the class of the status that the client got; `none`: no answer.";
    REQUESTS_REFUSED: Counter Things "eclusa_listener_requests_refused_total" ["listener", "reason"]
        "Requests that are not as HTTP has them, by what is wrong; `eclusa-edge errors` shows the last ones.";
    LOGINS: Counter Things "eclusa_listener_logins_total" ["listener", "outcome"]
        "Requests with a name and a password for `basic_auth`: `right`, `wrong`, or `unheard` (503): too many others wait to be checked.";
    LIMITED: Counter Things "eclusa_listener_over_limit_total" ["listener", "limit", "outcome"]
        "Connections and requests over a limit of `[listener.NAME.limit]`: `refused`, or only `reported` while `enforce` is off.";
    FORGOTTEN: Counter Things "eclusa_listener_limit_clients_forgotten_total" ["listener"]
        "Client networks whose requests were forgotten too early: while it grows `clients` of `limit`, or of a counter that its rules count at, is too small, and the limit looser than it says.";
    COMPRESSED: Counter Things "eclusa_listener_compressed_total" ["listener", "outcome"]
        "Answers that `http.compress` is for: `compressed`, or `passed` as they are, for `at_once` others were being compressed.";
    FLOODS: Counter Things "eclusa_listener_floods_total" ["listener", "reason"]
        "HTTP/2 connections that were cut because the client floods, by with what; `library`: by a limit of the HTTP/2 library.";
    POOL_EXCHANGES: Counter Things "eclusa_pool_exchanges_total" ["pool", "ended_by", "step", "how"]
        "Exchanges that a route gave to the pool and that are over: ended by whom and at which step, as in the log, and how.";
    ANSWER_TIME: Histogram Seconds "eclusa_pool_answer_seconds" ["pool"]
        "From a request sent until the head of the endpoint's answer.";
    REUSED: Counter Things "eclusa_pool_reused_total" ["pool"]
        "Exchanges over a connection to the endpoint that had served others.";
    ANSWERS_REFUSED: Counter Things "eclusa_pool_answers_refused_total" ["pool", "reason"]
        "Answers of endpoints that are not as HTTP has them, by what is wrong; `eclusa-edge errors` shows the last ones.";
    IDLE_CONNECTIONS: Gauge Things "eclusa_worker_idle_connections" ["worker"]
        "Connections to endpoints that the worker keeps for the next exchange.";
}
"Endpoints" {
    ENDPOINT_SESSIONS: Gauge Things "eclusa_endpoint_sessions" ["pool", "endpoint", "address"]
        "Sessions on the endpoint at this moment, dials under way included.";
    PICKS: Counter Things "eclusa_endpoint_picks_total" ["pool", "endpoint", "address"]
        "How often the endpoint was picked for a session.";
    DIAL_FAILURES: Counter Things "eclusa_endpoint_dial_failures_total"
        ["pool", "endpoint", "address"]
        "Dials of sessions to the endpoint that failed.";
    VERDICT: Gauge Things "eclusa_endpoint_verdict" ["pool", "endpoint", "address", "verdict"]
        "1 at the verdict that the endpoint has, 0 at the others.";
    VERDICT_SINCE: Gauge Seconds "eclusa_endpoint_verdict_since_timestamp_seconds"
        ["pool", "endpoint", "address"]
        "Since when it has this verdict.";
    BLIND: Gauge Things "eclusa_endpoint_blind" ["pool", "endpoint", "address"]
        "1 while nothing is known of its health: its checks answer 401 or 403.";
    WEIGHT: Gauge Things "eclusa_endpoint_weight" ["pool", "endpoint", "address"]
        "Its share of new sessions, relative to the others.";
    ADMIN_STATE: Gauge Things "eclusa_endpoint_admin_state"
        ["pool", "endpoint", "address", "state"]
        "1 at what the operator wants of the endpoint, 0 at the others.";
    CERTIFICATE_END: Gauge Seconds "eclusa_endpoint_certificate_expiry_timestamp_seconds"
        ["pool", "endpoint", "address"]
        "When the certificate that the endpoint showed to a probe ends.";
    SOURCE_PORTS: Gauge Ratio "eclusa_endpoint_source_ports_used_ratio"
        ["pool", "endpoint", "address"]
        "Local ports towards the endpoint that are in use by sessions; at 1 nobody can dial it.";
}
"The address that two hosts share" {
    REACH: Gauge Things "eclusa_reach" []
        "1 while this host reaches an endpoint, 0 while it reaches none, -1 while nobody asks one.";
    VIP: Gauge Things "eclusa_vip" []
        "1 while this host should hold the address that it shares with its peer (what `/vip` says).";
}
"What `observe` finds" {
    OBSERVE_WOULD: Counter Things "eclusa_observe_would_have_total" ["pool", "order"]
        "Orders that nobody carried out: `drain`, `refuse` (no new sessions to an endpoint), `reset` (its sessions), `turn_away` (no endpoint of the pool was left).";
    OBSERVE_COMPARED: Gauge Things "eclusa_observe_compared" ["pool"]
        "Endpoints of which HAProxy and `observe` both know whether they are up.";
    OBSERVE_DIFFERING: Gauge Things "eclusa_observe_differing" ["pool"]
        "Those of them on which the two differ at this moment.";
    OBSERVE_DISAGREEMENTS: Counter Things "eclusa_observe_disagreements_total" ["pool", "out_by"]
        "Disagreements that began, by who said that the endpoint is out: `we` or `haproxy`.";
    OBSERVE_NOTICED: Counter Things "eclusa_observe_noticed_total" ["pool", "first"]
        "Deaths that both noticed, by who was first: `we`, `haproxy`, or `together` as far as HAProxy's seconds tell.";
    OBSERVE_READS: Counter Things "eclusa_observe_haproxy_reads_total" ["outcome"]
        "Reads of what HAProxy says: `done` or `failed`.";
}
}

/// Every metric.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    PARTS.iter().flat_map(|(_, metrics)| metrics.iter().copied())
}

const INTRODUCTION: &str = "\
# Metrics and health

<!-- Printed from the table of metrics in crates/proxy/src/observe/metrics/table.rs; `BLESS=1 cargo \
test -p eclusa-proxy --test metrics` prints it again. -->

With `observe.listen` (`docs/configuration.md`) both programs answer over HTTP, to GET and HEAD; \
without it nobody asks. Nothing there changes anything.

| path | says |
|---|---|
| `/metrics` | The figures below, as Prometheus reads them. |
| `/livez` | 200 while every worker has shown within 2 s that it runs and the service does not stop; else 503. |
| `/readyz` | 200 while every pool that a route uses can take a session and the service does not stop; else 503 with the pools that cannot. |
| `/pool/NAME` | 200 while the pool can take a session; else 503. One line tells how it stands. 404: no such pool. |
| `/reach` | 200 while a probe shows that this host reaches an endpoint; else 503. It asks nobody else. |
| `/vip` | 503 while this host has reached no endpoint for 5 s and its `observe.peer`, asked for `/reach`, says that it does reach one; else 200. |
| `/stats;csv` | Where `observe.haproxy_stats` asks for it: HAProxy's table of figures (`haproxy-compat.md`). |

`/vip` is for what moves an address between two hosts, such as keepalived: an address moves only \
where that helps. While no endpoint answers either of the hosts, and while the peer cannot be asked, \
it stays. A host whose endpoints are not probed never lets go.

Sizes are base units: seconds, bytes. A counter begins at 0 when its engine begins, and goes on over \
reloads. Counters by `ended_by`, `step` and `how`, those by `reason` of what is refused, and histograms \
have no samples before something happened; figures of TLS and HTTP have none where TCP is carried, \
and those of `observe` none in a service. \
Names that begin with `process_` are those that Prometheus's own libraries use.
";

/// The table as a page: `docs/metrics.md`.
#[must_use]
pub fn render() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (part, metrics) in PARTS {
        let _ = write!(
            page,
            "\n## {part}\n\n| metric | type | unit | labels | |\n|---|---|---|---|---|\n"
        );
        for Metric { name, kind, unit, labels, help } in *metrics {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let (kind, unit, labels) = (kind.word(), unit.word(), labels.join(", "));
            let _ = writeln!(page, "| `{name}` | {kind} | {unit} | {labels} | {help} |");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let mut names: Vec<_> = all().map(|metric| metric.name).collect();
        for Metric { name, kind, unit, labels, help } in all() {
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(plain(name) && labels.iter().all(|label| plain(label)), "{name}");
            assert!(name.starts_with("eclusa_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            let base = name.trim_end_matches("_total");
            let unit = unit.word();
            assert!(base.ends_with(unit), "{name} is in {unit}");
            assert!(help.ends_with('.') && !help.contains(['|', '\n']), "{name}: {help}");
            assert!(!labels.contains(&"le"), "{name}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().count(), "a name is there twice");
    }
}
