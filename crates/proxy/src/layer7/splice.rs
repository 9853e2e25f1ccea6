//! Large bodies pass from socket to socket by splice(2), through the pipes that relays use.

use crate::relay::{Buffers, PooledPipe};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Moves bytes between two sockets. It holds a pipe only while bytes move.
#[derive(Debug)]
pub struct Splice {
    buffers: Rc<Buffers>,
    pipe: Option<PooledPipe>,
    /// Bytes that lie in the pipe.
    inside: usize,
    /// Nothing was spliced since the reading side last rested.
    nothing_yet: bool,
}

/// What came of filling the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// So many bytes came in.
    Bytes(usize),
    /// The reading side has ended.
    Ended,
    /// There is no pipe to be had: copy.
    NoPipe,
    /// The reactor held the reading side for ready, and splice found nothing: it stops for ever in
    /// front of a byte of urgent data, which [`Splice::read_in_doubt`] passes over.
    InVain,
}

impl Splice {
    pub(crate) fn new(buffers: Rc<Buffers>) -> Self {
        Self { buffers, pipe: None, inside: 0, nothing_yet: true }
    }

    /// Whether bytes lie in the pipe: [`Self::poll_drain`] comes first.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.inside > 0
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
        let mut refused = false;
        while from.poll_read_ready(context)?.is_ready() {
            self.pipe = self.pipe.take().or_else(|| self.buffers.take_pipe());
            let Some(pipe) = &self.pipe else { return Poll::Ready(Ok(Filled::NoPipe)) };
            match from.try_io(Interest::READABLE, || pipe.fill(from.as_fd(), most)) {
                Ok(0) => return Poll::Ready(Ok(Filled::Ended)),
                Ok(moved) => {
                    self.inside += moved;
                    self.nothing_yet = false;
                    return Poll::Ready(Ok(Filled::Bytes(moved)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => refused = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // It rests: others may use the pipe.
        self.let_go();
        let nothing_yet = std::mem::replace(&mut self.nothing_yet, true);
        if refused && nothing_yet { Poll::Ready(Ok(Filled::InVain)) } else { Poll::Pending }
    }

    /// Gives all that lies in the pipe to `to`, and tells `moved` of every part.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_drain(
        &mut self,
        context: &mut Context<'_>,
        to: &TcpStream,
        mut moved: impl FnMut(u64),
    ) -> Poll<io::Result<()>> {
        let Some(pipe) = &self.pipe else { return Poll::Ready(Ok(())) };
        while self.inside > 0 {
            ready!(to.poll_write_ready(context))?;
            let inside = self.inside;
            match to.try_io(Interest::WRITABLE, || pipe.drain(to.as_fd(), inside, false)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.inside = inside.saturating_sub(count);
                    moved(count as u64);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// One read although the reactor holds the socket for empty, after [`Filled::InVain`]; 0 at the
    /// end, `None` where there is nothing.
    ///
    /// # Errors
    /// The socket's.
    pub fn read_in_doubt(from: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match recv(from, buffer, RecvFlags::DONTWAIT) {
            Ok((read, _)) => Ok(Some(read)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the pipe back; one that is not empty is closed with what is in it.
    fn let_go(&mut self) {
        if let Some(pipe) = self.pipe.take_if(|_| self.inside == 0) {
            self.buffers.return_pipe(pipe);
        }
    }
}

impl Drop for Splice {
    fn drop(&mut self) {
        self.let_go();
    }
}
