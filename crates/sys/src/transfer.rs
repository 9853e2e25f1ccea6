//! Reading and writing of connections without the C library between: `recv(2)`, `send(2)`, `sendmsg(2)`.
//!
//! In a program of several threads each of its calls is a cancellation point, entered and left with an
//! atomic operation. At four calls for a small request that is a fiftieth of what the request costs.

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;

/// Reads once into `buffer`; 0 at the end of what the peer says.
///
/// # Errors
/// Those of `recv(2)`.
pub fn poll_receive(
    context: &mut Context<'_>,
    stream: &TcpStream,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_read_ready(context))?;
        let done = once(stream, Interest::READABLE, buffer.len(), || {
            recv(stream, &mut *buffer, RecvFlags::empty()).map(|(read, _)| read)
        });
        if let Some(done) = done {
            return Poll::Ready(done);
        }
    }
}

/// Writes what the socket takes of `bytes`.
///
/// # Errors
/// Those of `send(2)`; it never raises SIGPIPE.
pub fn poll_send(
    context: &mut Context<'_>,
    stream: &TcpStream,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(context))?;
        let done = once(stream, Interest::WRITABLE, bytes.len(), || {
            send(stream, bytes, SendFlags::NOSIGNAL)
        });
        if let Some(done) = done {
            return Poll::Ready(done);
        }
    }
}

/// Writes what the socket takes of `pieces`, one behind the other.
///
/// # Errors
/// Those of `sendmsg(2)`; it never raises SIGPIPE.
pub fn poll_send_pieces(
    context: &mut Context<'_>,
    stream: &TcpStream,
    pieces: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let length = pieces.iter().map(|piece| piece.len()).sum();
    loop {
        ready!(stream.poll_write_ready(context))?;
        let done = once(stream, Interest::WRITABLE, length, || {
            sendmsg(stream, pieces, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
        });
        if let Some(done) = done {
            return Poll::Ready(done);
        }
    }
}

/// What the reactor knows of `stream`, of these kinds; `None`: nothing. Asks nobody, and nobody is woken when it
/// changes.
///
/// # Errors
/// The reactor ends.
pub fn known(stream: &TcpStream, interest: Interest) -> io::Result<Option<Ready>> {
    match pin!(stream.ready(interest)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ready) => ready.map(Some),
        Poll::Pending => Ok(None),
    }
}

/// One call; `None` where there was nothing to do after all. One that moved less than `wanted` has emptied or
/// filled the socket's queue (epoll(7), "Questions and answers", 9): tokio learns that here, and nobody asks
/// the kernel once more only to be told so.
fn once(
    stream: &TcpStream,
    interest: Interest,
    wanted: usize,
    mut call: impl FnMut() -> rustix::io::Result<usize>,
) -> Option<io::Result<usize>> {
    let mut short = None;
    let done = stream.try_io(interest, || {
        loop {
            match call() {
                Err(Errno::INTR) => {}
                Ok(moved) if 0 < moved && moved < wanted => {
                    short = Some(moved);
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                moved => return moved.map_err(io::Error::from),
            }
        }
    });
    match (short, done) {
        (Some(moved), _) => Some(Ok(moved)),
        (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
        (None, done) => Some(done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::net::TcpListener;
    use tokio::task::yield_now;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let connect = TcpStream::connect(listener.local_addr().unwrap());
        let (one, other) = tokio::join!(connect, listener.accept());
        (one.unwrap(), other.unwrap().0)
    }

    #[tokio::test]
    async fn what_is_written_is_read_and_a_short_read_waits_for_more() {
        let (one, other) = pair().await;
        let pieces = [IoSlice::new(b"two "), IoSlice::new(b"pieces")];
        let sent = poll_fn(|context| poll_send_pieces(context, &one, &pieces)).await.unwrap();
        assert_eq!(sent, 10);
        let mut buffer = [0; 64];
        let read = poll_fn(|context| poll_receive(context, &other, &mut buffer)).await.unwrap();
        assert_eq!(&buffer[..read], b"two pieces");
        // The read was short: nothing is asked of the kernel, the next one waits.
        poll_fn(|context| {
            assert!(other.poll_read_ready(context).is_pending());
            Poll::Ready(())
        })
        .await;
        let more = async {
            yield_now().await;
            poll_fn(|context| poll_send(context, &one, b"more")).await.unwrap()
        };
        let read = poll_fn(|context| poll_receive(context, &other, &mut buffer));
        assert_eq!(tokio::join!(more, async { read.await.unwrap() }), (4, 4));
        drop(one);
        let read = poll_fn(|context| poll_receive(context, &other, &mut buffer)).await.unwrap();
        assert_eq!(read, 0);
        let ends = known(&other, Interest::READABLE).unwrap().unwrap();
        assert!(ends.is_read_closed() && !ends.is_write_closed());
    }

    #[tokio::test]
    async fn a_full_socket_waits_until_it_takes_more() {
        let (one, other) = pair().await;
        let bytes = vec![7; 1 << 20];
        let mut sent = 0;
        while let Poll::Ready(more) =
            poll_fn(|context| Poll::Ready(poll_send(context, &one, &bytes))).await
        {
            sent += more.unwrap();
        }
        let rest = async {
            sent += poll_fn(|context| poll_send(context, &one, &bytes)).await.unwrap();
            drop(one);
            sent
        };
        let all = async {
            let mut buffer = vec![0; 1 << 16];
            let mut all = 0;
            loop {
                match poll_fn(|context| poll_receive(context, &other, &mut buffer)).await.unwrap() {
                    0 => return all,
                    read => all += read,
                }
            }
        };
        let (sent, all) = tokio::join!(rest, all);
        assert_eq!(sent, all);
    }
}
