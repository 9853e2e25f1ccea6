//! Runs rows, and records each as it is done.

use crate::candidate::Kind;
use crate::row::Row;
use crate::seen::Seen;
use e2e::proof::{Item, full};
use eclusa_testkit::netns::skipped;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

/// Runs of a row in a proof.
const RUNS: usize = 5;

/// Tables of one process take turns: each wants the machine for itself.
pub static TURN: Mutex<()> = Mutex::new(());

/// Runs the rows of the table `number` ("3.1").
#[track_caller]
pub fn run(test: &str, number: &str, rows: &[Row]) {
    if skipped(test) {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut failed = Vec::new();
    for row in rows.iter().filter(|row| chosen(row)) {
        let kinds = candidates().into_iter().filter(|kind| *kind == Kind::Ours || !row.ours_only);
        for kind in kinds {
            let fewer = row.long && kind != Kind::Ours;
            let runs: Vec<Seen> = (0..if fewer { runs().min(2) } else { runs() })
                .map(|run| {
                    let seen = row.run(kind);
                    println!("  {} {} run {run}: {seen}", row.key, kind.name());
                    println!("    verdicts: {}", seen.changes.join(", "));
                    seen
                })
                .collect();
            let recorded = catch_unwind(AssertUnwindSafe(|| record(number, row, kind, &runs)));
            if recorded.is_err() {
                failed.push(format!("{} ({})", row.key, kind.name()));
            }
        }
    }
    assert!(failed.is_empty(), "these rows fell short: {}", failed.join(", "));
}

fn record(number: &str, row: &Row, kind: Kind, runs: &[Seen]) {
    let ours = kind == Kind::Ours;
    let broken: Vec<String> = runs
        .iter()
        .enumerate()
        .flat_map(|(run, seen)| {
            row.broken(seen).into_iter().map(move |it| format!("run {run}: {it}"))
        })
        .collect();
    let first = runs.first().cloned().unwrap_or_default();
    let worst = runs.iter().skip(1).fold(first, Seen::worst);
    let bounds: Vec<_> = row.bounds.iter().map(|bound| bound.words()).collect();
    let mut item = Item::new(format!("{number} {}, {}", row.name, kind.name())).n(runs.len());
    let mut figure = worst.to_string();
    if ours {
        item = item.bound(bounds.join("; "));
        if !broken.is_empty() {
            figure = format!("{figure}; BROKEN: {}", broken.join(", "));
        }
    } else {
        item = item.note("beside");
    }
    let score: u64 = runs.iter().map(Seen::score).max().unwrap_or_default();
    // Peers have no bounds; but a run that failed itself has measured nothing.
    let ran = runs.iter().all(|seen| seen.broken.is_none());
    let passed = ran && (!ours || broken.is_empty());
    item.worst(format!("{score} cut or failed")).record(passed, figure);
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
    let wanted = std::env::var("ECLUSA_RUNS").ok().and_then(|runs| runs.parse().ok());
    wanted.unwrap_or(if full() { RUNS } else { 1 })
}

fn list(variable: &str) -> Option<Vec<String>> {
    let words = std::env::var(variable).ok()?;
    Some(words.split(',').map(|word| word.trim().to_owned()).collect())
}
