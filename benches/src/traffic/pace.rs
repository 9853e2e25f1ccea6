//! When operations begin. In a closed loop each follows the one before, so that a slow candidate is
//! asked less and its worst moments are asked about least (coordinated omission). In an open loop each
//! has its time, whatever became of the others, and its latency runs from that time on.

use super::tally::Tally;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Times at a fixed distance.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    begin: Instant,
    /// Seconds from one to the next.
    interval: f64,
    /// Those that were taken.
    taken: u64,
}

impl Schedule {
    #[allow(clippy::cast_precision_loss)]
    fn next(&self) -> Instant {
        self.begin + Duration::from_secs_f64(self.interval * self.taken as f64)
    }
}

/// Which lane is free, and when the next operation is due.
#[derive(Debug)]
pub struct Pace {
    /// Seconds from one operation to the next; `None`: closed loops.
    interval: Option<f64>,
    /// From when on: once all lanes have been free, so that nobody has to make up for the time that
    /// their connections took.
    schedule: Option<Schedule>,
    lanes: usize,
    free: VecDeque<usize>,
}

impl Pace {
    /// An open loop with `rate` operations a second on so many lanes, or closed ones.
    #[must_use]
    pub fn new(rate: Option<f64>, lanes: usize) -> Self {
        let interval = rate.map(|rate| 1.0 / rate);
        Self { interval, schedule: None, lanes, free: VecDeque::new() }
    }

    /// Whether operations have times of their own.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.interval.is_some()
    }

    /// A lane has nothing to do.
    pub fn free(&mut self, lane: usize) {
        let Some(interval) = self.interval else { return };
        self.free.push_back(lane);
        if self.schedule.is_none() && self.free.len() >= self.lanes {
            self.schedule = Some(Schedule { begin: Instant::now(), interval, taken: 0 });
        }
    }

    /// A free lane and the time at which its operation should have begun, if one is due. What finds
    /// no lane waits for one, and its time counts all the same.
    pub fn take(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let schedule = self.schedule.as_mut()?;
        let due = schedule.next();
        if due > now {
            return None;
        }
        let lane = self.free.pop_front()?;
        schedule.taken += 1;
        Some((lane, due))
    }

    /// Gives back what [`Self::take`] gave for a lane that turned out not to be free.
    pub fn untake(&mut self) {
        if let Some(schedule) = &mut self.schedule {
            schedule.taken -= 1;
        }
    }

    /// How long until the next operation is due; `None` in closed loops, and while no lane is free:
    /// then only an event can change anything.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let schedule = self.schedule.filter(|_| !self.free.is_empty())?;
        Some(schedule.next().saturating_duration_since(now))
    }

    /// Operations that should have begun and have not: the oldest are long overdue when a candidate
    /// does not keep up. They count with the time that they have waited.
    pub fn overdue(&self, tally: &mut Tally, now: Instant) {
        let Some(mut schedule) = self.schedule else { return };
        while schedule.next() < now {
            tally.wait_timed(schedule.next(), now);
            schedule.taken += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_keep_their_times_when_lanes_are_late() {
        let mut pace = Pace::new(Some(100.0), 2);
        pace.free(6);
        let now = Instant::now();
        assert_eq!((pace.take(now), pace.wait(now)), (None, None), "a lane is not there yet");
        pace.free(7);
        let begin = pace.schedule.expect("both are there").begin;
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        assert_eq!(pace.take(at(0)), Some((6, at(0))));
        pace.free.clear();
        pace.schedule.iter_mut().for_each(|schedule| schedule.taken = 0);
        assert_eq!((pace.take(at(0)), pace.wait(at(0))), (None, None));
        pace.free(7);
        assert_eq!(pace.take(at(0)), Some((7, at(0))));
        // The lane comes back after 35 ms: what was due at 10 ms counts from then.
        pace.free(7);
        assert_eq!(pace.take(at(35)), Some((7, at(10))));
        assert_eq!(pace.take(at(35)), None);
        let mut tally = Tally::new(None);
        pace.overdue(&mut tally, at(35));
        let report = tally.mark();
        let latency = report.latency.expect("two are overdue");
        assert!((latency.max / 15_000.0 - 1.0).abs() < 0.01, "{latency:?}");
        assert_eq!(report.count, 0, "they are not over");
        pace.free(8);
        assert_eq!(pace.take(at(35)), Some((8, at(20))));
        pace.untake();
        pace.free(8);
        assert_eq!(pace.take(at(35)), Some((8, at(20))));
        pace.free(8);
        assert_eq!(pace.take(at(35)), Some((8, at(30))));
        pace.free(8);
        assert_eq!(pace.wait(at(35)), Some(Duration::from_millis(5)));
    }

    #[test]
    fn closed_loops_have_no_times() {
        let mut pace = Pace::new(None, 1);
        pace.free(1);
        let now = Instant::now();
        assert!(!pace.is_open() && pace.take(now).is_none() && pace.wait(now).is_none());
    }
}
