//! Clients against fake apiservers that fail them.

use super::*;
use crate::apiserver::{ApiServer, Settings};
use crate::ca::Ca;
use crate::endpoint::{Endpoint, Kind};
use crate::wait_until;
use std::collections::BTreeMap;
use std::net::SocketAddr;

const LIMIT: Duration = Duration::from_secs(10);

fn master(ca: &Ca, name: &str, address: SocketAddr) -> ApiServer {
    ApiServer::start(address, Settings::new(name, &ca.leaf(&["kubernetes"]))).unwrap()
}

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[test]
fn a_kubelet_stays_on_one_session_and_every_tenth_request_is_a_post() {
    let ca = Ca::new();
    let m1 = master(&ca, "m1", local());
    let target = Target::new(m1.address(), "kubernetes", &ca);
    let kubelet = Client::kubelet(&target, 200.0, LIMIT).unwrap();
    kubelet.wait_for_more(50, LIMIT);
    let sessions = kubelet.sessions();
    assert_eq!((sessions.len(), sessions[0].master.as_deref()), (1, Some("m1")));
    assert_eq!((sessions[0].strays, &sessions[0].end), (0, &None));
    assert_eq!(m1.counters().connections, 1);
    let summary = kubelet.stop();
    assert_eq!(summary.failed, 0, "{summary}");
    assert_eq!(summary.by_master, BTreeMap::from([("m1".into(), summary.requests)]));
}

#[test]
fn a_kubelet_records_a_killed_master_and_comes_back_at_once() {
    let ca = Ca::new();
    let m1 = master(&ca, "m1", local());
    let address = m1.address();
    let target = Target::new(address, "kubernetes", &ca);
    let kubelet = Client::kubelet(&target, 200.0, LIMIT).unwrap();
    kubelet.wait_for_more(20, LIMIT);
    drop(m1);
    wait_until(LIMIT, "refused requests", || {
        kubelet.summary().outcomes.get("refused").is_some_and(|refused| *refused > 5)
    });
    let m2 = master(&ca, "m2", address);
    wait_until(LIMIT, "answers of m2", || kubelet.summary().by_master.contains_key("m2"));
    let back = kubelet.now();
    kubelet.wait_for_more(20, LIMIT);
    assert_eq!(kubelet.summary_since(back).failed, 0);
    let sessions = kubelet.sessions();
    assert_eq!((sessions.len(), sessions[1].master.as_deref()), (2, Some("m2")));
    let (when, how) = sessions[0].end.clone().unwrap();
    assert!(when >= sessions[0].at && matches!(how, Outcome::Closed | Outcome::Reset), "{how}");
    assert!(kubelet.summary().longest_outage >= Duration::from_millis(25));
    drop(m2);
}

#[test]
fn a_kubelet_leaves_a_connection_on_which_a_request_timed_out() {
    let ca = Ca::new();
    let m1 = master(&ca, "m1", local());
    let target = Target::new(m1.address(), "kubernetes", &ca);
    let kubelet = Client::kubelet(&target, 100.0, Duration::from_millis(200)).unwrap();
    kubelet.wait_for_more(20, LIMIT);
    m1.fault(|faults| faults.silent = true);
    wait_until(LIMIT, "timeouts", || kubelet.summary().outcomes.contains_key("timeout"));
    m1.heal();
    wait_until(LIMIT, "a new session", || kubelet.sessions().len() > 1);
    let back = kubelet.now();
    wait_until(LIMIT, "answers", || kubelet.summary_since(back).by_master.contains_key("m1"));
    assert!(kubelet.summary().slowest >= Duration::from_millis(200));
}

#[test]
fn singles_record_who_answered_each_of_them() {
    let ca = Ca::new();
    let m1 = master(&ca, "m1", local());
    let target = Target::new(m1.address(), "kubernetes", &ca);
    let singles = Client::singles(&target, 100.0, LIMIT).unwrap();
    singles.wait_for_more(20, LIMIT);
    let records = singles.records();
    assert!(records.iter().all(|record| record.master.as_deref() == Some("m1")));
    assert!(m1.counters().connections >= 20);
    m1.fault(|faults| faults.status = Some(500));
    wait_until(LIMIT, "a failure", || singles.summary().outcomes.contains_key("status 500"));
    drop(m1);
    wait_until(LIMIT, "a refusal", || singles.summary().outcomes.contains_key("refused"));
    let refused = singles.records().into_iter().find(|record| record.outcome == Outcome::Refused);
    let refused = refused.unwrap();
    assert_eq!((refused.step, refused.session, refused.master), (Step::Connect, None, None));
}

#[test]
fn a_watcher_counts_events_and_the_way_back() {
    let ca = Ca::new();
    let m1 = master(&ca, "m1", local());
    let address = m1.address();
    let target = Target::new(address, "kubernetes", &ca);
    let settings = WatchSettings { path: "/watch?rate=200".into(), ..WatchSettings::default() };
    let watcher = Watcher::start(&target, settings).unwrap();
    watcher.wait_for_more(10, LIMIT);
    drop(m1);
    wait_until(LIMIT, "a failed dial", || watcher.report().sessions.len() > 2);
    let _m2 = master(&ca, "m2", address);
    wait_until(LIMIT, "events of m2", || {
        watcher.report().sessions.last().is_some_and(|last| last.events > 0)
    });
    let report = watcher.report();
    assert_eq!(report.missing(), 0);
    assert_eq!(report.sessions.last().unwrap().master.as_deref(), Some("m2"));
    let cuts = report.cuts();
    assert_eq!(cuts.len(), 1);
    assert!(cuts[0].1.unwrap() <= report.longest_silence);
    assert!(report.sessions[1].end.as_ref().is_some_and(|(_, how)| *how == Outcome::Refused));
}

#[test]
fn a_watcher_takes_silence_for_death() {
    let ca = Ca::new();
    let m1 = master(&ca, "m1", local());
    let target = Target::new(m1.address(), "kubernetes", &ca);
    let settings = WatchSettings {
        path: "/watch?rate=100".into(),
        deadline: Duration::from_millis(300),
        silence: Duration::from_millis(300),
        ..WatchSettings::default()
    };
    let watcher = Watcher::start(&target, settings).unwrap();
    watcher.wait_for_more(5, LIMIT);
    m1.fault(|faults| faults.silent = true);
    wait_until(LIMIT, "the end of the session", || watcher.report().cuts().len() == 1);
    let cut = watcher.report().sessions[0].end.clone();
    assert_eq!(cut.map(|(_, how)| how), Some(Outcome::Timeout));
}

#[test]
fn who_answers_says_where_it_failed() {
    let ca = Ca::new();
    let hole = Endpoint::local(Kind::BlackHole);
    let target = Target::new(hole.address(), "kubernetes", &ca);
    let failed = who_answers(&target, "/", Duration::from_millis(100)).unwrap_err();
    assert_eq!(failed, Failed { step: Step::Tls, outcome: Outcome::Timeout });
    drop(hole);
    let failed = who_answers(&target, "/", LIMIT).unwrap_err();
    assert_eq!(failed, Failed { step: Step::Connect, outcome: Outcome::Refused });
    let echo = Endpoint::local(Kind::Echo);
    let failed = who_answers_http2(&Target::plain(echo.address()), "/", LIMIT).unwrap_err();
    assert!(matches!(failed.step, Step::Head), "{failed}");
}
