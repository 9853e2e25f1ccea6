//! Waiting for peers, within limits.

use crate::scratch::with_scratch;
use crate::stream::Stream;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// How far something is that has not come to its end, and how long it may stay there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Grows with every byte that counts as a step forward.
    pub(crate) moved: u64,
    /// How long it may stand still from then on.
    pub(crate) patience: Duration,
}

/// What `poll` yields; `None` once it stood still for longer than its mark allows. Being woken is no
/// step forward: only a mark that grows is.
pub(crate) async fn while_moving<T>(
    mut poll: impl FnMut(&mut Context<'_>) -> Result<T, Mark>,
) -> Option<T> {
    let (mut moved, mut since) = (None, Instant::now());
    let mut alarm = pin!(sleep_until(since));
    let mut is_set = false;
    poll_fn(|context| {
        let mark = match poll(context) {
            Ok(result) => return Poll::Ready(Some(result)),
            Err(mark) => mark,
        };
        if moved != Some(mark.moved) {
            (moved, since) = (Some(mark.moved), Instant::now());
        }
        let deadline = since + mark.patience;
        // An alarm that comes too early is put off when it comes: no timer is touched for every byte.
        if !is_set || alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
            is_set = true;
        }
        loop {
            ready!(alarm.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(None);
            }
            alarm.as_mut().reset(deadline);
        }
    })
    .await
}

/// Says that nothing more comes, and throws away what the client still sends, for a while.
pub(crate) async fn part(stream: &mut Stream, patience: Duration, most: u64) {
    let mut thrown = 0;
    let parting = poll_fn(|context| {
        // Whether the client has gone or not: so do we.
        let _ = ready!(stream.poll_shutdown(context));
        loop {
            let read = with_scratch(|scratch| stream.poll_read(context, scratch));
            match ready!(read) {
                Ok(count) if count > 0 && thrown < most => thrown += count as u64,
                _ => return Poll::Ready(()),
            }
        }
    });
    // Over, or long enough.
    let _ = timeout(patience, parting).await;
}
