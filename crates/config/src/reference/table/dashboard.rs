//! Keys of the dashboard.

use crate::reference::{Default, Key, Kind, Section};

/// `[dashboard]`
pub static DASHBOARD: Key = Key {
    name: "dashboard",
    kind: Kind::Table(&DASHBOARD_SECTION),
    default: Default::Words("none: there is no page"),
    help: "A page for people that shows how everything is (`docs/dashboard.md`).",
};

/// `[dashboard]`
pub static DASHBOARD_SECTION: Section = Section {
    help: "The page that shows how everything is, live. Whoever reaches it reads it: the names and \
           addresses of all pools, their state, the last events. It takes orders only with \
           `token_file`. Takes effect at a restart.",
    keys: &[
        &DASHBOARD_LISTEN,
        &DASHBOARD_SOCKET,
        &DASHBOARD_HOSTS,
        &DASHBOARD_TOKEN_FILE,
        &DASHBOARD_VIEWERS_MAX,
    ],
};

/// Where it is served.
pub static DASHBOARD_LISTEN: Key = Key {
    name: "listen",
    kind: Kind::List(&Kind::Listen),
    default: Default::Words("nowhere"),
    help: "Addresses that serve the page over plain HTTP. The usual one is `127.0.0.1:9901`, \
           reached through `ssh -L 9901:127.0.0.1:9901 HOST`; any other network can read along.",
};

/// The same, as a file.
pub static DASHBOARD_SOCKET: Key = Key {
    name: "socket",
    kind: Kind::Path("/run/eclusa/edge-page.sock"),
    default: Default::Words("none"),
    help: "A Unix socket that serves the page, at most 100 bytes, with `mode` and `group` of `[admin]`; \
           `ssh -L 9901:/run/eclusa/edge-page.sock HOST` leads a browser there.",
};

/// Its names.
pub static DASHBOARD_HOSTS: Key = Key {
    name: "hosts",
    kind: Kind::List(&Kind::HostName),
    default: Default::Words("none"),
    help: "Names that browsers call it by, beside `localhost` and plain addresses. A request for any \
           other name is refused: a foreign page could have given its own name this address (DNS \
           rebinding).",
};

/// The secret of orders.
pub static DASHBOARD_TOKEN_FILE: Key = Key {
    name: "token_file",
    kind: Kind::Path("/etc/eclusa/dashboard.token"),
    default: Default::Words("none: the page only shows"),
    help: "A file with a token of at least 16 characters, which root alone may read: who types it into \
           the page may drain endpoints and take them back. It is read anew for each order.",
};

/// How many may look.
pub static DASHBOARD_VIEWERS_MAX: Key = Key {
    name: "viewers_max",
    kind: Kind::Integer { min: 1, max: 256 },
    default: Default::Value("16"),
    help: "Pages that are kept up to date at once; a further one is told so and tries again. Besides \
           these 16 connections are taken, others wait in the kernel's queue.",
};
