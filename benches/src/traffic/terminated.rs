//! `bench endpoint` of what needs more than [`super::answers`]: gRPC behind candidates, and in the null
//! test TLS and HTTP/2, which only candidates speak otherwise. It is no faster than it has to be.

use super::accepted::{Accepted, LISTENER};
use super::answering::{Answer, BODY_MAX, Heard};
use super::tally::Tally;
use super::{Interest, Part, say, serve};
use crate::case::Http;
use crate::certificate;
use crate::failure::{Context, Failure, Outcome};
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Bytes received at once.
const ROOM: usize = 64 << 10;

struct Connection {
    socket: OwnedFd,
    secure: Option<Box<ServerConnection>>,
    heard: Heard,
    /// What is to be said and not encrypted yet.
    said: Vec<u8>,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
}

struct Terminated {
    http: Http,
    answer: Answer,
    tls: Option<Arc<ServerConfig>>,
    interest: Interest,
    accepted: Accepted<Connection>,
    tally: Tally,
}

/// Answers at `address` until standard input ends.
///
/// # Errors
/// The address cannot be bound, the answer is too long, or the process has been forgotten for longer
/// than `limit`.
pub fn run(address: SocketAddr, http: Http, limit: Duration) -> Outcome<()> {
    if http.streams > 0 && http.data() > BODY_MAX {
        let told = format!("answers of HTTP/2 have at most {BODY_MAX} bytes here");
        return Err(Failure::new(told));
    }
    let interest = Interest::new()?;
    let mut part = Terminated {
        http,
        answer: Answer::new(http),
        tls: http.tls.then(|| config(http)).transpose()?,
        accepted: Accepted::at(address, &interest)?,
        interest,
        tally: Tally::new(None),
    };
    say("listening")?;
    serve(&mut part, limit)
}

/// As a candidate would have it.
fn config(http: Http) -> Outcome<Arc<ServerConfig>> {
    let tls = || "TLS".to_owned();
    let made = certificate::make(http.key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context(tls)?
        .with_no_client_auth()
        .with_single_cert(vec![made.certificate.der().clone()], key)
        .context(tls)?;
    let protocol: &[u8] = if http.streams > 0 { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![protocol.to_vec()];
    config.ticketer = Ticketer::new().context(tls)?;
    Ok(Arc::new(config))
}

impl Part for Terminated {
    fn event(&mut self, token: u64, flags: EventFlags) -> Outcome<()> {
        if token == LISTENER {
            return self.accept();
        }
        let Some((index, connection)) = self.accepted.get(token) else { return Ok(()) };
        let mut ended = Ok(false);
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            ended = connection.receive(&self.answer, &mut self.tally);
        }
        let ended = match (ended, connection.send()) {
            (Ok(ended), Ok(())) => ended,
            (Err(what), _) | (_, Err(what)) => {
                self.tally.fail(what);
                true
            }
        };
        if ended {
            self.accepted.end(index);
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

impl Terminated {
    fn accept(&mut self) -> Outcome<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        let Self { accepted, interest, tally, tls, http, .. } = self;
        accepted.accept((&*interest, flags), tally, |socket| {
            let secure = tls.clone().map(ServerConnection::new).transpose();
            let mut secure = secure.context(|| "TLS".into())?.map(Box::new);
            if let Some(secure) = &mut secure {
                secure.set_buffer_limit(None);
            }
            let mut said = Vec::new();
            let heard = Heard::begin(*http, &mut said);
            Ok(Connection { socket, secure, heard, said, unsent: Vec::new() })
        })
    }
}

impl Connection {
    /// Receives what is there, and prepares what is to be said to it; true: the connection has ended.
    fn receive(&mut self, answer: &Answer, tally: &mut Tally) -> Result<bool, String> {
        let mut buffer = [0u8; ROOM];
        loop {
            let length = match recv(&self.socket, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((_, 0)) | Err(Errno::CONNRESET) => return Ok(true),
                Ok((_, length)) => length,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
                Err(error) => return Err(format!("receive: {error}")),
            };
            let answers = match &mut self.secure {
                None => self.heard.take(&buffer[..length], answer, &mut self.said)?,
                Some(secure) => {
                    let plain = decrypt(secure, &buffer[..length])?;
                    self.heard.take(&plain, answer, &mut self.said)?
                }
            };
            tally.add(answers);
            self.encrypt()?;
            if length < ROOM {
                return Ok(false);
            }
        }
    }

    /// What is to be said becomes what is to be sent.
    fn encrypt(&mut self) -> Result<(), String> {
        let told = |error: std::io::Error| format!("TLS: {error}");
        let Some(secure) = &mut self.secure else {
            self.unsent.append(&mut self.said);
            return Ok(());
        };
        if !secure.is_handshaking() {
            secure.writer().write_all(&self.said).map_err(told)?;
            self.said.clear();
        }
        while secure.wants_write() {
            secure.write_tls(&mut self.unsent).map_err(told)?;
        }
        Ok(())
    }

    /// Sends as much as the socket takes.
    fn send(&mut self) -> Result<(), String> {
        if self.secure.is_none() {
            self.unsent.append(&mut self.said);
        }
        while !self.unsent.is_empty() {
            match send(&self.socket, &self.unsent, SendFlags::NOSIGNAL) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(Errno::AGAIN | Errno::INTR) => break,
                // The other side has what it wanted.
                Err(Errno::PIPE | Errno::CONNRESET) => self.unsent.clear(),
                Err(error) => return Err(format!("send: {error}")),
            }
        }
        Ok(())
    }
}

/// What encrypted bytes say.
fn decrypt(secure: &mut ServerConnection, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (mut rest, mut plain) = (bytes, Vec::new());
    while !rest.is_empty() {
        secure.read_tls(&mut rest).map_err(|error| format!("TLS: {error}"))?;
        secure.process_new_packets().map_err(|error| format!("TLS: {error}"))?;
        match secure.reader().read_to_end(&mut plain) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                return Err(format!("TLS: {error}"));
            }
            _ => {}
        }
    }
    Ok(plain)
}
