//! The story of one TCP connection: accept → preamble → access → route → pool → lease → dial →
//! relay → one finish record.

mod carry;

use crate::crew::{self, Crew};
use crate::engine::{Accepted, Worker};
use crate::layer7::{Arrival, Connection, Service};
use crate::listener::Listener;
use crate::observe::{End, Hello, Opening, Record, Step, Who};
use crate::pool::{
    Call, DialFailure, Dialled, FailureKind, Lease, Patience, Pool, QueueTime, dial,
};
use crate::preamble::Preamble;
use crate::registry::{Entry, Order, SettingUp, Watch};
use crate::relay::{Relay, reason_of};
use crate::replay::{Flight, Runner, first_byte};
use crate::turn::Turns;
use carry::{Carried, Carry};
use eclusa_config::plan::{Peek, SendProxy};
use eclusa_policy::access::Decision;
use eclusa_policy::condition::Facts;
use eclusa_policy::limits::ClientNetwork;
use eclusa_policy::replay;
use eclusa_sys::socket::{local_address, named_address, reset_on_close};
use eclusa_wire::proxy_protocol;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

thread_local! {
    static CARRYING: Crew<Box<Scene>> = const { RefCell::new(Vec::new()) };
    static SERVING: Crew<Box<New>> = const { RefCell::new(Vec::new()) };
}

/// Begins the story of one connection.
pub(crate) fn start(worker: &Rc<Worker>, accepted: Accepted) {
    let worker = worker.clone();
    match accepted.address.listener().service_at_once(accepted.peer.ip()) {
        Some(service) => {
            let new = Box::new(New { worker, accepted, service });
            crew::spawn(&SERVING, |new| Turns(new.network(), Opened::New(Some(new))), new);
        }
        None => crew::spawn(&CARRYING, Carry::begin, Box::new(Scene { worker, accepted })),
    }
}

/// A connection that needs no preamble, and so no task beside that of its service. It is handed over in
/// that task: what goes wrong with it must not end whoever accepts.
enum Opened {
    New(Option<Box<New>>),
    Serving(Serving),
}

struct New {
    worker: Rc<Worker>,
    accepted: Accepted,
    service: Arc<dyn Service>,
}

impl New {
    fn network(&self) -> ClientNetwork {
        self.accepted.peer.ip().into()
    }
}

type Serving = Pin<Box<dyn Future<Output = ()>>>;

impl Future for Opened {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Self::New(new) = &mut *self {
            let Some(serving) = new.take().and_then(|new| open(*new)) else {
                return Poll::Ready(());
            };
            *self = Self::Serving(serving);
        }
        let Self::Serving(serving) = &mut *self else { return Poll::Ready(()) };
        serving.as_mut().poll(context)
    }
}

/// Hands a connection that needs no preamble over to the service of its listener.
fn open(new: New) -> Option<Serving> {
    let New { worker, accepted, service } = new;
    let Accepted { socket, peer, address, at, guards } = accepted;
    let client = match TcpStream::from_std(socket.into()) {
        Ok(client) => client,
        Err(error) => {
            worker.local_trouble(&error);
            return None;
        }
    };
    let (entry, listener) = (worker.registry().enter(), address.listener());
    let mut session = Session::begin(&worker, &listener, &client, peer, at);
    if let Err(end) = session.access() {
        session.refuse(client, end);
        return None;
    }
    session.opening.preamble = at.elapsed();
    session.ask_for_named(&client);
    let connection = Connection::new(Rc::clone(&worker), address, session.opening, entry, guards);
    Some(service.serve(Arrival { client, first: Vec::new(), connection }))
}

/// A connection that is to be set up. Boxed on its way to its task: that keeps the place for one.
struct Scene {
    worker: Rc<Worker>,
    accepted: Accepted,
}

/// Sets a session up until it relays; none where it ends before, or where a service takes it.
async fn set_up(Scene { worker, accepted }: Scene) -> Option<Carried> {
    let Accepted { socket, peer, address, at, guards } = accepted;
    let mut client = match TcpStream::from_std(socket.into()) {
        Ok(client) => client,
        Err(error) => {
            worker.local_trouble(&error);
            return None;
        }
    };
    let (entry, listener) = (worker.registry().enter(), address.listener());
    let mut session = Session::begin(&worker, &listener, &client, peer, at);
    let id = session.opening.id;
    let say = || {
        let (listener, watch) = (listener.plan().name.clone(), Rc::clone(entry.watch()));
        worker.registry().say(SettingUp { id, listener, peer, accepted: at, watch });
    };
    match until_stopped(entry.watch(), say, session.set_up(&mut client)).await {
        Ok(Ok(SetUp::Established(established))) => {
            let relay = session.into_relay(client, established, entry);
            return Some(Carried { worker, relay, guards });
        }
        Ok(Ok(SetUp::Opened(service, first))) => {
            let opening = session.opening;
            let network = opening.client.ip().into();
            let connection = Connection::new(worker.clone(), address, opening, entry, guards);
            worker.spawn(Turns(network, service.serve(Arrival { client, first, connection })));
        }
        Ok(Err(end)) => session.refuse(client, end),
        Err(order) => {
            let closed = order == Order::Close;
            let why = if closed { "closed by the operator" } else { "the service stops" };
            let step = session.step();
            session.refuse(client, End::abort(Who::Operator, step, why));
        }
    }
    None
}

