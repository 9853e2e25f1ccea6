//! The power of two random choices by sessions.
//!
//! Wanted for long sessions (watches, tunnels). Two different endpoints are drawn at random by
//! weight, the one with fewer sessions for its weight takes the session: nearly as even as least
//! connections, without sending everything to an endpoint that has just come back.

use super::{Balance, Candidate};
use fastrand::Rng;

pub(super) struct TwoChoices {
    candidates: Vec<Candidate>,
    /// `upto[i]`: the weights of the candidates 0 to i added up.
    upto: Vec<u64>,
    rng: Rng,
}

/// Draws before the candidates are looked through one by one: exclusions are few.
const DRAWS: usize = 4;

impl TwoChoices {
    pub(super) fn new(candidates: &[Candidate], seed: u64) -> Self {
        let mut total = 0;
        let upto = candidates.iter().map(|candidate| {
            total += u64::from(candidate.weight);
            total
        });
        Self { upto: upto.collect(), candidates: candidates.to_vec(), rng: Rng::with_seed(seed) }
    }

    /// An index by weight, never `other`.
    fn draw(&mut self, other: Option<usize>) -> Option<usize> {
        let total = *self.upto.last()?;
        let skipped = other.map(|index| u64::from(self.candidates[index].weight)).unwrap_or(0);
        if total == skipped {
            return None;
        }
        let mut ticket = self.rng.u64(0..total - skipped);
        if let Some(other) = other
            && ticket >= self.upto[other] - skipped
        {
            ticket += skipped;
        }
        Some(self.upto.partition_point(|upto| *upto <= ticket))
    }

    /// A candidate that is not excluded, drawn by weight while luck lasts, else the next in line.
    fn draw_allowed(&mut self, other: Option<usize>, excluded: &[u32]) -> Option<usize> {
        let mut index = self.draw(other)?;
        for _ in 0..DRAWS {
            if !excluded.contains(&self.candidates[index].slot) {
                return Some(index);
            }
            index = self.draw(other)?;
        }
        let all = self.candidates.len();
        (index..index + all)
            .map(|index| index % all)
            .find(|&i| Some(i) != other && !excluded.contains(&self.candidates[i].slot))
    }
}

impl Balance for TwoChoices {
    fn pick(&mut self, load: &dyn Fn(u32) -> u32, excluded: &[u32]) -> Option<u32> {
        let first = self.draw_allowed(None, excluded)?;
        let Some(second) = self.draw_allowed(Some(first), excluded) else {
            return Some(self.candidates[first].slot);
        };
        let (first, second) = (self.candidates[first], self.candidates[second]);
        // (load + 1) / weight, compared crosswise: exact, and an idle endpoint of weight 2 is
        // preferred to an idle one of weight 1.
        let cost = |candidate: Candidate, other: Candidate| {
            (u64::from(load(candidate.slot)) + 1) * u64::from(other.weight)
        };
        let picked = if cost(second, first) < cost(first, second) { second } else { first };
        Some(picked.slot)
    }
}
