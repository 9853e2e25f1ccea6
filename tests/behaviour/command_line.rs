//! `check` and `run` with a wrong file.

use e2e::plain::try_connect;
use e2e::product::{PATIENCE, Program};
use e2e::proof::Item;
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use std::time::Duration;

/// Mistakes of each kind that the issue names, with the place and words of each.
const BROKEN: &str = r#"upstreams_within = ["10.0.0.0/33"]
workers = "two"

[listener.web]
listen = ["192.168.1.2:443", "192.168.1.2:0"]
pool = "wbe"
spool = "web"

[listener.again]
listen = ["192.168.1.2:443"]
pool = "web"
peek = "none"
[[listener.again.route]]
server_name = ["shop.test"]
pool = "web"

[pool.web]
endpoints = ["10.0.1.100:443", "10.0.1.100:443"]

[pool.empty]
endpoints = []
"#;

const MISTAKES: [(&str, &str); 9] = [
    (":1:21: error: ", "10.0.0.0/33"),
    (":2:11: error: ", "workers"),
    (":5:30: error: ", "port"),
    (":6:8: error: ", "wbe"),
    (":7:1: error: unknown key `spool`", "spool"),
    (":10:11: error: ", "192.168.1.2:443"),
    (":12:8: error: ", "ClientHello"),
    (":18:32: error: ", "same address"),
    (":21:13: error: ", "endpoint"),
];

#[test]
fn check_tells_all_mistakes_with_their_places() {
    let (output, path) = Program::Edge.check(BROKEN, &["--offline"]);
    let text = String::from_utf8(output.stderr).unwrap();
    let path = path.display();
    let told = |(place, word): &&(&str, &str)| {
        let start = format!("{path}{place}");
        text.lines().any(|line| line.starts_with(&start) && line.contains(word))
    };
    let missing: Vec<_> = MISTAKES.iter().filter(|mistake| !told(mistake)).collect();
    assert!(missing.is_empty(), "{missing:?} not in:\n{text}");
    assert!(text.matches("  remedy: ").count() >= MISTAKES.len() && text.contains("^"), "{text}");
    let count = text.trim_end().lines().last().unwrap_or_default();
    let exactly = format!(": {} errors", MISTAKES.len());
    Item::new("2.5.1 check on a file with nine mistakes")
        .bound("all told at once with line, column and remedy; exit code 2")
        .n(MISTAKES.len())
        .record(
            output.status.code() == Some(2) && count.ends_with(&exactly),
            format!("{}, {} mistakes told", output.status, MISTAKES.len() - missing.len()),
        );
}

#[test]
fn run_with_a_wrong_file_listens_nowhere() {
    if skipped("run_with_a_wrong_file_listens_nowhere") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let host = cluster.host("edge");
    // The first listener is right; it must not listen either.
    let mut edge = Program::Edge.launch(Some(&host), BROKEN);
    let status = edge.wait_exit(PATIENCE);
    let address = "192.168.1.2:443".parse().unwrap();
    let connected = try_connect(&host, address, Duration::from_secs(1)).is_ok();
    let lines = edge.stderr_lines();
    let told = lines.iter().any(|line| line.contains("unknown key `spool`"));
    let listened = edge.events().iter().any(|event| event["event"] == "listening");
    Item::new("2.5.2 run with the same file")
        .bound("exit code 2, the same mistakes, no listener")
        .record(
            status.code() == Some(2) && told && !connected && !listened,
            format!("{status}, connected: {connected}, listened: {listened}"),
        );
}
