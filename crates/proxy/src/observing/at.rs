//! Moments of an observation, and how they are told.

use crate::admin::in_words;
use eclusa_policy::time::Time;
use std::time::{Duration, SystemTime};

/// A moment, in milliseconds since the observation began; those before it are negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At(pub(super) i64);

impl From<Time> for At {
    fn from(time: Time) -> Self {
        Self::default().after(time.since_start())
    }
}

impl At {
    /// Time from `earlier` to this moment; zero where `earlier` is later.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    pub(super) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(duration)))
    }

    pub(super) fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(milliseconds(duration)))
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A stretch of time in which something happened, nobody knows when exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: At,
    pub(super) to: At,
}

impl Window {
    /// Of something whose moment is known.
    pub(super) fn exact(at: At) -> Self {
        Self { from: at, to: at }
    }

    /// The moment that is told of it.
    pub(super) fn middle(self) -> At {
        At(self.from.0.midpoint(self.to.0))
    }

    /// No earlier than `from`, no later than `to`.
    pub(super) fn within(self, from: At, to: At) -> Self {
        let end = self.to.min(to);
        Self { from: self.from.max(from).min(end), to: end }
    }
}

/// The wall clock, by which moments are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// When the observation began.
    began: SystemTime,
}

impl Clock {
    /// As it stands at the moment `now`.
    pub(super) fn at(now: At) -> Self {
        Self::since(SystemTime::now(), now)
    }

    /// The same, or this one where it goes on well: a moment is told the same twice.
    pub(super) fn again(self, now: At) -> Self {
        const STEP: Duration = Duration::from_millis(50);
        let fresh = Self::at(now);
        let ahead = fresh.began.duration_since(self.began);
        let step = ahead.unwrap_or_else(|error| error.duration());
        if step < STEP { self } else { fresh }
    }

    fn since(wall: SystemTime, now: At) -> Self {
        let began = wall.checked_sub(now.since(At::default()));
        Self { began: began.unwrap_or(SystemTime::UNIX_EPOCH) }
    }

    /// A moment as RFC 3339 has it, in UTC, to the millisecond.
    pub(super) fn tell(self, at: At) -> String {
        let start = At::default();
        let moment = match at >= start {
            true => self.began.checked_add(at.since(start)),
            false => self.began.checked_sub(start.since(at)),
        };
        // RFC 3339 has no years before 1970 here, nor after 9999.
        let moment = moment.filter(|moment| *moment >= SystemTime::UNIX_EPOCH);
        moment.map_or_else(
            || "long ago".to_owned(),
            |moment| humantime::format_rfc3339_millis(moment).to_string(),
        )
    }
}

/// A length of time: to the millisecond below a second, to a tenth of a second below a minute.
pub(super) fn span(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        _ => in_words(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_before_and_after_the_beginning_are_told() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_582_800);
        let clock = Clock::since(wall, At(10_000));
        assert_eq!(clock.tell(At(10_000)), "2026-11-25T05:00:00.000Z");
        assert_eq!(clock.tell(At(-1_500)), "2026-11-25T04:59:48.500Z");
        assert_eq!(clock.tell(At(i64::MIN)), "long ago");
    }

    #[test]
    fn windows_are_cut() {
        let window = Window { from: At(-5), to: At(30) };
        assert_eq!(window.within(At(10), At(20)), Window { from: At(10), to: At(20) });
        assert_eq!(window.within(At(10), At(20)).middle(), At(15));
        // What contradicts itself is one moment.
        assert_eq!(window.within(At(50), At(20)), Window::exact(At(20)));
    }

    #[test]
    fn lengths_are_as_exact_as_they_are_short() {
        assert_eq!(span(Duration::from_millis(812)), "812 ms");
        assert_eq!(span(Duration::from_millis(1_840)), "1.8 s");
        assert_eq!(span(Duration::from_secs(65)), "1 min 5 s");
    }
}
