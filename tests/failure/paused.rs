//! Peers that stand still for a while and are not to be cut: readers with a closed window, and a
//! frozen endpoint.

use e2e::bed::{Bed, STUCK, VIP, carry_all, mebibytes, receive, receive_end, send};
use e2e::proof::{Item, size};
use eclusa_testkit::client::{download, upload};
use eclusa_testkit::endpoint::Kind;
use eclusa_testkit::process::{Runner, Running, Signal, binary};
use eclusa_testkit::wait::{pause, wait_until};
use std::io::{self, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

const LARGE: u64 = mebibytes(64);
/// More than a narrow client's window takes and less than the edge holds of a session: the endpoint's
/// FIN is there long before the client reads.
const LITTLE: u64 = 200_000;
/// As much as needs the edge's pipe as well.
const MORE: u64 = mebibytes(1);
const HALF_CLOSED: u64 = mebibytes(24);
const NARROW: usize = 32 * 1024;

/// Reads 1,000 bytes, stands still, and reads the rest.
fn stand_still(
    bed: &Bed,
    port: u16,
    buffer: Option<usize>,
    bytes: u64,
    still: Duration,
) -> io::Result<()> {
    let client = match buffer {
        Some(buffer) => bed.connect_narrow("outside1", port, buffer),
        None => bed.connect("outside1", port),
    };
    let seed = u64::from(port);
    receive(&client, seed, 0, 1000)?;
    pause(still);
    receive(&client, seed, 1000, bytes)?;
    receive_end(&client)
}

/// Uploads and finishes first, then stands still before it reads what comes back.
fn stand_still_half_closed(bed: &Bed, port: u16, still: Duration) -> io::Result<()> {
    let client = bed.connect("outside1", port);
    let seed = u64::from(port);
    send(&client, seed, 0, HALF_CLOSED)?;
    client.shutdown(Shutdown::Write)?;
    receive(&client, seed, 0, 1000)?;
    pause(still);
    receive(&client, seed, 1000, HALF_CLOSED)?;
    receive_end(&client)
}

#[test]
fn a_reader_that_pauses_is_not_cut() {
    let config = carry_all(&[7001, 7002, 7003, 7004]);
    let Some(bed) = Bed::start("a_reader_that_pauses_is_not_cut", &config) else { return };
    // Longer than the 30 s of `no_ack` and of `half_closed_timeout` in any case.
    let still = size(Duration::from_secs(300), Duration::from_secs(45));
    let source = |port, bytes| bed.endpoint(port, Kind::Source { seed: u64::from(port), bytes });
    let large = source(7001, LARGE);
    let _others = (source(7002, LITTLE), source(7003, MORE));
    let _echo = bed.endpoint(7004, Kind::EchoAfterEof);
    let times = size(5, 1);
    let before = bed.edge.memory().expect("it runs").resident;
    let (ends, grown): ([Vec<_>; 4], u64) = std::thread::scope(|scope| {
        let bed = &bed;
        let kinds: [fn(&Bed, Duration) -> io::Result<()>; 4] = [
            |bed, still| stand_still(bed, 7001, None, LARGE, still),
            |bed, still| stand_still(bed, 7002, Some(NARROW), LITTLE, still),
            |bed, still| stand_still(bed, 7003, Some(NARROW), MORE, still),
            |bed, still| stand_still_half_closed(bed, 7004, still),
        ];
        let threads = kinds.map(|kind| {
            (0..times).map(|_| scope.spawn(move || kind(bed, still))).collect::<Vec<_>>()
        });
        pause(still - Duration::from_secs(3));
        let held_back = large.counters().sent < LARGE * times;
        let ended = bed.edge.sessions();
        assert!(held_back, "the windows have to be closed while the readers pause");
        assert!(ended.is_empty(), "cut in the pause: {ended:?}");
        let grown = bed.edge.memory().expect("it runs").resident.saturating_sub(before) / 1024;
        let ends =
            threads.map(|kind| kind.into_iter().map(|one| one.join().expect("no panic")).collect());
        (ends, grown)
    });
    let seconds = still.as_secs();
    let bound = "not cut; gets everything afterwards";
    let kinds = [
        ("3.8a a reader that pauses in mid-download", "64 MiB"),
        ("3.8b the same, the endpoint has finished", "200 kB, all in the edge"),
        ("3.8c the same, the endpoint has finished", "1 MiB, more than the edge's send queue"),
        ("3.8d the same, the client has finished first", "24 MiB"),
    ];
    for ((item, what), ends) in kinds.into_iter().zip(ends) {
        let whole = ends.iter().filter(|end| end.is_ok()).count() as u64;
        let wrong: Vec<_> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
        let figure = format!("{what}: {whole} of {times} whole after {seconds} s {wrong:?}");
        Item::new(item).bound(bound).n(times).record(whole == times, figure);
    }
    // What stalls for long gives its pipe (1 MiB at most) back, and lies in memory meanwhile.
    let most = 1024 * times * 4;
    Item::new("3.8e memory of readers that pause")
        .bound(format!("{most} KiB over that at rest at most"))
        .n(times * 4)
        .record(grown <= most, format!("{grown} KiB over that at rest"));
}

/// An endpoint in a process of its own, which can be frozen.
fn process(bed: &Bed, port: u16, arguments: &[&str]) -> Running {
    let program = binary("eclusa-fake").unwrap_or_else(|error| panic!("{error}"));
    let listen = format!("{VIP}:{port}");
    let runner = Runner::new(program).host(&bed.host("worker1")).args(&arguments[..1]);
    let runner = runner.args(["--listen", &listen]).args(&arguments[1..]);
    let mut running = runner.start().expect("an endpoint");
    running.wait_listening(Duration::from_secs(10), port);
    running
}

#[test]
fn a_frozen_endpoint_goes_on() {
    let Some(bed) = Bed::start("a_frozen_endpoint_goes_on", &carry_all(&[7001, 7002])) else {
        return;
    };
    const EACH: usize = 3;
    // In a proof also longer than `no_ack`.
    let frozen = size(Duration::from_secs(35), Duration::from_secs(5));
    let bytes = size(mebibytes(512), mebibytes(64));
    let all = bytes.to_string();
    let mut source = process(&bed, 7001, &["source", "--seed", "1", "--bytes", &all]);
    let mut sink = process(&bed, 7002, &["sink", "--seed", "2"]);
    let connect = |port| -> Vec<_> { (0..EACH).map(|_| bed.connect("outside1", port)).collect() };
    let (down, up) = (connect(7001), connect(7002));
    let (received, reports, stood) = std::thread::scope(|scope| {
        let down: Vec<_> = down.iter().map(|tcp| scope.spawn(move || download(tcp, 1))).collect();
        let up: Vec<_> = up.iter().map(|tcp| scope.spawn(move || upload(tcp, 2, bytes))).collect();
        // All have begun when the edge holds a pipe for each.
        wait_until(STUCK, "streams in full flow", || bed.pipes() >= EACH * 4);
        for endpoint in [&mut source, &mut sink] {
            endpoint.signal(Signal::STOP).expect("it runs");
        }
        pause(frozen);
        let stood = bed.edge.sessions().is_empty()
            && !down.iter().any(|one| one.is_finished())
            && !up.iter().any(|one| one.is_finished());
        for endpoint in [&mut source, &mut sink] {
            endpoint.signal(Signal::CONT).expect("it runs");
        }
        let received: Vec<_> = down.into_iter().map(|one| one.join().expect("no panic")).collect();
        let reports: Vec<_> = up.into_iter().map(|one| one.join().expect("no panic")).collect();
        (received, reports, stood)
    });
    let whole = received.iter().filter(|end| matches!(end, Ok(all) if *all == bytes)).count();
    let uploaded = reports
        .iter()
        .filter(|report| matches!(report, Ok(it) if it.bytes == bytes && it.difference.is_none()));
    let uploaded = uploaded.count();
    Item::new("3.11 endpoints frozen by SIGSTOP in mid-transfer")
        .bound("at least 20 s frozen in a proof: nothing is cut, all arrives afterwards")
        .n(EACH * 2)
        .record(
            stood && whole == EACH && uploaded == EACH,
            format!(
                "frozen for {} s, no stream ended in it: {stood}; {bytes} bytes each, whole: {whole} of \
                 {EACH} down, {uploaded} of {EACH} up",
                frozen.as_secs()
            ),
        );
}

/// Reads about `rate` bytes a second to the end of the stream.
struct Slow<'a> {
    tcp: &'a std::net::TcpStream,
    rate: u64,
    read: u64,
    start: Instant,
}

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let due = Duration::from_secs_f64(self.read as f64 / self.rate as f64);
        pause(due.saturating_sub(self.start.elapsed()));
        let read = self.tcp.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

