//! A pool without probes: traffic alone says something of its endpoints.

use crate::engine::Shared;
use crate::observe::Event;
use crate::pool::Pool;
use eclusa_policy::verdict::{Evidence, Key, Report, Unasked};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

pub(super) struct UnaskedPool {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    unasked: RefCell<Unasked>,
    changed: Notify,
}

impl UnaskedPool {
    pub(super) fn new(shared: Arc<Shared>, pool: Arc<Pool>) -> Rc<Self> {
        Rc::new(Self { shared, pool, unasked: RefCell::default(), changed: Notify::new() })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    /// Takes in what traffic saw of an endpoint.
    pub(super) fn observe(&self, key: Key, evidence: &Evidence) {
        self.pool.cells().probing.seen(evidence);
        let report = self.unasked.borrow_mut().observe(key, evidence, self.shared.time());
        if let Some(report) = report {
            self.publish(key, report);
            self.changed.notify_one();
        }
    }

    /// Lets suspects be tried again when their time is over.
    pub(super) async fn turns(self: Rc<Self>) {
        loop {
            let deadline = self.unasked.borrow().next_deadline();
            let at = deadline.map(|at| Instant::now() + at.since(self.shared.time()));
            tokio::select! {
                () = sleep_until(at.unwrap_or_else(Instant::now)), if at.is_some() => {
                    let back = self.unasked.borrow_mut().expire(self.shared.time());
                    back.into_iter().for_each(|(key, report)| self.publish(key, report));
                }
                () = self.changed.notified() => {}
            }
        }
    }

    fn publish(&self, key: Key, report: Report) {
        let endpoints = self.pool.endpoints();
        let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.key() == key) else {
            return;
        };
        self.pool.publish(endpoint, report);
        let (pool, name, verdict) = (self.pool.name(), endpoint.name(), report.verdict.name());
        let message = format!("{name} of pool {pool} is {verdict}: {}", report.reason);
        let event = Event::new("verdict", message)
            .about("pool", pool)
            .about("endpoint", &*name)
            .about("address", endpoint.address().to_string())
            .about("verdict", verdict)
            .about("reason", report.reason.word());
        self.shared.logger.event(event);
    }
}
