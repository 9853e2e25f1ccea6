//! Every fault, on new connections and on standing ones.

use super::*;
use crate::client::{WatchSettings, Watcher};
use std::time::Instant;

#[test]
fn statuses_are_as_told() {
    let bed = Bed::new(|settings| settings.faults.readyz = Some(503));
    assert_eq!(bed.get("/readyz").unwrap().status, 503);
    assert_eq!(bed.get("/livez").unwrap().status, 200);
    bed.master.heal();
    assert_eq!(bed.get("/readyz").unwrap().status, 200);
    bed.master.fault(|faults| (faults.livez, faults.status) = (Some(500), Some(429)));
    let livez = bed.get("/livez").unwrap();
    assert_eq!(livez.status, 500);
    assert!(livez.body.contains("livez check failed"), "{}", livez.body);
    assert_eq!(bed.get("/readyz").unwrap().status, 200);
    assert_eq!(bed.get("/watch").unwrap().status, 429);
    let answer = talk(bed.raw(), b"GET /api HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n");
    assert!(answer.contains("retry-after: 1"), "{answer}");
    bed.master.fault(|faults| faults.readyz = Some(401));
    assert!(bed.get("/readyz").unwrap().body.contains("\"kind\":\"Status\""));
}

#[test]
fn what_is_late_is_late_by_so_much_and_nothing_else_is() {
    let bed = Bed::new(|_| {});
    let late = Duration::from_millis(300);
    let time = |path: &str| {
        let begun = Instant::now();
        bed.get(path).unwrap();
        begun.elapsed()
    };
    bed.master.fault(|faults| faults.answer_late = late);
    assert!(time("/api") >= late);
    assert!(time("/readyz") < late);
    bed.master.heal();
    bed.master.fault(|faults| faults.health_late = late);
    assert!(time("/readyz") >= late);
    assert!(time("/api") < late);
    bed.master.heal();
    bed.master.fault(|faults| faults.first_byte_late = late);
    assert!((late..2 * late).contains(&time("/api")), "only the first byte");
    bed.master.heal();
    bed.master.fault(|faults| faults.every_byte_late = late);
    assert!(time("/api") >= 2 * late, "the handshake and the answer");
    bed.master.heal();
    assert!(time("/api") < late);
}

#[test]
fn a_silent_master_accepts_and_falls_silent_on_standing_connections_too() {
    let bed = Bed::new(|_| {});
    let watcher = Watcher::start(
        &bed.target(),
        WatchSettings { path: "/watch?rate=100".into(), ..WatchSettings::default() },
    )
    .unwrap();
    watcher.wait_for_more(5, LIMIT);
    bed.master.fault(|faults| faults.silent = true);
    assert_eq!(bed.fails("/api"), (Step::Tls, Outcome::Timeout));
    let (before, connections) = (watcher.report().events(), bed.master.counters().connections);
    assert_eq!(bed.fails("/readyz"), (Step::Tls, Outcome::Timeout));
    assert_eq!(watcher.report().events(), before, "no event came meanwhile");
    assert_eq!(bed.master.counters().connections, connections + 1, "it accepts");
    bed.master.heal();
    watcher.wait_for_more(5, LIMIT);
    let report = watcher.report();
    assert_eq!((report.sessions.len(), report.missing()), (1, 0), "nothing was lost");
}

#[test]
fn a_reset_an_alert_and_a_refusal_are_what_the_client_sees() {
    let bed = Bed::new(|_| {});
    let watcher = Watcher::start(&bed.target(), WatchSettings::default()).unwrap();
    watcher.wait_for_more(1, LIMIT);
    bed.master.fault(|faults| faults.reset = true);
    assert_eq!(bed.fails("/api"), (Step::Tls, Outcome::Reset));
    bed.master.heal();
    bed.master.fault(|faults| faults.alert = true);
    let (step, outcome) = bed.fails("/api");
    assert_eq!(step, Step::Tls);
    assert!(outcome.to_string().contains("HandshakeFailure"), "{outcome}");
    bed.master.heal();
    bed.master.fault(|faults| faults.refuse = true);
    wait_until(LIMIT, "a refusal", || {
        bed.get("/api").is_err_and(|failed| failed.outcome == Outcome::Refused)
    });
    watcher.wait_for_more(2, LIMIT);
    assert_eq!(watcher.report().sessions.len(), 1, "the standing connection goes on");
    bed.master.heal();
    wait_until(LIMIT, "it to listen again", || bed.get("/api").is_ok());
}

#[test]
fn the_control_socket_does_what_it_is_told() {
    let bed = Bed::new(|_| {});
    let path = std::env::temp_dir().join(format!("eclusa-control-{}", std::process::id()));
    let socket = bed.master.listen_for_commands(&path).unwrap();
    assert_eq!(send_command(&path, "readyz 500").unwrap(), "");
    assert_eq!(bed.get("/readyz").unwrap().status, 500);
    assert!(send_command(&path, "faults").unwrap().contains("\"readyz\":500"));
    assert_eq!(send_command(&path, "heal").unwrap(), "");
    assert_eq!(bed.get("/readyz").unwrap().status, 200);
    assert!(send_command(&path, "counters").unwrap().contains("\"health\":2"));
    let error = send_command(&path, "dance").unwrap_err();
    assert!(error.to_string().contains("`dance`"), "{error}");
    assert_eq!(send_command(&path, "phase").unwrap(), "\"serving\"");
    send_command(&path, "terminate").unwrap();
    bed.master.wait_stopped(LIMIT);
    drop(socket);
    assert!(!path.exists());
}

#[test]
fn a_client_that_trusts_nobody_is_counted() {
    let bed = Bed::new(|_| {});
    let stranger = Target::new(bed.master.address(), "kubernetes", &Ca::new());
    let failed = who_answers(&stranger, "/api", LIMIT).unwrap_err();
    assert!(matches!(failed.outcome, Outcome::Tls(_)), "{failed}");
    wait_until(LIMIT, "the count", || bed.master.counters().failed_handshakes == 1);
    wait_until(LIMIT, "the end of the connection", || bed.master.counters().open == 0);
}
