//! Smooth weighted round-robin by virtual time (stride scheduling).
//!
//! Wanted when sessions are short and alike. An endpoint of weight `w` has its turns at
//! `(k + ½) / w`; the earliest turn is next. Shares are exact over a cycle, turns are spread evenly
//! inside it, and a pick costs O(log n) however many endpoints there are.

use super::{Balance, Candidate, Pick};
use crate::time::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One unit of virtual time: divisible by many weights, and large enough that the rounding of the
/// others never adds up to a turn.
const CYCLE: u64 = 1 << 50;

#[derive(Debug)]
pub(super) struct RoundRobin {
    candidates: Vec<Candidate>,
    /// Earliest turn first; among equal turns the endpoint named first.
    turns: BinaryHeap<Reverse<Turn>>,
    /// Turns taken out during one pick because their endpoint may not be picked; kept for its
    /// memory.
    aside: Vec<Turn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    at: u64,
    /// Index into the candidates.
    index: usize,
}

impl RoundRobin {
    pub(super) fn new(candidates: &[Candidate], seed: u64) -> Self {
        let turns = candidates.iter().enumerate().map(|(index, candidate)| {
            // Ramps are left out of the start: they count from the first turn on.
            let full = Candidate { ramp: None, ..*candidate };
            Reverse(Turn { at: stride(&full, Time::START) / 2, index })
        });
        let turns = turns.collect();
        let mut round_robin = Self { candidates: candidates.to_vec(), turns, aside: Vec::new() };
        let start = seed.checked_rem(candidates.len() as u64).unwrap_or(0);
        for _ in 0..start {
            round_robin.pick(&Pick::by_load(&|_| 0));
        }
        round_robin
    }

    /// Moves the origin of virtual time to `now`, so that it never overflows.
    fn rebase(&mut self, now: u64) {
        let turns = std::mem::take(&mut self.turns).into_iter();
        self.turns = turns
            .map(|Reverse(turn)| Reverse(Turn { at: turn.at.saturating_sub(now), ..turn }))
            .collect();
    }
}

/// Virtual time between two turns of a candidate.
fn stride(candidate: &Candidate, now: Time) -> u64 {
    CYCLE / candidate.weight_at(now)
}

impl Balance for RoundRobin {
    fn pick(&mut self, pick: &Pick<'_>) -> Option<u32> {
        let mut picked = None;
        while let Some(Reverse(turn)) = self.turns.pop() {
            let candidate = self.candidates[turn.index];
            if !pick.allows(&candidate) {
                self.aside.push(turn);
                continue;
            }
            // Wraps after millions of cycles of the lightest endpoint, hence the rebase.
            let next = turn.at + stride(&candidate, pick.now);
            self.turns.push(Reverse(Turn { at: next, ..turn }));
            picked = Some((turn.at, candidate.slot));
            break;
        }
        // An endpoint that was tried already keeps its turn; one at its limit does not save
        // turns up, or it would be flooded when a session of it ends.
        let reached = picked.map_or(0, |(at, _)| at);
        for turn in self.aside.drain(..) {
            let full = pick.is_full(&self.candidates[turn.index]);
            let at = if full { turn.at.max(reached) } else { turn.at };
            self.turns.push(Reverse(Turn { at, ..turn }));
        }
        let (at, slot) = picked?;
        if at > u64::MAX / 2 {
            self.rebase(at);
        }
        Some(slot)
    }
}
