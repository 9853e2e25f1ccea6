//! What an endpoint that is now this, now that does to the log.

use crate::common::Balancer;
use crate::common::probed::{LIMIT, LOCAL};
use eclusa_config::plan::{Pool, Probe};
use eclusa_policy::verdict::{Settings, Verdict};
use eclusa_testkit::apiserver::{ApiServer, Settings as Master};
use eclusa_testkit::wait_until;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Instant;

/// Its connections stand, and its sessions are reset: traffic makes it suspect, a probe clears it.
#[test]
fn an_endpoint_that_flips_does_not_fill_the_log() {
    let endpoint = ApiServer::start(LOCAL, Master::plain("flips")).unwrap();
    endpoint.fault(|faults| faults.reset = true);
    let began = Instant::now();
    // Another one stays, or nobody would believe its end.
    let other = ApiServer::start(LOCAL, Master::plain("stays")).unwrap();
    let balancer = Balancer::start(&[endpoint.address(), other.address()], |plan| {
        let judge = Settings::edge_tcp();
        plan.pools[0] = Arc::new(Pool { probe: Probe::Tcp, judge, ..(*plan.pools[0]).clone() });
    });
    let verdict = || balancer.engine().status().pools[0].endpoints()[0].report().verdict;
    wait_until(LIMIT, "its verdict", || verdict() == Verdict::Up);
    let session = || {
        let mut stream = balancer.connect();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let _ = stream.read(&mut [0; 16]);
    };
    let left_out = || balancer.events("left_out");
    wait_until(LIMIT, "four lines that count", || {
        session();
        left_out().len() >= 4
    });
    let own = |event: &serde_json::Value| event["endpoint"] == endpoint.address().to_string();
    let lines = balancer.events("verdict").into_iter().chain(left_out()).filter(own).count();
    let seconds = began.elapsed().as_secs() as usize;
    assert!(lines <= 10 + seconds + 1, "{lines} lines in {seconds} s");
    let counted: u64 = left_out().iter().filter_map(|event| event["left_out"].as_u64()).sum();
    assert!(counted >= 12, "{:#?}", left_out());
    let first = &left_out()[0];
    assert_eq!(first["endpoint"], endpoint.address().to_string());
    assert!(first["message"].as_str().unwrap().contains("were left out; it is "), "{first}");

    // The end of it is told all the same, at once, and so is its return.
    endpoint.fault(|faults| faults.refuse = true);
    wait_until(LIMIT, "its end", || {
        session();
        verdict() == Verdict::Dead
    });
    let told = |verdict: &str| {
        let events = balancer.events("verdict").into_iter().filter(own);
        events.filter(|event| event["verdict"] == verdict).count()
    };
    wait_until(LIMIT, "the line of its end", || told("dead") == 1);
    let up = told("up");
    endpoint.heal();
    wait_until(LIMIT, "its return", || verdict() == Verdict::Up);
    wait_until(LIMIT, "the line of its return", || told("up") == up + 1);
}
