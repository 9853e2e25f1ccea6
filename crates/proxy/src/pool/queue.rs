//! Limits of endpoints, and the queue of sessions that wait for a place. Whose turn it is:
//! `eclusa_policy::queue`.
//!
//! A limited endpoint counts its places exactly, in one number that all workers share; without a limit
//! nobody touches it. Every way to an endpoint goes through a lease, and no lease is made without a
//! place: rivals of a slow dial and of a first flight count as well. Sessions that stood when a reload
//! brought the limit fill it up, too, and whoever waits hears when one of them ends.
//!
//! While every endpoint worth waiting for is at its limit, a session waits in the queue of its pool.
//! How it is woken, whichever worker it is on:
//!
//! - **Handed over, not announced.** Whoever drops a lease gives the place back and, if anybody
//!   waits, looks through the queue under its lock: a waiter who can use the place gets it while it
//!   counts as taken, through a one-shot channel that wakes its worker. One place wakes one waiter,
//!   and nobody who comes later overtakes: a new session joins the queue when it is not empty.
//! - **No wake-up is lost.** A session that joins makes itself known (`waiting`) before it looks for
//!   a place; who gives one back does so before it looks whether anybody waits. Both in sequential
//!   consistency: one of the two sees the other.
//! - **No wake-up is swallowed.** A place under way is a [`Grant`] that gives itself back when
//!   dropped: a waiter that is gone by then, or goes before it looks, passes it on.
//! - **The lock** is held for a look through the queue, never across an `await`; wakers are called
//!   after it is released.
//!
//! A changed verdict or set of endpoints is looked at for everybody who waits: some may go on at
//! once, and those for whom no endpoint is left are told so.

use super::Endpoint;
use crate::admin::AdminState;
use eclusa_policy::queue::{Full, Queue, Ticket, Turn};
use eclusa_policy::verdict::Tier;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Whether a session rather waits for a place on an endpoint of this tier than it goes to one of a
/// worse. It goes there all the same where it would be turned away.
pub(super) fn is_worth_waiting_for(tier: Tier) -> bool {
    tier < Tier::Draining
}

/// A place on an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// One of as many as the endpoint's limit.
    Counted,
    /// There was no limit when it was taken.
    Uncounted,
}

/// The places of an endpoint, where it has a limit.
#[derive(Debug)]
pub(super) struct Places {
    taken: AtomicU32,
    line: Weak<Line>,
}

impl Places {
    pub(super) fn taken(&self) -> u32 {
        self.taken.load(Ordering::SeqCst)
    }

