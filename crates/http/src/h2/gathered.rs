//! The connection under h2. h2 writes frame by frame, and asks for a flush after each that carries more
//! than a few bytes of data: here all that is ready is gathered, and whoever drives the connection sends it
//! in one write once h2 has no more.

use crate::spare;
use crate::stream::Stream;
use std::cell::{RefCell, RefMut};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So much is gathered at most; what is more waits in h2, and that makes its streams wait.
const MOST: usize = 64 << 10;

/// A connection, shared by h2 and whoever drives it.
#[derive(Debug)]
pub(super) struct Gathered(Rc<RefCell<Line>>);

/// The connection itself.
#[derive(Debug)]
pub(super) struct Line {
    stream: Stream,
    /// What was read of it before h2 had it.
    first: Vec<u8>,
    /// Bytes that were read since.
    heard: u64,
    /// What waits to be written, and how much of it is written.
    out: Vec<u8>,
    written: usize,
}

impl Gathered {
    pub(super) fn new(stream: Stream, first: Vec<u8>) -> Self {
        Self(Rc::new(RefCell::new(Line { stream, first, heard: 0, out: Vec::new(), written: 0 })))
    }

    /// The same connection, for whoever drives it.
    pub(super) fn share(&self) -> Self {
        Self(Rc::clone(&self.0))
    }

    /// Writes what was gathered; ready once the socket has all of it.
    pub(super) fn poll_out(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line().poll_out(context)
    }

    /// Bytes that the peer has said; its settings come first.
    pub(super) fn heard(&self) -> u64 {
        self.line().heard
    }

    /// The connection, once h2 is through with it.
    pub(super) fn into_stream(self) -> Option<Stream> {
        Rc::into_inner(self.0).map(|line| line.into_inner().stream)
    }

    fn line(&self) -> RefMut<'_, Line> {
        self.0.borrow_mut()
    }
}

impl Line {
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(self.stream.poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        if self.written > 0 {
            self.written = 0;
            // At rest a connection holds none.
            spare::give_back(std::mem::take(&mut self.out));
        }
        self.stream.poll_flush(context)
    }
}

impl AsyncRead for Gathered {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut line = self.line();
        if !line.first.is_empty() {
            let count = line.first.len().min(buffer.remaining());
            buffer.put_slice(line.first.get(..count).unwrap_or_default());
            line.first.drain(..count);
            if line.first.is_empty() {
                line.first = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut line.stream).poll_read(context, buffer))?;
        let count = buffer.filled().len().saturating_sub(before);
        line.heard = line.heard.wrapping_add(count as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Gathered {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut line = self.line();
        if line.out.len() >= MOST {
            ready!(line.poll_out(context))?;
        }
        if line.out.capacity() == 0 {
            line.out = spare::buffer();
        }
        let room = MOST.saturating_sub(line.out.len()).min(bytes.len());
        line.out.extend_from_slice(bytes.get(..room).unwrap_or_default());
        Poll::Ready(Ok(room))
    }

    /// Nothing: [`Gathered::poll_out`] flushes.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut line = self.line();
        ready!(line.poll_out(context))?;
        line.stream.poll_shutdown(context)
    }
}
