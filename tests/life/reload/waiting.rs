//! Limits of endpoints and reloads: who waits for a place when one is made, and who comes then.

use super::End;
use super::file;
use super::guests::Guests;
use super::orders::say;
use e2e::bed::{Bed, VIP};
use e2e::plain::echoes;
use e2e::product::PATIENCE;
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::wait::wait_until;
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const PORT: u16 = 7001;
/// Who waits is let go at once, long before `queue_timeout` (5 s) would turn it away.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Clients at once where the limit is one.
const CROWD: usize = 16;

/// A pool of these endpoints that takes so many sessions on each.
fn config(endpoints: &[Ipv4Addr], limit: Option<u32>) -> String {
    let endpoints: Vec<_> = endpoints.iter().map(|ip| format!("{ip}:{PORT}")).collect();
    let limit = limit.map(|limit| format!("endpoint_sessions_max = {limit}\n"));
    format!(
        "[listener.tight]\nlisten = [\"0.0.0.0:{PORT}\"]\npool = \"tight\"\n[pool.tight]\n\
         endpoints = {endpoints:?}\n{}probe = {{ kind = \"none\" }}\n",
        limit.unwrap_or_default()
    )
}

#[track_caller]
fn reload(bed: &Bed, text: &str) {
    file::write(bed.edge.config().unwrap(), text.as_bytes(), 0);
    let (code, said) = say(&bed.edge, &["reload"]);
    assert_eq!(code, 0, "{said}");
}

/// One session has the only place, another waits for it when the file becomes `next`: how long it
/// waits from then on; `None`: it was turned away.
fn waits(bed: &Bed, next: &str) -> Option<Duration> {
    let waiting = || {
        let (_, told) = say(&bed.edge, &["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&told).unwrap();
        status["pools"][0]["queued"] == 1
    };
    reload(bed, &config(&[VIP], Some(1)));
    let standing = bed.connect("outside1", PORT);
    assert!(echoes(&standing, b"I have the place"));
    let waiter = bed.connect("outside2", PORT);
    wait_until(PATIENCE, "a session that waits", waiting);
    let begun = Instant::now();
    reload(bed, next);
    let served = echoes(&waiter, b"and I?");
    let took = begun.elapsed();
    assert!(echoes(&standing, b"still here"));
    served.then_some(took)
}

#[test]
fn a_reload_that_makes_a_place_lets_go_who_waits() {
    let test = "a_reload_that_makes_a_place_lets_go_who_waits";
    let Some(bed) = Bed::start(test, &config(&[VIP], Some(1))) else { return };
    let (worker, other) = (bed.host("worker1"), Ipv4Addr::new(10, 0, 1, 101));
    let start = |ip: Ipv4Addr| worker.enter(|| Endpoint::start((ip, PORT).into(), Kind::Echo));
    let _endpoints = [VIP, other].map(|ip| start(ip).unwrap());
    let places = [
        ("a higher limit", config(&[VIP], Some(2))),
        ("no limit", config(&[VIP], None)),
        ("another endpoint", config(&[VIP, other], Some(1))),
    ];
    let times = places.map(|(what, next)| (what, waits(&bed, &next)));
    let late: Vec<_> =
        times.iter().filter(|(_, took)| took.is_none_or(|it| it > AT_ONCE)).collect();
    let worst = times.iter().map(|(_, took)| took.unwrap_or(Duration::MAX)).max();
    Item::new("1e sessions that wait for a place when a reload makes one")
        .bound("served within 1 s (queue_timeout: 5 s)")
        .n(times.len())
        .worst(format!("{} ms", worst.unwrap_or_default().as_millis()))
        .record(late.is_empty(), format!("{} of {} too late {late:?}", late.len(), times.len()));
}

#[test]
fn nobody_is_turned_away_when_a_limit_goes() {
    let test = "nobody_is_turned_away_when_a_limit_goes";
    let Some(bed) = Bed::start(test, &config(&[VIP], Some(1))) else { return };
    let _endpoint = bed.endpoint(PORT, Kind::Echo);
    let (guests, client, lifts) = (Guests::default(), bed.host("outside1"), size(200, 40));
    let at = bed.host("edge").at(PORT);
    let served = || guests.served.load(Relaxed);
    std::thread::scope(|scope| {
        let _end = End(&guests);
        for _ in 0..CROWD {
            scope.spawn(|| guests.keep_coming(&client, at, false));
        }
        for _ in 0..lifts {
            for limit in [Some(1), None] {
                let before = served();
                reload(&bed, &config(&[VIP], limit));
                wait_until(PATIENCE, "more to be served", || served() > before);
            }
        }
    });
    let all = served() + guests.failed.load(Relaxed);
    Item::new(format!("1f a limit that comes and goes {lifts} times under load"))
        .bound("nobody is turned away")
        .n(all)
        .record(guests.failed.load(Relaxed) == 0, wrong_of(all, &guests.failures(&bed.edge)));
}
