//! PostgreSQL through a TCP pool, with psql.

use e2e::product::Program;
use e2e::proof::{Item, size};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::Peer;
use std::io::Write;
use std::process::{Output, Stdio};

/// The example as it is shipped.
const CONFIG: &str = include_str!("../../config/edge-tcp.toml");
const URL: &str = "postgresql://postgres@192.168.1.2/postgres?connect_timeout=5";

/// Runs one command; `input` is what COPY reads.
fn psql(host: &Host, sql: &str, input: &[u8]) -> Output {
    let mut command = host.command("psql");
    command.args([URL, "-Atqc", sql]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // It may end without having read all.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    })
}

#[test]
fn psql_works_through_a_tcp_pool() {
    if skipped("psql_works_through_a_tcp_pool") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let _postgres = Peer::postgres(Some(&cluster.host("worker1")), 5432, "").unwrap();
    let edge = Program::Edge.start(Some(&cluster.host("edge")), CONFIG);
    let inside = cluster.host("router");
    let ask = |sql: &str, input: &[u8]| {
        let output = psql(&inside, sql, input);
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    let ways = ask("select host(inet_client_addr()), host(inet_server_addr())", b"");
    ask("create table numbers (n int, t text)", b"");
    let rows: usize = size(500_000, 20_000);
    let lines: String = (0..rows).map(|n| format!("{n}\t{}\n", n * 7)).collect();
    ask("copy numbers from stdin", lines.as_bytes());
    let back = ask("copy (select * from numbers order by n) to stdout", b"");
    let whole = back == lines.trim_end();
    let many = size(200, 10);
    let sums = (0..many).filter(|n| ask(&format!("select {n} * 2"), b"") == (n * 2).to_string());
    let sums = sums.count();
    let passed = ways == "10.0.0.9|10.0.1.105" && whole && sums == many;
    Item::new("2.3 PostgreSQL through a TCP pool, psql")
        .bound("answers as on a direct connection; COPY both ways is byte-exact")
        .n(many + 4)
        .record(
            passed,
            format!(
                "{sums} of {many} answers right; COPY of {rows} rows back and forth {}; {ways}",
                if whole { "exact" } else { "WRONG" }
            ),
        );
    let output = psql(&cluster.host("outside1"), "select 1", b"");
    assert!(!output.status.success(), "outside of `allow`");
    let denied = edge.wait_sessions(1, "a denial", |record| record["step"] == "access");
    assert_eq!(denied[0]["letters"], "PR");
}