    /// Takes a place, if fewer than `limit` are taken.
    pub(super) fn take(&self, limit: u32) -> bool {
        let one_more = |taken| (taken < limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    /// Gives a place back, to whoever waits for it.
    pub(super) fn give_back(&self) {
        self.put_down();
        self.tell_free();
    }

    /// There may be a place: tells whoever waits.
    pub(super) fn tell_free(&self) {
        if let Some(line) = self.line.upgrade()
            && line.somebody_waits()
        {
            line.serve(false);
        }
    }

    pub(super) fn put_down(&self) {
        self.taken.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A place that was taken for somebody; dropped = given back.
pub(crate) struct Grant(Option<(Arc<Endpoint>, Place)>);

impl Grant {
    /// The endpoint and the place, which whoever has it now owes.
    pub(super) fn into_place(mut self) -> Option<(Arc<Endpoint>, Place)> {
        self.0.take()
    }

    /// Gives the place back without a look at who waits.
    fn put_down(mut self) {
        if let Some((endpoint, place)) = self.0.take() {
            endpoint.put_place_down(place);
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if let Some((endpoint, place)) = self.0.take() {
            endpoint.give_place_back(place);
        }
    }
}

/// What a waiter is told.
enum Answer {
    /// Go there.
    Go(Grant),
    /// No endpoint is left for it.
    Nobody,
}

struct Waiter {
    /// Endpoints that it has tried.
    excluded: Box<[SocketAddr]>,
    tell: oneshot::Sender<Answer>,
}

type Served = Vec<(Waiter, Answer)>;

/// The queue of a pool.
pub(crate) struct Line {
    /// How long, in milliseconds.
    timeout: AtomicU64,
    /// How many wait, those who are about to included.
    waiting: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    queue: Queue<Waiter>,
    endpoints: Arc<Vec<Arc<Endpoint>>>,
    /// The places of every endpoint that is there or still has sessions: an address that left the pool
    /// and comes back goes on counting.
    known: HashMap<SocketAddr, Weak<Places>>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Line {
    pub(super) fn new(length: usize, timeout: Duration) -> Arc<Self> {
        let (queue, endpoints) = (Queue::new(length), Arc::default());
        let state = Mutex::new(State { queue, endpoints, known: HashMap::new() });
        let line = Self { timeout: AtomicU64::new(0), waiting: AtomicUsize::new(0), state };
        line.set_bounds(length, timeout);
        Arc::new(line)
    }

    /// How many may wait, and how long: those who come from now on.
    pub(super) fn set_bounds(&self, length: usize, timeout: Duration) {
        self.lock().queue.set_limit(length);
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.timeout.store(millis, Ordering::Relaxed);
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout.load(Ordering::Relaxed))
    }

    /// The places of an endpoint, by its address.
    pub(super) fn places(self: &Arc<Self>, address: SocketAddr) -> Arc<Places> {
        let mut state = self.lock();
        if let Some(places) = state.known.get(&address).and_then(Weak::upgrade) {
            return places;
        }
        let places = Arc::new(Places { taken: AtomicU32::new(0), line: Arc::downgrade(self) });
        state.known.insert(address, Arc::downgrade(&places));
        places
    }

    pub(super) fn set_endpoints(&self, endpoints: Arc<Vec<Arc<Endpoint>>>) {
        let mut state = self.lock();
        state.known.retain(|_, places| places.strong_count() > 0);
        state.endpoints = endpoints;
    }

    /// A verdict or the set of endpoints has changed: looks at everybody who waits.
    pub(super) fn review(&self) {
        self.serve(true);
    }

    pub(super) fn somebody_waits(&self) -> bool {
        self.waiting() > 0
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, everybody: bool) {
        loop {
            let served = {
                let mut state = self.lock();
                let served = state.serve(everybody);
                self.waiting.store(state.queue.len(), Ordering::SeqCst);
                served
            };
            if tell(served) {
                return;
            }
        }
    }

    /// A place at once, or one in the queue.
    fn join(self: &Arc<Self>, excluded: &[SocketAddr]) -> Result<Joined, NoPlace> {
        let mut state = self.lock();
        self.waiting.store(state.queue.len() + 1, Ordering::SeqCst);
        // Whatever is free belongs to those in front.
        let served = state.serve(false);
        let joined = match turn(&state.open(), excluded) {
            Turn::Leave(Answer::Go(grant)) => Ok(Joined::Go(grant)),
            Turn::Leave(Answer::Nobody) => Err(NoPlace::Nobody),
            Turn::Wait | Turn::Enough => {
                let (tell, answer) = oneshot::channel();
                match state.queue.push(Waiter { excluded: excluded.into(), tell }) {
                    Ok(ticket) => {
                        Ok(Joined::Waits(Waiting { line: Arc::clone(self), ticket, answer }))
                    }
                    Err(Full) => Err(NoPlace::QueueFull),
                }
            }
        };
        self.waiting.store(state.queue.len(), Ordering::SeqCst);
        drop(state);
        if !tell(served) {
            self.serve(false);
        }
        joined
    }

    fn leave(&self, ticket: Ticket) {
        let mut state = self.lock();
        state.queue.leave(ticket);
        self.waiting.store(state.queue.len(), Ordering::SeqCst);
    }
}

/// Tells those who leave the queue; says whether all were there to hear it. If not, places are free
/// again that others may wait for.
fn tell(served: Served) -> bool {
    let mut all = true;
    for (waiter, answer) in served {
        if let Err(Answer::Go(grant)) = waiter.tell.send(answer) {
            grant.put_down();
            all = false;
        }
    }
    all
}

impl State {
    fn serve(&mut self, everybody: bool) -> Served {
        if self.queue.is_empty() {
            return Vec::new();
        }
        let open = self.open();
        self.queue.serve(|waiter| {
            if !everybody && !anything_is_free(&open) {
                return Turn::Enough;
            }
            turn(&open, &waiter.excluded)
        })
    }

    /// Endpoints that can take traffic, the best group first.
    fn open(&self) -> Vec<(Tier, Arc<Endpoint>)> {
        let ready = self.endpoints.iter().filter(|other| other.admin() == AdminState::Ready);
        let all = ready.map(|endpoint| (endpoint.report().tier, endpoint.clone()));
        let mut open: Vec<_> = all.filter(|(tier, _)| *tier != Tier::Closed).collect();
        open.sort_by_key(|(tier, endpoint)| (*tier, endpoint.is_backup()));
        open
    }
}

fn anything_is_free(open: &[(Tier, Arc<Endpoint>)]) -> bool {
    usable(open, &[]).any(|(_, endpoint)| endpoint.has_place())
}

/// The endpoints that a session waits for which has tried `excluded`: the good ones, or where none
/// is left the others.
fn usable<'a>(
    open: &'a [(Tier, Arc<Endpoint>)],
    excluded: &'a [SocketAddr],
) -> impl Iterator<Item = &'a (Tier, Arc<Endpoint>)> {
    let left = move || open.iter().filter(|(_, e)| !excluded.contains(&e.address()));
    let worth = left().any(|(tier, _)| is_worth_waiting_for(*tier));
    left().filter(move |(tier, _)| !worth || is_worth_waiting_for(*tier))
}

fn turn(open: &[(Tier, Arc<Endpoint>)], excluded: &[SocketAddr]) -> Turn<Answer> {
    if usable(open, excluded).next().is_none() {
        return Turn::Leave(Answer::Nobody);
    }
    loop {
        let free = usable(open, excluded).filter(|(_, endpoint)| endpoint.has_place());
        let best = free.min_by_key(|(tier, e)| (*tier, e.is_backup(), e.relative_load()));
        let Some((_, endpoint)) = best else { return Turn::Wait };
        // Fails where somebody who came when the queue was empty took it meanwhile.
        if let Some(place) = endpoint.take_place() {
            return Turn::Leave(Answer::Go(Grant(Some((endpoint.clone(), place)))));
        }
    }
}

enum Joined {
    Go(Grant),
    Waits(Waiting),
}

/// A place in the queue; dropped = left. What was on its way to it is given back then.
struct Waiting {
    line: Arc<Line>,
    ticket: Ticket,
    answer: oneshot::Receiver<Answer>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.line.leave(self.ticket);
    }
}

/// Why a session has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// No endpoint is left.
    Nobody,
    QueueFull,
    TooLong,
    ClientLeft,
}

/// What came of it that a session had to wait for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    Placed,
    TimedOut,
    /// Nobody more may wait.
    Full,
    ClientLeft,
    /// No endpoint was left to wait for.
    NoEndpoint,
}

