//! Balancing: which endpoint of a pool takes the next session.
//!
//! An algorithm sees only candidates that may take traffic; [`candidates`] decides who they are.
//! Adding one: a file with its code and tests, a variant of [`Algorithm`], a line in [`picker`].

mod candidate;
mod early_end;
mod first;
mod hash;
mod least_connections;
mod pick;
#[cfg(test)]
mod properties;
mod round_robin;
mod slow_start;
mod source_hash;
#[cfg(test)]
mod tests;
mod two_choices;

pub use candidate::{Candidate, Standing, candidates, groups};
pub use early_end::{EARLY, EarlyEnds, WEIGHS_FOR};
pub use hash::{hash_of, identity_of};
pub use pick::Pick;
pub use slow_start::Ramp;

use first::First;
use least_connections::LeastConnections;
use round_robin::RoundRobin;
use source_hash::SourceHash;
use two_choices::TwoChoices;

/// How a pool chooses among the endpoints that can take traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// In turn, by weight: for short sessions that cost about the same.
    RoundRobin,
    /// Of two random endpoints the one with fewer sessions for its weight: for long sessions. An
    /// endpoint that comes back is not flooded, and balancers that know nothing of each other do
    /// not agree on the same endpoint.
    TwoChoices,
    /// The endpoint with the fewest sessions for its weight.
    LeastConnections,
    /// One client, one endpoint, on every host alike.
    SourceHash,
    /// The first endpoint up to its limit, then the next.
    First,
}

impl Algorithm {
    /// Every algorithm with its name in the configuration.
    pub const ALL: [(&'static str, Self); 5] = [
        ("round-robin", Self::RoundRobin),
        ("two-choices", Self::TwoChoices),
        ("least-connections", Self::LeastConnections),
        ("source-hash", Self::SourceHash),
        ("first", Self::First),
    ];

    /// The algorithm that the configuration calls `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }
}

/// Chooses among a fixed list of candidates. One per worker: it needs no lock.
pub trait Balance {
    /// The slot of the endpoint for one more session, or `None` when every candidate is excluded
    /// or at its limit.
    fn pick(&mut self, pick: &Pick<'_>) -> Option<u32>;
}

/// The picker of an algorithm over `candidates`. Workers give different seeds, so that they do not
/// all begin with the same endpoint.
#[must_use]
pub fn picker(algorithm: Algorithm, candidates: &[Candidate], seed: u64) -> Box<dyn Balance> {
    match algorithm {
        Algorithm::RoundRobin => Box::new(RoundRobin::new(candidates, seed)),
        Algorithm::TwoChoices => Box::new(TwoChoices::new(candidates, seed)),
        Algorithm::LeastConnections => Box::new(LeastConnections::new(candidates, seed)),
        Algorithm::SourceHash => Box::new(SourceHash::new(candidates)),
        Algorithm::First => Box::new(First::new(candidates)),
    }
}
