//! Least connections: the endpoint with the fewest sessions for its weight.
//!
//! Wanted for long sessions of very unequal length, in pools whose endpoints seldom change: one
//! that comes back gets every new session until it has caught up (slow start only delays that).
//! Where endpoints come and go, two random choices are the better algorithm.

use super::slow_start::{Lottery, admits};
use super::{Balance, Candidate, Pick};
use fastrand::Rng;

pub(super) struct LeastConnections {
    candidates: Vec<Candidate>,
    lottery: Lottery,
    rng: Rng,
    /// Where the search begins: equal endpoints take turns.
    start: usize,
}

impl LeastConnections {
    pub(super) fn new(candidates: &[Candidate], seed: u64) -> Self {
        Self {
            candidates: candidates.to_vec(),
            lottery: Lottery::new(candidates),
            rng: Rng::with_seed(seed),
            start: usize::try_from(seed).unwrap_or(0).checked_rem(candidates.len()).unwrap_or(0),
        }
    }

    fn search(&mut self, pick: &Pick<'_>, stake: Option<u32>) -> Option<u32> {
        let all = self.candidates.len();
        let mut best: Option<(u64, usize)> = None;
        for index in (self.start..self.start + all).map(|index| index % all) {
            let candidate = self.candidates[index];
            if !pick.allows(&candidate) || !admits(&mut self.rng, &candidate, stake, pick.now) {
                continue;
            }
            // (load + ½) / weight, doubled, and compared crosswise. An idle endpoint of weight 2 is
            // preferred to one of weight 1; with a whole session instead of a half the heavy ones
            // would end with more than their share (as D'Hondt's seats do beside Sainte-Laguë's).
            let load = 2 * u64::from((pick.load)(candidate.slot)) + 1;
            let less = best.is_none_or(|(least, at)| {
                load * u64::from(self.candidates[at].weight) < least * u64::from(candidate.weight)
            });
            if less {
                best = Some((load, index));
            }
        }
        let (_, index) = best?;
        self.start = (index + 1) % all;
        Some(self.candidates[index].slot)
    }
}

impl Balance for LeastConnections {
    fn pick(&mut self, pick: &Pick<'_>) -> Option<u32> {
        let stake = self.lottery.stake(&self.candidates, pick.now);
        self.search(pick, stake).or_else(|| self.search(pick, None))
    }
}
