//! Dialling: bounded tries on endpoints of a pool, before the first byte.

use super::pick::Unpicked;
use super::queue::{NoPlace, Patience, Queued};
use super::{Endpoint, Lease, Pool, Wanted};
use crate::drill::{Drill, Met};
use crate::engine::Worker;
use eclusa_policy::verdict::{DialFault, Evidence};
use eclusa_sys::socket::{connect, is_local_trouble, reset_on_close};
use eclusa_sys::transfer::known;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream as StdTcpStream};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Pause before a dial is repeated that failed for want of something on this host.
const LOCAL_PAUSE: Duration = Duration::from_millis(100);
/// Such pauses take nothing from the budget, up to this: the client has been accepted, and waiting
/// is better for it than a reset while no endpoint is to blame.
const LOCAL_AT_MOST: Duration = Duration::from_secs(30);

/// With nobody else to dial, an attempt without an answer is begun anew after this: its SYN may have
/// left over a way that is gone (a leg of this host that was down), and would stay on it.
const RENEW: Duration = Duration::from_millis(1500);
/// After this share of `hedge_after` the probes are to have a look at an endpoint that has not answered.
const SLOW: f64 = 0.4;
/// Endpoints dialled side by side at most.
const AT_ONCE: usize = 3;

/// A connection to an endpoint.
pub(crate) struct Dialled {
    pub(crate) stream: TcpStream,
    pub(crate) lease: Lease,
    pub(crate) tries: u32,
}

/// Why no endpoint could be reached.
#[derive(Debug)]
pub(crate) struct DialFailure {
    pub(crate) tries: u32,
    /// The last endpoint that was tried.
    pub(crate) endpoint: Option<Arc<Endpoint>>,
    pub(crate) kind: FailureKind,
}

#[derive(Debug)]
pub(crate) enum FailureKind {
    /// No endpoint of the pool can take traffic.
    NoEndpoint,
    /// All that can are at their limit, and so is the queue.
    QueueFull,
    /// None of them had a place in time.
    QueuedTooLong,
    /// The client left while it waited for a place.
    ClientLeft,
    /// The budget ran out before any endpoint answered.
    TimedOut,
    /// The last endpoint refused, reset, or could not be reached.
    Failed(io::Error),
    /// This host lacked something (descriptors, ports, a route) for [`LOCAL_AT_MOST`].
    Local(io::Error),
}

/// Who wants a connection.
pub(crate) struct Call<'a> {
    /// The client.
    pub(crate) source: IpAddr,
    /// What decides instead of the client where an endpoint is chosen by a hash.
    pub(crate) key: Option<u64>,
    /// None of these is dialled: a first flight that is sent again goes somewhere else.
    pub(crate) excluded: Vec<SocketAddr>,
    /// Its endpoint is dialled before all others.
    pub(crate) first: Option<Lease>,
    /// Without it the session does not wait for endpoints at their limit.
    pub(crate) patience: Option<Patience<'a>>,
}

struct Attempt {
    way: Way,
    lease: Lease,
    began: Instant,
}

/// How far an attempt is.
enum Way {
    Connecting(TcpStream),
    /// A drill holds it: it fails, or connects then.
    Held(Pin<Box<dyn Future<Output = io::Result<()>>>>),
}

impl Way {
    /// It may stand already, unseen. Closing it in good order would leave our port in TIME_WAIT for a minute; where
    /// clients that break off have used most of them up, the kernel searches milliseconds for one that is free.
    fn abandon(&self) {
        if let Self::Connecting(stream) = self {
            reset_on_close(stream.as_fd());
        }
    }
}

impl Attempt {
    /// Whether its connection stands.
    fn poll_stands(&mut self, pool: &Pool, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Way::Held(hold) = &mut self.way {
            ready!(hold.as_mut().poll(context))?;
            self.way = Way::Connecting(Dialler::connect(pool, self.lease.endpoint().address())?);
        }
        let Way::Connecting(stream) = &self.way else { return Poll::Pending };
        ready!(stream.poll_write_ready(context))?;
        Poll::Ready(stands(stream))
    }
}

enum Event {
    Connected(TcpStream, Lease),
    Failed(Lease, io::Error),
    TimeIsUp,
}

/// Connects to an endpoint of the pool at `index`.
///
/// A refused or unreachable endpoint is left at once for another; while none answers, one more is
/// dialled beside the others every `hedge_after`, and the first connection that stands wins. All
/// within the pool's budget of time and tries.
pub(crate) async fn dial(
    worker: &Worker,
    pool: &Pool,
    call: Call<'_>,
) -> Result<Dialled, DialFailure> {
    let Call { source, key, excluded, first, patience } = call;
    let mut dialler = Dialler {
        worker,
        pool,
        source,
        key,
        patience,
        full: false,
        deadline: Instant::now() + pool.plan().dial.timeout,
        tries: 0,
        excluded,
        skipped: Vec::new(),
        running: [const { None }; AT_ONCE],
        rival_at: None,
        slow_at: None,
        failed: None,
        shortage: None,
        paused: Duration::ZERO,
        met: None,
    };
    let dialled = dialler.run(first).await;
    if let Some(met) = dialler.met.take() {
        met.ended(&dialled);
    }
    dialled
}

