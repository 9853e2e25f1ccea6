//! Balancing.

/// How a pool chooses among the endpoints that can take traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// In turn, by weight.
    RoundRobin,
    /// Of two random endpoints the one with fewer sessions per weight.
    TwoChoices,
}
