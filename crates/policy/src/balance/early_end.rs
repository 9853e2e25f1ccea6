//! Early ends weigh as load for a while: an endpoint that answers every session at once with an
//! error would look like the least loaded of all.

use crate::time::Time;
use std::time::Duration;

/// How long an early end weighs.
pub const WEIGHS_FOR: Duration = Duration::from_secs(30);
/// A session that ends within this, or is reset before its first byte, ended early.
pub const EARLY: Duration = Duration::from_secs(1);

const SLOTS: usize = WEIGHS_FOR.as_secs() as usize + 1;

/// The early ends of one endpoint, counted per second.
#[derive(Clone, Debug, Default)]
pub struct EarlyEnds {
    /// (second, ends in it), in a ring.
    seconds: [(u64, u32); SLOTS],
}

impl EarlyEnds {
    /// Counts one.
    pub fn count(&mut self, now: Time) {
        let second = now.since_start().as_secs();
        let slot = &mut self.seconds[(second % SLOTS as u64) as usize];
        if slot.0 != second {
            *slot = (second, 0);
        }
        slot.1 = slot.1.saturating_add(1);
    }

    /// Sessions to add to the load.
    #[must_use]
    pub fn load(&self, now: Time) -> u32 {
        let second = now.since_start().as_secs();
        let recent = |at: u64| at + WEIGHS_FOR.as_secs() > second && at <= second;
        self.seconds.iter().filter(|(at, _)| recent(*at)).map(|(_, ends)| ends).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_end_weighs_for_thirty_seconds() {
        let mut ends = EarlyEnds::default();
        for second in 0..5 {
            ends.count(Time::from_millis(second * 1000 + 1_000_000));
        }
        let at = |second: u64| ends.load(Time::from_millis(second * 1000 + 1_000_000));
        assert_eq!((at(4), at(29), at(30), at(33), at(34)), (5, 5, 4, 1, 0));
        ends.count(Time::from_millis(1_100_000));
        assert_eq!(ends.load(Time::from_millis(1_100_500)), 1);
    }
}
