//! The commands against a real socket: requests, output, exit codes.

use super::*;
use crate::admin::client::{self, AdminCommand, answer_of};
use clap::{CommandFactory, Parser};
use std::fs;
use std::os::unix::net::UnixListener;

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: AdminCommand,
}

fn parsed(arguments: &[&str]) -> Result<AdminCommand, clap::Error> {
    let all = ["eclusa-apiserver"].iter().chain(arguments);
    Cli::try_parse_from(all).map(|cli| cli.command)
}

fn answer(arguments: &[&str]) -> (String, String, u8) {
    let (target, request) = parsed(arguments).unwrap().into_request();
    answer_of(PROGRAM, &target, &request, false)
}

/// A command with `--socket` of the program that runs.
fn at(running: &Running, arguments: &[&str]) -> (String, String, u8) {
    let path = running.path();
    answer(&[arguments, &["--socket", path.to_str().unwrap()]].concat())
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn commands_become_requests_and_outcomes_exit_codes() {
    let running = Running::new(Patience::default());
    for (arguments, words, code, out, err) in [
        (
            &["reload"][..],
            "reload",
            3,
            "",
            "the file has 1 of 3 endpoints: --force if that is meant\n",
        ),
        (&["reload", "--force"], "reload --force", 0, "pool a: gone\n", ""),
        (
            &["endpoint", "drain", "apiserver/m1", "--for", "2h", "--reason", "new kernel"],
            "endpoint drain apiserver/m1 for 2h: new kernel",
            0,
            "apiserver/m1: as you say\n",
            "",
        ),
        (
            &["endpoint", "maint", "web/m1", "--force"],
            "endpoint maint web/m1 --force",
            2,
            "",
            "no pool `web`\n",
        ),
        (
            &["endpoint", "ready", "apiserver/m1"],
            "endpoint ready apiserver/m1",
            0,
            "apiserver/m1: as you say\n",
            "",
        ),
        (
            &["endpoint", "weight", "apiserver/[fd00::1]:6443", "20", "--for", "90s"],
            "endpoint weight apiserver/[fd00::1]:6443 20 for 90s",
            0,
            "apiserver/m1: as you say\n",
            "",
        ),
        (
            &["endpoint", "reset", "apiserver/m1"],
            "endpoint reset apiserver/m1",
            0,
            "apiserver/m1: as you say\n",
            "",
        ),
        (
            &["session", "close", "7-1", "7-2"],
            "session close 7-1 and 1 more",
            0,
            "closed 2 sessions\n",
            "",
        ),
        (
            &["session", "close", "--client", "10.0.0.9/24", "--endpoint", "m1"],
            "session close endpoint m1 client 10.0.0.0/24",
            0,
            "closed 2 sessions\n",
            "",
        ),
        (&["session", "show", "7-9"], "session show 7-9", 1, "", "no session 7-9: it has ended\n"),
    ] {
        becomes(&running, arguments, words, (code, out, err));
    }
}

/// A command is asked as this request, and ends so.
fn becomes(running: &Running, arguments: &[&str], words: &str, end: (u8, &str, &str)) {
    let (code, out, err) = end;
    let got = at(running, arguments);
    assert_eq!(got, (out.to_owned(), err.to_owned(), code), "{arguments:?}");
    let seen = running.seen.lock().unwrap();
    assert_eq!(seen.requests.last().unwrap().0.words(), words);
}

#[test]
fn so_do_those_that_change_the_configuration() {
    let running = Running::new(Patience::default());
    let done = "apiserver/m1: as you say\n";
    for (arguments, words, out) in [
        (
            &["reload", "--force", "--confirm", "2m", "--reason", "new route"][..],
            "reload --force --confirm 2m: new route",
            "pool a: gone\n",
        ),
        (&["confirm"], "confirm", done),
        (&["rollback", "--force", "--reason", "no way"], "rollback --force: no way", done),
        (
            &["endpoint", "add", "web", "10.0.0.9:80", "a.test:80=nine", "--weight", "3"],
            "endpoint add web 10.0.0.9:80 a.test:80=nine --weight 3",
            done,
        ),
        (
            &["endpoint", "remove", "web/nine", "--force", "--reason", "old"],
            "endpoint remove web/nine --force: old",
            done,
        ),
    ] {
        becomes(&running, arguments, words, (0, out, ""));
    }
}

#[test]
fn questions_are_answered_for_people_and_for_programs() {
    let running = Running::new(Patience::default());
    let (text, err, code) = at(&running, &["status"]);
    assert_eq!((err.as_str(), code), ("", 0));
    assert!(text.starts_with("eclusa-apiserver 0.1.0, pid 4711"), "{text}");
    let (json, _, code) = at(&running, &["status", "--json"]);
    assert_eq!(code, 0);
    let report: StatusReport = serde_json::from_str(&json).unwrap();
    assert_eq!(report, pages::report());
    at(&running, &["status", "apiserver"]);
    let of = Request::Status(StatusOf { pool: Some("apiserver".to_owned()) });
    assert_eq!(running.seen.lock().unwrap().requests.last().unwrap().0, of);
    let list = ["session", "list", "--pool", "apiserver", "--sort", "idle", "--limit", "2"];
    let (text, _, code) = at(&running, &list);
    assert_eq!(code, 0);
    assert!(text.ends_with("2 of 3 sessions (--limit shows more)\n"), "{text}");
    let (json, _, _) = at(&running, &["session", "show", "7-1", "--json"]);
    let shown: Session = serde_json::from_str(&json).unwrap();
    assert_eq!(shown.id, "7-1");
    // What went wrong is no data.
    let (json, err, code) = at(&running, &["session", "show", "7-9", "--json"]);
    assert_eq!((json.as_str(), code), ("", 1));
    assert!(!err.is_empty());
}

#[test]
fn wrong_commands_are_told_before_anybody_is_asked() {
    for arguments in [
        &["endpoint", "drain", "m1"][..],
        &["endpoint", "drain", "a/m1", "--for", "2"],
        &["endpoint", "drain", "a/m1", "--for", "10ms"],
        &["endpoint", "weight", "a/m1"],
        &["session", "close"],
        &["reload", "--confirm"],
        &["endpoint", "add", "a"],
        &["endpoint", "remove", "a"],
        &["reload", "--confirm", "0s"],
        &["events", "--since", "yesterday"],
        &["session", "close", "1", "--pool", "a"],
        &["session", "list", "--client", "kubernetes"],
        &["session", "list", "--sort", "colour"],
        &["status", "--socket", "/a", "--config", "/b"],
    ] {
        let error = parsed(arguments).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
    }
    let (_, err, code) = answer(&["endpoint", "weight", "a/m1", "0", "--socket", "/nonexistent"]);
    assert_eq!((err.as_str(), code), ("`weight` is 0; it must be from 1 to 256\n", 2));
}

#[test]
fn a_program_that_is_not_there_is_told_as_that() {
    let scratch = Scratch::new("nobody").unwrap();
    let path = scratch.path().join("apiserver.sock");
    let socket = path.to_str().unwrap();
    let (out, err, code) = answer(&["reload", "--socket", socket]);
    assert_eq!((out.as_str(), code), ("", 1));
    assert!(err.contains(&format!("no socket at {socket}")), "{err}");
    assert!(err.contains("Does it run (systemctl status eclusa-apiserver)?"), "{err}");
    // Of an instance that was killed.
    drop(UnixListener::bind(&path).unwrap());
    let (_, err, code) = answer(&["reload", "--socket", socket]);
    assert_eq!(code, 1);
    assert!(err.contains(&format!("nobody listens at {socket}")), "{err}");
}

#[test]
fn the_socket_is_found_by_the_configuration() {
    let running = Running::new(Patience::default());
    let directory = running.scratch.path().display().to_string();
    let ask = |text: &str| {
        let file = running.scratch.write("a.toml", text).unwrap();
        answer(&["session", "list", "-c", file.to_str().unwrap()])
    };
    assert_eq!(ask(&format!("run_directory = \"{directory}\"\nmasters = 7\n")).2, 0);
    assert_eq!(ask(&format!("[admin]\nsocket = \"{directory}/apiserver.sock\"\n")).2, 0);
    let (_, err, code) = ask("[admin]\nsocket = \"/nonexistent/a.sock\"\n");
    assert_eq!(code, 1);
    assert!(err.contains("no socket at /nonexistent/a.sock"), "{err}");
    let (_, err, code) = ask("admin = false\n");
    assert_eq!(code, 1);
    assert!(err.contains("SIGHUP reloads"), "{err}");
    let (_, err, code) = answer(&["status", "-c", "/nonexistent/a.toml"]);
    assert_eq!(code, 2);
    assert!(err.starts_with("/nonexistent/a.toml: "), "{err}");
}

/// Whatever answers, the client ends, and says what it met.
#[test]
fn strange_answers_are_told() {
    for (said, told) in [
        (&b""[..], "without an answer"),
        (b"{\"v\":1", "within its answer"),
        (b"hello\n", "no JSON"),
        (b"{\"v\":2,\"what\":\"ever\"}\n", "it speaks version 2 of the protocol"),
        (b"{\"v\":1,\"outcome\":\"maybe\"}\n", "not understood"),
        (b"{\"v\":1,\"outcome\":\"done\",\"data\":7}\n", "not understood"),
    ] {
        let scratch = Scratch::new("strange").unwrap();
        let path = scratch.path().join("apiserver.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let said = said.to_vec();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            stream.write_all(&said).unwrap();
        });
        let (out, err, code) = answer(&["status", "--socket", path.to_str().unwrap()]);
        answering.join().unwrap();
        assert_eq!((out.as_str(), code), ("", 1));
        assert!(err.contains(told), "{err}");
    }
}

