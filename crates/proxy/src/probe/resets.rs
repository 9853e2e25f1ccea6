//! Orders to the workers to reset the sessions of an endpoint. Never waited for: what finds no
//! place is given again at the next turn, unless it is revoked by then.

use crate::engine::Shared;
use crate::pool::Endpoint;
use crate::signal::Command;
use eclusa_policy::verdict::{Pace, Reason};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// The orders of all pools.
pub(super) struct Resets {
    shared: Arc<Shared>,
    /// Number of the last order; 0 means none.
    last: Cell<u64>,
    /// Commands that found no place, with their worker.
    waiting: RefCell<Vec<(usize, Command)>>,
}

impl Resets {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, last: Cell::new(0), waiting: RefCell::default() }
    }

    /// Orders the reset of every session that stands on `endpoint`.
    pub(super) fn order(&self, endpoint: &Arc<Endpoint>, reason: Reason, pace: Pace) {
        let order = self.last.get() + 1;
        self.last.set(order);
        endpoint.set_reset_order(order);
        // The bound on resets at once is one for all workers; each keeps its share of it.
        let workers = u32::try_from(self.shared.seats().len()).unwrap_or(u32::MAX).max(1);
        let pace = Pace { at_once: (pace.at_once / workers).max(1), ..pace };
        for worker in 0..self.shared.seats().len() {
            let endpoint = endpoint.clone();
            self.send(worker, Command::Reset { endpoint, order, reason, pace });
        }
    }

    /// Whether an order waits for a place.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }

    /// Gives again what found no place, as far as it still stands.
    pub(super) fn retry(&self) {
        for (worker, command) in self.waiting.take() {
            if let Command::Reset { endpoint, order, .. } = &command
                && endpoint.reset_order() == *order
            {
                self.send(worker, command);
            }
        }
    }

    fn send(&self, worker: usize, command: Command) {
        if let Err(command) = self.shared.seats()[worker].command(command) {
            self.waiting.borrow_mut().push((worker, command));
        }
    }
}
