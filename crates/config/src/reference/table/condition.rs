//! Keys of conditions.

use super::{CERTIFICATE_SECTION, CONDITION, VALUES};
use crate::reference::{Default, Key, Kind};

/// What asks of a connection or request directly: in conditions, routes and rules.
pub static LEAVES: [&Key; 18] = [
    &SERVER_NAME,
    &CLIENT,
    &PORT,
    &HOST,
    &HOST_PREFIX,
    &HOST_REGEX,
    &PATH,
    &PATH_PREFIX,
    &PATH_SUFFIX,
    &PATH_REGEX,
    &METHODS,
    &HEADER,
    &QUERY,
    &COOKIE,
    &CLIENT_CERTIFICATE,
    &AVAILABLE,
    &COUNTED_OVER,
    &AT_ONCE_OVER,
];

/// Condition: server name.
pub static SERVER_NAME: Key = Key {
    name: "server_name",
    kind: Kind::List(&Kind::ServerName),
    default: Default::Words("any, or none"),
    help: "The server name of the ClientHello is one of these; `*.example.com` stands for every \
           name below `example.com`, and `@/etc/eclusa/names.txt` for the names in that file, one a \
           line, as with `source`.",
};

/// Condition: client.
pub static CLIENT: Key = Key {
    name: "source",
    kind: Kind::List(&Kind::Network),
    default: Default::Words("any"),
    help: "The client's address lies in one of these networks; `@/etc/eclusa/partners.txt` stands for \
           those in that file, one a line, `#` begins a comment. The file is watched: a change is \
           taken within a second, and one with a mistake is not (event `list_refused`).",
};

/// Condition: port.
pub static PORT: Key = Key {
    name: "port",
    kind: Kind::List(&Kind::Integer { min: 1, max: 65_535 }),
    default: Default::Words("any"),
    help: "The port that the client connected to is one of these.",
};

/// Condition: host.
pub static HOST: Key = Key {
    name: "host",
    kind: Kind::List(&Kind::HostPattern),
    default: Default::Words("any"),
    help: "HTTP: the host of the request is one of these, whatever its port; `*.example.com` stands \
           for every name below `example.com`, and `@/etc/eclusa/hosts.txt` for the names in that \
           file, one a line, as with `source`.",
};

/// Condition: host.
pub static HOST_PREFIX: Key = Key {
    name: "host_prefix",
    kind: Kind::List(&Kind::Text),
    default: Default::Words("any"),
    help: "HTTP: the host of the request, whatever its port, begins with one of these, such as \"api.\".",
};

/// Condition: host.
pub static HOST_REGEX: Key = Key {
    name: "host_regex",
    kind: Kind::List(&Kind::Pattern),
    default: Default::Words("any"),
    help: "HTTP: the host of the request, in lower case and without its port, matches one of these regular \
           expressions somewhere, as with `path_regex`.",
};

/// Condition: path.
pub static PATH: Key = Key {
    name: "path",
    kind: Kind::List(&Kind::ComparedPath),
    default: Default::Words("any"),
    help: "HTTP: the path is one of these. Paths are compared as endpoints read them: decoded, `.` \
           and `..` resolved, slashes that stand together made one.",
};

/// Condition: path.
pub static PATH_PREFIX: Key = Key {
    name: "path_prefix",
    kind: Kind::List(&Kind::ComparedPath),
    default: Default::Words("any"),
    help: "HTTP: the path is one of these or below one, by whole segments: `/api` is no beginning of \
           `/apiary`.",
};

/// Condition: path.
pub static PATH_SUFFIX: Key = Key {
    name: "path_suffix",
    kind: Kind::List(&Kind::Text),
    default: Default::Words("any"),
    help: "HTTP: the path ends in one of these, such as `.png`.",
};

/// Condition: path.
pub static PATH_REGEX: Key = Key {
    name: "path_regex",
    kind: Kind::List(&Kind::Pattern),
    default: Default::Words("any"),
    help: "HTTP: the path matches one of these regular expressions somewhere (without look-around \
           and back-references; classes such as `\\w` are ASCII; `(?i)` in front: in either case).",
};

/// Condition: method.
pub static METHODS: Key = Key {
    name: "method",
    kind: Kind::List(&Kind::Method),
    default: Default::Words("any"),
    help: "HTTP: the method is one of these.",
};

/// Condition: header field.
pub static HEADER: Key = Key {
    name: "header",
    kind: Kind::Matching(&VALUES),
    default: Default::Words("not asked"),
    help: "HTTP: header fields, each with what is asked of it: `header = { X-Env = \"blue\", \
           X-Debug = true }`; `true`: it is there. A field that is there several times does if one \
           of its values does.",
};

