//! The engine: starts the workers, the probes and the log, and stops them.
//!
//! ```text
//! start: log → descriptors → locks and listeners → pools → probes, resolver → workers → ready
//! stop:  listeners close → sessions end by themselves → the rest is reset, spread over the last 5 s
//!        before the deadline → log closes
//! ```

mod bind;
mod care;
mod error;
mod expiries;
mod listening;
mod lists;
mod parts;
mod preview;
mod reload;
mod seat;
mod sessions;
mod shrink;
mod stop;
mod told;
mod worker;

pub(crate) use bind::sessions_possible;
pub use care::{Care, LOOK};
pub use error::StartError;
pub(crate) use preview::Preview;
pub use reload::{ReloadError, Reloaded};
pub(crate) use seat::Seat;
pub(crate) use sessions::{PATIENCE as SESSIONS_PATIENCE, sort as sort_sessions};
pub(crate) use shrink::written_address;
pub(crate) use worker::{Accepted, Guards, Order, Worker, reactor};

use crate::keeper::Sockets;
use crate::layer7::{Layer, Services};
use crate::observe::http;
use crate::observe::metrics::{Heartbeats, Metrics};
use crate::observe::{Event, Live, Logger, Writer};
use crate::observe::{Faces, Recent, Refusals, View};
use crate::observing::Tap;
use crate::pool::{Pool, PoolId};
use crate::signal::{CHANGES, COMMANDS, Command, SIGNALS, Signal};
use crate::{control, probe, resolve, turn};
use arc_swap::{ArcSwap, ArcSwapOption};
use bind::Bound;
use eclusa_config::list::List;
use eclusa_config::plan::{Listener as ListenerPlan, Plan, Program};
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{Evidence, Key};
use parts::{pools, prepare, routed};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, watch};

/// Connections that may wait to be taken by another worker.
const HANDOVER_QUEUE: usize = 1024;

/// What all threads of the engine share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Tells the runs of the program apart in session ids.
    run: u64,
    pub(crate) logger: Logger,
    permits: Arc<Semaphore>,
    sessions_max: usize,
    pub(crate) metrics: Metrics,
    /// Messages that were refused.
    refusals: Refusals,
    /// Somebody can ask for the metrics.
    observed: bool,
    /// Of `pools`, those that a route uses, by name.
    routed: ArcSwap<Vec<Arc<str>>>,
    /// What the configuration says of listeners.
    faces: ArcSwap<Faces>,
    /// The pools that the configuration names, in its order.
    pools: ArcSwap<Vec<Arc<Pool>>>,
    pub(crate) program: Program,
    /// Who serves the listeners that ask for more than TCP, and the lists that conditions ask.
    services: ArcSwap<Services>,
    lists: ArcSwap<Vec<Arc<List>>>,
    /// Where it listens.
    addresses: ArcSwap<Vec<SocketAddr>>,
    /// The listening sockets outlive this process ([`Sockets::they_stay`]).
    sockets_stay: bool,
    seats: Box<[Seat]>,
    /// When it was last told that this host lacks something, and that `sessions_max` is reached:
    /// each at most once a second.
    short: AtomicU32,
    full: AtomicU32,
    began: Instant,
    signals: mpsc::Sender<Signal>,
    /// Somebody observes: nothing is carried, and nothing follows from what the judges say.
    tap: Option<Tap>,
}

impl Shared {
    /// The time, for everything in `policy`.
    pub(crate) fn time(&self) -> Time {
        self.time_of(turn::now())
    }

    /// The same moment on the clock of `policy`.
    pub(crate) fn time_of(&self, instant: Instant) -> Time {
        Time::after_start(instant.saturating_duration_since(self.began))
    }

    /// The pools at this moment.
    pub(crate) fn pools(&self) -> Arc<Vec<Arc<Pool>>> {
        self.pools.load_full()
    }

    /// Who observes, where nothing is carried.
    pub(crate) fn tap(&self) -> Option<&Tap> {
        self.tap.as_ref()
    }

    /// Where it listens at this moment.
    pub(crate) fn addresses(&self) -> Arc<Vec<SocketAddr>> {
        self.addresses.load_full()
    }

    /// The workers.
    pub(crate) fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// Tells the probes' thread what traffic saw of an endpoint of a pool. When it does not keep up
    /// the signal is dropped: traffic brings more.
    pub(crate) fn signal(&self, pool: PoolId, key: Key, evidence: Evidence) {
        let _ = self.signals.try_send(Signal { pool, key, evidence });
    }

    /// Writes a warning to the log.
    pub(crate) fn warn(&self, message: impl Into<String>) {
        self.logger.event(Event::new("warning", message));
    }

