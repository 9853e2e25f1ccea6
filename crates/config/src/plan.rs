//! The plan: what the program will do, every default filled in.
//!
//! A document says what the operator wrote; a plan says what follows. No code after the plan may
//! ask whether something "was set".

mod admin;
mod dashboard;
mod haproxy;
mod http;
mod log;
mod observe;
mod tls;

pub use admin::*;
pub use dashboard::*;
pub use haproxy::*;
pub use http::*;
pub use log::*;
pub use observe::*;
pub use tls::*;

use crate::list::List;
use eclusa_policy::access::Access;
use eclusa_policy::balance::Algorithm;
use eclusa_policy::condition::{Condition, List as _};
use eclusa_policy::rebalance;
use eclusa_policy::replay;
use eclusa_policy::route::Target;
use eclusa_policy::verdict::{self, Check};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Which of the two programs a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `eclusa-apiserver`
    Apiserver,
    /// `eclusa-edge`
    Edge,
}

impl Program {
    /// The binary's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apiserver => "eclusa-apiserver",
            Self::Edge => "eclusa-edge",
        }
    }

    /// What its files in shared directories are named after: `apiserver`, `edge`.
    #[must_use]
    pub fn short_name(self) -> &'static str {
        match self {
            Self::Apiserver => "apiserver",
            Self::Edge => "edge",
        }
    }

    /// The file that is read when none is named.
    #[must_use]
    pub fn default_file(self) -> &'static str {
        match self {
            Self::Apiserver => "/etc/eclusa/apiserver.toml",
            Self::Edge => "/etc/eclusa/edge.toml",
        }
    }
}

/// Everything that a run of the program needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which program.
    pub program: Program,
    /// Threads that carry traffic; `None`: one per processor that the process may use.
    pub workers: Option<usize>,
    /// Sessions at once; `None`: 80 % of what the descriptor limit allows.
    pub sessions_max: Option<usize>,
    /// Directory for the locks that keep a second instance out; `None`: `$RUNTIME_DIRECTORY`,
    /// `/run/eclusa`, or one of the user's own where that cannot be written.
    pub run_directory: Option<PathBuf>,
    /// How long sessions may go on after SIGTERM before they are closed.
    pub stop_deadline: Duration,
    /// After SIGTERM: how long it goes on accepting while its health pages say that it stops.
    pub lame_duck: Duration,
    /// A reload may take away the last endpoint of a pool, or more than half of those that are up.
    pub allow_shrink: bool,
    /// What holds the process that carries traffic.
    pub confine: Confine,
    /// The admin socket; `None`: there is none.
    pub admin: Option<Admin>,
    /// The socket that answers as HAProxy's does; `None`: there is none.
    pub haproxy_socket: Option<HaproxySocket>,
    /// Where records and events go.
    pub log: Log,
    /// Figures and health over HTTP.
    pub observe: Observe,
    /// The page that shows how everything is.
    pub dashboard: Dashboard,
    /// The listeners, in the order written.
    pub listeners: Vec<Listener>,
    /// The pools; a route names one by its index.
    pub pools: Vec<Arc<Pool>>,
    /// Pages for answers of our own, each status once.
    pub errors: Vec<ErrorPage>,
    /// What rules count and conditions ask; a condition names one by its index.
    pub counters: Vec<Counter>,
    /// Lists in files that conditions ask; they are read again when the file changes.
    pub lists: Vec<Arc<List>>,
}

impl Plan {
    /// The files that the plan names for reading: certificates, keys, tokens, pages, passwords, lists. The
    /// keeper opens these for the engine, and what is laid out beside and below certificates.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let probes = self.pools.iter().flat_map(|pool| pool.probe.files());
        let pools = self.pools.iter().filter_map(|pool| pool.tls.as_ref());
        let tls = self.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let http = self.listeners.iter().filter_map(|listener| listener.http.as_ref());
        let sticky = self.pools.iter().filter_map(|pool| pool.http.sticky_key.as_ref());
        let pages = self.errors.iter().flat_map(|page| page.html.iter().chain(&page.json));
        probes
            .chain(pools.flat_map(Originate::files))
            .chain(tls.flat_map(Terminate::files))
            .chain(http.flat_map(Http::files))
            .chain(sticky.map(PathBuf::as_path))
            .chain(pages.map(PathBuf::as_path))
            .chain(self.lists.iter().map(|list| list.file()))
            .chain(self.dashboard.token_file.as_deref())
    }

    /// Of these, the certificates of listeners: files, or directories that hold them.
    pub fn certificates(&self) -> impl Iterator<Item = &Path> {
        let tls = self.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        tls.flat_map(|tls| &tls.certificates).map(PathBuf::as_path)
    }

    /// The addresses that the plan listens on.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let addresses = self.listeners.iter().flat_map(|listener| &listener.addresses);
        addresses.map(|listen| listen.address)
    }
}

/// What holds the process that carries traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confine {
    /// No capability, only the files it needs, only listed system calls; others fail and are logged.
    #[default]
    Strict,
    /// No capability; system calls that are not listed are logged and let through.
    Log,
    /// Nothing.
    Off,
}