struct Dialler<'a> {
    worker: &'a Worker,
    pool: &'a Pool,
    /// The client.
    source: IpAddr,
    key: Option<u64>,
    patience: Option<Patience<'a>>,
    /// Another endpoint could take the session if it were not at its limit.
    full: bool,
    deadline: Instant,
    /// Endpoints dialled so far.
    tries: u32,
    /// Endpoints not to be picked: dialled already, or skipped.
    excluded: Vec<SocketAddr>,
    /// Endpoints that this host could not dial for want of something of its own.
    skipped: Vec<SocketAddr>,
    running: [Option<Attempt>; AT_ONCE],
    /// When one more endpoint is to be dialled beside those under way.
    rival_at: Option<Instant>,
    /// When the probes are to hear that the first endpoint is slow to answer.
    slow_at: Option<Instant>,
    // No leases: what is not dialled must not count.
    failed: Option<(Arc<Endpoint>, io::Error)>,
    shortage: Option<(Arc<Endpoint>, io::Error)>,
    /// How long this host has kept the session waiting.
    paused: Duration,
    /// It has met a drill.
    met: Option<Box<Met>>,
}

impl Dialler<'_> {
    async fn run(&mut self, first: Option<Lease>) -> Result<Dialled, DialFailure> {
        match first {
            Some(lease) => self.start_or_next(lease),
            None => self.start_next(),
        }
        loop {
            if self.running.iter().all(Option::is_none) {
                if self.full && self.shortage.is_none() {
                    // Boxed: sessions of pools without limits must not carry its state around.
                    Box::pin(self.wait_for_a_place()).await?;
                } else {
                    self.wait_out_shortage().await?;
                }
                continue;
            }
            let until = self.rival_at.unwrap_or_else(|| self.renew_at()).min(self.deadline);
            let until = self.slow_at.map_or(until, |slow| slow.min(until));
            match self.next_event(until).await {
                Event::Connected(stream, lease) => {
                    return Ok(Dialled { stream, lease, tries: self.tries });
                }
                Event::Failed(lease, error) => {
                    lease.count_failure();
                    let fault = match error.kind() {
                        io::ErrorKind::ConnectionRefused => DialFault::Refused,
                        io::ErrorKind::ConnectionReset => DialFault::Reset,
                        _ => DialFault::TimedOut,
                    };
                    self.tell(&lease, fault);
                    self.failed = Some((lease.endpoint().clone(), error));
                    drop(lease);
                    self.start_next();
                }
                Event::TimeIsUp if Instant::now() >= self.deadline => return Err(self.time_is_up()),
                Event::TimeIsUp if self.slow_at.is_some() => self.tell_slow(),
                Event::TimeIsUp if self.rival_at.is_none() => self.renew(),
                Event::TimeIsUp => self.start_rival(),
            }
        }
    }

    /// Dials one more endpoint beside those that are late.
    fn start_rival(&mut self) {
        // Late, not failed: a fresh probe is to say what it is. Once is enough.
        if !self.full {
            for attempt in self.running.iter().flatten() {
                self.tell(&attempt.lease, DialFault::TimedOut);
            }
        }
        self.start_next();
        if self.full {
            // A rival waits in no queue, it looks again.
            let hedge = self.pool.plan().dial.hedge_after;
            self.rival_at = hedge.map(|after| (Instant::now() + after).min(self.deadline));
            if self.renew_at() <= Instant::now() {
                self.renew();
            }
        }
    }

    /// When the oldest attempt is to be begun anew.
    fn renew_at(&self) -> Instant {
        let oldest = self.running.iter().flatten().map(|attempt| attempt.began).min();
        oldest.map_or(self.deadline, |began| began + RENEW)
    }

    /// Begins the oldest attempt anew, on the same endpoint.
    fn renew(&mut self) {
        let running = self.running.iter().enumerate();
        let oldest = running.filter_map(|(i, a)| a.as_ref().map(|a| (a.began, i))).min();
        let Some((_, index)) = oldest else { return };
        let Some(attempt) = &mut self.running[index] else { return };
        attempt.began = Instant::now();
        if matches!(attempt.way, Way::Held(_)) {
            return;
        }
        let endpoint = attempt.lease.endpoint();
        let fresh = match endpoint.drill() {
            None => Self::connect(self.pool, endpoint.address()).map(Way::Connecting),
            Some(drill) => Ok(Way::Held(Box::pin(drill.meet()))),
        };
        match fresh {
            Ok(way) => std::mem::replace(&mut attempt.way, way).abandon(),
            // The old one may still be answered.
            Err(error) if is_local_trouble(&error) => self.worker.local_trouble(&error),
            Err(_) => {}
        }
    }

    /// Dials the next endpoint, if there is one left and the budget allows it.
    fn start_next(&mut self) {
        self.rival_at = None;
        self.full = false;
        while self.tries < self.pool.plan().dial.tries {
            match self.pick(false) {
                Ok(lease) => {
                    if self.start(lease) {
                        return;
                    }
                }
                Err(unpicked) => {
                    self.full = unpicked == Unpicked::Full;
                    return;
                }
            }
        }
    }

    fn pick(&self, any: bool) -> Result<Lease, Unpicked> {
        let Self { source, key, .. } = *self;
        let (excluded, now) = (&*self.excluded, self.worker.time());
        let wanted = Wanted { source, excluded, now, any, key, at: None };
        self.worker.pickers().pick(self.pool, wanted)
    }

    /// Begins to dial an endpoint; says whether that is under way.
    fn start(&mut self, lease: Lease) -> bool {
        let address = lease.endpoint().address();
        let Some(free) = self.running.iter_mut().find(|running| running.is_none()) else {
            return true;
        };
        self.excluded.push(address);
        let way = match lease.endpoint().drill() {
            None => Self::connect(self.pool, address).map(Way::Connecting),
            Some(drill) => Ok(held(drill, lease.endpoint(), &mut self.met)),
        };
        match way {
            Ok(way) => {
                self.tries += 1;
                let began = Instant::now();
                *free = Some(Attempt { way, lease, began });
                let hedge = self.pool.plan().dial.hedge_after;
                self.rival_at = hedge.map(|after| (began + after).min(self.deadline));
                self.slow_at = match self.tries {
                    1 => hedge.map(|after| began + after.mul_f64(SLOW)),
                    _ => None,
                };
                return true;
            }
            Err(error) if is_local_trouble(&error) => {
                self.worker.local_trouble(&error);
                self.skipped.push(address);
                self.shortage = Some((lease.endpoint().clone(), error));
            }
            Err(error) => {
                self.tries += 1;
                lease.count_failure();
                self.failed = Some((lease.endpoint().clone(), error));
            }
        }
        false
    }

    /// Nothing is under way, and every endpoint worth waiting for is at its limit.
    async fn wait_for_a_place(&mut self) -> Result<(), DialFailure> {
        let Some(patience) = self.patience else { return Err(self.nobody_left()) };
        let began = Instant::now();
        let placed = patience.place(self.pool.line(), &self.excluded).await;
        self.deadline += began.elapsed();
        self.pool.cells().queued(self.worker.index(), Queued::of(&placed));
        let kind = match placed.and_then(|grant| self.worker.pickers().lease(grant)) {
            Ok(lease) => {
                self.start_or_next(lease);
                return Ok(());
            }
            Err(NoPlace::Nobody) => return Err(self.nobody_left()),
            Err(NoPlace::ClientLeft) => FailureKind::ClientLeft,
            Err(NoPlace::QueueFull) => FailureKind::QueueFull,
            Err(NoPlace::TooLong) => FailureKind::QueuedTooLong,
        };
        // Rather an endpoint that is not well than none.
        if !matches!(kind, FailureKind::ClientLeft)
            && let Ok(lease) = self.pick(true)
        {
            self.start_or_next(lease);
            return Ok(());
        }
        let endpoint = self.failed.take().map(|(endpoint, _)| endpoint);
        Err(DialFailure { tries: self.tries, endpoint, kind })
    }

    fn start_or_next(&mut self, lease: Lease) {
        self.full = false;
        if !self.start(lease) {
            self.start_next();
        }
    }

    /// Nothing is under way: whatever this host lacked may come back.
    async fn wait_out_shortage(&mut self) -> Result<(), DialFailure> {
        let Some((endpoint, error)) = self.shortage.take() else { return Err(self.nobody_left()) };
        if self.tries >= self.pool.plan().dial.tries {
            return Err(self.nobody_left());
        }
        // Where an endpoint has failed for its own sake the host is not all that is wrong (an
        // address family that it does not have): then the budget holds, and the client hears soon.
        let only_us = self.failed.is_none();
        if !only_us && Instant::now() + LOCAL_PAUSE >= self.deadline {
            return Err(self.nobody_left());
        }
        if self.paused + LOCAL_PAUSE > LOCAL_AT_MOST {
            let kind = FailureKind::Local(error);
            return Err(DialFailure { tries: self.tries, endpoint: Some(endpoint), kind });
        }
        sleep_until(Instant::now() + LOCAL_PAUSE).await;
        self.paused += LOCAL_PAUSE;
        if only_us {
            self.deadline += LOCAL_PAUSE;
        }
        let skipped = std::mem::take(&mut self.skipped);
        self.excluded.retain(|address| !skipped.contains(address));
        self.start_next();
        Ok(())
    }

    /// Begins to connect, from the first of the pool's source addresses that has a port left.
    fn connect(pool: &Pool, address: SocketAddr) -> io::Result<TcpStream> {
        if !pool.admits(address.ip()) {
            return Err(io::Error::other("the address is not in `upstreams_within`"));
        }
        let sources = &pool.plan().source;
        let start = fastrand::usize(..sources.len().max(1));
        let mut result = connect(address, source_for(sources, address, start));
        for turn in 1..sources.len() {
            let taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrNotAvailable;
            if !result.as_ref().is_err_and(taken) {
                break;
            }
            result = connect(address, source_for(sources, address, start + turn));
        }
        TcpStream::from_std(StdTcpStream::from(result?))
    }

    /// Waits until an attempt stands or fails, or until `until`.
    async fn next_event(&mut self, until: Instant) -> Event {
        let pool = self.pool;
        let race = poll_fn(|context| {
            for running in &mut self.running {
                let Some(attempt) = running else { continue };
                let Poll::Ready(result) = attempt.poll_stands(pool, context) else { continue };
                let Some(Attempt { way, lease, .. }) = running.take() else { continue };
                return Poll::Ready(match (result, way) {
                    (Ok(()), Way::Connecting(stream)) => Event::Connected(stream, lease),
                    (Ok(()), Way::Held(_)) => {
                        Event::Failed(lease, io::ErrorKind::NotConnected.into())
                    }
                    (Err(error), _) => Event::Failed(lease, error),
                });
            }
            Poll::Pending
        });
        timeout_at(until, race).await.unwrap_or(Event::TimeIsUp)
    }

    fn tell(&self, lease: &Lease, fault: DialFault) {
        self.worker.signal(self.pool, lease.endpoint(), Evidence::DialFailed(fault));
    }

    fn tell_slow(&mut self) {
        self.slow_at = None;
        for attempt in self.running.iter().flatten() {
            let since = self.worker.time_of(attempt.began.into_std());
            let slow = Evidence::Slow { since };
            self.worker.signal(self.pool, attempt.lease.endpoint(), slow);
        }
    }

    fn nobody_left(&mut self) -> DialFailure {
        let tries = self.tries;
        match self.failed.take() {
            Some((endpoint, error)) => {
                DialFailure { tries, endpoint: Some(endpoint), kind: FailureKind::Failed(error) }
            }
            None => DialFailure { tries, endpoint: None, kind: FailureKind::NoEndpoint },
        }
    }

    fn time_is_up(&mut self) -> DialFailure {
        for attempt in self.running.iter().flatten() {
            attempt.lease.count_failure();
            self.tell(&attempt.lease, DialFault::TimedOut);
        }
        let first = self.running.iter().flatten().next();
        let endpoint = first.map(|attempt| attempt.lease.endpoint().clone());
        DialFailure { tries: self.tries, endpoint, kind: FailureKind::TimedOut }
    }
}

