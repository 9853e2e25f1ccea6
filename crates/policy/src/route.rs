//! Routes: conditions in order, the first that holds names where traffic goes.

mod index;
#[cfg(test)]
mod tests;

use crate::condition::{self, Condition, Facts};
use index::Index;

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a pool.
    Pool(usize),
    /// To one of several, each with its share.
    Split(Split),
}

impl Target {
    /// The pool for `number`, which is random, or a hash of what shall stay together.
    #[must_use]
    pub fn pool(&self, number: u64) -> usize {
        match self {
            Self::Pool(pool) => *pool,
            Self::Split(split) => split.pool(number),
        }
    }

    /// All pools that it can lead to.
    pub fn pools(&self) -> impl Iterator<Item = usize> {
        let (one, several) = match self {
            Self::Pool(pool) => (Some(*pool), &[][..]),
            Self::Split(split) => (None, split.shares()),
        };
        one.into_iter().chain(several.iter().map(|(_, pool)| *pool))
    }
}

/// Pools with shares. A share of 0 gets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    shares: Vec<(u32, usize)>,
    total: u64,
}

impl Split {
    /// Shares and pools; `None`: nobody would get anything.
    #[must_use]
    pub fn new(shares: Vec<(u32, usize)>) -> Option<Self> {
        let total = shares.iter().map(|(share, _)| u64::from(*share)).sum();
        (total > 0).then_some(Self { shares, total })
    }

    /// Shares and pools, in the order given.
    #[must_use]
    pub fn shares(&self) -> &[(u32, usize)] {
        &self.shares
    }

    /// All numbers alike often: each pool as often as its share says. The high bits of a number
    /// count, so that hashes that differ only in low bits stay together.
    fn pool(&self, number: u64) -> usize {
        let scaled = (u128::from(number) * u128::from(self.total)) >> 64;
        let mut left = u64::try_from(scaled).unwrap_or(0);
        for (share, pool) in &self.shares {
            match left.checked_sub(u64::from(*share)) {
                Some(rest) => left = rest,
                None => return *pool,
            }
        }
        // Not reached: `left` is below the sum of the shares.
        self.shares.last().map_or(0, |(_, pool)| *pool)
    }
}

/// Routes of a listener, prepared so that a look-up costs the same with ten hosts, names or paths as
/// with ten thousand: routes that ask for one are found by it, the rest is tried in order.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    routes: Vec<(Condition, Target)>,
    index: Index,
}

/// Hears of every route that was tried, for `explain`; `()` hears nothing and costs nothing.
pub trait Trace: condition::Trace {
    /// The route at `index` was tried, and its condition held or did not.
    fn tried(&mut self, _index: usize, _condition: &Condition, _held: bool) {}
}

impl Trace for () {}

impl RouteTable {
    /// Prepares routes given as condition and target, in the order in which they are to be tried.
    #[must_use]
    pub fn new(routes: impl IntoIterator<Item = (Condition, Target)>) -> Self {
        let routes: Vec<_> = routes.into_iter().collect();
        let mut index = Index::default();
        for (number, (condition, _)) in routes.iter().enumerate() {
            index.file(number, condition);
        }
        Self { routes, index }
    }

    /// Where the first route whose condition holds leads; `None`: no route takes this.
    pub fn choose(&self, facts: &Facts<'_>, trace: &mut impl Trace) -> Option<&Target> {
        let mut best = usize::MAX;
        self.index.candidates(facts, &mut |list| {
            best = self.first(list, facts, best, trace);
        });
        self.routes.get(best).map(|(_, target)| target)
    }

    /// The first of `list` whose condition holds, if it stands before `best`; else `best`.
    fn first(
        &self,
        list: &[usize],
        facts: &Facts<'_>,
        best: usize,
        trace: &mut impl Trace,
    ) -> usize {
        for &index in list.iter().take_while(|&&index| index < best) {
            let condition = &self.routes[index].0;
            let held = condition.traced(facts, trace);
            trace.tried(index, condition, held);
            if held {
                return index;
            }
        }
        best
    }
}
