//! The command line, by running it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;
use std::process::{Command, Output};

fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_eclusa-edge"));
    let Output { status, stdout, stderr } = program.args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn help_shows_a_file_that_is_right() {
    let (code, help, _) = output(&["--help"]);
    assert_eq!(code, Some(0));
    let start = help.find("  [listener.web]").unwrap();
    let end = help.find("docs/configuration.md").unwrap();
    let path = std::env::temp_dir().join(format!("eclusa-help-{}.toml", std::process::id()));
    std::fs::write(&path, &help[start..end]).unwrap();
    let (code, out, err) = output(&["check", "-c", path.to_str().unwrap()]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.ends_with(": ok (1 listener, 1 endpoint)\n"), "{out}");
}

#[test]
fn examples_are_right() {
    for name in ["edge-minimal", "edge-full", "edge-sni", "edge-tcp"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let path = folder.join(format!("{name}.toml"));
        let (code, _, err) = output(&["check", "--offline", "-c", path.to_str().unwrap()]);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{name}");
    }
}

#[test]
fn a_missing_file_ends_with_2() {
    for command in ["run", "check"] {
        let (code, _, err) = output(&[command, "-c", "/nowhere/edge.toml"]);
        assert_eq!(code, Some(2));
        assert!(err.starts_with("/nowhere/edge.toml: error: cannot be read"), "{err}");
    }
}

#[test]
fn a_drop_in_is_printed_for_a_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/edge-sni.toml");
    let file = path.to_str().unwrap();
    let (code, out, err) = output(&["drop-in", "-c", file]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("\n[Service]\n") && out.contains("\nIPAddressDeny=10.0.0.0/8 "), "{out}");
    assert!(err.contains("eclusa-edge: clients with private addresses are dropped"), "{err}");
    let (code, out, _) = output(&["drop-in", "-c", file, "--clients", "192.168.1.0/24"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("\nIPAddressDeny=any\n"), "{out}");
    assert!(out.contains("\nIPAddressAllow=192.168.1.0/24\n"), "{out}");
    let (code, out, err) = output(&["drop-in", "-c", file, "--clients", "192.168.1.7/24"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("the network is 192.168.1.0/24"), "{err}");
    assert_eq!(output(&["drop-in", "-c", "/nowhere/edge.toml"]).0, Some(2));
}

#[test]
fn what_the_book_runs_offline_succeeds() {
    let binary = Path::new(env!("CARGO_BIN_EXE_eclusa-edge"));
    eclusa_testkit::book::offline_commands_run(binary, 6);
}
