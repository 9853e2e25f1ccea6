//! Slow start: an endpoint that came (back) up gets its full share after a while.
//!
//! Shares are relative: where all endpoints came up together, none waits for the others.

use super::Candidate;
use crate::time::Time;
use fastrand::Rng;
use std::time::Duration;

/// The full share.
pub(super) const FULL: u32 = 1024;
/// The share at the beginning: enough to show that it works.
const FIRST: u32 = FULL / 16;

/// The way of an endpoint to its full share: in proportion to the time, from 1/16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ramp {
    /// When it came up.
    pub from: Time,
    /// How long it takes.
    pub length: Duration,
}

impl Ramp {
    /// The share at `now`, in 1/1024.
    #[must_use]
    pub fn share_at(self, now: Time) -> u32 {
        let passed = now.since(self.from);
        if passed >= self.length {
            return FULL;
        }
        let done = passed.as_millis() * u128::from(FULL) / self.length.as_millis().max(1);
        u32::try_from(done).unwrap_or(FULL).clamp(FIRST, FULL)
    }
}

/// Lets endpoints on a ramp take part in a draw as often as their share allows. For algorithms
/// that look at sessions: an empty endpoint would win every comparison, whatever its weight.
#[derive(Clone, Debug)]
pub(super) struct Lottery {
    /// When the last ramp ends; `None`: there is none.
    until: Option<Time>,
}

impl Lottery {
    pub(super) fn new(candidates: &[Candidate]) -> Self {
        let ends = candidates.iter().filter_map(|candidate| candidate.ramp);
        Self { until: ends.map(|ramp| ramp.from + ramp.length).max() }
    }

    /// The largest share of any candidate, against which the others are drawn; `None` when
    /// nobody is on a ramp.
    pub(super) fn stake(&self, candidates: &[Candidate], now: Time) -> Option<u32> {
        self.until.filter(|until| now < *until)?;
        candidates.iter().map(|candidate| share(candidate, now)).max()
    }
}

/// Whether `candidate` takes part, where the best share is `stake`.
pub(super) fn admits(rng: &mut Rng, candidate: &Candidate, stake: Option<u32>, now: Time) -> bool {
    let Some(stake) = stake else { return true };
    let share = share(candidate, now);
    share >= stake || rng.u32(0..stake) < share
}

fn share(candidate: &Candidate, now: Time) -> u32 {
    candidate.ramp.map_or(FULL, |ramp| ramp.share_at(now))
}
