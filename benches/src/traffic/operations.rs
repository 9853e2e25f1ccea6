//! The generator's requests and answers: ping-pong and connect-close, in closed loops.

use super::load::{Load, dial};
use super::tally::Tally;
use super::{Interest, MESSAGE, Part};
use crate::case::Work;
use crate::failure::{Context, Outcome};
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};
use std::time::Instant;

/// Lanes, each with one connection at a time and one request at a time on it.
pub struct Operations {
    load: Load,
    interest: Interest,
    lanes: Vec<Option<Lane>>,
    resting: bool,
    tally: Tally,
}

struct Lane {
    socket: OwnedFd,
    /// The request has been sent and its answer is awaited.
    asked: bool,
    /// Bytes of the answer that are here.
    received: usize,
    /// When the operation began: the connect, or the sending of the request.
    start: Instant,
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
    /// Opens all lanes.
    ///
    /// # Errors
    /// The process lacks descriptors.
    pub fn new(load: Load) -> Outcome<Self> {
        let mut part = Self {
            load,
            interest: Interest::new()?,
            lanes: (0..load.connections).map(|_| None).collect(),
            resting: false,
            tally: Tally::new(),
        };
        for index in 0..load.connections {
            part.open(index)?;
        }
        Ok(part)
    }

    /// Begins a connection in the lane.
    fn open(&mut self, index: usize) -> Outcome<()> {
        let Self { load, interest, tally, .. } = self;
        let begin = || {
            let start = Instant::now();
            let socket = dial(load.to).map_err(|error| format!("connect: {error}"))?;
            Ok(Lane { socket, asked: false, received: 0, start })
        };
        self.lanes[index] = interest.open(index, tally, begin)?;
        Ok(())
    }

    /// The answer is complete: count it and begin the next operation.
    fn answered(&mut self, index: usize) -> Outcome<()> {
        let Some(lane) = &mut self.lanes[index] else { return Ok(()) };
        let now = Instant::now();
        self.tally.add_timed(lane.start, now);
        if self.load.work == Work::ConnectClose {
            self.lanes[index] = None;
            if !self.resting {
                self.open(index)?;
            }
        } else if self.resting {
            lane.received = 0;
        } else {
            lane.start = now;
            if let Next::Failed(what) = lane.ask() {
                self.fail(index, what)?;
            }
        }
        Ok(())
    }

    fn fail(&mut self, index: usize, what: String) -> Outcome<()> {
        self.tally.fail(what);
        self.lanes[index] = None;
        if self.resting { Ok(()) } else { self.open(index) }
    }
}

impl Lane {
    /// Sends a request.
    fn ask(&mut self) -> Next {
        self.asked = true;
        self.received = 0;
        match send(&self.socket, &[b'q'; MESSAGE], SendFlags::NOSIGNAL) {
            Ok(MESSAGE) => Next::Wait,
            Ok(sent) => Next::Failed(format!("sent {sent} of {MESSAGE} bytes")),
            Err(error) => Next::Failed(format!("send: {error}")),
        }
    }

    fn event(&mut self, flags: EventFlags) -> Next {
        if !self.asked {
            if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
                let (Ok(Err(cause)) | Err(cause)) = sockopt::socket_error(&self.socket) else {
                    return Next::Failed("connect: hung up".into());
                };
                return Next::Failed(format!("connect: {cause}"));
            }
            return if flags.contains(EventFlags::OUT) { self.ask() } else { Next::Wait };
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return Next::Wait;
        }
        let mut answer = [0u8; MESSAGE];
        match recv(&self.socket, &mut answer[self.received..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Next::Failed("closed by the other side".into()),
            Ok((_, length)) => {
                self.received += length;
                if self.received == MESSAGE { Next::Answered } else { Next::Wait }
            }
            Err(Errno::AGAIN | Errno::INTR) => Next::Wait,
            Err(error) => Next::Failed(format!("receive: {error}")),
        }
    }
}

impl Part for Operations {
    fn event(&mut self, token: u64, flags: EventFlags) -> Outcome<()> {
        let index = usize::try_from(token).context(|| "token".into())?;
        let Some(lane) = &mut self.lanes[index] else { return Ok(()) };
        match lane.event(flags) {
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
        &mut self.tally
    }

    fn interest(&self) -> &Interest {
        &self.interest
    }
}
