//! The binary eclusa-fake as tests use it: started, asked, frozen, killed, ended by signals.

use eclusa_testkit::apiserver::send_command;
use eclusa_testkit::ca::Ca;
use eclusa_testkit::client::{Client, Target, download, upload, who_answers};
use eclusa_testkit::process::Scratch;
use eclusa_testkit::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

/// A running fake, killed when dropped.
struct Fake {
    child: Child,
    out: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Fake {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_eclusa-fake"))
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line).expect("a line of JSON");
        let address = ready["address"].as_str().and_then(|text| text.parse().ok());
        Self { child, out, address: address.expect("an address") }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the child is there");
    }

    /// Waits for its end; its exit code and what it has printed since it was ready.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("text");
        (self.child.wait().expect("the child's end").code(), rest)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_apiserver_can_be_frozen_told_and_ended() {
    let scratch = Scratch::new("fake").unwrap();
    let directory = scratch.path().join("ca");
    let ca = Ca::new();
    ca.write(&directory).unwrap();
    let control = scratch.path().join("control");
    let mut fake = Fake::start(&[
        "apiserver",
        "--name=m1",
        "--san=kubernetes",
        "--ca",
        directory.to_str().unwrap(),
        "--control",
        control.to_str().unwrap(),
        "--shutdown-delay=300ms",
    ]);
    let target = Target::new(fake.address, "kubernetes", &ca);
    assert_eq!(who_answers(&target, "/readyz", LIMIT).unwrap().master, "m1");
    send_command(&control, "readyz 503").unwrap();
    assert_eq!(who_answers(&target, "/readyz", LIMIT).unwrap().status, 503);
    send_command(&control, "heal").unwrap();

    fake.signal(Signal::STOP);
    let failed = who_answers(&target, "/readyz", Duration::from_millis(200)).unwrap_err();
    assert_eq!(failed.outcome.to_string(), "timeout");
    fake.signal(Signal::CONT);
    assert_eq!(who_answers(&target, "/readyz", LIMIT).unwrap().status, 200);

    let kubelet = Client::kubelet(&target, 100.0, LIMIT).unwrap();
    kubelet.wait_for_more(5, LIMIT);
    fake.signal(Signal::TERM);
    wait_until(LIMIT, "a failing readyz", || {
        who_answers(&target, "/readyz", LIMIT).is_ok_and(|who| who.status == 500)
    });
    assert_eq!(fake.end().0, Some(0));
    assert!(!control.exists(), "the control socket has gone");
    drop(kubelet);
}

#[test]
fn a_killed_apiserver_is_gone_at_once() {
    let fake = Fake::start(&["apiserver", "--name=m1", "--fault=status 500"]);
    let target = Target::plain(fake.address);
    assert_eq!(who_answers(&target, "/api", LIMIT).unwrap().status, 500);
    fake.signal(Signal::KILL);
    wait_until(LIMIT, "a refusal", || {
        who_answers(&target, "/api", LIMIT)
            .is_err_and(|failed| failed.outcome.to_string() == "refused")
    });
}

#[test]
fn endpoints_run_from_the_command_line() {
    let source = Fake::start(&["source", "--seed=3", "--bytes=100000"]);
    assert_eq!(download(TcpStream::connect(source.address).unwrap(), 3).unwrap(), 100_000);
    let sink = Fake::start(&["sink", "--seed=3"]);
    let report = upload(&TcpStream::connect(sink.address).unwrap(), 3, 1000).unwrap();
    assert_eq!((report.bytes, report.difference), (1000, None));
    let mut recorder = Fake::start(&["recorder"]);
    let mut tcp = TcpStream::connect(recorder.address).unwrap();
    tcp.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello").unwrap();
    tcp.read_exact(&mut [0; 5]).unwrap();
    recorder.signal(Signal::TERM);
    let (code, printed) = recorder.end();
    assert_eq!(code, Some(0));
    let recorded: Value = serde_json::from_str(printed.trim()).unwrap();
    assert_eq!(recorded["header"]["source"], "192.0.2.1:1");
}

#[test]
fn mistakes_are_told_in_words() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_eclusa-fake")).args(args).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let error = run(&["echo", "--ca=/nonexistent"]);
    assert!(error.contains("eclusa-fake ca /nonexistent"), "{error}");
    let error = run(&["apiserver", "--name=m1", "--fault=fly"]);
    assert!(error.contains("no fault is called `fly`"), "{error}");
    let error = run(&["apiserver", "--name=m1", "--grace=long"]);
    assert!(error.contains("`long` is no duration"), "{error}");
}
