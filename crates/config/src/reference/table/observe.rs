//! Keys of what the program tells of itself.

use super::OBSERVE_SECTION;
use crate::reference::{Default, Key, Kind};

/// `[observe]`
pub static OBSERVE: Key = Key {
    name: "observe",
    kind: Kind::Table(&OBSERVE_SECTION),
    default: Default::Words("the defaults of its keys"),
    help: "Figures and health over HTTP (`docs/metrics.md`).",
};

/// Where it is asked.
pub static OBSERVE_LISTEN: Key = Key {
    name: "listen",
    kind: Kind::List(&Kind::Listen),
    default: Default::Words("nowhere"),
    help: "Addresses that answer `/metrics`, `/livez`, `/readyz`, `/reach`, `/vip` and \
           `/pool/NAME`, to whoever can reach them. The usual ports are 9643 (`eclusa-apiserver`) \
           and 9644 (`eclusa-edge`), the usual address is 127.0.0.1, with one of an inner network \
           beside it where Prometheus or `peer` asks from there. Takes effect at a restart.",
};

/// The other host.
pub static OBSERVE_PEER: Key = Key {
    name: "peer",
    kind: Kind::HttpAddress,
    default: Default::Words("none; then `/vip` never tells to let go of the address"),
    help: "Where the other host that may hold the virtual address answers (its `observe.listen`): \
           `/vip` says 503 only while this host reaches no endpoint and that one does. Takes effect \
           at a restart.",
};

/// HAProxy's table of figures.
pub static OBSERVE_HAPROXY_STATS: Key = Key {
    name: "haproxy_stats",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Whether `/stats;csv` and `/haproxy?stats;csv` answer what HAProxy's `show stat` does \
           (`docs/haproxy-compat.md`). Takes effect at a restart.",
};

/// Names of HAProxy's exporter.
pub static OBSERVE_HAPROXY_NAMES: Key = Key {
    name: "haproxy_names",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Whether `/metrics` has the names of HAProxy's exporter beside its own, where there is a \
           true counterpart (`docs/haproxy-compat.md`). Takes effect at a restart.",
};
