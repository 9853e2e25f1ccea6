//! The two ends of every measurement: generator and endpoint.
//!
//! Both are single-threaded epoll loops that do as little as they can per unit, since they share a
//! core and must not be the limit. They run as processes of their own (`bench load`,
//! `bench endpoint`) and are asked over standard input, one word a line, with one line of answer:
//!
//! - `mark`: what was counted since the last mark, as JSON ([`tally::Report`]);
//! - `rest`: start nothing new, leave connections open.
//!
//! End of input ends the process, so none outlives the runner, however that ends.

mod accepted;
pub mod answering;
pub mod answers;
pub mod endpoint;
pub mod frames;
pub mod load;
pub mod message;
pub mod multiplexed;
pub mod operations;
pub mod pace;
pub mod requests;
pub mod script;
pub mod secure;
pub mod stream;
pub mod tally;
pub mod terminated;

use crate::failure::{Context, Failure, Outcome};
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
use std::io::Write;
use std::time::{Duration, Instant};
use tally::Tally;

/// Bytes of a request and of its answer.
pub const MESSAGE: usize = 64;

/// The token of standard input.
const COMMANDS: u64 = u64::MAX;

/// The token of the timer.
const TIMER: u64 = u64::MAX - 2;

/// Events taken from the kernel at once.
const EVENTS: usize = 256;

/// What a traffic process does with its descriptors.
pub trait Part {
    /// Something happened on the descriptor that was registered with `token`.
    ///
    /// # Errors
    /// Nothing sensible can follow; errors of one connection go into the tally instead.
    fn event(&mut self, token: u64, flags: EventFlags) -> Outcome<()>;

    /// Start nothing new, leave connections open.
    ///
    /// # Errors
    /// As `event`.
    fn rest(&mut self) -> Outcome<()>;

    /// What was counted.
    fn tally(&mut self) -> &mut Tally;

    /// What its descriptors are registered with.
    fn interest(&self) -> &Interest;

    /// Begins what is due; how long until more is. Only open loops have anything to begin.
    ///
    /// # Errors
    /// As `event`.
    fn pace(&mut self, _now: Instant) -> Outcome<Option<Duration>> {
        Ok(None)
    }
}

/// The epoll descriptor that a part registers its connections with, and a timer on it: the waits of
/// epoll are whole milliseconds.
pub struct Interest {
    epoll: OwnedFd,
    timer: OwnedFd,
}

impl Interest {
    /// A fresh one.
    ///
    /// # Errors
    /// The kernel gives none.
    pub fn new() -> Outcome<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context(|| "epoll".into())?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).context(|| "timer".into())?;
        let interest = Self { epoll, timer };
        // Edge-triggered: nobody has to read it.
        interest.add(&interest.timer, TIMER, EventFlags::IN | EventFlags::ET)?;
        Ok(interest)
    }

    /// Wakes the loop after this long.
    fn wake(&self, after: Duration) -> Outcome<()> {
        // Zero would switch it off.
        let after = after.max(Duration::from_nanos(1));
        let it_value = Timespec::try_from(after).context(|| "timer".into())?;
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let once = Itimerspec { it_interval, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)
            .context(|| "timer".into())?;
        Ok(())
    }

    /// Reports `flags` of `source` under `token` from now on.
    ///
    /// # Errors
    /// The descriptor cannot be watched.
    pub fn add(&self, source: impl AsFd, token: u64, flags: EventFlags) -> Outcome<()> {
        epoll::add(&self.epoll, source, EventData::new_u64(token), flags)
            .context(|| "epoll add".into())
    }

    /// Begins a connection, again until it comes to something or that is hopeless, and registers it.
    /// Edge-triggered, so that one registration does for connecting, asking and hearing.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn open<C: AsFd>(
        &self,
        token: usize,
        tally: &mut Tally,
        begin: impl Fn() -> Result<C, String>,
    ) -> Outcome<Option<C>> {
        while !tally.hopeless() {
            match begin() {
                Ok(connection) => {
                    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
                    self.add(&connection, token as u64, flags)?;
                    return Ok(Some(connection));
                }
                Err(what) => tally.fail(what),
            }
        }
        Ok(None)
    }

    /// Replaces what is reported of `source`.
    ///
    /// # Errors
    /// The descriptor is not watched.
    pub fn change(&self, source: impl AsFd, token: u64, flags: EventFlags) -> Outcome<()> {
        epoll::modify(&self.epoll, source, EventData::new_u64(token), flags)
            .context(|| "epoll modify".into())
    }
}

/// Runs `part` until standard input ends or `limit` has passed.
///
/// # Errors
/// What the part returns; a word on standard input that is no command.
pub fn serve(part: &mut impl Part, limit: Duration) -> Outcome<()> {
    let stdin = std::io::stdin();
    part.interest().add(&stdin, COMMANDS, EventFlags::IN)?;
    let end = Instant::now() + limit;
    let tick = Timespec { tv_sec: 1, tv_nsec: 0 };
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
    loop {
        let now = Instant::now();
        if now >= end {
            break;
        }
        if let Some(wait) = part.pace(now)? {
            part.interest().wake(wait)?;
        }
        events.clear();
        let space = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&part.interest().epoll, space, Some(&tick)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::new(format!("epoll wait: {error}"))),
        }
        for event in &events {
            let (flags, data) = (event.flags, event.data);
            match data.u64() {
                COMMANDS if !command(part)? => return Ok(()),
                COMMANDS | TIMER => {}
                token => part.event(token, flags)?,
            }
        }
    }
    Err(Failure::new(format!("still running after {limit:?}: the runner has forgotten me")))
}

/// Obeys one command; false at the end of input. The runner waits for each answer, so one read is
/// one command.
fn command(part: &mut impl Part) -> Outcome<bool> {
    let mut word = [0u8; 64];
    let length = rustix::io::read(std::io::stdin(), &mut word).context(|| "commands".into())?;
    let answer = match &word[..length] {
        b"" => return Ok(false),
        b"mark\n" => {
            let report = part.tally().mark();
            serde_json::to_string(&report).context(|| "report".into())?
        }
        b"rest\n" => {
            part.rest()?;
            "resting".to_owned()
        }
        other => return Err(Failure::new(format!("no command: {}", other.escape_ascii()))),
    };
    say(&answer)?;
    Ok(true)
}

/// Prints one line and flushes it.
///
/// # Errors
/// The runner does not listen any more.
pub fn say(line: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context(|| "standard output".into())
}
