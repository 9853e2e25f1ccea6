//! The generator's HTTP/2 connections, with TLS or without: closed loops, one for each stream, or
//! requests at times of their own on whichever stream is free.

use super::frames::{Blocks, Frames};
use super::load::{Load, dial};
use super::pace::Pace;
use super::secure::{Client, Secure, Stands};
use super::tally::Tally;
use super::{Interest, Part};
use crate::case::Http;
use crate::failure::{Context, Outcome};
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::time::{Duration, Instant};

/// Bytes received at once.
const ROOM: usize = 64 << 10;

/// All connections.
pub struct Multiplexed {
    load: Load,
    http: Http,
    blocks: Blocks,
    client: Client,
    interest: Interest,
    connections: Vec<Option<Connection>>,
    /// A lane is a connection, which is free once for each of its streams.
    pace: Pace,
    resting: bool,
    tally: Tally,
}

struct Connection {
    socket: OwnedFd,
    secure: Option<Box<Secure>>,
    connected: bool,
    frames: Frames,
    /// Frames that TLS has not taken yet.
    waiting: Vec<u8>,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
}

/// Begins a connection.
fn begin(
    load: Load,
    http: Http,
    (client, blocks): (&Client, &Blocks),
) -> Result<Connection, String> {
    let secure = http.tls.then(|| client.begin(ROOM)).transpose()?.map(Box::new);
    let socket = dial(load.to).map_err(|error| format!("connect: {error}"))?;
    let mut frames = Frames::new(http, blocks);
    let waiting = std::mem::take(&mut frames.said);
    let unsent = Vec::new();
    Ok(Connection { socket, secure, connected: false, frames, waiting, unsent })
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Multiplexed {
    /// Opens all connections.
    ///
    /// # Errors
    /// The process lacks descriptors.
    pub fn new(load: Load, http: Http) -> Outcome<Self> {
        let mut part = Self {
            load,
            http,
            blocks: Blocks::new(http),
            client: Client::new(b"h2", false)?,
            interest: Interest::new()?,
            connections: (0..load.connections).map(|_| None).collect(),
            pace: Pace::new(load.rate, load.connections * http.streams),
            resting: false,
            tally: Tally::new(load.count),
        };
        for index in 0..load.connections {
            part.open(index)?;
        }
        Ok(part)
    }

    /// Begins a connection.
    fn open(&mut self, index: usize) -> Outcome<()> {
        let Self { load, http, client, blocks, interest, tally, .. } = self;
        let begin = || begin(*load, *http, (client, blocks));
        self.connections[index] = interest.open(index, tally, begin)?;
        Ok(())
    }
}

impl Connection {
    /// Something happened; how many answers are complete.
    fn event(
        &mut self,
        flags: EventFlags,
        blocks: Option<&Blocks>,
        tally: &mut Tally,
    ) -> Result<usize, String> {
        let mut complete = 0;
        if flags.contains(EventFlags::OUT) && !self.connected {
            self.connected = true;
            complete += self.say(0, blocks, tally)?;
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            complete += self.receive(blocks, tally)?;
        }
        self.send()?;
        Ok(complete)
    }

    /// Begins a request that was due at `begun`.
    fn ask(&mut self, blocks: &Blocks, begun: Instant, tally: &mut Tally) -> Result<(), String> {
        self.frames.ask(blocks, begun);
        if let Some(secure) = &mut self.secure {
            self.waiting.append(&mut self.frames.said);
            secure.ask();
        }
        self.say(0, None, tally)?;
        self.send()
    }

    fn receive(&mut self, blocks: Option<&Blocks>, tally: &mut Tally) -> Result<usize, String> {
        let mut buffer = [0u8; ROOM];
        let mut complete = 0;
        loop {
            let room = match &mut self.secure {
                Some(secure) => secure.room(),
                None => &mut buffer[..],
            };
            let (length, wanted) = match recv(&self.socket, &mut *room, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return Err("closed by the other side".into()),
                Ok((_, length)) => (length, room.len()),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(complete),
                Err(error) => return Err(format!("receive: {error}")),
            };
            if self.secure.is_none() {
                complete += self.frames.take(&buffer[..length], blocks, tally)?;
            }
            complete += self.say(length, blocks, tally)?;
            if length < wanted {
                return Ok(complete);
            }
        }
    }

    /// Lets TLS take what was received, and what there is to say.
    fn say(
        &mut self,
        received: usize,
        blocks: Option<&Blocks>,
        tally: &mut Tally,
    ) -> Result<usize, String> {
        let Self { secure, frames, waiting, unsent, .. } = self;
        let mut complete = 0;
        let Some(secure) = secure else {
            unsent.append(waiting);
            unsent.append(&mut frames.said);
            return Ok(complete);
        };
        let mut received = received;
        loop {
            let take = |bytes: &[u8]| {
                complete += frames.take(bytes, blocks, tally)?;
                Ok(())
            };
            if secure.go_on(received, waiting, take)? == Stands::Ended {
                return Err("ended by the other side".into());
            }
            received = 0;
            unsent.append(&mut secure.outgoing);
            // Until the handshake is over nothing else can be said.
            if secure.is_asking() {
                return Ok(complete);
            }
            waiting.clear();
            if frames.said.is_empty() {
                return Ok(complete);
            }
            waiting.append(&mut frames.said);
            secure.ask();
        }
    }

    /// Sends as much as the socket takes.
    fn send(&mut self) -> Result<(), String> {
        if !self.connected || self.unsent.is_empty() {
            return Ok(());
        }
        match send(&self.socket, &self.unsent, SendFlags::NOSIGNAL) {
            Ok(sent) => drop(self.unsent.drain(..sent)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(format!("send: {error}")),
        }
        Ok(())
    }
}

impl Multiplexed {
    fn fail(&mut self, index: usize, what: String) -> Outcome<()> {
        self.tally.fail(what);
        self.connections[index] = None;
        if self.resting { Ok(()) } else { self.open(index) }
    }
}

impl Part for Multiplexed {
    fn event(&mut self, token: u64, flags: EventFlags) -> Outcome<()> {
        let index = usize::try_from(token).context(|| "token".into())?;
        let Some(connection) = &mut self.connections[index] else { return Ok(()) };
        let blocks = (!self.resting && !self.pace.is_open()).then_some(&self.blocks);
        match connection.event(flags, blocks, &mut self.tally) {
            Ok(complete) => {
                (0..complete).for_each(|_| self.pace.free(index));
                Ok(())
            }
            Err(what) => self.fail(index, what),
        }
    }

    fn rest(&mut self) -> Outcome<()> {
        self.resting = true;
        Ok(())
    }

    fn tally(&mut self) -> &mut Tally {
        self.tally.set_open(self.connections.iter().flatten().count());
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
            let Self { connections, blocks, tally, http, .. } = self;
            let Some(connection) = &mut connections[index] else {
                self.pace.untake();
                continue;
            };
            // Of a connection that took the place of another more streams seem free than are.
            if connection.frames.under_way() >= http.streams {
                self.pace.untake();
            } else if let Err(what) = connection.ask(blocks, due, tally) {
                self.fail(index, what)?;
            }
        }
        Ok(self.pace.wait(now))
    }
}
