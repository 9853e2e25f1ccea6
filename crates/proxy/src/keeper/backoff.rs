//! When an engine that ended is started again.

use std::time::Duration;

/// Engines that had been ready and ended within [`HEALTH`] of each other are started again at once
/// up to this many times: whoever waits in the accept queues gains nothing by a pause.
const AT_ONCE: u32 = 10;
/// The first pause; it doubles.
const FIRST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(5);
/// An engine that was ready for this long was well.
const HEALTH: Duration = Duration::from_secs(60);

/// Ends in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    at_once: u32,
    pauses: u32,
}

impl Backoff {
    /// How long to wait after an engine has ended that had been ready for `ready`; `None`: it never
    /// was.
    pub(super) fn after(&mut self, ready: Option<Duration>) -> Duration {
        if ready.is_some_and(|ready| ready >= HEALTH) {
            *self = Self::default();
        }
        if ready.is_some() && self.at_once < AT_ONCE {
            self.at_once += 1;
            return Duration::ZERO;
        }
        let pause = FIRST.saturating_mul(1 << self.pauses.min(16)).min(LONGEST);
        self.pauses += 1;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_answered_at_once_a_loop_is_slowed_down() {
        let mut backoff = Backoff::default();
        let short = Some(Duration::from_secs(1));
        for _ in 0..AT_ONCE {
            assert_eq!(backoff.after(short), Duration::ZERO);
        }
        let pauses: Vec<_> = (0..8).map(|_| backoff.after(short).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.after(Some(HEALTH)), Duration::ZERO, "it was well for a minute");
        assert_eq!(backoff.after(None), FIRST, "one that never was ready waits at once");
    }
}
