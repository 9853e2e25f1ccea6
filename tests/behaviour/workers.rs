//! Few long sessions are spread over the workers by design, not by the kernel's luck.

use e2e::plain::{connect, echoes};
use e2e::product::{Product, Program};
use e2e::proof::{Item, median, size};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Shape, skipped};

const SESSIONS: usize = 30;
const CONFIG: &str = r#"
workers = 2
[listener.long]
listen = ["192.168.1.2:9000"]
pool = "long"
[pool.long]
endpoints = ["10.0.1.100:9000"]
"#;

/// Sessions on the first of two workers when 30 stand at once.
fn on_the_first(cluster: &Cluster) -> usize {
    let edge = Program::Edge.start(Some(&cluster.host("edge")), CONFIG);
    let client = cluster.host("outside1");
    let connect = || connect(&client, "192.168.1.2:9000".parse().unwrap());
    let standing: Vec<_> = (0..SESSIONS).map(|_| connect()).collect();
    assert!(standing.iter().all(|stream| echoes(stream, b"standing")));
    drop(standing);
    let records = edge.wait_sessions(SESSIONS, "all records", |_| true);
    assert_eq!(records.len(), SESSIONS);
    let first = |record: &&serde_json::Value| Product::worker_of(record, 2).unwrap() == 0;
    records.iter().filter(first).count()
}

#[test]
fn thirty_long_sessions_are_spread() {
    if skipped("thirty_long_sessions_are_spread") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let address = "10.0.1.100:9000".parse().unwrap();
    let _echo = cluster.host("worker1").enter(|| Endpoint::start(address, Kind::Echo)).unwrap();
    let runs = size(100, 5);
    let first: Vec<_> = (0..runs).map(|_| on_the_first(&cluster)).collect();
    let away: Vec<_> = first.iter().map(|first| first.abs_diff(SESSIONS / 2)).collect();
    let kept = away.iter().filter(|away| **away <= 3).count();
    Item::new("5.1 30 long sessions on two workers")
        .bound("15 ± 3 each in every run")
        .n(runs)
        .worst(format!("15 ± {}", away.iter().max().unwrap()))
        .median(format!("15 ± {}", median(&away).unwrap()))
        .record(kept == runs, format!("{kept} of {runs} runs"));
}
