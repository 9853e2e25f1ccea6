//! How often a request is tried again, and what is never sent twice.

use super::bed::Bed;
use super::candidate::ours;
use super::endpoint::Mode;
use crate::bed::PLAIN;
use crate::reply::{Reply, Wire};
use e2e::ask;
use e2e::product::{PATIENCE, Product, Program};
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::wait_for;
use serde_json::Value;

fn start(bed: &Bed, more: &str) -> Product {
    Program::Edge.start(Some(&bed.host("edge")), &ours(&bed.addresses, more))
}

fn ask(bed: &Bed, method: &str, path: &str) -> Reply {
    let mut wire = Wire::open(&bed.host("outside1"), PLAIN).unwrap();
    let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: web.test\r\n{length}\r\n");
    wire.say(head.as_bytes()).unwrap();
    wire.reply().unwrap()
}

fn record(edge: &Product, target: &str) -> Value {
    wait_for(PATIENCE, &format!("the record of {target}"), || {
        edge.events().into_iter().rfind(|event| event["target"] == target)
    })
}

/// A counter of the pool, added up over its other labels.
fn counter(bed: &Bed, name: &str) -> f64 {
    let page = ask::get(&bed.host("outside1"), "192.168.1.2:9100".parse().unwrap(), "/metrics");
    let lines = page.body.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[test]
fn a_sick_pool_is_not_hammered_once_its_budget_is_spent() {
    if skipped("a_sick_pool_is_not_hammered_once_its_budget_is_spent") {
        return;
    }
    let bed = Bed::new();
    bed.endpoints.iter().for_each(|endpoint| endpoint.set(Mode::Empty));
    let edge = start(&bed, "http = { retries = 2, retry_budget = 1 }");
    // Ten a second are free, over ten seconds; two tries more of each are beyond it soon.
    let count = 200;
    for number in 0..count {
        assert_eq!(ask(&bed, "GET", &format!("/{number}")).status, 502);
    }
    let asked: usize = bed.asked().iter().sum();
    let (retries, refused) = (
        counter(&bed, "eclusa_pool_retries_total"),
        counter(&bed, "eclusa_pool_retries_refused_total"),
    );
    assert_eq!(asked, count + retries as usize, "each try is counted");
    // Two windows' worth at most, should the requests have taken longer than one.
    assert!((40..=200).contains(&(retries as usize)) && refused >= 50.0, "{retries} {refused}");
    let last = record(&edge, &format!("/{}", count - 1));
    let reason = last["reason"].as_str().unwrap();
    assert!(reason.ends_with("the pool's `retry_budget` is spent"), "{last}");
    assert_eq!((&last["tries"], &last["status"]), (&1.into(), &502.into()));
}

#[test]
fn what_does_something_is_never_sent_twice() {
    if skipped("what_does_something_is_never_sent_twice") {
        return;
    }
    let bed = Bed::new();
    for (mode, status) in [(Mode::Frozen, 504), (Mode::Empty, 502), (Mode::Unavailable, 503)] {
        let edge = start(&bed, "http = { response_timeout = \"2s\" }");
        bed.endpoints.iter().for_each(|endpoint| endpoint.set(mode));
        let before: usize = bed.asked().iter().sum();
        assert_eq!(ask(&bed, "POST", "/order").status, status, "{mode:?}");
        assert_eq!(record(&edge, "/order")["tries"], 1, "{mode:?}");
        bed.endpoints.iter().for_each(|endpoint| endpoint.set(Mode::Well));
        let after: usize = bed.asked().iter().sum();
        // Frozen endpoints read what they were sent when they go on.
        assert!(after - before <= 1, "{mode:?}: {}", after - before);
    }
}

#[test]
fn one_that_keeps_silent_gets_a_rival_and_is_left_alone_then() {
    if skipped("one_that_keeps_silent_gets_a_rival_and_is_left_alone_then") {
        return;
    }
    let bed = Bed::new();
    let edge = start(&bed, "");
    bed.endpoints[0].set(Mode::Frozen);
    for number in 0..30 {
        let reply = ask(&bed, "GET", &format!("/{number}"));
        assert_eq!(reply.status, 200, "{number}: {reply:?}");
    }
    let hedges = counter(&bed, "eclusa_pool_hedges_total");
    assert_eq!(hedges, counter(&bed, "eclusa_pool_hedges_won_total"));
    // Without it the endpoint would have been asked ten times.
    assert!((1.0..=4.0).contains(&hedges), "{hedges}");
    let is_told = |event: &Value| event["verdict"] == "suspect" && event["reason"] == "answer late";
    wait_for(PATIENCE, "the verdict", || edge.events().into_iter().find(is_told));
}
