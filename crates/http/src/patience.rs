//! Waiting for peers, within limits.

use crate::scratch::with_scratch;
use crate::stream::Stream;

use eclusa_proxy::layer7::now;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

/// How often the kernel is asked what a peer has taken.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How far something is that has not come to its end, and how long it may stay there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Grows with every byte that counts as a step forward.
    pub(crate) moved: u64,
    /// How long it may stand still from then on.
    pub(crate) patience: Duration,
}

/// A mark, and how much of it somebody who is waited for must do in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    mark: Mark,
    floor: Option<Floor>,
}

/// What was done, and how much of it a second is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Floor {
    done: u64,
    rate: NonZeroU64,
}

impl Mark {
    /// With a floor: of `done` there must be `rate` a second, or whoever does it falls behind, and by the
    /// mark's patience at most. A byte now and then is then no step forward that counts.
    pub(crate) fn at_least(self, rate: Option<NonZeroU64>, done: u64) -> Pace {
        Pace { mark: self, floor: rate.map(|rate| Floor { done, rate }) }
    }
}

impl From<Mark> for Pace {
    fn from(mark: Mark) -> Self {
        Self { mark, floor: None }
    }
}

/// When whoever is waited for is out of time.
struct Deadline {
    last: Option<Pace>,
    /// The last step forward.
    since: Instant,
    /// When what was done so far is used up, where there is a floor.
    until: Instant,
}

impl Deadline {
    fn new(now: Instant) -> Self {
        Self { last: None, since: now, until: now }
    }

    /// The deadline at this pace.
    fn at(&mut self, pace: Pace, now: impl FnOnce() -> Instant) -> Instant {
        let patience = pace.mark.patience;
        let is_step = |last: &Pace| last.mark.moved != pace.mark.moved || last.floor != pace.floor;
        if self.last.as_ref().is_none_or(is_step) {
            self.since = now();
            let full = self.since + patience;
            let before = self.last.and_then(|last| last.floor);
            self.until = match (before, pace.floor) {
                (Some(before), Some(floor)) => {
                    (self.until + floor.worth_since(before).min(patience)).min(full)
                }
                // Somebody else is waited for from here on.
                _ => full,
            };
        }
        self.last = Some(pace);
        let still = self.since + patience;
        if pace.floor.is_some() { still.min(self.until) } else { still }
    }
}

impl Floor {
    /// The time that what was done meanwhile may take.
    fn worth_since(self, before: Self) -> Duration {
        let done = self.done.saturating_sub(before.done);
        Duration::from_micros(done.saturating_mul(1_000_000) / self.rate)
    }
}

/// When the turn under way began, on the clock of timers.
fn moment() -> Instant {
    Instant::from_std(now())
}

/// The alarm of a connection. It outlasts what is waited for: one that comes too early is put off
/// when it comes, so that no timer is touched for every exchange, or for every byte.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    timer: RefCell<Option<Pin<Box<Sleep>>>>,
    /// The task that the timer wakes, while it is set.
    wakes: Cell<usize>,
}

