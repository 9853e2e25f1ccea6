//! More clients than sessions are allowed: they wait, and nobody is accepted and then closed.

use e2e::bed::{Bed, carry_all, receive, receive_end, send};
use e2e::proof::Item;
use eclusa_testkit::endpoint::Kind;
use eclusa_testkit::wait::pause;
use std::io;
use std::net::Shutdown;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

const LIMIT: u64 = 10;
const CLIENTS: u64 = 100;

/// Asks, holds the session for a moment, asks again.
fn session(bed: &Bed, seed: u64) -> io::Result<()> {
    let client = bed.try_connect("outside1", 7001)?;
    for part in 0..2 {
        send(&client, seed, part * 1000, (part + 1) * 1000)?;
        receive(&client, seed, part * 1000, (part + 1) * 1000)?;
        pause(Duration::from_millis(100));
    }
    client.shutdown(Shutdown::Write)?;
    receive_end(&client)
}

#[test]
fn beyond_the_limit_clients_wait() {
    let config = format!("sessions_max = {LIMIT}\n{}", carry_all(&[7001]));
    let Some(bed) = Bed::start("beyond_the_limit_clients_wait", &config) else { return };
    let endpoint = bed.endpoint(7001, Kind::Echo);
    let (barrier, over) = (Barrier::new(CLIENTS as usize), AtomicBool::new(false));
    let (ends, most) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|seed| {
                let (bed, barrier) = (&bed, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    session(bed, seed)
                })
            })
            .collect();
        let (over, endpoint) = (&over, &endpoint);
        let watcher = scope.spawn(move || {
            let mut most = 0;
            while !over.load(Relaxed) {
                most = most.max(endpoint.counters().open);
                pause(Duration::from_millis(1));
            }
            most
        });
        let ends: Vec<_> =
            clients.into_iter().map(|client| client.join().expect("no panic")).collect();
        over.store(true, Relaxed);
        (ends, watcher.join().expect("no panic"))
    });
    let failed: Vec<_> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    Item::new("3.12 clients beyond sessions_max")
        .bound("all wait and are served; none is accepted and closed; never more sessions than allowed")
        .n(CLIENTS)
        .record(
            failed.is_empty() && most <= LIMIT,
            format!(
                "{} of {CLIENTS} failed {failed:?}; at most {most} sessions at once, {LIMIT} allowed",
                failed.len()
            ),
        );
    let records =
        bed.edge.wait_sessions(CLIENTS as usize, "clean ends", |it| it["letters"] == "--");
    assert_eq!(records.len() as u64, CLIENTS);
}
