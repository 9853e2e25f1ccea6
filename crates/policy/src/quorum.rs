//! The quorum of a pool of masters: how many are ready, and how many may still be lost.
//!
//! etcd decides with more than half of its members; the masters carry it. So `2/3 ready, can lose
//! 0` says that the next loss stops the cluster, however well the balancer does.

use crate::verdict::{Report, Verdict};
use std::fmt;

/// How a pool of masters stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// Masters in all.
    pub members: usize,
    /// Masters that are `up` and that the operator lets take sessions.
    pub ready: usize,
}

impl Quorum {
    /// Counts masters, each with its report and whether its admin state is `ready`.
    pub fn count<'a>(masters: impl IntoIterator<Item = (&'a Report, bool)>) -> Self {
        let mut quorum = Self { members: 0, ready: 0 };
        for (report, in_rotation) in masters {
            quorum.members += 1;
            quorum.ready += usize::from(in_rotation && is_well(report));
        }
        quorum
    }

    /// Masters that etcd needs.
    #[must_use]
    pub fn needed(self) -> usize {
        self.members / 2 + 1
    }

    /// Whether enough are ready.
    #[must_use]
    pub fn stands(self) -> bool {
        self.ready >= self.needed()
    }

    /// How many of those that are ready may be lost.
    #[must_use]
    pub fn can_lose(self) -> usize {
        self.ready.saturating_sub(self.needed())
    }

    /// Whether draining this master would break the quorum (or take from one that is broken):
    /// then it is refused without force.
    #[must_use]
    pub fn drain_breaks_it(self, master: &Report) -> bool {
        is_well(master) && self.can_lose() == 0
    }
}

/// Whether a master counts as ready. One whose name does not resolve works by its last address.
fn is_well(report: &Report) -> bool {
    matches!(report.verdict, Verdict::Up | Verdict::Unresolved)
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ready", self.ready, self.members)?;
        if self.stands() {
            write!(f, ", can lose {}", self.can_lose())
        } else {
            write!(f, ", quorum lost: needs {}", self.needed())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;
    use crate::verdict::{Onward, Reason, Tier};

    fn report(verdict: Verdict) -> Report {
        Report {
            verdict,
            reason: Reason::Answers,
            since: Time::START,
            blind: false,
            correlated: false,
            tier: Tier::Up,
            onward: Onward::GoOn,
            risen: None,
        }
    }

    #[test]
    fn the_arithmetic() {
        let words = |members, ready| Quorum { members, ready }.to_string();
        assert_eq!(words(3, 3), "3/3 ready, can lose 1");
        assert_eq!(words(3, 2), "2/3 ready, can lose 0");
        assert_eq!(words(3, 1), "1/3 ready, quorum lost: needs 2");
        assert_eq!(words(1, 1), "1/1 ready, can lose 0");
        assert_eq!(words(4, 4), "4/4 ready, can lose 1");
        assert_eq!(words(5, 4), "4/5 ready, can lose 1");
        assert_eq!(words(7, 7), "7/7 ready, can lose 3");
    }

    #[test]
    fn a_drain_that_breaks_it_is_known_before() {
        let [up, dead, draining] = [Verdict::Up, Verdict::Dead, Verdict::Draining].map(report);
        let all = Quorum::count([(&up, true), (&up, true), (&up, true)]);
        assert!(!all.drain_breaks_it(&up));
        let two = Quorum::count([(&up, true), (&up, true), (&dead, true)]);
        assert!(two.drain_breaks_it(&up));
        assert!(!two.drain_breaks_it(&dead), "it is not ready anyway");
        let drained = Quorum::count([(&up, true), (&up, false), (&up, true), (&draining, true)]);
        assert_eq!(drained, Quorum { members: 4, ready: 2 });
        assert!(drained.drain_breaks_it(&up));
    }
}
