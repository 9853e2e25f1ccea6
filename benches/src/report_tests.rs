//! The report's choices, on made-up samples.

use super::*;
use crate::meter::{Memory, Sockets};
use crate::setup::Setup;
use std::path::Path;

/// A second in which the candidate took `candidate` seconds for 100 units.
pub(crate) fn sample(candidate: f64) -> Sample {
    Sample {
        seconds: 1.0,
        units: 100.0,
        candidate,
        load: 0.3,
        machine: candidate + 0.35,
        stolen: 0.0,
        latency: None,
        errors: 0,
        first_error: None,
        reloads: 0,
        memory: Memory { resident: 1000, peak: 2000 },
        sockets: Sockets::default(),
        charged: None,
        charged_busy: None,
    }
}

/// The row of the setup `name`, with a flavour behind a full stop and a step behind `@`.
pub(crate) fn row(name: &str, samples: Vec<Option<Sample>>) -> Row {
    let (name, step) = name.split_once('@').unwrap_or((name, ""));
    let (candidate, flavour) = name.split_once('.').unwrap_or((name, ""));
    let extension = match candidate {
        "eclusa" => "toml",
        "nginx" => "conf",
        _ => "cfg",
    };
    let file = format!("{candidate}.{extension}");
    let mut setup = Setup::of_template(Path::new(&file)).unwrap_or_else(Setup::direct);
    if !flavour.is_empty() {
        setup = setup.flavoured(flavour);
    }
    if let Ok(count) = step.parse() {
        setup = setup.at_step(count);
    }
    Row::new(&setup, samples, Vec::new())
}

pub(crate) fn case() -> Case {
    Case {
        name: "c".into(),
        description: String::new(),
        topology: crate::case::Topology::Chain,
        work: crate::case::Work::PingPong,
        unit: Unit::RoundTrip,
        http: None,
        steps: None,
        reload_every: None,
        setups: Vec::new(),
        without: Vec::new(),
        variants: Vec::new(),
        templates: Vec::new(),
    }
}

pub(crate) const VARIANT: Variant = Variant { connections: 1, form: Form::Bare };

fn table(rows: Vec<Row>) -> Table {
    Table::new(&case(), &VARIANT, rows)
}

pub(crate) fn steady(name: &str, candidate: f64) -> Row {
    row(name, vec![Some(sample(candidate)), Some(sample(candidate))])
}

#[test]
fn the_better_setup_of_a_candidate_counts() {
    let table = table(vec![
        steady("haproxy", 0.75),
        steady("haproxy-tuned", 1.0),
        steady("haproxy-tuned.splice-auto", 0.5),
    ]);
    let counting: Vec<_> =
        table.rows.iter().filter(|row| row.counts).map(|row| row.setup.as_str()).collect();
    assert_eq!(counting, ["haproxy", "haproxy-tuned.splice-auto"]);
    let to_best: Vec<_> =
        table.rows.iter().filter_map(|row| row.to_best_peer.map(|r| r.median)).collect();
    assert_eq!(to_best, [1.5, 2.0, 1.0]);
}

#[test]
fn ours_is_compared_with_each_peer_in_each_round() {
    let table = table(vec![
        row("eclusa", vec![Some(sample(0.4)), Some(sample(0.8)), None]),
        row("haproxy", vec![Some(sample(0.8)), Some(sample(1.6)), Some(sample(0.1))]),
        steady("nginx", 0.4),
    ]);
    let ratios: Vec<_> =
        table.comparisons.iter().map(|c| (c.peer.as_str(), c.cpu.median)).collect();
    assert_eq!(ratios, [("nginx", 1.5), ("haproxy", 0.5)]);
}

#[test]
fn the_null_test_has_no_processor_time_of_its_own_and_is_no_peer() {
    let table = table(vec![steady("direct", 0.0), steady("eclusa", 0.5)]);
    assert!(table.rows[0].cpu.is_none() && table.rows[0].to_best_peer.is_none());
    assert!(table.comparisons.is_empty());
}

