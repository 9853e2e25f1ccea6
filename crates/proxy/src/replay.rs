//! First-flight replay: an endpoint that leaves a whole ClientHello unanswered gets a rival that is
//! sent the same, and the first byte of either wins. One that closes or resets before its first
//! byte is a dial that failed: another endpoint at once.
//!
//! Whether a flight may be sent again, when, and how often: `eclusa_policy::replay`.

use crate::engine::Worker;
use crate::observe::{End, Step, Who};
use crate::pool::{
    Call, DialFailure, Dialled, Endpoint, FailureKind, Lease, OwnMap, Patience, Pool, PoolId, dial,
};
use eclusa_policy::replay::{Replay, Settings};
use eclusa_policy::verdict::{DialFault, Evidence};
use eclusa_sys::socket::reset_on_close;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// When neither endpoint has answered for this long the relay goes on with the first alone.
const RACE: Duration = Duration::from_secs(10);

/// The replays of a worker's pools.
pub(crate) struct Replays {
    workers: u32,
    pools: RefCell<OwnMap<PoolId, OfPool>>,
}

struct OfPool {
    settings: Settings,
    endpoints: Arc<Vec<Arc<Endpoint>>>,
    replay: Replay,
}

impl Replays {
    pub(crate) fn new(workers: usize) -> Self {
        let workers = u32::try_from(workers).unwrap_or(u32::MAX);
        Self { workers, pools: RefCell::default() }
    }

    /// Forgets the pools that no configuration names any more.
    pub(crate) fn retain(&self, pools: &[Arc<Pool>]) {
        self.pools.borrow_mut().retain(|id, _| pools.iter().any(|pool| pool.id() == *id));
    }

    /// Lets `ask` look at the replays of a pool; `None` where there are none.
    fn with<T>(&self, pool: &Pool, ask: impl FnOnce(&mut Replay) -> T) -> Option<T> {
        let settings = pool.plan().replay?;
        let mut pools = self.pools.borrow_mut();
        let endpoints = pool.endpoints();
        let begin = || OfPool {
            replay: Replay::new(settings, endpoints.len(), self.workers),
            endpoints: endpoints.clone(),
            settings,
        };
        let of_pool = pools.entry(pool.id()).or_insert_with(begin);
        if of_pool.settings != settings {
            *of_pool = begin();
        }
        if !Arc::ptr_eq(&endpoints, &of_pool.endpoints) {
            of_pool.replay.set_endpoints(endpoints.len());
            of_pool.endpoints = endpoints;
        }
        Some(ask(&mut of_pool.replay))
    }

    fn slot(&self, pool: &Pool, endpoint: &Endpoint) -> u32 {
        let endpoints = pool.endpoints();
        let slot = endpoints.iter().position(|known| known.key() == endpoint.key());
        slot.and_then(|slot| u32::try_from(slot).ok()).unwrap_or(u32::MAX)
    }
}

/// A first flight that may be sent again.
pub(crate) struct Flight<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) pool: &'a Pool,
    pub(crate) client: &'a TcpStream,
    pub(crate) source: IpAddr,
    /// The whole ClientHello, and nothing else.
    pub(crate) hello: &'a [u8],
    /// The PROXY header to send before it, made anew for each endpoint.
    pub(crate) header: &'a dyn Fn() -> Vec<u8>,
    /// Dials that the budget still allows.
    pub(crate) tries_left: u32,
    /// For a session that has no endpoint any more; a rival waits for no place.
    pub(crate) patience: Patience<'a>,
}

/// An endpoint that was sent the flight.
pub(crate) struct Runner {
    pub(crate) stream: TcpStream,
    pub(crate) lease: Lease,
    /// What its socket has not taken yet.
    pub(crate) unsent: Vec<u8>,
    pub(crate) sent_at: Instant,
}

/// Who goes on with the session.
pub(crate) struct Won {
    pub(crate) runner: Runner,
    /// Whether the flight was sent to a second endpoint.
    pub(crate) replayed: bool,
    /// Dials beside the first.
    pub(crate) tries: u32,
}

enum Event {
    Byte(usize),
    Lost(usize, Option<io::Error>),
    Dialled(Result<Dialled, DialFailure>),
    /// The client said more, or closed: from here on nothing can be sent twice.
    Client,
    /// It takes longer than is usual.
    Slow,
    TimeIsUp,
}

type Dialling<'a> = Pin<Box<dyn Future<Output = Result<Dialled, DialFailure>> + 'a>>;

