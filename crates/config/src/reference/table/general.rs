//! Keys of the top levels, and of the log.

use super::{CONDITION, ENDPOINT, LISTENER, LOG_SECTION, POOL_SECTION};
use super::{DAY, duration, seconds};
use crate::reference::{Default, Key, Kind};

/// The masters.
pub static MASTERS: Key = Key {
    name: "masters",
    kind: Kind::List(&Kind::Master(&ENDPOINT)),
    default: Default::Required,
    help: "The Kubernetes masters. A port of its own is allowed where `ports` has one entry.",
};

/// Ports of the masters.
pub static PORTS: Key = Key {
    name: "ports",
    kind: Kind::List(&Kind::Integer { min: 1, max: 65_535 }),
    default: Default::Value("[6443]"),
    help: "Ports of the masters to carry; each gets a listener and a pool of its own.",
};

/// Addresses to listen on (apiserver).
pub static LISTEN_HOSTS: Key = Key {
    name: "listen",
    kind: Kind::List(&Kind::ListenHost),
    default: Default::Value("[\"0.0.0.0\", \"[::]\"]"),
    help: "Addresses to listen on, on each of `ports`; with one port in `ports` an address may \
           bring another. As a default `[::]` is left out on hosts without IPv6.",
};

/// Threads.
pub static WORKERS: Key = Key {
    name: "workers",
    kind: Kind::Integer { min: 1, max: 256 },
    default: Default::Words("one per processor that the process may use"),
    help: "Threads that carry traffic.",
};

/// Sessions at once.
pub static SESSIONS_MAX: Key = Key {
    name: "sessions_max",
    kind: Kind::Integer { min: 1, max: 10_000_000 },
    default: Default::Words("80 % of what the descriptor limit allows"),
    help: "Sessions at once; beyond, clients wait in the kernel's queue.",
};

/// Locks.
pub static RUN_DIRECTORY: Key = Key {
    name: "run_directory",
    kind: Kind::Path("/run/eclusa"),
    default: Default::Words("`$RUNTIME_DIRECTORY`, or `/run/eclusa`, or one of the user's own"),
    help: "Directory for the locks that keep a second instance off the same address.",
};

/// Stop.
pub static STOP_DEADLINE: Key = Key {
    name: "stop_deadline",
    kind: duration(seconds(0), seconds(DAY)),
    default: Default::Value("\"25s\""),
    help: "How long sessions may go on after SIGTERM before they are closed.",
};

/// Lame duck.
pub static LAME_DUCK: Key = Key {
    name: "lame_duck",
    kind: duration(seconds(0), seconds(600)),
    default: Default::Value("\"4s\""),
    help: "After SIGTERM: how long it goes on accepting while its health pages say that it stops, so \
           that whoever asks them sends clients elsewhere first.",
};

/// Shrink guard.
pub static ALLOW_SHRINK: Key = Key {
    name: "allow_shrink",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Whether a reload may take away the last endpoint of a pool that is up, more than half \
           of them, or more than half of the pools that serve; else it is refused.",
};

/// `[log]`
pub static LOG: Key = Key {
    name: "log",
    kind: Kind::Table(&LOG_SECTION),
    default: Default::Words("the defaults of its keys"),
    help: "Where records and events go.",
};

/// Place of the log.
pub static TARGET: Key = Key {
    name: "target",
    kind: Kind::LogTarget,
    default: Default::Value("\"stderr\""),
    help: "Standard error (the journal, under systemd) or a file that is appended to.",
};

/// Records of sessions.
pub static SESSIONS: Key = Key {
    name: "sessions",
    kind: Kind::Boolean,
    default: Default::Value("true"),
    help: "Whether each session leaves a record; events are always written.",
};

/// Bound of all endpoints.
pub static UPSTREAMS_WITHIN: Key = Key {
    name: "upstreams_within",
    kind: Kind::List(&Kind::Network),
    default: Default::Words("no bound"),
    help: "Networks that no endpoint may leave: neither an address written here nor what DNS \
           answers.",
};

/// `[condition.NAME]`
pub static CONDITIONS: Key = Key {
    name: "condition",
    kind: Kind::Named(&CONDITION),
    default: Default::Words("none"),
    help: "Conditions that several routes use by name.",
};

/// `[listener.NAME]`
pub static LISTENERS: Key = Key {
    name: "listener",
    kind: Kind::Named(&LISTENER),
    default: Default::Required,
    help: "Where connections come in.",
};

/// `[pool.NAME]`
pub static POOLS: Key = Key {
    name: "pool",
    kind: Kind::Named(&POOL_SECTION),
    default: Default::Required,
    help: "Where connections go.",
};
