//! Endpoints that take so many sessions and no more, and the queue before them.

use e2e::plain::{connect, echoes, hear};
use e2e::product::Program;
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use std::net::{SocketAddr, TcpStream};

const CONFIG: &str = r#"
workers = 2
[listener.few]
listen = ["192.168.1.2:9000"]
pool = "few"
[pool.few]
endpoints = ["10.0.1.100:9000"]
endpoint_sessions_max = 2
queue = 1
queue_timeout = "2s"
"#;

#[test]
fn a_limited_endpoint_has_a_queue() {
    if skipped("a_limited_endpoint_has_a_queue") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let address = "10.0.1.100:9000".parse().unwrap();
    let _echo = cluster.host("worker1").enter(|| Endpoint::start(address, Kind::Echo)).unwrap();
    let edge = Program::Edge.start(Some(&cluster.host("edge")), CONFIG);
    let client = cluster.host("outside1");
    let to: SocketAddr = "192.168.1.2:9000".parse().unwrap();
    let record_of = |stream: TcpStream| {
        let from = stream.local_addr().unwrap();
        drop(stream);
        edge.session_of(from, "few")
    };
    let standing = [connect(&client, to), connect(&client, to)];
    assert!(standing.iter().all(|stream| echoes(stream, b"standing")));
    // Of two that come now one waits; it makes no difference which.
    let more = [connect(&client, to), connect(&client, to)];
    for stream in more {
        assert_eq!(hear(&stream).unwrap(), b"");
        let record = record_of(stream);
        let letters = record["letters"].as_str().unwrap();
        assert!(["SQ", "sQ"].contains(&letters) && record["step"] == "queue", "{record}");
    }
    let queued = connect(&client, to);
    let [first, second] = standing;
    record_of(first);
    assert!(echoes(&queued, b"served"));
    assert!(echoes(&second, b"still there"));
    let record = record_of(queued);
    assert_eq!(record["letters"], "--");
    let letters = edge.wait_sessions(4, "records", |_| true);
    let of = |wanted: &str| letters.iter().filter(|record| record["letters"] == wanted).count();
    assert_eq!((of("SQ"), of("sQ")), (1, 1), "{letters:?}");
}
