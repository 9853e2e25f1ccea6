//! What the judge tells: reports and events.

use super::{Key, Reason, Tier, Verdict};
use crate::time::Time;

/// The verdict of one endpoint with all that follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Since when it has this verdict.
    pub since: Time,
    /// Mark on `up`: nothing is known of its health (401 or 403 without a 2xx ever).
    pub blind: bool,
    /// Mark: it fell together with others; this host or its network is suspected.
    pub correlated: bool,
    /// What follows for new sessions.
    pub tier: Tier,
    /// What follows for sessions that stand.
    pub onward: Onward,
    /// When it last came (back) up, for slow start.
    pub risen: Option<Time>,
}

/// What follows for sessions that stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    /// They go on, for as long as they like.
    GoOn,
    /// They are reset, paced, from this moment on, unless something happens before.
    ResetFrom(Time),
}

/// What the caller has to do or to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The report of an endpoint changed: publish it, log it, rebuild the pickers.
    Changed {
        /// Whose.
        key: Key,
        /// The verdict before.
        before: Verdict,
        /// The new report.
        report: Report,
    },
    /// Reset the sessions that stand on it, towards both sides, paced ([`super::Pacer`]).
    Reset {
        /// Whose.
        key: Key,
        /// Why.
        reason: Reason,
    },
    /// It gave a sign of life or the brakes took hold: reset no more of its sessions.
    StopReset {
        /// Whose.
        key: Key,
    },
    /// The pool is (no longer) `CORRELATED: suspecting this host or its network`.
    Correlated(bool),
    /// The pool is (no longer) in PANIC: it sends to the least bad, for all fail.
    Panic(bool),
}
