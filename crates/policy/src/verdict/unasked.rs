//! Pools whose endpoints nobody asks: all that is known of them comes from traffic.
//!
//! What traffic saw makes an endpoint `suspect`, so that new sessions go elsewhere while anybody
//! else can take them. No probe will clear it, so time does: after [`SUSPECT_FOR`] it is tried
//! again, and what it does then decides.

use super::{Evidence, Key, Onward, Reason, Report, Tier, Verdict};
use crate::time::Time;
use std::time::Duration;

/// How long an endpoint stays `suspect` after traffic last saw something.
pub const SUSPECT_FOR: Duration = Duration::from_secs(10);

/// The suspects of one pool without probes.
#[derive(Clone, Debug, Default)]
pub struct Unasked {
    suspects: Vec<(Key, Time)>,
}

impl Unasked {
    /// Traffic saw something of an endpoint: the report to publish, if it says anything new.
    pub fn observe(&mut self, key: Key, evidence: &Evidence, now: Time) -> Option<Report> {
        let reason = match evidence {
            Evidence::DialFailed(fault) => Reason::DialFailed(*fault),
            Evidence::Unanswered { .. } => Reason::Unanswered,
            Evidence::EndedEarly { answered: false } => Reason::EndedEarly,
            Evidence::Exchange(fault) => Reason::Exchange(*fault),
            _ => return None,
        };
        let until = now + SUSPECT_FOR;
        if let Some((_, known)) = self.suspects.iter_mut().find(|(suspect, _)| *suspect == key) {
            *known = until;
            return None;
        }
        self.suspects.push((key, until));
        Some(report(Verdict::Suspect, reason, Tier::Suspect, now))
    }

    /// When [`Unasked::expire`] must be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.suspects.iter().map(|(_, until)| *until).min()
    }

    /// The endpoints that are to be tried again, each with its report.
    pub fn expire(&mut self, now: Time) -> Vec<(Key, Report)> {
        let over = |(_, until): &mut (Key, Time)| *until <= now;
        let again = |(key, _)| (key, report(Verdict::Up, Reason::NotProbed, Tier::Up, now));
        self.suspects.extract_if(.., over).map(again).collect()
    }
}

fn report(verdict: Verdict, reason: Reason, tier: Tier, since: Time) -> Report {
    Report {
        verdict,
        reason,
        since,
        blind: false,
        correlated: false,
        tier,
        onward: Onward::GoOn,
        risen: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::DialFault;

    #[test]
    fn a_suspect_is_tried_again_ten_seconds_after_the_last_sign() {
        let mut unasked = Unasked::default();
        let (key, at) = (Key(1), |seconds: u64| Time::from_millis(seconds * 1000));
        let report = unasked.observe(key, &Evidence::Unanswered { since: at(0) }, at(1)).unwrap();
        assert_eq!((report.verdict, report.tier), (Verdict::Suspect, Tier::Suspect));
        let again = Evidence::DialFailed(DialFault::Refused);
        assert_eq!(unasked.observe(key, &again, at(5)), None, "nothing new to tell");
        assert_eq!(unasked.next_deadline(), Some(at(15)));
        assert_eq!(unasked.expire(at(14)), []);
        let back = unasked.expire(at(15));
        assert_eq!(back.len(), 1);
        assert_eq!((back[0].0, back[0].1.tier), (key, Tier::Up));
        assert_eq!(unasked.next_deadline(), None);
    }

    #[test]
    fn what_says_nothing_against_it_makes_no_suspect() {
        let mut unasked = Unasked::default();
        let fine = Evidence::EndedEarly { answered: true };
        assert_eq!(unasked.observe(Key(1), &fine, Time::START), None);
    }
}
