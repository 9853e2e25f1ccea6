//! Source hash by a Maglev table: one client, one endpoint, on every host with this configuration.
//!
//! Wanted where an endpoint keeps something for its clients (caches, sessions in memory). The
//! client's address (of IPv6 its /64) alone decides, or a key of the request; the order of the endpoints in the file and
//! the seed do not. When an endpoint leaves, hardly anybody but its own clients moves. The table is that of
//! Eisenbud et al., "Maglev", NSDI 2016, section 3.4, filled by weight. Slow start is left out: it
//! would move clients twice.

use super::hash::{mix, source};
use super::{Balance, Candidate, Pick};

/// Entries of the table: a prime, some hundred times the endpoints of a pool, and the same
/// for every pool, for another size moves everybody. 32 KiB per worker and pool.
const SIZE: usize = 16_381;

pub(super) struct SourceHash {
    candidates: Vec<Candidate>,
    /// Indices into `candidates`.
    table: Vec<u16>,
}

impl SourceHash {
    pub(super) fn new(candidates: &[Candidate]) -> Self {
        let mut candidates = candidates.to_vec();
        candidates.sort_by_key(|candidate| candidate.identity);
        candidates.truncate(usize::from(u16::MAX));
        let table = fill(&candidates);
        Self { candidates, table }
    }
}

/// The way of a candidate through the table: every entry once, in an order of its own.
struct Walk {
    at: usize,
    step: usize,
    /// Turns saved up; a candidate of a lower weight than the heaviest sits out now and then.
    credit: u64,
}

impl Walk {
    fn of(candidate: &Candidate) -> Self {
        let size = SIZE as u64;
        let at = mix(candidate.identity) % size;
        let step = mix(candidate.identity ^ 0x9e37_79b9_7f4a_7c15) % (size - 1) + 1;
        // Both are below SIZE.
        Self { at: at as usize, step: step as usize, credit: 0 }
    }

    fn next(&mut self) -> usize {
        let at = self.at;
        self.at = (self.at + self.step) % SIZE;
        at
    }
}

fn fill(candidates: &[Candidate]) -> Vec<u16> {
    const FREE: u16 = u16::MAX;
    if candidates.is_empty() {
        return Vec::new();
    }
    let heaviest =
        candidates.iter().map(|candidate| u64::from(candidate.weight)).max().unwrap_or(1);
    let mut walks: Vec<_> = candidates.iter().map(Walk::of).collect();
    let mut table = vec![FREE; SIZE];
    let mut left = SIZE;
    loop {
        for (index, (walk, candidate)) in (0..).zip(walks.iter_mut().zip(candidates)) {
            walk.credit += u64::from(candidate.weight);
            if walk.credit < heaviest {
                continue;
            }
            walk.credit -= heaviest;
            let entry = loop {
                let entry = walk.next();
                if table[entry] == FREE {
                    break entry;
                }
            };
            table[entry] = index;
            left -= 1;
            if left == 0 {
                return table;
            }
        }
    }
}

impl Balance for SourceHash {
    fn pick(&mut self, pick: &Pick<'_>) -> Option<u32> {
        let hash = pick.key.unwrap_or_else(|| source(pick.source));
        // The remainder is below SIZE.
        let index = *self.table.get((hash % SIZE as u64) as usize)?;
        let candidate = &self.candidates[usize::from(index)];
        if pick.allows(candidate) {
            return Some(candidate.slot);
        }
        // The client's second choice, and third: the highest of hashes that depend on both.
        let allowed = self.candidates.iter().filter(|candidate| pick.allows(candidate));
        allowed.max_by_key(|candidate| mix(hash ^ candidate.identity)).map(|other| other.slot)
    }
}
