//! Probes and their verdicts: a running engine in front of fake apiservers, with real faults.

use crate::common::probed::{Bed, LIMIT, Wish, http, is_reset};
use crate::common::{self, Balancer};
use eclusa_config::plan::{HttpProbe, Pool, Probe, SendProxy, TlsProbe};
use eclusa_policy::verdict::{Check, Reason, Settings, TlsFault, Verdict};
use eclusa_testkit::apiserver::{ApiServer, Settings as Master};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::wait_until;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

#[test]
fn masters_come_up_at_once_and_one_connection_serves_the_steady_probes() {
    let bed = Bed::new(Wish::default());
    let took = bed.wait_all_up();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let asked = || bed.masters.iter().all(|master| master.counters().health >= 10);
    wait_until(LIMIT, "five rounds of two questions", asked);
    for master in &bed.masters {
        let counters = master.counters();
        assert!(counters.connections <= 3, "a fresh one every fifth: {counters:?}");
        assert_eq!(counters.failed_handshakes, 0);
        assert!(counters.open <= 2, "{counters:?}");
    }
    wait_until(LIMIT, "the log", || bed.balancer.events("verdict").len() == 3);
    let events = bed.balancer.events("verdict");
    let last = events.last().unwrap();
    assert_eq!((&last["before"], &last["reason"]), (&"unknown".into(), &"answers".into()));
    assert_eq!(last["quorum"], "3/3 ready, can lose 1", "{last}");
}

#[test]
fn a_500_of_readyz_drains_at_once_and_three_good_rounds_bring_it_back() {
    let bed = Bed::new(Wish::default());
    bed.wait_all_up();
    let standing = bed.stand(6);
    bed.masters[0].fault(|faults| faults.readyz = Some(500));
    let took = bed.wait_for(0, Verdict::Draining, Reason::NotReady(500));
    assert!(took < Duration::from_millis(1300), "{took:?}");
    let before = bed.sessions(0);
    let more: Vec<_> = (0..6).map(|_| bed.balancer.connect()).collect();
    bed.balancer.wait_for_sessions(12);
    wait_until(LIMIT, "sessions elsewhere", || bed.sessions(1) + bed.sessions(2) == 12 - before);
    assert_eq!(bed.sessions(0), before);
    assert!(!standing.iter().chain(&more).any(is_reset));
    bed.masters[0].heal();
    bed.wait_for(0, Verdict::Up, Reason::Answers);
    wait_until(LIMIT, "the log", || bed.told(0) == ["up", "draining", "up"]);
}

#[test]
fn silence_is_dead_in_time_and_its_sessions_alone_are_reset() {
    let bed = Bed::new(Wish::default());
    bed.wait_all_up();
    let standing = bed.stand(9);
    let doomed = bed.sessions(1) as usize;
    bed.masters[1].fault(|faults| faults.silent = true);
    let took = bed.wait_for(1, Verdict::Dead, Reason::Silent);
    // 1 s (± 10 %) to the next question, 0.7 s to an overdue answer, two dials of 0.7 s.
    assert!(took < Duration::from_millis(3300), "{took:?}");
    wait_until(Duration::from_secs(3), "the resets", || bed.sessions(1) == 0);
    let reset = || standing.iter().filter(|stream| is_reset(stream)).count();
    // A reset is reported once.
    let mut seen = 0;
    wait_until(LIMIT, "the clients' resets", || {
        seen += reset();
        seen >= doomed
    });
    assert_eq!(seen, doomed);
    wait_until(LIMIT, "the log", || !bed.balancer.events("resets").is_empty());
    assert_eq!(bed.balancer.events("resets")[0]["resetting"], true);
    for index in [0, 2] {
        assert_eq!(bed.told(index), ["up"]);
    }
    bed.masters[1].heal();
    bed.wait_for(1, Verdict::Up, Reason::Answers);
}

#[test]
fn a_refusal_is_dead_and_leaves_standing_sessions_alone() {
    let bed = Bed::new(Wish::default());
    bed.wait_all_up();
    let standing = bed.stand(6);
    let before = bed.sessions(2);
    bed.masters[2].fault(|faults| faults.refuse = true);
    // The kept connections go on; the fresh one every fifth finds it.
    bed.wait_for(2, Verdict::Dead, Reason::Refused);
    assert_eq!(bed.sessions(2), before, "{:#?}", bed.balancer.events("session"));
    assert!(!standing.iter().any(is_reset));
    bed.masters[2].heal();
    bed.wait_for(2, Verdict::Up, Reason::Answers);
    assert!(!standing.iter().any(is_reset));
}

