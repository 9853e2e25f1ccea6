//! Keys of expectations.

use super::{EXPECT_CONNECTION, EXPECT_REQUEST};
use crate::reference::{Default, Key, Kind};

/// `[[expect]]` of `eclusa-apiserver`.
pub static EXPECT_MASTERS: Key = Key {
    name: "expect",
    kind: Kind::Tables(&EXPECT_CONNECTION),
    default: Default::Words("none"),
    help: "What must become of a client. `check` and `reload` refuse a file that breaks one; at a \
           start it is a warning, and traffic knows nothing of them.",
};

/// `[[expect]]` of `eclusa-edge`.
pub static EXPECT: Key = Key {
    name: "expect",
    kind: Kind::Tables(&EXPECT_REQUEST),
    default: Default::Words("none"),
    help: "What must become of a connection or a request. `check` and `reload` refuse a file that \
           breaks one; at a start it is a warning, and traffic knows nothing of them.",
};

/// The client.
pub static EXPECT_FROM: Key = Key {
    name: "from",
    kind: Kind::Address,
    default: Default::Required,
    help: "The client's address; behind a proxy the one that its PROXY header names.",
};

/// The listener.
pub static EXPECT_LISTENER: Key = Key {
    name: "listener",
    kind: Kind::Name("listener"),
    default: Default::Words("the only one that can be meant"),
    help: "The listener that the client connects to.",
};

/// Its port.
pub static EXPECT_PORT: Key = Key {
    name: "port",
    kind: Kind::Integer { min: 1, max: 65_535 },
    default: Default::Words("that of the listener's first address"),
    help: "The port that the client connects to.",
};

/// Server name.
pub static EXPECT_SERVER_NAME: Key = Key {
    name: "server_name",
    kind: Kind::HostName,
    default: Default::Words("`host` where the listener terminates TLS, else none"),
    help: "The server name of the ClientHello.",
};

/// Host.
pub static EXPECT_HOST: Key = Key {
    name: "host",
    kind: Kind::Text,
    default: Default::Words("none: it is about a connection"),
    help: "HTTP: the host of the request.",
};

/// Path.
pub static EXPECT_PATH: Key = Key {
    name: "path",
    kind: Kind::Text,
    default: Default::Words("none: needed beside `host`"),
    help: "HTTP: its path, with or without a query.",
};

/// Method.
pub static EXPECT_METHOD: Key = Key {
    name: "method",
    kind: Kind::Method,
    default: Default::Words("\"GET\""),
    help: "HTTP: its method.",
};

/// Header fields.
pub static EXPECT_HEADER: Key = Key {
    name: "header",
    kind: Kind::Fields,
    default: Default::Words("none"),
    help: "HTTP: its header fields.",
};

/// Cookies.
pub static EXPECT_COOKIE: Key = Key {
    name: "cookie",
    kind: Kind::Fields,
    default: Default::Words("none"),
    help: "HTTP: its cookies.",
};

/// The pool.
pub static EXPECT_POOL: Key = Key {
    name: "pool",
    kind: Kind::List(&Kind::Name("pool")),
    default: Default::Words("one of `pool`, `status`, `denied` must be there"),
    help: "It goes to this pool; of a `split`, to one of exactly these.",
};

/// The status.
pub static EXPECT_STATUS: Key = Key {
    name: "status",
    kind: Kind::Integer { min: 200, max: 599 },
    default: Default::Words("as `pool`"),
    help: "HTTP: it is answered with this status without an endpoint; 404 where no route takes it. \
           Passwords are taken to be right.",
};

/// Denied.
pub static EXPECT_DENIED: Key = Key {
    name: "denied",
    kind: Kind::Boolean,
    default: Default::Words("as `pool`"),
    help: "`true`: the connection is closed, by the access list or because no route takes it.",
};