impl Queued {
    /// As metrics name them, in their order.
    pub(crate) const NAMES: [&'static str; 5] =
        ["placed", "timed_out", "full", "client_left", "no_endpoint"];

    pub(super) fn of(placed: &Result<Grant, NoPlace>) -> Self {
        match placed {
            Ok(_) => Self::Placed,
            Err(NoPlace::TooLong) => Self::TimedOut,
            Err(NoPlace::QueueFull) => Self::Full,
            Err(NoPlace::ClientLeft) => Self::ClientLeft,
            Err(NoPlace::Nobody) => Self::NoEndpoint,
        }
    }
}

/// The time that one session spends in the queue, or one exchange of several on a connection.
#[derive(Debug, Default)]
pub struct QueueTime {
    since: Cell<Option<Instant>>,
    before: Cell<Duration>,
}

impl QueueTime {
    /// Whether it waits, or waited when it was told to end.
    pub(crate) fn is_running(&self) -> bool {
        self.since.get().is_some()
    }

    /// All of it until now.
    #[must_use]
    pub fn spent(&self) -> Duration {
        self.before.get() + self.since.get().map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn start(&self) {
        self.since.set(Some(Instant::now()));
    }

    fn stop(&self) {
        self.before.set(self.spent());
        self.since.set(None);
    }
}

/// A session that may wait.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    /// `None`: whoever waits looks after its client itself.
    pub(crate) client: Option<&'a TcpStream>,
    /// The client has said something that is no ClientHello, so that its FIN may be a half-close: it
    /// still wants the answer. Of one that said nothing, or speaks TLS, it means that it left.
    pub(crate) may_half_close: bool,
    pub(crate) time: &'a QueueTime,
}

impl Patience<'_> {
    /// Waits for a place on an endpoint that is not in `excluded`.
    pub(super) async fn place(
        &self,
        line: &Arc<Line>,
        excluded: &[SocketAddr],
    ) -> Result<Grant, NoPlace> {
        let mut waiting = match line.join(excluded)? {
            Joined::Go(grant) => return Ok(grant),
            Joined::Waits(waiting) => waiting,
        };
        let left = line.timeout().saturating_sub(self.time.spent());
        self.time.start();
        let outcome = tokio::select! {
            biased;
            answer = &mut waiting.answer => match answer {
                Ok(Answer::Go(grant)) => Ok(grant),
                // The sender is never dropped without a word.
                Ok(Answer::Nobody) | Err(_) => Err(NoPlace::Nobody),
            },
            () = gone(self.client, self.may_half_close) => Err(NoPlace::ClientLeft),
            () = sleep(left) => Err(NoPlace::TooLong),
        };
        self.time.stop();
        outcome
    }
}