/// Condition: parameter.
pub static QUERY: Key = Key {
    name: "query",
    kind: Kind::Matching(&VALUES),
    default: Default::Words("not asked"),
    help: "HTTP: parameters of the query, as with `header`; decoded.",
};

/// Condition: cookie.
pub static COOKIE: Key = Key {
    name: "cookie",
    kind: Kind::Matching(&VALUES),
    default: Default::Words("not asked"),
    help: "HTTP: cookies, as with `header`.",
};

/// Condition: certificate of the client.
pub static CLIENT_CERTIFICATE: Key = Key {
    name: "client_certificate",
    kind: Kind::Switch(&CERTIFICATE_SECTION),
    default: Default::Words("not asked"),
    help: "The client has shown a certificate (`true`), or one like this. For listeners whose `tls` \
           has a `client_ca`.",
};

/// Condition: pools.
pub static AVAILABLE: Key = Key {
    name: "available",
    kind: Kind::Numbers { of: "pools", example: "{ cache = 1 }" },
    default: Default::Words("not asked"),
    help: "Pools, each with how many of its endpoints must be well and in service at least: verdict `up`, \
           `suspect`, not probed or not resolved yet, and not drained. One that is kept although its checks fail \
           (`CORRELATED`) does not count; backups count where no other endpoint does. To \
           `check` and `explain --offline` all are well.",
};

/// Condition: counters.
pub static COUNTED_OVER: Key = Key {
    name: "counted_over",
    kind: Kind::Numbers { of: "counters", example: "{ logins = 20 }" },
    default: Default::Words("not asked"),
    help: "HTTP: counters, each with how many requests are not too many: more of the client's were counted \
           within the counter's time. A rule behind `count` sees the request counted.",
};

/// Condition: counters.
pub static AT_ONCE_OVER: Key = Key {
    name: "at_once_over",
    kind: Kind::Numbers { of: "counters", example: "{ logins = 5 }" },
    default: Default::Words("not asked"),
    help: "HTTP: the same of the client's requests that were counted and are not over.",
};

/// Values.
pub static EXACT: Key = Key {
    name: "exact",
    kind: Kind::List(&Kind::Text),
    default: Default::Words("none"),
    help: "The value is one of these.",
};

/// Values.
pub static PREFIX: Key = Key {
    name: "prefix",
    kind: Kind::List(&Kind::Text),
    default: Default::Words("none"),
    help: "It begins with one of these.",
};

/// Values.
pub static SUFFIX: Key = Key {
    name: "suffix",
    kind: Kind::List(&Kind::Text),
    default: Default::Words("none"),
    help: "It ends in one of these.",
};

/// Values.
pub static REGEX: Key = Key {
    name: "regex",
    kind: Kind::List(&Kind::Pattern),
    default: Default::Words("none"),
    help: "It matches one of these regular expressions somewhere, as with `path_regex`.",
};

/// Certificate.
pub static COMMON_NAME: Key = Key {
    name: "common_name",
    kind: Kind::List(&Kind::Text),
    default: Default::Words("any"),
    help: "The common name of the subject is one of these.",
};

/// Certificate.
pub static DNS_NAME: Key = Key {
    name: "dns_name",
    kind: Kind::List(&Kind::ServerName),
    default: Default::Words("any"),
    help: "One of the DNS names among the subject's alternative names is one of these.",
};

/// Certificate.
pub static SHA256: Key = Key {
    name: "sha256",
    kind: Kind::List(&Kind::Fingerprint),
    default: Default::Words("any"),
    help: "The SHA-256 fingerprint is one of these: `openssl x509 -noout -fingerprint -sha256`.",
};

/// Condition of a route or rule.
pub static WHEN: Key = Key {
    name: "when",
    kind: Kind::Table(&CONDITION),
    default: Default::Words("always"),
    help: "A condition, as in `[condition.NAME]`.",
};

/// Conjunction.
pub static ALL: Key = Key {
    name: "all",
    kind: Kind::Tables(&CONDITION),
    default: Default::Words("not asked"),
    help: "All of these conditions hold.",
};

/// Disjunction.
pub static ANY: Key = Key {
    name: "any",
    kind: Kind::Tables(&CONDITION),
    default: Default::Words("not asked"),
    help: "One of these conditions holds.",
};

/// Negation.
pub static NOT: Key = Key {
    name: "not",
    kind: Kind::Table(&CONDITION),
    default: Default::Words("not asked"),
    help: "This condition does not hold.",
};

/// Reference.
pub static NAMED: Key = Key {
    name: "named",
    kind: Kind::Name("a condition"),
    default: Default::Words("not asked"),
    help: "The condition `[condition.NAME]` of this name holds.",
};
