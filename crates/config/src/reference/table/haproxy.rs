//! Keys of what is there for monitoring and tools that know HAProxy.

use super::HAPROXY_SOCKET_SECTION;
use crate::reference::{Default, Key, Kind};

/// `[haproxy_socket]`
pub static HAPROXY_SOCKET: Key = Key {
    name: "haproxy_socket",
    kind: Kind::Table(&HAPROXY_SOCKET_SECTION),
    default: Default::Words("none: there is no such socket"),
    help: "A socket that answers as HAProxy's does, for monitoring and tools that know that \
           (`docs/haproxy-compat.md`). Takes effect at a restart.",
};

/// Path of the socket.
pub static HAPROXY_SOCKET_PATH: Key = Key {
    name: "path",
    kind: Kind::Path("/run/eclusa/haproxy.sock"),
    default: Default::Required,
    help: "Where the socket is, at most 100 bytes.",
};

/// What may be asked there.
pub static HAPROXY_SOCKET_LEVEL: Key = Key {
    name: "level",
    kind: Kind::Choice(&["read", "operator"]),
    default: Default::Value("\"read\""),
    help: "What it is for. `read`: questions. `operator`: orders as well (`set server`, `enable server`, \
           `disable server`, `shutdown sessions server`), with the guards of the admin socket, which \
           nothing here passes by.",
};

/// Who may connect, as file modes say.
pub static HAPROXY_SOCKET_MODE: Key = Key {
    name: "mode",
    kind: Kind::FileMode,
    default: Default::Value("\"0660\""),
    help: "Who may write to the socket, which is who may ask: its owner (the service's user), its \
           group, others. Root always may.",
};

/// The group of the socket.
pub static HAPROXY_SOCKET_GROUP: Key = Key {
    name: "group",
    kind: Kind::Group,
    default: Default::Words("the group of the service"),
    help: "Group of the socket, by name (of `/etc/group`) or number; the service's user must be in \
           it.",
};

/// Clients at once.
pub static HAPROXY_SOCKET_CLIENTS_MAX: Key = Key {
    name: "clients_max",
    kind: Kind::Integer { min: 1, max: 100 },
    default: Default::Value("10"),
    help: "Clients at once; beyond, they wait in the kernel's queue.",
};
