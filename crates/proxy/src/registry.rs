//! The sessions of one worker, and the coarse wheel that looks after them.
//!
//! A session that relays costs no timer: traffic writes the current tick into its [`Watch`], and
//! the wheel comes by every few seconds, wakes those that need a look, and leaves the others alone.

use crate::observe::{Opening, SessionId};
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{Key, Reason};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Coarse time: ticks since the worker began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u32);

impl Tick {
    /// The length of one tick.
    pub(crate) const LENGTH: Duration = Duration::from_millis(250);

    /// Ticks from `earlier` to this one.
    fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// Time from `earlier` to this tick, never more than really passed.
    pub(crate) fn elapsed_since(self, earlier: Self) -> Duration {
        Self::LENGTH * self.since(earlier)
    }

    fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(ticks(duration)))
    }
}

/// The number of ticks that cover `duration`, at least one.
fn ticks(duration: Duration) -> u32 {
    let ticks = duration.as_millis().div_ceil(Tick::LENGTH.as_millis());
    u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
}

/// How often the wheel comes by: while a peer owes an answer, while traffic flows, at rest.
const URGENT: Duration = Duration::from_secs(1);
const BUSY: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_secs(10);
/// Slots of the wheel; more than the ticks of the longest interval above.
const SLOTS: usize = 64;

/// What the wheel wants to know of a session, and how it reaches it.
#[derive(Debug)]
pub(crate) struct Watch {
    /// When bytes last moved, in either direction.
    pub(crate) active: Cell<Tick>,
    /// When the session last looked at itself.
    checked: Cell<Tick>,
    /// A peer owes an acknowledgement, or a direction is stopped.
    owed: Cell<bool>,
    /// Without a byte for this long the session ends (idle, or half-closed).
    patience: Cell<Option<Duration>>,
    /// The endpoint that it stands on.
    endpoint: Cell<Option<Key>>,
    /// Bytes delivered to the endpoint and to the client.
    bytes: Cell<(u64, u64)>,
    /// What the log will tell of it, while it relays: for the operator who asks.
    opening: RefCell<Option<Box<Opening>>>,
    /// It is over.
    gone: Cell<bool>,
    /// It was told to end with the service.
    stopped: Cell<bool>,
    /// What the session is to do when it is polled next.
    order: Cell<Order>,
    waker: RefCell<Option<Waker>>,
    scheduled: Cell<Tick>,
}

/// What the wheel or the operator asks of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing.
    #[default]
    None,
    /// Look at your deadlines and peers.
    Check,
    /// Say that you are being set up: an operator asks.
    Say,
    /// End: your endpoint is dead, for this reason.
    Reset(Reason),
    /// End, if you are still at rest: your endpoint has too many sessions.
    MoveOn,
    /// End: the operator wants it.
    Close,
    /// End: the service stops.
    Stop,
}

impl Watch {
    fn new(now: Tick) -> Self {
        Self {
            active: Cell::new(now),
            checked: Cell::new(now),
            owed: Cell::new(false),
            patience: Cell::new(None),
            endpoint: Cell::new(None),
            bytes: Cell::new((0, 0)),
            opening: RefCell::new(None),
            gone: Cell::new(false),
            stopped: Cell::new(false),
            order: Cell::new(Order::None),
            waker: RefCell::new(None),
            scheduled: Cell::new(now),
        }
    }

    /// Notes the endpoint that the session stands on.
    pub(crate) fn stands_on(&self, endpoint: Key) {
        self.endpoint.set(Some(endpoint));
    }

    /// Tells the session to end with its endpoint; says whether it was still there.
    pub(crate) fn reset(&self, reason: Reason) -> bool {
        self.give(Order::Reset(reason));
        !self.gone.get()
    }

    /// Tells a session at rest to end, so that its client connects anew.
    pub(crate) fn move_on(&self) {
        self.give(Order::MoveOn);
    }

    /// For how long no byte has moved, where the session stands on an endpoint and nothing else is
    /// asked or expected of it.
    fn rest(&self, now: Tick) -> Option<(Key, Duration)> {
        let waits = self.owed.get() || self.gone.get() || self.order.get() != Order::None;
        let endpoint = self.endpoint.get().filter(|_| !waits)?;
        Some((endpoint, now.elapsed_since(self.active.get())))
    }

    /// Tells the session to end, for the operator wants it.
    pub(crate) fn close(&self) {
        self.give(Order::Close);
    }

