//! Drills against the real program: under guards, one at a time, over at once where they have to be, felt by
//! nobody.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use common::{Edge, PATIENCE};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::wait::wait_until;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Further lines of a file whose drills are on.
const DRILLS: &str = "probe = { kind = \"tcp\", interval = \"1s\" }\n[admin]\ndrills = true\n";

/// Clients come one after another until the end; how many were served, and how many were not.
fn clients(address: SocketAddr, over: &AtomicBool) -> (u32, u32) {
    let served = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"?")?;
        stream.read_exact(&mut [0])
    };
    let (mut good, mut bad) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        match served() {
            Ok(()) => good += 1,
            Err(_) => bad += 1,
        }
    }
    (good, bad)
}

/// Ends the clients, however the test ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn verdict(edge: &Edge, name: &str) -> Value {
    let status = edge.ask(&["status"]);
    let endpoints = status["pools"][0]["endpoints"].as_array().unwrap();
    endpoints
        .iter()
        .find(|it| it["name"] == name)
        .map(|it| it["verdict"].clone())
        .unwrap_or_default()
}

/// An edge before two echoes, both up.
fn edge_before_two() -> (Edge, Endpoint) {
    let edge = Edge::start(DRILLS);
    edge.engine(1);
    let two = Endpoint::start("127.0.0.1:0".parse().unwrap(), Kind::Echo).unwrap();
    let (code, _, err) = edge.say(&["endpoint", "add", "web", &format!("{}=two", two.address())]);
    assert_eq!(code, Some(0), "{err}");
    wait_until(PATIENCE, "two to be up", || verdict(&edge, "two") == "up");
    (edge, two)
}

/// A command that goes on, and what it says at its end.
fn begin(edge: &Edge, words: &[&str]) -> Child {
    let socket = edge.scratch.path().join("edge.sock");
    let mut command = Command::new(common::PROGRAM);
    command.args(words).arg("--socket").arg(socket).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn().unwrap();
    wait_until(PATIENCE, "the drill", || edge.ask(&["status"])["drill"].is_object());
    child
}

#[test]
fn a_drill_is_felt_by_nobody_and_told_in_full() {
    let (edge, _two) = edge_before_two();
    let (address, over) = (edge.address, AtomicBool::new(false));
    let (report, (good, bad)) = std::thread::scope(|scope| {
        let clients = scope.spawn(|| clients(address, &over));
        let end = Over(&over);
        let words = ["drill", "refuse", "web/two", "--for", "1s", "--reason", "rehearsal"];
        let report = edge.ask(&words);
        drop(end);
        (report, clients.join().unwrap())
    });
    assert!(good > 50 && bad == 0, "{good} served, {bad} not");
    let met = &report["connections"];
    assert!(met["met"].as_u64().unwrap() > 0, "{report}");
    assert_eq!((&met["elsewhere"], &met["failed"]), (&met["met"], &json!(0)), "{report}");
    assert_eq!(
        (&report["of_pool"]["unserved"], &report["ended"]),
        (&json!(0), &json!("its time is over"))
    );
    let told: Vec<_> =
        report["verdicts"].as_array().unwrap().iter().map(|it| &it["verdict"]).collect();
    assert!(*told[0] == "up" && told.contains(&&json!("dead")), "{report}");
    assert_eq!((&report["reason"], &report["fault"]), (&json!("rehearsal"), &json!("refuse")));
    // In the log, the metrics, and for whoever asks later.
    let events = edge.events("drill");
    let on: Vec<_> = events.iter().map(|event| event["on"].clone()).collect();
    assert_eq!(on, [json!(true), json!(false)]);
    let page = edge.metrics();
    assert!(page.contains("eclusa_drills_total{fault=\"refuse\"} 1\n"), "{page}");
    assert!(page.contains("eclusa_drill_on 0\n"), "{page}");
    assert_eq!(edge.ask(&["drill", "show"]), report);
    wait_until(PATIENCE, "two to be up again", || verdict(&edge, "two") == "up");
}

