//! Stop: the sessions that outlast it are ended one after the other, so that their clients do not
//! come to the next instance as a storm.

use crate::time::Time;
use std::time::Duration;

/// How long before its deadline a stop begins to end what is left.
pub const LAST: Duration = Duration::from_secs(5);

/// How long before a deadline that is so far away the end begins: [`LAST`], of a short deadline the
/// last fifth.
#[must_use]
pub fn last_of(deadline: Duration) -> Duration {
    LAST.min(deadline / 5)
}

/// The last part of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    begin: Time,
    deadline: Time,
}

impl Spread {
    /// From `begin` to `deadline`.
    #[must_use]
    pub fn new(begin: Time, deadline: Time) -> Self {
        Self { begin, deadline }
    }

    /// When the session in place `place` (from 0, the oldest first) of `sessions` is ended, which
    /// began at `began`. The last one has until the deadline. One that came late may last as long as
    /// this part of the stop does: it would most likely have ended by itself.
    #[must_use]
    pub fn due(&self, place: u32, sessions: u32, began: Time) -> Time {
        let span = self.deadline.since(self.begin);
        let share = (f64::from(place) + 1.0) / f64::from(sessions.max(1));
        let turn = self.begin + span.mul_f64(share.clamp(0.0, 1.0));
        turn.max(began + span).min(self.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_part_is_five_seconds_or_a_fifth() {
        assert_eq!(last_of(Duration::from_secs(25)), Duration::from_secs(5));
        assert_eq!(last_of(Duration::from_hours(1)), Duration::from_secs(5));
        assert_eq!(last_of(Duration::from_secs(3)), Duration::from_millis(600));
        assert_eq!(last_of(Duration::ZERO), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn old_sessions_end_evenly_and_the_last_at_the_deadline(
            sessions in 1_u32..5000, begin in 20_000_u64..90_000,
        ) {
            let (begin, deadline) = (Time::from_millis(begin), Time::from_millis(begin + 5000));
            let spread = Spread::new(begin, deadline);
            let due: Vec<_> = (0..sessions).map(|k| spread.due(k, sessions, Time::START)).collect();
            prop_assert!(due.is_sorted());
            prop_assert_eq!(*due.last().unwrap(), deadline);
            for tenth in 1..=10 {
                let until = begin + Duration::from_millis(500 * tenth);
                let ended = due.iter().filter(|due| **due <= until).count() as f64;
                let fair = f64::from(sessions) * tenth as f64 / 10.0;
                prop_assert!((ended - fair).abs() <= 1.0, "{ended} of {fair} by {until:?}");
            }
        }

        #[test]
        fn a_late_comer_has_its_time(
            place in 0_u32..100, more in 1_u32..100, before in 0_u64..5000,
        ) {
            let (begin, deadline) = (Time::from_millis(20_000), Time::from_millis(25_000));
            let began = Time::from_millis(20_000 - before);
            let due = Spread::new(begin, deadline).due(place, place + more, began);
            prop_assert!(due.since(began) >= Duration::from_secs(5) || due == deadline);
            prop_assert!(due <= deadline);
        }
    }

    #[test]
    fn without_any_time_all_end_at_once() {
        let now = Time::from_millis(700);
        let spread = Spread::new(now, now);
        assert!((0..9).all(|place| spread.due(place, 9, now) == now));
    }
}
