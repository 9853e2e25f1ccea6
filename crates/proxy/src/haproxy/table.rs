//! The one table: every column of HAProxy 2.6's `show stat` in its order, what is told in it here, and
//! the names that its exporter has for the same. The table of figures, the exporter's page and
//! `docs/haproxy-compat.md` come from it.

use crate::observe::metrics::table::{Kind, Metric, Unit};

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// A listener: `FRONTEND`.
    Listener = 0,
    /// A pool: `BACKEND`.
    Pool = 1,
    /// An endpoint of a pool.
    Endpoint = 2,
}

impl About {
    /// The bit that `show stat` asks for it by.
    pub(super) fn bit(self) -> i64 {
        1 << self as u8
    }
}

/// A column.
#[derive(Debug)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: &'static str,
    /// What is told in it; empty: nothing.
    #[cfg_attr(not(test), allow(dead_code, reason = "a test prints it into the page"))]
    pub(crate) told: &'static str,
    /// The exporter's names, by what the row is about.
    pub(crate) exported: &'static [(About, Metric)],
    /// Of exported states: the words, one sample each; empty: the number itself.
    pub(crate) states: &'static [&'static str],
}

/// Writes [`Col`] and [`COLUMNS`]: name, what it tells, and the exporter's names: of listeners (`F`),
/// pools (`B`) and endpoints (`S`), with a state or code as one more label where it has some.
macro_rules! columns {
    ($($id:ident $name:literal $told:literal $([$($exported:tt)*])?;)*) => {
        /// A column of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each says in the table what it tells")]
        #[allow(dead_code, reason = "those in which nothing is told have their place, too")]
        pub(crate) enum Col { $($id),* }

        /// The columns, in their order.
        pub(crate) static COLUMNS: &[Column] = &[$(Column {
            name: $name,
            told: $told,
            exported: exported!($([$($exported)*])?),
            states: states!($([$($exported)*])?),
        }),*];
    };
}

macro_rules! exported {
    () => { &[] };
    ([$($about:ident)+: $kind:ident $suffix:literal $help:literal]) => {
        &[$(named!($about $kind $suffix $help)),+]
    };
    ([$($about:ident)+: $kind:ident $suffix:literal $help:literal by $label:literal $states:expr]) => {
        &[$(named!($about $kind $suffix $help $label)),+]
    };
}

macro_rules! states {
    () => {
        &[]
    };
    ([$($about:ident)+: $kind:ident $suffix:literal $help:literal]) => {
        &[]
    };
    ([$($about:ident)+: $kind:ident $suffix:literal $help:literal by $label:literal $states:expr]) => {
        $states
    };
}

macro_rules! named {
    (F $kind:ident $suffix:literal $help:literal $($label:literal)?) => {
        (About::Listener, metric(Kind::$kind, concat!("haproxy_frontend_", $suffix), $help,
            &["proxy" $(, $label)?]))
    };
    (B $kind:ident $suffix:literal $help:literal $($label:literal)?) => {
        (About::Pool, metric(Kind::$kind, concat!("haproxy_backend_", $suffix), $help,
            &["proxy" $(, $label)?]))
    };
    (S $kind:ident $suffix:literal $help:literal $($label:literal)?) => {
        (About::Endpoint, metric(Kind::$kind, concat!("haproxy_server_", $suffix), $help,
            &["proxy", "server" $(, $label)?]))
    };
}

pub(super) const fn metric(
    kind: Kind,
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
) -> Metric {
    Metric { name, kind, unit: Unit::Things, labels, help }
}

/// The states of an endpoint, as the exporter names them; a listener or pool has the first two.
pub(crate) const STATES: [&str; 5] = ["DOWN", "UP", "MAINT", "DRAIN", "NOLB"];

/// The results of a check, as the exporter names them.
pub(crate) static CHECKS: &[&str] = &[
    "HANA", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP", "L7TOUT", "L7RSP",
    "L7OK", "L7OKC", "L7STS", "PROCERR", "PROCTOUT", "PROCOK",
];

