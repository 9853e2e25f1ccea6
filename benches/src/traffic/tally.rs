//! What a traffic process counts between two marks.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Errors after which nothing is tried again: the run is lost, and a refused connection would
/// otherwise be repeated as fast as the processor can.
const ERRORS_MAX: u64 = 1000;

/// The longest latency told apart, one minute in nanoseconds; longer ones count as this.
const LATENCY_MAX: u64 = 60_000_000_000;

/// Counts since the last mark.
pub struct Tally {
    since: Instant,
    count: u64,
    errors: u64,
    errors_ever: u64,
    first_error: Option<String>,
    open: u64,
    latency: Histogram<u64>,
    /// Operations that are left to do; `None`: there is no end to them.
    left: Option<u64>,
}

/// Latencies between two marks, in microseconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Latency {
    /// Half were at most this.
    pub p50: f64,
    /// 99 of 100 were at most this.
    pub p99: f64,
    /// 999 of 1000 were at most this.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// What happened between two marks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Report {
    /// The time between the marks.
    pub seconds: f64,
    /// Bytes received, or operations completed.
    pub count: u64,
    /// Connections that ended as they should not.
    pub errors: u64,
    /// What the first of them was.
    pub first_error: Option<String>,
    /// Connections open now.
    pub open: u64,
    /// Absent where nothing was timed.
    pub latency: Option<Latency>,
}

impl Tally {
    /// All zero, from now; `left` operations are to be done, or as many as there is time for.
    ///
    /// # Panics
    /// Never: the histogram's bounds are constants that it accepts.
    #[must_use]
    pub fn new(left: Option<u64>) -> Self {
        #[allow(clippy::expect_used, reason = "the bounds are constants that it accepts")]
        let latency = Histogram::new_with_max(LATENCY_MAX, 3).expect("constant bounds");
        Self {
            since: Instant::now(),
            count: 0,
            errors: 0,
            errors_ever: 0,
            first_error: None,
            open: 0,
            latency,
            left,
        }
    }

    /// `amount` bytes or operations more.
    pub fn add(&mut self, amount: u64) {
        self.count += amount;
    }

    /// One operation more, begun at `start`.
    pub fn add_timed(&mut self, start: Instant, end: Instant) {
        self.count += 1;
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.wait_timed(start, end);
    }

    /// Whether all that was to be done is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// An operation that has waited since `start` and is not over.
    pub fn wait_timed(&mut self, start: Instant, end: Instant) {
        let nanoseconds = end.saturating_duration_since(start).as_nanos();
        self.latency.saturating_record(u64::try_from(nanoseconds).unwrap_or(LATENCY_MAX));
    }

    /// A connection more or less.
    pub fn set_open(&mut self, open: usize) {
        self.open = open as u64;
    }

    /// A connection ended as it should not.
    pub fn fail(&mut self, what: impl Into<String>) {
        self.errors += 1;
        self.errors_ever += 1;
        if self.first_error.is_none() {
            self.first_error = Some(what.into());
        }
    }

    /// Whether there were so many errors that trying again makes no sense.
    #[must_use]
    pub fn hopeless(&self) -> bool {
        self.errors_ever >= ERRORS_MAX
    }

    /// What happened since the last mark; counting begins anew.
    pub fn mark(&mut self) -> Report {
        let now = Instant::now();
        let report = Report {
            seconds: now.saturating_duration_since(self.since).as_secs_f64(),
            count: self.count,
            errors: self.errors,
            first_error: self.first_error.take(),
            open: self.open,
            latency: (!self.latency.is_empty()).then(|| self.latencies()),
        };
        self.since = now;
        self.count = 0;
        self.errors = 0;
        self.latency.reset();
        report
    }

    fn latencies(&self) -> Latency {
        let microseconds = |nanoseconds: u64| Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6;
        let quantile = |q| microseconds(self.latency.value_at_quantile(q));
        Latency {
            p50: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: microseconds(self.latency.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reports_and_begins_anew() {
        let mut tally = Tally::new(None);
        let start = Instant::now();
        for milliseconds in 1..=100 {
            tally.add_timed(start, start + Duration::from_millis(milliseconds));
        }
        tally.fail("reset");
        tally.fail("refused");
        let report = tally.mark();
        assert_eq!((report.count, report.errors), (100, 2));
        assert_eq!(report.first_error.as_deref(), Some("reset"));
        let latency = report.latency.expect("some were timed");
        assert!((latency.p50 / 50_000.0 - 1.0).abs() < 0.01, "{latency:?}");
        assert!((latency.p99 / 99_000.0 - 1.0).abs() < 0.01, "{latency:?}");
        let second = tally.mark();
        assert_eq!((second.count, second.errors), (0, 0));
        assert!(second.latency.is_none() && second.first_error.is_none());
    }

    #[test]
    fn what_is_to_be_done_has_an_end() {
        let mut tally = Tally::new(Some(2));
        let now = Instant::now();
        tally.add_timed(now, now);
        tally.wait_timed(now, now);
        assert!(!tally.is_done());
        tally.mark();
        tally.add_timed(now, now);
        assert!(tally.is_done() && !Tally::new(None).is_done());
    }

    #[test]
    fn errors_are_hopeless_at_some_point_across_marks() {
        let mut tally = Tally::new(None);
        for _ in 0..ERRORS_MAX {
            assert!(!tally.hopeless());
            tally.fail("refused");
            tally.mark();
        }
        assert!(tally.hopeless());
    }
}
