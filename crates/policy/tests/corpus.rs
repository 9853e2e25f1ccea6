//! Replays the fuzz corpora through the oracles of the fuzz targets.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/oracles/policy.rs"]
mod policy;

#[test]
fn route_corpus() {
    replay("route", policy::check_route);
}

#[test]
fn condition_corpus() {
    replay("condition", policy::check_condition);
}

fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display()); // the last one printed is the one that fails
        check(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "no corpus in {}", folder.display());
}
