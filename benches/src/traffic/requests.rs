//! The generator's HTTP requests: closed loops, on lasting connections or a fresh one each.

use super::load::{Load, dial};
use super::message::{Arriving, request};
use super::secure::{Client, Secure, Stands};
use super::stream::{Drain, Progress};
use super::tally::Tally;
use super::{Interest, Part};
use crate::case::Http;
use crate::failure::{Context, Outcome};
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};
use std::time::Instant;

/// Bytes received at once while the head of an answer is waited for.
const HEAD: usize = 8 << 10;

/// Bytes of TLS received at once, for small answers and for large ones.
const ROOM: (usize, usize) = (16 << 10, 256 << 10);

/// Lanes, each with one connection at a time and one request at a time on it.
pub struct Requests {
    load: Load,
    http: Http,
    request: Vec<u8>,
    client: Client,
    interest: Interest,
    lanes: Vec<Option<Lane>>,
    resting: bool,
    drain: Drain,
    tally: Tally,
}

struct Lane {
    socket: OwnedFd,
    secure: Option<Box<Secure>>,
    connected: bool,
    arriving: Arriving,
    /// When the operation began: the connect, or the sending of the request.
    start: Instant,
}

/// What lanes share.
struct Shared<'a> {
    http: Http,
    request: &'a [u8],
    drain: &'a mut Drain,
}

/// Begins a connection.
fn begin(load: Load, http: Http, client: &Client) -> Result<Lane, String> {
    let start = Instant::now();
    let room = if http.body > ROOM.0 / 2 { ROOM.1 } else { ROOM.0 };
    let secure = http.tls.then(|| client.begin(room)).transpose()?.map(Box::new);
    let socket = dial(load.to).map_err(|error| format!("connect: {error}"))?;
    Ok(Lane { socket, secure, connected: false, arriving: Arriving::default(), start })
}

impl AsFd for Lane {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Requests {
    /// Opens all lanes.
    ///
    /// # Errors
    /// The process lacks descriptors.
    pub fn new(load: Load, http: Http) -> Outcome<Self> {
        let mut part = Self {
            load,
            http,
            request: request(http),
            client: Client::new(b"http/1.1")?,
            interest: Interest::new()?,
            lanes: (0..load.connections).map(|_| None).collect(),
            resting: false,
            drain: Drain::new(),
            tally: Tally::new(),
        };
        for index in 0..load.connections {
            part.open(index)?;
        }
        Ok(part)
    }

    /// Begins a connection in the lane.
    fn open(&mut self, index: usize) -> Outcome<()> {
        let Self { load, http, client, interest, tally, .. } = self;
        self.lanes[index] = interest.open(index, tally, || begin(*load, *http, client))?;
        Ok(())
    }

    /// The answer is complete: count it and begin the next operation.
    fn answered(&mut self, index: usize) -> Outcome<()> {
        let Some(lane) = &mut self.lanes[index] else { return Ok(()) };
        let now = Instant::now();
        self.tally.add_timed(lane.start, now);
        if self.http.fresh {
            self.lanes[index] = None;
            return if self.resting { Ok(()) } else { self.open(index) };
        }
        lane.arriving.begin();
        if self.resting {
            return Ok(());
        }
        lane.start = now;
        match lane.ask(&self.request, self.http) {
            Ok(()) => Ok(()),
            Err(what) => self.fail(index, what),
        }
    }

    fn fail(&mut self, index: usize, what: String) -> Outcome<()> {
        self.tally.fail(what);
        self.lanes[index] = None;
        if self.resting { Ok(()) } else { self.open(index) }
    }
}

impl Lane {
    /// Sends a request.
    fn ask(&mut self, request: &[u8], http: Http) -> Result<(), String> {
        match &mut self.secure {
            None => sent(&self.socket, request),
            Some(secure) => {
                secure.ask();
                self.secured(0, request, http).map(drop)
            }
        }
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
        &mut self.tally
    }

    fn interest(&self) -> &Interest {
        &self.interest
    }
}