#[test]
fn a_slow_reader_costs_no_memory() {
    let Some(bed) = Bed::start("a_slow_reader_costs_no_memory", &carry_all(&[7001])) else {
        return;
    };
    const READERS: usize = 8;
    // More than the kernels hold between a source and its reader.
    let bytes = size(mebibytes(64), mebibytes(24));
    let rate = size(mebibytes(1), mebibytes(4));
    let before = bed.edge.memory().expect("it runs");
    let source = bed.endpoint(7001, Kind::Source { seed: 1, bytes });
    let received: Vec<_> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let tcp = bed.connect_narrow("outside1", 7001, 128 * 1024);
                scope.spawn(move || {
                    let slow = Slow { tcp: &tcp, rate, read: 0, start: Instant::now() };
                    download(slow, 1)
                })
            })
            .collect();
        // Long before they are through, on a busy machine too.
        pause(size(Duration::from_secs(2), Duration::from_secs(1)));
        let sent = source.counters().sent;
        assert!(sent < bytes * READERS as u64, "the source has to wait for its readers");
        readers.into_iter().map(|reader| reader.join().expect("no panic")).collect()
    });
    let whole = received.iter().all(|result| matches!(result, Ok(all) if *all == bytes));
    let after = bed.edge.memory().expect("it runs");
    let grown = after.peak.saturating_sub(before.resident) / 1024;
    let bound = 2048 * READERS as u64;
    Item::new("3.4 slow readers")
        .bound(format!("every byte as sent; resident memory grows by at most {bound} KiB at its peak"))
        .n(READERS)
        .record(
            whole && grown <= bound,
            format!(
                "{READERS} readers of {bytes} bytes at {rate} bytes/s: all whole: {whole}; peak {} KiB, \
                 {grown} KiB more than at rest",
                after.peak / 1024
            ),
        );
}
