//! `option NAME` of proxies.

use super::Fate::{Carried, Default, Ignored, Improved, Unsupported};
use super::{Row, row};

pub(crate) const OPTIONS: &[Row] = &[
    row(
        "httpchk tcp-check ssl-hello-chk",
        Carried,
        "`probe.kind`: the last of them counts, as with HAProxy",
    ),
    row(
        "forwardfor",
        Carried,
        "a rule that sets `X-Forwarded-For`: clients' own claims are replaced, where HAProxy lets them stand beside",
    ),
    row(
        "http-server-close httpclose forceclose",
        Carried,
        "`http.reuse = \"never\"` of the pool; clients keep their connections",
    ),
    row("tcplog", Carried, "`log.format = \"tcplog\"`"),
    row(
        "httplog httpslog",
        Carried,
        "records are JSON: HAProxy's layout of requests is not written",
    ),
    row("dontlog-normal", Carried, "`log.sample = 0.0`"),
    row("disable-h2-upgrade", Carried, "`http2 = false`"),
    row("redispatch", Default, "a dial that fails goes to another endpoint at once"),
    row("abortonclose", Default, "a client that has gone is noticed while it waits"),
    row("log-health-checks", Default, "each change of a verdict is an event of the log"),
    row("allbackups", Default, "all backups are used"),
    row("http-keep-alive", Default, "connections are kept"),
    row("tcpka clitcpka srvtcpka", Default, "keepalive is always on (`dead_peer`)"),
    row(
        "http-no-delay http-buffer-request tcp-smart-accept tcp-smart-connect splice-auto splice-request splice-response",
        Default,
        "it is done by itself where it helps",
    ),
    row(
        "socket-stats contstats",
        Default,
        "figures are counted while sessions go on, for each listener",
    ),
    row(
        "dontlognull http-ignore-probes",
        Ignored,
        "a connection without a byte leaves a record, too, if its listener sees it end: `letters` tell it apart",
    ),
    row("logasap", Ignored, "a record is written at the end, when everything is known"),
    row(
        "log-separate-errors",
        Ignored,
        "`letters` and the status tell errors apart; `log.sample` never leaves one out",
    ),
    row("nolinger", Ignored, "connections end in order; a reset is passed on as a reset"),
    row("persist", Ignored, "a client of an endpoint that is down goes to another"),
    row("prefer-last-server", Ignored, "`sticky` or `hash` bring clients back, if they must be"),
    row(
        "http-pretend-keepalive http-use-htx http-use-proxy-header",
        Ignored,
        "a workaround inside of HAProxy",
    ),
    row(
        "independent-streams idle-close-on-response",
        Ignored,
        "a fine point of HAProxy's timeouts",
    ),
    row("http-restrict-req-hdr-names", Default, "names of header fields are read strictly"),
    row(
        "h1-case-adjust-bogus-client h1-case-adjust-bogus-server",
        Unsupported,
        "it wrote names of header fields in other cases; now they pass as they came; correct the application that tells cases apart",
    ),
    row(
        "accept-invalid-http-request",
        Unsupported,
        "it let malformed requests through; now they are refused (400); `eclusa-edge errors` shows them, `http.allow` of the listener lets what is not ambiguous through by name",
    ),
    row(
        "accept-invalid-http-response",
        Unsupported,
        "it let malformed answers through; now they are refused (502); `eclusa-edge errors` shows them, `http.allow` of the pool lets what is not ambiguous through by name",
    ),
    row(
        "checkcache",
        Unsupported,
        "it refused answers that were cacheable and set a cookie; now they pass; set `Cache-Control` in the application",
    ),
    row(
        "originalto",
        Unsupported,
        "it told endpoints the address that the client connected to; now they get `X-Forwarded-Host` and `-Port`; use these",
    ),
    row(
        "transparent http_proxy",
        Unsupported,
        "it forwarded to where the client wanted; now nothing does; name the endpoints in a pool",
    ),
    row(
        "mysql-check pgsql-check redis-check smtpchk ldap-check spop-check",
        Unsupported,
        "it spoke the endpoint's protocol in checks; now the probe connects (`kind = \"tcp\"`); watch the application elsewhere",
    ),
    row(
        "external-check",
        Unsupported,
        "it ran a program as a check; now the probe connects (`kind = \"tcp\"`); offer the verdict over HTTP and probe that",
    ),
    row(
        "http-tunnel",
        Improved,
        "requests are read one by one; HAProxy has had no tunnels since 2.1",
    ),
    row("tcp-ut", Ignored, "`dead_peer.no_ack`"),
];
