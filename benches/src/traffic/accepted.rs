//! The connections that an endpoint has accepted.

use super::Interest;
use super::tally::Tally;
use crate::failure::{Context, Outcome};
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::net::{accept_with, bind, listen, socket_with, sockopt};
use std::net::SocketAddr;

/// The token of the listening socket.
pub(super) const LISTENER: u64 = u64::MAX - 1;

/// Connections accepted before the others get their turn.
const ACCEPTS: usize = 64;

/// A listening socket, and what came of it.
pub(super) struct Accepted<C> {
    listener: OwnedFd,
    connections: Vec<Option<C>>,
    free: Vec<usize>,
}

impl<C> Accepted<C> {
    /// Listens at `address`, and is interested in who comes.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(super) fn at(address: SocketAddr, interest: &Interest) -> Outcome<Self> {
        let listener = listening(address).context(|| format!("cannot listen on {address}"))?;
        interest.add(&listener, LISTENER, EventFlags::IN)?;
        Ok(Self { listener, connections: Vec::new(), free: Vec::new() })
    }

    /// Accepts who waits; `flags` are of interest, and `begin` makes a connection of a socket.
    ///
    /// # Errors
    /// There is no place in the reactor, or `begin` fails.
    pub(super) fn accept(
        &mut self,
        (interest, flags): (&Interest, EventFlags),
        tally: &mut Tally,
        mut begin: impl FnMut(OwnedFd) -> Outcome<C>,
    ) -> Outcome<()> {
        for _ in 0..ACCEPTS {
            let socket =
                match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                    Ok(socket) => socket,
                    Err(Errno::AGAIN) => break,
                    Err(error) => {
                        tally.fail(format!("accept: {error}"));
                        break;
                    }
                };
            let index = self.free.pop().unwrap_or(self.connections.len());
            if index == self.connections.len() {
                self.connections.push(None);
            }
            interest.add(&socket, index as u64, flags)?;
            self.connections[index] = Some(begin(socket)?);
        }
        Ok(())
    }

    /// The connection of a token and its number, if it is still there.
    pub(super) fn get(&mut self, token: u64) -> Option<(usize, &mut C)> {
        let index = usize::try_from(token).ok()?;
        Some((index, self.connections.get_mut(index)?.as_mut()?))
    }

    /// Closes the connection with this number.
    pub(super) fn end(&mut self, index: usize) {
        self.connections[index] = None;
        self.free.push(index);
    }

    /// How many stand.
    pub(super) fn open(&self) -> usize {
        self.connections.len() - self.free.len()
    }
}

/// A listening socket that does not block.
fn listening(address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_tcp_nodelay(&socket, true)?; // inherited: saves a call per connection
    bind(&socket, &address)?;
    listen(&socket, 4096)?;
    Ok(socket)
}
