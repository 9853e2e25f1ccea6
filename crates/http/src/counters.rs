//! What rules count: requests of each client, at counters that all listeners share.

use eclusa_config::plan;
use eclusa_policy::condition::{Counted, World};
use eclusa_policy::limits::{ClientNetwork, Tally};
use eclusa_policy::time::Time;
use eclusa_proxy::layer7::{Connection, Pool, now};
use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The counters of a plan, by their places in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters(Arc<[Counter]>);

#[derive(Clone, Debug)]
struct Counter {
    plan: plan::Counter,
    tally: Arc<Mutex<Tally>>,
}

/// Each lock here is held for a look-up, and for that alone.
fn locked(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counters {
    /// By these plans. What one of `previous` with the same plan has counted goes on to count.
    pub(crate) fn new(plans: &[plan::Counter], previous: Option<&Self>) -> Self {
        let counter = |plan: &plan::Counter| {
            let same = previous.and_then(|it| it.0.iter().find(|known| known.plan == *plan));
            same.cloned().unwrap_or_else(|| {
                let tally = Tally::new(plan.within, plan.forget_after, plan.clients);
                Counter { plan: plan.clone(), tally: Arc::new(Mutex::new(tally)) }
            })
        };
        Self(plans.iter().map(counter).collect())
    }

    /// What the counter at this index has of a client.
    pub(crate) fn read(&self, counter: usize, client: IpAddr, now: Time) -> Counted {
        let counter = self.0.get(counter);
        counter.map_or_else(Counted::default, |it| locked(&it.tally).read(client.into(), now))
    }

    /// A request of the client begins, and whether another client was forgotten for it, or it is not
    /// counted for want of room.
    fn begin(&self, counter: usize, client: IpAddr, at: Time) -> (Option<(Held, Counted)>, bool) {
        let Some(counter) = self.0.get(counter) else { return (None, false) };
        let client = client.into();
        let (counted, forgot) = {
            let mut tally = locked(&counter.tally);
            let before = tally.forgotten();
            (tally.begin(client, at), tally.forgotten() > before)
        };
        let tally = Arc::clone(&counter.tally);
        let held = counted.map(|counted| (Held { tally, client, began: (at, now()) }, counted));
        (held, forgot)
    }
}

/// A request that counts; dropped = it is over.
pub(crate) struct Held {
    tally: Arc<Mutex<Tally>>,
    client: ClientNetwork,
    /// The same moment on both clocks.
    began: (Time, Instant),
}

impl Drop for Held {
    fn drop(&mut self) {
        let (at, instant) = self.began;
        let now = at + now().saturating_duration_since(instant);
        locked(&self.tally).end(self.client, now);
    }
}

/// The world as conditions of one exchange see it, and where the exchange counts.
pub(crate) struct Around<'a> {
    pools: &'a dyn Fn(usize) -> Option<Arc<Pool>>,
    counters: &'a Counters,
    connection: &'a Connection,
    /// By counter, and what that had with it.
    held: RefCell<Vec<(usize, (Held, Counted))>>,
}

impl<'a> Around<'a> {
    pub(crate) fn new(
        pools: &'a dyn Fn(usize) -> Option<Arc<Pool>>,
        counters: &'a Counters,
        connection: &'a Connection,
    ) -> Self {
        Self { pools, counters, connection, held: RefCell::default() }
    }

    /// Where it counts, for who outlives the exchange.
    pub(crate) fn into_held(self) -> Vec<Held> {
        self.held.into_inner().into_iter().map(|(_, (held, _))| held).collect()
    }
}

impl fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Around").field("counters", self.counters).finish_non_exhaustive()
    }
}

impl World for Around<'_> {
    fn available(&self, pool: usize, enough: usize) -> usize {
        (self.pools)(pool).map_or(0, |pool| pool.available(enough))
    }

    fn counted(&self, counter: usize, client: IpAddr) -> Counted {
        let held = self.held.borrow();
        if let Some((_, (_, counted))) = held.iter().find(|(known, _)| *known == counter) {
            return *counted;
        }
        self.counters.read(counter, client, self.connection.time())
    }

    fn count(&self, counter: usize, client: IpAddr) {
        let mut held = self.held.borrow_mut();
        if held.iter().any(|(known, _)| *known == counter) {
            return;
        }
        let (begun, forgot) = self.counters.begin(counter, client, self.connection.time());
        if forgot {
            self.connection.forgot();
        }
        held.extend(begun.map(|begun| (counter, begun)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn plan(name: &str, seconds: u64) -> plan::Counter {
        let within = Duration::from_secs(seconds);
        plan::Counter { name: name.into(), within, forget_after: within, clients: 2 }
    }

    #[test]
    fn requests_count_until_they_are_over_and_over_a_reload() {
        let counters = Counters::new(&[plan("a", 10), plan("b", 10)], None);
        let (client, now) = (IpAddr::from([192, 0, 2, 1]), Time::from_millis(1_000));
        let held: Vec<_> = (0..3).map(|_| counters.begin(1, client, now)).collect();
        assert!(held.iter().all(|(held, forgot)| held.is_some() && !forgot));
        assert_eq!(counters.read(1, client, now), Counted { requests: 3, at_once: 3 });
        assert_eq!(counters.read(0, client, now), Counted::default());
        assert_eq!(counters.read(7, client, now), Counted::default());
        // Another place in the file, and another time for one of them.
        let next = Counters::new(&[plan("b", 10), plan("a", 20)], Some(&counters));
        assert_eq!(next.read(0, client, now).at_once, 3);
        drop(held);
        assert_eq!(next.read(0, client, now), Counted { requests: 3, at_once: 0 });
        let other = Counters::new(&[plan("b", 11)], Some(&next));
        assert_eq!(other.read(0, client, now), Counted::default());
    }

    #[test]
    fn who_is_forgotten_for_another_is_told() {
        let counters = Counters::new(&[plan("a", 10)], None);
        let (now, client) = (Time::from_millis(1_000), |last| IpAddr::from([192, 0, 2, last]));
        for last in 1..3 {
            assert!(!counters.begin(0, client(last), now).1);
        }
        let (held, forgot) = counters.begin(0, client(3), now);
        assert!(held.is_some() && forgot);
        let (held, forgot) = counters.begin(1, client(3), now);
        assert!(held.is_none() && !forgot);
    }
}
