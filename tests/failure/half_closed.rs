//! Sessions of which one side has finished.

use e2e::bed::{Bed, VIP, carry, carry_all, is_reset, receive, receive_end, send};
use e2e::proof::{Item, median, size};
use eclusa_testkit::endpoint::Kind;
use eclusa_testkit::wait_until;
use std::io::{self, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

/// The upload of the issue: 3 MB.
const UPLOAD: u64 = 3_000_000;

fn upload_then_read(bed: &Bed, seed: u64) -> io::Result<()> {
    let client = bed.connect("outside1", 7001);
    send(&client, seed, 0, UPLOAD)?;
    client.shutdown(Shutdown::Write)?;
    receive(&client, seed, 0, UPLOAD)?;
    receive_end(&client)
}

#[test]
fn a_half_closed_upload_is_answered_in_full() {
    let name = "a_half_closed_upload_is_answered_in_full";
    let Some(bed) = Bed::start(name, &carry_all(&[7001])) else { return };
    let times = size(20, 5);
    let endpoint = bed.endpoint(7001, Kind::EchoAfterEof);
    let failed: Vec<_> = (0..times)
        .filter_map(|seed| upload_then_read(&bed, seed).err().map(|error| error.to_string()))
        .collect();
    let received = endpoint.counters().received;
    Item::new("3.5 half-close after 3 MB uploaded at once")
        .bound("the endpoint gets all, the client gets all back, every time")
        .n(times)
        .record(
            failed.is_empty() && received == times * UPLOAD,
            format!(
                "{} of {times} failed {failed:?}; the endpoint got {received} bytes",
                failed.len()
            ),
        );
    bed.edge.wait_sessions(times as usize, "clean ends", |record| record["letters"] == "--");
}

#[test]
fn a_half_closed_session_without_bytes_ends() {
    let (limit, more) = size((30, ""), (3, "half_closed_timeout = \"3s\""));
    let config = carry(7001, (VIP, 7001).into(), more);
    let Some(bed) = Bed::start("a_half_closed_session_without_bytes_ends", &config) else { return };
    const SESSIONS: usize = 5;
    let endpoint = bed.endpoint(7001, Kind::BlackHole);
    let ends: Vec<_> = std::thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|_| {
                let mut client = bed.connect("outside1", 7001);
                scope.spawn(move || {
                    client.shutdown(Shutdown::Write).expect("a connection");
                    let start = Instant::now();
                    let end = client.read(&mut [0; 1]);
                    (start.elapsed(), end)
                })
            })
            .collect();
        sessions.into_iter().map(|session| session.join().expect("no panic")).collect()
    });
    let times: Vec<_> = ends.iter().map(|(after, _)| after.as_secs_f64()).collect();
    let worst = times.iter().copied().fold(0.0, f64::max);
    let early = times.iter().any(|after| *after < f64::from(limit) - 0.5);
    let all_reset = ends.iter().all(|(_, end)| end.as_ref().is_err_and(is_reset));
    let records = bed.edge.wait_sessions(SESSIONS, "timeouts", |record| {
        record["letters"] == "sD"
            && record["reason"].as_str().is_some_and(|it| it.starts_with("half-closed"))
    });
    assert_eq!(records.len(), SESSIONS, "{records:?}");
    // A black hole never closes: its connections go when it is told by a reset.
    let worker = bed.host("worker1");
    wait_until(Duration::from_secs(5), "the endpoint's ends", || {
        let connections = ["-Htn", "state", "connected", "sport", "=", ":7001"];
        worker.run("ss", &connections).expect("ss of iproute2").trim().is_empty()
    });
    assert_eq!(endpoint.counters().accepted, SESSIONS as u64);
    Item::new("3.10 half-closed without bytes")
        .bound(format!("ended by a reset after {limit} s, at most 3 s later, letters sD"))
        .n(SESSIONS)
        .worst(format!("{worst:.1} s"))
        .median(format!("{:.1} s", median(&times).unwrap_or_default()))
        .record(
            !early && all_reset && worst <= f64::from(limit) + 3.0,
            format!("after {worst:.1} s at most; every client was told by a reset: {all_reset}"),
        );
}
