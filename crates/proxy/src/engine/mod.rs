//! The engine: starts the workers, the probes and the log, and stops them.
//!
//! ```text
//! start: log → descriptors → locks and listeners → pools → probes, resolver → workers → ready
//! stop:  listeners close → sessions end by themselves → deadline: the rest is reset → log closes
//! ```

mod worker;

pub(crate) use worker::{Accepted, Guards, Order, Worker, reactor};

use crate::keeper::{InstanceError, Sockets, Wanted};
use crate::listener::Listener;
use crate::observe::View;
use crate::observe::http;
use crate::observe::metrics::{Heartbeats, Metrics};
use crate::observe::{Event, Live, Logger, Writer};
use crate::pool::Pool;
use crate::relay::PIPES;
use crate::signal::{COMMANDS, Command, SIGNALS, Signal};
use crate::{control, probe, resolve};
use eclusa_config::plan::{Plan, Program};
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{Evidence, Key, Tier};
use eclusa_sys::limits::raise_descriptors;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, watch};

/// Descriptors that are nobody's session: logs, probes, rival dials, the reactors'.
const RESERVED: u64 = 256;
/// Descriptors of a worker beside its listeners': reactor, wake-ups.
const RESERVED_PER_WORKER: u64 = 8;
/// How long a stop waits for the workers to close their listeners.
const CLOSING: Duration = Duration::from_secs(1);
/// How long before its deadline a stop takes no more connections, if it took any so far.
const LAST_COMERS: Duration = Duration::from_secs(5);
/// Connections that may wait to be taken by another worker.
const HANDOVER_QUEUE: usize = 1024;

/// Why an engine could not start; nothing is left running.
#[derive(Debug)]
pub enum StartError {
    /// Another instance, or another program, has the address.
    Taken(InstanceError),
    /// An address of `observe.listen` cannot be listened on.
    Observe(SocketAddr, io::Error),
    /// An address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// A CA bundle cannot be used.
    Ca(String),
    /// The log cannot be opened, or a thread not started.
    Io(&'static str, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(error) => error.fmt(f),
            Self::Observe(address, error) => {
                write!(f, "`observe.listen`: cannot listen on {address}: {error}")?;
                if error.kind() == io::ErrorKind::AddrInUse {
                    f.write_str(" (write an address that nothing else on this host has)")?;
                }
                Ok(())
            }
            Self::Listen(address, error) => {
                write!(f, "cannot listen on {address}: {error}")?;
                if error.kind() == io::ErrorKind::PermissionDenied {
                    f.write_str(" (a port below 1024 takes CAP_NET_BIND_SERVICE)")?;
                }
                Ok(())
            }
            Self::Ca(message) => f.write_str(message),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// What all threads of the engine share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Tells the runs of the program apart in session ids.
    run: u64,
    pub(crate) logger: Logger,
    permits: Arc<Semaphore>,
    sessions_max: usize,
    pub(crate) metrics: Metrics,
    /// Somebody can ask for the metrics.
    observed: bool,
    /// Of `pools`, those that a route uses.
    routed: Vec<usize>,
    pub(crate) pools: Vec<Arc<Pool>>,
    pub(crate) program: Program,
    /// Where it listens.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The listening sockets outlive this process ([`Sockets::they_stay`]).
    sockets_stay: bool,
    gauges: Box<[Gauge]>,
    /// When it was last told that this host lacks something, and that `sessions_max` is reached:
    /// each at most once a second.
    short: AtomicU32,
    full: AtomicU32,
    began: Instant,
    /// Workers that have closed their listeners.
    closed: AtomicUsize,
    signals: mpsc::Sender<Signal>,
}

impl Shared {
    /// The time, for everything in `policy`.
    pub(crate) fn time(&self) -> Time {
        self.time_of(Instant::now())
    }

    /// The same moment on the clock of `policy`.
    pub(crate) fn time_of(&self, instant: Instant) -> Time {
        Time::after_start(instant.saturating_duration_since(self.began))
    }

    /// Tells the probes' thread what traffic saw of an endpoint of the pool at `pool`. When it does
    /// not keep up the signal is dropped: traffic brings more.
    pub(crate) fn signal(&self, pool: usize, key: Key, evidence: Evidence) {
        let _ = self.signals.try_send(Signal { pool, key, evidence });
    }

    /// Writes a warning to the log.
    pub(crate) fn warn(&self, message: impl Into<String>) {
        self.logger.event(Event::new("warning", message));
    }

