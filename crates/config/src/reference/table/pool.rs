//! Keys of pools, endpoints, probes and dialling.

use super::{
    DAY, DIAL_SECTION, ENDPOINT, PROBE_SECTION, SEND_PROXY_SECTION, duration, milliseconds, seconds,
};
use crate::reference::{Default, Key, Kind};

/// PROXY header to endpoints.
pub static SEND_PROXY: Key = Key {
    name: "send_proxy",
    kind: Kind::SendProxy(&SEND_PROXY_SECTION),
    default: Default::Words("none is sent"),
    help: "The PROXY header that endpoints get first, with the client's address.",
};

/// Source addresses.
pub static SOURCE: Key = Key {
    name: "source",
    kind: Kind::List(&Kind::Address),
    default: Default::Words("the kernel chooses"),
    help: "Addresses of this host that connections to endpoints come from, in turn.",
};

/// Algorithm.
pub static BALANCE: Key = Key {
    name: "balance",
    kind: Kind::Choice(&["round-robin", "two-choices"]),
    default: Default::ByProgram { apiserver: "\"two-choices\"", edge: "\"round-robin\"" },
    help: "`round-robin`: in turn, by weight. `two-choices`: of two random endpoints the one with \
           fewer sessions for its weight, for long sessions.",
};

/// How often names are resolved.
pub static RESOLVE_INTERVAL: Key = Key {
    name: "resolve_interval",
    kind: duration(seconds(1), seconds(DAY)),
    default: Default::Value("\"10s\""),
    help: "How often names of endpoints are resolved again.",
};

/// Endpoints.
pub static ENDPOINTS: Key = Key {
    name: "endpoints",
    kind: Kind::List(&Kind::Endpoint(&ENDPOINT)),
    default: Default::Required,
    help: "Where traffic can go. A name stands for every address that it has.",
};

/// Address of an endpoint.
pub static ADDRESS: Key = Key {
    name: "address",
    kind: Kind::EndpointAddress,
    default: Default::Required,
    help: "Address or name, and port (which a master may leave out).",
};

/// Name of an endpoint.
pub static NAME: Key = Key {
    name: "name",
    kind: Kind::Name("an endpoint, unique in its pool"),
    default: Default::Words("the address as written"),
    help: "What logs and commands call it.",
};

/// Share of an endpoint.
pub static WEIGHT: Key = Key {
    name: "weight",
    kind: Kind::Integer { min: 1, max: 256 },
    default: Default::Value("1"),
    help: "Share of new sessions relative to the others.",
};

/// Spare endpoints.
pub static BACKUP: Key = Key {
    name: "backup",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Used only while no other endpoint can take traffic.",
};

/// Version of the PROXY header.
pub static VERSION: Key = Key {
    name: "version",
    kind: Kind::Integer { min: 1, max: 2 },
    default: Default::Required,
    help: "1: text; 2: binary.",
};

/// TLV.
pub static ALPN: Key = Key {
    name: "alpn",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Add the first protocol that the client offers (PP2_TYPE_ALPN).",
};

/// TLV.
pub static AUTHORITY: Key = Key {
    name: "authority",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Add the server name of the ClientHello (PP2_TYPE_AUTHORITY).",
};

/// TLV.
pub static UNIQUE_ID: Key = Key {
    name: "unique_id",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Add the session's id, as in the log (PP2_TYPE_UNIQUE_ID).",
};

/// TLV.
pub static CRC32C: Key = Key {
    name: "crc32c",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Add a checksum of the header (PP2_TYPE_CRC32C).",
};

/// `[probe]`
pub static PROBE: Key = Key {
    name: "probe",
    kind: Kind::Table(&PROBE_SECTION),
    default: Default::Words("the defaults of its keys"),
    help: "How endpoints are probed.",
};

/// What is asked.
pub static PROBE_KIND: Key = Key {
    name: "kind",
    kind: Kind::Choice(&["tcp", "tls", "none"]),
    default: Default::ByProgram { apiserver: "\"tls\"", edge: "\"tcp\"" },
    help: "`tcp`: connect. `tls`: connect and complete a handshake. `none`: nothing; the endpoint \
           always counts as up.",
};

/// Pace of probes.
pub static INTERVAL: Key = Key {
    name: "interval",
    kind: duration(milliseconds(100), seconds(3_600)),
    default: Default::Value("\"1s\""),
    help: "From the start of one probe to the start of the next (± 10 %).",
};

/// Patience of probes.
pub static PROBE_TIMEOUT: Key = Key {
    name: "timeout",
    kind: duration(milliseconds(10), seconds(60)),
    default: Default::Value("\"2s\""),
    help: "A probe that has not succeeded by then has failed.",
};

/// Successes.
pub static RISE: Key = Key {
    name: "rise",
    kind: Kind::Integer { min: 1, max: 100 },
    default: Default::Value("3"),
    help: "Successes in a row that bring a dead endpoint back; the first verdict needs one.",
};

/// Failures.
pub static FALL: Key = Key {
    name: "fall",
    kind: Kind::Integer { min: 1, max: 100 },
    default: Default::Value("2"),
    help: "Failures in a row after which an endpoint counts as dead.",
};

/// SNI of probes.
pub static PROBE_SERVER_NAME: Key = Key {
    name: "server_name",
    kind: Kind::HostName,
    default: Default::Words("none is sent"),
    help: "Server name that a TLS probe sends, and that the certificate must have when `ca` is set.",
};

/// CA of probes.
pub static CA: Key = Key {
    name: "ca",
    kind: Kind::Path("/etc/kubernetes/pki/ca.crt"),
    default: Default::Words("any certificate will do"),
    help: "PEM bundle of the CAs that must have signed the endpoint's certificate.",
};

/// `[dial]`
pub static DIAL: Key = Key {
    name: "dial",
    kind: Kind::Table(&DIAL_SECTION),
    default: Default::Words("the defaults of its keys"),
    help: "How endpoints are dialled.",
};

/// Budget.
pub static DIAL_TIMEOUT: Key = Key {
    name: "timeout",
    kind: duration(milliseconds(100), seconds(60)),
    default: Default::Value("\"5s\""),
    help: "Budget of all tries of one session.",
};

/// Tries.
pub static TRIES: Key = Key {
    name: "tries",
    kind: Kind::Integer { min: 1, max: 16 },
    default: Default::Value("3"),
    help: "Endpoints tried at most.",
};

/// Hedge.
pub static HEDGE_AFTER: Key = Key {
    name: "hedge_after",
    kind: Kind::Duration { min: milliseconds(10), max: seconds(60), never: true, whole: false },
    default: Default::Value("\"500ms\""),
    help: "A second endpoint is dialled beside one that has not answered for this long; the first \
           connection wins.",
};