struct Race<'a> {
    flight: &'a Flight<'a>,
    /// The first endpoint and its rival.
    runners: [Option<Runner>; 2],
    dialling: Option<Dialling<'a>>,
    tried: Vec<SocketAddr>,
    replayed: bool,
    tries: u32,
    until: Instant,
    /// When the first endpoint's silence is worth a question to it; asked once.
    slow_at: Option<Instant>,
}

/// Waits for the first byte of `first`, which has been sent the flight, and sends it to another
/// endpoint when none comes.
///
/// # Errors
/// Every endpoint that was tried closed before its first byte.
pub(crate) async fn first_byte(flight: &Flight<'_>, first: Runner) -> Result<Won, End> {
    let now = flight.worker.time();
    let clock = flight.worker.replays().with(flight.pool, |replay| {
        replay.session(now);
        (replay.clock(now), replay.hint(now))
    });
    let Some((clock, hint)) = clock else {
        return Ok(Won { runner: first, replayed: false, tries: 0 });
    };
    let mut race = Race {
        flight,
        tried: vec![first.lease.endpoint().address()],
        until: first.sent_at + clock,
        slow_at: Some(first.sent_at + hint),
        runners: [Some(first), None],
        dialling: None,
        replayed: false,
        tries: 0,
    };
    race.run().await
}

