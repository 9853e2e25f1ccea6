//! The table itself: sections here, their keys below.

mod condition;
mod counter;
mod dashboard;
mod expect;
mod general;
mod haproxy;
mod http;
mod listener;
mod log;
mod observe;
mod pool;
mod probe;
mod rule;
mod tls;

pub use condition::*;
pub use counter::*;
pub use dashboard::*;
pub use expect::*;
pub use general::*;
pub use haproxy::*;
pub use http::*;
pub use listener::*;
pub use log::*;
pub use observe::*;
pub use pool::*;
pub use probe::*;
pub use rule::*;
pub use tls::*;

use super::{Kind, Section};
use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const DAY: u64 = 86_400;

const fn duration(min: Duration, max: Duration) -> Kind {
    Kind::Duration { min, max, never: false, whole: false }
}

/// Top level of `eclusa-apiserver`.
pub static APISERVER: Section = Section {
    help: "Between the nodes and the Kubernetes masters. The shortest file: \
           `masters = [\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.13\"]`.",
    keys: &[
        &MASTERS,
        &PORTS,
        &LISTEN_HOSTS,
        &ALLOW,
        &DENY,
        &PROXY_FROM,
        &SEND_PROXY,
        &SOURCE,
        &BALANCE,
        &ENDPOINT_SESSIONS_MAX,
        &QUEUE,
        &QUEUE_TIMEOUT,
        &SLOW_START,
        &RESET_SILENT,
        &RESET_SICK,
        &FAIL_OPEN,
        &REPLAY,
        &RESOLVE_INTERVAL,
        &IDLE_TIMEOUT,
        &HALF_CLOSED_TIMEOUT,
        &PREAMBLE_TIMEOUT,
        &BACKLOG,
        &WORKERS,
        &SESSIONS_MAX,
        &RUN_DIRECTORY,
        &STOP_DEADLINE,
        &LAME_DUCK,
        &ALLOW_SHRINK,
        &CONFINE,
        &ADMIN,
        &HAPROXY_SOCKET,
        &LOG,
        &OBSERVE,
        &DASHBOARD,
        &PROBE,
        &DIAL,
        &REBALANCE,
        &DEAD_PEER,
        &EXPECT_MASTERS,
    ],
};

/// Top level of `eclusa-edge`.
pub static EDGE: Section = Section {
    help: "Between the outside and the virtual IPs of the ingress controllers.",
    keys: &[
        &UPSTREAMS_WITHIN,
        &WORKERS,
        &SESSIONS_MAX,
        &RUN_DIRECTORY,
        &STOP_DEADLINE,
        &LAME_DUCK,
        &ALLOW_SHRINK,
        &CONFINE,
        &ADMIN,
        &HAPROXY_SOCKET,
        &LOG,
        &OBSERVE,
        &DASHBOARD,
        &CONDITIONS,
        &LISTENERS,
        &POOLS,
        &COUNTERS,
        &ERRORS,
        &EXPECT,
    ],
};

/// `[admin]`
pub static ADMIN_SECTION: Section = Section {
    help: "The admin socket: whoever may write to it may reload, close sessions and take endpoints \
           out.",
    keys: &[&ADMIN_SOCKET, &ADMIN_MODE, &ADMIN_GROUP, &ADMIN_DRILLS],
};

/// `[haproxy_socket]`
pub static HAPROXY_SOCKET_SECTION: Section = Section {
    help: "A socket that answers as HAProxy's does, for monitoring and tools that know that \
           (`docs/haproxy-compat.md`). It is there only where this section is.",
    keys: &[
        &HAPROXY_SOCKET_PATH,
        &HAPROXY_SOCKET_LEVEL,
        &HAPROXY_SOCKET_MODE,
        &HAPROXY_SOCKET_GROUP,
        &HAPROXY_SOCKET_CLIENTS_MAX,
    ],
};

/// `[log]`
pub static LOG_SECTION: Section = Section {
    help: "Where records of sessions and events go. The log never makes a session wait: a target \
           that does not keep up loses lines, which are counted.",
    keys: &[
        &LOG_TARGET,
        &LOG_FORMAT,
        &LOG_SESSIONS,
        &LOG_SAMPLE,
        &LOG_FACILITY,
        &LOG_SYSLOG,
        &LOG_TAG,
        &LOG_EVENTS,
    ],
};

/// `[log.events]`
pub static LOG_EVENTS_SECTION: Section = Section {
    help: "Where events go, and how they look, if not as the records of sessions.",
    keys: &[&LOG_EVENTS_TARGET, &LOG_EVENTS_FORMAT, &LOG_EVENTS_FACILITY],
};

