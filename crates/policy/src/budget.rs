//! What may be done beside the sessions or requests of a pool: a share of them, and a little in any case,
//! so that second tries never become a load of their own.

use crate::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// A share of what came within a window of time, as one worker sees it: it needs no lock.
#[derive(Clone, Debug)]
pub struct Budget {
    percent: u32,
    floor: u32,
    window: Duration,
    /// (second, what came, what was spent), the newest last.
    seconds: VecDeque<(u64, u32, u32)>,
}

impl Budget {
    /// `percent` of what comes within `window`, and `floor` in any case.
    #[must_use]
    pub fn new(percent: u32, floor: u32, window: Duration) -> Self {
        Self { percent, floor, window, seconds: VecDeque::new() }
    }

    /// One more came.
    pub fn earn(&mut self, now: Time) {
        self.second(now).1 += 1;
    }

    /// Takes one of what is left; whether there was one.
    pub fn spend(&mut self, now: Time) -> bool {
        self.forget(now);
        let sum = |sum: (u32, u32), second: &(u64, u32, u32)| (sum.0 + second.1, sum.1 + second.2);
        let (came, spent) = self.seconds.iter().fold((0, 0), sum);
        let share = came / 100 * self.percent + came % 100 * self.percent / 100;
        let is_left = spent < share.max(self.floor);
        if is_left {
            self.second(now).2 += 1;
        }
        is_left
    }

    fn forget(&mut self, now: Time) {
        let window = self.window.as_secs();
        let second = now.since_start().as_secs();
        while self.seconds.front().is_some_and(|(at, ..)| at + window <= second) {
            self.seconds.pop_front();
        }
    }

    fn second(&mut self, now: Time) -> &mut (u64, u32, u32) {
        self.forget(now);
        let second = now.since_start().as_secs();
        if self.seconds.back().is_none_or(|(at, ..)| *at < second) {
            self.seconds.push_back((second, 0, 0));
        }
        let last = self.seconds.len() - 1;
        &mut self.seconds[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_more_is_spent_in_a_window_than_the_share_or_the_floor(
            steps in prop::collection::vec((any::<bool>(), 0_u64..700), 1..600),
            percent in 0_u32..50,
            floor in 0_u32..9,
        ) {
            let mut budget = Budget::new(percent, floor, Duration::from_secs(10));
            let (mut now, mut log) = (0, Vec::new());
            for (earns, pause) in steps {
                now += pause;
                let at = Time::from_millis(now);
                if earns {
                    budget.earn(at);
                    log.push((now, 1, 0));
                } else if budget.spend(at) {
                    log.push((now, 0, 1));
                    // Seconds are counted whole.
                    let since = (now / 1000).saturating_sub(9) * 1000;
                    let recent = || log.iter().filter(|(then, ..)| *then >= since);
                    let came: u32 = recent().map(|step| step.1).sum();
                    let spent: u32 = recent().map(|step| step.2).sum();
                    prop_assert!(spent <= floor.max(came * percent / 100), "{spent} of {came}");
                }
            }
        }
    }
}
