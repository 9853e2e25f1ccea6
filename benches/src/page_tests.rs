//! Pages of figures, from made-up samples.

use super::*;
use crate::case::{Of, Steps};
use crate::idle::Found;
use crate::meter::{Memory, Sockets};
use crate::report::tests::{VARIANT, case, row, sample, steady};
use crate::report::{Paced, Row};
use crate::traffic::tally::Latency;

fn table(name: &str, rows: Vec<Row>) -> Table {
    Table { name: name.into(), ..Table::new(&case(), &VARIANT, rows) }
}

fn idle(name: &str, each: &[(&str, f64)]) -> IdleTable {
    let row = |&(setup, per_session): &(&str, f64)| IdleRow {
        setup: setup.into(),
        found: Some(Found {
            before: Memory::default(),
            idle: Memory::default(),
            per_session,
            peak_per_session: per_session,
            sockets: Sockets::default(),
            charged: None,
            slab_per_session: 0.0,
            errors: 0,
        }),
        failure: None,
    };
    let rows = each.iter().map(row).collect();
    IdleTable { name: name.into(), description: "Rest.".into(), sessions: 9, at_once: 1, rows }
}

/// Ours wins `won/1` in processor time and loses it in latency, and loses `lost/1`; it takes more memory.
fn report() -> Report {
    let mut won =
        table("won/1", vec![steady("direct", 0.0), steady("eclusa", 0.4), steady("nginx", 0.5)]);
    for (setup, p99) in [("eclusa", 320.0), ("nginx", 300.0)] {
        let latency = Latency { p50: 1.0, p99, p999: p99, max: p99 };
        let found = crate::measure::Sample { latency: Some(latency), ..sample(0.1) };
        won.pace(setup, Paced::new(70.0, &[Some(found)], Vec::new()));
    }
    let spread = vec![Some(sample(0.6)), Some(sample(0.66)), Some(sample(0.54))];
    let rows = vec![row("eclusa", spread), row("haproxy-tuned.splice", vec![Some(sample(0.5)); 3])];
    Report {
        facts: vec![("date".into(), "today".into()), ("command".into(), "bench".into())],
        tables: vec![won, table("lost/1", rows)],
        idle: vec![idle("rest/9", &[("eclusa", 2.0), ("haproxy", 3.0), ("nginx", 0.5)])],
    }
}

#[test]
fn what_we_lose_at_is_all_of_it_and_nothing_else() {
    let text = part(&report());
    let (_, losses) = text.split_once("## What we lose at\n").expect("a section");
    let (losses, _) = losses.split_once("\n## ").expect("another section");
    let lines: Vec<_> = losses.lines().filter(|line| line.starts_with("- ")).collect();
    assert_eq!(
        lines,
        [
            "- `lost/1`: 1.200 (1.080–1.320) × haproxy-tuned.splice for a round trip",
            "- `won/1`: 320 (320–320) µs beside 300 (300–300) µs of nginx",
            "- `rest/9`: 2.00 KiB beside 0.50 KiB of nginx",
        ]
    );
}

#[test]
fn all_is_told_in_short_with_its_spread() {
    let text = part(&report());
    for line in [
        "| date | today |",
        "Under 1 of 2 loads ours takes less processor time than any peer.",
        "| `won/1` | bare | 4000.0 µs/round trip | nginx | 5000.0 | **0.80 (0.80–0.80)** | 320 (320–320) | 300 (300–300) nginx |",
        "| `lost/1` | bare | 6000.0 µs/round trip | haproxy-tuned.splice | 5000.0 | **1.20 (1.08–1.32)** | – | – |",
        "| `rest/9` | 9 | 2.00 | 0.50 nginx |",
        "<details><summary>lost/1</summary>",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.lines().all(|line| line.trim_end() == line));
}

#[test]
fn more_of_something_and_what_is_broken_are_told() {
    let steps = Some(Steps { of: Of::Routes, counts: vec![1, 100] });
    let rows = vec![steady("eclusa@1", 0.4), steady("eclusa@100", 0.5), steady("nginx@100", 0.8)];
    let stepped = Table::new(&crate::case::Case { steps, ..case() }, &VARIANT, rows);
    let mut failed = steady("eclusa", 0.5);
    failed.errors = 3;
    let tables = vec![stepped, table("broken/1", vec![failed])];
    let text = part(&Report { facts: Vec::new(), tables, idle: Vec::new() });
    assert!(text.contains("| `c/1` | 1 to 100 | eclusa | 1.25 (1.25–1.25) |"), "{text}");
    assert!(text.contains("- `broken/1`: eclusa: 3 connections, 0 rounds"), "{text}");
}

#[test]
fn a_run_that_loses_nothing_says_so_and_doubts_are_told() {
    let mut won = table("won/1", vec![steady("eclusa", 0.4), steady("nginx", 0.5)]);
    won.warnings.push("DISTURBED: a lot".into());
    let text = part(&Report { facts: Vec::new(), tables: vec![won], idle: Vec::new() });
    assert!(text.contains("Nothing, in this run."));
    assert!(text.contains("worked meanwhile under `won/1`."), "{text}");
}

#[test]
fn of_several_runs_the_last_with_a_load_counts() {
    let mut later = report();
    later.facts[0].1 = "tomorrow".into();
    later.tables.truncate(1);
    later.tables[0].description = "Anew.".into();
    let all = merged(report(), later);
    assert_eq!(all.facts[0].1, "today; tomorrow");
    assert_eq!(all.facts[1].1, "bench");
    assert_eq!((all.tables.len(), all.tables[0].description.as_str()), (2, "Anew."));
    assert_eq!(all.idle.len(), 1);
}

#[test]
fn figures_are_read_as_they_were_written() {
    let text = serde_json::to_string(&report()).expect("JSON");
    let read: Report = serde_json::from_str(&text).expect("a report");
    assert_eq!(part(&read), part(&report()));
}

#[test]
fn only_what_stands_between_the_marks_is_replaced() {
    let page = format!("# A\n\n{BEGIN}\nold\n{END}\n\nb\n");
    let new = replaced(&page, "new\n").expect("marks");
    assert_eq!(new, format!("# A\n\n{BEGIN}\n\nnew\n\n{END}\n\nb\n"));
    assert_eq!(replaced(&new, "new").as_deref(), Some(new.as_str()));
    assert!(replaced("# A\n", "new").is_none());
}

#[test]
fn the_page_of_the_book_has_its_marks() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
    let text = fs::read_to_string(page).expect("the page");
    assert!(replaced(&text, "").is_some());
}
