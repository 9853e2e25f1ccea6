//! What stands between h2 and the connection under it: it cuts clients that flood, and hands h2 no more in
//! one turn of the worker than others can wait for.

use crate::bell::Bell;
use eclusa_proxy::layer7::now;
use eclusa_wire::http2::{Counter, Flood, Limits};
use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Frames that h2 is handed in one turn; HEADERS count as eight: some thirty exchanges begin in a turn, and
/// a hundred that are opened at once take four.
const FRAMES_PER_TURN: u32 = 256;
/// Bytes of one turn, or a read more.
const BYTES_PER_TURN: usize = 64 << 10;
/// Bytes of a client that is cut which are thrown away, so that its goodbye is not overtaken by the reset
/// that unread bytes bring about.
const THROWN: usize = 256 << 10;

/// The connection under h2, with the frame counter in between.
#[derive(Debug)]
pub(crate) struct Guard<S> {
    under: S,
    counter: Counter,
    began: Instant,
    /// What this turn may still hold.
    frames: u32,
    bytes: usize,
    /// Rings for the next turn: h2 may ask many times in one.
    bell: Arc<Bell>,
    /// What was read, and is for another turn.
    held: Vec<u8>,
    given: usize,
    watch: Watch,
}

/// Tells whoever drives the connection what its client was cut for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch(Rc<Cell<Option<Flood>>>);

impl Watch {
    /// Why the client was cut; `None`: it was not.
    pub(crate) fn flood(&self) -> Option<Flood> {
        self.0.get()
    }
}

/// What h2 is told of a connection that was cut.
fn cut(flood: Flood) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, flood)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// Over a connection of which h2 has not read a byte. `limits` are those of h2's settings.
    pub(crate) fn new(under: S, limits: Limits) -> Self {
        let (counter, began) = (Counter::new(limits, 0), now());
        let (frames, bytes) = (FRAMES_PER_TURN, BYTES_PER_TURN);
        let (bell, watch) = (Arc::default(), Watch::default());
        Self { under, counter, began, frames, bytes, bell, held: Vec::new(), given: 0, watch }
    }

    /// For whoever drives the connection.
    pub(crate) fn watch(&self) -> Watch {
        self.watch.clone()
    }

    fn next_turn(&mut self) {
        (self.frames, self.bytes) = (FRAMES_PER_TURN, BYTES_PER_TURN);
    }

    /// Counts what the client has sent; says how much of it h2 is handed now.
    fn count(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        let now = u64::try_from((now() - self.began).as_millis()).unwrap_or(u64::MAX);
        let counted = self.counter.received(bytes, now, &mut self.frames);
        self.bytes = self.bytes.saturating_sub(bytes.len());
        counted.map_err(|flood| self.end(context, flood))
    }

    /// Counts what the client has been sent.
    fn count_sent(&mut self, context: &mut Context<'_>, bytes: &[u8]) {
        let before = self.counter.over();
        if let (Err(flood), None) = (self.counter.sent(bytes), before) {
            // h2 learns of it when it reads.
            let _ = self.end(context, flood);
            context.waker().wake_by_ref();
        }
    }

    /// Says goodbye, as far as that can be said at once: who floods is not waited for.
    fn end(&mut self, context: &mut Context<'_>, flood: Flood) -> io::Error {
        self.watch.0.set(Some(flood));
        // What the library ends it says goodbye to.
        if flood == Flood::Library {
            return cut(flood);
        }
        self.held = Vec::new();
        if let Some(goodbye) = self.counter.goaway() {
            // Whether it is heard or not: the connection ends.
            let _ = Pin::new(&mut self.under).poll_write(context, &goodbye);
            let _ = Pin::new(&mut self.under).poll_flush(context);
            let _ = Pin::new(&mut self.under).poll_shutdown(context);
            self.throw_away(context);
        }
        cut(flood)
    }

    /// Takes what is there and nobody will read.
    fn throw_away(&mut self, context: &mut Context<'_>) {
        let mut room = [0; 4 << 10];
        for _ in 0..THROWN / room.len() {
            let mut buffer = ReadBuf::new(&mut room);
            let read = Pin::new(&mut self.under).poll_read(context, &mut buffer);
            if !matches!(read, Poll::Ready(Ok(()))) || buffer.filled().is_empty() {
                return;
            }
        }
    }

    /// Hands out what an earlier turn has left.
    fn give(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let rest = held.get(self.given..).unwrap_or_default();
        let rest = rest.get(..buffer.remaining()).unwrap_or(rest);
        let used = self.count(context, rest)?;
        buffer.put_slice(rest.get(..used).unwrap_or_default());
        self.given += used;
        if self.given < held.len() {
            self.held = held;
        }
        Ok(())
    }

    /// Whether h2 may write: it may not once the client is cut, unless it is h2 that cuts it.
    fn may_write(&self) -> io::Result<()> {
        match self.counter.over() {
            Some(flood) if flood != Flood::Library => Err(cut(flood)),
            _ => Ok(()),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = &mut *self;
        if let Some(flood) = guard.counter.over() {
            return Poll::Ready(Err(cut(flood)));
        }
        if guard.frames == 0 || guard.bytes == 0 {
            if !guard.bell.take() {
                // Others have their turn first.
                guard.bell.set(context.waker());
                return Poll::Pending;
            }
            guard.next_turn();
        }
        if !guard.held.is_empty() {
            return Poll::Ready(guard.give(context, buffer));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut guard.under).poll_read(context, buffer);
        if read.is_pending() {
            guard.next_turn();
        }
        ready!(read)?;
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        if bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match guard.count(context, bytes) {
            Ok(used) => {
                guard.held.extend_from_slice(bytes.get(used..).unwrap_or_default());
                guard.given = 0;
                buffer.set_filled(before + used);
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                buffer.set_filled(before);
                Poll::Ready(Err(error))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.may_write()?;
        let count = ready!(Pin::new(&mut self.under).poll_write(context, bytes))?;
        self.count_sent(context, bytes.get(..count).unwrap_or_default());
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        all: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.may_write()?;
        let count = ready!(Pin::new(&mut self.under).poll_write_vectored(context, all))?;
        let mut left = count;
        for bytes in all {
            let part = bytes.get(..left).unwrap_or(bytes);
            self.count_sent(context, part);
            left -= part.len();
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.under.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.under).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.under).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
