//! Words of `defaults`, `frontend`, `backend` and `listen`, and sections of other kinds.

use super::Fate::{Carried, Default, Ignored, Improved, Unsupported};
use super::{Row, row};

pub(crate) const PROXY: &[Row] = &[
    row(
        "bind",
        Carried,
        "`listen` of a listener; addresses with `ssl` and those without become a listener each",
    ),
    row("server", Carried, "an endpoint"),
    row(
        "server-template",
        Carried,
        "one endpoint with the name: it stands for all addresses that the name has",
    ),
    row("default-server", Carried, "what follows it has these options, what stands before has not"),
    row("mode", Carried, "`http = true`, or not"),
    row("balance", Carried, "`balance`, or `http.hash`"),
    row(
        "hash-type",
        Carried,
        "hashes are consistent: the same client, the same endpoint, on every host alike",
    ),
    row("default_backend", Carried, "`pool` of the listener"),
    row("use_backend", Carried, "a `route`"),
    row("acl", Carried, "a condition, written where it is used"),
    row(
        "http-request http-response http-after-response redirect block reqadd rspadd",
        Carried,
        "a `rule` of each listener that leads here",
    ),
    row("tcp-request", Carried, "`allow`, `deny`, `proxy_from`, `peek`"),
    row(
        "tcp-response",
        Carried,
        "answers are passed on as they come: `accept` says no more, anything else is told",
    ),
    row(
        "timeout",
        Carried,
        "`idle_timeout`, `dial.timeout`, `queue_timeout`, `http.*_timeout`, `probe.late_after`",
    ),
    row("retries", Carried, "`dial.tries`, one more"),
    row(
        "maxconn",
        Carried,
        "left out: `sessions_max` of the program bounds all listeners together",
    ),
    row("backlog", Carried, "`backlog`"),
    row(
        "cookie",
        Carried,
        "`cookie NAME insert`: `http.sticky`; the values are made with a key, and tell nothing of the endpoint",
    ),
    row("option", Carried, "see the options below"),
    row("http-check tcp-check", Carried, "`probe`"),
    row(
        "log",
        Carried,
        "`log global`, `no log`: whether records are written; others as in `global`",
    ),
    row("log-tag", Carried, "`log.tag`"),
    row("stats", Carried, "`[dashboard]`; `observe.haproxy_stats` for those who read the CSV"),
    row("monitor-uri", Carried, "a `rule` that answers 200 at that path"),
    row(
        "errorfile",
        Carried,
        "`[errors.STATUS]`, once the file has lost its HTTP head; of a section without endpoints a rule `answer` with the file as it is; Debian's own pages are left out",
    ),
    row("source", Carried, "`source` of the pool"),
    row("stick", Carried, "`stick on src`: `balance = \"source-hash\"`"),
    row(
        "stick-table",
        Carried,
        "see `stick`; where `http-request track-sc` counts clients in it: `[counter.NAME]`",
    ),
    row("http-reuse", Carried, "`http.reuse`"),
    row("dispatch", Carried, "a pool of that one endpoint, which is not probed"),
    row("description id", Ignored, "a name for HAProxy's page"),
    row("bind-process", Ignored, "every worker listens on every address"),
    row(
        "fullconn max-keep-alive-queue",
        Ignored,
        "it scales limits by load: `endpoint_sessions_max` is a fixed limit",
    ),
    row(
        "dynamic-cookie-key",
        Ignored,
        "values of `sticky` are made with a key in any case: `sticky_key`",
    ),
    row(
        "load-server-state-from-file server-state-file-name",
        Default,
        "orders of operators outlive restarts by themselves; verdicts are found anew",
    ),
    row(
        "clitcpka-cnt clitcpka-idle clitcpka-intvl srvtcpka-cnt srvtcpka-idle srvtcpka-intvl",
        Default,
        "keepalive is always on: `dead_peer` has its numbers",
    ),
    row("enabled", Default, "it is, unless it is not there"),
    row("disabled", Carried, "the section is left out"),
    row("email-alert", Ignored, "alerts come from Prometheus: `docs/alerts`"),
    row(
        "log-format log-format-sd error-log-format",
        Unsupported,
        "it wrote records in a layout of its own; now they are JSON, or HAProxy's `tcplog`; adapt what reads them (`docs/logs.md`)",
    ),
    row(
        "unique-id-header",
        Carried,
        "a rule `request_id`: the endpoint gets the id that the log has",
    ),
    row("unique-id-format", Improved, "not carried over: ids have the form that the log has"),
    row("capture", Carried, "`capture request header`: `http.log_headers`"),
    row(
        "declare",
        Unsupported,
        "it made room for what rules write into the log; now nothing does; write `http.log_headers`",
    ),
    row("compression", Carried, "`http.compress`, by gzip"),
    row(
        "filter",
        Unsupported,
        "it sent traffic through a filter; now nothing does; do in the application what it did",
    ),
    row(
        "errorfiles errorloc errorloc302 errorloc303 http-error",
        Unsupported,
        "it answered errors with a page of its own, or a redirect; now a short text is answered; write the page into a file of HTML and name it in `[errors.STATUS]`",
    ),
    row(
        "rate-limit",
        Unsupported,
        "it held new connections back beyond a rate; now they are taken as they come; set `limit` of listeners with `http`, by client network",
    ),
    row(
        "use-server force-persist ignore-persist",
        Unsupported,
        "it chose one endpoint by a condition; now the pool's balance chooses; give that endpoint a pool and a route of its own",
    ),
    row(
        "monitor-net",
        Unsupported,
        "it answered connections of a network without an endpoint; now they go where all go; ask `/livez` of `observe.listen`",
    ),
    row(
        "monitor",
        Unsupported,
        "`monitor fail` made the monitor's answer depend on a condition; now it is always 200; ask `/readyz` or `/pool/NAME` of `observe.listen`",
    ),
    row(
        "retry-on",
        Unsupported,
        "it named failures after which a request is sent again; now `retries`, `retry_methods` and `retry_unavailable` of the pool's `http` decide; look at them",
    ),
    row(
        "persist",
        Unsupported,
        "it kept a client of RDP at an endpoint by its cookie; now the balance decides; use `balance = \"source-hash\"`",
    ),
    row(
        "http-send-name-header",
        Unsupported,
        "it told endpoints the name that they have here; now nothing does; set a header field by a rule",
    ),
    row(
        "external-check",
        Unsupported,
        "it named the program of a check; now the probe connects (`kind = \"tcp\"`); offer the verdict over HTTP and probe that",
    ),
    row(
        "use-fcgi-app",
        Unsupported,
        "it spoke FastCGI with endpoints; now nothing does; put a web server in front of the application",
    ),
    row(
        "reqrep reqirep reqdel reqidel reqdeny reqideny reqpass reqallow reqtarpit reqiadd rsprep rspirep rspdel rspidel rspdeny rspideny",
        Unsupported,
        "it edited heads by regular expressions, until HAProxy 2.1; now nothing does; write `rule`s",
    ),
    row(
        "appsession",
        Unsupported,
        "it kept clients at an endpoint by the application's cookie, until HAProxy 1.6; now the balance decides; use `http.hash = \"cookie:NAME\"`",
    ),
];