impl Race<'_> {
    async fn run(&mut self) -> Result<Won, End> {
        loop {
            match self.next().await {
                Event::Byte(index) => return self.won(index),
                Event::Lost(index, error) => {
                    self.lost(index, error.as_ref());
                    if self.is_alone() && self.dialling.is_none() && !self.dial_another() {
                        return Err(closed(error.as_ref()));
                    }
                }
                Event::Dialled(Ok(dialled)) => self.start(dialled),
                Event::Dialled(Err(failure)) if self.is_alone() => {
                    return Err(self.nobody_took(&failure));
                }
                Event::Dialled(Err(_)) => {}
                Event::Client => return self.go_on(),
                Event::Slow => self.tell_slow(),
                Event::TimeIsUp if self.replayed || !self.may_replay() => return self.go_on(),
                Event::TimeIsUp => {
                    self.replayed = true;
                    self.until = Instant::now() + RACE;
                    if !self.dial_another() {
                        return self.go_on();
                    }
                }
            }
        }
    }

    async fn next(&mut self) -> Event {
        // Once somebody else has the flight, too, the client's bytes wait for the winner.
        let watch_client = !self.replayed && self.tries == 0;
        let (runners, dialling, client) = (&self.runners, &mut self.dialling, self.flight.client);
        let race = poll_fn(|context| {
            for (index, runner) in runners.iter().enumerate() {
                let Some(runner) = runner else { continue };
                match peek(&runner.stream, context) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(true)) => return Poll::Ready(Event::Byte(index)),
                    Poll::Ready(Ok(false)) => return Poll::Ready(Event::Lost(index, None)),
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Event::Lost(index, Some(error)));
                    }
                }
            }
            if let Some(future) = dialling
                && let Poll::Ready(result) = future.as_mut().poll(context)
            {
                *dialling = None;
                return Poll::Ready(Event::Dialled(result));
            }
            if watch_client && peek(client, context).is_ready() {
                return Poll::Ready(Event::Client);
            }
            Poll::Pending
        });
        if self.runners.iter().all(Option::is_none) {
            // The dial has a budget of its own, and there is nothing else to wait for.
            return race.await;
        }
        match timeout_at(self.slow_at.unwrap_or(self.until), race).await {
            Ok(event) => event,
            Err(_) if self.slow_at.take().is_some() => Event::Slow,
            Err(_) => Event::TimeIsUp,
        }
    }

    /// Whether no endpoint has the flight.
    fn is_alone(&self) -> bool {
        self.runners.iter().all(Option::is_none)
    }

    fn nobody_took(&self, failure: &DialFailure) -> End {
        match failure.kind {
            FailureKind::QueueFull | FailureKind::QueuedTooLong | FailureKind::ClientLeft => {
                crate::session::end_of(failure, self.flight.pool)
            }
            _ => closed(None),
        }
    }

    /// Lets the probes have a look at the first endpoint: if it is silent they find it the sooner.
    fn tell_slow(&self) {
        if let Some(first) = &self.runners[0] {
            let (worker, endpoint) = (self.flight.worker, first.lease.endpoint());
            let since = worker.time_of(first.sent_at.into_std());
            worker.signal(self.flight.pool, endpoint, Evidence::Slow { since });
        }
    }

    /// Whether the flight may be sent again now that the clock has run out.
    fn may_replay(&self) -> bool {
        let Some(first) = &self.runners[0] else { return true };
        let (worker, pool) = (self.flight.worker, self.flight.pool);
        let endpoint = first.lease.endpoint();
        let now = worker.time();
        let since = worker.time_of(first.sent_at.into_std());
        worker.signal(pool, endpoint, Evidence::Unanswered { since });
        let slot = worker.replays().slot(pool, endpoint);
        if self.flight.tries_left == 0 {
            return false;
        }
        let Some(begun) = worker.replays().with(pool, |replay| replay.begin(slot, now)) else {
            return false;
        };
        pool.cells().replay(worker.index(), begun);
        begun.is_ok()
    }

    /// Begins to dial an endpoint that was not tried; says whether the budget allowed it.
    fn dial_another(&mut self) -> bool {
        let flight = self.flight;
        if self.tries >= flight.tries_left {
            return false;
        }
        self.tries += 1;
        let patience = self.is_alone().then_some(flight.patience);
        let excluded = self.tried.clone();
        let call = Call { source: flight.source, key: None, excluded, first: None, patience };
        self.dialling = Some(Box::pin(dial(flight.worker, flight.pool, call)));
        true
    }

    /// Sends the flight to the endpoint that was dialled.
    fn start(&mut self, dialled: Dialled) {
        let Dialled { stream, lease, .. } = dialled;
        self.tried.push(lease.endpoint().address());
        let mut unsent = (self.flight.header)();
        unsent.extend_from_slice(self.flight.hello);
        let sent_at = Instant::now();
        if let Ok(written) = stream.try_write(&unsent) {
            unsent.drain(..written);
        }
        let runner = Runner { stream, lease, unsent, sent_at };
        let free = if self.runners[0].is_none() { 0 } else { 1 };
        self.runners[free] = Some(runner);
        if !self.replayed {
            // A second dial, not a replay: it has a clock of its own.
            let now = self.flight.worker.time();
            let clock = self.flight.worker.replays().with(self.flight.pool, |r| r.clock(now));
            self.until = sent_at + clock.unwrap_or(RACE);
        }
    }

    fn lost(&mut self, index: usize, error: Option<&io::Error>) {
        let Some(runner) = self.runners[index].take() else { return };
        let (worker, pool) = (self.flight.worker, self.flight.pool);
        let endpoint = runner.lease.endpoint();
        worker.signal(pool, endpoint, Evidence::DialFailed(DialFault::Reset));
        if pool.plan().early_ends_weigh {
            worker.pickers().ended_early(pool.id(), endpoint, worker.time());
        }
        if error.is_none() {
            reset_on_close(runner.stream.as_fd());
        }
    }

    fn won(&mut self, index: usize) -> Result<Won, End> {
        let (worker, pool) = (self.flight.worker, self.flight.pool);
        if let Some(runner) = &self.runners[index] {
            let (took, now) = (runner.sent_at.elapsed(), worker.time());
            let slot = worker.replays().slot(pool, runner.lease.endpoint());
            runner.lease.heard(now, || now, false);
            if self.replayed {
                pool.cells().replay_won(worker.index(), index == 1);
            }
            worker.replays().with(pool, |replay| {
                replay.first_byte(slot, took, now);
                if self.replayed {
                    replay.won(index == 1);
                }
            });
        }
        self.leave_with(index)
    }

    /// No more waiting: the session goes on with the first endpoint, answered or not.
    fn go_on(&mut self) -> Result<Won, End> {
        let index = usize::from(self.runners[0].is_none());
        self.leave_with(index)
    }

    fn leave_with(&mut self, index: usize) -> Result<Won, End> {
        let (replayed, tries) = (self.replayed, self.tries);
        let winner = self.runners[index].take();
        for loser in self.runners.iter_mut().filter_map(Option::take) {
            reset_on_close(loser.stream.as_fd());
        }
        let runner = winner.ok_or_else(|| closed(None))?;
        Ok(Won { runner, replayed, tries })
    }
}

/// Whether a byte waits (`true`) or the stream has ended (`false`).
fn peek(stream: &TcpStream, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
    let mut byte = [0; 1];
    stream.poll_peek(context, &mut ReadBuf::new(&mut byte)).map_ok(|read| read > 0)
}

fn closed(error: Option<&io::Error>) -> End {
    let reason = match error {
        Some(error) => {
            format!("{} before the endpoint's first byte", crate::relay::reason_of(error))
        }
        None => "closed before the endpoint's first byte".to_owned(),
    };
    End::abort(Who::Endpoint, Step::Dial, reason)
}
