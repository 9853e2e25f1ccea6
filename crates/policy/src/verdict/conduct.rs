//! Conduct: what exchanges met at an endpoint whose connections stand.
//!
//! A probe that looks less deep than an exchange does not refute it: the kernel of a frozen program
//! accepts, and a health page is served by one whose answers break off. So an endpoint that fails two
//! exchanges without serving one between is suspect for a while, whatever probes say, and for twice as
//! long when that happens as soon as it is tried again. One alone is a suspicion like any other: the
//! next good probe clears it.

use crate::time::Time;
use std::time::Duration;

/// Exchanges that fail in a row before probes no longer clear it.
const STRIKES: u32 = 2;
/// How long that lasts at first.
const FIRST: Duration = Duration::from_secs(5);
/// And at most: twice as long each time.
const DOUBLINGS: u32 = 4;
/// What is older than this says nothing any more.
const FORGOTTEN: Duration = Duration::from_secs(300);

/// The conduct of one endpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Conduct {
    /// Failures in a row.
    strikes: u32,
    last: Time,
    /// How often it was out in a row.
    times: u32,
    until: Option<Time>,
}

impl Conduct {
    /// An exchange failed for its sake.
    pub(super) fn failed(&mut self, now: Time) {
        if now.since(self.last) > FORGOTTEN {
            *self = Self::default();
        }
        self.last = now;
        self.strikes = self.strikes.saturating_add(1);
        if self.strikes >= STRIKES && !self.is_out(now) {
            self.until = Some(now + FIRST * (1 << self.times));
            self.times = (self.times + 1).min(DOUBLINGS);
        }
    }

    /// It has served one since.
    pub(super) fn served(&mut self) {
        *self = Self::default();
    }

    /// Whether probes do not clear it now.
    pub(super) fn is_out(&self, now: Time) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// It is tried again; says whether it was out.
    pub(super) fn returns(&mut self) -> bool {
        self.until.take().is_some()
    }
}
