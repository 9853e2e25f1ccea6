//! Time as an argument: nothing in this crate reads a clock.

use std::ops::Add;
use std::time::Duration;

/// A moment, counted from the start of the program on a clock that never steps
/// (`CLOCK_MONOTONIC`): a stepped wall clock is no evidence of anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The start of the program.
    pub const START: Self = Self(Duration::ZERO);

    /// The moment that is `after_start` after the start of the program.
    #[must_use]
    pub const fn after_start(after_start: Duration) -> Self {
        Self(after_start)
    }

    /// The moment that is so many milliseconds after the start of the program.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// Time since the start of the program.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// Time from `earlier` to this moment; zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}
