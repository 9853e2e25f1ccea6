//! What the workers and the probes' thread tell each other. Both ways are bounded and never waited
//! for: a worker that cannot place a signal drops it (traffic brings more), and an order to reset
//! that finds no place is given again at the next turn.

use crate::pool::Endpoint;
use eclusa_policy::verdict::{Evidence, Key, Pace, Reason};
use std::sync::Arc;

/// Signals on their way to the probes' thread.
pub(crate) const SIGNALS: usize = 4096;
/// Orders on their way to a worker.
pub(crate) const COMMANDS: usize = 256;

/// Traffic saw something of an endpoint.
#[derive(Debug)]
pub(crate) struct Signal {
    /// Index of the pool.
    pub(crate) pool: usize,
    pub(crate) key: Key,
    pub(crate) evidence: Evidence,
}

/// The probes' thread wants something of a worker.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Reset the sessions that stand on an endpoint, towards both sides, paced, for as long as its
    /// reset order ([`Endpoint::reset_order`]) is this one.
    Reset { endpoint: Arc<Endpoint>, order: u64, reason: Reason, pace: Pace },
}
