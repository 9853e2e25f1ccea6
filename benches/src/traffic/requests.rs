//! The generator's HTTP requests, on lasting connections or a fresh one each: closed loops, times of
//! their own, or one for each of many connections that are idle from then on.

use super::load::{Load, dial};
use super::message::{Arriving, request};
use super::pace::Pace;
use super::secure::{Client, Secure, Stands};
use super::stream::{Drain, Progress};
use super::tally::Tally;
use super::{Interest, Part};
use crate::case::{Http, Work};
use crate::failure::{Context, Outcome};
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};
use std::time::{Duration, Instant};

/// Bytes received at once while the head of an answer is waited for.
const HEAD: usize = 8 << 10;

/// Bytes of TLS received at once, for small answers and for large ones.
const ROOM: (usize, usize) = (16 << 10, 256 << 10);

/// Lanes, each with one connection at a time and one request at a time on it.
pub struct Requests {
    load: Load,
    http: Http,
    request: Vec<u8>,
    /// One for all, or where sessions are resumed one for each lane, which knows its last session.
    clients: Vec<Client>,
    interest: Interest,
    lanes: Vec<Option<Lane>>,
    /// Lanes of which a handshake is over, so that the next one can resume.
    known: Vec<bool>,
    pace: Pace,
    resting: bool,
    drain: Drain,
    tally: Tally,
}

struct Lane {
    socket: OwnedFd,
    secure: Option<Box<Secure>>,
    connected: bool,
    /// Whether an answer is awaited.
    asked: bool,
    arriving: Arriving,
    /// When the operation began: the connect, or the sending of the request, or when that was due.
    start: Instant,
}

/// What lanes share.
struct Shared<'a> {
    http: Http,
    request: &'a [u8],
    drain: &'a mut Drain,
}

/// Begins a connection.
fn begin(load: Load, http: Http, client: &Client, start: Instant) -> Result<Lane, String> {
    let room = if http.body > ROOM.0 / 2 { ROOM.1 } else { ROOM.0 };
    let secure = http.tls.then(|| client.begin(room)).transpose()?.map(Box::new);
    let socket = dial(load.to).map_err(|error| format!("connect: {error}"))?;
    let arriving = Arriving::default();
    Ok(Lane { socket, secure, connected: false, asked: true, arriving, start })
}

impl AsFd for Lane {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Requests {
    /// Opens all lanes; of idle ones the first few, of fresh ones that have times of their own none.
    ///
    /// # Errors
    /// The process lacks descriptors.
    pub fn new(load: Load, http: Http) -> Outcome<Self> {
        let clients = if http.resumed { load.connections } else { 1 };
        let client = |_| Client::new(b"http/1.1", http.resumed);
        let mut part = Self {
            load,
            http,
            request: request(http),
            clients: (0..clients).map(client).collect::<Outcome<_>>()?,
            interest: Interest::new()?,
            lanes: Vec::new(),
            known: vec![false; load.connections],
            pace: Pace::new(load.rate, load.connections),
            resting: false,
            drain: Drain::new(),
            tally: Tally::new(load.count),
        };
        let first = if part.is_idle() { load.at_once } else { load.connections };
        for index in 0..first.min(load.connections) {
            part.lanes.push(None);
            if part.pace.is_open() && http.fresh {
                part.pace.free(index);
            } else {
                part.open(index, Instant::now())?;
            }
        }
        Ok(part)
    }

    fn is_idle(&self) -> bool {
        self.load.work == Work::Idle
    }

    /// Begins a connection in the lane.
    fn open(&mut self, index: usize, start: Instant) -> Outcome<()> {
        let Self { load, http, clients, interest, tally, .. } = self;
        let client = &clients[index % clients.len()];
        let begin = || begin(*load, *http, client, start);
        self.lanes[index] = interest.open(index, tally, begin)?;
        Ok(())
    }

    /// The answer is complete: count it and begin the next operation.
    fn answered(&mut self, index: usize) -> Outcome<()> {
        let Some(lane) = &mut self.lanes[index] else { return Ok(()) };
        let now = Instant::now();
        lane.asked = false;
        self.tally.add_timed(lane.start, now);
        if self.http.resumed && self.known[index] && !lane.is_resumed() {
            self.tally.fail("a full handshake where one was to be resumed");
        }
        self.known[index] = true;
        if self.http.fresh || lane.arriving.closes() {
            self.lanes[index] = None;
        } else {
            lane.arriving.begin();
        }
        if self.resting || self.tally.is_done() {
            return Ok(());
        }
        if self.is_idle() {
            return self.another();
        }
        if self.pace.is_open() && (self.http.fresh || self.lanes[index].is_some()) {
            self.pace.free(index);
            return Ok(());
        }
        self.ask(index, now)
    }

    /// One more of the connections that are idle once they have their answer.
    fn another(&mut self) -> Outcome<()> {
        let next = self.lanes.len();
        if next == self.load.connections {
            return Ok(());
        }
        self.lanes.push(None);
        self.open(next, Instant::now())
    }

    /// Begins an operation in a lane that has none.
    fn ask(&mut self, index: usize, start: Instant) -> Outcome<()> {
        let Some(lane) = &mut self.lanes[index] else { return self.open(index, start) };
        lane.start = start;
        match lane.ask(&self.request, self.http) {
            Ok(()) => Ok(()),
            Err(what) => self.fail(index, what),
        }
    }

