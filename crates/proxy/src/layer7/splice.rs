//! Large bodies pass from socket to socket as the bytes of relays do.

use crate::relay::{Buffers, Conduit, Filled};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// Moves bytes between two sockets by splice(2), through a pipe of the worker's pool. It holds the
/// pipe only while bytes move, or wait in it.
#[derive(Debug)]
pub struct Splice {
    buffers: Rc<Buffers>,
    conduit: Conduit,
}

impl Splice {
    pub(crate) fn new(buffers: Rc<Buffers>) -> Self {
        Self { buffers, conduit: Conduit::new() }
    }

    /// Whether bytes lie in the pipe: [`Self::poll_drain`] comes first.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.conduit.holds()
    }

    /// Takes at most `most` bytes out of `from`.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        from: &TcpStream,
        most: u64,
    ) -> Poll<io::Result<Filled>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.conduit.poll_fill(context, from, most, &self.buffers)
    }

    /// Gives all that lies in the pipe to `to`, and tells `moved` of every part.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_drain(
        &mut self,
        context: &mut Context<'_>,
        to: &TcpStream,
        moved: impl FnMut(u64),
    ) -> Poll<io::Result<()>> {
        self.conduit.poll_drain(context, to, moved)
    }
}

impl Drop for Splice {
    fn drop(&mut self) {
        self.conduit.let_go(&self.buffers);
    }
}
