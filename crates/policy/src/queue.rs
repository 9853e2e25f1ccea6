//! The bounded queue in front of endpoints that have reached their limit.
//!
//! Pure state: who waits, since when, and whose turn it is. It exists only for pools with a
//! per-endpoint limit and is touched only at the limit, so a short lock around it costs nobody
//! else anything. A waiter is woken across workers like this: `W` holds the worker's number and the
//! sending half of a one-shot channel; the worker whose session ends calls [`Queue::free`] and
//! sends the released lease itself to the waiter. The place never becomes free in between, so
//! nobody who comes later can overtake, and exactly one waiter is woken per place.

use crate::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Names one place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The queue is full: the session must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Sessions that wait for an endpoint, first come, first served.
#[derive(Clone, Debug)]
pub struct Queue<W> {
    limit: usize,
    timeout: Duration,
    next: u64,
    waiting: VecDeque<Waiting<W>>,
}

#[derive(Clone, Debug)]
struct Waiting<W> {
    ticket: Ticket,
    until: Time,
    waiter: W,
}

impl<W> Queue<W> {
    /// A queue of at most `limit` waiters, each of whom waits for at most `timeout`.
    #[must_use]
    pub fn new(limit: usize, timeout: Duration) -> Self {
        Self { limit, timeout, next: 0, waiting: VecDeque::new() }
    }

    /// Lets `waiter` wait.
    ///
    /// # Errors
    /// When the queue is full.
    pub fn push(&mut self, waiter: W, now: Time) -> Result<Ticket, Full> {
        if self.waiting.len() >= self.limit {
            return Err(Full);
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.waiting.push_back(Waiting { ticket, until: now + self.timeout, waiter });
        Ok(ticket)
    }

    /// A place is free: the waiter whose turn it is, if there is one who has not waited too long.
    /// Those who have stay for [`Queue::expire`].
    pub fn free(&mut self, now: Time) -> Option<(Ticket, W)> {
        let index = self.waiting.iter().position(|waiting| now < waiting.until)?;
        let waiting = self.waiting.remove(index)?;
        Some((waiting.ticket, waiting.waiter))
    }

    /// A waiter goes away (its client left); says whether it still waited. If not, a lease is on
    /// its way to it, which it must give to [`Queue::free`] again.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let index = self.waiting.iter().position(|waiting| waiting.ticket == ticket);
        index.is_some_and(|index| self.waiting.remove(index).is_some())
    }

    /// Takes out those who have waited too long, in order.
    pub fn expire(&mut self, now: Time) -> Vec<(Ticket, W)> {
        let mut expired = Vec::new();
        // All wait for the same time: the first in line is the first to expire.
        while self.waiting.front().is_some_and(|waiting| waiting.until <= now) {
            let front = self.waiting.pop_front();
            expired.extend(front.map(|waiting| (waiting.ticket, waiting.waiter)));
        }
        expired
    }

    /// When [`Queue::expire`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.waiting.front().map(|waiting| waiting.until)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Act {
        Push,
        Free,
        Leave(u64),
        Expire,
        Pass(u64),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            3 => Just(Act::Push),
            2 => Just(Act::Free),
            1 => (0_u64..40).prop_map(Act::Leave),
            1 => Just(Act::Expire),
            2 => (1_u64..600).prop_map(Act::Pass),
        ];
        prop::collection::vec(act, 0..80)
    }

    proptest! {
        #[test]
        fn everybody_leaves_once_in_order_and_in_time(acts in acts()) {
            let mut queue = Queue::new(4, Duration::from_secs(1));
            let mut now = Time::START;
            let (mut served, mut gone) = (Vec::new(), Vec::new());
            let mut pushed = Vec::new();
            for act in acts {
                match act {
                    Act::Push => {
                        let was = queue.len();
                        match queue.push(now, now) {
                            Ok(ticket) => pushed.push(ticket),
                            Err(Full) => prop_assert_eq!(was, 4),
                        }
                    }
                    Act::Free => if let Some((ticket, since)) = queue.free(now) {
                        prop_assert!(now.since(since) < Duration::from_secs(1));
                        served.push(ticket);
                    },
                    Act::Leave(n) => if queue.leave(Ticket(n)) { gone.push(Ticket(n)) },
                    Act::Expire => for (ticket, since) in queue.expire(now) {
                        prop_assert!(now.since(since) >= Duration::from_secs(1));
                        gone.push(ticket);
                    },
                    Act::Pass(milliseconds) => now = now + Duration::from_millis(milliseconds),
                }
                prop_assert!(queue.len() <= 4);
            }
            prop_assert!(served.is_sorted(), "first come, first served: {served:?}");
            let mut all = [served, gone].concat();
            all.sort_unstable();
            prop_assert_eq!(all.len() + queue.len(), pushed.len());
            all.dedup();
            prop_assert_eq!(all.len() + queue.len(), pushed.len(), "nobody twice");
        }
    }
}
