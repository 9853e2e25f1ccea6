//! A small estimator of a high percentile over the last minute or so.

use crate::time::Time;
use std::time::Duration;

/// Buckets per doubling of time: an estimate is at most an eighth too high.
const PER_OCTAVE: u32 = 8;
/// The smallest time told apart, in microseconds.
const SMALLEST: u64 = 256;
/// Up to 256 µs × 2^16, which is 16 s; longer counts as that.
const BUCKETS: usize = 16 * PER_OCTAVE as usize;
/// Two halves of this length are kept: what is older than two of them is forgotten.
const HALF: Duration = Duration::from_secs(30);
/// Fewer samples say nothing.
const ENOUGH: u32 = 20;

/// Counts durations, tells their 99th percentile.
#[derive(Clone, Debug)]
pub struct Percentile {
    current: [u32; BUCKETS],
    last: [u32; BUCKETS],
    began: Time,
}

impl Default for Percentile {
    fn default() -> Self {
        Self { current: [0; BUCKETS], last: [0; BUCKETS], began: Time::START }
    }
}

impl Percentile {
    /// Takes in a sample.
    pub fn record(&mut self, sample: Duration, now: Time) {
        self.turn(now);
        self.current[bucket(sample)] = self.current[bucket(sample)].saturating_add(1);
    }

    /// The 99th percentile (an eighth too high at most), or `None` with fewer than 20 samples.
    pub fn p99(&mut self, now: Time) -> Option<Duration> {
        self.turn(now);
        let counts = || self.current.iter().zip(&self.last).map(|(a, b)| a.saturating_add(*b));
        let all: u32 = counts().fold(0, u32::saturating_add);
        if all < ENOUGH {
            return None;
        }
        let mut above = all / 100;
        for (index, count) in counts().enumerate().rev() {
            if count > above {
                return Some(upper_end(index));
            }
            above -= count;
        }
        None
    }

    fn turn(&mut self, now: Time) {
        let passed = now.since(self.began);
        if passed < HALF {
            return;
        }
        let recent = passed < HALF * 2;
        self.last = if recent { self.current } else { [0; BUCKETS] };
        self.current = [0; BUCKETS];
        self.began = now;
    }
}

/// The bucket of a duration: octave, and eighth within it.
fn bucket(sample: Duration) -> usize {
    let micros = u64::try_from(sample.as_micros()).unwrap_or(u64::MAX).max(SMALLEST);
    let octave = micros.ilog2() - SMALLEST.ilog2();
    let eighth = (micros >> (micros.ilog2() - PER_OCTAVE.ilog2())) as u32 - PER_OCTAVE;
    ((octave * PER_OCTAVE + eighth) as usize).min(BUCKETS - 1)
}

fn upper_end(bucket: usize) -> Duration {
    let bucket = bucket as u64 + 1;
    let (octave, eighth) = (bucket / u64::from(PER_OCTAVE), bucket % u64::from(PER_OCTAVE));
    Duration::from_micros(
        (SMALLEST << octave) * (u64::from(PER_OCTAVE) + eighth) / u64::from(PER_OCTAVE),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_never_too_low_and_an_eighth_too_high_at_most(
            mut samples in prop::collection::vec(300_u64..10_000_000, 20..300),
        ) {
            let mut percentile = Percentile::default();
            for micros in &samples {
                percentile.record(Duration::from_micros(*micros), Time::START);
            }
            samples.sort_unstable();
            let true_p99 = samples[samples.len() - 1 - samples.len() / 100];
            let got = percentile.p99(Time::START).unwrap().as_micros() as u64;
            prop_assert!(got >= true_p99, "{got} {true_p99}");
            prop_assert!(got <= true_p99 * 9 / 8 + 1, "{got} {true_p99}");
        }
    }

    #[test]
    fn old_samples_are_forgotten() {
        let mut percentile = Percentile::default();
        assert_eq!(percentile.p99(Time::START), None);
        for _ in 0..100 {
            percentile.record(Duration::from_secs(1), Time::from_millis(1000));
        }
        assert!(percentile.p99(Time::from_millis(40_000)).is_some());
        assert_eq!(percentile.p99(Time::from_millis(100_000)), None);
    }
}
