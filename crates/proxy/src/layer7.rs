//! The way up. A listener whose plan asks for more than TCP has a [`Service`]: it gets each of its
//! connections after the preamble, when the client may come in, and what it needs of the core to
//! serve them: pools, leases, dials, the log. The core knows nothing of what it does.

mod count;
mod splice;

pub use crate::any_certificate::AnyCertificate;
pub use crate::hostname::hostname;
pub use crate::observe::metrics::{Compressed, Handshake, Limited, Login};
pub use crate::observe::{End, Exchange, ExchangeId, ExchangeTimes, Part, Refusal, Step, Who};
pub use crate::pool::{Endpoint, Lease, OwnMap, Pool, PoolId, QueueTime};
pub use crate::relay::{Filled, poll_write_more, read_in_doubt};
pub use crate::turn::{come_round, give_way, is_long, now, others_first, poll_room, turn};
pub use count::IdleGauge;
pub use eclusa_sys::transfer::{known, poll_receive, poll_send, poll_send_pieces};
pub use splice::Splice;

use crate::engine::{Guards, Worker};
use crate::found::{self, Kind};
use crate::listener::{Address, Listener};
use crate::observe::{Opening, Record};
use crate::pool::{Call, Dialled, Patience, Wanted, dial};
use crate::registry::{Entry, Order, SettingUp, Tick};
use crate::session::{end_of, finish, proxy_header};
use eclusa_config::plan::Plan;
use eclusa_policy::condition::{Counted, Request, World};
use eclusa_policy::replay;
use eclusa_policy::time::Time;
use eclusa_policy::verdict::Evidence;
use eclusa_sys::socket::{Keepalive, set_keepalive};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

/// The services of a plan, by the names of their listeners.
pub type Services = HashMap<Arc<str>, Arc<dyn Service>>;

/// Why a plan cannot be served without a [`Layer`]: one of its listeners asks for more than TCP.
#[must_use]
pub fn unserved(plan: &Plan) -> Option<String> {
    let listener = plan.listeners.iter().find(|it| it.tls.is_some() || it.http.is_some())?;
    let name = &listener.name;
    Some(format!("the listener `{name}` has `tls` or `http`, and this program carries TCP alone"))
}

/// Makes services.
pub trait Layer: fmt::Debug + Send + Sync {
    /// Prepares the services of all listeners of a plan that ask for one: at the start, and in every
    /// reload before anything has changed.
    ///
    /// # Errors
    /// What cannot be had, in words: the file, the mistake and the remedy.
    fn prepare(&self, plan: &Plan) -> Result<Services, String>;

    /// Looks whether the services of a plan can be made, and makes none: what is in force does not
    /// notice.
    ///
    /// # Errors
    /// As [`Layer::prepare`].
    fn check(&self, plan: &Plan) -> Result<(), String>;

    /// Looks at the certificates that listeners of a plan would show, for `doctor`: as this process may
    /// read them, and without keeping any.
    fn examine(&self, plan: &Plan) -> Vec<Examined> {
        let _ = plan;
        Vec::new()
    }

    /// Looks after what all services share; called some times a second, on no worker. `tell` writes an event
    /// of a kind to the log.
    fn look_after(&self, tell: &dyn Fn(&'static str, String));
}

/// A certificate of a listener, as a look at it has found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The name of the listener.
    pub listener: Arc<str>,
    /// The file of its chain, or the path that the configuration names.
    pub file: PathBuf,
    /// What was found.
    pub look: Look,
}

impl Examined {
    /// Whether it cannot be used.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        matches!(self.look, Look::Wrong { .. })
    }
}