/// What `future` yields, unless the operator ends the session first. One who asks what there is has it
/// `say` that it is being set up.
async fn until_stopped<T>(
    watch: &Watch,
    say: impl Fn(),
    future: impl Future<Output = T>,
) -> Result<T, Order> {
    let mut future = pin!(future);
    poll_fn(|context| {
        watch.wake_by(context.waker());
        match watch.take_order() {
            order @ (Order::Stop | Order::Close) => return Poll::Ready(Err(order)),
            Order::Say => say(),
            _ => {}
        }
        future.as_mut().poll(context).map(Ok)
    })
    .await
}

/// Counts the end, and writes the finish record if it is `wanted`.
pub(crate) fn finish(worker: &Worker, mut record: Record, end: End, wanted: bool) {
    record.total = record.accepted.elapsed();
    worker.metrics().ended(worker.index(), &record, &end);
    if wanted && worker.logger().wants_sessions() {
        record.end = Some(end);
        worker.logger().session(&record);
    }
}

/// A session until it relays.
struct Session<'a> {
    worker: &'a Worker,
    listener: &'a Listener,
    opening: Box<Opening>,
    /// The step that it has reached.
    step: Step,
    /// The client has said exactly one ClientHello, without early data.
    replayable: bool,
    /// What it has waited for endpoints at their limit.
    queued: QueueTime,
}

/// What setting a session up yields.
enum SetUp {
    Established(Established),
    /// Somebody above serves it, and goes on with these first bytes.
    Opened(Arc<dyn Service>, Vec<u8>),
}

/// An endpoint, and what it has not taken yet of the first bytes.
struct Established {
    endpoint: TcpStream,
    lease: Lease,
    unsent: Vec<u8>,
    /// Bytes of the client that the endpoint has taken.
    sent: u64,
}

impl<'a> Session<'a> {
    fn begin(
        worker: &'a Worker,
        listener: &'a Listener,
        client: &TcpStream,
        peer: std::net::SocketAddr,
        accepted: Instant,
    ) -> Self {
        let mut local = listener.address();
        if local.ip().is_unspecified() {
            local = local_address(client.as_fd()).unwrap_or(local);
        }
        let opening = Opening {
            id: worker.next_id(),
            listener: listener.plan().name.clone(),
            cells: listener.cells(),
            client: peer,
            peer: None,
            local,
            hello: Hello::Unasked,
            server_name: None,
            alpn: None,
            pool: None,
            endpoint: None,
            tries: 0,
            replayed: false,
            accepted,
            preamble: Duration::ZERO,
            queue: Duration::ZERO,
            dial: Duration::ZERO,
        };
        opening.cells.accepted(worker.index());
        Self {
            worker,
            listener,
            opening: Box::new(opening),
            step: Step::Preamble,
            replayable: false,
            queued: QueueTime::default(),
        }
    }

    fn step(&self) -> Step {
        if self.queued.is_running() { Step::Queue } else { self.step }
    }

    /// Everything before the relay.
    async fn set_up(&mut self, client: &mut TcpStream) -> Result<SetUp, End> {
        let first_flight = self.preamble(client).await?;
        if let Some(service) = self.listener.service()
            && !service.passes(self.opening.server_name.as_deref())
        {
            self.ask_for_named(client);
            return Ok(SetUp::Opened(service.clone(), first_flight));
        }
        let pool = self.route()?;
        let dialled = self.dial(&pool, client, !first_flight.is_empty()).await?;
        let may_replay = self.may_replay(&pool, &first_flight);
        if pool.plan().send_proxy.is_some() {
            self.ask_for_named(client);
        }
        let hello = if may_replay { first_flight.clone() } else { Vec::new() };
        let established = self.first_bytes(&pool, dialled, first_flight);
        if may_replay && established.unsent.is_empty() {
            // Boxed: sessions of pools without replay must not carry its state around.
            let answered = Box::pin(self.first_byte(&pool, client, established, &hello));
            return answered.await.map(SetUp::Established);
        }
        Ok(SetUp::Established(established))
    }

