//! SIGTERM under load: who was accepted is served.

use e2e::bed::{Bed, carry_all, is_reset, receive, receive_end, send};
use e2e::proof::{Item, size};
use eclusa_testkit::endpoint::Kind;
use eclusa_testkit::process::Signal;
use eclusa_testkit::wait::{pause, wait_until};
use std::io::{self, Read};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const CLIENTS: u64 = 200;
/// Questions and answers of a session.
const PARTS: u64 = 20;
const PART: u64 = 1000;

/// What became of one connection.
#[derive(Debug)]
enum Fate {
    Served,
    /// Nobody listens any more.
    Refused,
    /// Connected, and reset before the first answer.
    Unanswered(Instant, String),
    /// Broken after it had been answered.
    Broken(String),
}

/// A session of so many questions and answers.
fn session(bed: &Bed, seed: u64, parts: u64, answered: &AtomicUsize) -> Fate {
    let asked = Instant::now();
    let unanswered = |error: io::Error| {
        let (took, error) = (asked.elapsed(), error.to_string());
        Fate::Unanswered(asked, format!("{error} after {took:?}"))
    };
    let client = match bed.try_connect("outside1", 7001) {
        Ok(client) => client,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Fate::Refused,
        Err(error) => return unanswered(error),
    };
    for part in 0..parts {
        let (from, to) = (part * PART, (part + 1) * PART);
        let done = send(&client, seed, from, to).and_then(|()| receive(&client, seed, from, to));
        match done {
            Ok(()) => answered.fetch_add(1, Relaxed),
            Err(error) if part == 0 => return unanswered(error),
            Err(error) => return Fate::Broken(error.to_string()),
        };
        if parts > 1 {
            pause(Duration::from_millis(50));
        }
    }
    let end = client.shutdown(Shutdown::Write).and_then(|()| receive_end(&client));
    end.map_or_else(|error| Fate::Broken(error.to_string()), |()| Fate::Served)
}

/// Sessions one after the other until nobody listens.
fn keep_coming(bed: &Bed, seed: u64, answered: &AtomicUsize) -> Vec<Fate> {
    // Every other client has short sessions: some connect at the very moment of the stop.
    let parts = if seed.is_multiple_of(2) { 1 } else { PARTS };
    let mut fates = Vec::new();
    while !matches!(fates.last(), Some(Fate::Refused)) {
        fates.push(session(bed, seed, parts, answered));
    }
    fates
}

/// Stops an edge under load; yields what became of all connections, and how long the stop took.
fn stop_under_load(bed: &mut Bed) -> (Vec<Fate>, Instant, Duration) {
    let _echo = bed.endpoint(7001, Kind::Echo);
    let answered = AtomicUsize::new(0);
    let pid = bed.edge.pid().to_string();
    let (fates, start) = std::thread::scope(|scope| {
        let (bed, answered) = (&*bed, &answered);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|seed| scope.spawn(move || keep_coming(bed, seed, answered)))
            .collect();
        wait_until(Duration::from_secs(20), "a load", || {
            answered.load(Relaxed) > (CLIENTS * PARTS) as usize * 2
        });
        bed.host("edge").run("kill", &["-TERM", &pid]).expect("it runs");
        let start = Instant::now();
        let fates = clients.into_iter().flat_map(|client| client.join().expect("no panic"));
        (fates.collect(), start)
    });
    let status = bed.edge.wait_exit(Duration::from_secs(30));
    assert!(status.success(), "{status}");
    for record in bed.edge.sessions_where(|record| record["letters"] != "--") {
        eprintln!("not in order: {record}");
    }
    (fates, start, start.elapsed())
}

/// What was lost, in words.
fn lost(fate: &Fate, stopped: Instant) -> Option<String> {
    match fate {
        Fate::Unanswered(asked, error) => {
            let after = asked.duration_since(stopped).as_secs_f64();
            let after = after - stopped.duration_since(*asked).as_secs_f64();
            Some(format!("never answered, asked {after:.3} s after the stop: {error}"))
        }
        Fate::Broken(error) => Some(format!("broken: {error}")),
        Fate::Served | Fate::Refused => None,
    }
}

#[test]
fn a_stop_under_load_serves_who_was_accepted() {
    let name = "a_stop_under_load_serves_who_was_accepted";
    let stops = size(5, 1);
    let (mut fates, mut words, mut slowest) = (Vec::new(), Vec::new(), Duration::ZERO);
    for _ in 0..stops {
        let Some(mut bed) = Bed::start(name, &carry_all(&[7001])) else { return };
        let (more, stopped, took) = stop_under_load(&mut bed);
        words.extend(more.iter().filter_map(|fate| lost(fate, stopped)));
        fates.extend(more);
        slowest = slowest.max(took);
    }
    let count = |wanted: fn(&Fate) -> bool| fates.iter().filter(|fate| wanted(fate)).count();
    let served = count(|fate| matches!(fate, Fate::Served));
    let refused = count(|fate| matches!(fate, Fate::Refused));
    let lost = words.len();
    Item::new("3.13a a stop under load")
        .bound("who was accepted is served to the end; none is reset")
        .n(fates.len())
        .note(format!("{stops} stops, {CLIENTS} clients at each, each until it is refused"))
        .record(
            lost == 0 && served > 0,
            format!(
                "{served} sessions served, {refused} connections refused after the stop, {lost} lost \
                 {words:?}; the stop took {:.1} s at most",
                slowest.as_secs_f64()
            ),
        );
}

#[test]
fn a_session_that_stays_has_until_the_deadline() {
    let name = "a_session_that_stays_has_until_the_deadline";
    let (deadline, line) = size((25.0, ""), (3.0, "stop_deadline = \"3s\"\n"));
    let config = format!("{line}{}", carry_all(&[7001]));
    let Some(mut bed) = Bed::start(name, &config) else { return };
    let _echo = bed.endpoint(7001, Kind::Echo);
    let mut client = bed.connect("outside1", 7001);
    send(&client, 1, 0, 1000).and_then(|()| receive(&client, 1, 0, 1000)).expect("an echo");
    bed.edge.signal(Signal::TERM).expect("it runs");
    let start = Instant::now();
    let end = client.read(&mut [0; 1]);
    let after = start.elapsed().as_secs_f64();
    let status = bed.edge.wait_exit(Duration::from_secs(5));
    Item::new("3.13b a session that outlasts the stop")
        .bound(format!("reset after {deadline} s and not before, 1 s later at most"))
        .record(
            end.as_ref().is_err_and(is_reset)
                && (deadline - 0.1..deadline + 1.0).contains(&after)
                && status.success(),
            format!("{end:?} after {after:.1} s; {status}"),
        );
}
