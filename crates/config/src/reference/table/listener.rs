//! Keys of listeners and routes.

use super::{DAY, DEAD_PEER_SECTION, ROUTE, duration, milliseconds, seconds};
use crate::reference::{Default, Key, Kind};
use std::time::Duration;

/// The kernel's longest, 32,767 s, as a round number.
const KEEPALIVE_MAX: Duration = seconds(9 * 3_600);

/// Addresses to listen on (edge).
pub static LISTEN: Key = Key {
    name: "listen",
    kind: Kind::List(&Kind::Listen),
    default: Default::Required,
    help: "Addresses to listen on. They need not be there yet (a virtual IP of keepalived).",
};

/// Networks let in.
pub static ALLOW: Key = Key {
    name: "allow",
    kind: Kind::List(&Kind::Network),
    default: Default::Words("everyone"),
    help: "Networks that may connect. The narrowest network of `allow` and `deny` that holds the \
           client decides.",
};

/// Networks kept out.
pub static DENY: Key = Key {
    name: "deny",
    kind: Kind::List(&Kind::Network),
    default: Default::Words("nobody"),
    help: "Networks that may not connect.",
};

/// Who sends PROXY headers.
pub static PROXY_FROM: Key = Key {
    name: "proxy_from",
    kind: Kind::List(&Kind::Network),
    default: Default::Words("nobody"),
    help: "Networks of proxies in front: a PROXY header (v1 or v2) must come first from there, and \
           is read from nowhere else.",
};

/// Idle sessions.
pub static IDLE_TIMEOUT: Key = Key {
    name: "idle_timeout",
    kind: Kind::Duration { min: seconds(1), max: seconds(365 * DAY), never: true, whole: false },
    default: Default::ByProgram { apiserver: "\"never\"", edge: "\"1h\"" },
    help: "Sessions without a byte in either direction for this long end.",
};

/// Half-closed sessions.
pub static HALF_CLOSED_TIMEOUT: Key = Key {
    name: "half_closed_timeout",
    kind: duration(seconds(1), seconds(DAY)),
    default: Default::Value("\"30s\""),
    help: "Sessions of which one side has finished end after this long without a byte.",
};

/// PROXY header and ClientHello.
pub static PREAMBLE_TIMEOUT: Key = Key {
    name: "preamble_timeout",
    kind: duration(milliseconds(100), seconds(60)),
    default: Default::Value("\"5s\""),
    help: "How long the PROXY header and a complete ClientHello may take, from `accept`.",
};

/// Accept queue.
pub static BACKLOG: Key = Key {
    name: "backlog",
    kind: Kind::Integer { min: 1, max: 65_535 },
    default: Default::Value("4096"),
    help: "Length of the kernel's accept queue (bounded by `net.core.somaxconn`).",
};

/// Default pool.
pub static POOL: Key = Key {
    name: "pool",
    kind: Kind::Name("a pool"),
    default: Default::Words("what no route takes is closed; a request gets 404"),
    help: "The pool for what no route takes.",
};

/// ClientHello.
pub static PEEK: Key = Key {
    name: "peek",
    kind: Kind::Choice(&["tls", "none"]),
    default: Default::Words(
        "\"tls\" where a route asks for `server_name`, or a pool of this listener is probed by \
         `tls` or `https`, has `replay`, or sends `alpn` or `authority`; else \"none\"",
    ),
    help: "`tls`: wait for the ClientHello (the first byte that is no TLS, or 2 s) before an \
           endpoint is dialled; nothing is decrypted. `none`: dial at once, for protocols in which \
           the endpoint speaks first (SMTP, MySQL).",
};

/// `[[listener.NAME.route]]`
pub static ROUTES: Key = Key {
    name: "route",
    kind: Kind::Tables(&ROUTE),
    default: Default::Words("none"),
    help: "Routes, in order; the first that holds decides.",
};

/// Pool of a route.
pub static ROUTE_POOL: Key = Key {
    name: "pool",
    kind: Kind::Name("a pool"),
    default: Default::Words("needed unless there is `split`"),
    help: "The pool for what fulfils the condition.",
};

/// Shares of a route.
pub static SPLIT: Key = Key {
    name: "split",
    kind: Kind::Shares,
    default: Default::Words("all goes to `pool`"),
    help: "Several pools, each with its share: `{ blue = 95, green = 5 }`.",
};

/// `[dead_peer]`
pub static DEAD_PEER: Key = Key {
    name: "dead_peer",
    kind: Kind::Table(&DEAD_PEER_SECTION),
    default: Default::Words("the defaults of its keys"),
    help: "How dead peers are found.",
};

/// `TCP_KEEPIDLE`
pub static KEEPALIVE_IDLE: Key = Key {
    name: "keepalive_idle",
    kind: Kind::Duration { min: seconds(1), max: KEEPALIVE_MAX, never: false, whole: true },
    default: Default::ByProgram { apiserver: "\"30s\"", edge: "\"60s\"" },
    help: "Silence before the first keepalive probe.",
};

/// `TCP_KEEPINTVL`
pub static KEEPALIVE_INTERVAL: Key = Key {
    name: "keepalive_interval",
    kind: Kind::Duration { min: seconds(1), max: KEEPALIVE_MAX, never: false, whole: true },
    default: Default::ByProgram { apiserver: "\"10s\"", edge: "\"20s\"" },
    help: "Time between keepalive probes.",
};

/// `TCP_KEEPCNT`
pub static KEEPALIVE_COUNT: Key = Key {
    name: "keepalive_count",
    kind: Kind::Integer { min: 1, max: 127 },
    default: Default::Value("3"),
    help: "Unanswered probes after which the peer counts as dead.",
};

/// Unacknowledged data.
pub static NO_ACK: Key = Key {
    name: "no_ack",
    kind: duration(seconds(1), seconds(3_600)),
    default: Default::Value("\"30s\""),
    help: "With data under way: the peer is dead when it acknowledges nothing at all for this \
           long. One that acknowledges with a closed window lives.",
};
