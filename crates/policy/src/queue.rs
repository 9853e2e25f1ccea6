//! The bounded queue in front of endpoints that have reached their limit.
//!
//! Pure state: who waits, and whose turn it is. It exists only for pools with a per-endpoint limit
//! and is touched only at the limit, so a short lock around it costs nobody else anything. How long
//! one waits is a timer of whoever waits, who then calls [`Queue::leave`].
//!
//! `W` is how a waiter is reached and what it can use: in the balancer the sending half of a one-shot
//! channel, and the endpoints that it has tried already. A place that becomes free is given to a
//! waiter while it still counts as taken, so nobody who comes later can overtake, and one waiter is
//! woken per place.

use std::collections::VecDeque;

/// Names one place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The queue is full: the session must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What becomes of a waiter that [`Queue::serve`] looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn<G> {
    /// It leaves the queue with this.
    Leave(G),
    /// Nothing for this one; somebody behind it may have more luck.
    Wait,
    /// Nothing is left to give to anybody.
    Enough,
}

/// Sessions that wait for an endpoint, first come, first served.
#[derive(Clone, Debug)]
pub struct Queue<W> {
    limit: usize,
    next: u64,
    /// Tickets ascend.
    waiting: VecDeque<(Ticket, W)>,
}

impl<W> Queue<W> {
    /// A queue of at most `limit` waiters.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, next: 0, waiting: VecDeque::new() }
    }

    /// Another bound, for those who come from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Lets `waiter` wait.
    ///
    /// # Errors
    /// When the queue is full.
    pub fn push(&mut self, waiter: W) -> Result<Ticket, Full> {
        if self.waiting.len() >= self.limit {
            return Err(Full);
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.waiting.push_back((ticket, waiter));
        Ok(ticket)
    }

    /// There may be something for those who wait: looks at them in order until `turn` says that it
    /// is enough, and yields who left, with what.
    pub fn serve<G>(&mut self, mut turn: impl FnMut(&W) -> Turn<G>) -> Vec<(W, G)> {
        let mut served = Vec::new();
        let mut index = 0;
        while let Some((_, waiter)) = self.waiting.get(index) {
            match turn(waiter) {
                Turn::Leave(with) => {
                    let left = self.waiting.remove(index);
                    served.extend(left.map(|(_, waiter)| (waiter, with)));
                }
                Turn::Wait => index += 1,
                Turn::Enough => break,
            }
        }
        served
    }

    /// A waiter goes away: it has waited too long, or its client left. Says whether it still
    /// waited. If not, what it waited for is on its way to it, and it must use it or give it back.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let found = self.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket);
        found.is_ok_and(|index| self.waiting.remove(index).is_some())
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
        /// One waits who can use endpoints of this parity only.
        Push(u64),
        /// So many places are free, on an endpoint of this parity.
        Serve(usize, u64),
        Leave(u64),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            3 => (0_u64..2).prop_map(Act::Push),
            2 => (0_usize..3, 0_u64..2).prop_map(|(places, parity)| Act::Serve(places, parity)),
            1 => (0_u64..40).prop_map(Act::Leave),
        ];
        prop::collection::vec(act, 0..80)
    }

    proptest! {
        #[test]
        fn everybody_leaves_once_and_in_order(acts in acts()) {
            let mut queue = Queue::new(4);
            let (mut served, mut gone): ([Vec<Ticket>; 2], Vec<Ticket>) = Default::default();
            let mut pushed = Vec::new();
            for act in acts {
                match act {
                    Act::Push(parity) => {
                        let (was, ticket) = (queue.len(), Ticket(pushed.len() as u64));
                        match queue.push((ticket, parity)) {
                            Ok(got) => {
                                prop_assert_eq!(got, ticket);
                                pushed.push(ticket);
                            }
                            Err(Full) => prop_assert_eq!(was, 4),
                        }
                    }
                    Act::Serve(places, of) => {
                        let mut left = places;
                        let got = queue.serve(|(_, parity)| match left {
                            0 => Turn::Enough,
                            _ if *parity != of => Turn::Wait,
                            _ => {
                                left -= 1;
                                Turn::Leave(of)
                            }
                        });
                        prop_assert!(got.len() <= places);
                        for ((ticket, parity), with) in got {
                            prop_assert_eq!(parity, with);
                            served[with as usize].push(ticket);
                        }
                        if left > 0 {
                            let rest = queue.serve(|(_, parity)| {
                                if *parity == of { Turn::Leave(()) } else { Turn::Wait }
                            });
                            prop_assert!(rest.is_empty(), "a place is free, and somebody waits");
                        }
                    }
                    Act::Leave(n) => if queue.leave(Ticket(n)) { gone.push(Ticket(n)) },
                }
                prop_assert!(queue.len() <= 4);
            }
            prop_assert!(served.iter().all(|served| served.is_sorted()), "first come, first served");
            let mut all = [served.concat(), gone].concat();
            all.sort_unstable();
            prop_assert_eq!(all.len() + queue.len(), pushed.len());
            all.dedup();
            prop_assert_eq!(all.len() + queue.len(), pushed.len(), "nobody twice");
        }
    }
}
