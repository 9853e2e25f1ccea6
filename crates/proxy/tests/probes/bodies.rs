//! What the body of an answer must match: over HTTP/1.1 and HTTP/2, kept and fresh connections.

use crate::common::probed::{Bed, LIMIT, Wish, http};
use crate::common::{self, Balancer};
use eclusa_config::plan::{BodyPattern, HttpProbe, Pool, Probe, Program};
use eclusa_config::{Mode, parse};
use eclusa_policy::verdict::{Check, OTHER_BODY, Reason, Report, Settings, Verdict};
use eclusa_testkit::wait_until;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A pattern, as an operator writes it.
fn pattern(text: &str) -> Option<BodyPattern> {
    let file = format!(
        "[listener.web]\nlisten = \"127.0.0.1:443\"\npool = \"web\"\n[pool.web]\n\
         endpoints = [\"127.0.0.1:80\"]\nprobe = {{ kind = \"http\", body = '{text}' }}\n"
    );
    let loaded = parse(Program::Edge, "body.toml", &file, Mode::Offline);
    let plan = loaded.unwrap_or_else(|errors| panic!("{errors}")).plan;
    let Probe::Http(http) = &plan.pools[0].probe else { panic!("{:?}", plan.pools[0].probe) };
    http.body.clone()
}

/// Any good status: only the body tells.
fn only_body(http: HttpProbe, body: &str) -> Probe {
    Probe::Http(HttpProbe { body: pattern(body), ..http })
}

#[test]
fn both_protocols_tell_by_the_body_over_kept_and_fresh_connections() {
    for (protocol, fresh_every) in [("h2", 1_000), ("h2", 1), ("http/1.1", 1_000), ("http/1.1", 1)]
    {
        let bed = Bed::new(Wish {
            masters: 2,
            master: match protocol {
                "h2" => |_, settings| settings.alpn = vec!["h2".to_owned()],
                _ => |_, settings| settings.alpn = vec!["http/1.1".to_owned()],
            },
            probe: |tls| only_body(http(Some(tls)), "^ok$"),
            judge: Settings {
                interval: Duration::from_millis(200),
                fresh_every,
                ..Settings::apiserver()
            },
            ..Wish::default()
        });
        bed.wait_all_up();
        let asked = bed.masters[0].counters().health + 10;
        wait_until(LIMIT, "more rounds", || bed.masters[0].counters().health >= asked);
        let connections = bed.masters[0].counters().connections;
        match (protocol, fresh_every) {
            ("h2", 1_000) => assert_eq!(connections, 1, "reading bodies cost a connection"),
            (_, 1_000) => assert_eq!(connections, 2, "reading bodies cost a connection"),
            _ => assert!(connections >= 5, "{connections}"),
        }
        // The fake's body is another one with every status but 200.
        bed.masters[0].fault(|faults| faults.readyz = Some(203));
        bed.wait_for(0, Verdict::Draining, Reason::NotReady(OTHER_BODY));
        assert_eq!(bed.report(1).verdict, Verdict::Up);
        wait_until(LIMIT, "the log", || bed.told(0) == ["up", "draining"]);
        let events = bed.balancer.events("verdict");
        let message = events.last().unwrap()["message"].as_str().unwrap();
        assert!(
            message.contains("body of the readiness check is not the expected one"),
            "{message}"
        );
        bed.masters[0].heal();
        bed.wait_for(0, Verdict::Up, Reason::Answers);
    }
}

#[test]
fn the_body_of_the_liveness_check_counts_as_sick() {
    let bed = Bed::new(Wish { probe: |tls| only_body(http(Some(tls)), "^ok$"), ..Wish::default() });
    bed.wait_all_up();
    bed.masters[1].fault(|faults| faults.livez = Some(203));
    bed.wait_for(1, Verdict::Draining, Reason::Sick(OTHER_BODY));
}

#[test]
fn a_bad_status_stays_what_it_is_whatever_the_body() {
    let bed = Bed::new(Wish {
        masters: 1,
        probe: |tls| only_body(http(Some(tls)), "check failed"),
        master: |_, settings| {
            settings.faults.readyz = Some(500);
            settings.faults.livez = Some(203);
        },
        ..Wish::default()
    });
    bed.wait_for(0, Verdict::Draining, Reason::NotReady(500));
}

