//! Dialling: bounded tries on endpoints of a pool, before the first byte.

use super::{Lease, Pool, Wanted};
use crate::engine::Worker;
use eclusa_policy::verdict::{DialFault, Evidence};
use eclusa_sys::socket::{connect, is_local_trouble, reset_on_close};
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream as StdTcpStream};
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
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
    pub(crate) lease: Option<Lease>,
    pub(crate) kind: FailureKind,
}

#[derive(Debug)]
pub(crate) enum FailureKind {
    /// No endpoint of the pool can take traffic.
    NoEndpoint,
    /// The budget ran out before any endpoint answered.
    TimedOut,
    /// The last endpoint refused, reset, or could not be reached.
    Failed(io::Error),
    /// This host lacked something (descriptors, ports, a route) for [`LOCAL_AT_MOST`].
    Local(io::Error),
}

struct Attempt {
    stream: TcpStream,
    lease: Lease,
    began: Instant,
}

enum Event {
    Connected(Attempt),
    Failed(Lease, io::Error),
    TimeIsUp,
}

/// Connects to an endpoint of the pool at `index`.
///
/// A refused or unreachable endpoint is left at once for another; while none answers, one more is
/// dialled beside the others every `hedge_after`, and the first connection that stands wins. All
/// within the pool's budget of time and tries.
///
/// None of `excluded` is dialled: a first flight that is sent again goes somewhere else.
pub(crate) async fn dial(
    worker: &Worker,
    pool: &Pool,
    source: IpAddr,
    excluded: Vec<SocketAddr>,
) -> Result<Dialled, DialFailure> {
    let mut dialler = Dialler {
        worker,
        pool,
        source,
        deadline: Instant::now() + pool.plan().dial.timeout,
        tries: 0,
        excluded,
        skipped: Vec::new(),
        running: [const { None }; AT_ONCE],
        rival_at: None,
        failed: None,
        shortage: None,
        paused: Duration::ZERO,
    };
    dialler.run().await
}

struct Dialler<'a> {
    worker: &'a Worker,
    pool: &'a Pool,
    /// The client.
    source: IpAddr,
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
    failed: Option<(Lease, io::Error)>,
    shortage: Option<(Lease, io::Error)>,
    /// How long this host has kept the session waiting.
    paused: Duration,
}

impl Dialler<'_> {
    async fn run(&mut self) -> Result<Dialled, DialFailure> {
        self.start_next();
        loop {
            if self.running.iter().all(Option::is_none) {
                self.wait_out_shortage().await?;
                continue;
            }
            let until = self.rival_at.unwrap_or_else(|| self.renew_at()).min(self.deadline);
            match self.next_event(until).await {
                Event::Connected(Attempt { stream, lease, .. }) => {
                    for loser in self.running.iter().flatten() {
                        reset_on_close(loser.stream.as_fd());
                    }
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
                    self.failed = Some((lease, error));
                    self.start_next();
                }
                Event::TimeIsUp if Instant::now() >= self.deadline => return Err(self.time_is_up()),
                Event::TimeIsUp if self.rival_at.is_none() => self.renew(),
                Event::TimeIsUp => {
                    // Late, not failed: a fresh probe is to say what it is.
                    for attempt in self.running.iter().flatten() {
                        self.tell(&attempt.lease, DialFault::TimedOut);
                    }
                    self.start_next();
                }
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
        let Some(address) = self.running[index].as_ref().map(|a| a.lease.endpoint().address())
        else {
            return;
        };
        let fresh = self.connect(address);
        if let Some(attempt) = &mut self.running[index] {
            attempt.began = Instant::now();
            match fresh {
                Ok(stream) => attempt.stream = stream,
                // The old one may still be answered.
                Err(error) if is_local_trouble(&error) => self.worker.local_trouble(&error),
                Err(_) => {}
            }
        }
    }

    /// Dials the next endpoint, if there is one left and the budget allows it.
    fn start_next(&mut self) {
        self.rival_at = None;
        while self.tries < self.pool.plan().dial.tries {
            let Some(free) = self.running.iter().position(Option::is_none) else { return };
            let wanted =
                Wanted { source: self.source, excluded: &self.excluded, now: self.worker.time() };
            let picked = self.worker.pickers().pick(self.pool, wanted);
            let Some(lease) = picked else { return };
            let address = lease.endpoint().address();
            self.excluded.push(address);
            match self.connect(address) {
                Ok(stream) => {
                    self.tries += 1;
                    self.running[free] = Some(Attempt { stream, lease, began: Instant::now() });
                    let hedge = self.pool.plan().dial.hedge_after;
                    self.rival_at = hedge.map(|after| (Instant::now() + after).min(self.deadline));
                    return;
                }
                Err(error) if is_local_trouble(&error) => {
                    self.worker.local_trouble(&error);
                    self.skipped.push(address);
                    self.shortage = Some((lease, error));
                }
                Err(error) => {
                    self.tries += 1;
                    lease.count_failure();
                    self.failed = Some((lease, error));
                }
            }
        }
    }

    /// Nothing is under way: whatever this host lacked may come back.
    async fn wait_out_shortage(&mut self) -> Result<(), DialFailure> {
        let Some((lease, error)) = self.shortage.take() else { return Err(self.nobody_left()) };
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
            return Err(DialFailure { tries: self.tries, lease: Some(lease), kind });
        }
        drop(lease);
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
    fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        if !self.pool.admits(address.ip()) {
            return Err(io::Error::other("the address is not in `upstreams_within`"));
        }
        let sources = &self.pool.plan().source;
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
        let race = poll_fn(|context| {
            for running in &mut self.running {
                let Some(attempt) = running else { continue };
                let result = match attempt.stream.poll_write_ready(context) {
                    Poll::Pending => continue,
                    Poll::Ready(Ok(())) => stands(&attempt.stream),
                    Poll::Ready(Err(error)) => Err(error),
                };
                let Some(attempt) = running.take() else { continue };
                return Poll::Ready(match result {
                    Ok(()) => Event::Connected(attempt),
                    Err(error) => Event::Failed(attempt.lease, error),
                });
            }
            Poll::Pending
        });
        timeout_at(until, race).await.unwrap_or(Event::TimeIsUp)
    }

    fn tell(&self, lease: &Lease, fault: DialFault) {
        self.worker.signal(self.pool, lease.endpoint(), Evidence::DialFailed(fault));
    }

    fn nobody_left(&mut self) -> DialFailure {
        let tries = self.tries;
        match self.failed.take() {
            Some((lease, error)) => {
                DialFailure { tries, lease: Some(lease), kind: FailureKind::Failed(error) }
            }
            None => DialFailure { tries, lease: None, kind: FailureKind::NoEndpoint },
        }
    }

    fn time_is_up(&mut self) -> DialFailure {
        for attempt in self.running.iter().flatten() {
            attempt.lease.count_failure();
            self.tell(&attempt.lease, DialFault::TimedOut);
        }
        let lease = self.running.iter_mut().find_map(Option::take).map(|attempt| attempt.lease);
        DialFailure { tries: self.tries, lease, kind: FailureKind::TimedOut }
    }
}

/// Whether a connection that became writable stands, or why not. The reactor knows whether epoll
/// told of an error; only then the system is asked which.
fn stands(stream: &TcpStream) -> io::Result<()> {
    let ready = pin!(stream.ready(Interest::WRITABLE));
    match ready.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(ready)) if !ready.is_write_closed() => Ok(()),
        Poll::Ready(Err(error)) => Err(error),
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
