//! HTTP: how a listener reads requests and what it does to them, how a pool's endpoints are asked.

use eclusa_policy::balance::hash_of;
use eclusa_policy::condition::{Request, cookie, query};
use eclusa_policy::limits::Rate;
use eclusa_policy::name::NamePattern;
use eclusa_policy::rules::{Act, Content, Rule};
use ipnet::IpNet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let fits = |(shift, _): &&(u32, &str)| self.0 > 0 && self.0.trailing_zeros() >= *shift;
        match units.iter().find(fits) {
            Some((shift, unit)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// HTTP at a listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// What is odd but not ambiguous and let through: names of `eclusa_wire::http1::Leniency`.
    pub allow: Vec<&'static str>,
    /// How long a whole head may take, from its first byte.
    pub head_timeout: Duration,
    /// How long a body may rest.
    pub body_timeout: Duration,
    /// Bytes a second that a client must send of a body or take of an answer in the long run; 0: a byte
    /// now and then is enough.
    pub body_rate_min: ByteSize,
    /// How long a connection waits for its next request.
    pub keep_alive_timeout: Duration,
    /// The longest head.
    pub head_max: ByteSize,
    /// Header fields of a head at most.
    pub headers_max: usize,
    /// The longest body; `None`: no bound.
    pub body_max: Option<ByteSize>,
    /// What becomes of `X-Forwarded-*` and `Forwarded`.
    pub forwarded: Forwarded,
    /// Networks whose word on that is taken.
    pub trusted: Vec<IpNet>,
    /// Protocols that a connection may be upgraded to, in lower case.
    pub upgrades: Vec<Arc<str>>,
    /// Whether `CONNECT` is passed on.
    pub connect: bool,
    /// Server names whose connections are not opened.
    pub passthrough: Vec<NamePattern>,
    /// Rules, in order.
    pub rules: Vec<Rule>,
    /// What each client network may do.
    pub limit: Limit,
    /// HTTP/2 beside HTTP/1; `None`: it is not spoken.
    pub http2: Option<Http2>,
    /// Which answers are compressed; `None`: none.
    pub compress: Option<Compress>,
    /// Header fields of requests that lines of the log have, by their names in lower case.
    pub log_headers: Vec<Arc<str>>,
}

/// Which answers are compressed for clients that accept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compress {
    /// Beginnings of media types, in lower case; `*` stands for all.
    pub types: Vec<Arc<str>>,
    /// Answers that a worker compresses at once.
    pub at_once: usize,
}

/// Counts requests of each client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its name.
    pub name: Arc<str>,
    /// The time in which requests count.
    pub within: Duration,
    /// A client that is quiet for so long is forgotten.
    pub forget_after: Duration,
    /// Clients that are known at once.
    pub clients: usize,
}

/// HTTP/2 with the clients of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2 {
    /// Requests at once on one connection.
    pub streams_max: u32,
    /// Bytes of a request's body that may come before any of them is taken.
    pub stream_window: ByteSize,
    /// The same for all requests of a connection.
    pub connection_window: ByteSize,
}

impl Http {
    /// Whether a connection with this server name is carried unopened.
    #[must_use]
    pub fn passes(&self, server_name: Option<&str>) -> bool {
        server_name.is_some_and(|name| self.passthrough.iter().any(|it| it.matches(name)))
    }

    /// The files that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.rules.iter().filter_map(|rule| match &rule.act {
            Act::Authenticate(basic) => basic.file.as_deref(),
            Act::Answer(answer) => match &answer.content {
                Content::File(path) | Content::Message(path) => Some(path.as_path()),
                Content::Text(_) => None,
            },
            _ => None,
        })
    }
}

/// What becomes of `X-Forwarded-For`, `-Proto`, `-Host`, `-Port` and of `Forwarded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// They say what is seen here, whatever they said before.
    Set,
    /// Those from trusted networks are kept, and what is seen here comes behind; others are set.
    Append,
    /// They are passed on as they came.
    Off,
}

