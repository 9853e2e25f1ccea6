//! The power of two random choices by sessions.
//!
//! Wanted for long sessions (watches, tunnels). Two different endpoints are drawn at random by
//! weight, the one with fewer sessions for its weight takes the session: nearly as even as least
//! connections, without sending everything to an endpoint that has just come back.
//!
//! Where the two are far apart (one of them came back, and long sessions stay with the others for
//! days), the less loaded one is preferred only as often as [`PREFERENCE`] says, or it would get
//! twice its share of every new session until the old ones end. So nobody gets more than
//! 1 + `PREFERENCE` times its share, and the gap still closes.

use super::slow_start::{Lottery, admits};
use super::{Balance, Candidate, Pick};
use fastrand::Rng;

/// How often the less loaded of two that are far apart is preferred; else the first drawn wins.
const PREFERENCE: f64 = 0.4;
/// Loads are alike that differ by no more than so many sessions, or by an eighth.
const ALIKE: u64 = 4;

pub(super) struct TwoChoices {
    candidates: Vec<Candidate>,
    /// `upto[i]`: the weights of the candidates 0 to i added up.
    upto: Vec<u64>,
    lottery: Lottery,
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
        Self {
            upto: upto.collect(),
            candidates: candidates.to_vec(),
            lottery: Lottery::new(candidates),
            rng: Rng::with_seed(seed),
        }
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

    /// A candidate that may be picked, drawn by weight while luck lasts, else the next in line.
    fn draw_allowed(
        &mut self,
        other: Option<usize>,
        pick: &Pick<'_>,
        stake: Option<u32>,
    ) -> Option<usize> {
        let mut index = self.draw(other)?;
        // A candidate on a ramp that loses its lottery is drawn anew: more tries then.
        let draws = if stake.is_some() { 4 * DRAWS } else { DRAWS };
        for _ in 0..draws {
            let candidate = self.candidates[index];
            if pick.allows(&candidate) && admits(&mut self.rng, &candidate, stake, pick.now) {
                return Some(index);
            }
            index = self.draw(other)?;
        }
        let all = self.candidates.len();
        (index..index + all)
            .map(|index| index % all)
            .find(|&i| Some(i) != other && pick.allows(&self.candidates[i]))
    }

    /// Whether `second` takes the session from `first`.
    fn prefers(&mut self, first: Candidate, second: Candidate, pick: &Pick<'_>) -> bool {
        // (load + 1) / weight, compared crosswise: exact, and an idle endpoint of weight 2 is
        // preferred to an idle one of weight 1.
        let cost = |candidate: Candidate, other: Candidate| {
            (u64::from((pick.load)(candidate.slot)) + 1) * u64::from(other.weight)
        };
        let (of_first, of_second) = (cost(first, second), cost(second, first));
        // In the unit of the costs a session of `first` counts `second.weight`.
        let slack = of_second / 8 + ALIKE * u64::from(second.weight);
        let far_apart = of_first > of_second + slack;
        of_second < of_first && (!far_apart || self.rng.f64() < PREFERENCE)
    }
}

impl Balance for TwoChoices {
    fn pick(&mut self, pick: &Pick<'_>) -> Option<u32> {
        let stake = self.lottery.stake(&self.candidates, pick.now);
        let first = self.draw_allowed(None, pick, stake)?;
        let Some(second) = self.draw_allowed(Some(first), pick, stake) else {
            return Some(self.candidates[first].slot);
        };
        let (first, second) = (self.candidates[first], self.candidates[second]);
        let picked = if self.prefers(first, second, pick) { second } else { first };
        Some(picked.slot)
    }
}
