//! The circumstances of one pick.

use super::Candidate;
use crate::time::Time;
use std::net::IpAddr;

/// Everything that an algorithm may look at for one more session.
#[derive(Clone, Copy)]
pub struct Pick<'a> {
    /// How many sessions an endpoint has at this moment; early ends weigh in
    /// ([`super::EarlyEnds`]).
    pub load: &'a dyn Fn(u32) -> u32,
    /// How many of the places of a limited endpoint are taken: exact, and nothing else weighs in.
    pub taken: &'a dyn Fn(u32) -> u32,
    /// Slots that are not to be picked: they were tried already.
    pub excluded: &'a [u32],
    /// The client's address.
    pub source: Option<IpAddr>,
    /// What decides instead of it where an endpoint is chosen by a hash ([`super::hash_of`]).
    pub key: Option<u64>,
    /// The time.
    pub now: Time,
}

impl<'a> Pick<'a> {
    /// A pick where only the load matters.
    #[must_use]
    pub fn by_load(load: &'a dyn Fn(u32) -> u32) -> Self {
        Self { load, taken: load, excluded: &[], source: None, key: None, now: Time::START }
    }

    /// Whether a candidate may be picked: not excluded, and below its limit.
    #[must_use]
    pub fn allows(&self, candidate: &Candidate) -> bool {
        !self.excluded.contains(&candidate.slot) && !self.is_full(candidate)
    }

    /// Whether a candidate has reached its limit.
    #[must_use]
    pub fn is_full(&self, candidate: &Candidate) -> bool {
        candidate.limit.is_some_and(|limit| (self.taken)(candidate.slot) >= limit)
    }

    /// Of candidates of which none could be picked: whether one of them would have been if it had not
    /// been at its limit; then the session may wait for it ([`crate::queue`]). Whether it still is at
    /// its limit does not matter: another worker may have given a place back since.
    #[must_use]
    pub fn would_wait(&self, candidates: &[Candidate]) -> bool {
        candidates.iter().any(|candidate| !self.excluded.contains(&candidate.slot))
    }
}