    /// Reads the PROXY header and the ClientHello, as far as the listener asks for them. The
    /// client is checked against the access list as soon as its address is known.
    async fn preamble(&mut self, client: &mut TcpStream) -> Result<Vec<u8>, End> {
        let plan = self.listener.plan();
        let began = self.opening.accepted;
        let peer = self.opening.client;
        let mut preamble =
            Preamble::new(client, self.worker.buffers(), began.into(), plan.preamble_timeout);
        if self.listener.expects_proxy_header(peer.ip())
            && let Some(named) = preamble.proxy_header().await?
        {
            self.opening.peer = Some(Box::new(peer));
            self.opening.client = named.source;
            self.opening.local = named.destination;
        }
        self.access()?;
        if plan.peek == Peek::Tls {
            let greeting = preamble.client_hello().await?;
            self.opening.hello = greeting.hello;
            self.opening.server_name = greeting.server_name;
            self.opening.alpn = greeting.alpn;
            self.replayable = greeting.replayable;
        }
        self.opening.preamble = began.elapsed();
        Ok(preamble.into_first_flight())
    }

    /// Where endpoints are told of the connection: by the address that the client named, if this host has put
    /// ours in its place (`canary`).
    fn ask_for_named(&mut self, client: &TcpStream) {
        // A PROXY header has named it.
        if self.opening.peer.is_none()
            && let Ok(named) = named_address(client.as_fd(), self.opening.local)
        {
            self.opening.local = named;
        }
    }

    fn access(&self) -> Result<(), End> {
        match self.listener.plan().access.decide(self.opening.client.ip()) {
            Decision::Allowed(_) => Ok(()),
            Decision::Denied(by) => {
                let reason = match by {
                    Some(network) => format!("denied: {network}"),
                    None => "denied: no `allow` network holds the client".to_owned(),
                };
                Err(End::abort(Who::Proxy, Step::Access, reason))
            }
        }
    }

    fn route(&mut self) -> Result<Arc<Pool>, End> {
        let facts = Facts {
            source: self.opening.client.ip(),
            // The port that was connected to, whatever a PROXY header says of the outer world.
            destination: self.listener.address(),
            server_name: self.opening.server_name.as_deref(),
            client_certificate: None,
            request: None,
            world: self.listener,
        };
        let target = self.listener.routes().choose(&facts, &mut ());
        let index = target.map(|target| target.pool(fastrand::u64(..)));
        let Some(pool) = index.and_then(|index| self.listener.pool(index)) else {
            let reason = match facts.server_name {
                Some(name) => format!("no route takes server name {name}"),
                None => "no route takes a connection without a server name".to_owned(),
            };
            return Err(End::abort(Who::Proxy, Step::Route, reason));
        };
        self.opening.pool = Some(pool.clone());
        Ok(pool)
    }

    async fn dial(
        &mut self,
        pool: &Pool,
        client: &TcpStream,
        client_spoke: bool,
    ) -> Result<Dialled, End> {
        self.step = Step::Dial;
        // Now: the preamble has just ended.
        let began = self.opening.accepted + self.opening.preamble;
        let may_half_close = client_spoke && self.opening.hello != Hello::Complete;
        let call = Call {
            source: self.opening.client.ip(),
            key: None,
            excluded: Vec::new(),
            first: None,
            patience: Some(Patience { client: Some(client), may_half_close, time: &self.queued }),
        };
        let dialled = dial(self.worker, pool, call).await;
        self.opening.dial = began.elapsed().saturating_sub(self.queued.spent());
        let (tries, endpoint) = match &dialled {
            Ok(dialled) => (dialled.tries, Some(dialled.lease.endpoint().clone())),
            Err(failure) => (failure.tries, failure.endpoint.clone()),
        };
        self.opening.tries = tries;
        self.opening.endpoint = endpoint;
        dialled.map_err(|failure| end_of(&failure, pool))
    }

    /// Whether this first flight can be sent to a second endpoint.
    fn may_replay(&self, pool: &Pool, first_flight: &[u8]) -> bool {
        pool.plan().replay.is_some()
            && self.replayable
            && first_flight.len() <= replay::LONGEST
            && self.opening.tries < pool.plan().dial.tries
    }