/// What each client network (/32, /64) may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// More is refused; else it is only told.
    pub enforce: bool,
    /// Connections at once; `None`: no limit.
    pub connections: Option<u32>,
    /// Requests; `None`: no limit.
    pub rate: Option<Rate>,
    /// Connections cut for floods in a minute that keep a network out for one; `None`: no limit.
    pub floods: Option<u32>,
    /// Clients whose requests are counted at once.
    pub clients: usize,
    /// Networks without limits.
    pub except: Vec<IpNet>,
}

/// How a pool's endpoints are asked over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolHttp {
    /// As with a listener, for answers.
    pub allow: Vec<&'static str>,
    /// HTTP/2 instead of HTTP/1.1.
    pub http2: Option<Multiplex>,
    /// Which requests use a connection that has served others.
    pub reuse: Reuse,
    /// Other endpoints that a request is sent to at most after the first has failed.
    pub retries: u32,
    /// Methods of requests that may be sent again although an endpoint may have begun to do what
    /// they ask.
    pub retry_methods: Vec<&'static str>,
    /// Second tries in percent of the pool's requests, beside a few in any case.
    pub retry_budget: u32,
    /// Whether a 503 is a reason to ask another endpoint, too.
    pub retry_unavailable: bool,
    /// Whether a second endpoint is asked beside one that keeps silent for longer than is usual.
    pub hedge: bool,
    /// How long the head of an answer may take.
    pub response_timeout: Duration,
    /// Idle connections that each worker keeps to each endpoint.
    pub idle_connections: usize,
    /// What decides on the endpoint; `None`: the balance of the pool.
    pub hash: Option<HashBy>,
    /// Cookie that keeps a client at its endpoint; `None`: there is none.
    pub sticky: Option<Arc<str>>,
    /// File with the key of what that cookie says; `None`: one of our own, until the next start.
    pub sticky_key: Option<PathBuf>,
}

impl Default for PoolHttp {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            http2: None,
            reuse: Reuse::Safe,
            retries: 1,
            retry_methods: vec!["GET", "HEAD", "OPTIONS"],
            retry_budget: 20,
            retry_unavailable: true,
            hedge: true,
            response_timeout: Duration::from_secs(60),
            idle_connections: 64,
            hash: None,
            sticky: None,
            sticky_key: None,
        }
    }
}

/// HTTP/2 with the endpoints of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplex {
    /// Requests at once on one connection.
    pub streams: usize,
    /// Connections that each worker has to each endpoint.
    pub connections: usize,
    /// Silence after which an endpoint with requests under way is sent a PING; `None`: never.
    pub ping_after: Option<Duration>,
}

/// Which requests use a connection that has served others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Those that can be sent again; others where it was idle for less than a second.
    Safe,
    /// All.
    Always,
    /// None.
    Never,
}

/// What decides on an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashBy {
    /// A header field of the request, by its name in lower case.
    Header(Arc<str>),
    /// A cookie.
    Cookie(Arc<str>),
    /// A parameter of the query.
    Query(Arc<str>),
    /// The path.
    Path,
}

impl HashBy {
    /// The hash of what a request says there; `None`: it does not have it.
    #[must_use]
    pub fn key(&self, request: &dyn Request) -> Option<u64> {
        let mut key = None;
        let mut take = |value: &str| {
            key = Some(hash_of(value.as_bytes()));
            true
        };
        match self {
            Self::Path => take(request.path()),
            Self::Header(name) => request.header(name, &mut take),
            Self::Cookie(name) => cookie(request, name, &mut take),
            Self::Query(name) => request.query().is_some_and(|all| query(all, name, &mut take)),
        };
        key
    }
}

/// Pages for answers of the proxy's own with a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage {
    /// The status.
    pub status: u16,
    /// For those who read HTML, and for those who do not say.
    pub html: Option<PathBuf>,
    /// For those who would rather have JSON.
    pub json: Option<PathBuf>,
}
