//! Access lists, and PROXY headers of trusted proxies.

use e2e::plain::{connect, exchange};
use e2e::product::{Program, matches};
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use eclusa_testkit::proxy_header::{write_v1, write_v2};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Port 80 by the peer's own address, port 81 by what the proxy on outside2 says.
const CONFIG: &str = r#"
[listener.direct]
listen = ["192.168.1.2:80"]
allow = ["203.0.113.0/24", "203.0.113.128/25"]
deny = ["203.0.113.12"]
pool = "web"

[listener.proxied]
listen = ["192.168.1.2:81"]
allow = ["198.51.100.0/24", "2001:db8::/32"]
deny = ["198.51.100.128/25"]
proxy_from = ["203.0.113.12"]
pool = "web"

[pool.web]
endpoints = ["10.0.1.100:80"]
"#;

struct Case {
    name: &'static str,
    from: &'static str,
    port: u16,
    header: Vec<u8>,
    served: bool,
    record: Value,
}

fn v2(source: &str) -> Vec<u8> {
    let source: SocketAddr = source.parse().unwrap();
    let destination = if source.is_ipv4() { "192.0.2.80:443" } else { "[2001:db8::80]:443" };
    write_v2(source, destination.parse().unwrap(), &[], true)
}

fn cases() -> Vec<Case> {
    let denied = |client: &str, reason: &str| {
        json!({"client": client, "step": "access", "letters": "PR", "ended_by": "proxy",
               "reason": reason, "bytes": {"up": 0, "down": 0}})
    };
    let served = |client: &str| json!({"client": client, "step": "data", "letters": "--"});
    let nobody = "denied: no `allow` network holds the client";
    let case = |name, from, port, header: &[u8], served, record| {
        let header = header.to_vec();
        Case { name, from, port, header, served, record }
    };
    let v1 = write_v1("198.51.100.7:4711".parse().unwrap(), "192.0.2.80:443".parse().unwrap());
    vec![
        case("allowed", "outside1", 80, b"", true, served("203.0.113.11:…")),
        case(
            "denied by the narrower network",
            "outside2",
            80,
            b"",
            false,
            denied("203.0.113.12:…", "denied: 203.0.113.12/32"),
        ),
        case("in no network", "router", 80, b"", false, denied("192.168.1.1:…", nobody)),
        case(
            "the header's client is allowed",
            "outside2",
            81,
            &v2("198.51.100.7:4711"),
            true,
            json!({"client": "198.51.100.7:4711", "peer": "203.0.113.12:…",
                   "local": "192.0.2.80:443", "letters": "--"}),
        ),
        case("by version 1 as well", "outside2", 81, &v1, true, served("198.51.100.7:4711")),
        case(
            "and by v6",
            "outside2",
            81,
            &v2("[2001:db8::7]:4711"),
            true,
            served("[2001:db8::7]:4711"),
        ),
        case(
            "the header's client is denied",
            "outside2",
            81,
            &v2("198.51.100.200:4711"),
            false,
            denied("198.51.100.200:4711", "denied: 198.51.100.128/25"),
        ),
        case(
            "the header's client is in no network",
            "outside2",
            81,
            &v2("203.0.113.11:4711"),
            false,
            denied("203.0.113.11:4711", nobody),
        ),
        case(
            "a stranger's header is not believed",
            "outside1",
            81,
            &v2("198.51.100.7:4711"),
            false,
            denied("203.0.113.11:…", nobody),
        ),
    ]
}

#[test]
fn access_is_decided_by_the_true_client() {
    if skipped("access_is_decided_by_the_true_client") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let address = "10.0.1.100:80".parse().unwrap();
    let echo = cluster.host("worker1").enter(|| Endpoint::start(address, Kind::Echo)).unwrap();
    let cases = cases();
    let times = size(20, 1);
    let mut wrong = Vec::new();
    let mut edge = None;
    for (number, case) in cases.iter().cycle().take(cases.len() * times).enumerate() {
        // A fresh one for each round: ports of clients come again, and would find old records.
        if number % cases.len() == 0 {
            drop(edge.take());
        }
        let edge =
            edge.get_or_insert_with(|| Program::Edge.start(Some(&cluster.host("edge")), CONFIG));
        let stream =
            connect(&cluster.host(case.from), SocketAddr::from(([192, 168, 1, 2], case.port)));
        let client = stream.local_addr().unwrap();
        let heard = exchange(&stream, &[&case.header[..], b"hello"].concat()).unwrap();
        drop(stream);
        let listener = if case.port == 80 { "direct" } else { "proxied" };
        let record = edge.session_of(client, listener);
        let answered = if case.served { heard == b"hello" } else { heard.is_empty() };
        if !answered || !matches(&record, &case.record) {
            wrong.push(format!("{}: heard {heard:?}, {record}", case.name));
        }
    }
    let n = cases.len() * times;
    let served = cases.iter().filter(|case| case.served).count() * times;
    let carried = echo.counters().received;
    assert_eq!(carried, 5 * served as u64, "not a byte of the others reaches the endpoint");
    Item::new("2.4.4 access lists, PROXY headers of trusted proxies")
        .bound("served or closed by the true client's address, which is in the log")
        .n(n)
        .record(wrong.is_empty(), wrong_of(n, &wrong));
}
