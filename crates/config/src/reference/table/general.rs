//! Keys of the top levels.

use super::{ADMIN_SECTION, CONDITION, ENDPOINT, LISTENER, POOL_SECTION};
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
    help: "How long sessions may go on after SIGTERM. Those that are left are reset one after the other \
           in the last 5 s of it; if it is shorter than 25 s, in its last fifth.",
};

/// Lame duck.
pub static LAME_DUCK: Key = Key {
    name: "lame_duck",
    kind: duration(seconds(0), seconds(600)),
    default: Default::Value("\"4s\""),
    help: "After SIGTERM, where `observe.listen` is set: how long it goes on accepting while its \
           health pages say that it stops, so that whoever asks them sends clients elsewhere first.",
};

/// Shrink guard.
pub static ALLOW_SHRINK: Key = Key {
    name: "allow_shrink",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Whether a reload may take away the last endpoint of a pool that is up, more than half \
           of them, or more than half of the pools that serve; else it is refused.",
};

/// Confinement.
pub static CONFINE: Key = Key {
    name: "confine",
    kind: Kind::Choice(&["strict", "log", "off"]),
    default: Default::Value("\"strict\""),
    help: "What holds the process that carries traffic. `strict`: no capability, only the files it \
           needs (Landlock), only listed system calls (others fail with EPERM, and the kernel logs \
           them). `log`: system calls that are not listed are logged and let through, files are not \
           held. `off`: nothing. Takes effect at a restart.",
};

/// `[admin]`
pub static ADMIN: Key = Key {
    name: "admin",
    kind: Kind::TableOrFalse(&ADMIN_SECTION),
    default: Default::Words("the defaults of its keys"),
    help: "The socket that `reload`, `status`, `session` and `endpoint` speak to (`docs/admin.md`); \
           `false`: there is none, and only SIGHUP reloads. Takes effect at a restart, but for \
           `drills`.",
};

/// Path of the admin socket.
pub static ADMIN_SOCKET: Key = Key {
    name: "socket",
    kind: Kind::Path("/run/eclusa/apiserver.sock"),
    default: Default::Words("`apiserver.sock` or `edge.sock` in the run directory"),
    help: "Where the socket is, at most 100 bytes.",
};

/// Who may connect to the admin socket, as file modes say.
pub static ADMIN_MODE: Key = Key {
    name: "mode",
    kind: Kind::FileMode,
    default: Default::Value("\"0660\""),
    help: "Who may write to the socket, which is who may order: its owner (the service's user), its \
           group, others. Root always may.",
};

/// The group of the admin socket.
pub static ADMIN_GROUP: Key = Key {
    name: "group",
    kind: Kind::Group,
    default: Default::Words("the group of the service"),
    help: "Group of the socket, by name (of `/etc/group`) or number; the service's user must be in \
           it.",
};

/// Whether drills may be ordered.
pub static ADMIN_DRILLS: Key = Key {
    name: "drills",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Whether whoever may order may order drills as well (`docs/drills.md`): an endpoint is treated \
           for some seconds as if it failed.",
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
