//! Waiting for peers, within limits.

use crate::scratch::with_scratch;
use crate::stream::Stream;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// How far something is that has not come to its end, and how long it may stay there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Grows with every byte that counts as a step forward.
    pub(crate) moved: u64,
    /// How long it may stand still from then on.
    pub(crate) patience: Duration,
}

/// The alarm of a connection. It outlasts what is waited for: one that comes too early is put off
/// when it comes, so that no timer is touched for every exchange, or for every byte.
#[derive(Debug, Default)]
pub(crate) struct Alarm(RefCell<Option<Pin<Box<Sleep>>>>);

impl Alarm {
    /// Ready at `deadline`.
    fn poll(&self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let mut alarm = self.0.borrow_mut();
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        }
        loop {
            ready!(alarm.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
    }
}

/// What `poll` yields; `None` once it stood still for longer than its mark allows. Being woken is no
/// step forward: only a mark that grows is.
pub(crate) async fn while_moving<T>(
    alarm: &Alarm,
    mut poll: impl FnMut(&mut Context<'_>) -> Result<T, Mark>,
) -> Option<T> {
    // Who stands at this mark since when: nobody before the first that has to wait.
    let mut stands: Option<(u64, Instant)> = None;
    poll_fn(|context| {
        let mark = match poll(context) {
            Ok(result) => return Poll::Ready(Some(result)),
            Err(mark) => mark,
        };
        let since = match stands {
            Some((moved, since)) if moved == mark.moved => since,
            _ => Instant::now(),
        };
        stands = Some((mark.moved, since));
        alarm.poll(context, since + mark.patience).map(|()| None)
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
