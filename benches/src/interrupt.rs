//! Ctrl-C and its kin as a descriptor that becomes readable, and every wait of the runner.

use crate::failure::{Context, Failure, Outcome};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Turns SIGINT, SIGTERM and SIGHUP into a failure of whatever waits. The failure travels up
/// through the guards, and they stop the processes; nothing is left behind.
pub struct Interrupt {
    woken: UnixStream,
}

impl Interrupt {
    /// Takes over the three signals for the rest of the process.
    ///
    /// # Errors
    /// The signals cannot be taken over.
    pub fn new() -> Outcome<Self> {
        let (woken, waker) = UnixStream::pair().context(|| "cannot make a socket pair".into())?;
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            waker
                .try_clone()
                .and_then(|waker| signal_hook::low_level::pipe::register(signal, waker))
                .context(|| format!("cannot take over signal {signal}"))?;
        }
        Ok(Self { woken })
    }

    /// Checks without waiting.
    ///
    /// # Errors
    /// A signal came.
    pub fn check(&self) -> Outcome<()> {
        self.readable(None, Instant::now()).map(|_| ())
    }

    /// Waits for `duration`.
    ///
    /// # Errors
    /// A signal came.
    pub fn wait(&self, duration: Duration) -> Outcome<()> {
        let end = Instant::now() + duration;
        while !end.saturating_duration_since(Instant::now()).is_zero() {
            self.readable(None, end)?;
        }
        Ok(())
    }

    /// Asks `done` every few milliseconds until it has an answer.
    ///
    /// # Errors
    /// The error of `done`, a signal, or `limit` has passed (the message says `what` was awaited).
    pub fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut() -> Outcome<Option<T>>,
    ) -> Outcome<T> {
        let end = Instant::now() + limit;
        loop {
            if let Some(answer) = done()? {
                return Ok(answer);
            }
            if Instant::now() >= end {
                return Err(Failure::new(format!("no {what} within {limit:?}")));
            }
            self.wait(Duration::from_millis(5))?;
        }
    }

    /// Waits until `source` is readable or `end` has come; says whether it is readable.
    ///
    /// # Errors
    /// A signal came, or poll failed.
    pub fn readable(&self, source: Option<&dyn AsFd>, end: Instant) -> Outcome<bool> {
        let mut sources = vec![PollFd::new(&self.woken, PollFlags::IN)];
        if let Some(source) = source {
            sources.push(PollFd::from_borrowed_fd(source.as_fd(), PollFlags::IN));
        }
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).context(|| format!("cannot wait {left:?}"))?;
        match poll(&mut sources, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::new(format!("poll: {error}"))),
        }
        if !sources[0].revents().is_empty() {
            return Err(Failure::new("stopped by a signal"));
        }
        Ok(sources.get(1).is_some_and(|source| !source.revents().is_empty()))
    }
}
