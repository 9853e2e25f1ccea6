//! Pace: the resets of one verdict spread over time, so that clients do not come back as a storm.

use crate::time::Time;
use std::time::Duration;

/// How resets are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The first reset comes this early at the latest.
    pub first_within: Duration,
    /// The last reset comes this early at the latest.
    pub last_within: Duration,
    /// At most so many resets in one turn, unless `last_within` would be missed.
    pub at_once: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first_within: Duration::from_millis(200),
            last_within: Duration::from_secs(2),
            at_once: 200,
        }
    }
}

/// The resets of one verdict. Ask [`Pacer::due`] at each turn (every [`Pacer::TURN`]); before it,
/// tell the judge what was heard ([`super::Judge::heard`]): a byte since the order stops the rest.
#[derive(Clone, Debug)]
pub struct Pacer {
    pace: Pace,
    begun: Time,
    total: u32,
    done: u32,
}

impl Pacer {
    /// Time between turns.
    pub const TURN: Duration = Duration::from_millis(100);

    /// Resets `total` sessions from `now` on.
    #[must_use]
    pub fn new(pace: Pace, total: u32, now: Time) -> Self {
        Self { pace, begun: now, total, done: 0 }
    }

    /// How many sessions to reset at this turn; they count as reset.
    ///
    /// They are spread evenly up to a turn before `last_within`. More than `at_once` in a turn is
    /// held back, unless even that pace would miss `last_within` (then the spread is wider than
    /// the bound allows, and all are due by the end: the bound on time is the stronger promise).
    pub fn due(&mut self, now: Time) -> u32 {
        let left = self.total - self.done;
        let spread = self.pace.last_within.saturating_sub(Self::TURN * 2);
        let passed = now.since(self.begun) + Self::TURN;
        let share = if passed >= spread || spread.is_zero() {
            1.0
        } else {
            passed.as_secs_f64() / spread.as_secs_f64()
        };
        let wanted = (f64::from(self.total) * share).ceil();
        // Never beyond `total`, hence within u32.
        let wanted = wanted as u32;
        let mut due = wanted.saturating_sub(self.done).min(left);
        if due > self.pace.at_once && now.since(self.begun) < spread {
            due = self.pace.at_once;
        }
        self.done += due;
        due
    }

    /// Whether all are reset.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done >= self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn first_and_last_come_in_time_and_no_turn_is_a_storm(
            total in 1_u32..3500, drift in 0_u64..40,
        ) {
            let pace = Pace::default();
            let mut pacer = Pacer::new(pace, total, Time::START);
            let (mut first, mut last, mut sum) = (None, Time::START, 0);
            for turn in 0..=20 {
                let now = Time::from_millis(turn * 100 + if turn == 0 { 0 } else { drift });
                let due = pacer.due(now);
                if due > 0 {
                    first.get_or_insert(now);
                    last = now;
                }
                prop_assert!(due <= pace.at_once, "{due} at {now:?}");
                sum += due;
            }
            prop_assert!(pacer.is_done());
            prop_assert_eq!(sum, total);
            prop_assert!(first.unwrap().since(Time::START) <= pace.first_within);
            prop_assert!(last.since(Time::START) <= pace.last_within);
        }
    }

    #[test]
    fn more_sessions_than_the_pace_allows_are_still_reset_in_time() {
        let mut pacer = Pacer::new(Pace::default(), 50_000, Time::START);
        let total: u32 = (0..=20).map(|turn| pacer.due(Time::from_millis(turn * 100))).sum();
        assert_eq!(total, 50_000);
    }
}
