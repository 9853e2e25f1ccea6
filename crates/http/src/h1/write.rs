//! Writes bytes that lie ready.

use crate::stream::Stream;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

/// Writes all of `bytes`.
pub(crate) async fn write_all(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    let mut written = 0;
    poll_fn(|context| {
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match stream.poll_write(context, rest) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => written += count,
            }
        }
        stream.poll_flush(context)
    })
    .await
}