    /// Waits for the endpoint's first byte, and lets another one try if none comes.
    async fn first_byte(
        &mut self,
        pool: &Pool,
        client: &TcpStream,
        established: Established,
        hello: &[u8],
    ) -> Result<Established, End> {
        let Established { endpoint, lease, unsent, .. } = established;
        let header =
            || pool.plan().send_proxy.map_or_else(Vec::new, |how| proxy_header(&self.opening, how));
        let flight = Flight {
            worker: self.worker,
            pool,
            client,
            source: self.opening.client.ip(),
            hello,
            header: &header,
            tries_left: pool.plan().dial.tries - self.opening.tries,
            // A whole ClientHello: its FIN is no half-close.
            patience: Patience { client: Some(client), may_half_close: false, time: &self.queued },
        };
        let runner = Runner { stream: endpoint, lease, unsent, sent_at: Instant::now().into() };
        let won = first_byte(&flight, runner).await?;
        let Runner { stream, lease, unsent, .. } = won.runner;
        self.opening.tries += won.tries;
        self.opening.replayed = won.replayed;
        self.opening.endpoint = Some(lease.endpoint().clone());
        let sent = hello.len().saturating_sub(unsent.len()) as u64;
        Ok(Established { endpoint: stream, lease, unsent, sent })
    }

    /// Sends the PROXY header and what the client said so far, in one write.
    fn first_bytes(&self, pool: &Pool, dialled: Dialled, first_flight: Vec<u8>) -> Established {
        let Dialled { stream: endpoint, lease, .. } = dialled;
        let from_client = first_flight.len();
        let mut unsent = first_flight;
        if let Some(send_proxy) = pool.plan().send_proxy {
            unsent.splice(0..0, proxy_header(&self.opening, send_proxy));
        }
        if !unsent.is_empty()
            && let Ok(written) = endpoint.try_write(&unsent)
        {
            unsent.drain(..written);
        }
        let sent = from_client.saturating_sub(unsent.len()) as u64;
        Established { endpoint, lease, unsent, sent }
    }

    fn into_relay(mut self, client: TcpStream, established: Established, entry: Entry) -> Relay {
        self.opening.queue = self.queued.spent();
        let Established { endpoint, lease, unsent, sent } = established;
        let (limits, buffers) = (self.listener.limits(), self.worker.buffers().clone());
        entry.watch().opening().replace(Some(self.opening));
        Relay::new(client, endpoint, (unsent, sent), limits, buffers, (entry, lease))
    }

    /// Ends a session that never relayed. A client that no endpoint can serve gets a reset, so
    /// that it tries elsewhere at once; the others a plain close.
    fn refuse(mut self, client: TcpStream, end: End) {
        self.opening.queue = self.queued.spent();
        if matches!(end.step, Step::Queue | Step::Dial) || end.who == Who::Operator {
            reset_on_close(client.as_fd());
        }
        drop(client);
        finish(self.worker, Record::of(self.opening), end, true);
    }
}

/// The PROXY header that tells the endpoint who the client is.
pub(crate) fn proxy_header(opening: &Opening, send_proxy: SendProxy) -> Vec<u8> {
    let mut header = Vec::with_capacity(128);
    if send_proxy.version == 1 {
        proxy_protocol::encode_v1(&mut header, opening.client, opening.local);
        return header;
    }
    let tlvs = send_proxy.tlvs;
    let id = opening.id.to_string();
    let fields = proxy_protocol::V2 {
        source: opening.client,
        destination: opening.local,
        alpn: opening.alpn.as_deref().filter(|_| tlvs.alpn),
        authority: opening.server_name.as_deref().filter(|_| tlvs.authority),
        unique_id: Some(id.as_bytes()).filter(|_| tlvs.unique_id),
        crc32c: tlvs.crc32c,
        align: tlvs.align,
    };
    proxy_protocol::encode_v2(&mut header, &fields);
    header
}

/// How a session ends that no endpoint took.
pub(crate) fn end_of(failure: &DialFailure, pool: &Pool) -> End {
    match &failure.kind {
        FailureKind::NoEndpoint => {
            let reason = format!("no endpoint of pool {} can take a session", pool.name());
            End::abort(Who::Endpoint, Step::Dial, reason)
        }
        FailureKind::TimedOut => {
            let reason = format!("no endpoint answered within {:?}", pool.plan().dial.timeout);
            End::timeout(Who::Endpoint, Step::Dial, reason)
        }
        FailureKind::QueueFull => {
            let (name, length) = (&pool.name(), pool.plan().queue.length);
            let reason = match length {
                0 => format!("every endpoint of pool {name} is at its limit"),
                _ => format!("the queue of pool {name} is full ({length})"),
            };
            End::abort(Who::Proxy, Step::Queue, reason)
        }
        FailureKind::QueuedTooLong => {
            let limit = pool.plan().queue.timeout;
            let reason = format!("no endpoint had a place for it within {limit:?}");
            End::timeout(Who::Proxy, Step::Queue, reason)
        }
        FailureKind::ClientLeft => {
            End::abort(Who::Client, Step::Queue, "left while it waited for a place")
        }
        FailureKind::Failed(error) => End::abort(Who::Endpoint, Step::Dial, reason_of(error)),
        FailureKind::Local(error) => End::shortage(Step::Dial, reason_of(error)),
    }
}
