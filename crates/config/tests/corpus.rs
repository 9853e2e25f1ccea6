//! Replays the fuzz corpus through the oracle of the fuzz target, and the examples and golden inputs
//! with it, so that the corpus need not hold them twice.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/oracles/config.rs"]
mod config;

#[test]
fn config_corpus() {
    replay("../../fuzz/corpus/config");
}

#[test]
fn examples_and_golden_inputs() {
    replay("../../config");
    replay("tests/golden");
}

/// Each prefix of a file is a file that somebody has not finished writing.
#[test]
fn unfinished_files() {
    for name in ["edge-full.toml", "edge-sni.toml", "apiserver-full.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config").join(name);
        let bytes = fs::read(path).unwrap();
        for end in (0..bytes.len()).step_by(7) {
            config::check(&bytes[..end]);
        }
    }
}

fn replay(folder: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display()); // the last one printed is the one that fails
        config::check(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "no corpus in {}", folder.display());
}
