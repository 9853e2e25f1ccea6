//! The report's choices, on made-up samples.

use super::*;
use crate::meter::{Memory, Sockets};
use crate::setup::Setup;
use std::path::Path;

/// A second in which the candidate took `candidate` seconds for 100 units.
fn sample(candidate: f64) -> Sample {
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
        memory: Memory { resident: 1000, peak: 2000 },
        sockets: Sockets::default(),
        charged: None,
        charged_busy: None,
    }
}

fn row(file: &str, samples: Vec<Option<Sample>>) -> Row {
    let setup = Setup::of_template(Path::new(file)).unwrap_or_else(Setup::direct);
    Row::new(&setup, samples, Vec::new())
}

fn table(rows: Vec<Row>) -> Table {
    let case = Case {
        name: "c".into(),
        description: String::new(),
        topology: crate::case::Topology::Chain,
        work: crate::case::Work::PingPong,
        unit: Unit::RoundTrip,
        http: None,
        variants: Vec::new(),
        templates: Vec::new(),
    };
    Table::new(&case, &Variant { connections: 1 }, rows)
}

fn steady(file: &str, candidate: f64) -> Row {
    row(file, vec![Some(sample(candidate)), Some(sample(candidate))])
}

#[test]
fn the_better_setup_of_a_candidate_counts() {
    let table = table(vec![
        steady("haproxy.cfg", 0.75),
        steady("haproxy-tuned.cfg", 1.0),
        steady("haproxy-tuned.splice-auto.cfg", 0.5),
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
        row("eclusa.toml", vec![Some(sample(0.4)), Some(sample(0.8)), None]),
        row("haproxy.cfg", vec![Some(sample(0.8)), Some(sample(1.6)), Some(sample(0.1))]),
        steady("nginx.conf", 0.4),
    ]);
    let ratios: Vec<_> =
        table.comparisons.iter().map(|c| (c.peer.as_str(), c.cpu.median)).collect();
    assert_eq!(ratios, [("nginx", 1.5), ("haproxy", 0.5)]);
}

#[test]
fn the_null_test_has_no_processor_time_of_its_own_and_is_no_peer() {
    let table = table(vec![steady("direct", 0.0), steady("eclusa.toml", 0.5)]);
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
        |file: &str, sample: Sample| table(vec![row(file, vec![Some(sample)])]).warnings.join("\n");
    assert!(warned("nginx.conf", broken).starts_with("ERRORS: nginx: 3, the first: reset"));
    assert!(warned("nginx.conf", stalled).starts_with("STALLED: nginx"));
    assert!(warned("nginx.conf", held_back).starts_with("GENERATOR LIMIT: nginx"));
    assert!(warned("nginx.conf", disturbed).starts_with("DISTURBED: other processes took 1.10"));
    assert_eq!(warned("nginx.conf", sample(0.5)), "");
    let near = table(vec![steady("direct", 0.0), steady("nginx.conf", 0.5)]);
    assert!(near.warnings.join("\n").starts_with("NULL TEST: nginx"));
}

#[test]
fn a_failed_round_and_an_error_make_a_report_not_good() {
    let report = |rows| Report { facts: Vec::new(), tables: vec![table(rows)] };
    assert!(report(vec![steady("nginx.conf", 0.5)]).good());
    let mut failed = steady("nginx.conf", 0.5);
    failed.failures.push("round 1: ended".into());
    let failed = report(vec![failed]);
    assert!(!failed.good());
    assert!(failed.tables[0].warnings[0].starts_with("FAILED: nginx: round 1"));
}