#[test]
fn what_spoils_a_run_is_said() {
    let mut broken = sample(0.5);
    (broken.errors, broken.first_error) = (3, Some("reset".into()));
    let mut stalled = sample(0.5);
    stalled.units = 0.0;
    let mut held_back = sample(0.5);
    held_back.load = 0.99;
    let mut disturbed = sample(0.5);
    disturbed.machine = 1.9;
    let warned =
        |name: &str, sample: Sample| table(vec![row(name, vec![Some(sample)])]).warnings.join("\n");
    assert!(warned("nginx", broken).starts_with("ERRORS: nginx: 3, the first: reset"));
    assert!(warned("nginx", stalled).starts_with("STALLED: nginx"));
    assert!(warned("nginx", held_back).starts_with("GENERATOR LIMIT: nginx"));
    assert!(warned("nginx", disturbed).starts_with("DISTURBED: other processes took 1.10"));
    assert_eq!(warned("nginx", sample(0.5)), "");
    let near = table(vec![steady("direct", 0.0), steady("nginx", 0.5)]);
    assert!(near.warnings.join("\n").ends_with("held back by it: nginx"));
}

#[test]
fn a_null_test_that_does_more_bounds_nobody() {
    let http = Some(crate::case::Http { tls: true, ..crate::case::Http::SMALL });
    let rows = vec![steady("direct", 0.0), steady("nginx", 0.5)];
    assert!(Table::new(&Case { http, ..case() }, &VARIANT, rows).warnings.is_empty());
}

#[test]
fn a_failed_round_and_an_error_make_a_report_not_good() {
    let report = |rows| Report { facts: Vec::new(), tables: vec![table(rows)], idle: Vec::new() };
    assert!(report(vec![steady("nginx", 0.5)]).good());
    let mut failed = steady("nginx", 0.5);
    failed.failures.push("round 1: ended".into());
    let failed = report(vec![failed]);
    assert!(!failed.good());
    assert!(failed.tables[0].warnings[0].starts_with("FAILED: nginx: round 1"));
}

#[test]
fn steps_are_compared_with_the_first_and_with_peers_at_the_same_step() {
    let steps = Some(crate::case::Steps { of: Of::Routes, counts: vec![1, 100] });
    let rows = vec![
        steady("direct", 0.0),
        steady("eclusa@1", 0.4),
        steady("eclusa@100", 0.5),
        steady("nginx@1", 0.8),
        steady("nginx@100", 0.5),
    ];
    let table = Table::new(&Case { steps, ..case() }, &VARIANT, rows);
    let first: Vec<_> = table.rows.iter().map(|row| row.to_first_step.map(|r| r.median)).collect();
    assert_eq!(first, [None, Some(1.0), Some(1.25), Some(1.0), Some(0.625)]);
    let ratios: Vec<_> =
        table.comparisons.iter().map(|c| (c.peer.as_str(), c.step, c.cpu.median)).collect();
    assert_eq!(ratios, [("nginx@1", Some(1), 0.5), ("nginx@100", Some(100), 1.0)]);
}

#[test]
fn open_loops_are_at_a_rate_that_the_slowest_keeps() {
    let mut slow = sample(0.5);
    slow.units = 40.0;
    let mut table = table(vec![
        steady("direct", 0.0),
        steady("eclusa", 0.5),
        row("nginx", vec![Some(slow)]),
        row("haproxy", vec![None]),
    ]);
    assert_eq!(table.slowest_rate(), Some(40.0));
    let latency = Latency { p50: 1.0, p99: 2.0, p999: 3.0, max: 4.0 };
    let mut found = sample(0.5);
    found.latency = Some(latency);
    found.errors = 2;
    table.pace("eclusa", Paced::new(28.0, &[Some(found), None], Vec::new()));
    let paced = table.rows[1].paced.as_ref().expect("it is noted");
    assert_eq!((paced.rate, paced.p99.map(|p| p.median), paced.errors), (28.0, Some(2.0), 2));
    assert!(table.warnings.iter().any(|w| w == "ERRORS: eclusa in the open loop: 2"));
    assert!(!table.good());
}

#[test]
fn what_a_reload_breaks_of_peers_is_a_result() {
    let with_error = |name: &str| {
        let mut broken = sample(0.5);
        broken.errors = 1;
        row(name, vec![Some(broken)])
    };
    let reloaded = Case { reload_every: Some(std::time::Duration::from_secs(1)), ..case() };
    let good = |rows| Table::new(&reloaded, &VARIANT, rows).good();
    assert!(good(vec![steady("eclusa", 0.5), with_error("nginx")]));
    assert!(!good(vec![with_error("eclusa")]));
    assert!(!table(vec![with_error("nginx")]).good());
}
