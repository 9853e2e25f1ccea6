//! `bench endpoint` of the HTTP work: the same answer to every request.

use super::accepted::{Accepted, LISTENER};
use super::message::answer;
use super::tally::Tally;
use super::{Interest, Part, say, serve};
use crate::case::Http;
use crate::failure::{Context, Outcome};
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::SocketAddr;
use std::time::Duration;

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
    accepted: Accepted<Connection>,
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
    let interest = Interest::new()?;
    let answer = answer(http);
    let file = (answer.len() >= LARGE).then(|| in_file(&answer)).transpose()?;
    let mut part = Answers {
        accepted: Accepted::at(address, &interest)?,
        interest,
        answer,
        file,
        tally: Tally::new(None),
    };
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
        let Some((index, connection)) = self.accepted.get(token) else { return Ok(()) };
        if connection.sent.is_none()
            && flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR)
        {
            match connection.receive() {
                Ok(true) => {}
                Ok(false) => {
                    self.accepted.end(index);
                    return Ok(());
                }
                Err(what) => {
                    self.tally.fail(what);
                    self.accepted.end(index);
                    return Ok(());
                }
            }
        }
        match connection.send(&self.answer, self.file.as_ref()) {
            Ok(false) => {}
            Ok(true) => self.tally.add(1),
            Err(what) => {
                self.tally.fail(what);
                self.accepted.end(index);
            }
        }
        Ok(())
    }

    fn rest(&mut self) -> Outcome<()> {
        // It is asked for nothing more.
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

impl Answers {
    fn accept(&mut self) -> Outcome<()> {
        // Edge-triggered, so that one registration does for requests and answers.
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        self.accepted.accept((&self.interest, flags), &mut self.tally, |socket| {
            Ok(Connection { socket, tail: [0; 4], sent: None })
        })
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
