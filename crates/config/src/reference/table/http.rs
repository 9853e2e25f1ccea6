//! Keys of HTTP: at listeners, towards endpoints, limits, error pages.

use super::{
    COMPRESS_SECTION, ERROR_PAGE, HTTP_SECTION, HTTP2_SECTION, LIMIT_SECTION, POOL_HTTP_SECTION,
    duration, milliseconds, seconds,
};
use crate::reference::{Default, Key, Kind};

/// `[listener.NAME.http]`
pub static HTTP: Key = Key {
    name: "http",
    kind: Kind::Switch(&HTTP_SECTION),
    default: Default::Value("false"),
    help: "HTTP is spoken here: routes and rules see requests.",
};

/// Leniency, of requests.
pub static HTTP_ALLOW: Key = Key {
    name: "allow",
    kind: Kind::List(&Kind::Choice(&[
        "target_non_ascii",
        "target_odd",
        "target_percent",
        "host_empty",
        "host_reg_name",
        "empty_lines",
        "value_control",
    ])),
    default: Default::Words("nothing"),
    help: "Requests that are odd but not ambiguous, let through by name. `target_non_ascii`: bytes \
           above ASCII in path and query. `target_odd`: other characters there that should be \
           percent-encoded. `target_percent`: `%` without two digits. `host_empty`: a `Host` without a \
           value. `host_reg_name`: all that RFC 3986 allows in a name. `empty_lines`: up to eight \
           before a request. `value_control`: control characters in values.",
};

/// Head.
pub static HEAD_TIMEOUT: Key = Key {
    name: "head_timeout",
    kind: duration(milliseconds(100), seconds(300)),
    default: Default::Value("\"10s\""),
    help: "How long the head of a request may take, from its first byte to its last (408).",
};

/// Body.
pub static BODY_TIMEOUT: Key = Key {
    name: "body_timeout",
    kind: duration(milliseconds(100), seconds(3_600)),
    default: Default::Value("\"30s\""),
    help: "How long a body, of a request or an answer, may rest without a byte, and how far a client may \
           be behind `body_rate_min`.",
};

/// Pace of a body.
pub static BODY_RATE_MIN: Key = Key {
    name: "body_rate_min",
    kind: Kind::Size { min: 0, max: 1 << 30 },
    default: Default::Value("\"256B\""),
    help: "Bytes a second that a client must send of a body, or take of an answer, while it is the client \
           that is waited for: one that falls behind by `body_timeout` is cut, so that a byte now and \
           then holds no connection. `\"0B\"`: it does.",
};

/// Keep-alive.
pub static KEEP_ALIVE_TIMEOUT: Key = Key {
    name: "keep_alive_timeout",
    kind: duration(milliseconds(100), seconds(3_600)),
    default: Default::Value("\"60s\""),
    help: "How long a connection waits for its next request. One that was upgraded has the \
           listener's `idle_timeout`.",
};

/// Length of a head.
pub static HEAD_MAX: Key = Key {
    name: "head_max",
    kind: Kind::Size { min: 1 << 10, max: 1 << 20 },
    default: Default::Value("\"32KiB\""),
    help: "The longest head of a request (431).",
};

/// Fields of a head.
pub static HEADERS_MAX: Key = Key {
    name: "headers_max",
    kind: Kind::Integer { min: 10, max: 1_000 },
    default: Default::Value("100"),
    help: "Header fields of a request at most (431).",
};

/// Length of a body.
pub static BODY_MAX: Key = Key {
    name: "body_max",
    kind: Kind::Size { min: 0, max: 1 << 50 },
    default: Default::Words("no bound"),
    help: "The longest body of a request (413).",
};

/// `X-Forwarded-*`
pub static FORWARDED_FOR: Key = Key {
    name: "forwarded_for",
    kind: Kind::Choice(&["set", "append", "off"]),
    default: Default::Value("\"set\""),
    help: "`X-Forwarded-For`, `-Proto`, `-Host`, `-Port`, and `Forwarded` where it came. `set`: they \
           say what is seen here, whatever they said before. `append`: those from `trusted` networks \
           are kept, and what is seen here comes behind; others are set. `off`: they pass as they \
           come, and whoever connects can claim any address.",
};

/// Whose word is taken.
pub static TRUSTED: Key = Key {
    name: "trusted",
    kind: Kind::List(&Kind::Network),
    default: Default::Words("nobody"),
    help: "Networks of proxies in front, whose `X-Forwarded-*` are kept; with `append`.",
};