impl Alarm {
    /// Ready at `deadline`.
    fn poll(&self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let mut timer = self.timer.borrow_mut();
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        let task = context.waker().data().addr();
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        } else if self.wakes.get() == task && moment() < timer.deadline() {
            // It is set, and need not be asked.
            return Poll::Pending;
        }
        self.wakes.set(task);
        loop {
            ready!(timer.as_mut().poll(context));
            if moment() >= deadline {
                self.wakes.set(0);
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

/// What `poll` yields; `None` once it stood still for longer than its mark allows, or fell behind its
/// floor. Being woken is no step forward: only a mark that grows is.
pub(crate) async fn while_moving<T, P: Into<Pace>>(
    alarm: &Alarm,
    mut poll: impl FnMut(&mut Context<'_>) -> Result<T, P>,
) -> Option<T> {
    let mut due = None;
    poll_fn(|context| {
        let pace = match poll(context) {
            Ok(result) => return Poll::Ready(Some(result)),
            Err(pace) => pace.into(),
        };
        let due = due.get_or_insert_with(|| Deadline::new(moment()));
        alarm.poll(context, due.at(pace, moment)).map(|()| None)
    })
    .await
}

/// What a peer has really taken: the kernel tells of room in its buffer only when a third of it is free,
/// and a slow peer may take longer for that than it may stand still.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    bytes: u64,
    looked: Option<Instant>,
}

impl Taken {
    /// How many of the bytes that were `sent` to `stream` its peer has acknowledged, not long ago.
    pub(crate) fn of(&mut self, stream: &Stream, sent: u64) -> u64 {
        let now = moment();
        // The first look can wait: nobody is out of time so soon.
        if now - *self.looked.get_or_insert(now) >= LOOK_EVERY {
            self.looked = Some(now);
            self.bytes = self.bytes.max(sent.saturating_sub(stream.untaken() as u64));
        }
        self.bytes
    }
}

/// Waits until the peer has taken all that was written, or falls behind `rate` by `patience`. Says
/// whether it has: to close a connection leaves the rest to the kernel, which would deliver it to
/// somebody who takes a byte now and then for days.
pub(crate) async fn is_taken(
    stream: &Stream,
    patience: Duration,
    rate: Option<NonZeroU64>,
) -> bool {
    let written = stream.untaken();
    if written == 0 {
        return true;
    }
    let mut due = Deadline::new(moment());
    let mut left = written;
    while left > 0 {
        let done = (written - left) as u64;
        let mark = Mark { moved: done, patience };
        if moment() >= due.at(mark.at_least(rate, done), moment) {
            return false;
        }
        sleep(LOOK_EVERY).await;
        left = left.min(stream.untaken());
    }
    true
}

/// Says that nothing more comes, and throws away what the client still sends, for a while.
pub(crate) async fn part(stream: &mut Stream, patience: Duration, most: u64) {
    let mut thrown = 0;
    let parting = poll_fn(|context| {
        // Whether the client has gone or not: so do we.
        let _ = ready!(stream.poll_shutdown(context));
        loop {
            let read = with_scratch(|scratch| stream.poll_read(context, scratch));
            match ready!(read) {
                Ok(count) if count > 0 && thrown < most => thrown += count as u64,
                _ => return Poll::Ready(()),
            }
        }
    });
    // Over, or long enough.
    let _ = timeout(patience, parting).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);
    const RATE: Option<NonZeroU64> = NonZeroU64::new(100);

    fn mark(moved: u64) -> Mark {
        Mark { moved, patience: PATIENCE }
    }

    /// When somebody is cut who does `bytes` every second; `None`: not within a day.
    fn cut(rate: Option<NonZeroU64>, bytes: u64) -> Option<u64> {
        let began = Instant::now();
        let mut due = Deadline::new(began);
        (0..86_400).find(|second| {
            let now = began + Duration::from_secs(*second);
            let done = second * bytes;
            now >= due.at(mark(done).at_least(rate, done), || now)
        })
    }

    #[test]
    fn who_stands_still_is_cut_and_who_keeps_pace_is_not() {
        assert_eq!(cut(RATE, 0), Some(30));
        assert_eq!(cut(RATE, 1), Some(31), "a byte now and then is no pace");
        assert_eq!(cut(RATE, 50), Some(60));
        assert_eq!(cut(RATE, 100), None);
        assert_eq!(cut(None, 1), None, "without a floor it is");
    }

    #[test]
    fn a_burst_pays_for_no_longer_than_the_patience() {
        let began = Instant::now();
        let mut due = Deadline::new(began);
        due.at(mark(0).at_least(RATE, 0), || began);
        let full = due.at(mark(1 << 40).at_least(RATE, 1 << 40), || began);
        assert_eq!(full, began + PATIENCE);
    }

    #[test]
    fn the_time_of_one_is_not_taken_from_the_other() {
        let began = Instant::now();
        let mut due = Deadline::new(began);
        due.at(mark(0).at_least(RATE, 0), || began);
        let later = began + Duration::from_secs(29);
        assert_eq!(
            due.at(mark(1).at_least(RATE, 1), || later),
            began + PATIENCE + Duration::from_millis(10)
        );
        // It is the other side's turn, and then its own again.
        assert_eq!(due.at(mark(1).into(), || later), later + PATIENCE);
        assert_eq!(due.at(mark(1).at_least(RATE, 1), || later), later + PATIENCE);
    }

    #[test]
    fn a_shorter_patience_holds_from_the_last_step() {
        let began = Instant::now();
        let mut due = Deadline::new(began);
        due.at(mark(0).into(), || began);
        let short = Mark { moved: 0, patience: Duration::from_secs(3) };
        assert_eq!(due.at(short.into(), Instant::now), began + Duration::from_secs(3));
    }
}
