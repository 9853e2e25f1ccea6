//! A pool that is slow as a whole: nobody is frozen, and first flights are not doubled for it.

use crate::bed::{Bed, Setup};
use crate::candidate::Kind;
use crate::seen::{Marks, Seen, Victims};
use crate::table;
use e2e::proof::{Item, size};
use eclusa_testkit::netns::skipped;
use std::sync::PoisonError;
use std::time::Duration;

const SECONDS: u64 = 10;

#[test]
fn all_slow() {
    if skipped("all_slow") {
        return;
    }
    let _turn = table::TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut setup = Setup::DEFAULT;
    setup.deadline = Duration::from_secs(10);
    let mut bed = Bed::start(Kind::Ours, &setup);
    let (before, _) = bed.candidate.replayed();
    let (begun, _) = bed.inject(|bed| {
        bed.running().for_each(|master| drop(master.command("first-byte 800ms").unwrap()));
    });
    let seconds = size(3 * SECONDS, SECONDS);
    bed.watch(Duration::from_secs(seconds));
    let nobody = Victims { names: &[], verdict: &[] };
    let seen = Seen::of(&bed, Marks::new((begun, begun)), &nobody);
    let (replayed, _) = bed.candidate.replayed();
    let replays = replayed - before;
    // A tenth of the new sessions of 10 s, five at least; a window and a half at the edges.
    let budget = (seen.new / 10).max(5) + 5;
    let other: Vec<_> =
        seen.changes.iter().filter(|it| it.contains("dead") || !it.contains("slow")).collect();
    Item::new("3.4 all masters slow (first byte after 800 ms)")
        .bound("0 failed, 0 cut, replays within 10 % of the new sessions, no verdict but slow")
        .n(seen.new)
        .worst(format!("{:.2} s", seen.new_slowest.as_secs_f64()))
        .record(
            seen.score() == 0 && replays <= budget && other.is_empty(),
            format!("{replays} replays (budget {budget}); other verdicts {other:?}; {seen}"),
        );
}
