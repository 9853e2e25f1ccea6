//! Reload after reload under load: nobody notices, nothing piles up, and a file with a mistake is
//! refused with its message.

mod bed;
mod broken;
mod file;
mod guests;
mod orders;
mod run;
mod told;
mod waiting;

use bed::{Bed, Held};
use e2e::product::PATIENCE;
use e2e::proof::{Item, full, size, wrong_of};
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::try_until;
use file::{GUEST, TIGHT};
use guests::Guests;
use run::Run;
use std::collections::BTreeSet;
use std::time::Duration;
use told::Told;

/// What the engine's memory is measured from: by then all has happened once.
const FIRST: usize = 10;
/// Endpoints that are probed over connections that are kept.
const PROBED: usize = 7;
/// Of 50 requests a second so many must have been made.
const LEAST_RATE: f64 = 45.0;

/// How many reloads, how many files with a mistake in between, and how long all that takes.
#[derive(Clone, Copy, Debug)]
struct Plan {
    reloads: usize,
    broken: usize,
    within: Duration,
}

impl Plan {
    fn of_today() -> Self {
        let seconds = Duration::from_secs;
        size(
            Self { reloads: 200, broken: 50, within: seconds(60) },
            Self { reloads: 20, broken: 10, within: seconds(6) },
        )
    }

    /// Between two files.
    fn step(&self) -> Duration {
        self.within / u32::try_from(self.reloads + self.broken).unwrap()
    }
}

#[test]
fn nobody_notices_a_reload() {
    if skipped("nobody_notices_a_reload") {
        return;
    }
    let plan = Plan::of_today();
    let mut bed = Bed::start();
    let (engine, guests) = (bed.edge.engine_pid(), Guests::default());
    let (at, clients) = (bed.cluster.host("edge"), bed.clients.clone());
    let run = std::thread::scope(|scope| {
        let _end = End(&guests);
        for host in &clients {
            scope.spawn(|| guests.keep_coming(host, at.at(TIGHT), false));
            scope.spawn(|| guests.keep_coming(host, at.at(GUEST), true));
        }
        scope.spawn(|| guests.keep_standing());
        let run = bed.drive(plan, &guests);
        // What the last reload has broken would show by now.
        bed.load.singles.iter().for_each(|client| client.client.wait_for_more(20, PATIENCE));
        run
    });
    let told = Told::of(&bed, &guests, &run);
    told.tell_wrong(&bed.edge);
    record_reloads(plan, &run, &told, &guests, run.pids == BTreeSet::from([engine]));
    record_refusals(plan, &run);
    record_memory(&run);
    record_rest(bed, guests);
}

/// Ends the guests when it goes, even when an assertion fails: they would come for ever.
struct End<'a>(&'a Guests);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn record_reloads(plan: Plan, run: &Run, told: &Told, guests: &Guests, same_engine: bool) {
    let (wrong, Plan { reloads, within, .. }) = ([&*run.wrong, &*told.wrong].concat(), plan);
    // Every day the machine does other things beside it.
    let in_time = !full() || (run.took <= within + plan.step() && told.slowest_rate() > LEAST_RATE);
    let done = wrong.is_empty() && run.done == reloads && told.known > 0;
    let engine = if same_engine { "one engine" } else { "another engine" };
    let [lasting, new] = told.rates;
    Item::new("1a reloads under load")
        .bound(format!(
            "{reloads} reloads in {} s, by the command and by SIGHUP in turn, each told with its \
             changes; 50 requests/s on lasting HTTP/2 connections, 50 on new ones, 30 watches, and \
             clients of what changes: 0 failed, nothing that lasts was cut, new sessions go where \
             the file says; one engine",
            within.as_secs()
        ))
        .n(told.requests)
        .worst(format!("{} ms", told.slowest.as_millis()))
        .note(format!(
            "the worst is the slowest request, the slowest reload took {} ms; of {} new sessions it \
             is known where the file sent them; clients of what changes: {}",
            run.slowest.as_millis(),
            told.known,
            guests.in_words()
        ))
        .record(
            done && in_time && same_engine,
            format!(
                "{} reloads in {:.1} s, {lasting:.1} and {new:.1} requests/s, {engine}, {}",
                run.done,
                run.took.as_secs_f64(),
                wrong_of(told.requests, &wrong)
            ),
        );
}

fn record_refusals(plan: Plan, run: &Run) {
    Item::new("1b files with a mistake in between")
        .bound("each is refused with its message, by the command's exit code, too")
        .n(plan.broken)
        .record(
            run.not_refused.is_empty() && run.refused == plan.broken,
            wrong_of(run.refused, &run.not_refused),
        );
}

fn record_memory(run: &Run) {
    let anonymous = |after: usize| run.memory[after - 1].anonymous;
    let (first, last) = (anonymous(FIRST), anonymous(run.done));
    // Every day the machine does other things beside it: sessions pile up now and then, and the heap
    // keeps the room that they took.
    let allowed = size((first / 20).max(1 << 20), 4 << 20);
    let highest = run.memory.iter().map(|memory| memory.anonymous).max().unwrap_or(last);
    let resident = run.memory.last().map_or(0, |memory| memory.resident);
    Item::new(format!("1c memory of the engine after reload {FIRST} and later"))
        .bound(size(
            "anonymous memory after the last at most 1 MiB or 5 % more",
            "anonymous memory after the last at most 4 MiB more",
        ))
        .n(run.done - FIRST)
        .worst(mebibytes(highest))
        .note(format!(
            "resident in all after the last: {}; the second half of the reloads added {}",
            mebibytes(resident),
            mebibytes(last.saturating_sub(anonymous(run.done / 2)))
        ))
        .record(
            last <= first + allowed,
            format!("{}, then {} after the last", mebibytes(first), mebibytes(last)),
        );
}

/// What is left when everybody has gone.
fn record_rest(bed: Bed, guests: Guests) {
    let Bed { load, moving, edge, before, .. } = bed;
    drop((load, moving, guests));
    let mut left = Held::by(&edge);
    let passed = try_until(PATIENCE, "all to be given back", || {
        left = Held::by(&edge);
        left.descriptors <= before.descriptors + PROBED && left.threads == before.threads
    });
    Item::new("1d what the engine holds when all clients have gone")
        .bound("as many threads as at the start; descriptors: at most one more for each probe")
        .record(
            passed.is_ok(),
            format!(
                "{} descriptors and {} threads, {} and {} at the start",
                left.descriptors, left.threads, before.descriptors, before.threads
            ),
        );
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
}
