//! One turn of a connection that is served at layer 7: what it does from when its worker comes to it until
//! it waits again.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

thread_local! {
    /// When the turn under way began.
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// When the turn under way began; outside of one, the time. An exchange asks for the time more often than
/// it takes a turn, and reading the clock costs as much as a look-up.
#[must_use]
pub fn now() -> Instant {
    BEGAN.get().unwrap_or_else(Instant::now)
}

/// A future whose polls are turns.
pub(crate) struct Turns<F>(pub(crate) F);

impl<F: Future + Unpin> Future for Turns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        turn(|| Pin::new(&mut self.0).poll(context))
    }
}

/// Does `what` as one turn.
pub fn turn<T>(what: impl FnOnce() -> T) -> T {
    let _turn = Turn::begin();
    what()
}

/// A turn under way; it also ends where a panic ends it.
struct Turn;

impl Turn {
    fn begin() -> Self {
        BEGAN.set(Some(Instant::now()));
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        BEGAN.set(None);
    }
}

/// Ends the turn and goes on when all others that are ready had theirs. Whoever lets the others go first
/// before it writes makes the writes of a worker come in one burst: a peer that is woken by the first of
/// them is still awake for the rest, and waking is the larger part of what a small write costs.
pub async fn others_first() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::time::Duration;
    use tokio::task::LocalSet;

    #[test]
    fn time_stands_still_within_a_turn_and_goes_on_between_two() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let seen = RefCell::new(Vec::new());
        runtime.block_on(Turns(Box::pin(async {
            for _ in 0..2 {
                let began = now();
                while began.elapsed() < Duration::from_millis(1) {}
                seen.borrow_mut().push((began, now()));
                others_first().await;
            }
        })));
        let seen = seen.into_inner();
        assert!(seen.iter().all(|(began, ended)| began == ended), "{seen:?}");
        assert!(seen[1].0 > seen[0].0 + Duration::from_millis(1), "{seen:?}");
        assert!(BEGAN.get().is_none(), "no turn is left behind");
    }

    #[test]
    fn all_that_are_ready_come_before_anyone_goes_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let order = RefCell::new(Vec::new());
        let order = &*Box::leak(Box::new(order));
        let local = LocalSet::new();
        for number in 0..3 {
            local.spawn_local(async move {
                order.borrow_mut().push(("read", number));
                others_first().await;
                order.borrow_mut().push(("write", number));
            });
        }
        runtime.block_on(local);
        let wanted = ["read", "write"].map(|what| (0..3).map(move |number| (what, number)));
        assert_eq!(*order.borrow(), wanted.into_iter().flatten().collect::<Vec<_>>());
    }
}
