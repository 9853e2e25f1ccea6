//! A worker: one thread, one single-threaded reactor, its own listening sockets, buffers, pipes and
//! sessions. Nothing of a session ever leaves its worker, except a fresh one that is handed over
//! before it is known to any reactor.

use super::Shared;
use super::listening::Listening;
use super::seat::Incarnation;
use super::sessions;
use crate::listener::Address;
use crate::observe::metrics::Metrics;
use crate::observe::{Event, Logger, Refusals, SessionId};
use crate::pool::{Endpoint, Pickers, Pool, level};
use crate::registry::{Registry, Tick, Watch};
use crate::relay::Buffers;
use crate::replay::Replays;
use crate::session;
use crate::signal::Command;
use crate::turn;
use eclusa_policy::stop::Spread;
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{Evidence, Pacer, Reason};
use std::any::Any;
use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::MissedTickBehavior;

/// Bits of a session's number that count; above them stands the thread's incarnation.
const SESSIONS_BITS: u32 = 40;
/// How long sessions may take to end after they were told to.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What the engine asks of its workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Carry traffic.
    Run,
    /// Close the listeners, carry on what there is.
    Drain,
    /// The same; reset what there is one after the other until this moment.
    Spread(Instant),
    /// Reset what there is, and end.
    Stop,
}

/// A fresh connection, not yet known to any reactor.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: SocketAddr,
    pub(crate) address: Arc<Address>,
    pub(crate) at: Instant,
    pub(crate) guards: Guards,
}

/// What counts a session, from accept to close: its permit and its worker's gauge.
#[derive(Debug)]
pub(crate) struct Guards {
    shared: Arc<Shared>,
    worker: usize,
    _permit: OwnedSemaphorePermit,
}

impl Guards {
    fn new(shared: Arc<Shared>, worker: usize, permit: OwnedSemaphorePermit) -> Self {
        shared.seats[worker].enter();
        Self { shared, worker, _permit: permit }
    }

    fn move_to(&mut self, worker: usize) {
        self.shared.seats[worker].enter();
        self.shared.seats[self.worker].leave();
        self.worker = worker;
    }
}

impl Drop for Guards {
    fn drop(&mut self) {
        self.shared.seats[self.worker].leave();
    }
}

/// What a worker starts with.
pub(super) struct Setup {
    pub(super) index: usize,
    pub(super) shared: Arc<Shared>,
    /// Which of the threads that sit on this seat, one after the other, it is.
    pub(super) incarnation: Incarnation,
    pub(super) listeners: Vec<(Arc<Address>, OwnedFd)>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) orders: watch::Receiver<Order>,
}

/// What the sessions of one worker share.
pub(crate) struct Worker {
    index: usize,
    pub(super) shared: Arc<Shared>,
    pickers: Pickers,
    replays: Replays,
    registry: Rc<Registry>,
    buffers: Rc<Buffers>,
    sessions: Cell<u64>,
    /// What the sessions of a service share.
    extension: OnceCell<Rc<dyn Any>>,
    draining: Cell<bool>,
}

/// A single-threaded reactor, for one of the engine's threads.
pub(crate) fn reactor() -> io::Result<LocalRuntime> {
    let mut reactor = Builder::new_current_thread();
    reactor.enable_all().on_thread_park(turn::all_had_their_turn);
    reactor.build_local(LocalOptions::default())
}

/// The body of a worker's thread.
pub(super) fn run(setup: Setup) {
    let (index, logger) = (setup.index, setup.shared.logger.clone());
    match reactor() {
        Ok(reactor) => reactor.block_on(async {
            // As a task of its own: what is given to `block_on` is polled at every wake-up.
            if tokio::task::spawn_local(work(setup)).await.is_err() {
                let message = format!("worker {index} failed: its sessions are lost");
                logger.event(Event::new("warning", message));
            }
        }),
        Err(error) => {
            let message = format!("worker {index} cannot start: {error}");
            logger.event(Event::new("warning", message));
        }
    }
}