    /// The state at this moment.
    pub(crate) fn view(&self) -> View {
        let sessions = self.gauges.iter().map(|gauge| gauge.0.load(Ordering::Relaxed));
        let signals = self.signals.max_capacity();
        View {
            program: self.program,
            now: self.time(),
            pools: self.pools.clone(),
            routed: self.routed.clone(),
            sessions: sessions.collect(),
            permits: self.sessions_max.saturating_sub(self.permits.available_permits()),
            sessions_max: self.sessions_max,
            signals: (signals.saturating_sub(self.signals.capacity()), signals),
            log_queue: self.logger.queue(),
            log_dropped: self.logger.dropped_total(),
        }
    }

    /// Seconds since the engine began, from 1.
    fn seconds(&self) -> u32 {
        u32::try_from(self.began.elapsed().as_secs()).unwrap_or(u32::MAX).saturating_add(1)
    }
}

impl Live for Shared {
    fn sessions(&self) -> u64 {
        self.gauges.iter().map(|gauge| u64::from(gauge.0.load(Ordering::Relaxed))).sum()
    }
}

/// Sessions of one worker, those on their way to it included.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Gauge(AtomicU32);

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    orders: watch::Sender<Order>,
    workers: Vec<JoinHandle<()>>,
    helpers: Vec<JoinHandle<()>>,
    writer: Option<Writer>,
    sockets: Sockets,
    stop_deadline: Duration,
}

/// What an engine tells of itself.
#[derive(Debug)]
pub struct Status {
    /// The pools.
    pub pools: Vec<Arc<Pool>>,
    /// Sessions at this moment, by worker.
    pub sessions: Vec<u32>,
    /// Lines of the log that were lost since the start, over all its targets.
    pub log_dropped: u64,
}

impl Engine {
    /// Starts everything that the plan says, on sockets of its own; returns when connections are
    /// taken.
    ///
    /// # Errors
    /// [`StartError`]; then nothing is left running.
    pub fn start(plan: &Plan) -> Result<Self, StartError> {
        Self::start_on(plan, Sockets::own(plan.program, plan.run_directory.clone()))
    }

    /// The same on sockets that come from somewhere else.
    ///
    /// # Errors
    /// [`StartError`]; then nothing is left running.
    pub fn start_on(plan: &Plan, sockets: Sockets) -> Result<Self, StartError> {
        let (logger, writer) = Logger::start(&plan.log)
            .map_err(|error| StartError::Io("cannot open the log", error))?;
        let started = Self::start_logged(plan, logger, sockets);
        match started {
            Ok(engine) => Ok(Self { writer: Some(writer), ..engine }),
            Err(error) => {
                writer.close();
                Err(error)
            }
        }
    }

    fn start_logged(plan: &Plan, logger: Logger, source: Sockets) -> Result<Self, StartError> {
        let workers = plan.workers.unwrap_or_else(processors);
        let metrics = Metrics::new(workers, plan.program.name());
        let listeners: Vec<_> =
            plan.listeners.iter().flat_map(|l| Listener::prepare(l, &metrics)).collect();
        let sockets = bind(plan, workers, &source, &logger)?;
        let pools: Vec<_> = plan
            .pools
            .iter()
            .enumerate()
            .map(|(i, p)| Arc::new(Pool::new(i, p.clone(), &metrics)))
            .collect();
        let (signals, signalled) = mpsc::channel(SIGNALS);
        let sessions_max = sessions_max(plan, &logger);
        let observing = observe(plan)?;
        let shared = Arc::new(Shared {
            run: fastrand::u64(..),
            permits: Arc::new(Semaphore::new(sessions_max)),
            sessions_max,
            metrics,
            observed: !observing.is_empty(),
            routed: routed(plan),
            pools,
            program: plan.program,
            addresses: sockets.iter().map(|(address, _)| *address).collect(),
            sockets_stay: source.they_stay(),
            gauges: (0..workers).map(|_| Gauge::default()).collect(),
            short: AtomicU32::new(0),
            full: AtomicU32::new(0),
            began: Instant::now(),
            closed: AtomicUsize::new(0),
            signals,
            logger,
        });
        let live: Arc<dyn Live> = shared.clone();
        shared.logger.set_live(Arc::downgrade(&live));
        let (orders, _) = watch::channel(Order::Run);
        let probers = probe::prepare(&shared).map_err(StartError::Ca)?;
        let mut engine = Self {
            addresses: sockets.iter().map(|(address, _)| *address).collect(),
            shared,
            orders,
            workers: Vec::new(),
            helpers: Vec::new(),
            writer: None,
            sockets: source,
            stop_deadline: plan.stop_deadline,
        };
        let commands = engine.start_workers(workers, &listeners, sockets)?;
        engine.start_helpers(probers, signalled, commands)?;
        engine.start_control(plan, observing)?;
        engine.announce();
        Ok(engine)
    }