#[test]
fn a_message_cannot_move_the_cursor() {
    let scratch = Scratch::new("cursor").unwrap();
    let path = scratch.path().join("apiserver.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let line = "{\"v\":1,\"outcome\":\"failed\",\"messages\":[\"\\u001b[2J\\nx\"]}\n";
        // The request may not be read: whoever is turned away reads an answer all the same.
        stream.write_all(line.as_bytes()).unwrap();
    });
    let (_, err, code) = answer(&["reload", "--socket", path.to_str().unwrap()]);
    answering.join().unwrap();
    assert_eq!((err.as_str(), code), ("\u{fffd}[2J\u{fffd}x\n", 1));
}

#[test]
fn the_help_of_every_command_tells_its_exit_codes() {
    let mut waiting = vec![Cli::command()];
    let mut leaves = 0;
    while let Some(mut command) = waiting.pop() {
        let below: Vec<_> = command.get_subcommands().cloned().collect();
        if below.is_empty() {
            let help = command.render_long_help().to_string();
            assert!(help.contains(client::EXIT_CODES), "{help}");
            leaves += 1;
        }
        waiting.extend(below);
    }
    assert_eq!(leaves, 23);
}

#[test]
fn a_socket_of_others_says_whose_it_is() {
    let running = Running::new(Patience::default());
    fs::set_permissions(running.path(), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    if !rustix::process::getuid().is_root() {
        return; // Only root can become somebody else.
    }
    let test = "admin::tests::commands::as_somebody_else";
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]);
    command.env("ADMIN_SOCKET", running.path());
    // The binary may lie where others cannot look: it is opened before.
    let child = command.output().unwrap();
    let out = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && out.contains("1 passed"), "{out}");
}

#[test]
#[ignore = "a part of the test before, which gives it a process of its own"]
fn as_somebody_else() {
    let path = std::env::var("ADMIN_SOCKET").unwrap();
    let nobody = rustix::process::Uid::from_raw(65_534);
    rustix::thread::set_thread_uid(nobody).unwrap();
    let (_, err, code) = answer(&["status", "--socket", &path]);
    assert_eq!(code, 1);
    assert!(err.contains("may not use") && err.contains("which is root's"), "{err}");
    assert!(err.contains("mode 0600"), "{err}");
}
