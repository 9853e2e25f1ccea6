//! How many lines the log may get about one thing.

use eclusa_policy::time::Time;
use std::time::Duration;

/// A line may be told so often on average...
const PACE: Duration = Duration::from_secs(1);
/// ...and so many in a row after a quiet time.
const BURST: u32 = 10;

/// Lines about one thing: a line a second on average, ten in a row. Those beyond are counted, and
/// the next line is to say how many they were.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    /// The lines told so far are made up for at this moment.
    even_at: Time,
    left_out: u32,
}

impl Allowance {
    /// Whether a line may be told; if not, it counts as left out. As long as it was not told that
    /// lines were left out, that comes first.
    pub(crate) fn take(&mut self, now: Time) -> bool {
        if self.left_out > 0 || !self.is_there(now) {
            self.left_out = self.left_out.saturating_add(1);
            return false;
        }
        self.pay(now);
        true
    }

    /// A line is told that must not be left out. Returns how many were left out before it.
    pub(crate) fn take_anyway(&mut self, now: Time) -> u32 {
        self.pay(now);
        std::mem::take(&mut self.left_out)
    }

    /// How many lines were left out, where it may be told by now.
    pub(crate) fn take_left_out(&mut self, now: Time) -> Option<u32> {
        (self.left_out > 0 && self.is_there(now)).then(|| self.take_anyway(now))
    }

    fn is_there(&self, now: Time) -> bool {
        self.even_at.since(now) + PACE <= PACE * BURST
    }

    fn pay(&mut self, now: Time) {
        // Lines that must be told run up no debt beyond the burst.
        self.even_at = (self.even_at.max(now) + PACE).min(now + PACE * BURST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn ten_in_a_row_and_one_a_second_from_then_on() {
        let mut allowance = Allowance::default();
        let told = (0..100).filter(|_| allowance.take(at(5_000))).count();
        assert_eq!(told, 10);
        assert_eq!(allowance.take_left_out(at(5_999)), None);
        assert_eq!(allowance.take_left_out(at(6_000)), Some(90));
        assert!(
            !allowance.take(at(6_999)),
            "the one that told how many was the one of this second"
        );
        assert_eq!(allowance.take_left_out(at(7_000)), Some(1));
        assert!(allowance.take(at(8_000)));
        assert_eq!(allowance.take_left_out(at(60_000)), None, "nothing more was left out");
    }

    #[test]
    fn whatever_comes_a_line_a_second_is_the_average() {
        let mut allowance = Allowance::default();
        let (mut lines, mut left_out) = (0, 0);
        for millis in (0..60_000).step_by(20) {
            if let Some(more) = allowance.take_left_out(at(millis)) {
                (lines, left_out) = (lines + 1, left_out + more);
            }
            lines += u32::from(allowance.take(at(millis)));
        }
        assert!((60..=70).contains(&lines), "{lines}");
        left_out += allowance.take_anyway(at(60_000));
        assert!(
            left_out + lines > 3_000,
            "each of the 3000 was told or counted: {left_out}, {lines}"
        );
    }

    #[test]
    fn what_must_be_told_takes_from_the_rest_and_never_owes_more_than_a_burst() {
        let mut allowance = Allowance::default();
        for _ in 0..1_000 {
            assert_eq!(allowance.take_anyway(at(0)), 0);
        }
        assert!(!allowance.take(at(500)));
        assert_eq!(allowance.take_anyway(at(600)), 1, "it says what was left out before it");
        assert!(allowance.take(at(1_600)));
    }
}