/// What a look at a certificate has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It cannot be used.
    Wrong {
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// It can be used, and something is odd.
    Odd {
        /// What is odd.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// It can be used, as far as its dates allow.
    Read {
        /// The names that it holds for, a few of them.
        names: String,
        /// It is not valid before.
        not_before: SystemTime,
        /// It is not valid after.
        not_after: SystemTime,
        /// Who has issued it; `None`: itself.
        issuer: Option<String>,
        /// Certificates in its file.
        links: usize,
    },
}

/// Opens a file that the configuration names; where this process may not, through the keeper.
///
/// # Errors
/// What the system says, or the keeper's reason.
pub fn open(path: &Path) -> io::Result<File> {
    crate::files::open(path)
}

/// What is at a path that the configuration names; where this process may not look, through the
/// keeper.
///
/// # Errors
/// As [`open`]; `NotFound` where nothing is.
pub fn look(path: &Path) -> io::Result<Kind> {
    crate::files::look(path)
}

/// What a directory of certificates holds that the configuration names, and what the directories in
/// it hold; where this process may not look, through the keeper.
///
/// # Errors
/// As [`open`]; `InvalidData` for more than [`found::ENTRIES_MAX`] entries.
pub fn list(directory: &Path) -> io::Result<Vec<found::Entry>> {
    crate::files::list(directory)
}

/// Makes the end of a connection a reset, so that its peer does not take it for one in good order.
pub fn reset_on_close(stream: &TcpStream) {
    eclusa_sys::socket::reset_on_close(stream.as_fd());
}

/// Bytes that were written to a connection and that its peer has not acknowledged.
#[must_use]
pub fn untaken(stream: &TcpStream) -> usize {
    // Of a connection that is gone nothing is left to wait for.
    eclusa_sys::socket::send_queue(stream.as_fd()).unwrap_or(0)
}

/// How many bytes a connection takes now without waiting for its peer, or nearly so many.
#[must_use]
pub fn room(stream: &TcpStream) -> usize {
    eclusa_sys::socket::send_room(stream.as_fd()).unwrap_or(0)
}

/// Serves the connections of a listener.
pub trait Service: fmt::Debug + Send + Sync {
    /// Whether a connection with this server name is carried unopened, as by a listener without a
    /// service.
    fn passes(&self, server_name: Option<&str>) -> bool;

    /// The endpoint that a cookie of the request names, in the pool that routes know by `index`.
    fn sticks(&self, index: usize, pool: &Pool, request: &dyn Request) -> Option<SocketAddr> {
        let _ = (index, pool, request);
        None
    }

    /// What the counter at this index of the plan has of a client.
    fn counted(&self, counter: usize, client: IpAddr, now: Time) -> Counted {
        let _ = (counter, client, now);
        Counted::default()
    }

    /// Serves a connection to its end, on the thread of its worker.
    fn serve(self: Arc<Self>, arrival: Arrival) -> Pin<Box<dyn Future<Output = ()>>>;

    /// The certificates that it shows its clients, each once.
    fn certificates(&self) -> Vec<ShownCertificate> {
        Vec::new()
    }

    /// Looks after what it was made of, such as files that change; called some times a second while
    /// it is in force, on no worker. `tell` writes an event of a kind to the log.
    fn look_after(&self, tell: &dyn Fn(&'static str, String)) {
        let _ = tell;
    }

    /// For those who know which it is.
    fn as_any(&self) -> &dyn Any;
}

/// A certificate that a service shows its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCertificate {
    /// The first of its names.
    pub name: String,
    /// The file of its chain.
    pub file: PathBuf,
    /// The end of its life.
    pub not_after: SystemTime,
}

/// A connection that has arrived: its preamble is read, its client may come in.
#[derive(Debug)]
pub struct Arrival {
    /// The client's side.
    pub client: TcpStream,
    /// What was read of it after the PROXY header: nothing, or a ClientHello.
    pub first: Vec<u8>,
    /// Everything else.
    pub connection: Connection,
}

/// The core's side of a connection; dropped = counted as gone.
pub struct Connection {
    worker: Rc<Worker>,
    address: Arc<Address>,
    opening: Box<Opening>,
    entry: Entry,
    queued: QueueTime,
    _guards: Guards,
}

/// What is in force at the connection's address at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot(Arc<Listener>);

impl Snapshot {
    /// The service; `None` where a reload has made a listener of it that carries TCP.
    #[must_use]
    pub fn service(&self) -> Option<&Arc<dyn Service>> {
        self.0.service()
    }

    /// How its pools stand, for connections that nobody looks into.
    #[must_use]
    pub fn world(&self) -> &dyn World {
        &*self.0
    }

    /// The pool of this index in the plan that made the service.
    #[must_use]
    pub fn pool(&self, index: usize) -> Option<Arc<Pool>> {
        self.0.pool(index)
    }
}

/// An endpoint that was reached.
#[derive(Debug)]
pub struct Reached {
    /// The connection to it.
    pub stream: TcpStream,
    /// The right to use it.
    pub lease: Lease,
    /// Endpoints that were dialled for it.
    pub tries: u32,
}

/// Why no endpoint was reached.
#[derive(Debug)]
pub struct Unreached {
    /// The end in the words of the log.
    pub end: End,
    /// The last endpoint that was tried.
    pub endpoint: Option<Arc<Endpoint>>,
    /// Endpoints that were dialled.
    pub tries: u32,
}

/// Which endpoint is wanted, beside what the balance of the pool says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// What decides instead of the client's address where an endpoint is chosen by a hash.
    pub key: Option<u64>,
    /// This one, as long as it may take traffic and has not just failed.
    pub at: Option<SocketAddr>,
}

