//! The graceful end phase by phase, and connections that are cut or asked to go.

use super::*;
use crate::client::{Client, WatchSettings, Watcher};
use std::time::Instant;

#[test]
fn the_end_has_the_phases_of_a_kube_apiserver() {
    let delay = Duration::from_millis(300);
    let bed = Bed::new(|settings| {
        settings.shutdown_delay = delay;
        settings.watch_grace = Duration::from_millis(200);
    });
    let watcher = Watcher::start(&bed.target(), WatchSettings::default()).unwrap();
    watcher.wait_for_more(1, LIMIT);
    let running = std::thread::scope(|scope| {
        let running = scope.spawn(|| bed.get("/slow?ms=700"));
        wait_until(LIMIT, "the running request", || bed.master.counters().running == 1);
        let begun = Instant::now();
        bed.master.terminate();
        assert_eq!(bed.master.phase(), Phase::Leaving);
        assert_eq!(bed.get("/readyz").unwrap().status, 500);
        assert_eq!(bed.get("/livez").unwrap().status, 200);
        assert_eq!(bed.get("/api").unwrap().status, 200);
        wait_until(LIMIT, "the closed listener", || bed.master.phase() == Phase::Closed);
        assert!(begun.elapsed() >= delay);
        assert_eq!(bed.get("/api").unwrap_err().outcome, Outcome::Refused);
        running.join().unwrap()
    });
    assert_eq!(running.unwrap().status, 200, "a running request ends in good order");
    bed.master.wait_stopped(LIMIT);
    assert_eq!(bed.master.phase(), Phase::Stopped);
    let counters = bed.master.counters();
    assert_eq!((counters.late_connections, counters.open, counters.watches), (3, 0, 0));
    let first = watcher.report().sessions[0].clone();
    assert_eq!(first.end.map(|(_, how)| how), Some(Outcome::Ok), "a watch ends in good order");
}

#[test]
fn a_standing_connection_is_told_to_close() {
    let bed = Bed::new(|_| {});
    std::thread::scope(|scope| {
        let raw = bed.raw();
        let answer = scope.spawn(|| talk(raw, b"GET /slow?ms=200 HTTP/1.1\r\nHost: k\r\n\r\n"));
        wait_until(LIMIT, "the running request", || bed.master.counters().running == 1);
        bed.master.terminate();
        let answer = answer.join().unwrap();
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    });
    bed.master.wait_stopped(LIMIT);
}

#[test]
fn what_runs_longer_than_the_grace_is_cut() {
    let bed = Bed::new(|settings| settings.grace = Duration::from_millis(200));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| bed.get("/slow?ms=60000"));
        wait_until(LIMIT, "the running request", || bed.master.counters().running == 1);
        bed.master.terminate();
        assert!(bed.master.wait_stopped(LIMIT) < Duration::from_secs(5));
        assert_eq!(running.join().unwrap().unwrap_err().outcome, Outcome::Closed);
    });
}

#[test]
fn going_away_loses_no_request() {
    let bed = Bed::new(|settings| settings.goaway_per_mille = 20);
    let kubelet = Client::kubelet(&bed.target(), 500.0, LIMIT).unwrap();
    kubelet.wait_for_more(200, LIMIT);
    bed.master.goaway();
    kubelet.wait_for_more(100, LIMIT);
    let sessions = kubelet.sessions();
    let summary = kubelet.stop();
    assert_eq!(summary.failed, 0, "{summary}");
    assert!((6..=20).contains(&sessions.len()), "300 requests, 20 of 1000: {}", sessions.len());
    assert_eq!(summary.by_master.get("m1"), Some(&summary.requests));
}

#[test]
fn a_cut_ends_standing_connections_only() {
    let bed = Bed::new(|_| {});
    let settings = WatchSettings { path: "/watch?rate=200".into(), ..WatchSettings::default() };
    let watcher = Watcher::start(&bed.target(), settings.clone()).unwrap();
    let http1 = Watcher::start(&bed.target(), WatchSettings { http2: false, ..settings }).unwrap();
    watcher.wait_for_more(5, LIMIT);
    http1.wait_for_more(5, LIMIT);
    assert_eq!(bed.master.counters().watches, 2);
    bed.master.cut();
    for watcher in [&watcher, &http1] {
        wait_until(LIMIT, "the second session's events", || {
            watcher
                .report()
                .sessions
                .last()
                .is_some_and(|last| last.at > Duration::ZERO && last.events > 0)
                && watcher.report().cuts().len() == 1
        });
        let report = watcher.report();
        let (cut, back) = report.cuts()[0];
        assert_ne!(cut.end.as_ref().unwrap().1, Outcome::Ok);
        assert!(back.unwrap() < Duration::from_secs(1));
    }
}

#[test]
fn dropping_it_is_like_kill() {
    let bed = Bed::new(|_| {});
    let mut raw = bed.raw();
    raw.write_all(b"GET /watch HTTP/1.1\r\nHost: k\r\n\r\n").unwrap();
    let mut head = [0; 12];
    raw.read_exact(&mut head).unwrap();
    let address = bed.master.address();
    drop(bed.master);
    assert!(raw.read_to_end(&mut Vec::new()).is_err(), "neither close_notify nor the last chunk");
    let error = TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}