#[test]
fn a_killed_master_is_dead_soon() {
    let mut bed = Bed::new(Wish::default());
    bed.wait_all_up();
    let address = bed.masters[2].address();
    drop(bed.masters.pop());
    let took = bed.wait_for(2, Verdict::Dead, Reason::Refused);
    assert!(took < Duration::from_millis(500), "its connection ended, a dial follows: {took:?}");
    let settings = Master::new("m2", &Ca::new().leaf(&["kubernetes"]));
    let stranger = ApiServer::start(address, settings).unwrap();
    bed.wait_for(2, Verdict::Dead, Reason::Tls(TlsFault::Certificate));
    drop(stranger);
}

#[test]
fn slow_answers_drain_and_never_reset() {
    let bed = Bed::new(Wish::default());
    bed.wait_all_up();
    let standing = bed.stand(6);
    bed.masters[0].fault(|faults| faults.health_late = Duration::from_secs(4));
    bed.wait_for(0, Verdict::Draining, Reason::Slow);
    assert!(!standing.iter().any(is_reset));
    bed.masters[0].heal();
    bed.wait_for(0, Verdict::Up, Reason::Answers);
    assert!(!bed.told(0).contains(&"dead".to_owned()), "{:?}", bed.told(0));
}

#[test]
fn late_hellos_veto_silence() {
    let bed = Bed::new(Wish::default());
    bed.wait_all_up();
    let standing = bed.stand(6);
    bed.masters[0].fault(|faults| faults.first_byte_late = Duration::from_millis(1200));
    bed.wait_for(0, Verdict::Draining, Reason::Slow);
    assert!(!bed.told(0).contains(&"dead".to_owned()), "{:?}", bed.told(0));
    assert!(!standing.iter().any(is_reset));
}

#[test]
fn closed_health_endpoints_are_blind_not_dead() {
    let bed = Bed::new(Wish {
        master: |_, settings| {
            settings.faults.readyz = Some(401);
            settings.faults.livez = Some(401);
        },
        ..Wish::default()
    });
    for index in 0..3 {
        bed.wait_for(index, Verdict::Up, Reason::Blind);
        assert!(bed.report(index).blind);
    }
    bed.masters[0].heal();
    bed.wait_for(0, Verdict::Up, Reason::Answers);
    // It has answered once: a 401 is a failure from now on.
    bed.masters[0].fault(|faults| faults.readyz = Some(401));
    bed.wait_for(0, Verdict::Draining, Reason::NotReady(401));
}

#[test]
fn http_1_masters_keep_a_connection_for_each_question() {
    let bed = Bed::new(Wish {
        masters: 1,
        master: |_, settings| settings.alpn = vec!["http/1.1".to_owned()],
        ..Wish::default()
    });
    bed.wait_all_up();
    let master = &bed.masters[0];
    wait_until(LIMIT, "five rounds of two questions", || master.counters().health >= 10);
    let counters = master.counters();
    assert!(counters.connections <= 6, "two, and two anew every fifth: {counters:?}");
    master.fault(|faults| faults.livez = Some(500));
    bed.wait_for(0, Verdict::Draining, Reason::Sick(500));
}

#[test]
fn going_away_is_no_failure() {
    let bed = Bed::new(Wish { masters: 1, ..Wish::default() });
    bed.wait_all_up();
    for _ in 0..3 {
        let before = bed.masters[0].counters();
        bed.masters[0].goaway();
        let anew = || bed.masters[0].counters().connections > before.connections;
        wait_until(LIMIT, "a fresh connection", anew);
        let asked = || bed.masters[0].counters().health >= before.health + 4;
        wait_until(LIMIT, "more questions", asked);
    }
    assert_eq!(bed.told(0), ["up"]);
}

#[test]
fn a_certificate_of_another_ca_is_dead() {
    let bed = Bed::new(Wish {
        master: |index, settings| {
            if index == 1 {
                settings.certificate = Some(Ca::new().leaf(&["kubernetes"]));
            }
        },
        ..Wish::default()
    });
    bed.wait_for(1, Verdict::Dead, Reason::Tls(TlsFault::Certificate));
    bed.wait_for(0, Verdict::Up, Reason::Answers);
    bed.wait_for(2, Verdict::Up, Reason::Answers);
}

#[test]
fn without_a_ca_any_certificate_will_do() {
    let bed = Bed::new(Wish {
        master: |_, settings| settings.certificate = Some(Ca::new().leaf(&["other.example"])),
        probe: |_| Probe::Http(http(Some(&TlsProbe::default()))),
        ..Wish::default()
    });
    bed.wait_all_up();
}

