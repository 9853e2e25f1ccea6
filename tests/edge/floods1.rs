//! Floods over HTTP/1, each by clients that do nothing else: heads and empty lines without end, chunks of a
//! byte, requests sent ahead, connections that say nothing, half-close or reset. A good client on another
//! listener notices nothing, and memory stays where it is.

use crate::bed::Bed;
use crate::slow::ask_in_turn;
use e2e::proof::{Item, p99, size};
use eclusa_testkit::background::raise_file_limit;
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::pause;
use socket2::SockRef;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ADDRESS: ([u8; 4], u16) = ([192, 168, 1, 2], 82);
/// Reads whatever comes, and never answers.
const SINK: ([u8; 4], u16) = ([10, 0, 1, 107], 80);
const ATTACKERS: usize = 2;
/// Connections that one attacker holds which says nothing.
const HELD: usize = 500;
/// The most that the engine may hold, resident.
const MEMORY: u64 = 150 << 20;

const CONFIG: &str = r#"
[listener.flood]
listen = ["192.168.1.2:82"]
http = { head_timeout = "1s", body_timeout = "2s", body_max = "4GiB" }
pool = "sink"
[[listener.flood.rule]]
path = "/no"
deny = true
[pool.sink]
endpoints = ["10.0.1.107:80"]
probe = { kind = "none" }
"#;

/// What an attacker does with one connection after the other.
#[derive(Clone, Copy, Debug)]
enum Attack {
    /// Says the first once, and then the second again and again.
    Pours(&'static [u8], &'static [u8]),
    /// Says this and waits for the end; its own side is ended at once.
    HalfCloses(&'static [u8]),
    /// Says this and resets.
    Resets(&'static [u8]),
    /// Holds as many as it gets, and says nothing.
    Holds,
}

const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n";
const REFUSED: &[u8] = b"GET /no HTTP/1.1\r\nHost: x.test\r\n\r\n";

const ATTACKS: [(Attack, &str); 10] = [
    (
        Attack::Pours(b"GET / HTTP/1.1\r\nHost: x.test\r\n", b"X-Flood: aaaaaaaaaaaaaaaaaaaa\r\n"),
        "heads without end",
    ),
    (Attack::Pours(b"", b"\r\n"), "empty lines without end"),
    (Attack::Pours(CHUNKED, b"1\r\na\r\n"), "chunks of a byte"),
    (Attack::Pours(CHUNKED, b"1;name=value\r\na\r\n"), "chunk extensions"),
    (Attack::Pours(b"", REFUSED), "requests sent ahead"),
    (Attack::HalfCloses(REFUSED), "half-closed connections"),
    (Attack::Resets(b""), "connections reset at once"),
    (Attack::Resets(b"GET / HTTP/1.1\r\nHost:"), "connections reset in the head"),
    (
        Attack::Resets(b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 1000\r\n\r\naaaa"),
        "connections reset in the body",
    ),
    (Attack::Holds, "connections that say nothing"),
];

impl Attack {
    /// Goes on until it is over; says of each connection that it is done.
    fn run(self, over: &AtomicBool, done: &AtomicU64) {
        let mut held = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let address = SocketAddr::from(ADDRESS);
            let connected = TcpStream::connect_timeout(&address, Duration::from_secs(1));
            // It is not the attacker that must not fail.
            let Ok(mut stream) = connected else { continue };
            let _ = match self {
                Self::Pours(first, again) => pour(&mut stream, first, again, over),
                Self::HalfCloses(bytes) => half_close(&mut stream, bytes),
                Self::Resets(bytes) => reset(&mut stream, bytes),
                Self::Holds => Ok(()),
            };
            done.fetch_add(1, Ordering::Relaxed);
            if matches!(self, Self::Holds) {
                held.push(stream);
                if held.len() > HELD {
                    held.clear();
                }
            }
        }
    }
}

/// Says `first` and then `again` until the connection ends, and reads what comes meanwhile.
fn pour(stream: &mut TcpStream, first: &[u8], again: &[u8], over: &AtomicBool) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let piece = again.repeat((16 << 10) / again.len());
    let (mut rest, mut heard) = (first, [0; 16 << 10]);
    while !over.load(Ordering::Relaxed) {
        let mut waits = true;
        match stream.write(if rest.is_empty() { &piece } else { rest }) {
            // A piece that is cut goes on where it was cut.
            Ok(count) => {
                let said = if rest.is_empty() { &piece } else { rest };
                rest = &said[count..];
                waits = false;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        match stream.read(&mut heard) {
            Ok(0) => return Ok(()),
            Ok(_) => waits = false,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if waits {
            pause(Duration::from_micros(200));
        }
    }
    Ok(())
}

fn half_close(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

fn reset(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    SockRef::from(&*stream).set_linger(Some(Duration::ZERO))
}

#[test]
fn floods_over_http1_hurt_nobody() {
    if skipped("floods_over_http1_hurt_nobody") {
        return;
    }
    let _ = raise_file_limit();
    let bed = Bed::without_nginx(CONFIG);
    let sink = Kind::Sink { seed: 0, rate: None };
    let _sink = bed.worker().enter(|| Endpoint::start(SINK.into(), sink)).unwrap();
    let lasts = size(Duration::from_secs(5), Duration::from_millis(150));
    for (attack, name) in ATTACKS {
        run(&bed, attack, name, lasts);
    }
}

fn run(bed: &Bed, attack: Attack, name: &str, lasts: Duration) {
    let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let (good, failed, resident) = std::thread::scope(|scope| {
        let good = scope.spawn(|| bed.client.enter(|| ask_in_turn(&over)));
        for _ in 0..ATTACKERS {
            scope.spawn(|| bed.client.enter(|| attack.run(&over, &done)));
        }
        let (began, mut resident) = (Instant::now(), 0);
        while began.elapsed() < lasts {
            resident = bed.edge.memory().unwrap().resident.max(resident);
            pause(Duration::from_millis(20));
        }
        over.store(true, Ordering::Relaxed);
        let (good, failed) = good.join().unwrap();
        (good, failed, resident)
    });
    let p99 = p99(&good).unwrap_or(Duration::MAX);
    let slowest = Duration::from_millis(size(50, 2_000));
    let passed = failed.is_empty() && p99 < slowest && resident < MEMORY;
    Item::new(format!("4 HTTP/1 flood: {name}"))
        .bound(format!(
            "no request of a good client failed, its p99 under {slowest:?}; under 150 MiB resident"
        ))
        .n(good.len())
        .worst(format!("{:.1?}", good.iter().max().copied().unwrap_or_default()))
        .note(format!(
            "{ATTACKERS} attackers for {lasts:?}, {} connections",
            done.load(Ordering::Relaxed)
        ))
        .record(
            passed,
            format!(
                "p99 {p99:.1?}, {} failed {:?}; {:.1} MiB resident",
                failed.len(),
                failed.first(),
                resident as f64 / f64::from(1 << 20)
            ),
        );
}
