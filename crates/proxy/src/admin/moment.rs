//! Moments of the wall clock, to the second, as RFC 3339 writes them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second that RFC 3339 can write: the end of the year 9999.
const LAST: u64 = 253_402_300_799;

/// A moment of the wall clock, in seconds since 1970 (UTC). Written `2026-11-25T05:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// So many seconds after the beginning of 1970, UTC.
    pub(crate) const fn from_unix(seconds: u64) -> Self {
        Self(if seconds > LAST { LAST } else { seconds })
    }

    /// Now, by the wall clock.
    pub(crate) fn now() -> Self {
        SystemTime::now().into()
    }

    /// The moment that is `duration` later.
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self::from_unix(self.0.saturating_add(duration.as_secs()))
    }

    /// The moment that was `duration` ago then.
    pub(crate) fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_secs()))
    }

    /// Time from `earlier` to this moment; zero where `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        Self::from_unix(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }
}

impl From<Moment> for SystemTime {
    fn from(moment: Moment) -> Self {
        UNIX_EPOCH + Duration::from_secs(moment.0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = UNIX_EPOCH + Duration::from_secs(self.0);
        humantime::format_rfc3339_seconds(time).fmt(f)
    }
}

impl std::str::FromStr for Moment {
    type Err = humantime::TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_rfc3339(text).map(Self::from)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: humantime::TimestampError| {
            D::Error::custom(format!("`{}` is no moment: {error}", text.escape_debug()))
        })
    }
}

/// A length of time in two of its units: `3 d 4 h`, `12 min`, `5 s`.
pub(crate) fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {small_unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) if minutes < 10 => two(minutes, "min", rest, "s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => two(hours, "h", minutes, "min"),
        _ if days < 10 => two(days, "d", hours, "h"),
        _ => format!("{days} d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_and_read_back() {
        for seconds in [0, 1_795_582_800, LAST, u64::MAX] {
            let moment = Moment::from_unix(seconds);
            let text = serde_json::to_string(&moment).unwrap();
            assert_eq!(serde_json::from_str::<Moment>(&text).unwrap(), moment, "{text}");
        }
        assert_eq!(Moment::from_unix(1_795_582_800).to_string(), "2026-11-25T05:00:00Z");
        assert_eq!(
            Moment::from_unix(u64::MAX).after(Duration::MAX).to_string(),
            "9999-12-31T23:59:59Z"
        );
        assert!(serde_json::from_str::<Moment>("\"soon\"").is_err());
        // Before 1970: a clock that was never set.
        assert_eq!(Moment::from(UNIX_EPOCH - Duration::from_secs(9)), Moment::from_unix(0));
    }

    #[test]
    fn lengths_are_told_in_two_units() {
        let words = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!(words(0), "0 s");
        assert_eq!(words(65), "1 min 5 s");
        assert_eq!(words(600), "10 min");
        assert_eq!(words(7_260), "2 h 1 min");
        assert_eq!(words(7_200), "2 h");
        assert_eq!(words(90_000), "1 d 1 h");
        assert_eq!(words(86_400 * 20 + 7_200), "20 d");
    }
}