#[test]
fn guards_hold_and_a_drill_ends_when_it_has_to() {
    let edge = Edge::start(DRILLS);
    edge.engine(1);
    wait_until(PATIENCE, "it to be up", || {
        verdict(&edge, &edge.echo.address().to_string()) == "up"
    });
    let said = |words: &[&str], code: i32, told: &str| {
        let (got, out, err) = edge.say(words);
        assert!(got == Some(code) && err.contains(told), "{words:?}: {got:?} {out}{err}");
    };
    let last = edge.name();
    said(&["drill", "freeze", &last, "--for", "5s"], 3, "without an endpoint");
    said(&["drill", "freeze", &last, "--for", "61s"], 2, "it must be from 1 to 60");
    said(&["drill", "slow", &last, "--for", "5s", "--by", "11s"], 2, "from 1 to 10000");
    said(&["drill", "freeze", "web/nobody", "--for", "5s"], 2, "no endpoint nobody");
    said(&["drill", "stop"], 1, "no drill to end");
    said(&["drill", "show"], 1, "no drill since");
    let two = Endpoint::start("127.0.0.1:0".parse().unwrap(), Kind::Echo).unwrap();
    said(&["endpoint", "add", "web", &format!("{}=two", two.address())], 0, "");
    wait_until(PATIENCE, "two to be up", || verdict(&edge, "two") == "up");
    // Whoever began it goes away: it stays, and is the only one.
    let long = ["drill", "slow", "web/two", "--by", "10ms", "--for", "60s"];
    let mut gone = begin(&edge, &long);
    gone.kill().unwrap();
    gone.wait().unwrap();
    assert_eq!(edge.ask(&["status"])["drill"]["endpoint"], "two");
    assert!(edge.metrics().contains("eclusa_drill_on 1\n"));
    said(&long, 3, "slow of web/two is on until");
    said(&["endpoint", "drain", &last], 3, "without an endpoint");
    said(&["drill", "stop", "--reason", "enough"], 0, "");
    assert_eq!(edge.ask(&["drill", "show"])["ended"], "ordered");
    // A reload ends it; so does another endpoint that falls.
    wait_until(PATIENCE, "two to be up", || verdict(&edge, "two") == "up");
    let waiting = begin(&edge, &[&long[..], &["--json"]].concat());
    said(&["reload"], 0, "");
    let told = waiting.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((told.status.code(), &report["ended"]), (Some(0), &json!("a reload")));
    edge.write(&edge.right(1, "probe = { kind = \"tcp\", interval = \"1s\" }\n"));
    said(&["reload"], 0, "");
    said(&long, 3, "`drills = true` in [admin]");
}

/// An endpoint that answers HTTP over connections that it keeps, and counts what it has answered.
fn answers(count: &Arc<AtomicU32>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::clone(count));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                for _ in lines.map_while(Result::ok).filter(String::is_empty) {
                    count.fetch_add(1, Ordering::Relaxed);
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    if (&stream).write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn connections_that_are_kept_are_no_way_around_a_drill() {
    let counts: [Arc<AtomicU32>; 2] = Default::default();
    let [one, two] = counts.each_ref().map(answers);
    let edge = Edge::start(DRILLS);
    edge.engine(1);
    let directory = edge.scratch.path().display();
    edge.write(&format!(
        "workers = 1\nrun_directory = \"{directory}\"\n[observe]\nlisten = [\"{}\"]\n\
         [admin]\ndrills = true\n[listener.web]\nlisten = [\"{}\"]\nhttp = true\npool = \"http\"\n\
         [pool.http]\nendpoints = [{{ address = \"{one}\" }}, {{ address = \"{two}\", name = \"two\" }}]\n\
         probe = {{ kind = \"tcp\", interval = \"1s\" }}\n",
        edge.observe, edge.address
    ));
    let (code, out, err) = edge.say(&["reload", "--force"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let mut stream = TcpStream::connect(edge.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut ask = || {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        let (mut line, mut status) = (String::new(), String::new());
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if status.is_empty() {
                line.clone_into(&mut status);
            }
        }
        reader.read_exact(&mut [0; 2]).unwrap();
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    };
    let up = || edge.ask(&["status"])["pools"][0]["endpoints"][1]["verdict"] == "up";
    wait_until(PATIENCE, "it to be up", up);
    (0..10).for_each(|_| ask());
    let answered = || counts[1].load(Ordering::Relaxed);
    assert!(answered() > 0, "both have kept connections");
    for fault in ["refuse", "freeze"] {
        let drill = begin(&edge, &["drill", fault, "http/two", "--for", "60s", "--json"]);
        let before = answered();
        (0..10).for_each(|_| ask());
        assert_eq!(answered(), before, "{fault}: nothing goes to it");
        assert_eq!(edge.say(&["drill", "stop"]).0, Some(0));
        let told = drill.wait_with_output().unwrap();
        let report: Value = serde_json::from_slice(&told.stdout).unwrap();
        assert!(report["connections"]["met"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(report["of_pool"]["unserved"], 0, "{report}");
        wait_until(PATIENCE, "it to be up", up);
    }
    assert!(answered() > 0);
}