/// `[observe]`
pub static OBSERVE_SECTION: Section = Section {
    help: "What the program tells of itself over HTTP.",
    keys: &[&OBSERVE_LISTEN, &OBSERVE_PEER, &OBSERVE_HAPROXY_STATS, &OBSERVE_HAPROXY_NAMES],
};

/// `[listener.NAME]`
pub static LISTENER: Section = Section {
    help: "Addresses to listen on, and where connections go. The first route whose condition \
           holds names the pool, then `pool` does; without either the connection is closed.",
    keys: &[
        &LISTEN,
        &POOL,
        &PEEK,
        &ALLOW,
        &DENY,
        &PROXY_FROM,
        &IDLE_TIMEOUT,
        &HALF_CLOSED_TIMEOUT,
        &PREAMBLE_TIMEOUT,
        &BACKLOG,
        &DEAD_PEER,
        &TLS,
        &HTTP,
        &HTTP2,
        &LIMIT,
        &ROUTES,
        &RULES,
    ],
};

/// `[[listener.NAME.route]]`
pub static ROUTE: Section = Section {
    help: "A condition and where what fulfils it goes, to a pool or to several: the keys of a \
           condition (all that are written must hold) or `when`; with none of them it always holds.",
    keys: &[
        &ROUTE_POOL,
        &SPLIT,
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
        &WHEN,
    ],
};

/// `[condition.NAME]` and every condition below.
pub static CONDITION: Section = Section {
    help: "A condition: all keys that are written must hold.",
    keys: &[
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
        &ALL,
        &ANY,
        &NOT,
        &NAMED,
    ],
};

/// `header.NAME`
pub static VALUES: Section = Section {
    help: "What is asked of a value, of a header field, a parameter or a cookie: one of what is written must hold. A text or a list of texts alone is `exact`.",
    keys: &[&EXACT, &PREFIX, &SUFFIX, &REGEX],
};

/// `client_certificate`
pub static CERTIFICATE_SECTION: Section = Section {
    help: "A certificate: of each list that is written one must match.",
    keys: &[&COMMON_NAME, &DNS_NAME, &SHA256],
};

/// `[[listener.NAME.rule]]`
pub static RULE: Section = Section {
    help: "A condition, as in a route, and exactly one action.",
    keys: &[
        &REDIRECT,
        &DENY_REQUEST,
        &CLOSE,
        &ANSWER,
        &BASIC_AUTH,
        &SET_HEADER,
        &ADD_HEADER,
        &REMOVE_HEADER,
        &SET_RESPONSE_HEADER,
        &ADD_RESPONSE_HEADER,
        &REMOVE_RESPONSE_HEADER,
        &REPLACE_HEADER,
        &REPLACE_RESPONSE_HEADER,
        &REWRITE_PATH,
        &REWRITE_HOST,
        &HSTS,
        &REQUEST_ID,
        &COUNT,
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
        &WHEN,
    ],
};

/// `redirect`
pub static REDIRECT_SECTION: Section = Section {
    help: "Where the client is sent; what is left out stays as it is.",
    keys: &[&REDIRECT_SCHEME, &REDIRECT_HOST, &REDIRECT_PATH, &REDIRECT_PREFIX, &REDIRECT_CODE],
};

/// `deny`
pub static DENY_SECTION: Section =
    Section { help: "How the request is refused.", keys: &[&DENY_STATUS] };

/// `answer`
pub static ANSWER_SECTION: Section = Section {
    help: "A fixed answer.",
    keys: &[&ANSWER_STATUS, &ANSWER_TYPE, &ANSWER_BODY, &ANSWER_FILE, &ANSWER_MESSAGE],
};

/// `basic_auth`
pub static BASIC_SECTION: Section = Section {
    help: "Who may pass: those in `users` and `users_file` together.",
    keys: &[&REALM, &USERS, &USERS_FILE],
};

/// `rewrite_path`
pub static REWRITE_SECTION: Section = Section {
    help: "What of the path is replaced, and by what: `{ prefix = \"/api\", with = \"/\" }`.",
    keys: &[&REWRITE_PREFIX, &REWRITE_REGEX, &REWRITE_WITH],
};

/// `replace_header`, `replace_response_header`
pub static REPLACE_SECTION: Section = Section {
    help: "What is replaced in the values of a header field, and by what: `{ name = \"Location\", regex = \
           '^http://app/', with = \"/\" }`.",
    keys: &[&REPLACE_NAME, &REPLACE_REGEX, &REPLACE_WITH],
};

