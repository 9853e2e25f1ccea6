//! gRPC by every way through the edge: calls of every kind come out as without it, an endpoint that
//! is killed is told as gRPC tells it.

mod bed;
mod health;

use bed::{Bed, WAYS};
use e2e::proof::{Item, size, wrong_of};
use e2e::python::missing;
use eclusa_testkit::netns::skipped;
use serde_json::Value;
use std::time::Duration;

/// Calls of all kinds by each way.
const CALLS: (usize, usize) = (2_500, 30);
/// What they may take.
const LIMIT: Duration = Duration::from_secs(300);

/// The lines of calls that came out differently.
fn differing(way: &str, directly: &str, through: &str) -> Vec<String> {
    let (directly, through): (Vec<_>, Vec<_>) =
        (directly.lines().collect(), through.lines().collect());
    if directly.len() != through.len() {
        return vec![format!("{way}: {} lines, not {}", through.len(), directly.len())];
    }
    let pairs = directly.iter().zip(&through);
    let wrong = pairs.filter(|(directly, through)| directly != through);
    wrong.map(|(directly, through)| format!("{way}: {through}, directly: {directly}")).collect()
}

#[test]
fn grpc_calls_come_out_as_without_the_edge() {
    const TEST: &str = "grpc_calls_come_out_as_without_the_edge";
    if skipped(TEST) || missing(TEST, &["grpc"]) {
        return;
    }
    let bed = Bed::start();
    let count = size(CALLS.0, CALLS.1);
    let ways = size(&WAYS[..], &WAYS[1..3]);
    let calls = count.to_string();
    let mut wrong = Vec::new();
    for (seed, way) in (1..).zip(ways) {
        let seed = format!("{seed}");
        let words = ["calls", &calls, &seed];
        // At once: each has its own calls under way at the endpoint.
        let directly = bed.client(way.directly(), &words);
        let through = bed.client(way.through(), &words);
        let directly = directly.finish(LIMIT);
        assert_eq!(directly.lines().count(), count, "{directly}");
        let failed = directly.lines().filter(|line| line.contains("\"failed\""));
        assert_eq!(failed.count(), 0, "{directly}");
        wrong.extend(differing(way.name, &directly, &through.finish(LIMIT)));
    }
    wrong.iter().for_each(|line| println!("{line}"));
    let n = count * ways.len();
    Item::new(
        "3.1 gRPC calls: unary, client, server and both streams, cancelled, timed out, failed",
    )
    .bound(
        "each as directly: code, details, messages, metadata; the endpoint learns of each cancel",
    )
    .n(n)
    .note("messages of up to 4 MiB; by HTTP/2 with and without TLS on either side")
    .record(wrong.is_empty(), wrong_of(n, &wrong));
}

#[test]
fn grpc_is_told_when_an_endpoint_is_killed() {
    const TEST: &str = "grpc_is_told_when_an_endpoint_is_killed";
    if skipped(TEST) || missing(TEST, &["grpc"]) {
        return;
    }
    let mut bed = Bed::start();
    let times = size(20, 1);
    let mut wrong = Vec::new();
    let mut note = |what: &str, said: &str, wanted: &str| {
        let last = said.lines().last().unwrap_or_default();
        let told: Value = serde_json::from_str(last).unwrap_or_default();
        if told[0] != *wanted {
            wrong.push(format!("{what}: {last}"));
        }
    };
    for turn in 0..times {
        let way = &WAYS[turn % WAYS.len()];
        let under_way = bed.client(way.through(), &["hang"]);
        under_way.wait_for(LIMIT, "waiting");
        bed.kill_endpoints();
        note("under way", &under_way.finish(LIMIT), "UNAVAILABLE");
        note("while it is dead", &bed.client(way.through(), &["one"]).finish(LIMIT), "UNAVAILABLE");
        bed.start_endpoints();
        note("when it is back", &bed.client(way.through(), &["one"]).finish(LIMIT), "OK");
    }
    Item::new("3.2 an endpoint of gRPC killed: calls under way, while it is dead, when it is back")
        .bound("UNAVAILABLE, UNAVAILABLE, answered")
        .n(3 * times)
        .record(wrong.is_empty(), wrong_of(3 * times, &wrong));
}
