//! Smooth weighted round-robin by virtual time (stride scheduling).
//!
//! Wanted when sessions are short and alike. An endpoint of weight `w` has its turns at
//! `(k + ½) / w`; the earliest turn is next. Shares are exact over a cycle, turns are spread evenly
//! inside it, and a pick costs O(log n) however many endpoints there are.

use super::{Balance, Candidate};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One unit of virtual time: divisible by many weights, and large enough that the rounding of the
/// others never adds up to a turn.
const CYCLE: u64 = 1 << 40;

#[derive(Debug)]
pub(super) struct RoundRobin {
    /// Earliest turn first; among equal turns the endpoint named first.
    turns: BinaryHeap<Reverse<Turn>>,
    /// Turns taken out during one pick because their endpoint is excluded; kept for its memory.
    aside: Vec<Turn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    at: u64,
    slot: u32,
    stride: u64,
}

impl RoundRobin {
    pub(super) fn new(candidates: &[Candidate], seed: u64) -> Self {
        let turns = candidates.iter().map(|candidate| {
            let stride = CYCLE / u64::from(candidate.weight);
            Reverse(Turn { at: stride / 2, slot: candidate.slot, stride })
        });
        let mut round_robin = Self { turns: turns.collect(), aside: Vec::new() };
        let start = seed.checked_rem(candidates.len() as u64).unwrap_or(0);
        for _ in 0..start {
            round_robin.pick(&|_| 0, &[]);
        }
        round_robin
    }
}

impl Balance for RoundRobin {
    fn pick(&mut self, _: &dyn Fn(u32) -> u32, excluded: &[u32]) -> Option<u32> {
        let mut picked = None;
        while let Some(Reverse(turn)) = self.turns.pop() {
            if excluded.contains(&turn.slot) {
                self.aside.push(turn);
                continue;
            }
            // 2^64 / 2^40 cycles of at least one pick each: wraps after sixteen million cycles of
            // the lightest endpoint, hence the rebase.
            self.turns.push(Reverse(Turn { at: turn.at + turn.stride, ..turn }));
            picked = Some(turn);
            break;
        }
        self.turns.extend(self.aside.drain(..).map(Reverse));
        let picked = picked?;
        if picked.at > u64::MAX / 2 {
            self.rebase(picked.at);
        }
        Some(picked.slot)
    }
}

impl RoundRobin {
    /// Moves the origin of virtual time to `now`, so that it never overflows.
    fn rebase(&mut self, now: u64) {
        let turns = std::mem::take(&mut self.turns).into_iter();
        self.turns = turns
            .map(|Reverse(turn)| Reverse(Turn { at: turn.at.saturating_sub(now), ..turn }))
            .collect();
    }
}