columns! {
    Pxname "pxname" "The name of the listener or pool.";
    Svname "svname" "`FRONTEND`, `BACKEND`, or the endpoint's name; `NAME@ADDRESS` for each address of a name that has several.";
    Qcur "qcur" "Pool: sessions that wait for an endpoint."
        [B: Gauge "current_queue" "Sessions that wait for an endpoint."];
    Qmax "qmax" "";
    Scur "scur" "Sessions that stand; of an endpoint with dials under way; of a pool the sum over its endpoints."
        [F B S: Gauge "current_sessions" "Sessions that stand."];
    Smax "smax" "";
    Slim "slim" "Listener: `sessions_max` of the program, which all listeners share. Endpoint: its own `sessions_max`."
        [F S: Gauge "limit_sessions" "Sessions that there may be."];
    Stot "stot" "Listener: sessions that began. Pool: those that ended. Endpoint: how often it was picked."
        [F B S: Counter "sessions_total" "Sessions: of a frontend begun, of a backend ended, of a server how often it was picked."];
    Bin "bin" "Listener, pool: bytes from clients, of sessions that ended and of exchanges."
        [F B: Counter "bytes_in_total" "Bytes from clients, of sessions and exchanges that ended."];
    Bout "bout" "The same to clients."
        [F B: Counter "bytes_out_total" "Bytes to clients, of sessions and exchanges that ended."];
    Dreq "dreq" "";
    Dresp "dresp" "";
    Ereq "ereq" "Listener: of TCP, sessions that ended before their first bytes were complete; of HTTP, requests that the codec refused."
        [F: Counter "request_errors_total" "Sessions without complete first bytes, or requests that were refused as malformed."];
    Econ "econ" "Dials that failed; of a pool the sum over its endpoints."
        [B S: Counter "connection_errors_total" "Dials that failed."];
    Eresp "eresp" "Pool of HTTP: answers that the codec refused."
        [B: Counter "response_errors_total" "Responses that were refused as malformed."];
    Wretr "wretr" "Pool: requests that were tried again."
        [B: Counter "retry_warnings_total" "Requests that were tried again."];
    Wredis "wredis" "Pool: dials beside the first of a session."
        [B: Counter "redispatch_warnings_total" "Dials beside the first of a session."];
    Status "status" "Listener: `OPEN`. Pool: `UP` while it can take a session, else `DOWN`. Endpoint: see below."
        [F B S: Gauge "status" "1 for the state that it has." by "state" &STATES];
    Weight "weight" "Endpoint: its weight. Pool: the sum over active endpoints that are `UP`; without one, over backups."
        [B S: Gauge "weight" "Weight of a server, or of all that take traffic."];
    Act "act" "Pool: active endpoints that are `UP` or `no check`. Endpoint: 1 if it is no backup."
        [B: Gauge "active_servers" "Active servers that are up."];
    Bck "bck" "The same of backups."
        [B: Gauge "backup_servers" "Backup servers that are up."];
    Chkfail "chkfail" "";
    Chkdown "chkdown" "";
    Lastchg "lastchg" "Endpoint: seconds since its verdict changed (`since` of `status`); orders do not count."
        [S: Gauge "check_last_change_seconds" "Seconds since the verdict changed."];
    Downtime "downtime" "";
    Qlimit "qlimit" "";
    Pid "pid" "Always 1, as HAProxy numbers its processes.";
    Iid "iid" "Number of the listener or pool: in the order of the configuration, from 1, listeners first. A reload may change it.";
    Sid "sid" "Number of the endpoint in its pool, from 1; 0 otherwise.";
    Throttle "throttle" "";
    Lbtot "lbtot" "How often an endpoint was picked; of a pool the sum over its endpoints."
        [B S: Counter "loadbalanced_total" "How often a server was picked."];
    Tracked "tracked" "";
    Type "type" "0 listener, 1 pool, 2 endpoint.";
    Rate "rate" "";
    RateLim "rate_lim" "";
    RateMax "rate_max" "";
    CheckStatus "check_status" "Endpoint that is probed: the last result; see below."
        [S: Gauge "check_status" "1 for the result of the last check." by "state" CHECKS];
    CheckCode "check_code" "Endpoint: the status that its last probe was refused for."
        [S: Gauge "check_code" "The status that the last check was refused for."];
    CheckDuration "check_duration" "";
    Hrsp1xx "hrsp_1xx" "Listener of HTTP: exchanges by class of the answer's status."
        [F: Counter "http_responses_total" "Exchanges by class of the status." by "code" &["1xx"]];
    Hrsp2xx "hrsp_2xx" "The same."
        [F: Counter "http_responses_total" "Exchanges by class of the status." by "code" &["2xx"]];
    Hrsp3xx "hrsp_3xx" "The same."
        [F: Counter "http_responses_total" "Exchanges by class of the status." by "code" &["3xx"]];
    Hrsp4xx "hrsp_4xx" "The same."
        [F: Counter "http_responses_total" "Exchanges by class of the status." by "code" &["4xx"]];
    Hrsp5xx "hrsp_5xx" "The same."
        [F: Counter "http_responses_total" "Exchanges by class of the status." by "code" &["5xx"]];
    HrspOther "hrsp_other" "The same, without an answer."
        [F: Counter "http_responses_total" "Exchanges by class of the status." by "code" &["other"]];
    Hanafail "hanafail" "";
    ReqRate "req_rate" "";
    ReqRateMax "req_rate_max" "";
    ReqTot "req_tot" "Listener, pool of HTTP: exchanges that ended."
        [F B: Counter "http_requests_total" "Exchanges that ended."];
    CliAbrt "cli_abrt" "Pool: sessions and exchanges that the client broke off while bytes moved."
        [B: Counter "client_aborts_total" "Transfers that clients broke off."];
    SrvAbrt "srv_abrt" "Pool: those that the endpoint broke off."
        [B: Counter "server_aborts_total" "Transfers that servers broke off."];
    CompIn "comp_in" "";
    CompOut "comp_out" "";
    CompByp "comp_byp" "";
    CompRsp "comp_rsp" "";
    Lastsess "lastsess" "";
    LastChk "last_chk" "Endpoint: the last result in words.";
    LastAgt "last_agt" "";
    Qtime "qtime" "";
    Ctime "ctime" "";
    Rtime "rtime" "";
    Ttime "ttime" "";
    AgentStatus "agent_status" "";
    AgentCode "agent_code" "";
    AgentDuration "agent_duration" "";
    CheckDesc "check_desc" "Endpoint: why its verdict is what it is (`why` of `status`).";
    AgentDesc "agent_desc" "";
    CheckRise "check_rise" "";
    CheckFall "check_fall" "";
    CheckHealth "check_health" "";
    AgentRise "agent_rise" "";
    AgentFall "agent_fall" "";
    AgentHealth "agent_health" "";
    Addr "addr" "Endpoint: its address.";
    Cookie "cookie" "";
    Mode "mode" "`tcp` or `http`.";
    Algo "algo" "Pool: its `balance` in HAProxy's words: `roundrobin`, `random` (two choices), `leastconn`, `source`, `first`.";
    ConnRate "conn_rate" "";
    ConnRateMax "conn_rate_max" "";
    ConnTot "conn_tot" "Listener: connections that were accepted."
        [F: Counter "connections_total" "Connections that were accepted."];
    Intercepted "intercepted" "";
    Dcon "dcon" "Listener: connections that `allow` and `deny` sent away."
        [F: Counter "denied_connections_total" "Connections that the access list sent away."];
    Dses "dses" "";
    Wrew "wrew" "";
    Connect "connect" "";
    Reuse "reuse" "Pool of HTTP: exchanges on kept connections."
        [B: Counter "connection_reuses_total" "Exchanges on kept connections."];
    CacheLookups "cache_lookups" "";
    CacheHits "cache_hits" "";
    SrvIcur "srv_icur" "";
    SrcIlim "src_ilim" "";
    QtimeMax "qtime_max" "";
    CtimeMax "ctime_max" "";
    RtimeMax "rtime_max" "";
    TtimeMax "ttime_max" "";
    Eint "eint" "";
    IdleConnCur "idle_conn_cur" "";
    SafeConnCur "safe_conn_cur" "";
    UsedConnCur "used_conn_cur" "";
    NeedConnEst "need_conn_est" "";
    Uweight "uweight" "As `weight`."
        [B S: Gauge "uweight" "Weight of a server, or of all that take traffic."];
    AggStates "agg_server_status" ""
        [B: Gauge "agg_server_status" "Servers by state." by "state" &STATES];
    AggChecks "agg_server_check_status" "";
    AggResults "agg_check_status" "";
    Dash "-" "Always `-`: columns of modules follow.";
    SslSess "ssl_sess" "Listener with TLS: handshakes that were done.";
    SslReusedSess "ssl_reused_sess" "The resumed ones among them.";
    SslFailedHandshake "ssl_failed_handshake" "Handshakes that failed.";
    H2HeadersRcvd "h2_headers_rcvd" "";
    H2DataRcvd "h2_data_rcvd" "";
    H2SettingsRcvd "h2_settings_rcvd" "";
    H2RstStreamRcvd "h2_rst_stream_rcvd" "";
    H2GoawayRcvd "h2_goaway_rcvd" "";
    H2ConnErrors "h2_detected_conn_protocol_errors" "";
    H2StrmErrors "h2_detected_strm_protocol_errors" "";
    H2RstStreamResp "h2_rst_stream_resp" "";
    H2GoawayResp "h2_goaway_resp" "";
    H2OpenConnections "h2_open_connections" "";
    H2OpenStreams "h2_backend_open_streams" "";
    H2TotalConnections "h2_total_connections" "";
    H2TotalStreams "h2_backend_total_streams" "";
    H1OpenConnections "h1_open_connections" "";
    H1OpenStreams "h1_open_streams" "";
    H1TotalConnections "h1_total_connections" "";
    H1TotalStreams "h1_total_streams" "";
    H1BytesIn "h1_bytes_in" "";
    H1BytesOut "h1_bytes_out" "";
    H1SplicedBytesIn "h1_spliced_bytes_in" "";
    H1SplicedBytesOut "h1_spliced_bytes_out" "";
}
