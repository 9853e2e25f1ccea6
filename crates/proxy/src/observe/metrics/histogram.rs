//! Counters and histograms of one writer: plain arrays, no lock, no read-modify-write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only its owner adds to; anybody reads it.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds `n`. A load and a store: with one writer nothing gets lost between them.
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Makes it `n`.
    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bounds of a histogram below the one of all.
pub(crate) const BOUNDS: usize = 14;

/// The upper bounds of a histogram's buckets, in microseconds.
#[derive(Debug)]
pub(crate) struct Scale(pub(crate) [u64; BOUNDS]);

/// Dials, preambles, first bytes: 0.5 ms to 10 s.
pub(crate) static ANSWERS: Scale = Scale([
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
]);
/// Round trips: 50 µs to 1 s.
pub(crate) static ROUND_TRIPS: Scale = Scale([
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
]);
/// Sessions: 10 ms to a week.
pub(crate) static SESSIONS: Scale = Scale([
    10_000,
    50_000,
    250_000,
    1_000_000,
    5_000_000,
    15_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
    3_600_000_000,
    14_400_000_000,
    43_200_000_000,
    86_400_000_000,
    604_800_000_000,
]);

/// Counts durations by size.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [Counter; BOUNDS],
    /// Beyond the last bound.
    rest: Counter,
    microseconds: Counter,
}

impl Histogram {
    /// Counts one; the last bucket takes what is beyond all bounds.
    pub(crate) fn record(&self, scale: &Scale, duration: Duration) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let buckets = self.buckets.iter().zip(&scale.0);
        let fits = buckets.into_iter().find(|(_, bound)| microseconds <= **bound);
        fits.map_or(&self.rest, |(bucket, _)| bucket).add(1);
        self.microseconds.add(microseconds);
    }
}

/// The sum of the histograms of all workers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Summed {
    pub(crate) buckets: [u64; BOUNDS],
    pub(crate) count: u64,
    pub(crate) microseconds: u64,
}

impl Summed {
    pub(crate) fn add(&mut self, histogram: &Histogram) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.get();
        }
        self.count += histogram.rest.get();
        self.count += histogram.buckets.iter().map(Counter::get).sum::<u64>();
        self.microseconds = self.microseconds.wrapping_add(histogram.microseconds.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_the_rest_counts() {
        let histogram = Histogram::default();
        for microseconds in [0, 50, 51, 1_000_000, 1_000_001, 90_000_000] {
            histogram.record(&ROUND_TRIPS, Duration::from_micros(microseconds));
        }
        let mut summed = Summed::default();
        summed.add(&histogram);
        summed.add(&histogram);
        assert_eq!(summed.buckets[..3], [4, 2, 0]);
        assert_eq!((summed.buckets[BOUNDS - 1], summed.count), (2, 12));
        assert_eq!(summed.microseconds, 2 * (50 + 51 + 1_000_000 + 1_000_001 + 90_000_000));
    }

    #[test]
    fn bounds_grow() {
        for scale in [&ANSWERS, &ROUND_TRIPS, &SESSIONS] {
            assert!(scale.0.is_sorted_by(|a, b| a < b));
        }
    }
}