    fn start_helpers(
        &mut self,
        probers: Vec<probe::Prober>,
        signals: mpsc::Receiver<Signal>,
        commands: Vec<mpsc::Sender<Command>>,
    ) -> Result<(), StartError> {
        let orders = self.orders.subscribe();
        let shared = self.shared.clone();
        let probing = move || probe::run(shared, probers, signals, commands, orders);
        self.helpers.push(spawn("probe", probing)?);
        if self.shared.pools.iter().any(|pool| resolve::has_names(pool)) {
            let (orders, shared) = (self.orders.subscribe(), self.shared.clone());
            self.helpers.push(spawn("resolve", move || resolve::run(&shared, orders))?);
        }
        Ok(())
    }

    fn start_control(&mut self, plan: &Plan, sockets: Vec<TcpListener>) -> Result<(), StartError> {
        let (shared, orders) = (self.shared.clone(), self.orders.subscribe());
        let setup = control::Setup { shared, observe: plan.observe.clone(), sockets, orders };
        self.helpers.push(spawn("control", move || control::run(setup))?);
        Ok(())
    }

    fn start_workers(
        &mut self,
        workers: usize,
        listeners: &[Arc<Listener>],
        mut sockets: Vec<(SocketAddr, Vec<OwnedFd>)>,
    ) -> Result<Vec<mpsc::Sender<Command>>, StartError> {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..workers).map(|_| mpsc::channel(HANDOVER_QUEUE)).unzip();
        let mut commands = Vec::new();
        for (index, receiver) in receivers.into_iter().enumerate() {
            let mut own = Vec::new();
            for (address, sockets) in &mut sockets {
                let listener = listeners.iter().find(|listener| listener.address() == *address);
                let Some(listener) = listener else { continue };
                // One each; more where there are more, for none may be left without an acceptor.
                let share = sockets.len().div_ceil(workers - index);
                let share = sockets.drain(..share).map(|socket| (listener.clone(), socket));
                own.extend(share);
            }
            let (commander, commanded) = mpsc::channel(COMMANDS);
            commands.push(commander);
            let setup = worker::Setup {
                index,
                shared: self.shared.clone(),
                listeners: own,
                handed_over: receiver,
                others: senders.clone(),
                commands: commanded,
                orders: self.orders.subscribe(),
            };
            let thread = spawn(&format!("worker-{index}"), move || worker::run(setup))?;
            self.workers.push(thread);
        }
        Ok(commands)
    }

    fn announce(&self) {
        let logger = &self.shared.logger;
        for address in &self.addresses {
            let event = Event::new("listening", format!("listening on {address}"));
            logger.event(event.about("address", address.to_string()));
        }
        let endpoints: usize = self.shared.pools.iter().map(|pool| pool.endpoints().len()).sum();
        let event = Event::new("ready", "ready")
            .about("workers", self.shared.gauges.len())
            .about("sessions_max", self.shared.permits.available_permits())
            .about("endpoints", endpoints)
            .about("pid", std::process::id());
        logger.event(event);
    }

    /// The addresses that it listens on.
    #[must_use]
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Tells what is going on.
    #[must_use]
    pub fn status(&self) -> Status {
        let count = |gauge: &Gauge| gauge.0.load(Ordering::Relaxed);
        Status {
            pools: self.shared.pools.clone(),
            sessions: self.shared.gauges.iter().map(count).collect(),
            log_dropped: self.shared.logger.dropped_total(),
        }
    }

    /// When each worker last showed that it runs.
    #[must_use]
    pub fn heartbeats(&self) -> Arc<Heartbeats> {
        self.shared.metrics.heartbeats.clone()
    }

    /// What is counted of it; who runs the engine adds what it knows.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Opens the files of the log anew, after they were moved away.
    pub fn reopen_log(&self) {
        self.shared.logger.reopen();
    }

    /// How it is, for `systemctl status`.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        let pools = &self.shared.pools;
        let endpoints: Vec<_> = pools.iter().flat_map(|pool| pool.endpoints().to_vec()).collect();
        let tiers = endpoints.iter().map(|endpoint| endpoint.report().tier);
        let ready = tiers.filter(|tier| *tier <= Tier::Unprobed).count();
        format!("{ready}/{} endpoints ready, {} sessions", endpoints.len(), self.count())
    }

    /// Writes an event to the log.
    pub fn tell(&self, kind: &'static str, message: impl Into<String>) {
        self.shared.logger.event(Event::new(kind, message));
    }

    /// Writes a warning to the log.
    pub fn warn(&self, message: impl Into<String>) {
        self.shared.logger.event(Event::new("warning", message));
    }

    /// Closes the listeners, lets sessions end by themselves until the plan's deadline, or until
    /// `hurry` says so, resets the rest and returns when every thread has ended.
    pub fn stop(mut self, hurry: impl Fn() -> bool) {
        let deadline = Instant::now() + self.stop_deadline;
        self.shared.metrics.set_stopping();
        let stopping = match self.sockets.accept_to_the_end() {
            true => "stopping: new connections until the last session has ended",
            false => "stopping: no new connections",
        };
        self.shared.logger.event(Event::new("stopping", stopping).about("sessions", self.count()));
        if self.sockets.accept_to_the_end() {
            // Those that came last have some time, too.
            self.wait_for_sessions(deadline - LAST_COMERS.min(self.stop_deadline / 5), &hurry);
        }
        self.close_listeners();
        self.wait_for_sessions(deadline, &hurry);
        let left = self.count();
        self.orders.send_replace(Order::Stop);
        for thread in self.workers.drain(..).chain(self.helpers.drain(..)) {
            // A thread that panicked has ended, which is all that is asked of it here.
            let _ = thread.join();
        }
        let event = Event::new("stopped", "stopped").about("sessions_reset", left);
        self.shared.logger.event(event);
        if let Some(writer) = self.writer.take() {
            writer.close();
        }
    }

    /// Until there is none, or the deadline, or somebody is in a hurry.
    fn wait_for_sessions(&self, deadline: Instant, hurry: &impl Fn() -> bool) {
        while self.count() > 0 && Instant::now() < deadline && !hurry() {
            pause();
        }
    }

    fn close_listeners(&self) {
        self.orders.send_replace(Order::Drain);
        let closing = Instant::now() + CLOSING;
        let closed = || self.shared.closed.load(Ordering::Acquire) >= self.workers.len();
        while !closed() && Instant::now() < closing {
            pause();
        }
        // The addresses are free as soon as the listeners are closed: a successor may start.
        if !self.sockets.they_stay() {
            self.sockets.release_all();
        }
    }

    fn count(&self) -> u32 {
        self.status().sessions.iter().sum()
    }
}