    /// The state at this moment.
    pub(crate) fn view(&self) -> View {
        let signals = self.signals.max_capacity();
        let (pools, used) = (self.pools(), self.routed.load());
        let is_used =
            |pool: &Arc<Pool>| used.binary_search_by(|name| (**name).cmp(pool.name())).is_ok();
        View {
            program: self.program,
            now: self.time(),
            routed: (0..pools.len()).filter(|&index| is_used(&pools[index])).collect(),
            pools,
            services: self.services.load_full(),
            lists: self.lists.load_full(),
            faces: self.faces.load_full(),
            sessions: self.seats.iter().map(Seat::sessions).collect(),
            permits: self.sessions_max.saturating_sub(self.permits.available_permits()),
            sessions_max: self.sessions_max,
            signals: (signals.saturating_sub(self.signals.capacity()), signals),
            log_queue: self.logger.queue(),
            log_dropped: self.logger.dropped_total(),
            followers: self.logger.recent().followers(),
        }
    }

    /// Seconds since the engine began, from 1.
    fn seconds(&self) -> u32 {
        u32::try_from(self.began.elapsed().as_secs()).unwrap_or(u32::MAX).saturating_add(1)
    }
}

impl Live for Shared {
    fn sessions(&self) -> u64 {
        self.seats.iter().map(|seat| u64::from(seat.sessions())).sum()
    }
}

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    sockets: Sockets,
    layer: Option<Arc<dyn Layer>>,
    orders: watch::Sender<Order>,
    control: Mutex<Control>,
    /// What was wrong with the file when this engine began with the configuration that was in force
    /// before; until a reload takes the file.
    file_refused: ArcSwapOption<String>,
    /// Why what is in force is what was so before the file; until a reload takes the file.
    gone_back: ArcSwapOption<String>,
    /// Until when what is in force must be confirmed, in words.
    unconfirmed: ArcSwapOption<String>,
}

/// What starts, reloads and stops need; nobody on the data path waits for it.
#[derive(Debug)]
struct Control {
    plan: Plan,
    /// How many configurations have been in force, from 1.
    generation: u64,
    bound: Vec<Bound>,
    workers: Vec<JoinHandle<()>>,
    helpers: Vec<JoinHandle<()>>,
    writer: Option<Writer>,
    probing: mpsc::Sender<probe::Change>,
    resolving: mpsc::Sender<()>,
}

impl Control {
    fn new(
        plan: &Plan,
        bound: Vec<Bound>,
        probing: mpsc::Sender<probe::Change>,
        resolving: mpsc::Sender<()>,
    ) -> Self {
        Self {
            plan: plan.clone(),
            generation: 1,
            bound,
            workers: Vec::new(),
            helpers: Vec::new(),
            writer: None,
            probing,
            resolving,
        }
    }
}