    fn fail(&mut self, index: usize, what: String) -> Outcome<()> {
        self.tally.fail(what);
        self.lanes[index] = None;
        if self.resting || self.is_idle() {
            return Ok(());
        }
        if self.pace.is_open() && self.http.fresh {
            self.pace.free(index);
            return Ok(());
        }
        self.open(index, Instant::now())
    }
}

impl Lane {
    /// Sends a request.
    fn ask(&mut self, request: &[u8], http: Http) -> Result<(), String> {
        self.asked = true;
        match &mut self.secure {
            None => sent(&self.socket, request),
            Some(secure) => {
                secure.ask();
                self.secured(0, request, http).map(drop)
            }
        }
    }

    fn is_resumed(&self) -> bool {
        self.secure.as_ref().is_some_and(|secure| secure.is_resumed())
    }

    /// Something happened; true once the answer is complete.
    fn event(&mut self, flags: EventFlags, shared: &mut Shared<'_>) -> Result<bool, String> {
        if !self.connected {
            return self.connect(flags, shared);
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return Ok(false);
        }
        if self.secure.is_some() { self.receive_secured(shared) } else { self.receive(shared) }
    }

    fn connect(&mut self, flags: EventFlags, shared: &Shared<'_>) -> Result<bool, String> {
        if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
            let (Ok(Err(cause)) | Err(cause)) = sockopt::socket_error(&self.socket) else {
                return Err("connect: hung up".into());
            };
            return Err(format!("connect: {cause}"));
        }
        if flags.contains(EventFlags::OUT) {
            self.connected = true;
            match &self.secure {
                None => sent(&self.socket, shared.request)?,
                // The request goes as soon as the handshake lets it.
                Some(_) => {
                    self.secured(0, shared.request, shared.http)?;
                }
            }
        }
        Ok(false)
    }

    fn receive(&mut self, shared: &mut Shared<'_>) -> Result<bool, String> {
        let mut buffer = [0u8; HEAD];
        loop {
            match self.arriving.left() {
                None => match recv(&self.socket, &mut buffer, RecvFlags::DONTWAIT) {
                    Ok((_, 0)) => return Err("closed by the other side".into()),
                    Ok((_, length)) => self.arriving.take(&buffer[..length], shared.http)?,
                    Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
                    Err(error) => return Err(format!("receive: {error}")),
                },
                Some(_) => match shared.drain.receive(&self.socket) {
                    Progress::Moved(bytes) => self.arriving.skip(bytes)?,
                    Progress::Blocked => return Ok(false),
                    Progress::Ended => return Err("closed within an answer".into()),
                    Progress::Broken(error) => return Err(format!("receive: {error}")),
                },
            }
            if self.arriving.is_complete() {
                return Ok(true);
            }
        }
    }

    fn receive_secured(&mut self, shared: &Shared<'_>) -> Result<bool, String> {
        loop {
            let Some(secure) = &mut self.secure else { return Ok(false) };
            let room = secure.room();
            let (length, wanted) = match recv(&self.socket, &mut *room, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return Err("closed by the other side".into()),
                Ok((_, length)) => (length, room.len()),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
                Err(error) => return Err(format!("receive: {error}")),
            };
            let stands = self.secured(length, shared.request, shared.http)?;
            if self.arriving.is_complete() {
                return Ok(true);
            }
            if stands == Stands::Ended {
                return Err("ended by the other side".into());
            }
            if length < wanted {
                return Ok(false);
            }
        }
    }

    /// Lets TLS go on with bytes that were received, and sends what it has to say.
    fn secured(&mut self, received: usize, request: &[u8], http: Http) -> Result<Stands, String> {
        let (arriving, socket) = (&mut self.arriving, &self.socket);
        let Some(secure) = &mut self.secure else { return Ok(Stands::Open) };
        let stands = secure.go_on(received, request, |bytes| arriving.take(bytes, http))?;
        if !secure.outgoing.is_empty() {
            sent(socket, &secure.outgoing)?;
            secure.outgoing.clear();
        }
        Ok(stands)
    }
}

/// Sends all at once: a request is small.
fn sent(socket: &OwnedFd, bytes: &[u8]) -> Result<(), String> {
    match send(socket, bytes, SendFlags::NOSIGNAL) {
        Ok(count) if count == bytes.len() => Ok(()),
        Ok(count) => Err(format!("sent {count} of {} bytes", bytes.len())),
        Err(error) => Err(format!("send: {error}")),
    }
}

impl Part for Requests {
    fn event(&mut self, token: u64, flags: EventFlags) -> Outcome<()> {
        let index = usize::try_from(token).context(|| "token".into())?;
        let Some(lane) = &mut self.lanes[index] else { return Ok(()) };
        let (http, request, drain) = (self.http, &self.request[..], &mut self.drain);
        match lane.event(flags, &mut Shared { http, request, drain }) {
            Ok(false) => Ok(()),
            Ok(true) => self.answered(index),
            Err(what) => self.fail(index, what),
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
            let is_free = self.lanes[index].as_ref().is_none_or(|lane| !lane.asked);
            // A lane whose connection broke while it was free has another, which will be free later.
            if is_free { self.ask(index, due)? } else { self.pace.untake() }
        }
        Ok(self.pace.wait(now))
    }
}