    /// Tells the session to end with the service; says whether it was still there and not told before.
    pub(crate) fn stop(&self) -> bool {
        self.give(Order::Stop);
        !self.stopped.replace(true) && !self.gone.get()
    }

    /// Asks a session that is being set up to say so, unless it has been told something else; says
    /// whether it will be asked.
    fn ask(&self) -> bool {
        let asked = self.opening.borrow().is_none() && self.order.get() == Order::None;
        if asked {
            self.give(Order::Say);
        }
        asked
    }

    /// What the session leaves here while it relays.
    pub(crate) fn opening(&self) -> &RefCell<Option<Box<Opening>>> {
        &self.opening
    }

    /// For how long no byte has moved, either way.
    pub(crate) fn idle(&self, now: Tick) -> Duration {
        now.elapsed_since(self.active.get())
    }

    /// Bytes delivered to the endpoint and to the client.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        self.bytes.get()
    }

    /// Takes the standing order.
    pub(crate) fn take_order(&self) -> Order {
        self.order.take()
    }

    /// Remembers how the session is woken: it begins in one task and relays in another.
    pub(crate) fn wake_by(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    fn give(&self, order: Order) {
        // A check must not hide what ends the session.
        let weaker = match self.order.get() {
            Order::None | Order::Check | Order::Say => true,
            Order::MoveOn => order != Order::Check,
            Order::Reset(_) | Order::Close | Order::Stop => false,
        };
        if weaker {
            self.order.set(order);
        }
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Whether the session must look at itself.
    fn needs_check(&self, now: Tick) -> bool {
        let late = self.patience.get().is_some_and(|p| now.since(self.active.get()) >= ticks(p));
        late || self.owed.get() || self.active.get() >= self.checked.get()
    }

    fn next_visit(&self, now: Tick) -> Tick {
        if self.owed.get() {
            return now.plus(URGENT);
        }
        let busy = now.elapsed_since(self.active.get()) < BUSY;
        let usual = now.plus(if busy { BUSY } else { QUIET });
        // The end of the session's patience is met, not noticed some rounds later.
        let end = self.patience.get().map(|patience| self.active.get().plus(patience));
        end.map_or(usual, |end| end.max(now.plus(URGENT)).min(usual))
    }
}

/// The sessions of one worker.
#[derive(Debug)]
pub(crate) struct Registry {
    sessions: RefCell<Slab<Rc<Watch>>>,
    wheel: RefCell<[Vec<usize>; SLOTS]>,
    now: Cell<Tick>,
    tick_time: Cell<Time>,
    /// The start of the clock of `policy`.
    began: Instant,
    stopping: Cell<bool>,
    /// What sessions that are being set up said since they were asked.
    said: RefCell<Vec<SettingUp>>,
}

/// A session that is being set up. It carries this about in no other form: it is asked when somebody
/// wants to know.
#[derive(Debug)]
pub(crate) struct SettingUp {
    pub(crate) id: SessionId,
    pub(crate) listener: Arc<str>,
    /// Whoever has connected; a PROXY header is not looked at yet.
    pub(crate) peer: SocketAddr,
    pub(crate) accepted: Instant,
    pub(crate) watch: Rc<Watch>,
}

/// A session's place in the registry; dropped = gone.
#[derive(Debug)]
pub(crate) struct Entry {
    key: usize,
    watch: Rc<Watch>,
    registry: Rc<Registry>,
}

impl Registry {
    /// An empty one. `began`: the start of the engine.
    pub(crate) fn new(began: Instant) -> Rc<Self> {
        Rc::new(Self {
            sessions: RefCell::default(),
            wheel: RefCell::new(std::array::from_fn(|_| Vec::new())),
            now: Cell::new(Tick(1)),
            tick_time: Cell::new(Time::after_start(began.elapsed())),
            began,
            stopping: Cell::new(false),
            said: RefCell::default(),
        })
    }

    /// The current tick.
    pub(crate) fn now(&self) -> Tick {
        self.now.get()
    }

    /// Whether no session is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.borrow().is_empty()
    }

    /// Adds a session.
    pub(crate) fn enter(self: &Rc<Self>) -> Entry {
        let watch = Rc::new(Watch::new(self.now.get()));
        let key = self.sessions.borrow_mut().insert(Rc::clone(&watch));
        self.schedule(key, &watch, watch.next_visit(self.now.get()));
        if self.stopping.get() {
            watch.stop();
        }
        Entry { key, watch, registry: Rc::clone(self) }
    }

    /// The sessions that stand on an endpoint.
    pub(crate) fn on(&self, endpoint: Key) -> Vec<Rc<Watch>> {
        let sessions = self.sessions.borrow();
        let on = sessions.iter().filter(|(_, watch)| watch.endpoint.get() == Some(endpoint));
        on.map(|(_, watch)| Rc::clone(watch)).collect()
    }

    /// The sessions without a byte in either direction for `quiet` or longer, each with the endpoint
    /// that it stands on and for how long it has been at rest.
    pub(crate) fn at_rest(&self, quiet: Duration) -> Vec<(Key, Duration, Rc<Watch>)> {
        let now = self.now.get();
        let sessions = self.sessions.borrow();
        let resting = sessions.iter().filter_map(|(_, watch)| {
            let (endpoint, rest) = watch.rest(now)?;
            (rest >= quiet).then(|| (endpoint, rest, Rc::clone(watch)))
        });
        resting.collect()
    }

    /// The time at the last tick: coarse, and costs nothing.
    pub(crate) fn tick_time(&self) -> Time {
        self.tick_time.get()
    }

    /// The time.
    pub(crate) fn time(&self) -> Time {
        Time::after_start(self.began.elapsed())
    }

    /// Every session.
    pub(crate) fn all(&self) -> Vec<Rc<Watch>> {
        self.sessions.borrow().iter().map(|(_, watch)| Rc::clone(watch)).collect()
    }

    /// Asks every session that is being set up to say so; how many will when it is their turn.
    pub(crate) fn ask_who_is_set_up(&self) -> usize {
        self.said.borrow_mut().clear();
        self.sessions.borrow().iter().filter(|(_, watch)| watch.ask()).count()
    }

    /// A session says that it is being set up.
    pub(crate) fn say(&self, setting_up: SettingUp) {
        self.said.borrow_mut().push(setting_up);
    }

    /// How many have said so since they were asked.
    pub(crate) fn said(&self) -> usize {
        self.said.borrow().len()
    }

    /// What they said.
    pub(crate) fn take_said(&self) -> Vec<SettingUp> {
        self.said.take()
    }

    /// Tells every session to end, and every one that begins after this; says to how many that was
    /// news.
    pub(crate) fn stop_all(&self) -> u32 {
        self.stopping.set(true);
        let sessions = self.sessions.borrow();
        let told = sessions.iter().filter(|(_, watch)| watch.stop()).count();
        u32::try_from(told).unwrap_or(u32::MAX)
    }

    /// Lets every session look at what has changed around it.
    pub(crate) fn wake_all(&self) {
        for (_, watch) in &*self.sessions.borrow() {
            if let Some(waker) = &*watch.waker.borrow() {
                waker.wake_by_ref();
            }
        }
    }

    /// One tick has passed: visits the sessions whose turn it is.
    pub(crate) fn tick(&self) {
        let now = Tick(self.now.get().0.saturating_add(1));
        self.now.set(now);
        self.tick_time.set(self.time());
        let due = std::mem::take(&mut self.wheel.borrow_mut()[now.0 as usize % SLOTS]);
        for &key in &due {
            let sessions = self.sessions.borrow();
            // A key may have been given to another session since; that one has a turn of its own.
            let Some(watch) = sessions.get(key).filter(|watch| watch.scheduled.get() == now) else {
                continue;
            };
            if watch.needs_check(now) {
                watch.checked.set(now);
                watch.give(Order::Check);
            }
            self.schedule(key, watch, watch.next_visit(now));
        }
        // Keeps the memory of the slot, unless it was put to use meanwhile.
        let slot = &mut self.wheel.borrow_mut()[now.0 as usize % SLOTS];
        if slot.is_empty() {
            *slot = due;
            slot.clear();
        }
    }

    fn schedule(&self, key: usize, watch: &Watch, at: Tick) {
        watch.scheduled.set(at);
        self.wheel.borrow_mut()[at.0 as usize % SLOTS].push(key);
    }
}

