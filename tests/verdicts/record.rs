//! From the runs of a row to an item of the proof, and a line of its table.

use crate::candidate::Kind;
use crate::row::Row;
use crate::seen::{Seen, shares};
use e2e::proof::Item;
use std::time::Duration;

/// Records the runs of one candidate; panics where they fall short.
#[track_caller]
pub fn record(number: &str, row: &Row, kind: Kind, runs: &[Seen]) {
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
    let score = runs.iter().map(Seen::score).max().unwrap_or_default();
    let mut item = Item::new(format!("{number} {}, {}", row.key, kind.name())).n(runs.len());
    let mut figure = worst.to_string();
    if ours {
        let bounds: Vec<_> = row.bounds.iter().map(|bound| bound.words()).collect();
        item = item.bound(bounds.join("; "));
        if !broken.is_empty() {
            figure = format!("{figure}; BROKEN: {}", broken.join(", "));
        }
    }
    if let Some(details) = worst.details() {
        item = item.note(details);
    }
    let (cells, short) = if row.is_alarm() {
        (alarm_cells(&worst, score), score.to_string())
    } else {
        (fault_cells(&worst), fault_in_short(&worst))
    };
    // Peers have no bounds; but a run that failed itself has measured nothing.
    let ran = runs.iter().all(|seen| seen.broken.is_none());
    let short = if ran { short } else { "did not run".to_owned() };
    item = item.line(row.name, kind.name(), &cells, short);
    let passed = ran && (!ours || broken.is_empty());
    item.worst(format!("{score} cut or failed")).record(passed, figure);
}

type Cells = Vec<(&'static str, String)>;

fn fault_cells(worst: &Seen) -> Cells {
    vec![
        ("new failed", with(worst.new_failed, worst.new_in_flight, "in flight")),
        ("slower than 1.5 s", worst.new_slow.to_string()),
        ("slowest", seconds(worst.new_slowest)),
        ("lasting failed", with(worst.lasting_on_victim, worst.lasting_elsewhere, "elsewhere")),
        ("longest outage", seconds(worst.lasting_outage)),
        ("verdict after", verdict(worst)),
        ("watches cut", {
            let cut = format!("{} of {}", worst.watches_cut, worst.watches_on_victim);
            with(cut, worst.watches_cut_elsewhere, "elsewhere")
        }),
        ("longest gap", seconds(worst.watch_gap)),
        ("new by master", format!("{} → {}", shares(&worst.before), shares(&worst.after))),
    ]
}

fn fault_in_short(worst: &Seen) -> String {
    format!("{} / {} / {}", worst.new_failed, worst.new_slow, verdict(worst))
}

fn alarm_cells(worst: &Seen, score: u64) -> Cells {
    vec![
        ("cut or failed", score.to_string()),
        ("new failed", (worst.new_failed + worst.new_in_flight).to_string()),
        ("slowest", seconds(worst.new_slowest)),
        ("lasting failed", (worst.lasting_on_victim + worst.lasting_elsewhere).to_string()),
        ("lasting cut", worst.lasting_cut.to_string()),
        ("longest outage", seconds(worst.lasting_outage)),
        ("watches cut", (worst.watches_cut + worst.watches_cut_elsewhere).to_string()),
        ("longest gap", seconds(worst.watch_gap)),
        ("called dead", worst.falls.len().to_string()),
        ("new by master", format!("{} → {}", shares(&worst.before), shares(&worst.after))),
    ]
}

fn with(count: impl ToString, more: u64, what: &str) -> String {
    let count = count.to_string();
    if more == 0 { count } else { format!("{count} + {more} {what}") }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

fn verdict(worst: &Seen) -> String {
    worst.verdict.map_or("none".to_owned(), seconds)
}
