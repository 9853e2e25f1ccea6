//! Second tries of requests: how many a pool may have, and when one is to run beside a first that is
//! late.
//!
//! A request is tried again on another endpoint when the first has failed, and a safe one is sent to a
//! second beside the first when that keeps silent for longer than is usual (a *hedge*): the first answer
//! wins. Both are bounded by one budget per pool, so that a sick pool is not hammered by us on top, and
//! nobody gets a rival while the whole pool is slow.

use crate::budget::Budget;
use crate::replay::{Percentile, Refusal};
use crate::time::Time;
use std::time::Duration;

/// A rival starts after so many times the 99th percentile of the pool's times to the first byte...
const TIMES_P99: u32 = 2;
/// ...and never earlier: a moment on a busy host is no silence.
const AT_LEAST: Duration = Duration::from_millis(100);
/// The same while too little is known of the pool.
const UNKNOWN: Duration = Duration::from_secs(1);
/// How long the 99th percentile is taken for what it was: it is asked for every request.
const KNOWN_FOR: Duration = Duration::from_millis(100);
/// The time over which the budget counts, and over which an endpoint that was late is one.
const WINDOW: Duration = Duration::from_secs(10);
/// Second tries within [`WINDOW`] that a pool has in any case: ten a second.
const FLOOR: u32 = 100;

/// The second tries of one pool as one worker sees them: it needs no lock.
#[derive(Clone, Debug)]
pub struct Retry {
    budget: Budget,
    first_bytes: Percentile,
    /// How long a first endpoint has, and until when that is so.
    clock: (Duration, Time),
    slots: Vec<Slot>,
}

/// What this worker saw of an endpoint.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    answered: Option<Time>,
    late: Option<Time>,
    /// It failed an exchange and has served none since.
    failed: bool,
}

impl Retry {
    /// For a pool of so many endpoints that may spend `percent` of its requests on second tries, on
    /// one of so many workers (they share the floor of the budget; each keeps one in any case).
    #[must_use]
    pub fn new(percent: u32, endpoints: usize, workers: u32) -> Self {
        let floor = if percent == 0 { 0 } else { (FLOOR / workers.max(1)).max(1) };
        Self {
            budget: Budget::new(percent, floor, WINDOW),
            first_bytes: Percentile::default(),
            clock: (UNKNOWN, Time::START),
            slots: vec![Slot::default(); endpoints],
        }
    }

    /// The endpoints of the pool changed.
    pub fn set_endpoints(&mut self, endpoints: usize) {
        self.slots.clear();
        self.slots.resize(endpoints, Slot::default());
    }

    /// A new request began.
    pub fn request(&mut self, now: Time) {
        self.budget.earn(now);
    }

    /// How long the first endpoint has for its first byte before it gets a rival.
    pub fn clock(&mut self, now: Time) -> Duration {
        if now >= self.clock.1 {
            let p99 = self.first_bytes.p99(now);
            let clock = p99.map_or(UNKNOWN, |p99| p99.saturating_mul(TIMES_P99).max(AT_LEAST));
            self.clock = (clock, now + KNOWN_FOR);
        }
        self.clock.0
    }

    /// The first byte of an answer came, so long after its endpoint was chosen.
    pub fn answered(&mut self, slot: usize, took: Duration, now: Time) {
        self.first_bytes.record(took, now);
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.answered = Some(now);
        }
    }

    /// Whether the endpoint has answered anything since then.
    #[must_use]
    pub fn has_answered_since(&self, slot: usize, since: Time) -> bool {
        self.slots.get(slot).is_some_and(|slot| slot.answered >= Some(since))
    }

    /// The request may go to another endpoint after the first has failed: then it counts.
    pub fn again(&mut self, now: Time) -> bool {
        self.budget.spend(now)
    }

    /// The endpoint has not answered within the clock: whether a second may be asked beside it. If so,
    /// it counts.
    ///
    /// # Errors
    /// Why not.
    pub fn hedge(&mut self, slot: usize, now: Time) -> Result<(), Refusal> {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.late = Some(now);
        }
        if self.late_endpoints(now) * 2 > self.slots.len() {
            return Err(Refusal::PoolIsSlow);
        }
        if self.budget.spend(now) { Ok(()) } else { Err(Refusal::Budget) }
    }

    /// The endpoint has failed an exchange.
    pub fn failed(&mut self, slot: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.failed = true;
        }
    }

    /// The endpoint has served an exchange; whether that is news after one that it failed.
    pub fn served(&mut self, slot: usize) -> bool {
        self.slots.get_mut(slot).is_some_and(|slot| std::mem::take(&mut slot.failed))
    }

    /// Endpoints that were late within the window and have not answered since.
    fn late_endpoints(&self, now: Time) -> usize {
        let is_late = |slot: &&Slot| {
            slot.late.is_some_and(|at| now.since(at) < WINDOW) && slot.late > slot.answered
        };
        self.slots.iter().filter(is_late).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Time {
        Time::from_millis(milliseconds)
    }

    #[test]
    fn the_clock_follows_the_pool_and_has_a_least() {
        let mut retry = Retry::new(20, 3, 1);
        assert_eq!(retry.clock(at(0)), Duration::from_secs(1), "nothing is known");
        for _ in 0..100 {
            retry.answered(0, Duration::from_millis(2), at(0));
        }
        assert_eq!(retry.clock(at(200)), Duration::from_millis(100));
        for _ in 0..100 {
            retry.answered(0, Duration::from_secs(3), at(200));
        }
        let clock = retry.clock(at(400));
        assert!((6000..6800).contains(&clock.as_millis()), "{clock:?}");
    }

    #[test]
    fn a_pool_that_is_slow_as_a_whole_gets_no_rivals() {
        let mut retry = Retry::new(20, 3, 1);
        assert_eq!(retry.hedge(0, at(0)), Ok(()));
        assert_eq!(retry.hedge(1, at(0)), Err(Refusal::PoolIsSlow));
        retry.answered(0, Duration::from_millis(20), at(100));
        assert_eq!(retry.hedge(1, at(200)), Ok(()));
        assert_eq!(retry.hedge(2, at(11_000)), Ok(()), "the others were late long ago");
    }

    #[test]
    fn second_tries_are_a_fifth_of_the_requests_and_ten_a_second_at_least() {
        let spent = |retry: &mut Retry, now| (0..9999).filter(|_| retry.again(now)).count();
        let mut retry = Retry::new(20, 3, 1);
        assert_eq!(spent(&mut retry, at(0)), 100);
        (0..1000).for_each(|_| retry.request(at(0)));
        assert_eq!(spent(&mut retry, at(0)), 100, "a fifth of a thousand are 200 in all");
        assert_eq!(retry.hedge(0, at(0)), Err(Refusal::Budget), "the same budget");
        assert_eq!(spent(&mut Retry::new(20, 3, 4), at(0)), 25, "workers share it");
        assert_eq!(spent(&mut Retry::new(0, 3, 1), at(0)), 0);
    }

    #[test]
    fn an_exchange_that_is_served_is_news_after_a_failure_alone() {
        let mut retry = Retry::new(20, 2, 1);
        assert!(!retry.served(0));
        retry.failed(0);
        assert!(!retry.served(1) && retry.served(0) && !retry.served(0));
        assert!(!retry.has_answered_since(0, at(1)));
        retry.answered(0, Duration::ZERO, at(2));
        assert!(retry.has_answered_since(0, at(1)) && !retry.has_answered_since(0, at(3)));
    }
}
