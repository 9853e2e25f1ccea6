//! Peers that vanish without a word: every packet to and from their host is dropped.

use e2e::bed::{Bed, STUCK, VIP, carry, is_reset, patient};
use e2e::proof::{Item, median, size};
use eclusa_testkit::netns::Direction;
use eclusa_testkit::wait::{pause, wait_until};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Longer than any peer here may take to be told.
const LONG: Duration = Duration::from_secs(200);

/// How a connection ended: when, and with what error. `None`: in order.
type End = (Instant, Option<io::Error>);

/// Takes one connection.
fn take(listener: &TcpListener) -> TcpStream {
    let (tcp, _) = listener.accept().expect("a connection");
    patient(tcp, LONG).expect("a socket")
}

/// Writes until that fails.
fn write_for_ever(mut tcp: &TcpStream) -> End {
    let buffer = vec![b'w'; 64 * 1024];
    loop {
        if let Err(error) = tcp.write(&buffer) {
            return (Instant::now(), Some(error));
        }
    }
}

/// Waits for the end of a connection on which nothing is said any more.
fn wait_for_end(mut tcp: &TcpStream) -> End {
    let end = tcp.read(&mut [0; 1]);
    (Instant::now(), end.err())
}

/// Reads until `stop`; the kernel answers for what is read.
fn read_until(mut tcp: &TcpStream, stop: &AtomicBool, read: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    tcp.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket");
    let start = Instant::now();
    while !stop.load(Relaxed) && start.elapsed() < LONG {
        if let Ok(count @ 1..) = tcp.read(&mut buffer) {
            read.fetch_add(count as u64, Relaxed);
        }
    }
}

/// A byte there and one back: the session stands.
fn greet(mut tcp: &TcpStream) {
    tcp.write_all(b"!").expect("a connection");
}

fn greeted(tcp: &TcpStream) {
    heard(tcp);
    greet(tcp);
}

fn heard(mut tcp: &TcpStream) {
    tcp.read_exact(&mut [0; 1]).expect("a byte");
}

/// What is expected of the sessions of one port.
struct Expected {
    item: &'static str,
    port: u16,
    letters: &'static str,
    reason: &'static str,
    /// After the first packet that was dropped, at most.
    within: Duration,
}

/// Compares the ends of the sessions of one port, and their records, with what is expected.
fn judge(bed: &Bed, dropped: Instant, expected: &Expected, ends: &[End]) -> (Item, bool, String) {
    let Expected { item, port, letters, reason, within } = expected;
    let seconds: Vec<_> =
        ends.iter().map(|end| end.0.duration_since(dropped).as_secs_f64()).collect();
    let worst = seconds.iter().copied().fold(0.0, f64::max);
    let told = ends.iter().filter(|end| end.1.as_ref().is_some_and(is_reset)).count();
    let listener = format!("p{port}");
    let of_port = |it: &Value| it["listener"] == listener.as_str();
    let records = bed.edge.wait_sessions(ends.len(), "the records", of_port);
    let as_expected = records.iter().filter(|record| {
        let words = record["reason"].as_str().unwrap_or_default();
        record["letters"] == *letters && words.contains(reason)
    });
    let (as_expected, limit) = (as_expected.count(), within.as_secs());
    let item = Item::new(*item)
        .bound(format!("cut within {limit} s; the other side sees a reset; {letters}, `{reason}`"))
        .n(ends.len())
        .worst(format!("{worst:.1} s"))
        .median(format!("{:.1} s", median(&seconds).unwrap_or_default()));
    let first = records.first().unwrap_or(&Value::Null);
    let figure = format!(
        "cut {worst:.1} s after the first dropped packet at most; {told} of {} by a reset; \
         {as_expected} records as expected: {} `{}`",
        ends.len(),
        first["letters"].as_str().unwrap_or_default(),
        first["reason"].as_str().unwrap_or_default()
    );
    let right = told == ends.len() && as_expected == ends.len();
    (item, right && worst <= within.as_secs_f64(), figure)
}

/// The five kinds of sessions, one port each; the last two lead to worker2.
const PORTS: [u16; 5] = [7001, 7002, 7003, 7004, 7005];
const WORKER2: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 22);

fn endpoint_of(port: u16) -> (&'static str, SocketAddr) {
    if port <= 7003 { ("worker1", (VIP, port).into()) } else { ("worker2", (WORKER2, port).into()) }
}

