//! Balancing: which endpoint of a pool takes the next session.
//!
//! An algorithm sees only candidates that may take traffic; [`candidates`] decides who they are.
//! Adding one: a file with its code and tests, a variant of [`Algorithm`], a line in [`picker`].

mod round_robin;
#[cfg(test)]
mod tests;
mod two_choices;

use crate::verdict::Verdict;
use round_robin::RoundRobin;
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
}

impl Algorithm {
    /// Every algorithm with its name in the configuration.
    pub const ALL: [(&'static str, Self); 2] =
        [("round-robin", Self::RoundRobin), ("two-choices", Self::TwoChoices)];

    /// The algorithm that the configuration calls `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }
}

/// An endpoint that may be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its place in the pool's list of endpoints.
    pub slot: u32,
    /// Its share of new sessions relative to the others; never 0.
    pub weight: u16,
}

/// What is known of an endpoint when candidates are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What probes show.
    pub verdict: Verdict,
    /// Its configured weight.
    pub weight: u16,
    /// Used only while no other endpoint can take traffic.
    pub backup: bool,
}

/// The endpoints that may take new sessions, given all of a pool in order: those that are up; if
/// none is, the backups that are up; then those not probed yet, then backups not probed yet.
#[must_use]
pub fn candidates(pool: &[Standing]) -> Vec<Candidate> {
    let tiers = [
        (Verdict::Up, false),
        (Verdict::Up, true),
        (Verdict::Unknown, false),
        (Verdict::Unknown, true),
    ];
    for (verdict, backup) in tiers {
        let tier: Vec<_> = (0..)
            .zip(pool)
            .filter(|(_, standing)| standing.verdict == verdict && standing.backup == backup)
            .map(|(slot, standing)| Candidate { slot, weight: standing.weight.max(1) })
            .collect();
        if !tier.is_empty() {
            return tier;
        }
    }
    Vec::new()
}

/// Chooses among a fixed list of candidates. One per worker: it needs no lock.
pub trait Balance {
    /// The slot of the endpoint for one more session, or `None` when `excluded` names them all.
    /// `load` tells how many sessions an endpoint has at this moment.
    fn pick(&mut self, load: &dyn Fn(u32) -> u32, excluded: &[u32]) -> Option<u32>;
}

/// The picker of an algorithm over `candidates`. Workers give different seeds, so that they do not
/// all begin with the same endpoint.
#[must_use]
pub fn picker(algorithm: Algorithm, candidates: &[Candidate], seed: u64) -> Box<dyn Balance> {
    match algorithm {
        Algorithm::RoundRobin => Box::new(RoundRobin::new(candidates, seed)),
        Algorithm::TwoChoices => Box::new(TwoChoices::new(candidates, seed)),
    }
}