/// What an engine tells of itself.
#[derive(Debug)]
pub struct Status {
    /// The pools.
    pub pools: Arc<Vec<Arc<Pool>>>,
    /// Sessions at this moment, by worker.
    pub sessions: Vec<u32>,
    /// How many configurations have been in force, from 1.
    pub generation: u64,
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
        Self::start_on(plan, Sockets::own(plan.program, plan.run_directory.clone()), None)
    }

    /// The same on sockets that come from somewhere else; `layer` makes the services of listeners
    /// that ask for one.
    ///
    /// # Errors
    /// [`StartError`]; then nothing is left running.
    pub fn start_on(
        plan: &Plan,
        sockets: Sockets,
        layer: Option<Arc<dyn Layer>>,
    ) -> Result<Self, StartError> {
        Self::begin(plan, sockets, layer, None)
    }

    /// Starts what judges the pools of a plan without listeners: `tap` hears what the judges say, and
    /// nothing follows from it.
    ///
    /// # Errors
    /// [`StartError`]; then nothing is left running.
    pub(crate) fn start_observing(plan: &Plan, tap: Tap) -> Result<Self, StartError> {
        let sockets = Sockets::own(plan.program, plan.run_directory.clone());
        Self::begin(plan, sockets, None, Some(tap))
    }

    fn begin(
        plan: &Plan,
        sockets: Sockets,
        layer: Option<Arc<dyn Layer>>,
        tap: Option<Tap>,
    ) -> Result<Self, StartError> {
        let (logger, writer) = Logger::start(&plan.log)
            .map_err(|error| StartError::Io("cannot open the log", error))?;
        match Self::start_logged(plan, logger, sockets, layer, tap) {
            Ok(engine) => {
                engine.control().writer = Some(writer);
                Ok(engine)
            }
            Err(error) => {
                writer.close();
                Err(error)
            }
        }
    }

    fn start_logged(
        plan: &Plan,
        logger: Logger,
        sockets: Sockets,
        layer: Option<Arc<dyn Layer>>,
        tap: Option<Tap>,
    ) -> Result<Self, StartError> {
        let workers = plan.workers.unwrap_or_else(processors);
        let metrics = Metrics::new(workers, plan.program.name());
        let pools = pools(plan, &metrics);
        let changes = probe::prepare(&pools, plan).map_err(StartError::Ca)?;
        changes.tell_pools();
        let services = prepare(layer.as_ref(), plan)?;
        let listeners = bind::listeners(plan, &pools, &metrics, &services);
        let bound = bind::bind(plan, listeners, workers, &sockets, &logger)?;
        let (observing, sessions_max) = (observe(plan)?, bind::sessions_max(plan, &logger));
        let (signals, signalled) = mpsc::channel(SIGNALS);
        let (seats, lines): (Vec<_>, Vec<_>) = (0..workers).map(|_| seat()).unzip();
        let shared = Arc::new(Shared {
            run: fastrand::u64(..),
            permits: Arc::new(Semaphore::new(sessions_max)),
            sessions_max,
            metrics,
            refusals: Refusals::default(),
            observed: !observing.is_empty(),
            routed: ArcSwap::from_pointee(routed(plan)),
            faces: ArcSwap::from_pointee(Faces::of(plan)),
            pools: ArcSwap::new(pools),
            program: plan.program,
            services: ArcSwap::from_pointee(services),
            lists: ArcSwap::from_pointee(plan.lists.clone()),
            addresses: ArcSwap::from_pointee(bound.iter().map(Bound::address).collect()),
            sockets_stay: sockets.they_stay(),
            seats: seats.into(),
            short: AtomicU32::new(0),
            full: AtomicU32::new(0),
            began: Instant::now(),
            signals,
            logger,
            tap,
        });
        let live: Arc<dyn Live> = shared.clone();
        shared.logger.set_live(Arc::downgrade(&live));
        let (orders, _) = watch::channel(Order::Run);
        let (probing, probed) = mpsc::channel(CHANGES);
        let (resolving, resolved) = mpsc::channel(1);
        let engine = Self {
            shared,
            sockets,
            layer,
            orders,
            control: Mutex::new(Control::new(plan, bound, probing, resolving)),
            file_refused: ArcSwapOption::empty(),
            gone_back: ArcSwapOption::empty(),
            unconfirmed: ArcSwapOption::empty(),
        };
        for (index, lines) in lines.into_iter().enumerate() {
            engine.start_worker(index, engine.shared.seats[index].incarnation(), lines)?;
        }
        engine.start_helpers(signalled, probed, resolved)?;
        engine.start_control(plan, observing)?;
        // There is room: nobody has sent one yet.
        let _ = engine.control().probing.try_send(changes);
        engine.announce();
        Ok(engine)
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        // What a panic left is still what runs.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_helpers(
        &self,
        signals: mpsc::Receiver<Signal>,
        changes: mpsc::Receiver<probe::Change>,
        resolve_again: mpsc::Receiver<()>,
    ) -> Result<(), StartError> {
        let (shared, orders) = (self.shared.clone(), self.orders.subscribe());
        let probing = spawn("probe", move || probe::run(shared, changes, signals, orders))?;
        let (shared, orders) = (self.shared.clone(), self.orders.subscribe());
        let resolving = move || resolve::run(&shared, resolve_again, orders);
        let resolving = spawn("resolve", resolving)?;
        self.control().helpers.extend([probing, resolving]);
        Ok(())
    }

    fn start_control(&self, plan: &Plan, sockets: Vec<TcpListener>) -> Result<(), StartError> {
        let (shared, orders) = (self.shared.clone(), self.orders.subscribe());
        let setup = control::Setup { shared, observe: plan.observe.clone(), sockets, orders };
        let control = spawn("control", move || control::run(setup))?;
        self.control().helpers.push(control);
        Ok(())
    }

    /// Starts the thread of a seat.
    fn start_worker(
        &self,
        index: usize,
        incarnation: seat::Incarnation,
        commands: mpsc::Receiver<Command>,
    ) -> Result<(), StartError> {
        let mut control = self.control();
        let listeners = control
            .bound
            .iter()
            .map(|bound| bound.of_worker(index, self.shared.seats.len()))
            .collect::<io::Result<Vec<_>>>()
            .map_err(|error| StartError::Io("cannot hand a listener to a worker", error))?;
        let setup = worker::Setup {
            index,
            incarnation,
            shared: self.shared.clone(),
            listeners: listeners.into_iter().flatten().collect(),
            commands,
            orders: self.orders.subscribe(),
        };
        let thread = spawn(&format!("worker-{index}"), move || worker::run(setup))?;
        control.workers.push(thread);
        Ok(())
    }

    fn announce(&self) {
        if self.shared.tap.is_some() {
            return;
        }
        let logger = &self.shared.logger;
        for address in self.shared.addresses().iter() {
            let event = Event::new("listening", format!("listening on {address}"));
            logger.event(event.about("address", address.to_string()));
        }
        let endpoints: usize = self.shared.pools().iter().map(|pool| pool.endpoints().len()).sum();
        let event = Event::new("ready", "ready")
            .about("workers", self.shared.seats.len())
            .about("sessions_max", self.shared.permits.available_permits())
            .about("endpoints", endpoints)
            .about("pid", std::process::id());
        logger.event(event);
    }

    /// The addresses that it listens on.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.shared.addresses().to_vec()
    }

    /// Tells what is going on.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            pools: self.shared.pools(),
            sessions: self.shared.seats.iter().map(Seat::sessions).collect(),
            generation: self.control().generation,
            log_dropped: self.shared.logger.dropped_total(),
        }
    }

    /// The workers.
    pub(crate) fn seats(&self) -> &[Seat] {
        &self.shared.seats
    }

    /// The time, on the clock of `policy`.
    pub(crate) fn time(&self) -> Time {
        self.shared.time()
    }

    /// Time since it began.
    pub(crate) fn uptime(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// The state at this moment.
    pub(crate) fn view(&self) -> View {
        self.shared.view()
    }

    /// The listeners: name, addresses, sessions that stand.
    pub(crate) fn listeners(&self) -> Vec<(String, Vec<SocketAddr>, u64)> {
        let control = self.control();
        let of = |plan: &ListenerPlan| {
            let bound =
                control.bound.iter().map(|bound| (bound.address(), bound.address.listener()));
            let own: Vec<_> = bound.filter(|(_, it)| it.plan().name == plan.name).collect();
            let sessions = own.first().map_or(0, |(_, listener)| listener.cells().open());
            let addresses = own.into_iter().map(|(address, _)| address).collect();
            (plan.name.to_string(), addresses, sessions)
        };
        control.plan.listeners.iter().map(of).collect()
    }

    /// Writes an event to the log.
    pub(crate) fn event(&self, event: Event) {
        self.shared.logger.event(event);
    }

    /// When each worker last showed that it runs.
    #[must_use]
    pub fn heartbeats(&self) -> Arc<Heartbeats> {
        self.shared.metrics.heartbeats.clone()
    }

    /// The last events.
    pub(crate) fn recent(&self) -> &Arc<Recent> {
        self.shared.logger.recent()
    }

    /// What is counted of it; who runs the engine adds what it knows.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Messages that were refused.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.shared.refusals
    }

    /// How long sessions may go on after the order to stop.
    #[must_use]
    pub fn stop_deadline(&self) -> Duration {
        self.control().plan.stop_deadline
    }

    /// Opens the files of the log anew, after they were moved away.
    pub fn reopen_log(&self) {
        self.shared.logger.reopen();
    }

    /// Writes an event to the log.
    pub fn tell(&self, kind: &'static str, message: impl Into<String>) {
        self.shared.logger.event(Event::new(kind, message));
    }

    /// Writes a warning to the log.
    pub fn warn(&self, message: impl Into<String>) {
        self.shared.warn(message);
    }

    fn count(&self) -> u32 {
        self.shared.seats.iter().map(Seat::sessions).sum()
    }
}

/// Waits for a condition, at most until `limit`; says whether it holds. Nothing else runs on the
/// threads that start, reload and stop.
#[allow(clippy::disallowed_methods, reason = "not on a worker: nothing waits for this thread")]
fn wait_until(limit: Instant, mut holds: impl FnMut() -> bool) -> bool {
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
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

/// Opens the sockets that figures and health are asked on.
fn observe(plan: &Plan) -> Result<Vec<TcpListener>, StartError> {
    let addresses = plan.observe.listen.iter().copied();
    let bind = |address| http::bind(address).map_err(|error| StartError::Observe(address, error));
    addresses.map(bind).collect()
}

/// A seat, and what its worker hears on.
fn seat() -> (Seat, mpsc::Receiver<Command>) {
    let (commands, commanded) = mpsc::channel(COMMANDS);
    (Seat::new(HANDOVER_QUEUE, commands), commanded)
}
