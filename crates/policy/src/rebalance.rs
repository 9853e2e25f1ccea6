//! Gentle rebalance (off unless asked for): while the skew of a pool exceeds a bound, a few of the
//! longest quiet sessions per minute are closed towards the mean.
//!
//! HTTP/2 clients of an apiserver stick to their connection for days: a master that came back
//! stays idle without this. A client whose quiet session is closed connects again and is balanced
//! anew. Never more than set, never in a panic.

use crate::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// When and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Sessions of the fullest endpoint in percent of its fair share, above which it is relieved.
    pub above_percent: u32,
    /// Sessions closed per minute in the whole pool, at most.
    pub per_minute: u32,
}

/// What is known of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its place in the pool's list of endpoints.
    pub slot: u32,
    /// Its configured weight.
    pub weight: u16,
    /// Sessions on it.
    pub sessions: u32,
    /// Of these, how many have been quiet for so long that closing them hurts nobody.
    pub quiet: u32,
    /// Whether it takes new sessions at full share: up, no slow start, nothing marked.
    pub full: bool,
}

/// Close so many of the longest quiet sessions of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// Which endpoint.
    pub slot: u32,
    /// How many.
    pub sessions: u32,
}

const MINUTE: Duration = Duration::from_secs(60);

/// The rebalance of one pool.
#[derive(Clone, Debug)]
pub struct Rebalance {
    settings: Settings,
    /// What was closed within the last minute.
    closed: VecDeque<(Time, u32)>,
}

impl Rebalance {
    /// Nothing closed yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, closed: VecDeque::new() }
    }

    /// What to close now, if anything; it counts as closed. Ask every few seconds.
    ///
    /// Nothing while an endpoint does not take new sessions at full share: who is disconnected in
    /// the midst of a failure comes back to those that have enough to do, and one that has just
    /// returned fills up by itself.
    pub fn decide(&mut self, loads: &[Load], now: Time) -> Option<Close> {
        while self.closed.front().is_some_and(|(at, _)| now.since(*at) >= MINUTE) {
            self.closed.pop_front();
        }
        let spent: u32 = self.closed.iter().map(|(_, sessions)| sessions).sum();
        let budget = self.settings.per_minute.saturating_sub(spent);
        if budget == 0 {
            return None;
        }
        let (fullest, excess) = fullest(self.settings, loads)?;
        // A third of what is left of the minute's budget at a time: a few, not a burst.
        let some = budget.div_ceil(3).min(fullest.quiet);
        let count = excess.min(some);
        if count == 0 {
            return None;
        }
        self.closed.push_back((now, count));
        Some(Close { slot: fullest.slot, sessions: count })
    }
}

/// Whether an endpoint of the pool is to be relieved, whatever is quiet on it.
#[must_use]
pub fn is_skewed(settings: Settings, loads: &[Load]) -> bool {
    fullest(settings, loads).is_some()
}

/// The endpoint that is farthest above its fair share, and by how many sessions, if that is beyond
/// the bound and the pool is well.
fn fullest(settings: Settings, loads: &[Load]) -> Option<(&Load, u32)> {
    if loads.len() < 2 || loads.iter().any(|load| !load.full) {
        return None;
    }
    let weights: u64 = loads.iter().map(|load| u64::from(load.weight)).sum();
    let sessions: u64 = loads.iter().map(|load| u64::from(load.sessions)).sum();
    let share =
        |load: &Load| (sessions * u64::from(load.weight)).checked_div(weights).unwrap_or(u64::MAX);
    let excess = |load: &Load| u64::from(load.sessions).saturating_sub(share(load));
    let fullest = loads.iter().max_by_key(|load| excess(load))?;
    let bound = share(fullest).saturating_mul(u64::from(settings.above_percent)) / 100;
    let beyond = u64::from(fullest.sessions) > bound.max(share(fullest).saturating_add(1));
    beyond.then(|| (fullest, u32::try_from(excess(fullest)).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: Settings = Settings { above_percent: 130, per_minute: 12 };

    fn load(slot: u32, sessions: u32) -> Load {
        Load { slot, weight: 1, sessions, quiet: sessions, full: true }
    }

    #[test]
    fn a_few_of_the_fullest_are_closed_and_nothing_in_a_panic() {
        let mut rebalance = Rebalance::new(SETTINGS);
        let loads = [load(0, 0), load(1, 90), load(2, 110)];
        let troubled = Load { full: false, ..loads[0] };
        assert_eq!(rebalance.decide(&[troubled, loads[1], loads[2]], Time::START), None);
        let close = rebalance.decide(&loads, Time::START);
        assert_eq!(close, Some(Close { slot: 2, sessions: 4 }));
    }

    #[test]
    fn an_even_pool_and_one_whose_rest_is_out_are_left_alone() {
        let mut rebalance = Rebalance::new(SETTINGS);
        let even = [load(0, 95), load(1, 100), load(2, 105)];
        assert_eq!(rebalance.decide(&even, Time::START), None);
        let starting = [Load { full: false, ..load(0, 0) }, load(1, 100), load(2, 105)];
        assert_eq!(rebalance.decide(&starting, Time::START), None);
        let busy = [load(0, 0), Load { quiet: 0, ..load(1, 100) }];
        assert_eq!(rebalance.decide(&busy, Time::START), None);
    }

    proptest! {
        #[test]
        fn the_budget_is_kept_and_the_pool_ends_within_the_bound(
            mut sessions in prop::collection::vec(0_u32..300, 2..6),
        ) {
            let mut rebalance = Rebalance::new(SETTINGS);
            let mut closed: Vec<(u64, u32)> = Vec::new();
            for second in (0..7200).step_by(5) {
                let loads: Vec<_> =
                    (0..).zip(&sessions).map(|(slot, n)| load(slot, *n)).collect();
                let now = Time::from_millis(second * 1000);
                let Some(close) = rebalance.decide(&loads, now) else { continue };
                closed.push((second, close.sessions));
                let recent = closed.iter().filter(|(at, _)| at + 60 > second);
                prop_assert!(recent.map(|(_, n)| n).sum::<u32>() <= SETTINGS.per_minute);
                sessions[close.slot as usize] -= close.sessions;
                // They come back, to the emptiest.
                let emptiest = sessions.iter_mut().min().unwrap();
                *emptiest += close.sessions;
            }
            let mean = sessions.iter().sum::<u32>() / sessions.len() as u32;
            let most = *sessions.iter().max().unwrap();
            prop_assert!(most <= (mean * 13 / 10).max(mean + 2), "{sessions:?}");
        }
    }
}
