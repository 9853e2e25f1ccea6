//! `bench endpoint` of the HTTP work: the same answer to every request.

use super::endpoint::listening;
use super::message::answer;
use super::tally::Tally;
use super::{Interest, Part, say, serve};
use crate::case::Http;
use crate::failure::{Context, Outcome};
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};
use std::net::SocketAddr;
use std::time::Duration;

/// The token of the listening socket.
const LISTENER: u64 = u64::MAX - 1;

/// Connections accepted before the others get their turn.
const ACCEPTS: usize = 64;

/// Answers from this length on are sent by reference.
const LARGE: usize = 16 << 10;

struct Connection {
    socket: OwnedFd,
    /// The last bytes of a request that is not complete.
    tail: [u8; 4],
    /// What is sent of the answer under way.
    sent: Option<usize>,
}

struct Answers {
    interest: Interest,
    listener: OwnedFd,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    answer: Vec<u8>,
    /// The same as a file, where it is large.
    file: Option<OwnedFd>,
    tally: Tally,
}

/// Answers at `address` until standard input ends.
///
/// # Errors
/// The address cannot be bound, or the process has been forgotten for longer than `limit`.
pub fn run(address: SocketAddr, http: Http, limit: Duration) -> Outcome<()> {
    let listener = listening(address).context(|| format!("cannot listen on {address}"))?;
    let answer = answer(http);
    let file = (answer.len() >= LARGE).then(|| in_file(&answer)).transpose()?;
    let mut part = Answers {
        interest: Interest::new()?,
        listener,
        connections: Vec::new(),
        free: Vec::new(),
        answer,
        file,
        tally: Tally::new(None),
    };
    part.interest.add(&part.listener, LISTENER, EventFlags::IN)?;
    say("listening")?;
    serve(&mut part, limit)
}

fn in_file(bytes: &[u8]) -> Outcome<OwnedFd> {
    let memfd = || "memfd".to_owned();
    let file = rustix::fs::memfd_create("bench", rustix::fs::MemfdFlags::CLOEXEC).context(memfd)?;
    let mut written = 0;
    while written < bytes.len() {
        written += rustix::io::write(&file, &bytes[written..]).context(memfd)?;
    }
    Ok(file)
}

impl Part for Answers {
    fn event(&mut self, token: u64, flags: EventFlags) -> Outcome<()> {
        if token == LISTENER {
            return self.accept();
        }
        let index = usize::try_from(token).context(|| "token".into())?;
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else {
            return Ok(());
        };
        if connection.sent.is_none()
            && flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR)
        {
            match connection.receive() {
                Ok(true) => {}
                Ok(false) => {
                    self.connections[index] = None;
                    self.free.push(index);
                    return Ok(());
                }
                Err(what) => {
                    self.tally.fail(what);
                    self.connections[index] = None;
                    self.free.push(index);
                    return Ok(());
                }
            }
        }
        match connection.send(&self.answer, self.file.as_ref()) {
            Ok(false) => {}
            Ok(true) => self.tally.add(1),
            Err(what) => {
                self.tally.fail(what);
                self.connections[index] = None;
                self.free.push(index);
            }
        }
        Ok(())
    }

    fn rest(&mut self) -> Outcome<()> {
        // It is asked for nothing more.
        Ok(())
    }

    fn tally(&mut self) -> &mut Tally {
        self.tally.set_open(self.connections.len() - self.free.len());
        &mut self.tally
    }

    fn interest(&self) -> &Interest {
        &self.interest
    }
}

impl Answers {
    fn accept(&mut self) -> Outcome<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        for _ in 0..ACCEPTS {
            let socket = match accept_with(&self.listener, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => break,
                Err(error) => {
                    self.tally.fail(format!("accept: {error}"));
                    break;
                }
            };
            let index = self.free.pop().unwrap_or(self.connections.len());
            if index == self.connections.len() {
                self.connections.push(None);
            }
            // Edge-triggered, so that one registration does for requests and answers.
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            self.interest.add(&socket, index as u64, flags)?;
            self.connections[index] = Some(Connection { socket, tail: [0; 4], sent: None });
        }
        Ok(())
    }
}

impl Connection {
    /// Receives what is there; an answer is begun at the end of a request. False: the candidate has
    /// ended the connection.
    fn receive(&mut self) -> Result<bool, String> {
        let mut buffer = [0u8; 8192];
        match recv(&self.socket, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return Ok(false),
            Ok((_, length)) => {
                let new = length.min(4);
                self.tail.copy_within(new.., 0);
                self.tail[4 - new..].copy_from_slice(&buffer[length - new..length]);
            }
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            // How a candidate ends a connection at rest is its own affair.
            Err(Errno::CONNRESET) => return Ok(false),
            Err(error) => return Err(format!("receive: {error}")),
        }
        if self.tail == *b"\r\n\r\n" {
            self.tail = [0; 4];
            self.sent = Some(0);
        }
        Ok(true)
    }

    /// Sends what is left of the answer under way; true at its end.
    fn send(&mut self, answer: &[u8], file: Option<&OwnedFd>) -> Result<bool, String> {
        while let Some(sent) = self.sent {
            let left = answer.len() - sent;
            let progress = match file {
                Some(file) => {
                    let mut offset = sent as u64;
                    rustix::fs::sendfile(&self.socket, file, Some(&mut offset), left)
                }
                None => send(&self.socket, &answer[sent..], SendFlags::NOSIGNAL),
            };
            match progress {
                Ok(count) if count == left => {
                    self.sent = None;
                    return Ok(true);
                }
                Ok(count) => self.sent = Some(sent + count),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
                Err(error) => return Err(format!("send: {error}")),
            }
        }
        Ok(false)
    }
}
