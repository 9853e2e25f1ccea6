//! Heartbeats of the workers: each writes the time at every tick (250 ms). One that is stuck, in a
//! loop or in a system call that does not return, writes no more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A worker without a heartbeat for so long is stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(2);

/// When each worker last showed that it runs.
#[derive(Debug)]
pub struct Heartbeats {
    began: Instant,
    beats: Box<[Beat]>,
}

/// Milliseconds since the engine began.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Beat(AtomicU64);

impl Heartbeats {
    /// Of so many workers, who count as having shown a sign now.
    pub(crate) fn new(workers: usize) -> Self {
        Self { began: Instant::now(), beats: (0..workers).map(|_| Beat::default()).collect() }
    }

    /// The worker runs.
    pub(crate) fn beat(&self, worker: usize) {
        if let Some(beat) = self.beats.get(worker) {
            beat.0.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Time since the worker last showed that it runs, at most; `None`: there is no such worker.
    #[must_use]
    pub fn age(&self, worker: usize) -> Option<Duration> {
        let beat = self.beats.get(worker)?.0.load(Ordering::Relaxed);
        Some(Duration::from_millis(self.now().saturating_sub(beat)))
    }

    /// The ages of all, in the order of the workers.
    pub fn ages(&self) -> impl Iterator<Item = Duration> {
        (0..self.beats.len()).filter_map(|worker| self.age(worker))
    }

    /// The workers whose last sign is older than `age`.
    pub fn older_than(&self, age: Duration) -> impl Iterator<Item = usize> {
        let ages = self.ages().enumerate();
        ages.filter(move |(_, of)| *of > age).map(|(worker, _)| worker)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_without_a_beat_grows_old() {
        let heartbeats =
            Heartbeats { began: Instant::now() - Duration::from_secs(5), ..Heartbeats::new(2) };
        heartbeats.beat(1);
        assert!(heartbeats.age(0).unwrap() >= Duration::from_secs(5));
        assert!(heartbeats.age(1).unwrap() < Duration::from_secs(1));
        assert_eq!(heartbeats.older_than(STUCK).collect::<Vec<_>>(), [0]);
        assert_eq!(heartbeats.age(2), None);
    }
}
