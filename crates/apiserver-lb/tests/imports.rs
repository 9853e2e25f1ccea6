//! `import`, by running it: what leads to the masters, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;
use std::process::{Command, Output};

fn import(name: &str) -> (Option<i32>, String, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../haproxy-import/tests");
    let mut program = Command::new(env!("CARGO_BIN_EXE_eclusa-apiserver"));
    let Output { status, stdout, stderr } =
        program.arg("import").arg(folder.join(name)).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn masters_are_carried_over() {
    let (code, toml, report) = import("cfg/010.cfg");
    assert_eq!(code, Some(0), "{report}");
    assert!(toml.contains("{ name = \"master1\", address = \"10.0.1.11\" }"), "{toml}");
}

#[test]
fn what_only_the_edge_can_do_is_refused_and_says_so() {
    let (code, toml, report) = import("lines/apiserver-masters.cfg");
    assert_eq!(code, Some(1), "{report}");
    assert!(toml.contains("ports = [6443, 9345]"), "{toml}");
    assert!(report.contains("only eclusa-edge does this"), "{report}");
    let (code, _, report) = import("lines/apiserver-nothing.cfg");
    assert_eq!(code, Some(1));
    assert!(report.contains("this is nothing for eclusa-apiserver"), "{report}");
    assert!(report.contains("is missing") || report.contains("masters"), "{report}");
}
