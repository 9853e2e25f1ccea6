//! How pools and counters stand for a request that is only asked about: it counts for itself alone.

use eclusa_policy::condition::{Counted, World};
use std::cell::RefCell;
use std::net::IpAddr;

/// A world in which the request that is asked about counts, and that does not change by it.
#[derive(Debug)]
pub(super) struct Asking<'w> {
    world: &'w dyn World,
    /// The counters at which it counts.
    at: RefCell<Vec<usize>>,
}

impl<'w> Asking<'w> {
    pub(super) fn new(world: &'w dyn World) -> Self {
        Self { world, at: RefCell::default() }
    }
}

impl World for Asking<'_> {
    fn available(&self, pool: usize, enough: usize) -> usize {
        self.world.available(pool, enough)
    }

    fn counted(&self, counter: usize, client: IpAddr) -> Counted {
        let Counted { requests, at_once } = self.world.counted(counter, client);
        let own = u64::from(self.at.borrow().contains(&counter));
        Counted { requests: requests.saturating_add(own), at_once: at_once.saturating_add(own) }
    }

    fn count(&self, counter: usize, _: IpAddr) {
        let mut at = self.at.borrow_mut();
        if !at.contains(&counter) {
            at.push(counter);
        }
    }
}