/// An endpoint that answers each request with this head and body, and goes on.
fn answer(head: String, body: Vec<u8>, dials: Arc<AtomicU32>) -> SocketAddr {
    common::serve(move |stream| {
        dials.fetch_add(1, Ordering::Relaxed);
        let mut reading = BufReader::new(&stream);
        let mut line = String::new();
        while reading.read_line(&mut line).is_ok_and(|n| n > 0) {
            let is_last = line == "\r\n";
            line.clear();
            if is_last && send(&stream, &head, &body).is_err() {
                return;
            }
        }
    })
}

fn send(mut stream: &TcpStream, head: &str, body: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes())?;
    stream.write_all(body)
}

fn probed(endpoint: SocketAddr, body: &str) -> Balancer {
    let checks = vec![(Check::Ready, "/".into())];
    let probe = only_body(HttpProbe { checks, ..http(None) }, body);
    let judge = Settings {
        interval: Duration::from_millis(200),
        late_after: Duration::from_millis(1500),
        ..Settings::edge()
    };
    Balancer::start(&[endpoint], |plan| {
        plan.pools[0] = Arc::new(Pool { probe, judge, ..(*plan.pools[0]).clone() });
    })
}

fn wait_for(balancer: &Balancer, verdict: Verdict, reason: Reason) {
    let report = || -> Report { balancer.engine().status().pools[0].endpoints()[0].report() };
    let seen = || (report().verdict, report().reason) == (verdict, reason);
    let waited = eclusa_testkit::wait::try_until(LIMIT, "its verdict", seen);
    assert!(waited.is_ok(), "{:?}, not {verdict:?} for {reason:?}", report());
}

#[test]
fn only_the_first_64_kib_are_looked_at() {
    let bad = (Verdict::Draining, Reason::NotReady(OTHER_BODY));
    let good = (Verdict::Up, Reason::Answers);
    for (before, after, (verdict, reason)) in [
        (BodyPattern::LOOKED_AT - 2, 0, good),
        (BodyPattern::LOOKED_AT - 2, 1_000_000, good),
        (BodyPattern::LOOKED_AT - 1, 0, bad),
        (BodyPattern::LOOKED_AT, 1_000_000, bad),
    ] {
        let body = [vec![b'x'; before], b"ok".to_vec(), vec![b'x'; after]].concat();
        let head = format!("Content-Length: {}", body.len());
        let balancer = probed(answer(head, body, Arc::default()), "ok");
        wait_for(&balancer, verdict, reason);
    }
}

#[test]
fn a_whole_body_keeps_its_connection() {
    let dials = Arc::new(AtomicU32::new(0));
    let body = vec![b'x'; 40_000];
    let head = format!("Content-Length: {}", body.len());
    let balancer = probed(answer(head, body, dials.clone()), "^x+$");
    wait_for(&balancer, Verdict::Up, Reason::Answers);
    let results = || {
        let endpoints = balancer.engine().status().pools[0].endpoints();
        endpoints[0].results().iter().count()
    };
    wait_until(LIMIT, "ten good results", || results() >= 10);
    let dials = dials.load(Ordering::Relaxed);
    assert!(dials <= 4, "a fresh one every fifth, not {dials}");
}

#[test]
fn a_body_that_stands_still_is_a_late_answer() {
    let head = "Content-Length: 100".to_owned();
    let balancer = probed(answer(head, b"ok".to_vec(), Arc::default()), "ok");
    wait_for(&balancer, Verdict::Draining, Reason::Slow);
}

#[test]
fn a_body_that_breaks_off_is_no_answer() {
    let endpoint = common::serve(|stream| {
        let mut line = String::new();
        let _ = BufReader::new(&stream).read_line(&mut line);
        let _ = send(&stream, "Content-Length: 100", b"ok");
    });
    let balancer = probed(endpoint, "ok");
    wait_for(&balancer, Verdict::Draining, Reason::NotReady(0));
}
