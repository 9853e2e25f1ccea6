//! Handshakes take their turns: each costs the worker as much time as dozens of exchanges, so that no
//! more than one goes a step further each time that the reactor has looked after everything else.
//!
//! Networks take turns, too: the first handshake of one that has no other waiting comes before the second of
//! any other, so that a flood from one network makes a queue for itself.

use crate::bell::Bell;
use eclusa_policy::limits::ClientNetwork;
use std::cell::RefCell;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Where the handshakes of one worker wait.
#[derive(Debug, Default)]
pub struct Gate(RefCell<Line>);

#[derive(Debug, Default)]
struct Line {
    /// By rank, and then in the order in which they came.
    waiting: Vec<Waiting>,
    next: u64,
    /// Rings once for each step that may be done.
    bell: Arc<Bell>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    network: ClientNetwork,
    /// How many of its network waited when it came.
    rank: usize,
    waker: Waker,
}

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// One handshake's turns; dropped = given up.
#[derive(Debug)]
pub struct Turn<'a> {
    gate: &'a Gate,
    network: ClientNetwork,
    /// So many may wait.
    pub(super) most: usize,
    /// Its place, while it waits.
    number: Option<u64>,
    /// It is its turn.
    is_on: bool,
    /// It had one: it has cost us something, and is neither sent away nor kept waiting behind others.
    has_begun: bool,
}

impl Gate {
    /// For a handshake with a client of this network; it waits for its first turn, if no more than `most`
    /// wait.
    pub fn turn(&self, network: ClientNetwork, most: usize) -> Turn<'_> {
        Turn { gate: self, network, most, number: None, is_on: false, has_begun: false }
    }
}

impl Line {
    /// A new place; `None`: too many wait, and none of them is of a network that has more waiting.
    fn join(&mut self, turn: &Turn<'_>, waker: &Waker) -> Option<u64> {
        let of_network = |waiting: &&Waiting| waiting.network == turn.network;
        let rank = match turn.has_begun {
            true => 0,
            false => self.waiting.iter().filter(of_network).count(),
        };
        if !turn.has_begun && self.waiting.len() >= turn.most {
            let last = self.waiting.pop_if(|last| last.rank > rank)?;
            // It finds its place gone.
            last.waker.wake();
        }
        let number = self.next;
        self.next += 1;
        let place = self.waiting.partition_point(|waiting| waiting.rank <= rank);
        let (network, waker) = (turn.network, waker.clone());
        self.waiting.insert(place, Waiting { number, network, rank, waker });
        if place == 0 {
            self.call_first();
        }
        Some(number)
    }

    fn leave(&mut self, number: u64) {
        let place = self.waiting.iter().position(|waiting| waiting.number == number);
        if let Some(place) = place {
            self.waiting.remove(place);
            if place == 0 {
                self.call_first();
            }
        }
    }

    /// Lets the first one go once the reactor has come round.
    fn call_first(&mut self) {
        if let Some(first) = self.waiting.first() {
            self.bell.set(&first.waker);
        }
    }
}

