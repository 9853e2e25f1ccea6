//! Bytes on their way from socket to socket by splice(2), through a pipe of the worker's pool. Relays
//! and the bodies of layer 7 move what is large through it.

use super::buffers::{Buffers, PooledPipe};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// It holds a pipe only while bytes move, or wait in it.
#[derive(Debug)]
pub(crate) struct Conduit {
    pipe: Option<PooledPipe>,
    /// Bytes that lie in the pipe.
    inside: u32,
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
    /// front of a byte of urgent data, which [`read_in_doubt`] passes over.
    InVain,
}

impl Conduit {
    pub(crate) fn new() -> Self {
        Self { pipe: None, inside: 0, nothing_yet: true }
    }

    /// Whether bytes lie in the pipe: [`Self::poll_drain`] comes first.
    pub(crate) fn holds(&self) -> bool {
        self.inside > 0
    }

    /// Takes at most `most` bytes out of `from`. Pending: it rests, and the pipe is given back.
    pub(crate) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        from: &TcpStream,
        most: usize,
        buffers: &Buffers,
    ) -> Poll<io::Result<Filled>> {
        let mut refused = false;
        while from.poll_read_ready(context)?.is_ready() {
            if self.pipe.is_none() {
                self.pipe = buffers.take_pipe();
            }
            let Some(pipe) = &self.pipe else { return Poll::Ready(Ok(Filled::NoPipe)) };
            match from.try_io(Interest::READABLE, || pipe.fill(from.as_fd(), most)) {
                Ok(0) => return Poll::Ready(Ok(Filled::Ended)),
                Ok(moved) => {
                    let there = u32::try_from(moved).unwrap_or(u32::MAX);
                    self.inside = self.inside.saturating_add(there);
                    self.nothing_yet = false;
                    return Poll::Ready(Ok(Filled::Bytes(moved)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => refused = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // Others may use the pipe.
        self.let_go(buffers);
        let nothing_yet = std::mem::replace(&mut self.nothing_yet, true);
        if refused && nothing_yet { Poll::Ready(Ok(Filled::InVain)) } else { Poll::Pending }
    }

    /// Gives all that lies in the pipe to `to`, and tells `moved` of every part.
    pub(crate) fn poll_drain(
        &mut self,
        context: &mut Context<'_>,
        to: &TcpStream,
        mut moved: impl FnMut(u64),
    ) -> Poll<io::Result<()>> {
        let Some(pipe) = &self.pipe else { return Poll::Ready(Ok(())) };
        while self.inside > 0 {
            ready!(to.poll_write_ready(context))?;
            let inside = self.inside as usize;
            match to.try_io(Interest::WRITABLE, || pipe.drain(to.as_fd(), inside, false)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.inside -= u32::try_from(count).unwrap_or(self.inside).min(self.inside);
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

    /// How many bytes lie in the pipe, if it has one.
    pub(super) fn content(&self) -> Option<usize> {
        self.pipe.as_ref().map(|_| self.inside as usize)
    }

    /// Moves what lies in the pipe to memory, and gives the pipe back.
    pub(super) fn take_out(&mut self, buffers: &Buffers) -> Vec<u8> {
        let mut bytes = vec![0; self.inside as usize];
        let mut filled = 0;
        if let Some(pipe) = &self.pipe {
            while filled < bytes.len() {
                match pipe.read(&mut bytes[filled..]) {
                    Ok(read) if read > 0 => filled += read,
                    // Cannot be: the bytes are there. The pipe stays where they are.
                    _ => break,
                }
            }
        }
        bytes.truncate(filled);
        self.inside -= u32::try_from(filled).unwrap_or(self.inside).min(self.inside);
        self.let_go(buffers);
        bytes
    }

    /// Gives the pipe back, if it is empty; one that is not is closed with what is in it.
    pub(crate) fn let_go(&mut self, buffers: &Buffers) {
        if let Some(pipe) = self.pipe.take_if(|_| self.inside == 0) {
            buffers.return_pipe(pipe);
        }
    }
}

/// Writes what `to` takes of `bytes`, which more follows at once: what does not fill a segment waits for
/// that (`MSG_MORE` in send(2)).
///
/// # Errors
/// The socket's.
pub fn poll_write_more(
    context: &mut Context<'_>,
    to: &TcpStream,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    let flags = SendFlags::MORE | SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    loop {
        ready!(to.poll_write_ready(context))?;
        match to.try_io(Interest::WRITABLE, || Ok(send(to, bytes, flags)?)) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            sent => return Poll::Ready(sent),
        }
    }
}

/// One read although the reactor holds the socket for empty, after [`Filled::InVain`]; 0 at the end,
/// `None` where there is nothing.
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