impl Confine {
    /// The one that the configuration calls so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "strict" => Some(Self::Strict),
            "log" => Some(Self::Log),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// Address, port and what is spoken there.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name.
    pub name: Arc<str>,
    /// Where it listens.
    pub addresses: Vec<ListenAddress>,
    /// What it waits for before it dials.
    pub peek: Peek,
    /// How long the PROXY header and a complete ClientHello may take, from `accept`.
    pub preamble_timeout: Duration,
    /// Networks from which a PROXY header must come first; from all others none is read.
    pub proxy_from: Option<Vec<IpNet>>,
    /// Who may connect.
    pub access: Access,
    /// TLS that is opened here; `None`: connections are carried as they are.
    pub tls: Option<Terminate>,
    /// HTTP that is spoken here; `None`: TCP is carried.
    pub http: Option<Http>,
    /// Conditions and pools, first match wins; a default pool stands last with
    /// [`Condition::Always`]. No match: the session is closed, a request is answered by 404 or 421.
    pub routes: Vec<Route>,
    /// Sessions without a byte in either direction for this long end; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// Half-closed sessions without a byte for this long end.
    pub half_closed_timeout: Duration,
    /// How dead peers are found, on both sides of the session.
    pub dead_peer: DeadPeer,
    /// Length of the kernel's accept queue (bounded by `net.core.somaxconn`).
    pub backlog: u32,
}

/// One address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// The address.
    pub address: SocketAddr,
    /// Part of a default: left out, with a notice, where the host has no such address family.
    pub optional: bool,
}

/// What a listener waits for before it dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peek {
    /// Nothing: dial at accept. For protocols in which the endpoint speaks first.
    None,
    /// A complete ClientHello, the first byte that is no TLS, or 2 s.
    Tls,
}

/// How peers that vanished without a FIN are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadPeer {
    /// Idle time before the first keepalive probe (`TCP_KEEPIDLE`).
    pub keepalive_idle: Duration,
    /// Time between keepalive probes (`TCP_KEEPINTVL`).
    pub keepalive_interval: Duration,
    /// Unanswered probes before the peer counts as dead (`TCP_KEEPCNT`).
    pub keepalive_count: u32,
    /// With unacknowledged data: no ACK at all for this long.
    pub no_ack: Duration,
}

/// A condition, and where what fulfils it goes.
#[derive(Clone, Debug)]
pub struct Route {
    /// When it applies.
    pub when: Condition,
    /// A pool or several, as indexes into [`Plan::pools`].
    pub target: Target,
}

/// A named set of interchangeable endpoints with its policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Its name.
    pub name: Arc<str>,
    /// Where traffic can go.
    pub endpoints: Vec<Endpoint>,
    /// How one is chosen.
    pub balance: Algorithm,
    /// The PROXY header that endpoints get before the client's bytes.
    pub send_proxy: Option<SendProxy>,
    /// Source addresses for connections to the endpoints, chosen at random; empty: the kernel's choice.
    pub source: Vec<IpAddr>,
    /// Networks that no endpoint may leave, whatever DNS answers; `None`: no bound.
    pub within: Option<Arc<[IpNet]>>,
    /// TLS that is spoken to the endpoints; `None`: bytes go to them as they are.
    pub tls: Option<Originate>,
    /// How they are asked over HTTP, where a listener speaks it.
    pub http: PoolHttp,
    /// How endpoints are dialled.
    pub dial: Dial,
    /// What the endpoints are asked.
    pub probe: Probe,
    /// How what probes and traffic show is judged, and what follows.
    pub judge: verdict::Settings,
    /// First-flight replay; `None`: off.
    pub replay: Option<replay::Settings>,
    /// Where sessions wait while every endpoint that is well is at its limit.
    pub queue: Queue,
    /// Gentle rebalance; `None`: off.
    pub rebalance: Option<Rebalance>,
    /// Sessions that an endpoint ends early weigh as load for a while.
    pub early_ends_weigh: bool,
    /// How often names are resolved again.
    pub resolve_interval: Duration,
}

/// One endpoint as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name in logs and commands; the address as written unless the operator gave another.
    pub name: Arc<str>,
    /// Where it is.
    pub address: EndpointAddress,
    /// Share of new sessions relative to the others, 1 to 256.
    pub weight: u16,
    /// Used only while no other endpoint can take traffic.
    pub backup: bool,
    /// Sessions at once on each of its addresses; `None`: no limit.
    pub sessions_max: Option<u32>,
}

/// Where sessions wait for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Sessions that may wait in all; 0: nobody waits.
    pub length: usize,
    /// How long one of them may wait.
    pub timeout: Duration,
}

/// Gentle rebalance of standing sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebalance {
    /// When, and how many.
    pub settings: rebalance::Settings,
    /// A session is quiet without a byte in either direction for this long.
    pub quiet: Duration,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    /// An address and port.
    Socket(SocketAddr),
    /// A name that DNS (or `/etc/hosts`) resolves; each address it has is used.
    Name {
        /// The host name.
        host: Arc<str>,
        /// The port.
        port: u16,
    },
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// The PROXY header that endpoints get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendProxy {
    /// 1: text; 2: binary.
    pub version: u8,
    /// Additional fields; version 2 only.
    pub tlvs: ProxyTlvs,
}