/// Upgrades.
pub static UPGRADES: Key = Key {
    name: "upgrades",
    kind: Kind::List(&Kind::Token),
    default: Default::Value("[\"websocket\"]"),
    help: "Protocols that a connection may be upgraded to; `Upgrade` to others is left out of the \
           request.",
};

/// CONNECT.
pub static CONNECT: Key = Key {
    name: "connect",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Whether `CONNECT` is passed on to the pool; else it is refused (405).",
};

/// Names that are not opened.
pub static PASSTHROUGH: Key = Key {
    name: "passthrough",
    kind: Kind::List(&Kind::ServerName),
    default: Default::Words("none"),
    help: "Server names whose TLS is not opened: their connections are routed by `server_name`, \
           `source` and `port` and carried as they are.",
};

/// Compression.
pub static COMPRESS: Key = Key {
    name: "compress",
    kind: Kind::Switch(&COMPRESS_SECTION),
    default: Default::Value("false"),
    help: "Whether answers are compressed that endpoints send as they are. It costs time of the workers, and \
           tells those who can listen and choose a part of an answer how long the secrets in it are \
           (BREACH): where endpoints compress by themselves it does nothing. Bodies under 256 bytes, parts, and \
           what has a digest pass as they are. `ETag` becomes a weak one, which `If-Match` never finds.",
};

/// Compressed types.
pub static COMPRESS_TYPES: Key = Key {
    name: "types",
    kind: Kind::List(&Kind::Text),
    default: Default::Value(
        "[\"text/\", \"application/json\", \"application/javascript\", \"application/manifest+json\", \
         \"application/xml\", \"image/svg+xml\"]",
    ),
    help: "Beginnings of a `Content-Type`; `*` for all but `multipart/`.",
};

/// Compressed at once.
pub static COMPRESS_AT_ONCE: Key = Key {
    name: "at_once",
    kind: Kind::Integer { min: 1, max: 100_000 },
    default: Default::Value("128"),
    help: "Answers that each worker compresses at once, of all listeners, 350 KiB each; one more passes as it is \
           (`eclusa_listener_compressed_total` counts).",
};

/// Header fields in the log.
pub static LOG_HEADERS: Key = Key {
    name: "log_headers",
    kind: Kind::List(&Kind::Token),
    default: Default::Words("none"),
    help: "Header fields of requests that lines of the log have (`headers`), the first of each name, up to \
           256 bytes of it. Not those with secrets: `Authorization`, `Cookie`, `Proxy-Authorization`.",
};

/// `[listener.NAME.http2]`
pub static HTTP2: Key = Key {
    name: "http2",
    kind: Kind::Switch(&HTTP2_SECTION),
    default: Default::Value("true"),
    help: "HTTP: whether HTTP/2 is spoken here beside HTTP/1, with clients that ask for it: over TLS by \
           ALPN, without TLS by prior knowledge (RFC 9113, section 3.3).",
};

/// Streams.
pub static STREAMS_MAX: Key = Key {
    name: "streams_max",
    kind: Kind::Integer { min: 1, max: 10_000 },
    default: Default::Value("100"),
    help: "Requests at once on one connection (SETTINGS_MAX_CONCURRENT_STREAMS); one more is refused \
           (REFUSED_STREAM), and the client may send it again.",
};

/// Window of a stream.
pub static STREAM_WINDOW: Key = Key {
    name: "stream_window",
    kind: Kind::Size { min: 16 << 10, max: 16 << 20 },
    default: Default::Value("\"64KiB\""),
    help: "Bytes of a request's body that a client may send before the endpoint has taken any of them \
           (SETTINGS_INITIAL_WINDOW_SIZE).",
};

/// Window of a connection.
pub static CONNECTION_WINDOW: Key = Key {
    name: "connection_window",
    kind: Kind::Size { min: 64 << 10, max: 64 << 20 },
    default: Default::Value("\"256KiB\""),
    help: "The same for all requests of a connection together: it bounds the memory that one client can \
           fill.",
};

/// `[listener.NAME.limit]`
pub static LIMIT: Key = Key {
    name: "limit",
    kind: Kind::Table(&LIMIT_SECTION),
    default: Default::Words("the defaults of its keys"),
    help: "HTTP: what each client network may do.",
};

