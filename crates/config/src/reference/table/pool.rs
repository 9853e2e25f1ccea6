//! Keys of pools, endpoints and dialling.

use super::{
    DAY, DIAL_SECTION, ENDPOINT, POOL_PROBE_SECTION, PROBE_SECTION, REBALANCE_SECTION,
    SEND_PROXY_SECTION, duration, milliseconds, seconds,
};
use crate::reference::{Default, Key, Kind};
use eclusa_policy::balance::Algorithm;
use std::time::Duration;

const NEVER_TO_HOUR: Kind =
    Kind::Duration { min: Duration::ZERO, max: seconds(3_600), never: true, whole: false };

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
    help: "Addresses of this host that connections to endpoints come from, chosen at random; one without a free port is passed over.",
};

const ALGORITHMS: [&str; Algorithm::ALL.len()] = {
    let mut names = [""; Algorithm::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = Algorithm::ALL[index].0;
        index += 1;
    }
    names
};

/// Algorithm.
pub static BALANCE: Key = Key {
    name: "balance",
    kind: Kind::Choice(&ALGORITHMS),
    default: Default::ByProgram { apiserver: "\"two-choices\"", edge: "\"round-robin\"" },
    help: "`round-robin`: in turn, by weight. `two-choices`: of two random endpoints the one with \
           fewer sessions for its weight, for long sessions. `least-connections`: the one with the \
           fewest sessions for its weight. `source-hash`: one client, one endpoint, on every host \
           alike. `first`: the first in the order written that can take traffic.",
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

const LIMIT: Kind = Kind::Integer { min: 1, max: 1_000_000 };

/// Limit of one endpoint.
pub static ENDPOINT_SESSIONS: Key = Key {
    name: "sessions_max",
    kind: LIMIT,
    default: Default::Words("`endpoint_sessions_max` of the pool"),
    help: "Sessions at once on this endpoint.",
};

/// Limit of each endpoint.
pub static ENDPOINT_SESSIONS_MAX: Key = Key {
    name: "endpoint_sessions_max",
    kind: LIMIT,
    default: Default::Words("no limit"),
    help: "Sessions at once on each endpoint, dials included and probes not; of a name on each of \
           its addresses. When all endpoints that are well have so many, new sessions wait in \
           `queue`.",
};

/// Length of the queue.
pub static QUEUE: Key = Key {
    name: "queue",
    kind: Kind::Integer { min: 0, max: 65_536 },
    default: Default::Value("1000"),
    help: "Sessions that may wait in all until an endpoint has a place for them, first come, first \
           served. One more is reset at once, unless an endpoint that is not well has a place; 0: \
           nobody waits.",
};

/// Patience in the queue.
pub static QUEUE_TIMEOUT: Key = Key {
    name: "queue_timeout",
    kind: duration(milliseconds(10), seconds(3_600)),
    default: Default::Value("\"5s\""),
    help: "A session that has waited this long is reset. Waiting takes nothing from the budget of \
           `dial`.",
};

/// `[rebalance]`
pub static REBALANCE: Key = Key {
    name: "rebalance",
    kind: Kind::Table(&REBALANCE_SECTION),
    default: Default::Words("standing sessions are left alone"),
    help: "Whether quiet sessions move away from an endpoint that has too many.",
};

/// Bound of the skew.
pub static ABOVE_PERCENT: Key = Key {
    name: "above_percent",
    kind: Kind::Integer { min: 105, max: 1_000 },
    default: Default::Value("150"),
    help: "An endpoint with more sessions than so many percent of its fair share by weight is \
           relieved.",
};

/// Pace.
pub static PER_MINUTE: Key = Key {
    name: "per_minute",
    kind: Kind::Integer { min: 1, max: 600 },
    default: Default::Value("10"),
    help: "Sessions closed in any minute at most, in the whole pool.",
};

/// What may be closed.
pub static QUIET: Key = Key {
    name: "quiet",
    kind: duration(seconds(1), seconds(DAY)),
    default: Default::Value("\"10s\""),
    help: "Only sessions without a byte in either direction for this long are closed, the quietest \
           first. Make it longer than endpoints take to begin an answer: TCP does not tell a \
           client that waits from one that rests.",
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

/// Padding.
pub static ALIGN: Key = Key {
    name: "align",
    kind: Kind::Integer { min: 1, max: 255 },
    default: Default::Words("no padding"),
    help: "Pad the header so that its length is a multiple of this many bytes (PP2_TYPE_NOOP).",
};

/// What becomes of sessions on an endpoint that fell silent.
pub static RESET_SILENT: Key = Key {
    name: "reset_silent",
    kind: NEVER_TO_HOUR,
    default: Default::EdgeInWords {
        apiserver: "\"0s\"",
        edge: "\"10s\"; \"never\" where the probe asks for an answer (HTTP, gRPC)",
    },
    help: "Sessions on an endpoint that is `dead (silent)` for this long are reset towards both \
           sides, a few at a time, unless the whole pool seems to have fallen.",
};

/// What becomes of sessions on an endpoint that is sick.
pub static RESET_SICK: Key = Key {
    name: "reset_sick",
    kind: NEVER_TO_HOUR,
    default: Default::ByProgram { apiserver: "\"10s\"", edge: "\"never\"" },
    help: "The same for one that is `draining (sick)`: its `live_path` is answered, and badly, \
           while most of the pool is well.",
};

/// Rather a bad endpoint than none.
pub static FAIL_OPEN: Key = Key {
    name: "fail_open",
    kind: Kind::Boolean,
    default: Default::ByProgram { apiserver: "true", edge: "false" },
    help: "When all endpoints answer that they are not ready, go on giving them new sessions.",
};

/// A gentle return.
pub static SLOW_START: Key = Key {
    name: "slow_start",
    kind: duration(Duration::ZERO, seconds(3_600)),
    default: Default::Value("\"60s\""),
    help: "An endpoint that came up reaches its full share of new sessions after this; \"0s\": at \
           once.",
};

/// First-flight replay.
pub static REPLAY: Key = Key {
    name: "replay",
    kind: Kind::Boolean,
    default: Default::ByProgram { apiserver: "true", edge: "false" },
    help: "A ClientHello that an endpoint leaves unanswered for long goes to a second one, too; the \
           first byte wins. For endpoints that speak TLS.",
};

/// `[probe]`
pub static PROBE: Key = Key {
    name: "probe",
    kind: Kind::Table(&PROBE_SECTION),
    default: Default::Words("the defaults of its keys"),
    help: "How endpoints are probed.",
};

/// `[pool.NAME.probe]`
pub static POOL_PROBE: Key = Key {
    name: "probe",
    kind: Kind::Table(&POOL_PROBE_SECTION),
    default: Default::Words("the defaults of its keys"),
    help: "How endpoints are probed.",
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