/// One stream of a connection that has several; dropped = counted as gone.
#[derive(Debug)]
pub struct StreamPermit(#[expect(dead_code, reason = "it is held")] OwnedSemaphorePermit);

/// What a connection is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// End now: the operator closes it.
    Close,
    /// End now: the service stops.
    Stop,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("opening", &self.opening).finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn new(
        worker: Rc<Worker>,
        address: Arc<Address>,
        opening: Box<Opening>,
        entry: Entry,
        guards: Guards,
    ) -> Self {
        let queued = QueueTime::default();
        Self { worker, address, opening, entry, queued, _guards: guards }
    }

    /// The client, as the PROXY header names it where one came.
    #[must_use]
    pub fn client(&self) -> SocketAddr {
        self.opening.client
    }

    /// Who really connected, where a PROXY header named another.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.opening.peer.as_deref().copied()
    }

    /// The address that the client connected to, as the PROXY header names it where one came.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.opening.local
    }

    /// The address of the listener.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        self.address.address()
    }

    /// The listener's name.
    #[must_use]
    pub fn listener(&self) -> &Arc<str> {
        &self.opening.listener
    }

    /// The server name of the ClientHello, in lower case.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.opening.server_name.as_deref()
    }

    /// The connection's id, as the log has it.
    #[must_use]
    pub fn id(&self) -> String {
        self.opening.id.to_string()
    }

    /// The id of its exchange of this number, from 1.
    #[must_use]
    pub fn exchange_id(&self, number: u64) -> ExchangeId {
        ExchangeId { session: self.opening.id, number }
    }

    /// When it was accepted.
    #[must_use]
    pub fn accepted(&self) -> Instant {
        self.opening.accepted
    }

    /// The number of the worker that carries it.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker.index()
    }

    /// Something that the connections of this worker share, made by the first that asks.
    pub fn shared<T: Default + 'static>(&self) -> Rc<T> {
        self.worker.extension()
    }

    /// What is in force now: a reload may have brought something else.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.address.listener())
    }

    /// How long a connection that carries bytes both ways may rest; `None`: as long as it wants.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.address.listener().limits().idle
    }

    /// The right to serve one more stream beside another on this connection: it may need descriptors as a
    /// session does. `None`: `sessions_max` has no room for it.
    #[must_use]
    pub fn permit_stream(&self) -> Option<StreamPermit> {
        self.worker.permit_stream().map(StreamPermit)
    }

    /// Has the kernel look whether an endpoint is still there, on a connection to it that lasts.
    pub fn keep_alive(&self, stream: &TcpStream) {
        let limits = self.address.listener();
        let dead_peer = &limits.limits().dead_peer;
        let keepalive = Keepalive {
            idle: dead_peer.keepalive_idle,
            interval: dead_peer.keepalive_interval,
            count: dead_peer.keepalive_count,
        };
        // Fails only on a connection that is gone, which whoever uses it hears of.
        let _ = set_keepalive(stream.as_fd(), keepalive);
    }

    /// How long the other direction may rest once one is ended.
    #[must_use]
    pub fn half_closed_timeout(&self) -> Duration {
        self.address.listener().limits().half_closed
    }

    /// Whether the service stops, or its address is gone: what is under way is finished, and
    /// nothing new begun.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.worker.is_draining() || self.address.is_gone()
    }

    /// What it is told to do, if anything; else `context` is woken when it is.
    pub fn poll_told(&self, context: &mut Context<'_>) -> Option<Told> {
        let watch = self.entry.watch();
        watch.wake_by(context.waker());
        match watch.take_order() {
            Order::Close => Some(Told::Close),
            Order::Stop => Some(Told::Stop),
            Order::Say => {
                self.say();
                None
            }
            Order::None | Order::Check | Order::MoveOn | Order::Reset(_) => None,
        }
    }

    /// Wakes the connection when it has rested for so long, at most a second later; no timer is set for
    /// it. `None`: it rests no more.
    pub fn wake_after(&self, rest: Option<Duration>) {
        self.entry.touch();
        // A tick may have begun before the rest did.
        self.entry.set_patience(rest.map(|rest| rest + Tick::LENGTH));
    }

    /// Notes that bytes moved, and how many were delivered so far, up and down.
    pub fn carried(&self, bytes: (u64, u64)) {
        self.entry.carried(bytes);
    }

    /// A lease on an endpoint of `pool` that is not in `excluded`; `None`: none can take traffic now,
    /// or each is at its limit.
    #[must_use]
    pub fn lease(&self, pool: &Pool, excluded: &[SocketAddr], wish: Wish) -> Option<Lease> {
        let (source, now, Wish { key, at }) = (self.source(), self.worker.time(), wish);
        let wanted = Wanted { source, excluded, now, any: false, key, at };
        self.worker.pickers().pick(pool, wanted).ok()
    }

    /// Connects to an endpoint of `pool`, within its budget; `first` is tried before all others, `key`
    /// is that of a [`Wish`]. `client`: who may leave meanwhile, where that is for this call to see;
    /// `queued`: how long an exchange has waited for endpoints at their limit, where the connection has
    /// several.
    ///
    /// # Errors
    /// [`Unreached`]
    pub async fn reach(
        &self,
        pool: &Pool,
        (client, queued): (Option<&TcpStream>, Option<&QueueTime>),
        excluded: Vec<SocketAddr>,
        first: Option<Lease>,
        key: Option<u64>,
    ) -> Result<Reached, Unreached> {
        let time = queued.unwrap_or(&self.queued);
        let patience = Patience { client, may_half_close: true, time };
        let patience = Some(patience);
        let call = Call { source: self.source(), key, excluded, first, patience };
        match dial(&self.worker, pool, call).await {
            Ok(Dialled { stream, lease, tries }) => Ok(Reached { stream, lease, tries }),
            Err(failure) => Err(Unreached {
                end: end_of(&failure, pool),
                endpoint: failure.endpoint,
                tries: failure.tries,
            }),
        }
    }

    /// The PROXY header that endpoints of `pool` get first; empty where they get none.
    #[must_use]
    pub fn proxy_header(&self, pool: &Pool) -> Vec<u8> {
        pool.plan().send_proxy.map_or_else(Vec::new, |how| proxy_header(&self.opening, how))
    }

    /// What moves large bodies between sockets.
    #[must_use]
    pub fn splice(&self) -> Splice {
        Splice::new(Rc::clone(self.worker.buffers()))
    }

    /// Notes that a byte came from the endpoint.
    pub fn heard(&self, lease: &Lease) {
        let registry = self.worker.registry();
        lease.heard(registry.tick_time(), || self.worker.time(), false);
    }

    /// Tells the probes what traffic saw of an endpoint.
    pub fn saw(&self, pool: &Pool, endpoint: &Endpoint, evidence: Evidence) {
        self.worker.signal(pool, endpoint, evidence);
    }

    /// The endpoint has failed an exchange: this worker would rather have another for a moment.
    pub fn put_aside(&self, pool: &Pool, endpoint: &Endpoint) {
        self.worker.pickers().put_aside(pool, endpoint, self.worker.time());
    }

    /// Counts a second try of a request, or a rival of its first (`hedge`): begun, or why not.
    pub fn second_try(&self, pool: &Pool, hedge: bool, begun: Result<(), replay::Refusal>) {
        pool.cells().second_try(self.worker.index(), hedge, begun);
    }

    /// Counts a hedged request that was answered.
    pub fn hedge_won(&self, pool: &Pool, by_second: bool) {
        pool.cells().hedge_won(self.worker.index(), by_second);
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.worker.metrics().workers()
    }

    /// The time, for everything in `policy`.
    #[must_use]
    pub fn time(&self) -> Time {
        self.worker.time()
    }

    /// Tells that this host lacks something; at most once a second.
    pub fn local_trouble(&self, error: &std::io::Error) {
        self.worker.local_trouble(error);
    }

    /// Whether anybody reads records.
    #[must_use]
    pub fn wants_records(&self) -> bool {
        self.worker.logger().wants_sessions()
    }

    /// The connection is over. Its record is written unless its exchanges have told all.
    pub fn finish(mut self, end: End, bytes: (u64, u64), told: bool) {
        self.opening.queue = self.queued.spent();
        let mut record = Record::of(self.opening);
        (record.bytes_up, record.bytes_down) = bytes;
        finish(&self.worker, record, end, !told);
    }

    /// Tells of itself, for whoever lists sessions.
    fn say(&self) {
        let Opening { id, client, accepted, .. } = *self.opening;
        let (listener, peer) = (self.opening.listener.clone(), self.peer().unwrap_or(client));
        let watch = Rc::clone(self.entry.watch());
        self.worker.registry().say(SettingUp { id, listener, peer, accepted, watch });
    }

    fn source(&self) -> IpAddr {
        self.opening.client.ip()
    }
}
