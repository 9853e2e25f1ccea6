//! Dialling: bounded tries on endpoints of a pool, before the first byte.

use super::{Lease, Pool};
use crate::engine::Worker;
use eclusa_sys::socket::{connect, is_local_trouble};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream as StdTcpStream};
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Pause before a dial is repeated that failed for want of something on this host.
const LOCAL_PAUSE: Duration = Duration::from_millis(100);

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
    /// This host lacked something (descriptors, ports, a route) until the budget ran out.
    Local(io::Error),
}

struct Attempt {
    stream: TcpStream,
    lease: Lease,
}

enum Event {
    Connected(Attempt),
    Failed(Lease, io::Error),
    TimeIsUp,
}

/// Connects to an endpoint of the pool at `index`.
///
/// A refused or unreachable endpoint is left at once for another; one that does not answer within
/// `hedge_after` gets a rival, and the first connection that stands wins. All within the pool's
/// budget of time and tries.
pub(crate) async fn dial(
    worker: &Worker,
    pool: &Pool,
    index: usize,
) -> Result<Dialled, DialFailure> {
    let mut dialler = Dialler {
        worker,
        pool,
        index,
        deadline: Instant::now() + pool.plan().dial.timeout,
        tried: Vec::new(),
        running: [None, None],
        failed: None,
        rivals_left: true,
    };
    dialler.run().await
}

struct Dialler<'a> {
    worker: &'a Worker,
    pool: &'a Pool,
    index: usize,
    deadline: Instant,
    tried: Vec<SocketAddr>,
    /// The attempt under way and its rival.
    running: [Option<Attempt>; 2],
    failed: Option<(Lease, io::Error)>,
    rivals_left: bool,
}

impl Dialler<'_> {
    async fn run(&mut self) -> Result<Dialled, DialFailure> {
        loop {
            if self.running.iter().all(Option::is_none) {
                self.start_one().await?;
            }
            let rival_at = self.rival_at();
            match self.next_event(rival_at.unwrap_or(self.deadline)).await {
                Event::Connected(Attempt { stream, lease }) => {
                    return Ok(Dialled { stream, lease, tries: self.tries() });
                }
                Event::Failed(lease, error) => {
                    lease.count_failure();
                    self.failed = Some((lease, error));
                }
                Event::TimeIsUp if rival_at.is_some() && Instant::now() < self.deadline => {
                    // No rival to be had is no failure: the first attempt goes on alone.
                    self.rivals_left = self.start_rival();
                }
                Event::TimeIsUp => return Err(self.time_is_up()),
            }
        }
    }

    fn tries(&self) -> u32 {
        u32::try_from(self.tried.len()).unwrap_or(u32::MAX)
    }

    /// When a second endpoint is to be dialled beside the one under way.
    fn rival_at(&self) -> Option<Instant> {
        let plan = &self.pool.plan().dial;
        let alone = self.running.iter().flatten().count() == 1;
        let wanted = alone && self.rivals_left && self.tries() < plan.tries;
        let after = plan.hedge_after.filter(|_| wanted)?;
        Some((Instant::now() + after).min(self.deadline))
    }

    /// Starts the next attempt, waiting out trouble of this host.
    async fn start_one(&mut self) -> Result<(), DialFailure> {
        loop {
            if self.tries() >= self.pool.plan().dial.tries {
                return Err(self.nobody_left());
            }
            let picked = self.worker.pickers().pick(self.pool, self.index, &self.tried);
            let Some(lease) = picked else {
                return Err(self.nobody_left());
            };
            match self.start(lease) {
                Ok(()) => return Ok(()),
                Err((lease, error)) if is_local_trouble(&error) => {
                    self.worker.local_trouble(&error);
                    if Instant::now() + LOCAL_PAUSE >= self.deadline {
                        let kind = FailureKind::Local(error);
                        return Err(DialFailure { tries: self.tries(), lease: Some(lease), kind });
                    }
                    drop(lease);
                    sleep_until(Instant::now() + LOCAL_PAUSE).await;
                }
                Err((lease, error)) => {
                    self.tried.push(lease.endpoint().address());
                    lease.count_failure();
                    self.failed = Some((lease, error));
                }
            }
        }
    }

    fn start_rival(&mut self) -> bool {
        let picked = self.worker.pickers().pick(self.pool, self.index, &self.tried);
        picked.is_some_and(|lease| self.start(lease).is_ok())
    }

    /// Begins to connect to the leased endpoint.
    fn start(&mut self, lease: Lease) -> Result<(), (Lease, io::Error)> {
        let address = lease.endpoint().address();
        let source = source_for(&self.pool.plan().source, address, self.worker.turn());
        let connecting = connect(address, source)
            .and_then(|socket| TcpStream::from_std(StdTcpStream::from(socket)));
        match connecting {
            Ok(stream) => {
                self.tried.push(address);
                let free = self.running.iter_mut().find(|running| running.is_none());
                if let Some(free) = free {
                    *free = Some(Attempt { stream, lease });
                }
                Ok(())
            }
            Err(error) => Err((lease, error)),
        }
    }

    /// Waits until an attempt stands or fails, or until `until`.
    async fn next_event(&mut self, until: Instant) -> Event {
        let race = poll_fn(|context| {
            for running in &mut self.running {
                let Some(attempt) = running else { continue };
                let result = match attempt.stream.poll_write_ready(context) {
                    Poll::Pending => continue,
                    Poll::Ready(Ok(())) => match attempt.stream.take_error() {
                        Ok(None) => Ok(()),
                        Ok(Some(error)) | Err(error) => Err(error),
                    },
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

    fn nobody_left(&mut self) -> DialFailure {
        let tries = self.tries();
        match self.failed.take() {
            Some((lease, error)) => {
                DialFailure { tries, lease: Some(lease), kind: FailureKind::Failed(error) }
            }
            None => DialFailure { tries, lease: None, kind: FailureKind::NoEndpoint },
        }
    }

    fn time_is_up(&mut self) -> DialFailure {
        let lease = self.running.iter_mut().find_map(Option::take).map(|attempt| attempt.lease);
        if let Some(lease) = &lease {
            lease.count_failure();
        }
        DialFailure { tries: self.tries(), lease, kind: FailureKind::TimedOut }
    }
}

/// One of the pool's source addresses of the endpoint's family, in turn.
pub(crate) fn source_for(sources: &[IpAddr], remote: SocketAddr, turn: usize) -> Option<IpAddr> {
    let fits = |source: &&IpAddr| source.is_ipv4() == remote.is_ipv4();
    let count = sources.iter().filter(fits).count();
    sources.iter().filter(fits).nth(turn.checked_rem(count)?).copied()
}
