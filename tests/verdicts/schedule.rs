//! Which runs take place at the same moment.
//!
//! The candidates of a row run side by side, each in a cluster of its own: what else happens on
//! the machine meets all of them. A bed takes 0.2 of a processor, so two rows run at once as well.

use crate::candidate::Kind;
use crate::row::Row;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Runs of one row that begin together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its place in the table.
    pub row: usize,
    pub run: usize,
    pub kinds: Vec<Kind>,
    /// Nothing else runs meanwhile.
    pub alone: bool,
    /// What it takes, about.
    pub seconds: u64,
}

impl Group {
    /// How many of `places` it takes; `alone` all.
    fn places(&self, places: usize) -> usize {
        if self.alone { places } else { self.kinds.len() }
    }
}

/// The groups of these rows (each with its place in the table) and how often `kind` runs in one:
/// those that take longest first, so that no long one is left over in the end; those that want the
/// machine for themselves last, one candidate at a time.
pub fn plan(
    rows: &[(usize, &Row)],
    places: usize,
    candidates: impl Fn(&Row, usize) -> Vec<Kind>,
) -> Vec<Group> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|(_, row)| (row.alone, std::cmp::Reverse(row.seconds)));
    let mut groups = Vec::new();
    for (at, row) in rows {
        let runs = (0..).map(|run| candidates(row, run)).take_while(|kinds| !kinds.is_empty());
        for (run, kinds) in runs.enumerate() {
            let together = if row.alone { 1 } else { places };
            groups.extend(kinds.chunks(together).map(|kinds| Group {
                row: at,
                run,
                kinds: kinds.to_vec(),
                alone: row.alone,
                seconds: row.seconds,
            }));
        }
    }
    groups
}

/// What all of it takes, about.
pub fn estimate(groups: &[Group], places: usize) -> Duration {
    let (mut now, mut busy) = (0, Vec::<(u64, usize)>::new());
    for group in groups {
        let wanted = group.places(places);
        while busy.iter().map(|(_, taken)| taken).sum::<usize>() + wanted > places {
            now = busy.iter().map(|(end, _)| *end).min().unwrap_or(now);
            busy.retain(|(end, _)| *end > now);
        }
        busy.push((now + group.seconds, wanted));
    }
    Duration::from_secs(busy.into_iter().map(|(end, _)| end).max().unwrap_or(now))
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ended<T> {
    pub row: usize,
    pub run: usize,
    pub kind: Kind,
    pub took: Duration,
    pub seen: T,
    places: usize,
}

/// Runs the groups in their order, as many at once as there are places; each run on a thread that
/// `name` names. `ended` is called on this thread, for one run after the other.
pub fn execute<T: Send>(
    groups: &[Group],
    places: usize,
    name: impl Fn(&Group, Kind) -> String,
    run: impl Fn(&Group, Kind) -> T + Sync,
    mut ended: impl FnMut(Ended<T>),
) {
    let (send, receive) = channel();
    std::thread::scope(|scope| {
        let mut busy = 0;
        for group in groups {
            let wanted = group.places(places);
            while busy + wanted > places {
                let one: Ended<T> = receive.recv().unwrap();
                busy -= one.places;
                ended(one);
            }
            busy += wanted;
            for kind in group.kinds.iter().copied() {
                let (send, run) = (send.clone(), &run);
                let places = wanted / group.kinds.len();
                let work = move || {
                    let begun = Instant::now();
                    let seen = run(group, kind);
                    let (row, run, took) = (group.row, group.run, begun.elapsed());
                    // Whoever receives waits for all of them.
                    let _ = send.send(Ended { row, run, kind, took, seen, places });
                };
                let thread = std::thread::Builder::new().name(name(group, kind));
                thread.spawn_scoped(scope, work).unwrap();
            }
        }
        drop(send);
        receive.into_iter().for_each(&mut ended);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    fn group(row: usize, kinds: usize, alone: bool, seconds: u64) -> Group {
        let kinds = Kind::ALL[..kinds].to_vec();
        Group { row, run: 0, kinds, alone, seconds }
    }

    #[test]
    fn the_estimate_fills_the_places() {
        let groups = [
            group(0, 3, false, 20),
            group(1, 3, false, 10),
            group(2, 3, false, 5),
            group(3, 1, true, 7),
        ];
        assert_eq!(estimate(&groups, 6), Duration::from_secs(27));
        assert_eq!(estimate(&groups, 3), Duration::from_secs(42));
        assert_eq!(estimate(&[], 3), Duration::ZERO);
    }

    #[test]
    fn no_more_run_than_there_are_places_and_alone_means_alone() {
        let groups = [
            group(0, 3, false, 0),
            group(1, 2, false, 0),
            group(2, 3, false, 0),
            group(3, 1, true, 0),
            group(4, 1, true, 0),
            group(5, 3, false, 0),
        ];
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let mut seen = Vec::new();
        let run = |group: &Group, _| {
            let running = now.fetch_add(1, SeqCst) + 1;
            most.fetch_max(running, SeqCst);
            eclusa_testkit::wait::pause(Duration::from_millis(20));
            let alone = running == 1 && now.load(SeqCst) == 1;
            now.fetch_sub(1, SeqCst);
            !group.alone || alone
        };
        let name = |group: &Group, kind: Kind| format!("{} {}", group.row, kind.word());
        execute(&groups, 5, name, run, |ended| seen.push((ended.row, ended.seen)));
        seen.sort_unstable();
        let rows: Vec<_> = seen.iter().map(|(row, _)| *row).collect();
        assert_eq!(rows, [0, 0, 0, 1, 1, 2, 2, 2, 3, 4, 5, 5, 5]);
        assert!(seen.iter().all(|(_, good)| *good), "{seen:?}");
        assert!((2..=5).contains(&most.load(SeqCst)), "{most:?}");
    }
}
