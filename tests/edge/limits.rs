//! Limits by client network: told first, enforced when the operator says so.

use crate::bed::{Bed, PLAIN};
use crate::figures::{OBSERVED, page, value, wait_for};
use crate::reply::Wire;
use e2e::product::PATIENCE;
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::wait_for as wait_to_see;

/// The limits of the plain listener.
fn limit(more: &str) -> String {
    format!("\n[listener.plain.limit]\nconnections = 4\n{more}\n")
}

/// One a second is the least that can be written: the burst is what counts here.
const RATE: &str = "requests_per_second = 1\nburst = 20\n";

/// Answers to so many requests in a row, all on one connection.
fn statuses(wire: &mut Wire, count: usize) -> Vec<u16> {
    let ask = "GET /limited HTTP/1.1\r\nHost: app.test\r\n\r\n";
    wire.say(ask.repeat(count).as_bytes()).unwrap();
    (0..count).map(|_| wire.reply().unwrap().status).collect()
}

#[test]
fn requests_over_the_rate_are_told_and_refused_where_enforced() {
    if skipped("requests_over_the_rate_are_told_and_refused_where_enforced") {
        return;
    }
    let bed = Bed::without_nginx(OBSERVED);
    bed.reload(&limit(RATE));
    let mut wire = bed.connect();
    assert!(statuses(&mut wire, 60).iter().all(|status| *status == 200), "only told");
    let over = |outcome: &str| {
        let sample =
            format!("eclusa_listener_over_limit_total{{limit=\"requests\",outcome=\"{outcome}\"}}");
        value(&page(&bed), &sample)
    };
    let told = over("reported");
    assert!((1.0..=40.0).contains(&told), "{told}");
    let event = wait_to_see(PATIENCE, "an event", || {
        bed.edge.events().into_iter().find(|event| event["event"] == "limit")
    });
    let words = event["message"].as_str().unwrap();
    for part in
        ["listener plain: ", "`limit.requests_per_second`", "`enforce = true`", "203.0.113.11"]
    {
        assert!(words.contains(part), "{words}");
    }
    // What was counted stays; the same connection is held to it from its next request on.
    bed.reload(&limit(&format!("{RATE}enforce = true\n")));
    let answers = statuses(&mut wire, 60);
    let refused = answers.iter().filter(|status| **status == 429).count();
    assert!(
        refused > 20 && answers.iter().all(|status| matches!(status, 200 | 429)),
        "{answers:?}"
    );
    assert!((over("refused") - refused as f64).abs() < 0.5);
    let mut again = (0..60).map(|_| wire.get("app.test", "/again").unwrap());
    let answer = again.find(|answer| answer.status == 429).unwrap();
    assert_eq!(answer.field("retry-after"), Some("1"));
    assert!(!answer.is_last(), "the connection is kept");
    let record = wait_to_see(PATIENCE, "its record", || {
        let mut records = bed.exchanges().into_iter();
        records.find(|it| it["target"] == "/again" && it["status"] == 429)
    });
    assert_eq!(record["letters"], "PR", "{record}");
    // Another client has a bucket of its own, and one that is excepted none at all.
    let mut other = Wire::open(&bed.host("outside2"), PLAIN).unwrap();
    assert_eq!(statuses(&mut other, 5), [200; 5]);
    bed.reload(&limit(&format!("{RATE}enforce = true\nexcept = [\"203.0.113.11\"]\n")));
    assert_eq!(statuses(&mut wire, 60), [200; 60]);
}

#[test]
fn connections_over_the_limit_are_told_and_closed_where_enforced() {
    if skipped("connections_over_the_limit_are_told_and_closed_where_enforced") {
        return;
    }
    let bed = Bed::without_nginx(OBSERVED);
    bed.reload(&limit(""));
    let mut held: Vec<Wire> = (0..6).map(|_| bed.connect()).collect();
    for wire in &mut held {
        assert_eq!(wire.get("app.test", "/held").unwrap().status, 200, "only told");
    }
    let over = |outcome: &str| {
        format!("eclusa_listener_over_limit_total{{limit=\"connections\",outcome=\"{outcome}\"}}")
    };
    wait_for(&bed, &over("reported"), 2.0);
    bed.reload(&limit("enforce = true"));
    let mut refused = bed.connect();
    let _ = refused.say(b"GET /more HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(refused.hear_to_end().unwrap().0, b"", "closed without a word");
    wait_for(&bed, &over("refused"), 1.0);
    for wire in &mut held {
        assert_eq!(wire.get("app.test", "/held").unwrap().status, 200, "those that stand stay");
    }
    let mut other = Wire::open(&bed.host("outside2"), PLAIN).unwrap();
    assert_eq!(other.get("app.test", "/other").unwrap().status, 200);
    // Places that are left are free again.
    held.truncate(3);
    let again = wait_to_see(PATIENCE, "a place", || bed.connect().get("app.test", "/again").ok());
    assert_eq!(again.status, 200);
    let record = bed.edge.wait_sessions(1, "the one that was closed", |it| it["step"] == "access");
    assert_eq!(record[0]["letters"], "PR", "{record:?}");
}
