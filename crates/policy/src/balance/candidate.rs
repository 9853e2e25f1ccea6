//! Who may take new sessions, and what is known of them.

use super::slow_start::{FULL, Ramp};
use crate::time::Time;
use crate::verdict::Tier;
use std::collections::BTreeMap;

/// An endpoint that may be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its place in the pool's list of endpoints.
    pub slot: u32,
    /// Its share of new sessions relative to the others; never 0.
    pub weight: u16,
    /// A stable hash of its address: hash algorithms on two hosts agree by it.
    pub identity: u64,
    /// It came (back) up a short while ago.
    pub ramp: Option<Ramp>,
    /// It takes no more than so many sessions at a time.
    pub limit: Option<u32>,
}

impl Candidate {
    /// A candidate without ramp and limit.
    #[must_use]
    pub fn new(slot: u32, weight: u16) -> Self {
        Self { slot, weight: weight.max(1), identity: u64::from(slot), ramp: None, limit: None }
    }

    /// Its weight at `now`, in 1/1024 of the configured unit; never 0.
    #[must_use]
    pub fn weight_at(&self, now: Time) -> u64 {
        let share = self.ramp.map_or(FULL, |ramp| ramp.share_at(now));
        (u64::from(self.weight) * u64::from(share)).max(1)
    }
}

/// What is known of an endpoint when candidates are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What follows from its verdict for new sessions; what the operator wants of it (`drain`,
    /// `maint`) makes it [`Tier::Closed`].
    pub tier: Tier,
    /// Its configured weight.
    pub weight: u16,
    /// Its group: those of a higher number are used only while none of a lower one can take
    /// traffic. A backup is of group 1.
    pub priority: u8,
    /// A stable hash of its address ([`super::identity_of`]).
    pub identity: u64,
    /// It came (back) up a short while ago.
    pub ramp: Option<Ramp>,
    /// It takes no more than so many sessions at a time.
    pub limit: Option<u32>,
}

impl Default for Standing {
    fn default() -> Self {
        Self { tier: Tier::Up, weight: 1, priority: 0, identity: 0, ramp: None, limit: None }
    }
}

/// The endpoints that may take new sessions, given all of a pool in order: in groups, the best tier
/// first, within a tier the lowest priority number first. A session is given to the first group;
/// the others are for what cannot be placed there: a session must not fail while any endpoint can
/// take it.
#[must_use]
pub fn groups(pool: &[Standing]) -> Vec<Vec<Candidate>> {
    let mut groups: BTreeMap<(Tier, u8), Vec<Candidate>> = BTreeMap::new();
    for (slot, standing) in (0..).zip(pool) {
        if standing.tier == Tier::Closed {
            continue;
        }
        let candidate = Candidate {
            slot,
            weight: standing.weight.max(1),
            identity: standing.identity,
            ramp: standing.ramp,
            limit: standing.limit,
        };
        groups.entry((standing.tier, standing.priority)).or_default().push(candidate);
    }
    groups.into_values().collect()
}

/// The first of the [`groups`]: who takes the next session.
#[must_use]
pub fn candidates(pool: &[Standing]) -> Vec<Candidate> {
    groups(pool).into_iter().next().unwrap_or_default()
}
