//! A stream to a syslog: over TCP (RFC 6587), or at a unix socket that takes no datagrams.

use super::file::write_rest;
use super::{Batch, STALL, StreamEnd, Target};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use socket2::SockRef;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);
/// A connection over which nothing was acknowledged for this long is given up (`TCP_USER_TIMEOUT`).
const NO_ACK: Duration = Duration::from_secs(30);

/// A target that takes messages over a connection, which is made anew when it breaks.
#[derive(Debug)]
pub(super) struct Connection {
    to: Address,
    stream: Option<Stream>,
}

#[derive(Debug)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    pub(super) fn tcp(address: SocketAddr) -> Self {
        Self { to: Address::Tcp(address), stream: None }
    }

    pub(super) fn unix(path: &Path) -> Self {
        Self { to: Address::Unix(path.to_owned()), stream: None }
    }

    fn connect(&self) -> io::Result<Stream> {
        match &self.to {
            Address::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, CONNECT)?;
                stream.set_write_timeout(Some(STALL))?;
                let socket = SockRef::from(&stream);
                socket.set_tcp_user_timeout(Some(NO_ACK))?;
                socket.set_keepalive(true)?;
                Ok(Stream::Tcp(stream))
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_write_timeout(Some(STALL))?;
                Ok(Stream::Unix(stream))
            }
        }
    }
}

impl Stream {
    /// Whether the other side has closed: what is written then is lost, and only the next write
    /// would tell. A syslog never speaks; what it says all the same is thrown away.
    fn end(&self) -> Option<StreamEnd> {
        let descriptor = match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        };
        let mut heard = [0_u8; 256];
        match recv(descriptor, &mut heard[..], RecvFlags::DONTWAIT) {
            // A reset behind the end: something came too late to be read.
            Ok((_, 0)) => match SockRef::from(&descriptor).take_error() {
                Ok(None) => Some(StreamEnd::InOrder),
                _ => Some(StreamEnd::Broken),
            },
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => None,
            Err(_) => Some(StreamEnd::Broken),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for Connection {
    fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        if let Some(end) = self.stream.as_ref().and_then(Stream::end) {
            self.stream = None;
            batch.end_stream(end);
        }
        let mut fresh = false;
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                None => {
                    fresh = true;
                    batch.rewind();
                    self.stream.insert(self.connect()?)
                }
            };
            let Err(error) = write_rest(stream, batch) else { return Ok(()) };
            match error.kind() {
                // The timeout of a write: the connection stands, and goes on where it is.
                io::ErrorKind::WouldBlock => return Err(error),
                _ => {
                    self.stream = None;
                    batch.end_stream(StreamEnd::Broken);
                }
            }
            // Whoever listened may have been started anew: once, at once.
            if fresh {
                return Err(error);
            }
        }
    }
}
