//! Keys of probes.

use super::{duration, milliseconds, seconds};
use crate::reference::{Default, Key, Kind};

/// What masters are asked.
pub static PROBE_KIND: Key = Key {
    name: "kind",
    kind: Kind::Choice(&["tcp", "tls", "http", "https", "none"]),
    default: Default::Value("\"https\""),
    help: "`tcp`: connect. `tls`: connect and complete a handshake. `http`, `https`: ask `path`, \
           too. `none`: nothing; the endpoint always counts as up.",
};

/// What endpoints of a pool are asked.
pub static POOL_PROBE_KIND: Key = Key {
    name: "kind",
    kind: Kind::Choice(&["tcp", "tls", "http", "https", "grpc", "grpcs", "none"]),
    default: Default::Value("\"tcp\""),
    help: "`tcp`: connect. `tls`: connect and complete a handshake. `http`, `https`: ask `path`, \
           too (`http` in HTTP/2 where the pool has `http.version = \"2\"` and no TLS). `grpc`, `grpcs` (over TLS): ask gRPC's health service (`grpc.health.v1.Health/Check`) \
           over HTTP/2; what is said of HTTP below holds, but for `path`, `live_path`, `method`, `status` \
           and `body`. `none`: nothing; the endpoint always counts as up.",
};

/// Pace of probes.
pub static INTERVAL: Key = Key {
    name: "interval",
    kind: duration(milliseconds(100), seconds(3_600)),
    default: Default::Value("\"1s\""),
    help: "From the start of one probe to the start of the next (± 10 %).",
};

/// Pace of probes while something changes.
pub static FAST_INTERVAL: Key = Key {
    name: "fast_interval",
    kind: duration(milliseconds(100), seconds(3_600)),
    default: Default::Value("\"300ms\""),
    help: "The same while a verdict is changing. Where `interval` is shorter, that holds.",
};

/// Patience of fresh connections.
pub static PROBE_TIMEOUT: Key = Key {
    name: "timeout",
    kind: duration(milliseconds(10), seconds(60)),
    default: Default::Value("\"700ms\""),
    help: "From the SYN of a fresh connection to the first byte of the ServerHello (without TLS: to \
           the SYN-ACK); one that takes longer speaks for silence. An HTTP answer that takes a third of \
           that is waited for, with a fresh connection tried beside it.",
};

/// Patience for answers.
pub static LATE_AFTER: Key = Key {
    name: "late_after",
    kind: duration(milliseconds(20), seconds(300)),
    default: Default::Value("\"3s\""),
    help: "HTTP: an answer that takes longer makes the endpoint `draining (slow)`.",
};

/// Successes.
pub static RISE: Key = Key {
    name: "rise",
    kind: Kind::Integer { min: 1, max: 100 },
    default: Default::Value("3"),
    help: "Successes in a row that bring an endpoint back; the first verdict needs one.",
};

/// Failures.
pub static FALL: Key = Key {
    name: "fall",
    kind: Kind::Integer { min: 1, max: 100 },
    default: Default::Value("2"),
    help: "HTTP: answers in a row with a status that is not good before the endpoint drains (a \
           master's 5xx counts at once). `tcp`, `tls`: fresh connections in a row that fail before \
           it is dead.",
};

/// How often a fresh connection.
pub static FRESH_EVERY: Key = Key {
    name: "fresh_every",
    kind: Kind::Integer { min: 1, max: 1_000 },
    default: Default::Value("5"),
    help: "HTTP: every so many probes one uses a fresh connection, the others one that is kept.",
};

/// What is asked first.
pub static PROBE_PATH: Key = Key {
    name: "path",
    kind: Kind::RequestPath,
    default: Default::ByProgram { apiserver: "\"/readyz\"", edge: "\"/\"" },
    help: "HTTP: the path that tells whether the endpoint wants new sessions.",
};

/// What is asked besides.
pub static LIVE_PATH: Key = Key {
    name: "live_path",
    kind: Kind::RequestPathOrNone,
    default: Default::ByProgram { apiserver: "\"/livez\"", edge: "\"none\"" },
    help: "HTTP: a second path, which tells whether it is well; a bad answer makes it \
           `draining (sick)`.",
};

/// Method.
pub static METHOD: Key = Key {
    name: "method",
    kind: Kind::Choice(&["GET", "HEAD", "OPTIONS"]),
    default: Default::Value("\"GET\""),
    help: "HTTP: the method of the requests.",
};

/// `Host`.
pub static PROBE_HOST: Key = Key {
    name: "host",
    kind: Kind::RequestHost,
    default: Default::Words("`server_name`, or the endpoint's address"),
    help: "HTTP: the `Host` of the requests.",
};

/// Whose health.
pub static SERVICE: Key = Key {
    name: "service",
    kind: Kind::Text,
    default: Default::Words("the endpoint as a whole"),
    help: "gRPC: the name that the health service is asked about, such as `shop.v1.Orders`.",
};

/// Good statuses.
pub static STATUS: Key = Key {
    name: "status",
    kind: Kind::List(&Kind::Status),
    default: Default::Value("[\"2xx\"]"),
    help: "HTTP: the statuses that count as good.",
};

/// Good bodies.
pub static BODY: Key = Key {
    name: "body",
    kind: Kind::Pattern,
    default: Default::Words("nobody looks at the body"),
    help: "HTTP: a regular expression (without look-around and back-references; classes such as \
           `\\w` are ASCII) that the first 64 KiB of the body must match somewhere, or the answer \
           is not good whatever its status; `path` and `live_path` alike. Not with `HEAD`. Write it \
           in single quotes, which take `\\` as it is: `'^status: \\w+$'`.",
};

/// SNI of probes.
pub static PROBE_SERVER_NAME: Key = Key {
    name: "server_name",
    kind: Kind::HostName,
    default: Default::Words("the endpoint's, if it is a name; else none is sent"),
    help: "TLS: the server name to send, which the certificate must have when `ca` is set.",
};

/// CA of probes.
pub static CA: Key = Key {
    name: "ca",
    kind: Kind::Path("/etc/kubernetes/pki/ca.crt"),
    default: Default::Words("any certificate will do"),
    help: "TLS: PEM bundle of the CAs that must have signed the endpoint's certificate.",
};

/// Certificate of probes.
pub static CERTIFICATE: Key = Key {
    name: "certificate",
    kind: Kind::Path("/etc/eclusa/probe.crt"),
    default: Default::Words("none is shown"),
    help: "TLS: PEM file with the certificate that the probe shows, and those between it and its \
           CA.",
};

/// Its private key.
pub static PRIVATE_KEY: Key = Key {
    name: "key",
    kind: Kind::Path("/etc/eclusa/probe.key"),
    default: Default::Words("none"),
    help: "TLS: PEM file with the private key of `certificate`.",
};

/// Bearer token.
pub static TOKEN_FILE: Key = Key {
    name: "token_file",
    kind: Kind::Path("/etc/eclusa/probe.token"),
    default: Default::Words("none is sent"),
    help: "`https` with `ca`: file with a bearer token for the requests, read anew for each \
           connection.",
};
