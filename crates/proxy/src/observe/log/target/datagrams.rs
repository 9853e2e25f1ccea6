//! Datagrams: to the journal, to a syslog on this host, to one over UDP (RFC 5426).

use super::{Batch, STALL, Target};
use rustix::io::Errno;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// A target that takes each message as a datagram.
#[derive(Debug)]
pub(super) struct Datagrams {
    to: Address,
    socket: Option<Socket>,
}

#[derive(Debug)]
enum Address {
    Unix(PathBuf),
    Udp(SocketAddr),
}

#[derive(Debug)]
enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Datagrams {
    pub(super) fn unix(path: &Path) -> Self {
        Self { to: Address::Unix(path.to_owned()), socket: None }
    }

    pub(super) fn udp(address: SocketAddr) -> Self {
        Self { to: Address::Udp(address), socket: None }
    }

    fn connect(&self) -> io::Result<Socket> {
        match &self.to {
            Address::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(STALL))?;
                Ok(Socket::Unix(socket))
            }
            Address::Udp(address) => {
                let any = match address {
                    SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                    SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                socket.set_write_timeout(Some(STALL))?;
                Ok(Socket::Udp(socket))
            }
        }
    }
}

impl Socket {
    fn send(&self, message: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.send(message),
            Self::Udp(socket) => socket.send(message),
        }
    }
}

impl Target for Datagrams {
    fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        let mut fresh = false;
        while let Some(message) = batch.message() {
            let socket = match &self.socket {
                Some(socket) => socket,
                None => {
                    fresh = true;
                    self.socket.insert(self.connect()?)
                }
            };
            let Err(error) = socket.send(message) else {
                batch.pass();
                continue;
            };
            match Errno::from_io_error(&error) {
                Some(Errno::INTR) => {}
                // `EAGAIN`: the timeout above.
                Some(Errno::AGAIN) => return Err(error),
                Some(Errno::MSGSIZE) => {
                    batch.lose();
                    batch.pass();
                }
                refused => {
                    let is_udp = matches!(socket, Socket::Udp(_));
                    self.socket = None;
                    if refused == Some(Errno::CONNREFUSED) && is_udp {
                        // Told of a datagram sent before: nobody was there to take it.
                        batch.lose();
                        return Err(error);
                    }
                    // Whoever listened may have been started anew: once, at once.
                    if fresh {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }
}
