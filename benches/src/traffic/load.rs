//! `bench load`: the generator's streams and sessions (bulk, idle) and the choice between these
//! and the operations.

use super::multiplexed::Multiplexed;
use super::operations::Operations;
use super::requests::Requests;
use super::stream::{AT_ONCE, Blob, Drain, Exchange, Progress, quiet};
use super::tally::Tally;
use super::{Interest, Part, say, serve};
use crate::case::{Http, Work};
use crate::failure::{Context, Failure, Outcome};
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use std::net::SocketAddr;
use std::time::Duration;

/// What the generator is to do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Where to connect to.
    pub to: SocketAddr,
    /// What to do there.
    pub work: Work,
    /// Connections, or lanes of connections.
    pub connections: usize,
    /// Bytes each way of a session of the idle work.
    pub bytes: usize,
    /// Sessions of the idle work that exchange at the same time.
    pub at_once: usize,
    /// The messages of the HTTP work.
    pub http: Option<Http>,
    /// Operations that are begun each second, whatever becomes of them; `None`: closed loops.
    pub rate: Option<f64>,
    /// Operations after which it rests; `None`: it goes on.
    pub count: Option<u64>,
}

/// Generates `load` until standard input ends.
///
/// # Errors
/// The process lacks descriptors, or has been forgotten for longer than `limit`.
pub fn run(load: Load, limit: Duration) -> Outcome<()> {
    match (load.work, load.http) {
        (Work::BulkDown | Work::BulkUp, _) | (Work::Idle, None) => {
            started(&mut Streams::new(load)?, limit)
        }
        (Work::Http | Work::Idle, Some(http)) if http.streams > 0 => {
            started(&mut Multiplexed::new(load, http)?, limit)
        }
        (Work::Http | Work::Idle, Some(http)) => started(&mut Requests::new(load, http)?, limit),
        (Work::Http, None) => Err(Failure::new("which messages? --http")),
        _ => started(&mut Operations::new(load)?, limit),
    }
}

fn started(part: &mut impl Part, limit: Duration) -> Outcome<()> {
    say("started")?;
    serve(part, limit)
}

/// Begins a connection that does not block.
///
/// # Errors
/// It failed at once.
pub fn dial(to: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

struct Stream {
    socket: OwnedFd,
    exchange: Exchange,
}

struct Streams {
    load: Load,
    interest: Interest,
    streams: Vec<Option<Stream>>,
    resting: bool,
    blob: Blob,
    drain: Drain,
    tally: Tally,
}

impl Streams {
    fn new(load: Load) -> Outcome<Self> {
        let mut part = Self {
            load,
            interest: Interest::new()?,
            streams: Vec::new(),
            resting: false,
            blob: Blob::new()?,
            drain: Drain::new(),
            tally: Tally::new(load.count),
        };
        let first = if load.work == Work::Idle { load.at_once } else { load.connections };
        for _ in 0..first.min(load.connections) {
            part.open()?;
        }
        Ok(part)
    }

    /// Opens one more stream.
    fn open(&mut self) -> Outcome<()> {
        let flags = match self.load.work {
            Work::BulkUp => EventFlags::OUT,
            Work::Idle => EventFlags::OUT | EventFlags::IN | EventFlags::ET,
            _ => EventFlags::IN,
        };
        match dial(self.load.to) {
            Ok(socket) => {
                self.interest.add(&socket, self.streams.len() as u64, flags)?;
                let exchange = Exchange::new(self.load.bytes);
                self.streams.push(Some(Stream { socket, exchange }));
            }
            Err(error) => {
                self.tally.fail(format!("connect: {error}"));
                self.streams.push(None);
            }
        }
        Ok(())
    }

    /// Receives of a download; the words of what went wrong.
    fn receive(&mut self, index: usize) -> Option<String> {
        let stream = self.streams[index].as_ref()?;
        match self.drain.receive(&stream.socket) {
            Progress::Moved(bytes) => self.tally.add(bytes as u64),
            Progress::Blocked => {}
            Progress::Ended => return Some("closed by the other side".into()),
            Progress::Broken(error) => return Some(format!("receive: {error}")),
        }
        None
    }

    /// Sends of an upload.
    fn send(&mut self, index: usize, flags: EventFlags) -> Outcome<Option<String>> {
        let Some(stream) = &self.streams[index] else { return Ok(None) };
        if self.resting && flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            return Ok(Some("closed by the other side while resting".into()));
        }
        if self.resting {
            quiet(&self.interest, &stream.socket, index as u64)?;
            return Ok(None);
        }
        Ok(match self.blob.send(&stream.socket, AT_ONCE) {
            Progress::Moved(_) | Progress::Blocked => None,
            Progress::Ended => Some("sent nothing".into()),
            Progress::Broken(error) => Some(format!("send: {error}")),
        })
    }

    /// Goes on with an idle session's bytes and lets the next one begin after the last.
    fn exchange(&mut self, index: usize) -> Outcome<Option<String>> {
        let Some(stream) = &mut self.streams[index] else { return Ok(None) };
        if stream.exchange.done() {
            return Ok(Some("closed by the other side while idle".into()));
        }
        if let Err(what) = stream.exchange.go_on(&stream.socket, &self.blob, &mut self.drain) {
            return Ok(Some(what));
        }
        if stream.exchange.done() {
            self.tally.add(1);
            if self.streams.len() < self.load.connections && !self.resting {
                self.open()?;
            }
        }
        Ok(None)
    }
}

impl Part for Streams {
    fn event(&mut self, token: u64, flags: EventFlags) -> Outcome<()> {
        let index = usize::try_from(token).context(|| "token".into())?;
        let wrong = match self.load.work {
            Work::BulkUp => self.send(index, flags)?,
            Work::Idle if flags == EventFlags::OUT && self.idle(index) => None,
            Work::Idle => self.exchange(index)?,
            _ => self.receive(index),
        };
        if let Some(what) = wrong {
            self.tally.fail(what);
            self.streams[index] = None;
        }
        Ok(())
    }

    fn rest(&mut self) -> Outcome<()> {
        self.resting = true;
        Ok(())
    }

    fn tally(&mut self) -> &mut Tally {
        self.tally.set_open(self.streams.iter().flatten().count());
        &mut self.tally
    }

    fn interest(&self) -> &Interest {
        &self.interest
    }
}

impl Streams {
    /// Whether the stream has exchanged all: that its last bytes were acknowledged is then no news.
    fn idle(&self, index: usize) -> bool {
        self.streams[index].as_ref().is_some_and(|stream| stream.exchange.done())
    }
}
