//! `events`: those that are kept, and who follows.

use super::*;
use eclusa_testkit::wait::wait_until;
use serde_json::{Value, json};

fn happens(running: &Running, kind: &'static str, message: &str) {
    running.recent.keep(&Event::new(kind, message));
}

fn messages(answer: &Value) -> Vec<&str> {
    let events = answer["data"]["events"].as_array().unwrap();
    events.iter().map(|event| event["message"].as_str().unwrap()).collect()
}

#[test]
fn those_that_are_kept_are_shown() {
    let running = Running::new(Patience::default());
    happens(&running, "verdict", "one");
    happens(&running, "reloaded", "two");
    happens(&running, "verdict", "three");
    let mut client = running.client();
    let mut ask = |fields: &str| client.ask(format!("{{\"v\":1,\"command\":\"events\"{fields}}}"));
    let all = ask("");
    assert_eq!(messages(&all), ["one", "two", "three"]);
    let first = &all["data"]["events"][0];
    assert_eq!((&first["number"], &first["severity"]), (&1.into(), &"warning".into()), "{first}");
    assert_eq!(messages(&ask(",\"kinds\":[\"verdict\"]")), ["one", "three"]);
    assert_eq!(messages(&ask(",\"limit\":2")), ["two", "three"]);
    assert_eq!(messages(&ask(",\"since\":\"9999-01-01T00:00:00Z\"")), [""; 0]);
    assert_eq!(messages(&ask(",\"since\":\"2020-01-01T00:00:00Z\"")).len(), 3);
    for wrong in [",\"limit\":1001", ",\"since\":\"now\"", ",\"kinds\":[\"a b\"]"] {
        assert_eq!(ask(wrong)["outcome"], "wrong", "{wrong}");
    }
}

const FOLLOW: &str = "{\"v\":1,\"id\":3,\"command\":\"events\",\"follow\":true}";

#[test]
fn whoever_follows_is_told_of_each_and_of_those_missed() {
    let running = Running::new(Patience::default());
    happens(&running, "ready", "before");
    let mut client = running.client();
    let answer = client.ask(FOLLOW);
    assert_eq!((&answer["id"], messages(&answer)), (&json!(3), vec!["before"]));
    happens(&running, "verdict", "now");
    assert_eq!(messages(&client.next().unwrap()), ["now"]);
    // Nobody is held up by them, and others are served.
    assert!(running.client().is_served());
    let mut others: Vec<_> = (0..3).map(|_| running.client()).collect();
    for other in &mut others {
        assert_eq!(other.ask(FOLLOW)["outcome"], "done");
    }
    let refused = running.client().ask(FOLLOW);
    assert_eq!(refused["outcome"], "failed");
    assert!(refused["messages"][0].as_str().unwrap().starts_with("4 clients follow already"));
    drop(others);
    wait_until(LONG, "those who have gone to be noticed", || running.recent.followers().0 == 1);
    // More at once than are kept.
    for n in 0..3_000 {
        happens(&running, "test", &format!("event {n}"));
    }
    let (mut heard, mut missed, mut last) = (0, 0, String::new());
    while last != "event 2999" {
        let answer = client.next().unwrap();
        heard += messages(&answer).len() as u64;
        missed += answer["data"]["missed"].as_u64().unwrap_or_default();
        last = messages(&answer).last().unwrap().to_string();
    }
    assert_eq!(heard + missed, 3_000);
    // Who speaks instead of listening has had enough.
    client.send("x");
    assert!(client.next().is_none());
}

#[test]
fn whoever_does_not_read_is_cut_off() {
    let short = Duration::from_millis(100);
    let running = Running::new(Patience { stalled: short, ..Patience::default() });
    let mut client = running.client();
    assert_eq!(client.ask(FOLLOW)["outcome"], "done");
    // Longer than the socket's queue, again and again.
    wait_until(LONG, "the end of it", || {
        for _ in 0..100 {
            happens(&running, "test", &"x".repeat(1_000));
        }
        running.recent.followers() == (0, 1)
    });
    assert!(running.client().is_served());
}