/// Sections that are not read line by line.
pub(crate) const OTHER_SECTIONS: &[Row] = &[
    row("userlist", Carried, "users of `basic_auth`, those with a hashed password"),
    row("crt-store", Carried, "`tls.certificates`"),
    row(
        "resolvers",
        Improved,
        "not carried over: names are resolved as the host does it (`/etc/resolv.conf`), every `resolve_interval`",
    ),
    row(
        "peers",
        Ignored,
        "there are no tables that hosts would have to tell each other; `source-hash`, `hash` and `sticky` agree on all hosts by themselves",
    ),
    row("mailers", Ignored, "alerts come from Prometheus: `docs/alerts`"),
    row(
        "cache",
        Unsupported,
        "it kept answers for others; now every request goes to an endpoint; put a cache behind",
    ),
    row(
        "program",
        Unsupported,
        "HAProxy started this program; now nobody does; write a unit for it, if it is still needed",
    ),
    row(
        "http-errors",
        Unsupported,
        "it named pages for errors; now a short text is answered; write them into files of HTML and name them in `[errors.STATUS]`",
    ),
    row(
        "ring log-forward log-profile traces",
        Unsupported,
        "it passed log lines on; now nobody does; `[log]` sends to several targets",
    ),
    row(
        "fcgi-app",
        Unsupported,
        "it described a FastCGI application; now nothing speaks to it; put a web server in front of it",
    ),
];