impl Entry {
    pub(crate) fn watch(&self) -> &Rc<Watch> {
        &self.watch
    }

    /// Whether a peer owes something or a direction is stopped. Then the wheel comes by within a
    /// second, not when it would have come to a session at rest.
    pub(crate) fn set_owed(&self, owed: bool) {
        if owed && !self.watch.owed.get() {
            self.registry.schedule(self.key, &self.watch, self.registry.now().plus(URGENT));
        }
        self.watch.owed.set(owed);
    }

    /// Without a byte for so long the session ends. The wheel comes by when that is over, if it would
    /// have come later.
    pub(crate) fn set_patience(&self, patience: Option<Duration>) {
        self.watch.patience.set(patience);
        let Some(patience) = patience else { return };
        let end =
            self.watch.active.get().plus(patience).max(self.registry.now().plus(Tick::LENGTH));
        if end < self.watch.scheduled.get() {
            self.registry.schedule(self.key, &self.watch, end);
        }
    }

    /// The patience that it has.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.watch.patience.get()
    }

    /// Whether that is known.
    pub(crate) fn is_owed(&self) -> bool {
        self.watch.owed.get()
    }

    /// Notes how many bytes were delivered, each way.
    pub(crate) fn carried(&self, bytes: (u64, u64)) {
        self.watch.bytes.set(bytes);
        self.touch();
    }

    /// Marks that bytes moved just now.
    pub(crate) fn touch(&self) {
        self.watch.active.set(self.registry.now.get());
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.watch.gone.set(true);
        self.registry.sessions.borrow_mut().try_remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(registry: &Registry, duration: Duration) {
        for _ in 0..ticks(duration) {
            registry.tick();
        }
    }

    #[test]
    fn a_session_at_rest_is_left_alone_and_one_past_its_patience_is_woken() {
        let registry = Registry::new(Instant::now());
        let entry = registry.enter();
        run(&registry, Duration::from_secs(6));
        assert_eq!(entry.watch().take_order(), Order::Check, "it was active since the last look");
        run(&registry, Duration::from_secs(60));
        assert_eq!(entry.watch().take_order(), Order::None);
        entry.set_patience(Some(Duration::from_secs(70)));
        run(&registry, Duration::from_secs(20));
        assert_eq!(entry.watch().take_order(), Order::Check);
    }

    #[test]
    fn the_end_of_patience_is_met() {
        let registry = Registry::new(Instant::now());
        let entry = registry.enter();
        entry.set_patience(Some(Duration::from_secs(30)));
        run(&registry, Duration::from_secs(30) - Tick::LENGTH);
        assert_eq!(entry.watch().take_order(), Order::Check, "the look after the first bytes");
        assert_eq!(entry.watch().take_order(), Order::None);
        run(&registry, Tick::LENGTH);
        assert_eq!(entry.watch().take_order(), Order::Check, "and at the end of its patience");
    }

    #[test]
    fn a_short_patience_is_met_as_well() {
        let registry = Registry::new(Instant::now());
        let entry = registry.enter();
        run(&registry, Duration::from_secs(1));
        entry.set_patience(Some(Duration::from_secs(3)));
        run(&registry, Duration::from_secs(2));
        assert_eq!(entry.watch().take_order(), Order::Check);
    }

    #[test]
    fn a_session_that_is_owed_something_is_visited_every_second() {
        let registry = Registry::new(Instant::now());
        let entry = registry.enter();
        entry.set_owed(true);
        run(&registry, URGENT);
        assert_eq!(entry.watch().take_order(), Order::Check, "at once, not at the next round");
        for _ in 0..5 {
            entry.watch().take_order();
            run(&registry, URGENT);
            assert_eq!(entry.watch().take_order(), Order::Check);
        }
    }

    #[test]
    fn a_key_that_is_used_again_is_not_taken_for_the_old_session() {
        let registry = Registry::new(Instant::now());
        drop(registry.enter());
        run(&registry, Duration::from_secs(3));
        let entry = registry.enter();
        run(&registry, Duration::from_secs(3));
        assert_eq!(entry.watch().take_order(), Order::None);
        assert_eq!(registry.sessions.borrow().len(), 1);
        drop(entry);
        run(&registry, Duration::from_secs(30));
        assert!(registry.wheel.borrow().iter().all(Vec::is_empty));
    }

    #[test]
    fn a_stop_is_not_overwritten_by_a_check() {
        let registry = Registry::new(Instant::now());
        let entry = registry.enter();
        registry.stop_all();
        run(&registry, Duration::from_secs(6));
        assert_eq!(entry.watch().take_order(), Order::Stop);
    }
}