/// `[counter.NAME]`
pub static COUNTER_SECTION: Section = Section {
    help: "Counts requests of each client, by its address (by its /64 with IPv6): those that come to a rule `count`, of whatever \
           listener.",
    keys: &[&COUNTER_WITHIN, &FORGET_AFTER, &COUNTER_CLIENTS],
};

/// `hsts`
pub static HSTS_SECTION: Section = Section {
    help: "`Strict-Transport-Security` (RFC 6797).",
    keys: &[&MAX_AGE, &SUBDOMAINS, &PRELOAD],
};

/// `request_id`
pub static REQUEST_ID_SECTION: Section =
    Section { help: "Where the id is written.", keys: &[&ID_HEADER, &ID_ACCEPT, &ID_RESPOND] };

/// `[listener.NAME.tls]`
pub static TERMINATE_SECTION: Section = Section {
    help: "TLS that is opened at the listener.",
    keys: &[
        &CERTIFICATES,
        &MIN_VERSION,
        &TLS_ALPN,
        &CLIENT_CA,
        &CLIENT_CERTIFICATES,
        &TICKETS,
        &STRICT,
        &DEFAULT_NAME,
        &HANDSHAKE_TIMEOUT,
        &HANDSHAKES_MAX,
    ],
};

/// `[listener.NAME.http]`
pub static HTTP_SECTION: Section = Section {
    help: "HTTP/1.1, read as strictly as the standards (RFC 9110, RFC 9112) have it: what two readers could read differently is refused (400) and never sent on.",
    keys: &[
        &HTTP_ALLOW,
        &HEAD_TIMEOUT,
        &BODY_TIMEOUT,
        &BODY_RATE_MIN,
        &KEEP_ALIVE_TIMEOUT,
        &HEAD_MAX,
        &HEADERS_MAX,
        &BODY_MAX,
        &FORWARDED_FOR,
        &TRUSTED,
        &UPGRADES,
        &CONNECT,
        &PASSTHROUGH,
        &COMPRESS,
        &LOG_HEADERS,
    ],
};

/// `[listener.NAME.http.compress]`
pub static COMPRESS_SECTION: Section = Section {
    help: "Answers of status 200 to 203 are compressed by gzip for clients that accept it, unless the \
           endpoint has encoded them itself or says `no-transform`: with a `Content-Type` of `types`, to \
           HTTP/1.1 and HTTP/2 alone, and not to HEAD.",
    keys: &[&COMPRESS_TYPES, &COMPRESS_AT_ONCE],
};

/// `[listener.NAME.http2]`
pub static HTTP2_SECTION: Section = Section {
    help: "HTTP/2 with the clients of a listener; the limits of heads and bodies are those of `http`.",
    keys: &[&STREAMS_MAX, &STREAM_WINDOW, &CONNECTION_WINDOW],
};

/// `[listener.NAME.limit]`
pub static LIMIT_SECTION: Section = Section {
    help: "What each client network, a /32 or with IPv6 a /64, may do; only told unless `enforce`.",
    keys: &[&ENFORCE, &CONNECTIONS, &REQUESTS_PER_SECOND, &BURST, &CLIENTS, &FLOODS, &EXCEPT],
};

/// `[errors.STATUS]`
pub static ERROR_PAGE: Section = Section {
    help: "Pages for answers of this status that no endpoint gave.",
    keys: &[&PAGE_HTML, &PAGE_JSON],
};

/// `[pool.NAME.tls]`
pub static ORIGINATE_SECTION: Section = Section {
    help: "TLS that is spoken to the endpoints.",
    keys: &[&ENDPOINT_CA, &ENDPOINT_SERVER_NAME, &VERIFY, &ENDPOINT_CERTIFICATE, &ENDPOINT_KEY],
};

/// `[pool.NAME.http]`
pub static POOL_HTTP_SECTION: Section = Section {
    help: "How endpoints are asked.",
    keys: &[
        &POOL_ALLOW,
        &HTTP_VERSION,
        &STREAMS,
        &MULTIPLEXED,
        &PING_AFTER,
        &REUSE,
        &RETRIES,
        &RETRY_METHODS,
        &RETRY_BUDGET,
        &RETRY_UNAVAILABLE,
        &HEDGE,
        &RESPONSE_TIMEOUT,
        &IDLE_CONNECTIONS,
        &HASH,
        &STICKY,
        &STICKY_KEY,
    ],
};