/// The stop waits for other threads; nothing else runs on the one that calls it.
#[allow(clippy::disallowed_methods, reason = "not on a worker: nothing waits for this thread")]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| StartError::Io("cannot start a thread", error))
}

/// Processors that this process may use.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Sessions that may run at once: each holds two descriptors.
fn sessions_max(plan: &Plan, logger: &Logger) -> usize {
    let descriptors = raise_descriptors().unwrap_or(1 << 20);
    let workers = plan.workers.unwrap_or_else(processors) as u64;
    let addresses: usize = plan.listeners.iter().map(|listener| listener.addresses.len()).sum();
    let reserved = RESERVED + 2 * PIPES as u64 + workers * (addresses as u64 + RESERVED_PER_WORKER);
    let possible = usize::try_from(descriptors.saturating_sub(reserved) / 2).unwrap_or(1 << 19);
    let by_default = usize::try_from(descriptors * 8 / 10 / 2).unwrap_or(1 << 19).min(possible);
    let wanted = plan.sessions_max.unwrap_or(by_default);
    if wanted > possible {
        let message = format!(
            "sessions_max = {wanted} takes {} descriptors, the limit is {descriptors}: \
             {possible} sessions (raise LimitNOFILE= of the unit)",
            wanted * 2
        );
        logger.event(Event::new("warning", message));
    }
    wanted.min(possible).clamp(1, Semaphore::MAX_PERMITS)
}

/// Opens the sockets that figures and health are asked on.
fn observe(plan: &Plan) -> Result<Vec<TcpListener>, StartError> {
    let addresses = plan.observe.listen.iter().copied();
    let bind = |address| http::bind(address).map_err(|error| StartError::Observe(address, error));
    addresses.map(bind).collect()
}

/// The pools that a route uses, by their index.
fn routed(plan: &Plan) -> Vec<usize> {
    let routes = plan.listeners.iter().flat_map(|listener| &listener.routes);
    let pools: BTreeSet<usize> = routes.map(|route| route.pool).collect();
    pools.into_iter().collect()
}

/// Gets a socket for each worker on each address, or more.
fn bind(
    plan: &Plan,
    workers: usize,
    source: &Sockets,
    logger: &Logger,
) -> Result<Vec<(SocketAddr, Vec<OwnedFd>)>, StartError> {
    let (mut wanted, mut optional) = (Vec::new(), Vec::new());
    for listener in &plan.listeners {
        for listen in &listener.addresses {
            wanted.push(Wanted::new(listener, listen.address, workers));
            optional.push(listen.optional);
        }
    }
    let got = source.listen(&wanted).map_err(StartError::Taken)?;
    let mut bound = Vec::new();
    for ((wanted, optional), sockets) in wanted.iter().zip(optional).zip(got) {
        let address = wanted.address;
        match sockets {
            Ok(sockets) => bound.push((address, sockets)),
            Err(error) if optional => {
                let message = format!("not listening on {address}: {error}");
                logger.event(Event::new("warning", message));
            }
            Err(error) => return Err(StartError::Listen(address, error)),
        }
    }
    Ok(bound)
}
