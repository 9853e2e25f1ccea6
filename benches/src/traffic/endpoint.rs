//! `bench endpoint`: accepts, and does the other half of the work.

use super::accepted::{Accepted, LISTENER};
use super::script::{Heard, Script};
use super::stream::{AT_ONCE, Blob, Drain, Exchange, Progress, quiet};
use super::tally::Tally;
use super::{Interest, Part, say, serve};
use crate::case::Work;
use crate::failure::Outcome;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::SocketAddr;
use std::time::Duration;

struct Connection {
    socket: OwnedFd,
    exchange: Exchange,
    heard: Heard,
}

struct Endpoint {
    work: Work,
    /// Of works whose answers are no mere echo.
    script: Option<Script>,
    /// What there is to say, for as long as it takes to say it.
    said: Vec<u8>,
    bytes: usize,
    interest: Interest,
    accepted: Accepted<Connection>,
    resting: bool,
    blob: Blob,
    drain: Drain,
    tally: Tally,
}

/// Serves `work` at `address` until standard input ends; `bytes` is what the idle work exchanges.
///
/// # Errors
/// The address cannot be bound, or the process has been forgotten for longer than `limit`.
pub fn run(address: SocketAddr, work: Work, bytes: usize, limit: Duration) -> Outcome<()> {
    let interest = Interest::new()?;
    let scripted = matches!(work, Work::ProxyV2 | Work::Passthrough | Work::Websocket);
    let mut endpoint = Endpoint {
        work,
        script: scripted.then(|| Script::of(work)).transpose()?,
        said: Vec::new(),
        bytes,
        accepted: Accepted::at(address, &interest)?,
        interest,
        resting: false,
        blob: Blob::new()?,
        drain: Drain::new(),
        tally: Tally::new(None),
    };
    say("listening")?;
    serve(&mut endpoint, limit)
}

impl Part for Endpoint {
    fn event(&mut self, token: u64, flags: EventFlags) -> Outcome<()> {
        if token == LISTENER {
            return self.accept();
        }
        let Some((index, connection)) = self.accepted.get(token) else { return Ok(()) };
        let socket = &connection.socket;
        let mut buffer = [0u8; 4096];
        let ended = match self.work {
            Work::BulkDown if self.resting => {
                quiet(&self.interest, socket, token)?;
                self.after_rest(index, flags);
                return Ok(());
            }
            Work::BulkDown => match self.blob.send(socket, AT_ONCE) {
                Progress::Moved(_) | Progress::Blocked => None,
                Progress::Ended => Some(Err("sent nothing".into())),
                Progress::Broken(error) => Some(Err(format!("send: {error}"))),
            },
            Work::BulkUp => match self.drain.receive(socket) {
                Progress::Moved(bytes) => {
                    self.tally.add(bytes as u64);
                    None
                }
                Progress::Blocked => None,
                Progress::Ended => Some(Ok(())),
                Progress::Broken(error) => Some(Err(format!("receive: {error}"))),
            },
            Work::PingPong | Work::ConnectClose | Work::Http => echo(socket, &mut buffer),
            Work::ProxyV2 | Work::Passthrough | Work::Websocket => match &self.script {
                Some(script) => connection.scripted(script, &mut buffer, &mut self.said),
                None => Some(Err("there is no script".into())),
            },
            Work::Idle if connection.exchange.done() => echo(socket, &mut buffer),
            Work::Idle => {
                let gone = connection.exchange.go_on(socket, &self.blob, &mut self.drain);
                if connection.exchange.done() {
                    self.tally.add(1);
                }
                gone.err().map(Err)
            }
        };
        if let Some(how) = ended {
            self.end(index, how);
        }
        Ok(())
    }

    fn rest(&mut self) -> Outcome<()> {
        self.resting = true;
        Ok(())
    }

    fn tally(&mut self) -> &mut Tally {
        self.tally.set_open(self.accepted.open());
        &mut self.tally
    }

    fn interest(&self) -> &Interest {
        &self.interest
    }
}

/// Sends back what was received; `Some` at the end of the connection.
fn echo(socket: &OwnedFd, buffer: &mut [u8]) -> Option<Result<(), String>> {
    match recv(socket, &mut *buffer, RecvFlags::DONTWAIT) {
        Ok((_, 0)) => Some(Ok(())),
        Ok((_, length)) => match send(socket, &buffer[..length], SendFlags::NOSIGNAL) {
            Ok(sent) if sent == length => None,
            Ok(sent) => Some(Err(format!("sent {sent} of {length} bytes"))),
            Err(error) => Some(Err(format!("send: {error}"))),
        },
        Err(Errno::AGAIN | Errno::INTR) => None,
        Err(error) => Some(Err(format!("receive: {error}"))),
    }
}

impl Connection {
    /// Answers what was received; `Some` at the end of the connection.
    fn scripted(
        &mut self,
        script: &Script,
        buffer: &mut [u8],
        said: &mut Vec<u8>,
    ) -> Option<Result<(), String>> {
        said.clear();
        match recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return Some(Ok(())),
            Ok((_, length)) => {
                if let Err(what) = script.hear(&mut self.heard, &buffer[..length], said) {
                    return Some(Err(what));
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => return None,
            Err(error) => return Some(Err(format!("receive: {error}"))),
        }
        if said.is_empty() {
            return None;
        }
        match send(&self.socket, said, SendFlags::NOSIGNAL) {
            Ok(sent) if sent == said.len() => None,
            Ok(sent) => Some(Err(format!("sent {sent} of {} bytes", said.len()))),
            Err(error) => Some(Err(format!("send: {error}"))),
        }
    }
}

impl Endpoint {
    fn accept(&mut self) -> Outcome<()> {
        let flags = match self.work {
            Work::BulkDown => EventFlags::OUT,
            Work::Idle => EventFlags::OUT | EventFlags::IN | EventFlags::ET,
            _ => EventFlags::IN,
        };
        let Self { accepted, interest, tally, script, bytes, .. } = self;
        accepted.accept((&*interest, flags), tally, |socket| {
            let heard = script.as_ref().map(Script::begin).unwrap_or_default();
            Ok(Connection { socket, exchange: Exchange::new(*bytes), heard })
        })
    }

    /// While it rests a sender hears of nothing but the other side's end.
    fn after_rest(&mut self, index: usize, flags: EventFlags) {
        if flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            self.end(index, Ok(()));
        }
    }

    fn end(&mut self, index: usize, how: Result<(), String>) {
        if let Err(what) = how {
            self.tally.fail(what);
        }
        self.accepted.end(index);
    }
}
