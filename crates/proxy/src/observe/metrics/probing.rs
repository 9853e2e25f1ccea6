//! What the probes' thread counts of a pool; it alone writes this.

use super::histogram::Counter;
use eclusa_policy::verdict::{Evidence, Verdict, VoidCause, Way};

/// Kinds of evidence, as the metric names them.
pub(super) const KINDS: [&str; 20] = [
    "connected",
    "hello",
    "handshake",
    "refused",
    "reset",
    "tls_failed",
    "silent",
    "answer",
    "overdue",
    "late",
    "kept_ended",
    "dial_failed",
    "unanswered",
    "ended_early",
    "byte",
    "unresolved",
    "resolved",
    "slow",
    "exchange_failed",
    "served",
];

/// Causes of void results, as the metric names them.
pub(super) const CAUSES: [&str; 3] = ["exhausted", "no_route", "stalled"];
/// Ways to probe, as the metric names them.
pub(super) const WAYS: [&str; 2] = ["fresh", "kept"];

/// What is counted of the probes of one pool, and of its verdicts.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct ProbingCell {
    pub(super) evidence: [Counter; KINDS.len()],
    pub(super) void: [Counter; CAUSES.len()],
    pub(super) ways: [Counter; WAYS.len()],
    pub(super) verdicts: [Counter; Verdict::ALL.len()],
    pub(super) resets: Counter,
}

impl ProbingCell {
    /// A probe began.
    pub(crate) fn started(&self, way: Way) {
        self.ways[usize::from(way == Way::Kept)].add(1);
    }

    /// Something was seen of an endpoint.
    pub(crate) fn seen(&self, evidence: &Evidence) {
        let kind = match evidence {
            Evidence::Void(cause) => return self.void[index_of(*cause)].add(1),
            Evidence::Connected { .. } => 0,
            Evidence::Hello { .. } => 1,
            Evidence::Handshake(_) => 2,
            Evidence::Refused => 3,
            Evidence::Reset => 4,
            Evidence::TlsFailed(_) => 5,
            Evidence::Silent { .. } => 6,
            Evidence::Answer { .. } => 7,
            Evidence::Overdue { .. } => 8,
            Evidence::Late { .. } => 9,
            Evidence::KeptEnded => 10,
            Evidence::DialFailed(_) => 11,
            Evidence::Unanswered { .. } => 12,
            Evidence::EndedEarly { .. } => 13,
            Evidence::Byte => 14,
            Evidence::Unresolved => 15,
            Evidence::Resolved => 16,
            Evidence::Slow { .. } => 17,
            Evidence::Exchange(_) => 18,
            Evidence::Served => 19,
        };
        self.evidence[kind].add(1);
    }

    /// An endpoint's verdict, `before` this.
    pub(crate) fn verdict(&self, before: Verdict, verdict: Verdict) {
        if before != verdict
            && let Some(counter) = self.verdicts.get(usize::from(verdict as u8))
        {
            counter.add(1);
        }
    }

    /// The sessions of an endpoint were ordered to be reset.
    pub(crate) fn resets_ordered(&self) {
        self.resets.add(1);
    }
}

fn index_of(cause: VoidCause) -> usize {
    match cause {
        VoidCause::Exhausted => 0,
        VoidCause::NoRoute => 1,
        VoidCause::Stalled => 2,
    }
}
