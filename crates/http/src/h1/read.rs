//! Reads heads.

use crate::scratch::with_scratch;
use crate::spare;
use crate::stream::Stream;
use eclusa_wire::http1::{Head, Parsed, Parser, Reason};
use std::io;
use std::task::{Context, Poll, ready};

/// Read at once while a head is waited for: what comes with it of a body is kept with it, and copied.
const ROOM: usize = 4 * 1024;

/// Why there is no head.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The peer has ended the connection; with nothing of a head there, in good order.
    Closed { began: bool },
    /// The connection broke.
    Broken(io::Error),
    /// It is refused.
    Refused(Reason),
}

/// Whether a first byte of the next head is there, in `inbox`.
pub(crate) fn poll_first_byte(
    context: &mut Context<'_>,
    stream: &mut Stream,
    inbox: &mut Vec<u8>,
) -> Poll<io::Result<FirstByte>> {
    if !inbox.is_empty() {
        return Poll::Ready(Ok(FirstByte::Came));
    }
    let read = ready!(poll_more(context, stream, inbox))?;
    Poll::Ready(Ok(if read == 0 { FirstByte::Ended } else { FirstByte::Came }))
}

/// What came of waiting for a first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstByte {
    /// It is there.
    Came,
    /// The peer has ended the connection in good order.
    Ended,
}

/// Reads until the head is complete. What was read behind it is the head's rest.
pub(crate) fn poll_head(
    context: &mut Context<'_>,
    stream: &mut Stream,
    parser: &mut Parser,
    head: &mut Head,
) -> Poll<Result<(), HeadError>> {
    loop {
        if !head.buffer().is_empty() {
            match parser.parse(head) {
                Parsed::Complete(_) => return Poll::Ready(Ok(())),
                Parsed::Refused(reason) => return Poll::Ready(Err(HeadError::Refused(reason))),
                Parsed::NeedMore => {}
            }
        }
        match ready!(poll_more(context, stream, head.buffer())) {
            Ok(0) => {
                return Poll::Ready(Err(HeadError::Closed { began: !head.buffer().is_empty() }));
            }
            Ok(_) => {}
            Err(error) => return Poll::Ready(Err(HeadError::Broken(error))),
        }
    }
}

/// Reads once into `inbox`; 0 at the end.
pub(crate) fn poll_more(
    context: &mut Context<'_>,
    stream: &mut Stream,
    inbox: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    with_scratch(|scratch| {
        let room = scratch.get_mut(..ROOM).unwrap_or_default();
        let read = ready!(stream.poll_read(context, room))?;
        if inbox.capacity() == 0 {
            *inbox = spare::buffer();
        }
        inbox.extend_from_slice(scratch.get(..read).unwrap_or_default());
        Poll::Ready(Ok(read))
    })
}
