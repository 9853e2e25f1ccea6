//! The time of day where this host is (localtime(3)).

use std::mem::MaybeUninit;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment as a clock on the wall and a calendar show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// The year.
    pub year: i32,
    /// The month, from 0 for January.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
    /// The hour, from 0.
    pub hour: u8,
    /// The minute.
    pub minute: u8,
    /// The second; 60 for a leap second.
    pub second: u8,
    /// The thousandth of the second.
    pub millisecond: u16,
}

impl LocalTime {
    /// The moment in the zone of this host; the first second of 1970 for one before it.
    #[must_use]
    pub fn of(moment: SystemTime) -> Self {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = libc::time_t::try_from(since.as_secs()).unwrap_or(0);
        let mut broken_down = MaybeUninit::<libc::tm>::zeroed();
        // SAFETY: both pointers are valid for the call, which reads the one and writes the other.
        // On failure (a year beyond `i32`) nothing is written; all zeroes are a valid `tm`.
        let tm = unsafe {
            libc::localtime_r(&raw const seconds, broken_down.as_mut_ptr());
            broken_down.assume_init()
        };
        let small = |field: i32| u8::try_from(field).unwrap_or(0);
        Self {
            year: tm.tm_year.saturating_add(1900),
            month: small(tm.tm_mon).min(11),
            day: small(tm.tm_mday),
            hour: small(tm.tm_hour),
            minute: small(tm.tm_min),
            second: small(tm.tm_sec),
            millisecond: u16::try_from(since.subsec_millis()).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn it_is_what_date_says() {
        for seconds in [0, 951_782_400, 1_235_909_571, 1_719_835_200, 4_102_444_799] {
            let moment = UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 42);
            let date = Command::new("date")
                .args(["-d", &format!("@{seconds}"), "+%Y %-m %-d %-H %-M %-S"])
                .output()
                .unwrap();
            let time = LocalTime::of(moment);
            let (month, millisecond) = (time.month + 1, time.millisecond);
            let LocalTime { year, day, hour, minute, second, .. } = time;
            let shown = format!("{year} {month} {day} {hour} {minute} {second}\n");
            assert_eq!(shown.as_bytes(), date.stdout, "{seconds}");
            assert_eq!(millisecond, 42);
        }
    }
}