#[test]
fn certificates_that_end_or_do_not_cover_the_balancer_are_told_once() {
    let bed = Bed::new(Wish {
        masters: 1,
        master: |_, settings| {
            let end = SystemTime::now() + Duration::from_secs(10 * 24 * 3600);
            settings.certificate = Some(Ca::new().leaf_until(&["kubernetes"], end));
        },
        probe: |_| Probe::Tls(TlsProbe::default()),
        change: |plan| plan.listeners[0].addresses[0].address.set_ip([127, 0, 0, 2].into()),
        judge: Settings { interval: Duration::from_millis(100), ..Settings::edge_tcp() },
    });
    bed.wait_all_up();
    wait_until(LIMIT, "more handshakes", || bed.masters[0].counters().connections >= 5);
    wait_until(LIMIT, "the log", || bed.balancer.events("certificate").len() >= 2);
    let events = bed.balancer.events("certificate");
    assert_eq!(events.len(), 2, "{events:#?}");
    assert!(events[0]["not_after"].is_string(), "{events:#?}");
    assert_eq!(events[1]["covers_us"], false);
}

#[test]
fn plain_http_behind_a_proxy_header() {
    let bed = Bed::new(Wish {
        masters: 2,
        master: |index, settings| {
            *settings = Master { expect_proxy: true, ..Master::plain(&format!("m{index}")) };
        },
        probe: |_| {
            let checks = vec![(Check::Ready, "/readyz".into())];
            Probe::Http(HttpProbe { checks, ..http(None) })
        },
        change: |plan| {
            let send_proxy = Some(SendProxy { version: 2, tlvs: Default::default() });
            plan.pools[0] = Arc::new(Pool { send_proxy, ..(*plan.pools[0]).clone() });
        },
        judge: Settings::edge(),
    });
    bed.wait_all_up();
    bed.masters[0].fault(|faults| faults.readyz = Some(503));
    bed.wait_for(0, Verdict::Draining, Reason::NotReady(503));
    assert_eq!(bed.report(1).verdict, Verdict::Up);
}

#[test]
fn an_endpoint_that_closes_after_each_answer_is_not_dialled_without_a_pause() {
    let dials = Arc::new(AtomicU32::new(0));
    let counted = dials.clone();
    let endpoint = common::serve(move |mut stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    });
    let balancer = Balancer::start(&[endpoint], |plan| {
        let checks = vec![(Check::Ready, "/".into())];
        let probe = Probe::Http(HttpProbe { checks, ..http(None) });
        let judge = Settings::edge();
        plan.pools[0] = Arc::new(Pool { probe, judge, ..(*plan.pools[0]).clone() });
    });
    let verdict =
        || balancer.engine().status().pools[0].endpoints()[0].report().verdict == Verdict::Up;
    wait_until(LIMIT, "its verdict", verdict);
    // The second comes soon, as long as there is no verdict.
    let took = wait_until(LIMIT, "four dials", || dials.load(Ordering::Relaxed) >= 4);
    assert!(took > Duration::from_millis(1800), "{took:?}");
}

#[test]
fn an_end_without_an_answer_is_not_ready() {
    let dials = Arc::new(AtomicU32::new(0));
    let counted = dials.clone();
    let endpoint = common::serve(move |mut stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        let _ = stream.read(&mut [0; 1024]);
    });
    let balancer = Balancer::start(&[endpoint, common::unused_address()], |plan| {
        let checks = vec![(Check::Ready, "/".into())];
        let probe = Probe::Http(HttpProbe { checks, ..http(None) });
        let judge = Settings::edge();
        plan.pools[0] = Arc::new(Pool { probe, judge, ..(*plan.pools[0]).clone() });
    });
    let report = || balancer.engine().status().pools[0].endpoints()[0].report();
    wait_until(LIMIT, "its verdict", || report().reason == Reason::NotReady(0));
    let verdict = report().verdict;
    assert_eq!(verdict, Verdict::Draining);
    let before = dials.load(Ordering::Relaxed);
    let took = wait_until(LIMIT, "dials", || dials.load(Ordering::Relaxed) >= before + 3);
    assert!(took > Duration::from_millis(700), "{took:?}");
}

#[test]
fn plain_connections_and_handshakes_tell_dead_from_up() {
    let kinds: [fn(&TlsProbe) -> Probe; 2] = [|_| Probe::Tcp, |tls| Probe::Tls(tls.clone())];
    for probe in kinds {
        let judge = Settings { interval: Duration::from_millis(200), ..Settings::edge_tcp() };
        let bed = Bed::new(Wish { masters: 2, probe, judge, ..Wish::default() });
        bed.wait_all_up();
        bed.masters[0].fault(|faults| faults.refuse = true);
        bed.wait_for(0, Verdict::Dead, Reason::Refused);
        bed.masters[0].heal();
        bed.wait_all_up();
    }
}
