//! The end: SIGTERM lets sessions end by themselves, SIGINT does not wait.

use e2e::plain::{connect, echoes, hear, try_connect};
use e2e::product::{PATIENCE, Product, Program};
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::client::both_ways;
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::Signal;
use eclusa_testkit::wait::wait_until;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const ADDRESS: ([u8; 4], u16) = ([192, 168, 1, 2], 9000);

/// A cluster with an echo behind the edge.
fn stage() -> (Cluster, Endpoint) {
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let address = "10.0.1.100:9000".parse().unwrap();
    let echo = cluster.host("worker1").enter(|| Endpoint::start(address, Kind::Echo)).unwrap();
    (cluster, echo)
}

fn start(host: &Host, stop_deadline: &str) -> Product {
    let config = format!(
        "stop_deadline = \"{stop_deadline}\"\n[listener.long]\nlisten = [\"192.168.1.2:9000\"]\n\
         pool = \"long\"\n[pool.long]\nendpoints = [\"10.0.1.100:9000\"]\n"
    );
    Program::Edge.start(Some(host), &config)
}

#[test]
fn sigterm_lets_a_session_end_by_itself() {
    if skipped("sigterm_lets_a_session_end_by_itself") {
        return;
    }
    let (cluster, _echo) = stage();
    let client = cluster.host("outside1");
    let times = size(10, 1);
    let bytes: u64 = size(64 << 20, 4 << 20);
    let mut wrong = Vec::new();
    for _ in 0..times {
        let mut edge = start(&cluster.host("edge"), "25s");
        let stream = connect(&client, SocketAddr::from(ADDRESS));
        assert!(echoes(&stream, b"half way"));
        edge.signal(Signal::TERM).unwrap();
        edge.wait_for_event(PATIENCE, "stopping", |event| event["event"] == "stopping");
        wait_until(PATIENCE, "the listener to close", || {
            try_connect(&client, SocketAddr::from(ADDRESS), PATIENCE).is_err()
        });
        assert!(edge.exit_status().is_none(), "a session stands");
        let back = both_ways(&stream, 7, bytes);
        drop(stream);
        let begun = Instant::now();
        let status = edge.wait_exit(PATIENCE);
        let records = edge.sessions();
        // Those that only looked whether it still listens have said nothing.
        let carried: Vec<_> = records.iter().filter(|one| one["bytes"]["up"] != 0).collect();
        let clean = carried.len() == 1 && carried[0]["letters"] == "--";
        if back.as_ref().ok() != Some(&bytes) || !clean || status.code() != Some(0) {
            wrong.push(format!("{back:?}, {status}, {carried:?}"));
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "it ends with the last session");
    }
    Item::new("2.6.1 SIGTERM with a session half way")
        .bound("no new connections, the session gets all its bytes and ends with `--`, exit code 0")
        .n(times)
        .record(wrong.is_empty(), wrong_of(times, &wrong));
}

#[test]
fn a_session_that_does_not_end_is_reset_at_the_deadline() {
    if skipped("a_session_that_does_not_end_is_reset_at_the_deadline") {
        return;
    }
    let (cluster, _echo) = stage();
    let mut edge = start(&cluster.host("edge"), "1s");
    let stream = connect(&cluster.host("outside1"), SocketAddr::from(ADDRESS));
    assert!(echoes(&stream, b"I stay"));
    let begun = Instant::now();
    edge.signal(Signal::TERM).unwrap();
    let status = edge.wait_exit(PATIENCE);
    let took = begun.elapsed();
    assert_eq!(hear(&stream).unwrap(), b"");
    let record = &edge.sessions()[0];
    let in_time = (Duration::from_secs(1)..Duration::from_secs(4)).contains(&took);
    Item::new("2.6.2 SIGTERM with a session that stays, stop_deadline 1 s")
        .bound("reset at the deadline, `KD` by the operator, exit code 0")
        .record(
            in_time && status.code() == Some(0) && ends_by_operator(record),
            format!("{} ms, {status}, letters {}", took.as_millis(), record["letters"]),
        );
}

#[test]
fn sigint_ends_at_once() {
    if skipped("sigint_ends_at_once") {
        return;
    }
    let (cluster, _echo) = stage();
    let mut edge = start(&cluster.host("edge"), "25s");
    let stream = connect(&cluster.host("outside1"), SocketAddr::from(ADDRESS));
    assert!(echoes(&stream, b"I stay"));
    let begun = Instant::now();
    edge.signal(Signal::INT).unwrap();
    let status = edge.wait_exit(PATIENCE);
    let took = begun.elapsed();
    assert_eq!(hear(&stream).unwrap(), b"");
    let record = &edge.sessions()[0];
    Item::new("2.6.3 SIGINT")
        .bound("ends within 2 s whatever stands, `KD` by the operator, exit code 0")
        .record(
            took < Duration::from_secs(2) && status.code() == Some(0) && ends_by_operator(record),
            format!("{} ms, {status}, letters {}", took.as_millis(), record["letters"]),
        );
}

fn ends_by_operator(record: &serde_json::Value) -> bool {
    record["letters"] == "KD" && record["ended_by"] == "operator"
}
