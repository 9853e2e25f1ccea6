//! One side of an exchange: a TCP connection, with TLS or without, or a stream of HTTP/2.

use crate::h2::Http2;
use crate::tls::{accept, originate};
use eclusa_proxy::layer7::{
    known, poll_receive, poll_send, poll_send_pieces, reset_on_close, room, untaken,
};
use eclusa_wire::http1::{Limits, Reason, Trailers};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// So much is read at once without asking whether the other side takes it.
pub(crate) const PIECE: usize = 16 << 10;
/// The least that is read at once where there is more.
const LEAST: usize = 4 << 10;

/// A connection to a client or to an endpoint.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Plain.
    Plain(TcpStream),
    /// TLS with a client.
    Client(Box<accept::TlsStream<TcpStream>>),
    /// TLS with an endpoint.
    Endpoint(Box<originate::TlsStream<TcpStream>>),
    /// A stream of an HTTP/2 connection.
    Http2(Box<Http2>),
}

/// Whether a peer is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// As far as anybody can tell.
    Here,
    /// It says nothing more; whether it still listens nobody can tell.
    Ended,
    /// It has reset the connection.
    Gone,
}

impl Stream {
    /// Whether the peer is there; nothing is read. `context` is woken when it goes, unless it has said
    /// something that waits to be read.
    pub(crate) fn presence(&self, context: &mut Context<'_>) -> Presence {
        let socket = match self {
            Self::Http2(stream) => return stream.presence(context),
            Self::Plain(_) | Self::Client(_) | Self::Endpoint(_) => self.socket(),
        };
        let Some(socket) = socket else { return Presence::Here };
        if socket.poll_read_ready(context).is_pending() {
            return Presence::Here;
        }
        match closed(socket) {
            Some(presence) => presence,
            // Ready it may have been for bytes that were read since: nobody would be woken by that.
            None => match socket.poll_peek(context, &mut ReadBuf::new(&mut [0; 1])) {
                Poll::Ready(Ok(0)) => Presence::Ended,
                Poll::Ready(Err(_)) => Presence::Gone,
                Poll::Ready(Ok(_)) | Poll::Pending => Presence::Here,
            },
        }
    }

    /// Whether the peer has reset its connection, as far as the reactor has heard.
    pub(crate) fn is_gone(&self) -> bool {
        self.socket().and_then(closed) == Some(Presence::Gone)
    }

