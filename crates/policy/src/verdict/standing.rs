//! What follows from the state of an endpoint: the verdict shown, the tier, the fate of sessions.

use super::member::{Fall, Member, Reset, State};
use super::report::{Onward, Report};
use super::{Reason, Settings, Tier, Verdict};

impl Member {
    /// The report as of now; `since` is the caller's.
    pub(super) fn report(&self, settings: &Settings) -> Report {
        let (verdict, reason, tier) = self.standing(settings);
        let held = matches!(self.state, State::Fallen(Fall { hold: Some(_), .. }));
        let onward = match self.reset {
            Reset::From(at) | Reset::Ordered(at) if !held => Onward::ResetFrom(at),
            _ => Onward::GoOn,
        };
        Report {
            verdict,
            reason,
            since: self.published.since,
            blind: self.state == State::Up && self.answers.is_blind(),
            correlated: held,
            tier: if self.retired { Tier::Closed } else { tier },
            onward,
            risen: self.risen,
        }
    }

    fn standing(&self, settings: &Settings) -> (Verdict, Reason, Tier) {
        match self.state {
            State::Unprobed if !self.resolved => {
                (Verdict::Unresolved, Reason::Unresolved, Tier::Unprobed)
            }
            State::Unprobed => (Verdict::Unknown, Reason::NotProbed, Tier::Unprobed),
            State::Up if !self.resolved => (Verdict::Unresolved, Reason::Unresolved, Tier::Up),
            State::Up if self.answers.is_blind() => (Verdict::Up, Reason::Blind, Tier::Up),
            State::Up => (Verdict::Up, Reason::Answers, Tier::Up),
            State::Suspect(reason) => (Verdict::Suspect, reason, Tier::Suspect),
            State::Fallen(Fall { reason, hold, .. }) => {
                let (verdict, tier) = match hold {
                    Some(hold) if reason.is_deadly() && !hold.expired => {
                        (hold.floor, Tier::LastResort)
                    }
                    Some(_) if !reason.is_deadly() => (Verdict::Draining, Tier::Up),
                    _ if reason.is_deadly() => (Verdict::Dead, Tier::Closed),
                    _ if reason == Reason::Slow || settings.fail_open => {
                        (Verdict::Draining, Tier::Draining)
                    }
                    _ => (Verdict::Draining, Tier::Closed),
                };
                // It takes sessions again before all the others that are out: nobody must be
                // turned away while an endpoint answers.
                let tier = if self.is_returning() { tier.min(Tier::Draining) } else { tier };
                (verdict, reason, tier)
            }
        }
    }
}
