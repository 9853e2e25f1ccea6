//! The command line, by running it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_eclusa-apiserver"))
}

fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = program().args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn example(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config").join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn help_and_version() {
    let (code, help, _) = output(&["--help"]);
    assert_eq!(code, Some(0));
    for word in ["masters = [", "Exit codes:", "SIGTERM", "/etc/eclusa/apiserver.toml"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    let (code, version, _) = output(&["--version"]);
    assert_eq!(
        (code, version),
        (Some(0), format!("eclusa-apiserver {}\n", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn check_counts_what_is_there() {
    let file = example("apiserver-minimal.toml");
    let (code, out, err) = output(&["check", "-c", &file]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out, format!("{file}: ok (1 listener, 3 endpoints)\n"));
    // The example of the other program.
    let (code, out, err) = output(&["check", "--offline", "-c", &example("edge-minimal.toml")]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("unknown key `listener`") && err.ends_with("errors\n"), "{err}");
}

#[test]
fn wrong_command_lines_end_with_2() {
    let wrong: [&[&str]; 5] = [
        &[],
        &["balance"],
        &["run", "--listen", "127.0.0.1:6443"],
        &["run", "-c", "file", "--master", "10.0.0.11"],
        &["run", "--master", "10.0.0.300"],
    ];
    for arguments in wrong {
        let (code, _, err) = output(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {err}");
        assert!(!err.is_empty(), "{arguments:?}");
    }
    let (_, _, err) = output(&["run", "--master", "10.0.0.300"]);
    assert!(err.starts_with("command line:1:31: error: `10.0.0.300` is no address\n"), "{err}");
    assert!(err.contains("run --master 10.0.0.300\n"), "{err}");
}

#[test]
fn a_run_from_options_listens_until_sigterm() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut child = program()
        .args(["run", "--listen", &free, "--master", "127.0.0.1:9"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut seen = Vec::new();
    while !seen.iter().any(|line: &String| line.contains("\"ready\"")) {
        seen.push(lines.next().expect("it says when it is ready").unwrap());
    }
    TcpStream::connect(&free).unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    seen.extend(lines.map(Result::unwrap));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let all = seen.join("\n");
    assert!(all.contains("command line:1:") && all.contains("one master"), "{all}");
}

#[test]
fn commands_for_a_running_program_tell_that_there_is_none() {
    let nowhere = ["--socket", "/nonexistent/a.sock"];
    for command in [
        &["reload"][..],
        &["status", "--json"],
        &["session", "list"],
        &["endpoint", "drain", "apiserver/10.0.0.11", "--for", "2h", "--reason", "new kernel"],
    ] {
        let (code, out, err) = output(&[command, &nowhere].concat());
        assert_eq!((code, out.as_str()), (Some(1), ""), "{command:?}");
        let told = "eclusa-apiserver does not answer:\n  no socket at /nonexistent/a.sock\n";
        assert!(err.starts_with(told), "{err}");
    }
    let (code, _, err) = output(&["endpoint", "drain", "10.0.0.11"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("write POOL/NAME"), "{err}");
}

#[test]
fn what_the_book_runs_offline_succeeds() {
    let binary = Path::new(env!("CARGO_BIN_EXE_eclusa-apiserver"));
    eclusa_testkit::book::offline_commands_run(binary, 2);
}