    /// Whether nothing waits to be read: a connection that is closed before it is resets its peer.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        self.socket().is_none_or(|socket| socket.poll_read_ready(&mut nobody).is_pending())
    }

    /// Says that nothing more comes, as far as that can be said at once; the connection is about to be
    /// closed, which says it where there is no TLS.
    pub(crate) fn say_goodbye(&mut self) {
        if matches!(self, Self::Plain(_) | Self::Http2(_)) {
            return;
        }
        // Whether it is heard or not: the connection ends.
        let _ = self.poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }

    /// The TCP connection; `None` for a stream among others of one.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Client(stream) => Some(stream.get_ref().0),
            Self::Endpoint(stream) => Some(stream.get_ref().0),
            Self::Http2(_) => None,
        }
    }

    /// Bytes that were written and that the peer has not acknowledged. A stream of HTTP/2 takes only what
    /// its peer's windows have room for: there it is none.
    pub(crate) fn untaken(&self) -> usize {
        self.socket().map_or(0, untaken)
    }

    /// Makes the end a reset, so that the peer does not take it for one in good order.
    pub(crate) fn reset_on_close(&mut self) {
        match self {
            Self::Http2(stream) => stream.reset(h2::Reason::INTERNAL_ERROR),
            _ => {
                self.socket().map(reset_on_close);
            }
        }
    }

    /// Whether a stream of HTTP/2 has said that nothing more comes, and nothing of it is left.
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self, Self::Http2(stream) if stream.is_ended())
    }

    /// Ends our half of a stream of HTTP/2 with these trailers; others are only flushed.
    pub(crate) fn poll_finish(
        &mut self,
        context: &mut Context<'_>,
        trailers: &Trailers,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Http2(stream) => Poll::Ready(stream.finish(trailers)),
            _ => self.poll_flush(context),
        }
    }

    /// The trailers of a stream of HTTP/2, once all of its data is read; others have none here.
    pub(crate) fn poll_trailers(
        &mut self,
        context: &mut Context<'_>,
        limits: &Limits,
    ) -> Poll<io::Result<Result<Trailers, Reason>>> {
        match self {
            Self::Http2(stream) => stream.poll_trailers(context, limits),
            _ => Poll::Ready(Ok(Ok(Trailers::default()))),
        }
    }

    /// How much of `wanted` is to be read for this connection to take. What it does not take is kept, and
    /// thousands of slow readers must not cost a whole read each.
    pub(crate) fn takes_of(&self, wanted: usize) -> usize {
        if let Self::Http2(stream) = self {
            return stream.takes().min(wanted);
        }
        if wanted <= PIECE {
            return wanted;
        }
        // Half of the room: for a small window the kernel queues small pieces, and each needs nearly as
        // much again for itself.
        let Some(socket) = self.socket() else { return wanted };
        (room(socket) / 2).clamp(LEAST, wanted)
    }

    /// Whether it takes anything at all of what is read for it, as far as can be told.
    pub(crate) fn takes_more(&self) -> bool {
        !matches!(self, Self::Http2(stream) if stream.is_shut())
    }

    /// Reads once into `buffer`; 0 at the end.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = match self {
            Self::Plain(stream) => {
                return poll_receive(context, stream, buffer.initialize_unfilled());
            }
            Self::Client(stream) => Pin::new(&mut **stream).poll_read(context, &mut buffer),
            Self::Endpoint(stream) => Pin::new(&mut **stream).poll_read(context, &mut buffer),
            Self::Http2(stream) => return stream.poll_read(context, buffer.initialize_unfilled()),
        };
        read.map_ok(|()| buffer.filled().len())
    }

    /// Writes what it takes of `bytes`.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => poll_send(context, stream, bytes),
            Self::Client(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
            Self::Endpoint(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
            Self::Http2(stream) => stream.poll_write(context, bytes),
        }
    }

    /// Writes what it takes of `first` and then of `second`, in one call where that can be.
    pub(crate) fn poll_write_both(
        &mut self,
        context: &mut Context<'_>,
        first: &[u8],
        second: &[u8],
    ) -> Poll<io::Result<usize>> {
        if first.is_empty() {
            return self.poll_write(context, second);
        }
        let both = [IoSlice::new(first), IoSlice::new(second)];
        match self {
            Self::Plain(stream) => poll_send_pieces(context, stream, &both),
            Self::Client(stream) => Pin::new(&mut **stream).poll_write_vectored(context, &both),
            Self::Endpoint(stream) => Pin::new(&mut **stream).poll_write_vectored(context, &both),
            Self::Http2(stream) => stream.poll_write(context, first),
        }
    }

    /// Until TLS has given all to the socket.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Client(stream) => Pin::new(&mut **stream).poll_flush(context),
            Self::Endpoint(stream) => Pin::new(&mut **stream).poll_flush(context),
            Self::Http2(stream) => Poll::Ready(stream.flush()),
        }
    }

    /// Says that nothing more comes from us.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Client(stream) => Pin::new(&mut **stream).poll_shutdown(context),
            Self::Endpoint(stream) => Pin::new(&mut **stream).poll_shutdown(context),
            Self::Http2(stream) => Poll::Ready(stream.finish(&Trailers::default())),
        }
    }
}

/// What the reactor has heard of the end of a connection.
fn closed(socket: &TcpStream) -> Option<Presence> {
    let any = Interest::READABLE | Interest::WRITABLE | Interest::ERROR;
    let ready = known(socket, any).ok().flatten()?;
    if ready.is_write_closed() || ready.is_error() {
        return Some(Presence::Gone);
    }
    ready.is_read_closed().then_some(Presence::Ended)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Client(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
            Self::Endpoint(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
            Self::Http2(stream) => {
                let read = ready!(stream.poll_read(context, buffer.initialize_unfilled()))?;
                buffer.advance(read);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Stream::poll_write(self.get_mut(), context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Stream::poll_flush(self.get_mut(), context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Stream::poll_shutdown(self.get_mut(), context)
    }
}
