//! Runs the rows of a table, and records each as it is done.

use crate::candidate::Kind;
use crate::record::record;
use crate::row::Row;
use crate::schedule::{Ended, estimate, execute, plan};
use crate::seen::Seen;
use e2e::proof::{full, size};
use eclusa_testkit::background::raise_file_limit;
use eclusa_testkit::netns::skipped;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Runs of a row in a proof.
const RUNS: usize = 5;

/// Beds at once: in a proof two rows with three candidates each.
const PLACES: usize = 6;
const FEWER_PLACES: usize = 2;

/// Tables of one process take turns: what runs at once is for them to say.
pub static TURN: Mutex<()> = Mutex::new(());

/// Runs the rows of the table `number` ("3.1").
#[track_caller]
pub fn run(test: &str, number: &str, rows: &[Row]) {
    if skipped(test) {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // Each bed has some hundred descriptors in this process.
    let _ = raise_file_limit();
    let wanted: Vec<_> = rows.iter().enumerate().filter(|(_, row)| chosen(row)).collect();
    let places = places();
    let groups = plan(&wanted, places, |row, run| {
        candidates().into_iter().filter(|kind| run < runs_of(row, *kind)).collect()
    });
    let begun = Instant::now();
    let about = seconds(estimate(&groups, places));
    if full() {
        println!("{number}: {} groups of runs, {places} beds at once: about {about}", groups.len());
    }
    let mut done = Done { number, rows, runs: Vec::new(), failed: Vec::new() };
    execute(
        &groups,
        places,
        |group, kind| format!("{} {} {}", rows[group.row].key, kind.word(), group.run),
        |group, kind| rows[group.row].run(kind, group.run),
        |ended| done.add(ended),
    );
    println!("{number}: took {}, estimated {about}", seconds(begun.elapsed()));
    assert!(done.failed.is_empty(), "these rows fell short: {}", done.failed.join(", "));
}

/// What has been done so far.
struct Done<'a> {
    number: &'a str,
    rows: &'a [Row],
    runs: Vec<Ended<Seen>>,
    /// Rows that were recorded as such.
    failed: Vec<String>,
}

impl Done<'_> {
    /// Tells a run, in one block; records it with its brothers when it is the last of them.
    fn add(&mut self, ended: Ended<Seen>) {
        let Ended { row: at, kind, .. } = ended;
        let row = &self.rows[at];
        println!("{}", told(row, &ended));
        self.runs.push(ended);
        let mut of_it: Vec<&Ended<Seen>> =
            self.runs.iter().filter(|it| (it.row, it.kind) == (at, kind)).collect();
        if of_it.len() < runs_of(row, kind) {
            return;
        }
        of_it.sort_by_key(|it| it.run);
        let runs: Vec<Seen> = of_it.into_iter().map(|it| it.seen.clone()).collect();
        let number = format!("{}.{}", self.number, at + 1);
        // A row that fell short must not keep the others from being run.
        let recorded = catch_unwind(AssertUnwindSafe(|| record(&number, row, kind, &runs)));
        if recorded.is_err() {
            self.failed.push(format!("{} ({})", row.key, kind.name()));
        }
    }
}

fn told(row: &Row, ended: &Ended<Seen>) -> String {
    let Ended { run, kind, took, seen, .. } = ended;
    let mut text = format!("  {} {} run {run} ({}): {seen}", row.key, kind.name(), seconds(*took));
    if !seen.changes.is_empty() {
        let _ = write!(text, "\n    verdicts: {}", seen.changes.join(", "));
    }
    if !seen.words.is_empty() {
        let _ = write!(text, "\n    log: {}", seen.words.join(" | "));
    }
    text
}

fn seconds(duration: Duration) -> String {
    format!("{:.0} s", duration.as_secs_f64())
}

fn chosen(row: &Row) -> bool {
    match list("ECLUSA_ROWS") {
        Some(keys) => keys.iter().any(|key| key == row.key),
        None => row.quick || full(),
    }
}

/// Who runs: ours, and in a proof the peers.
pub fn candidates() -> Vec<Kind> {
    let mut kinds = Kind::ALL.to_vec();
    match list("ECLUSA_CANDIDATES") {
        Some(words) => kinds.retain(|kind| words.iter().any(|word| word == kind.word())),
        None => kinds.retain(|kind| full() || *kind == Kind::Ours),
    }
    kinds
}

/// How often each row runs.
pub fn runs() -> usize {
    number("ECLUSA_RUNS").unwrap_or(size(RUNS, 1))
}

fn runs_of(row: &Row, kind: Kind) -> usize {
    if row.ours_only && kind != Kind::Ours { 0 } else { runs() }
}

/// How many beds there are at once.
pub fn places() -> usize {
    number("ECLUSA_PLACES").unwrap_or(size(PLACES, FEWER_PLACES)).max(1)
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

fn list(variable: &str) -> Option<Vec<String>> {
    let words = std::env::var(variable).ok()?;
    Some(words.split(',').map(|word| word.trim().to_owned()).collect())
}
