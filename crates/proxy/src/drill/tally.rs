//! What became of the sessions and exchanges whose endpoint was in a drill when they wanted to connect.

use super::Drill;
use crate::pool::{DialFailure, Dialled, FailureKind};
use eclusa_policy::verdict::Key;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counted by workers during a drill, and nowhere else.
#[derive(Debug, Default)]
pub(super) struct Tally {
    met: AtomicU64,
    elsewhere: AtomicU64,
    through: AtomicU64,
    failed: AtomicU64,
    left: AtomicU64,
    /// In microseconds.
    slowest: AtomicU64,
}

/// What became of those who met a drill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Those who wanted to connect to its endpoint.
    pub(crate) met: u64,
    /// Those who reached another endpoint.
    pub(crate) elsewhere: u64,
    /// Those who reached it after all: slowly, or when it was over.
    pub(crate) through: u64,
    /// Those who reached none.
    pub(crate) failed: u64,
    /// Those who did not wait.
    pub(crate) left: u64,
    /// The longest time that it took to reach one.
    pub(crate) slowest: Duration,
}

impl Tally {
    pub(super) fn counted(&self) -> Counted {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            met: get(&self.met),
            elsewhere: get(&self.elsewhere),
            through: get(&self.through),
            failed: get(&self.failed),
            left: get(&self.left),
            slowest: Duration::from_micros(get(&self.slowest)),
        }
    }
}

/// A session or an exchange that has met a drill, until it has reached an endpoint. Dropped before: it did not
/// wait for that.
#[derive(Debug)]
pub(crate) struct Met {
    drill: Arc<Drill>,
    /// Its endpoint.
    key: Key,
    began: Instant,
    told: bool,
}

impl Met {
    pub(crate) fn new(drill: Arc<Drill>, key: Key) -> Self {
        drill.tally.met.fetch_add(1, Ordering::Relaxed);
        Self { drill, key, began: Instant::now(), told: false }
    }

    /// What came of it.
    pub(crate) fn ended(mut self, dialled: &Result<Dialled, DialFailure>) {
        self.told = true;
        let tally = &self.drill.tally;
        let reached = match dialled {
            Ok(dialled) if dialled.lease.endpoint().key() == self.key => &tally.through,
            Ok(_) => &tally.elsewhere,
            Err(DialFailure { kind: FailureKind::ClientLeft, .. }) => &tally.left,
            Err(_) => &tally.failed,
        };
        reached.fetch_add(1, Ordering::Relaxed);
        if dialled.is_ok() {
            let took = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
            tally.slowest.fetch_max(took, Ordering::Relaxed);
        }
    }
}

impl Drop for Met {
    fn drop(&mut self) {
        if !self.told {
            self.drill.tally.left.fetch_add(1, Ordering::Relaxed);
        }
    }
}
