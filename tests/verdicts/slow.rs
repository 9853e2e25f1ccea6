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
    let runs = runs(table::runs());
    let worst = runs.iter().skip(1).fold(runs[0].seen.clone(), |worst, it| worst.worst(&it.seen));
    let replays: Vec<_> = runs.iter().map(|run| (run.replays, run.budget)).collect();
    let other: Vec<_> = runs.iter().flat_map(|run| &run.other).collect();
    let good = |run: &Run| run.seen.score() == 0 && run.replays <= run.budget;
    Item::new("3.4 all masters slow (first byte after 800 ms)")
        .bound("0 failed, 0 cut, replays within 10 % of the new sessions, no verdict but slow")
        .n(runs.len())
        .worst(format!("{:.2} s", worst.new_slowest.as_secs_f64()))
        .record(
            runs.iter().all(good) && other.is_empty(),
            format!("replays and budgets {replays:?}; other verdicts {other:?}; {worst}"),
        );
}

struct Run {
    seen: Seen,
    replays: u64,
    budget: u64,
    /// Verdicts other than slow.
    other: Vec<String>,
}

/// They are light: as many at once as there are places.
fn runs(wanted: usize) -> Vec<Run> {
    let (mut done, places) = (Vec::new(), table::places());
    while done.len() < wanted {
        std::thread::scope(|scope| {
            let now = (wanted - done.len()).min(places);
            let running: Vec<_> = (0..now).map(|_| scope.spawn(run)).collect();
            done.extend(running.into_iter().map(|run| run.join().unwrap()));
        });
    }
    done
}

fn run() -> Run {
    let setup = Setup { deadline: Duration::from_secs(10), ..Setup::DEFAULT };
    let mut bed = Bed::start(Kind::Ours, &setup);
    let (before, _) = bed.candidate.replayed();
    let (begun, _) = bed.inject(|bed| {
        bed.running().for_each(|master| drop(master.command("first-byte 800ms").unwrap()));
    });
    bed.watch(Duration::from_secs(size(3 * SECONDS, SECONDS)));
    let nobody = Victims { names: &[], verdict: &[] };
    let seen = Seen::of(&bed, Marks::new((begun, begun)), &nobody);
    let replays = bed.candidate.replayed().0 - before;
    // A tenth of the new sessions of 10 s, five at least; and five that began before it was slow.
    let budget = (seen.new / 10).max(5) + 5;
    let is_other = |change: &&String| change.contains("dead") || !change.contains("slow");
    let other = seen.changes.iter().filter(is_other).cloned().collect();
    Run { seen, replays, budget, other }
}
