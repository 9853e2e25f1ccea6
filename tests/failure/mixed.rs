//! Sessions as they come: bursts and single bytes, pauses of either reader, either side finishing
//! first. Each goes from copying to splicing and back, in both directions at once.

use e2e::bed::{Bed, STUCK, VIP, carry_all, patient};
use e2e::proof::{Item, size};
use eclusa_testkit::stream::{Checksum, Stream};
use eclusa_testkit::wait::pause;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Sessions at once.
const AT_ONCE: usize = 8;

/// Numbers that follow from a seed, so that a failure can be run again.
struct Numbers {
    stream: Stream,
    taken: u64,
}

impl Numbers {
    fn new(seed: u64) -> Self {
        Self { stream: Stream::new(Checksum::of(&seed.to_le_bytes())), taken: 0 }
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.stream.fill(self.taken * 8, &mut bytes);
        self.taken += 1;
        u64::from_le_bytes(bytes) % bound
    }

    /// A length: mostly small, sometimes large.
    fn length(&mut self) -> u64 {
        match self.below(8) {
            0..4 => 1 + self.below(2000),
            4..7 => 1 + self.below(20_000),
            _ => 1 + self.below(1_500_000),
        }
    }

    fn pause_now_and_then(&mut self) {
        if self.below(16) == 0 {
            pause(Duration::from_millis(self.below(30)));
        }
    }
}

/// Everything that one side of session `session` says, as lengths.
fn parts(session: u64, side: u64) -> Vec<u64> {
    let mut numbers = Numbers::new(session * 4 + side);
    let count = numbers.below(60);
    (0..count).map(|_| numbers.length()).collect()
}

/// Says what this side has to say, and finishes.
fn say(mut tcp: &TcpStream, session: u64, side: u64) -> io::Result<()> {
    let stream = Stream::new(session * 4 + side);
    let mut numbers = Numbers::new(session * 4 + side + 1_000_000);
    let mut offset = 0;
    for part in parts(session, side) {
        tcp.write_all(&stream.bytes(offset, part as usize))?;
        offset += part;
        numbers.pause_now_and_then();
    }
    tcp.shutdown(Shutdown::Write)
}

/// Hears all that the other side says, at its own pace.
fn hear(mut tcp: &TcpStream, session: u64, other: u64) -> io::Result<()> {
    let wrong = |words: String| io::Error::new(io::ErrorKind::InvalidData, words);
    let expected: u64 = parts(session, other).iter().sum();
    let stream = Stream::new(session * 4 + other);
    let mut numbers = Numbers::new(session * 4 + other + 2_000_000);
    let mut buffer = vec![0; 128 * 1024];
    let mut offset = 0;
    loop {
        let length = 1 + numbers.below(buffer.len() as u64) as usize;
        let read = tcp.read(&mut buffer[..length])?;
        if read == 0 {
            break;
        }
        stream.check(offset, &buffer[..read]).map_err(|it| wrong(it.to_string()))?;
        offset += read as u64;
        numbers.pause_now_and_then();
    }
    if offset == expected { Ok(()) } else { Err(wrong(format!("{offset} bytes of {expected}"))) }
}

/// One side of a session, both directions at once.
fn side(tcp: &TcpStream, session: u64, own: u64, other: u64) -> io::Result<()> {
    std::thread::scope(|scope| {
        let saying = scope.spawn(|| say(tcp, session, own));
        let heard = hear(tcp, session, other);
        saying.join().expect("no panic").and(heard)
    })
}

fn client(bed: &Bed, session: u64) -> io::Result<()> {
    let mut tcp = bed.try_connect("outside1", 7001)?;
    tcp.write_all(&session.to_le_bytes())?;
    side(&tcp, session, 0, 1)
}

fn endpoint(tcp: TcpStream) -> io::Result<()> {
    let mut tcp = patient(tcp, STUCK)?;
    let mut session = [0; 8];
    tcp.read_exact(&mut session)?;
    side(&tcp, u64::from_le_bytes(session), 1, 0)
}

#[test]
fn sessions_of_every_kind_arrive_whole() {
    let name = "sessions_of_every_kind_arrive_whole";
    let Some(bed) = Bed::start(name, &carry_all(&[7001])) else { return };
    let sessions = size(1000, 100);
    let listener = bed.listener("worker1", SocketAddr::from((VIP, 7001)));
    let next = AtomicU64::new(0);
    let (clients, endpoints): (Vec<_>, Vec<_>) = std::thread::scope(|scope| {
        let accepting = scope.spawn(|| {
            let accept = |_| listener.accept().expect("a connection").0;
            let ends = (0..sessions).map(accept).map(|tcp| scope.spawn(move || endpoint(tcp)));
            ends.collect::<Vec<_>>()
        });
        let clients = [(); AT_ONCE].map(|()| {
            scope.spawn(|| {
                let one = || Some(next.fetch_add(1, Relaxed)).filter(|it| *it < sessions);
                let ends = std::iter::from_fn(one).map(|it| (it, client(&bed, it)));
                ends.collect::<Vec<_>>()
            })
        });
        let clients = clients.into_iter().flat_map(|it| it.join().expect("no panic")).collect();
        let endpoints = accepting.join().expect("no panic");
        (clients, endpoints.into_iter().map(|it| it.join().expect("no panic")).collect())
    });
    let mut wrong: Vec<_> = clients
        .iter()
        .filter_map(|(session, end)| Some(format!("session {session}: {}", end.as_ref().err()?)))
        .collect();
    wrong.extend(
        endpoints.iter().filter_map(|end| Some(format!("endpoint: {}", end.as_ref().err()?))),
    );
    Item::new("3.3c bursts and single bytes, pauses, either side first")
        .bound("every byte as sent, in both directions, and an end in order")
        .n(sessions)
        .record(wrong.is_empty(), format!("{} of {sessions} wrong {wrong:?}", wrong.len()));
    let clean = bed.edge.wait_sessions(sessions as usize, "ends", |it| it["letters"] == "--");
    assert_eq!(clean.len() as u64, sessions);
}
