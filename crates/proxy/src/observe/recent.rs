//! The last events, kept in memory: what an operator asks for who has no log at hand, and who follows
//! what happens. Sessions and exchanges are none: what traffic does costs nothing here.

use super::{Event, Severity};
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::watch;

/// Events that are kept.
const KEPT: usize = 1_000;
/// Bytes that they take together, as JSON; one event has some hundred.
const BYTES_MAX: usize = 1 << 20;
/// Who may follow at once.
pub(crate) const FOLLOWERS: usize = 4;

/// An event that is kept.
#[derive(Debug)]
pub(crate) struct Happened {
    /// Its number, from 1.
    pub(crate) number: u64,
    pub(crate) at: SystemTime,
    pub(crate) kind: &'static str,
    pub(crate) severity: Severity,
    /// Its fields as JSON, kind and message among them.
    line: Box<str>,
}

impl Happened {
    /// Its fields.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        serde_json::from_str(&self.line).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Ring {
    /// How many there were.
    total: u64,
    bytes: usize,
    events: VecDeque<Arc<Happened>>,
}

/// The last events, and who follows them.
#[derive(Debug)]
pub(crate) struct Recent {
    ring: Mutex<Ring>,
    /// The number of the last.
    last: watch::Sender<u64>,
    followers: AtomicUsize,
    cut: AtomicU64,
}

impl Default for Recent {
    fn default() -> Self {
        let (followers, cut) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { ring: Mutex::default(), last: watch::Sender::new(0), followers, cut }
    }
}

impl Recent {
    /// Keeps one, in place of the oldest where there is no room.
    pub(crate) fn keep(&self, event: &Event) {
        let line = serde_json::to_string(event).unwrap_or_default().into_boxed_str();
        let severity = event.severity.unwrap_or_else(|| Severity::of_event(event));
        let (at, kind) = (SystemTime::now(), event.kind);
        // Held to put it in its place, and for that alone.
        let mut ring = self.ring();
        ring.total += 1;
        ring.bytes += line.len();
        let happened = Happened { number: ring.total, at, kind, severity, line };
        ring.events.push_back(Arc::new(happened));
        while ring.events.len() > KEPT || (ring.bytes > BYTES_MAX && ring.events.len() > 1) {
            let oldest = ring.events.pop_front();
            ring.bytes -= oldest.map_or(0, |oldest| oldest.line.len());
        }
        let total = ring.total;
        drop(ring);
        self.last.send_modify(|last| *last = total.max(*last));
    }

    /// How many there were since the engine began, and those kept whose number is higher than `after`, in
    /// their order.
    pub(crate) fn after(&self, after: u64) -> (u64, Vec<Arc<Happened>>) {
        let ring = self.ring();
        let behind = ring.total.saturating_sub(after);
        let len = ring.events.len();
        let skipped = len - usize::try_from(behind).unwrap_or(usize::MAX).min(len);
        (ring.total, ring.events.iter().skip(skipped).cloned().collect())
    }

    /// Somebody wants to know of each; `None`: too many do.
    pub(crate) fn follow(self: &Arc<Self>) -> Option<Follower> {
        let one_more = |count: usize| (count < FOLLOWERS).then_some(count + 1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.followers.fetch_update(set, fetch, one_more).ok()?;
        Some(Follower { recent: self.clone(), last: self.last.subscribe() })
    }

    /// Who follows at this moment, and how many were cut off because they did not read.
    pub(crate) fn followers(&self) -> (usize, u64) {
        (self.followers.load(Ordering::Relaxed), self.cut.load(Ordering::Relaxed))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who follows; no more once dropped.
#[derive(Debug)]
pub(crate) struct Follower {
    recent: Arc<Recent>,
    last: watch::Receiver<u64>,
}

impl Follower {
    /// Waits for one whose number is higher than `after`.
    pub(crate) async fn wait(&mut self, after: u64) {
        // Its sender lives as long as it does itself.
        let _ = self.last.wait_for(|last| *last > after).await;
    }

    /// It did not read, and is cut off.
    pub(crate) fn count_cut(&self) {
        self.recent.cut.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.recent.followers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thousand_are_kept_within_their_bytes() {
        let recent = Recent::default();
        assert_eq!(recent.after(0).0, 0);
        for n in 1..=1_500_u64 {
            recent.keep(&Event::new("test", format!("event {n}")).about("n", n));
        }
        let (total, kept) = recent.after(0);
        assert_eq!((total, kept.len(), kept[0].number), (1_500, KEPT, 501));
        assert_eq!(kept[0].fields()["n"], 501);
        let (_, new) = recent.after(1_498);
        assert_eq!(new.iter().map(|event| event.number).collect::<Vec<_>>(), [1_499, 1_500]);
        assert!(recent.after(1_500).1.is_empty() && recent.after(u64::MAX).1.is_empty());
        // Long ones: fewer are kept.
        for _ in 0..1_000 {
            let long = vec!["x".repeat(1_000); 32];
            recent.keep(&Event::new("long", "a list").about("list", long));
        }
        let (total, kept) = recent.after(0);
        let bytes: usize = kept.iter().map(|event| event.line.len()).sum();
        assert!(total == 2_500 && bytes <= BYTES_MAX && kept.len() > 25, "{bytes}");
        assert_eq!(recent.ring().bytes, bytes);
    }

    #[test]
    fn there_are_not_too_many_who_follow() {
        let recent = Arc::new(Recent::default());
        let mut all: Vec<_> = (0..FOLLOWERS).map(|_| recent.follow().unwrap()).collect();
        assert!(recent.follow().is_none());
        all.pop();
        assert_eq!(recent.followers(), (FOLLOWERS - 1, 0));
        assert!(recent.follow().is_some());
    }
}
