//! First: the first endpoint of the list, up to its limit, then the next.
//!
//! Wanted where as few endpoints as possible are to be busy, or one is preferred to all others.

use super::{Balance, Candidate, Pick};

pub(super) struct First(Vec<Candidate>);

impl First {
    pub(super) fn new(candidates: &[Candidate]) -> Self {
        Self(candidates.to_vec())
    }
}

impl Balance for First {
    fn pick(&mut self, pick: &Pick<'_>) -> Option<u32> {
        self.0.iter().find(|candidate| pick.allows(candidate)).map(|candidate| candidate.slot)
    }
}