impl Turn<'_> {
    /// Ready once it is its turn, with one step to be done now; [`Turn::done`] must follow.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Full>> {
        if self.is_on {
            return Poll::Ready(Ok(()));
        }
        let gate = self.gate;
        let mut line = gate.0.borrow_mut();
        let Some(number) = self.number else {
            self.number = line.join(self, context.waker());
            return if self.number.is_some() { Poll::Pending } else { Poll::Ready(Err(Full)) };
        };
        let Some(place) = line.waiting.iter().position(|waiting| waiting.number == number) else {
            return Poll::Ready(Err(Full));
        };
        if place == 0 && line.bell.take() {
            self.is_on = true;
            return Poll::Ready(Ok(()));
        }
        line.waiting[place].waker.clone_from(context.waker());
        if place == 0 {
            line.call_first();
        }
        Poll::Pending
    }

    /// The step is done; the next one's waits for the reactor to come round.
    pub(super) fn done(&mut self) {
        (self.is_on, self.has_begun) = (false, true);
        self.leave();
    }

    fn leave(&mut self) {
        if let Some(number) = self.number.take() {
            self.gate.0.borrow_mut().leave(number);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::net::IpAddr;
    use std::rc::Rc;
    use tokio::task::{LocalSet, spawn_local, yield_now};

    fn network(number: u8) -> ClientNetwork {
        IpAddr::from([192, 0, 2, number]).into()
    }

    async fn steps(gate: &Gate, count: usize, mut step: impl FnMut()) -> Result<(), Full> {
        let mut turn = gate.turn(network(1), 100);
        for _ in 0..count {
            poll_fn(|context| turn.poll(context)).await?;
            step();
            turn.done();
        }
        Ok(())
    }

    #[tokio::test]
    async fn others_run_between_any_two_steps() {
        let local = LocalSet::new();
        let gate = Rc::new(Gate::default());
        let (rounds, order) = (Rc::new(Cell::new(0_u32)), Rc::new(RefCell::new(Vec::new())));
        let run = async {
            let other = Rc::clone(&rounds);
            let others = spawn_local(async move {
                loop {
                    other.set(other.get() + 1);
                    yield_now().await;
                }
            });
            let shaking = (0..20).map(|number| {
                let (gate, rounds) = (Rc::clone(&gate), Rc::clone(&rounds));
                let order = Rc::clone(&order);
                spawn_local(async move {
                    let step = || order.borrow_mut().push((number, rounds.get()));
                    steps(&gate, 2, step).await
                })
            });
            for shaken in shaking.collect::<Vec<_>>() {
                assert_eq!(shaken.await.unwrap(), Ok(()));
            }
            others.abort();
        };
        local.run_until(run).await;
        let order = order.borrow();
        assert_eq!(order.len(), 40);
        let numbers: Vec<_> = order.iter().map(|(number, _)| *number).collect();
        let wanted: Vec<_> = (0..20).flat_map(|number| [number; 2]).collect();
        assert_eq!(numbers, wanted, "in the order in which they came, and who has begun goes on");
        // Which of two that the reactor has woken runs first is its own affair.
        assert!(order.windows(3).all(|steps| steps[0].1 + 2 <= steps[2].1), "{order:?}");
        assert!(gate.0.borrow().waiting.is_empty());
    }

    #[tokio::test]
    async fn who_comes_when_too_many_wait_is_sent_away_and_who_gives_up_holds_nobody_up() {
        let gate = Gate::default();
        let mut waker = Context::from_waker(Waker::noop());
        let mut waiting: Vec<_> = (0..3).map(|_| gate.turn(network(1), 3)).collect();
        for turn in &mut waiting {
            assert!(turn.poll(&mut waker).is_pending());
        }
        assert_eq!(gate.turn(network(1), 3).poll(&mut waker), Poll::Ready(Err(Full)));
        // The first and the second go before it was their turn.
        waiting.drain(..2);
        let mut last = waiting.remove(0);
        yield_now().await;
        assert_eq!(last.poll(&mut waker), Poll::Ready(Ok(())), "it is its turn now");
        last.done();
        assert_eq!(steps(&gate, 1, || ()).await, Ok(()));
        assert!(gate.0.borrow().waiting.is_empty());
    }

    /// A flood of one network makes a queue for itself, also when the line is full.
    #[tokio::test]
    async fn networks_take_turns() {
        let gate = Gate::default();
        let mut waker = Context::from_waker(Waker::noop());
        let mut flood: Vec<_> = (0..10).map(|_| gate.turn(network(1), 10)).collect();
        for turn in &mut flood {
            assert!(turn.poll(&mut waker).is_pending());
        }
        let mut good = gate.turn(network(2), 10);
        assert!(good.poll(&mut waker).is_pending());
        assert_eq!(flood[9].poll(&mut waker), Poll::Ready(Err(Full)), "the last one is sent away");
        assert_eq!(gate.0.borrow().waiting.len(), 10);
        yield_now().await;
        assert_eq!(flood[0].poll(&mut waker), Poll::Ready(Ok(())));
        flood[0].done();
        assert!(flood[1].poll(&mut waker).is_pending());
        yield_now().await;
        assert_eq!(good.poll(&mut waker), Poll::Ready(Ok(())), "before the second of the flood");
        good.done();
        assert!(good.poll(&mut waker).is_pending());
        assert!(flood[1].poll(&mut waker).is_pending());
        yield_now().await;
        assert_eq!(good.poll(&mut waker), Poll::Ready(Ok(())), "who has begun goes on");
    }
}
