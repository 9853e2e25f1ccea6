//! One turn of a connection that is served at layer 7: what it does from when its worker comes to it until
//! it waits again.

mod crowd;

pub(crate) use crowd::{all_had_their_turn, waiting};

use eclusa_policy::limits::ClientNetwork;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::task::yield_now;

/// A turn that has lasted for so long leaves the rest for another one.
const LONG: Duration = Duration::from_micros(100);

thread_local! {
    /// When the turn under way began.
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
    /// For a client of which network it is.
    static WHOSE: Cell<Option<ClientNetwork>> = const { Cell::new(None) };
}

/// When the turn under way began; outside of one, the time. An exchange asks for the time more often than
/// it takes a turn, and reading the clock costs as much as a look-up.
#[must_use]
pub fn now() -> Instant {
    BEGAN.get().unwrap_or_else(Instant::now)
}

/// Whether the turn under way has been long. Reads the clock: to be asked behind work of some microseconds.
#[must_use]
pub fn is_long() -> bool {
    BEGAN.get().is_some_and(|began| began.elapsed() >= LONG)
}

/// Has whoever is polled with `context` polled again when the reactor has come round: all that are ready
/// have their turn before, and all that become ready meanwhile.
pub fn come_round(context: &mut Context<'_>) {
    // Polled once, it leaves the waker for the reactor.
    let _ = pin!(yield_now()).poll(context);
}

/// Ends a turn that leaves work for another, which comes when the reactor has come round and it is this
/// one's turn among all that have more to do.
pub fn give_way(context: &mut Context<'_>) {
    crowd::wait(WHOSE.get(), context.waker());
}

/// A future whose polls are turns, for a client of this network.
pub(crate) struct Turns<F>(pub(crate) ClientNetwork, pub(crate) F);

impl<F: Future + Unpin> Future for Turns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        turn(self.0, || Pin::new(&mut self.1).poll(context))
    }
}

/// Does `what` as one turn, for a client of this network.
pub fn turn<T>(network: ClientNetwork, what: impl FnOnce() -> T) -> T {
    let _turn = Turn::begin(network);
    what()
}

/// Ready when there is room in this round for work that thousands may have to do at once. A client may open
/// a hundred streams at once on each of its connections, have each dial an endpoint and end them all at
/// once, and nobody is to wait until the last had its turn.
pub fn poll_room(context: &mut Context<'_>) -> Poll<()> {
    if crowd::has_room(now()) {
        return Poll::Ready(());
    }
    crowd::wait(WHOSE.get(), context.waker());
    Poll::Pending
}

/// A turn under way; it also ends where a panic ends it.
struct Turn;

impl Turn {
    fn begin(network: ClientNetwork) -> Self {
        BEGAN.set(Some(Instant::now()));
        WHOSE.set(Some(network));
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        BEGAN.set(None);
        WHOSE.set(None);
        crowd::go_on();
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
    use std::net::IpAddr;
    use std::time::Duration;
    use tokio::task::LocalSet;

    fn network() -> ClientNetwork {
        IpAddr::from([192, 0, 2, 1]).into()
    }

    #[test]
    fn time_stands_still_within_a_turn_and_goes_on_between_two() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let seen = RefCell::new(Vec::new());
        runtime.block_on(Turns(
            network(),
            Box::pin(async {
                for _ in 0..2 {
                    let began = now();
                    while began.elapsed() < Duration::from_millis(1) {}
                    seen.borrow_mut().push((began, now()));
                    others_first().await;
                }
            }),
        ));
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
