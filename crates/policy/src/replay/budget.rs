//! The replay clock and the budget of a pool.

use super::Percentile;
use crate::budget::Budget;
use crate::time::Time;
use std::fmt;
use std::time::Duration;

/// The numbers of first-flight replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The clock is so many times the 99th percentile of the pool's first bytes.
    pub times_p99: u32,
    /// The clock is never shorter.
    pub at_least: Duration,
    /// The clock is never longer; also while too little is known.
    pub at_most: Duration,
    /// Replays in percent of the new sessions within `window`.
    pub percent: u32,
    /// So many replays within `window` are allowed in any case.
    pub floor: u32,
    /// The time over which the budget counts.
    pub window: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            times_p99: 4,
            at_least: Duration::from_millis(500),
            at_most: Duration::from_secs(1),
            percent: 10,
            floor: 5,
            window: Duration::from_secs(10),
        }
    }
}

/// Why a replay is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The budget of the pool is spent.
    Budget,
    /// More than half of the endpoints are late: the pool is slow, nobody is frozen.
    PoolIsSlow,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Budget => "the pool's replay budget is spent",
            Self::PoolIsSlow => "more than half of the endpoints are late: the pool is slow",
        })
    }
}

/// Counters for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Replays begun.
    pub replays: u64,
    /// Won by the endpoint that was dialled first.
    pub won_by_first: u64,
    /// Won by the second.
    pub won_by_second: u64,
    /// Refused: budget.
    pub refused_budget: u64,
    /// Refused: the pool is slow.
    pub refused_slow: u64,
}

/// The replays of one pool as one worker sees them: it needs no lock.
#[derive(Clone, Debug)]
pub struct Replay {
    settings: Settings,
    first_bytes: Percentile,
    budget: Budget,
    /// Per slot: the last time it was late, and the last time it was not.
    lateness: Vec<(Option<Time>, Option<Time>)>,
    counters: Counters,
}

impl Replay {
    /// For a pool of so many endpoints, on one of so many workers (they share the floor of the
    /// budget; each keeps one replay in any case).
    #[must_use]
    pub fn new(settings: Settings, endpoints: usize, workers: u32) -> Self {
        let floor = (settings.floor / workers.max(1)).max(1);
        Self {
            settings: Settings { floor, ..settings },
            first_bytes: Percentile::default(),
            budget: Budget::new(settings.percent, floor, settings.window),
            lateness: vec![(None, None); endpoints],
            counters: Counters::default(),
        }
    }

    /// The endpoints of the pool changed.
    pub fn set_endpoints(&mut self, endpoints: usize) {
        self.lateness.clear();
        self.lateness.resize(endpoints, (None, None));
    }

    /// How long to wait for the first byte once the whole hello is written.
    pub fn clock(&mut self, now: Time) -> Duration {
        let Settings { times_p99, at_least, at_most, .. } = self.settings;
        self.first_bytes
            .p99(now)
            .map_or(at_most, |p99| p99.saturating_mul(times_p99).clamp(at_least, at_most))
    }

    /// After how long without a first byte the endpoint is worth a question: two fifths of the clock,
    /// and so at least 1.6 × the pool's p99 where that is known.
    pub fn hint(&mut self, now: Time) -> Duration {
        self.clock(now) * 2 / 5
    }

    /// A new session began.
    pub fn session(&mut self, now: Time) {
        self.budget.earn(now);
    }

    /// An endpoint's first byte came, so long after the hello was written.
    pub fn first_byte(&mut self, slot: u32, took: Duration, now: Time) {
        self.first_bytes.record(took, now);
        let clock = self.clock(now);
        if let Some((late, prompt)) = self.lateness.get_mut(slot as usize) {
            let which = if took < clock { prompt } else { late };
            *which = Some(now);
        }
    }

    /// An endpoint has not answered within the clock: whether the flight may be replayed. If so,
    /// it counts as replayed.
    ///
    /// # Errors
    /// Why not; counted.
    pub fn begin(&mut self, slot: u32, now: Time) -> Result<(), Refusal> {
        if let Some((late, _)) = self.lateness.get_mut(slot as usize) {
            *late = Some(now);
        }
        if self.late_endpoints(now) * 2 > self.lateness.len() {
            self.counters.refused_slow += 1;
            return Err(Refusal::PoolIsSlow);
        }
        if !self.budget.spend(now) {
            self.counters.refused_budget += 1;
            return Err(Refusal::Budget);
        }
        self.counters.replays += 1;
        Ok(())
    }

    /// A replay was won.
    pub fn won(&mut self, by_second: bool) {
        let counter = if by_second {
            &mut self.counters.won_by_second
        } else {
            &mut self.counters.won_by_first
        };
        *counter += 1;
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Endpoints that were late within the window and not prompt since.
    fn late_endpoints(&self, now: Time) -> usize {
        let is_late = |(late, prompt): &&(Option<Time>, Option<Time>)| {
            late.is_some_and(|at| now.since(at) < self.settings.window && *late > *prompt)
        };
        self.lateness.iter().filter(is_late).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Time {
        Time::from_millis(milliseconds)
    }

    #[test]
    fn the_clock_is_clamped() {
        let mut replay = Replay::new(Settings::default(), 3, 1);
        assert_eq!(replay.clock(at(0)), Duration::from_secs(1), "nothing is known");
        for _ in 0..100 {
            replay.first_byte(0, Duration::from_millis(10), at(0));
        }
        assert_eq!(replay.clock(at(0)), Duration::from_millis(500));
        for _ in 0..100 {
            replay.first_byte(0, Duration::from_millis(180), at(0));
        }
        let clock = replay.clock(at(0));
        assert!((720..820).contains(&clock.as_millis()), "{clock:?}");
        for _ in 0..100 {
            replay.first_byte(0, Duration::from_millis(800), at(0));
        }
        assert_eq!(replay.clock(at(0)), Duration::from_secs(1));
    }

    #[test]
    fn the_budget_is_a_tenth_and_five_at_least() {
        let mut replay = Replay::new(Settings::default(), 3, 1);
        let begun =
            |replay: &mut Replay, now| (0..100).filter(|_| replay.begin(0, now).is_ok()).count();
        assert_eq!(begun(&mut replay, at(0)), 5);
        for _ in 0..200 {
            replay.session(at(1000));
        }
        assert_eq!(begun(&mut replay, at(1000)), 15);
        assert_eq!(replay.begin(0, at(9000)), Err(Refusal::Budget));
        assert_eq!(begun(&mut replay, at(20_000)), 5);
        let counters = replay.counters();
        assert_eq!((counters.replays, counters.refused_budget), (25, 276));
    }

    #[test]
    fn a_pool_that_is_slow_as_a_whole_replays_nothing() {
        let mut replay = Replay::new(Settings::default(), 3, 1);
        assert_eq!(replay.begin(0, at(0)), Ok(()));
        assert_eq!(replay.begin(1, at(0)), Err(Refusal::PoolIsSlow));
        replay.first_byte(0, Duration::from_millis(20), at(100));
        assert_eq!(replay.begin(1, at(200)), Ok(()));
        assert_eq!(replay.begin(2, at(11_000)), Ok(()), "the others were late long ago");
    }

    #[test]
    fn workers_share_the_floor() {
        let begun = |workers| {
            let mut replay = Replay::new(Settings::default(), 3, workers);
            (0..100).filter(|_| replay.begin(0, at(0)).is_ok()).count()
        };
        assert_eq!((begun(2), begun(8)), (2, 1));
    }
}