fn config() -> String {
    // A proof runs with the defaults; every day what takes 30 s and 120 s is made shorter.
    let keepalive = "keepalive_idle = \"5s\", keepalive_interval = \"1s\", keepalive_count = 3";
    let more = size(String::new(), format!("dead_peer = {{ no_ack = \"8s\", {keepalive} }}"));
    PORTS.map(|port| carry(port, endpoint_of(port).1, &more)).concat()
}

/// A session: the client's end and the endpoint's.
type Pair = (TcpStream, TcpStream);

/// So many sessions of each kind; the clients of the first three are on the host that vanishes.
fn sessions(bed: &Bed, times: usize) -> [Vec<Pair>; 5] {
    PORTS.map(|port| {
        let (host, address) = endpoint_of(port);
        let listener = bed.listener(host, address);
        let from = if port <= 7003 { "outside2" } else { "outside1" };
        let pair = || {
            let client = patient(bed.connect(from, port), LONG).expect("a socket");
            (client, take(&listener))
        };
        std::iter::repeat_with(pair).take(times).collect()
    })
}

#[test]
fn peers_that_vanish_are_cut() {
    let Some(bed) = Bed::start("peers_that_vanish_are_cut", &config()) else { return };
    let no_ack = size(Duration::from_secs(30), Duration::from_secs(8));
    let keepalive = size(Duration::from_secs(120), Duration::from_secs(8));
    let [flowing, paused, idle, uploading, idle_far] = sessions(&bed, size(5, 2));
    for (client, endpoint) in idle.iter().chain(&idle_far) {
        greet(client);
        greeted(endpoint);
        heard(client);
    }
    let stop = AtomicBool::new(false);
    let read: Vec<_> = flowing.iter().chain(&uploading).map(|_| AtomicU64::new(0)).collect();
    let (dropped, ends) = std::thread::scope(|scope| {
        let write = |tcp| scope.spawn(move || write_for_ever(tcp));
        let wait = |tcp| scope.spawn(move || wait_for_end(tcp));
        let ends = [
            flowing.iter().map(|(_, endpoint)| write(endpoint)).collect::<Vec<_>>(),
            paused.iter().map(|(_, endpoint)| write(endpoint)).collect(),
            idle.iter().map(|(_, endpoint)| wait(endpoint)).collect(),
            uploading.iter().map(|(client, _)| write(client)).collect(),
            idle_far.iter().map(|(client, _)| wait(client)).collect(),
        ];
        let readers = flowing.iter().map(|(client, _)| client);
        let readers = readers.chain(uploading.iter().map(|(_, endpoint)| endpoint));
        for (reader, read) in readers.zip(&read) {
            scope.spawn(|| read_until(reader, &stop, read));
        }
        wait_until(STUCK, "streams in full flow", || {
            read.iter().all(|read| read.load(Relaxed) > 4_000_000)
        });
        // The windows of the paused readers close meanwhile.
        pause(Duration::from_secs(3));
        let ended = bed.edge.sessions();
        for host in ["outside2", "worker2"] {
            bed.host(host).drop_packets(Direction::Both).expect("nftables");
        }
        let dropped = Instant::now();
        let ends =
            ends.map(|kind| kind.into_iter().map(|end| end.join().expect("no panic")).collect());
        stop.store(true, Relaxed);
        assert!(ended.is_empty(), "nothing is to end before the packets are lost: {ended:?}");
        (dropped, ends)
    });
    record_all(&bed, dropped, &ends, no_ack, keepalive);
}

fn record_all(
    bed: &Bed,
    dropped: Instant,
    ends: &[Vec<End>; 5],
    no_ack: Duration,
    keepalive: Duration,
) {
    let late = Duration::from_secs(5);
    let (acknowledged, keepalives) = ("acknowledged nothing", "answered no keepalive");
    let kinds = [
        ("3.9a a black-holed reader", "cD", acknowledged, no_ack + late),
        // The kernel asks a closed window ever more seldom, and it takes three times unanswered.
        ("3.9b a paused reader that vanishes", "cD", acknowledged, no_ack + late * 6),
        ("3.9d an idle client that vanishes", "cD", keepalives, keepalive + late),
        ("3.9c a black-holed endpoint", "sD", acknowledged, no_ack + late),
        // An endpoint gets its keepalive with the first look at the session, after 10 s at most.
        ("3.9e an idle endpoint that vanishes", "sD", keepalives, keepalive + late * 3),
    ];
    let judged: Vec<_> = kinds
        .into_iter()
        .zip(PORTS)
        .zip(ends)
        .map(|(((item, letters, reason, within), port), ends)| {
            judge(bed, dropped, &Expected { item, port, letters, reason, within }, ends)
        })
        .collect();
    for (item, passed, figure) in judged {
        item.record(passed, figure);
    }
}
