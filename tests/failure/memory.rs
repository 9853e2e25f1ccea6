//! What sessions leave behind: nothing.

use e2e::bed::{Bed, carry_all, mebibytes};
use e2e::proof::{Item, size};
use eclusa_testkit::client::both_ways;
use eclusa_testkit::endpoint::Kind;
use eclusa_testkit::wait_until;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Sessions at a time.
const AT_ONCE: u64 = 16;
/// What a heap may keep that sessions of this number come and go in.
const SLACK: u64 = mebibytes(4);

/// Carries so many sessions, 1 MiB each way, and waits until all are over.
fn carry_sessions(bed: &Bed, sessions: u64, before: usize) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while next.fetch_add(1, Relaxed) < sessions {
                    let client = bed.connect("outside1", 7001);
                    let returned = both_ways(&client, 1, mebibytes(1)).expect("both ways");
                    assert_eq!(returned, mebibytes(1));
                }
            });
        }
    });
    let ended = before + sessions as usize;
    wait_until(Duration::from_secs(15), "the last records", || bed.edge.sessions().len() == ended);
}

#[test]
fn ended_sessions_leave_nothing_behind() {
    let name = "ended_sessions_leave_nothing_behind";
    let Some(bed) = Bed::start(name, &carry_all(&[7001])) else { return };
    let sessions = size(2000, 500);
    let _echo = bed.endpoint(7001, Kind::Echo);
    let at_rest = bed.other_descriptors();
    // The first sessions fill what is kept for the next ones.
    carry_sessions(&bed, 100, 0);
    let before = bed.edge.memory().expect("it runs");
    carry_sessions(&bed, sessions, 100);
    wait_until(Duration::from_secs(5), "the last descriptors", || {
        bed.other_descriptors() <= at_rest
    });
    let after = bed.edge.memory().expect("it runs");
    let pipes = bed.pipes();
    let grown = after.resident.saturating_sub(before.resident);
    Item::new("4.2 memory and descriptors after sessions")
        .bound(format!(
            "resident memory at most {} KiB over that after the first 100; no descriptor but pipes \
             kept for reuse, 512 at most",
            SLACK / 1024
        ))
        .n(sessions)
        .record(
            grown <= SLACK && pipes <= 512,
            format!(
                "{} KiB after {sessions} sessions of 1 MiB each way, {} KiB before; {} descriptors as \
                 at the start, {pipes} ends of pipes kept",
                after.resident / 1024,
                before.resident / 1024,
                bed.other_descriptors()
            ),
        );
}