/// Returns when the client has left.
async fn gone(client: Option<&TcpStream>, may_half_close: bool) {
    let Some(client) = client else { return pending().await };
    let mut byte = [0; 1];
    let peeked = poll_fn(|context| client.poll_peek(context, &mut ReadBuf::new(&mut byte))).await;
    match peeked {
        Err(_) => return,
        Ok(0) if !may_half_close => return,
        Ok(_) => {}
    }
    // Bytes of its own stand before its end: from here on only a reset can be told.
    // Whatever this yields, the connection has an error.
    let _ = client.ready(Interest::ERROR).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn line() -> Arc<Line> {
        Line::new(0, Duration::from_secs(1))
    }

    #[test]
    fn no_two_take_the_last_place() {
        let places = line().places(([10, 0, 0, 11], 6443).into());
        let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
        let turn = || {
            if places.take(3) {
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
                places.give_back();
            }
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..20_000).for_each(|_| turn()));
            }
        });
        assert_eq!((most.into_inner(), places.taken()), (3, 0));
    }

    #[test]
    fn an_address_that_comes_back_goes_on_counting() {
        let (line, address) = (line(), SocketAddr::from(([10, 0, 0, 11], 6443)));
        let before = line.places(address);
        assert!(before.take(2));
        let again = line.places(address);
        assert!(again.take(2) && !again.take(2) && !before.take(2));
        assert!(line.places(([10, 0, 0, 12], 6443).into()).take(2), "another endpoint of the pool");
        drop((before, again));
        assert_eq!(line.places(address).taken(), 0);
    }
}