/// Which additional fields a version 2 header carries (the PROXY protocol, section 2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyTlvs {
    /// `PP2_TYPE_ALPN`: the first protocol that the client offered.
    pub alpn: bool,
    /// `PP2_TYPE_AUTHORITY`: the server name of the ClientHello.
    pub authority: bool,
    /// `PP2_TYPE_UNIQUE_ID`: the session's id, as in the log.
    pub unique_id: bool,
    /// `PP2_TYPE_CRC32C`: checksum of the header.
    pub crc32c: bool,
    /// `PP2_TYPE_NOOP`: padding that makes the header's length a multiple of this many bytes.
    pub align: Option<NonZeroU8>,
}

/// How endpoints are dialled: bounded tries before the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Budget of all tries of one session.
    pub timeout: Duration,
    /// Endpoints tried at most.
    pub tries: u32,
    /// A second endpoint is dialled beside the first when that has not answered for this long;
    /// `None`: never.
    pub hedge_after: Option<Duration>,
}

/// What a probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Nothing: the endpoint always counts as `up`.
    None,
    /// Connect, then close.
    Tcp,
    /// Connect and complete a TLS handshake.
    Tls(TlsProbe),
    /// HTTP requests, over TLS or not.
    Http(HttpProbe),
    /// A call to gRPC's health service, over TLS or not.
    Grpc(GrpcProbe),
}

impl Probe {
    /// Its TLS; `None`: it speaks none.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsProbe> {
        match self {
            Self::None | Self::Tcp => None,
            Self::Tls(tls) => Some(tls),
            Self::Http(http) => http.tls.as_ref(),
            Self::Grpc(grpc) => grpc.tls.as_ref(),
        }
    }

    /// The files that it names.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let tls = self.tls();
        let token = match self {
            Self::None | Self::Tcp | Self::Tls(_) => None,
            Self::Http(http) => http.token_file.as_ref(),
            Self::Grpc(grpc) => grpc.token_file.as_ref(),
        };
        let ca = tls.and_then(|tls| tls.ca.as_ref());
        let client = tls.and_then(|tls| tls.client.as_ref());
        let client = client.into_iter().flat_map(|(certificate, key)| [certificate, key]);
        ca.into_iter().chain(client).chain(token).map(PathBuf::as_path)
    }
}

/// The TLS of a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsProbe {
    /// Server name to send; `None`: none is sent for addresses, the name for names.
    pub server_name: Option<Arc<str>>,
    /// Bundle of CA certificates that must have signed the endpoint's; `None`: any will do.
    pub ca: Option<PathBuf>,
    /// The certificate that the probe shows, with its key (PEM).
    pub client: Option<(PathBuf, PathBuf)>,
}

/// The HTTP of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// `None`: plain HTTP.
    pub tls: Option<TlsProbe>,
    /// Without TLS: HTTP/2 by prior knowledge, as the pool's endpoints speak no other.
    pub http2: bool,
    /// The questions, each with its path; never empty.
    pub checks: Vec<(Check, Arc<str>)>,
    /// `GET`, `HEAD` or `OPTIONS`.
    pub method: Arc<str>,
    /// The `Host` to send; `None`: the server name, or the endpoint's address.
    pub host: Option<Arc<str>>,
    /// File with a bearer token, read anew for each connection.
    pub token_file: Option<PathBuf>,
    /// Statuses that count as good, as ranges.
    pub statuses: Vec<(u16, u16)>,
    /// What the body of an answer with a good status must match; `None`: nobody looks at it.
    pub body: Option<BodyPattern>,
}

/// A call to `grpc.health.v1.Health/Check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcProbe {
    /// `None`: HTTP/2 by prior knowledge.
    pub tls: Option<TlsProbe>,
    /// The service that it asks about; empty: the endpoint as a whole.
    pub service: Arc<str>,
    /// The `:authority` to send; `None`: the server name, or the endpoint's address.
    pub host: Option<Arc<str>>,
    /// File with a bearer token, read anew for each connection.
    pub token_file: Option<PathBuf>,
}

/// A pattern for the body of an answer. Matching takes time linear in the body's length.
#[derive(Clone, Debug)]
pub struct BodyPattern(regex::bytes::Regex);

impl BodyPattern {
    /// Bytes of a body that are looked at, from its beginning.
    pub const LOOKED_AT: usize = 64 * 1024;

    pub(crate) fn new(pattern: regex::bytes::Regex) -> Self {
        Self(pattern)
    }

    /// Whether a body (or its first [`Self::LOOKED_AT`] bytes) matches.
    #[must_use]
    pub fn matches(&self, body: &[u8]) -> bool {
        self.0.is_match(&body[..body.len().min(Self::LOOKED_AT)])
    }
}

/// The same text is the same pattern.
impl PartialEq for BodyPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for BodyPattern {}