/// Enforcement.
pub static ENFORCE: Key = Key {
    name: "enforce",
    kind: Kind::Boolean,
    default: Default::Value("false"),
    help: "Whether what is over a limit is refused (429, or closed); else it is only logged and \
           counted. Carriers put thousands of people behind one address.",
};

/// Connections.
pub static CONNECTIONS: Key = Key {
    name: "connections",
    kind: Kind::Integer { min: 1, max: 1_000_000 },
    default: Default::Value("1000"),
    help: "Connections at once of one client network.",
};

/// Requests.
pub static REQUESTS_PER_SECOND: Key = Key {
    name: "requests_per_second",
    kind: Kind::Integer { min: 1, max: 1_000_000 },
    default: Default::Words("no limit"),
    help: "Requests of one client network, in the long run.",
};

/// Burst.
pub static BURST: Key = Key {
    name: "burst",
    kind: Kind::Integer { min: 1, max: 10_000_000 },
    default: Default::Words("those of ten seconds"),
    help: "Requests at once after a rest.",
};

/// Floods.
pub static FLOODS: Key = Key {
    name: "floods",
    kind: Kind::Integer { min: 1, max: 1_000_000 },
    default: Default::Value("10"),
    help: "Connections of one client network that are cut for a flood in HTTP/2 (`docs/metrics.md` counts \
           them) within a minute: after so many its new connections are over the limit, until a minute \
           after the last. Floods themselves are always cut.",
};

/// Size of the table.
pub static CLIENTS: Key = Key {
    name: "clients",
    kind: Kind::Integer { min: 1_024, max: 16_777_216 },
    default: Default::Value("65536"),
    help: "Client networks whose requests are counted at once, 40 bytes each; beyond, those that asked \
           least are forgotten.",
};

/// Exceptions.
pub static EXCEPT: Key = Key {
    name: "except",
    kind: Kind::List(&Kind::Network),
    default: Default::Words("none"),
    help: "Networks without limits.",
};

/// `[pool.NAME.http]`
pub static POOL_HTTP: Key = Key {
    name: "http",
    kind: Kind::Table(&POOL_HTTP_SECTION),
    default: Default::Words("the defaults of its keys"),
    help: "How endpoints are asked, for listeners that speak HTTP.",
};

/// Leniency, of answers.
pub static POOL_ALLOW: Key = Key {
    name: "allow",
    kind: Kind::List(&Kind::Choice(&["value_control", "status_without_space", "status_above_599"])),
    default: Default::Words("nothing"),
    help: "Answers that are odd but not ambiguous, let through by name. `value_control`: control \
           characters in values. `status_without_space`: a status line that ends after its digits. \
           `status_above_599`: status 600 to 999.",
};

/// Version.
pub static HTTP_VERSION: Key = Key {
    name: "version",
    kind: Kind::Choice(&["1.1", "2"]),
    default: Default::Value("\"1.1\""),
    help: "The version of HTTP that the endpoints speak. `2`: over TLS by ALPN, else by prior knowledge; \
           requests of all clients share few connections, and each goes to an endpoint of its own.",
};

/// Streams of a connection.
pub static STREAMS: Key = Key {
    name: "streams",
    kind: Kind::Integer { min: 1, max: 10_000 },
    default: Default::Value("100"),
    help: "With `version = \"2\"`: requests at once on one connection, or fewer where the endpoint allows \
           fewer. One more opens another.",
};

/// Silence.
pub static PING_AFTER: Key = Key {
    name: "ping_after",
    kind: Kind::Duration { min: seconds(1), max: seconds(3_600), never: true, whole: false },
    default: Default::Value("\"10s\""),
    help: "With `version = \"2\"`: an endpoint that says nothing for this long, on a connection with requests under \
           way, is sent a PING; where half of the time, at most 5 s, brings nothing the connection is closed. No more \
           PINGs are sent than servers of gRPC allow.",
};

/// Connections.
pub static MULTIPLEXED: Key = Key {
    name: "connections",
    kind: Kind::Integer { min: 1, max: 1_000 },
    default: Default::Value("4"),
    help: "With `version = \"2\"`: connections that each worker has to each endpoint. When all are full, \
           requests wait until one is over, as long as a dial may take; then they are answered with 503.",
};

/// Reuse.
pub static REUSE: Key = Key {
    name: "reuse",
    kind: Kind::Choice(&["safe", "always", "never"]),
    default: Default::Value("\"safe\""),
    help: "Which requests use a connection that has served others. `safe`: those that can be sent \
           again should the endpoint close it just then; others only where it rested for less than a \
           second. `always`: all. `never`: none.",
};