impl Drop for Dialler<'_> {
    fn drop(&mut self) {
        // Who has lost, or whose client has left.
        self.running.iter().flatten().for_each(|attempt| attempt.way.abandon());
    }
}

/// An attempt at an endpoint that is in a drill; `met` is told of the first.
#[cold]
fn held(drill: Arc<Drill>, endpoint: &Endpoint, met: &mut Option<Box<Met>>) -> Way {
    met.get_or_insert_with(|| Box::new(Met::new(drill.clone(), endpoint.key())));
    Way::Held(Box::pin(drill.meet()))
}

/// Whether a connection that became writable stands, or why not. The reactor knows whether epoll
/// told of an error; only then the system is asked which.
fn stands(stream: &TcpStream) -> io::Result<()> {
    match known(stream, Interest::WRITABLE)? {
        Some(ready) if !ready.is_write_closed() => Ok(()),
        _ => match stream.take_error() {
            Ok(None) => Ok(()),
            Ok(Some(error)) | Err(error) => Err(error),
        },
    }
}

/// One of the pool's source addresses of the endpoint's family, by turn.
pub(crate) fn source_for(sources: &[IpAddr], remote: SocketAddr, turn: usize) -> Option<IpAddr> {
    let fits = |source: &&IpAddr| source.is_ipv4() == remote.is_ipv4();
    let count = sources.iter().filter(fits).count();
    sources.iter().filter(fits).nth(turn.checked_rem(count)?).copied()
}