async fn work(setup: Setup) {
    let Setup { index, incarnation, shared, listeners, mut commands, mut orders } = setup;
    let registry = Registry::new(shared.began);
    let workers = shared.seats.len();
    let worker = Rc::new(Worker {
        index,
        pickers: Pickers::new(index),
        replays: Replays::new(workers),
        buffers: Buffers::new(registry.clone(), workers),
        registry,
        shared,
        sessions: Cell::new(u64::from(incarnation.number()) << SESSIONS_BITS),
        extension: OnceCell::new(),
        draining: Cell::new(false),
    });
    let mut listening = Listening::default();
    for (address, socket) in listeners {
        listening.open(&worker, address, socket);
    }
    let mut ticks = tokio::time::interval(Tick::LENGTH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let leveller = {
        let worker = worker.clone();
        tokio::task::spawn_local(async move { level(&worker).await })
    };
    loop {
        tokio::select! {
            Some(accepted) = worker.handed_over(incarnation) => worker.start(accepted),
            Some(command) = commands.recv() => worker.obey(command, &mut listening).await,
            _ = ticks.tick() => {
                if worker.shared.seats[index].is_of(incarnation) {
                    worker.tick();
                } else {
                    // Another thread sits here, with the same sockets. What this one carries goes on.
                    worker.registry.tick();
                    leveller.abort();
                    listening.leave().await;
                    if worker.registry.is_empty() {
                        return;
                    }
                }
            }
            changed = orders.changed() => {
                let order = if changed.is_err() { Order::Stop } else { *orders.borrow_and_update() };
                match order {
                    Order::Run => {}
                    Order::Drain | Order::Spread(_) => {
                        worker.drain();
                        // Nobody who is sent away could come back.
                        leveller.abort();
                        listening.close_all(&worker).await;
                        if let Order::Spread(deadline) = order {
                            worker.clone().spawn(spread(worker.clone(), deadline));
                        }
                    }
                    Order::Stop => {
                        listening.end(&worker).await;
                        break;
                    }
                }
            }
            Some(()) = at(listening.next_end()) => listening.end_due(&worker).await,
        }
        if *orders.borrow() != Order::Run && listening.is_over() {
            worker.shared.seats[index].set_deaf();
        }
    }
    last_words(&worker, incarnation).await;
}

/// Ends all sessions, and gives them the time to say so.
async fn last_words(worker: &Rc<Worker>, incarnation: Incarnation) {
    let told = worker.registry.stop_all();
    worker.shared.seats[worker.index].count_stopped(told);
    let seat = &worker.shared.seats[worker.index];
    while seat.is_of(incarnation)
        && let Some(accepted) = seat.take_handed_over()
    {
        worker.start(accepted);
    }
    // The sessions have been told; each needs one turn to write its record and reset its peers.
    let until = Instant::now() + LAST_WORDS;
    while !worker.registry.is_empty() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Ends the sessions that are left one after the other, the oldest first: those that came last are
/// the ones most likely to end by themselves. What is still being set up has until the deadline.
async fn spread(worker: Rc<Worker>, deadline: Instant) {
    let accepted = |session: &Rc<Watch>| session.opening().borrow().as_ref().map(|it| it.accepted);
    let all = worker.registry.all().into_iter();
    let mut left: Vec<_> = all.filter_map(|session| Some((accepted(&session)?, session))).collect();
    left.sort_by_key(|(accepted, _)| *accepted);
    let sessions = u32::try_from(left.len()).unwrap_or(u32::MAX);
    let spread = Spread::new(worker.time(), worker.time_of(deadline));
    for (place, (accepted, session)) in (0..).zip(left) {
        let due = spread.due(place, sessions, worker.time_of(accepted));
        tokio::time::sleep(due.since(worker.time())).await;
        if session.stop() {
            worker.shared.seats[worker.index].count_stopped(1);
        }
    }
}

/// Resets sessions in the rhythm of `pacer`, as long as the order stands.
async fn reset(
    registry: Rc<Registry>,
    sessions: Vec<Rc<Watch>>,
    mut pacer: Pacer,
    endpoint: Arc<Endpoint>,
    (order, reason): (u64, Reason),
) {
    let mut left = sessions.into_iter();
    loop {
        let due = if endpoint.reset_order() == order { pacer.due(registry.time()) } else { return };
        for _ in 0..due {
            // Those that ended by themselves meanwhile are no use of the pace, and none is owed.
            let _ = left.find(|session| session.reset(reason));
        }
        if left.len() == 0 || pacer.is_done() {
            return;
        }
        tokio::time::sleep(Pacer::TURN).await;
    }
}

/// `Some` at `when`; `None` without one.
async fn at(when: Option<tokio::time::Instant>) -> Option<()> {
    tokio::time::sleep_until(when?).await;
    Some(())
}

impl Worker {
    /// Another 250 ms have passed.
    fn tick(&self) {
        self.registry.tick();
        self.shared.metrics.tick(self.index, self.buffers.pipes(), turn::waiting());
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Whether somebody wants to know what the kernel says of a session that ends.
    pub(crate) fn wants_tcp_info(&self) -> bool {
        self.shared.observed || self.logger().wants_sessions()
    }

    pub(crate) fn logger(&self) -> &Logger {
        &self.shared.logger
    }

    /// Where messages are kept that were refused.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.shared.refusals
    }

    pub(crate) fn pickers(&self) -> &Pickers {
        &self.pickers
    }

    pub(crate) fn registry(&self) -> &Rc<Registry> {
        &self.registry
    }

    pub(crate) fn buffers(&self) -> &Rc<Buffers> {
        &self.buffers
    }

    pub(crate) fn pools(&self) -> Arc<Vec<Arc<Pool>>> {
        self.shared.pools()
    }

    /// What the sessions of a service share on this worker, made by the first that asks. One service
    /// crate has one type.
    pub(crate) fn extension<T: Default + 'static>(&self) -> Rc<T> {
        let made = self.extension.get_or_init(|| Rc::new(T::default()));
        debug_assert!(made.is::<T>(), "a second type would never be kept");
        made.clone().downcast().unwrap_or_default()
    }

    /// From now on nothing new is begun, and every session knows.
    fn drain(&self) {
        self.draining.set(true);
        self.registry.wake_all();
    }

    /// Whether the service stops: nothing new is begun.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// The id of one more session.
    pub(crate) fn next_id(&self) -> SessionId {
        let number = self.sessions.get();
        self.sessions.set(number + 1);
        let workers = self.shared.seats.len() as u64;
        SessionId { run: self.shared.run, number: number * workers + self.index as u64 }
    }

    /// A permit for one more session; waits at the limit. `None` when the engine ends.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        if let Some(permit) = self.permit_now() {
            return Some(permit);
        }
        self.metrics().limit_wait(self.index);
        let message = "sessions_max is reached: new clients wait in the kernel's queue";
        self.tell_once(&self.shared.full, message);
        self.shared.permits.clone().acquire_owned().await.ok()
    }

    /// A permit, if there is one now.
    pub(crate) fn permit_now(&self) -> Option<OwnedSemaphorePermit> {
        self.shared.permits.clone().try_acquire_owned().ok()
    }

    /// A permit for one more stream of a session that has several at once. The last quarter of all
    /// permits is for sessions: few clients must not keep the others out.
    pub(crate) fn permit_stream(&self) -> Option<OwnedSemaphorePermit> {
        let is_left = self.shared.permits.available_permits() > self.shared.sessions_max / 4;
        let permit = if is_left { self.permit_now() } else { None };
        if permit.is_none() {
            self.metrics().limit_wait(self.index);
        }
        permit
    }

    /// Counts a session on this worker.
    pub(crate) fn count(&self, permit: OwnedSemaphorePermit) -> Guards {
        Guards::new(self.shared.clone(), self.index, permit)
    }

    /// Starts a fresh connection here, or hands it over where this worker leads the least loaded
    /// by more than max(2, 10 %): few long sessions must not depend on the kernel's luck.
    pub(crate) fn place(self: &Rc<Self>, mut accepted: Accepted) {
        let seats = &self.shared.seats;
        let load = |index: usize| seats[index].sessions();
        let own = load(self.index);
        let least = (0..seats.len()).min_by_key(|&index| load(index)).unwrap_or(self.index);
        let lead = own.saturating_sub(load(least));
        if lead > (own / 10).max(2) {
            let handover = seats[least].handover();
            if let Ok(place) = handover.try_reserve() {
                accepted.guards.move_to(least);
                return place.send(accepted);
            }
        }
        self.start(accepted);
    }

    async fn handed_over(&self, incarnation: Incarnation) -> Option<Accepted> {
        self.shared.seats[self.index].handed_over(incarnation).await
    }

    fn start(self: &Rc<Self>, accepted: Accepted) {
        session::start(self, accepted);
    }

    async fn obey(self: &Rc<Self>, command: Command, listening: &mut Listening) {
        match command {
            Command::Listen { address, socket } => listening.open(self, address, socket),
            Command::Close { address, closed } => {
                listening.close(self, address, closed).await;
                self.registry.wake_all();
            }
            Command::Sessions { ask, tell } => {
                let setting_up = sessions::setting_up(&self.registry, &ask).await;
                let found = sessions::find(&self.registry, self.index, &ask, &setting_up);
                // Whoever asked may have gone.
                let _ = tell.send(found);
            }
            Command::Pools(pools) => {
                self.pickers.retain(&pools);
                self.replays.retain(&pools);
            }
            Command::Reset { endpoint, order, reason, pace } => {
                let sessions = self.registry.on(endpoint.key());
                let pacer =
                    Pacer::new(pace, sessions.len().try_into().unwrap_or(u32::MAX), self.time());
                let registry = self.registry.clone();
                self.clone().spawn(reset(registry, sessions, pacer, endpoint, (order, reason)));
            }
        }
    }

    /// The time, for everything in `policy`.
    pub(crate) fn time(&self) -> Time {
        self.shared.time()
    }

    /// The same moment on the clock of `policy`.
    pub(crate) fn time_of(&self, instant: Instant) -> Time {
        self.shared.time_of(instant)
    }

    /// Tells the probes what traffic saw of an endpoint of `pool`.
    pub(crate) fn signal(&self, pool: &Pool, endpoint: &Endpoint, evidence: Evidence) {
        self.shared.signal(pool.id(), endpoint.key(), evidence);
    }

    /// The first-flight replays of a pool, as this worker sees them.
    pub(crate) fn replays(&self) -> &Replays {
        &self.replays
    }

    /// Runs a task on this worker.
    pub(crate) fn spawn(self: Rc<Self>, task: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(task);
    }

    /// Tells that this host lacks something; at most once a second.
    pub(crate) fn local_trouble(&self, error: &io::Error) {
        self.metrics().shortage(self.index);
        self.tell_once(&self.shared.short, &format!("this host is short of something: {error}"));
    }

    /// Tells of a limit, unless it was told within the last second.
    fn tell_once(&self, told: &AtomicU32, message: &str) {
        let now = self.shared.seconds();
        if told.swap(now, Ordering::Relaxed) != now {
            self.shared.logger.event(Event::new("limit", message));
        }
    }
}
