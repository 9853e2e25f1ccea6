//! What is counted of one endpoint: numbers alone, so that a month takes no more room than a minute.

use super::compare::{Change, End, Said, Who};
use std::time::Duration;

/// How long one side said what, and how often it turned to `Out`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) in_for: Duration,
    pub(super) out_for: Duration,
    pub(super) outs: u64,
}

/// How often one side noticed first, and by how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lead {
    pub(super) times: u64,
    sum: Duration,
    pub(super) most: Duration,
}

impl Lead {
    fn add(&mut self, by: Duration) {
        self.times += 1;
        self.sum += by;
        self.most = self.most.max(by);
    }

    /// The mean.
    pub(super) fn mean(&self) -> Duration {
        u32::try_from(self.times)
            .ok()
            .and_then(|times| self.sum.checked_div(times))
            .unwrap_or_default()
    }
}

/// An order that a judge gave and nobody carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// New sessions would have gone elsewhere while it answers that it is not well.
    Drain,
    /// New sessions would have gone elsewhere: it does not answer.
    Refuse,
    /// The sessions on it would have been reset.
    Reset,
    /// No endpoint of the pool could have taken a session.
    TurnAway,
}

impl Order {
    /// As metrics and logs name it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Refuse => "refuse",
            Self::Reset => "reset",
            Self::TurnAway => "turn_away",
        }
    }
}

/// Everything that is counted of an endpoint over one stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) ours: Times,
    pub(super) theirs: Times,
    /// Disagreements that began, how long those took that are over, and the longest of them.
    pub(super) disagreements: u64,
    pub(super) differed: Duration,
    pub(super) longest: Duration,
    /// Deaths that both noticed: by who was first.
    pub(super) we_first: Lead,
    pub(super) haproxy_first: Lead,
    pub(super) together: u64,
    /// Deaths that one alone noticed, or took for one.
    pub(super) only_we: u64,
    pub(super) only_haproxy: u64,
    /// Orders that were not carried out.
    pub(super) drained: u64,
    pub(super) refused: u64,
    pub(super) reset: u64,
    /// Sessions that HAProxy had there when they would have been reset.
    pub(super) reset_sessions: u64,
}

impl Tally {
    pub(super) fn times(&mut self, who: Who) -> &mut Times {
        match who {
            Who::We => &mut self.ours,
            Who::Haproxy => &mut self.theirs,
        }
    }

    /// A change is over, or was noticed by both at once.
    pub(super) fn add(&mut self, change: &Change) {
        if let Some((from, Some(to))) = change.differed {
            let took = to.since(from);
            self.differed += took;
            self.longest = self.longest.max(took);
        }
        if change.said != Said::Out || change.from_the_start {
            return;
        }
        match (change.end, change.first()) {
            (End::Followed | End::AtOnce, Some((Who::We, by))) => self.we_first.add(by),
            (End::Followed | End::AtOnce, Some((Who::Haproxy, by))) => self.haproxy_first.add(by),
            (End::Followed | End::AtOnce, None) => self.together += 1,
            (End::GaveIn | End::Brief, _) if change.by == Who::We => self.only_we += 1,
            (End::GaveIn | End::Brief, _) => self.only_haproxy += 1,
            (End::Open | End::Lost, _) => {}
        }
    }

    pub(super) fn order(&mut self, order: Order, sessions: u64) {
        match order {
            Order::Drain => self.drained += 1,
            Order::Refuse => self.refused += 1,
            Order::Reset => {
                self.reset += 1;
                self.reset_sessions += sessions;
            }
            Order::TurnAway => {}
        }
    }
}