/// Retries.
pub static RETRIES: Key = Key {
    name: "retries",
    kind: Kind::Integer { min: 0, max: 10 },
    default: Default::Value("1"),
    help: "Other endpoints that a request is sent to at most after the first has failed. One that no \
           byte of has been sent may always go to another.",
};

/// Methods of retries.
pub static RETRY_METHODS: Key = Key {
    name: "retry_methods",
    kind: Kind::List(&Kind::Choice(&["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])),
    default: Default::Value("[\"GET\", \"HEAD\", \"OPTIONS\"]"),
    help: "Methods of requests that are sent again although an endpoint may have begun to do what they \
           ask: as long as the client has got no byte of an answer.",
};

/// Budget of retries.
pub static RETRY_BUDGET: Key = Key {
    name: "retry_budget",
    kind: Kind::Integer { min: 0, max: 100 },
    default: Default::Value("20"),
    help: "Second tries (retries and hedges) in percent of the pool's requests of the last 10 s; ten a \
           second are allowed in any case, unless it is 0. Beyond, the first failure is answered: a sick \
           pool must not be hammered.",
};

/// Retries of 503.
pub static RETRY_UNAVAILABLE: Key = Key {
    name: "retry_unavailable",
    kind: Kind::Boolean,
    default: Default::Value("true"),
    help: "A 503 to a request of `retry_methods` is held while another endpoint is asked: its answer is \
           passed on, and where it fails, too, the 503.",
};

/// Hedge.
pub static HEDGE: Key = Key {
    name: "hedge",
    kind: Kind::Boolean,
    default: Default::Value("true"),
    help: "A GET, HEAD or OPTIONS without a body, of `retry_methods`, is sent to a second endpoint beside \
           the first when that has not answered for twice the pool's 99th percentile (100 ms at least; \
           1 s while too little is known): the first answer wins. Within `retry_budget`, never with \
           `retries = 0`, and not while more than half of the endpoints are late.",
};

/// Answers.
pub static RESPONSE_TIMEOUT: Key = Key {
    name: "response_timeout",
    kind: duration(milliseconds(100), seconds(86_400)),
    default: Default::Value("\"60s\""),
    help: "How long the head of an answer may take, from the last byte of the request (504).",
};

/// Idle connections.
pub static IDLE_CONNECTIONS: Key = Key {
    name: "idle_connections",
    kind: Kind::Integer { min: 0, max: 65_536 },
    default: Default::Value("64"),
    help: "Idle connections that each worker keeps to each endpoint.",
};

/// Hash.
pub static HASH: Key = Key {
    name: "hash",
    kind: Kind::HashBy,
    default: Default::Words("`balance` decides"),
    help: "What decides on the endpoint instead of `balance`: the same value, the same endpoint, on \
           every host alike. For requests that do not have it the client's address does.",
};

/// Sticky cookie.
pub static STICKY: Key = Key {
    name: "sticky",
    kind: Kind::Token,
    default: Default::Words("none"),
    help: "Name of a cookie that is given to clients and brings them back to their endpoint as long as \
           that is up. An answer that gives it, and that a cache of many might keep, becomes `Cache-Control: \
           private`.",
};

/// The key of sticky cookies.
pub static STICKY_KEY: Key = Key {
    name: "sticky_key",
    kind: Kind::Path("/etc/eclusa/sticky.key"),
    default: Default::Words("one of its own, until the next start"),
    help: "File with at least 32 random bytes, for hosts that share an address and for restarts: with the \
           same file the same cookie leads to the same endpoint. Read at the start and by a reload.",
};

/// `[errors.STATUS]`
pub static ERRORS: Key = Key {
    name: "errors",
    kind: Kind::Named(&ERROR_PAGE),
    default: Default::Words("short texts of its own"),
    help: "Pages for answers that no endpoint gave, by status: `[errors.503]`.",
};

/// HTML.
pub static PAGE_HTML: Key = Key {
    name: "html",
    kind: Kind::Path("/etc/eclusa/503.html"),
    default: Default::Words("none"),
    help: "File for those who read HTML, and those who do not say what they read.",
};

/// JSON.
pub static PAGE_JSON: Key = Key {
    name: "json",
    kind: Kind::Path("/etc/eclusa/503.json"),
    default: Default::Words("none"),
    help: "File for those who would rather have JSON.",
};