/// `[pool.NAME]`
pub static POOL_SECTION: Section = Section {
    help: "Interchangeable endpoints, how one is chosen, dialled and probed.",
    keys: &[
        &ENDPOINTS,
        &BALANCE,
        &SEND_PROXY,
        &SOURCE,
        &ENDPOINT_SESSIONS_MAX,
        &QUEUE,
        &QUEUE_TIMEOUT,
        &SLOW_START,
        &RESET_SILENT,
        &RESET_SICK,
        &FAIL_OPEN,
        &REPLAY,
        &RESOLVE_INTERVAL,
        &POOL_PROBE,
        &DIAL,
        &REBALANCE,
        &POOL_TLS,
        &POOL_HTTP,
    ],
};

/// A table instead of an endpoint's address.
pub static ENDPOINT: Section = Section {
    help: "An endpoint with more than its address.",
    keys: &[&ADDRESS, &NAME, &WEIGHT, &BACKUP, &ENDPOINT_SESSIONS],
};

/// A table instead of a version.
pub static SEND_PROXY_SECTION: Section = Section {
    help: "The PROXY header that endpoints get, with additional fields (TLVs; version 2 only).",
    keys: &[&VERSION, &ALPN, &AUTHORITY, &UNIQUE_ID, &CRC32C, &ALIGN],
};

/// `[probe]`
pub static PROBE_SECTION: Section = Section {
    help: "How endpoints are probed.",
    keys: &[
        &PROBE_KIND,
        &INTERVAL,
        &FAST_INTERVAL,
        &PROBE_TIMEOUT,
        &LATE_AFTER,
        &RISE,
        &FALL,
        &FRESH_EVERY,
        &PROBE_PATH,
        &LIVE_PATH,
        &METHOD,
        &PROBE_HOST,
        &STATUS,
        &BODY,
        &PROBE_SERVER_NAME,
        &CA,
        &CERTIFICATE,
        &PRIVATE_KEY,
        &TOKEN_FILE,
    ],
};

/// `[pool.NAME.probe]`
pub static POOL_PROBE_SECTION: Section = Section {
    help: "How endpoints are probed.",
    keys: &[
        &POOL_PROBE_KIND,
        &INTERVAL,
        &FAST_INTERVAL,
        &PROBE_TIMEOUT,
        &LATE_AFTER,
        &RISE,
        &FALL,
        &FRESH_EVERY,
        &PROBE_PATH,
        &LIVE_PATH,
        &METHOD,
        &PROBE_HOST,
        &STATUS,
        &BODY,
        &SERVICE,
        &PROBE_SERVER_NAME,
        &CA,
        &CERTIFICATE,
        &PRIVATE_KEY,
        &TOKEN_FILE,
    ],
};

/// `[dial]`, `[pool.NAME.dial]`
pub static DIAL_SECTION: Section = Section {
    help: "How endpoints are dialled: all of this happens before the first byte reaches one.",
    keys: &[&DIAL_TIMEOUT, &TRIES, &HEDGE_AFTER],
};

/// `[rebalance]`, `[pool.NAME.rebalance]`
pub static REBALANCE_SECTION: Section = Section {
    help: "A few of the quietest sessions of an endpoint that has too many are closed, in order and \
           towards both sides, so that their clients connect anew and are balanced again. Never \
           while an endpoint of the pool is anything but well, or has just come back. An empty \
           table switches it on.",
    keys: &[&ABOVE_PERCENT, &PER_MINUTE, &QUIET],
};

/// `[dead_peer]`, `[listener.NAME.dead_peer]`
pub static DEAD_PEER_SECTION: Section = Section {
    help: "How peers that vanished without a word are found, on both sides of a session.",
    keys: &[&KEEPALIVE_IDLE, &KEEPALIVE_INTERVAL, &KEEPALIVE_COUNT, &NO_ACK],
};

/// `[[expect]]` of `eclusa-apiserver`
pub static EXPECT_CONNECTION: Section = Section {
    help: "A connection, and what must become of it: exactly one of `pool` and `denied`.",
    keys: &[&EXPECT_FROM, &EXPECT_PORT, &EXPECT_POOL, &EXPECT_DENIED],
};

/// `[[expect]]` of `eclusa-edge`
pub static EXPECT_REQUEST: Section = Section {
    help: "A connection or, with `host`, a request, and what must become of it: exactly one of \
           `pool`, `status` and `denied`.",
    keys: &[
        &EXPECT_FROM,
        &EXPECT_LISTENER,
        &EXPECT_PORT,
        &EXPECT_SERVER_NAME,
        &EXPECT_HOST,
        &EXPECT_PATH,
        &EXPECT_METHOD,
        &EXPECT_HEADER,
        &EXPECT_COOKIE,
        &EXPECT_POOL,
        &EXPECT_STATUS,
        &EXPECT_DENIED,
    ],
};
