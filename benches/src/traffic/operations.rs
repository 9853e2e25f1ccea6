//! The generator's small messages: ping-pong, short connections and WebSockets, in closed loops or at
//! times of their own.

use super::load::{Load, dial};
use super::pace::Pace;
use super::script::Script;
use super::tally::Tally;
use super::{Interest, Part};
use crate::failure::{Context, Outcome};
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};
use std::time::{Duration, Instant};

/// Bytes received at once.
const ROOM: usize = 1024;

/// Lanes, each with one connection at a time and one request at a time on it.
pub struct Operations {
    load: Load,
    script: Script,
    interest: Interest,
    lanes: Vec<Option<Lane>>,
    pace: Pace,
    resting: bool,
    tally: Tally,
}

struct Lane {
    socket: OwnedFd,
    state: State,
    /// Bytes of the answer that are here.
    received: usize,
    /// When the operation began: the connect, or the sending of the request, or when that was due.
    start: Instant,
}

/// What a lane waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    /// The end of the endpoint's word to the opening; so many bytes of that end are here.
    Welcome(usize),
    Answer,
    /// Its time.
    Nothing,
}

/// How an event leaves its lane.
enum Next {
    /// Nothing to do until the next event.
    Wait,
    /// The answer is complete.
    Answered,
    /// The connection is of no use any more.
    Failed(String),
}

impl AsFd for Lane {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Operations {
    /// Opens all lanes; those of short connections that have times of their own when these come.
    ///
    /// # Errors
    /// The process lacks descriptors.
    pub fn new(load: Load) -> Outcome<Self> {
        let mut part = Self {
            load,
            script: Script::of(load.work)?,
            interest: Interest::new()?,
            lanes: (0..load.connections).map(|_| None).collect(),
            pace: Pace::new(load.rate, load.connections),
            resting: false,
            tally: Tally::new(load.count),
        };
        for index in 0..load.connections {
            if part.pace.is_open() && load.work.is_once() {
                part.pace.free(index);
            } else {
                part.open(index, Instant::now())?;
            }
        }
        Ok(part)
    }

    /// Begins a connection in the lane.
    fn open(&mut self, index: usize, start: Instant) -> Outcome<()> {
        let Self { load, interest, tally, .. } = self;
        let begin = || {
            let socket = dial(load.to).map_err(|error| format!("connect: {error}"))?;
            Ok(Lane { socket, state: State::Connecting, received: 0, start })
        };
        self.lanes[index] = interest.open(index, tally, begin)?;
        Ok(())
    }

    /// The answer is complete: count it and begin the next operation.
    fn answered(&mut self, index: usize) -> Outcome<()> {
        let Some(lane) = &mut self.lanes[index] else { return Ok(()) };
        let now = Instant::now();
        self.tally.add_timed(lane.start, now);
        lane.state = State::Nothing;
        if self.load.work.is_once() {
            self.lanes[index] = None;
        }
        if self.resting || self.tally.is_done() {
            return Ok(());
        }
        if self.pace.is_open() {
            self.pace.free(index);
            return Ok(());
        }
        self.ask(index, now)
    }

    /// Begins an operation in a lane that has none.
    fn ask(&mut self, index: usize, start: Instant) -> Outcome<()> {
        let Some(lane) = &mut self.lanes[index] else { return self.open(index, start) };
        lane.start = start;
        match lane.ask(&self.script) {
            Next::Failed(what) => self.fail(index, what),
            _ => Ok(()),
        }
    }

    fn fail(&mut self, index: usize, what: String) -> Outcome<()> {
        self.tally.fail(what);
        self.lanes[index] = None;
        if self.resting {
            return Ok(());
        }
        if self.pace.is_open() && self.load.work.is_once() {
            self.pace.free(index);
            return Ok(());
        }
        self.open(index, Instant::now())
    }
}

impl Lane {
    /// Sends a request.
    fn ask(&mut self, script: &Script) -> Next {
        self.state = State::Answer;
        self.received = 0;
        self.send(&script.ask)
    }

    fn send(&self, bytes: &[u8]) -> Next {
        match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
            Ok(sent) if sent == bytes.len() => Next::Wait,
            Ok(sent) => Next::Failed(format!("sent {sent} of {} bytes", bytes.len())),
            Err(error) => Next::Failed(format!("send: {error}")),
        }
    }

    fn event(&mut self, flags: EventFlags, script: &Script) -> Next {
        if self.state == State::Connecting {
            if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
                let (Ok(Err(cause)) | Err(cause)) = sockopt::socket_error(&self.socket) else {
                    return Next::Failed("connect: hung up".into());
                };
                return Next::Failed(format!("connect: {cause}"));
            }
            if !flags.contains(EventFlags::OUT) {
                return Next::Wait;
            }
            if script.opening.is_empty() {
                return self.ask(script);
            }
            self.state = State::Welcome(0);
            return self.send(&script.opening);
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return Next::Wait;
        }
        let mut bytes = [0u8; ROOM];
        match recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Next::Failed("closed by the other side".into()),
            Ok((_, length)) => self.take(&bytes[..length], script),
            Err(Errno::AGAIN | Errno::INTR) => Next::Wait,
            Err(error) => Next::Failed(format!("receive: {error}")),
        }
    }

    /// Takes what has come.
    fn take(&mut self, bytes: &[u8], script: &Script) -> Next {
        match self.state {
            State::Welcome(seen) => {
                if seen == 0 && !bytes.starts_with(b"HTTP/1.1 101 ") {
                    return Next::Failed(format!("not switched: {}", bytes.escape_ascii()));
                }
                // Nothing follows the head before it was asked for.
                if bytes.ends_with(b"\r\n\r\n") {
                    return self.ask(script);
                }
                self.state = State::Welcome(seen + bytes.len());
                Next::Wait
            }
            State::Answer => {
                self.received += bytes.len();
                match self.received.cmp(&script.answer.len()) {
                    std::cmp::Ordering::Less => Next::Wait,
                    std::cmp::Ordering::Equal => Next::Answered,
                    std::cmp::Ordering::Greater => Next::Failed("bytes too many".into()),
                }
            }
            State::Connecting | State::Nothing => {
                Next::Failed("an answer that nobody has asked for".into())
            }
        }
    }
}

impl Part for Operations {
    fn event(&mut self, token: u64, flags: EventFlags) -> Outcome<()> {
        let index = usize::try_from(token).context(|| "token".into())?;
        let Some(lane) = &mut self.lanes[index] else { return Ok(()) };
        match lane.event(flags, &self.script) {
            Next::Wait => Ok(()),
            Next::Answered => self.answered(index),
            Next::Failed(what) => self.fail(index, what),
        }
    }

    fn rest(&mut self) -> Outcome<()> {
        self.resting = true;
        Ok(())
    }

    fn tally(&mut self) -> &mut Tally {
        self.tally.set_open(self.lanes.iter().flatten().count());
        if !self.resting {
            self.pace.overdue(&mut self.tally, Instant::now());
        }
        &mut self.tally
    }

    fn interest(&self) -> &Interest {
        &self.interest
    }

    fn pace(&mut self, now: Instant) -> Outcome<Option<Duration>> {
        if self.resting {
            return Ok(None);
        }
        while let Some((index, due)) = self.pace.take(now) {
            let is_free = self.lanes[index].as_ref().is_none_or(|l| l.state == State::Nothing);
            // A lane whose connection broke while it was free has another, which will be free later.
            if is_free { self.ask(index, due)? } else { self.pace.untake() }
        }
        Ok(self.pace.wait(now))
    }
}
