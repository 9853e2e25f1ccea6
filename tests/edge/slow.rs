//! Thousands of clients that take their time: heads, bodies and readers a byte at a time. Each is cut at
//! its deadline, and nobody else notices.

use crate::bed::Bed;
use crate::reply::Wire;
use e2e::product::PATIENCE;
use e2e::proof::{Item, full, p99, size};
use eclusa_testkit::background::raise_file_limit;
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Host, skipped};
use eclusa_testkit::wait::{pause, wait_until};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two bytes of a client.
const BEAT: Duration = Duration::from_millis(250);
/// Between ten connections and the next ten.
const CONNECT_PACE: Duration = Duration::from_millis(2);
/// In so many parts they have theirs.
const PARTS: usize = 25;
/// Between two requests of the good client.
const PACE: Duration = Duration::from_millis(5);
/// The receive buffer of those who read a byte at a time. What lies in it was taken, in good time: at
/// `body_rate_min` it is worth as much again as the kernel makes of it.
const BUFFER: usize = 2_048;
const WORTH: Duration = Duration::from_secs(2 * BUFFER as u64 / 256);
/// The most that the engine may hold, resident.
const MEMORY: u64 = 100 << 20;

/// Connections to endpoints that are kept: 64 to each, by each of two workers or a few more.
const KEPT: usize = 4 * 4 * 64;

/// Where the slow ones connect to. An endpoint that never answers, one that answers more than all
/// buffers on the way hold, and one whose answers fit into them.
const ADDRESS: ([u8; 4], u16) = ([192, 168, 1, 2], 81);
const SILENT: ([u8; 4], u16) = ([10, 0, 1, 107], 80);
const LONG: ([u8; 4], u16) = ([10, 0, 1, 108], 80);
const SHORT: ([u8; 4], u16) = ([10, 0, 1, 109], 80);

/// The deadlines of a run.
#[derive(Clone, Copy, Debug)]
struct Deadlines {
    head: Duration,
    body: Duration,
    keep_alive: Duration,
}

impl Deadlines {
    fn of_this_run() -> Self {
        let (head, body, keep_alive) = size((10, 30, 10), (1, 1, 1));
        let seconds = Duration::from_secs;
        Self { head: seconds(head), body: seconds(body), keep_alive: seconds(keep_alive) }
    }

    fn config(self) -> String {
        let Self { head, body, keep_alive } = self;
        let mut config = format!(
            "[listener.slow]\nlisten = [\"192.168.1.2:81\"]\npool = \"recorder\"\n\
             http = {{ head_timeout = \"{}s\", body_timeout = \"{}s\", keep_alive_timeout = \"{}s\" }}\n",
            head.as_secs(),
            body.as_secs(),
            keep_alive.as_secs()
        );
        for (name, address) in [("silent", SILENT), ("long", LONG), ("short", SHORT)] {
            let address = SocketAddr::from(address);
            config += &format!(
                "[[listener.slow.route]]\nhost = [\"{name}.test\"]\npool = \"{name}\"\n\
                 [pool.{name}]\nendpoints = [\"{address}\"]\nprobe = {{ kind = \"none\" }}\n"
            );
        }
        config
    }
}

/// What a client does a byte at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slow {
    Head,
    Body,
    /// Reads an answer that no buffer holds.
    Reader,
    /// Reads an answer that the kernel holds: for the edge it is sent, and the connection at rest.
    LateReader,
}

impl Slow {
    fn request(self) -> &'static [u8] {
        match self {
            Self::Head => b"GET /slow HTTP/1.1\r\nHost: app.test\r\nX-Slow: ",
            Self::Body => {
                b"POST /slow HTTP/1.1\r\nHost: silent.test\r\nContent-Length: 1000000\r\n\r\nb"
            }
            Self::Reader => b"GET /slow HTTP/1.1\r\nHost: long.test\r\n\r\n",
            Self::LateReader => b"GET /slow HTTP/1.1\r\nHost: short.test\r\n\r\n",
        }
    }

    fn reads(self) -> bool {
        matches!(self, Self::Reader | Self::LateReader)
    }

    fn deadline(self, deadlines: Deadlines) -> Duration {
        match self {
            Self::Head => deadlines.head,
            Self::Body | Self::Reader => deadlines.body,
            Self::LateReader => deadlines.keep_alive + deadlines.body,
        }
    }
}

#[test]
fn slow_clients_are_cut_in_time_and_hurt_nobody() {
    if skipped("slow_clients_are_cut_in_time_and_hurt_nobody") {
        return;
    }
    let _ = raise_file_limit();
    let deadlines = Deadlines::of_this_run();
    let bed = Bed::without_nginx(&deadlines.config());
    let worker = bed.host("worker1");
    // 5,000 of them must not fill the kernel's memory for all of TCP.
    let short = "echo 4096 16384 16384 > /proc/sys/net/ipv4/tcp_wmem";
    worker.run("sh", &["-c", short]).unwrap();
    let endpoint = |address: ([u8; 4], u16), kind: Kind| {
        worker.enter(|| Endpoint::start(address.into(), kind)).unwrap()
    };
    let _endpoints = [
        endpoint(SILENT, Kind::BlackHole),
        endpoint(LONG, Kind::Greeting(answer(256 << 10))),
        endpoint(SHORT, Kind::Greeting(answer(8 << 10))),
    ];
    let at_rest = bed.edge.descriptors().unwrap();
    let kinds = [
        (Slow::Head, "heads"),
        (Slow::Body, "bodies"),
        (Slow::Reader, "readers"),
        (Slow::LateReader, "readers of what the kernel holds"),
    ];
    let run = |(slow, name): (Slow, &str)| Run::of(&bed, slow, size(5_000, 100)).record(slow, name);
    let are_gone = || {
        wait_until(2 * PATIENCE, "the last descriptors", || {
            bed.edge.descriptors().unwrap() <= at_rest + KEPT
        });
    };
    if full() {
        // The descriptors of one process do not last for all at once.
        kinds.into_iter().for_each(|kind| {
            run(kind);
            are_gone();
        });
    } else {
        std::thread::scope(|scope| {
            kinds.into_iter().for_each(|kind| drop(scope.spawn(move || run(kind))));
        });
        are_gone();
    }
}

fn answer(length: usize) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + length, b'a');
    answer
}

/// What was seen.
#[derive(Debug)]
struct Run {
    /// When each client was cut, in order.
    cut: Vec<Duration>,
    /// Those who were not told why, by 408, though they could have been.
    untold: usize,
    left: usize,
    good: Vec<Duration>,
    failed: Vec<String>,
    resident: u64,
    anonymous: u64,
}

impl Run {
    fn of(bed: &Bed, slow: Slow, count: usize) -> Self {
        let over = AtomicBool::new(false);
        let limit = slow.deadline(Deadlines::of_this_run()) + 2 * PATIENCE;
        std::thread::scope(|scope| {
            let good = scope.spawn(|| bed.client.enter(|| ask_in_turn(&over)));
            let mut clients = connect(&bed.client, slow, count);
            let (mut resident, mut anonymous) = (0, 0);
            let last = clients.last().map_or_else(Instant::now, |client| client.since);
            while clients.iter().any(|client| client.cut.is_none()) && last.elapsed() < limit {
                // Not all at the same moment: nobody has told them to.
                for some in clients.chunks_mut(count.div_ceil(PARTS)) {
                    let began = Instant::now();
                    some.iter_mut().for_each(|client| client.beat(slow));
                    pause((BEAT / PARTS as u32).saturating_sub(began.elapsed()));
                }
                let memory = bed.edge.memory().unwrap();
                resident = memory.resident.max(resident);
                anonymous = memory.anonymous.max(anonymous);
            }
            over.store(true, Ordering::Relaxed);
            let (good, failed) = good.join().unwrap();
            let mut cut: Vec<_> = clients.iter().filter_map(|client| client.cut).collect();
            cut.sort();
            let untold = clients.iter().filter(|client| !client.is_told && !slow.reads()).count();
            let left = clients.len() - cut.len();
            Self { cut, untold, left, good, failed, resident, anonymous }
        })
    }

    fn record(&self, slow: Slow, name: &str) {
        let deadline = slow.deadline(Deadlines::of_this_run());
        let Self { cut, untold, left, good, failed, resident, anonymous } = self;
        let n = cut.len() + left;
        let (first, last) = (cut.first().copied(), cut.last().copied());
        // A machine of every day may stand still for a while.
        let (late, slowest) = size((2, 50), (2 * PATIENCE.as_secs(), 2_000));
        let worth = if slow.reads() { WORTH } else { Duration::ZERO };
        let in_time = |cut: &Duration| {
            let begins = deadline.saturating_sub(Duration::from_millis(50));
            (begins..deadline + worth + Duration::from_secs(late)).contains(cut)
        };
        let p99 = p99(good).unwrap_or(Duration::MAX);
        let passed = *left == 0
            && *untold == 0
            && failed.is_empty()
            && cut.iter().all(in_time)
            && p99 < Duration::from_millis(slowest)
            && *resident < MEMORY;
        let mebibytes = |bytes: &u64| *bytes as f64 / f64::from(1 << 20);
        Item::new(format!("5.4 slow {name}, a byte at a time"))
            .bound(format!(
                "each cut after {deadline:?} and {worth:?} for what its buffer took, at most {late} s \
                 late; a good client's p99 under {slowest} ms, none of its requests failed; under 100 \
                 MiB resident"
            ))
            .n(n)
            .worst(format!("{:.1?}", last.unwrap_or_default()))
            .note(format!("a byte every {BEAT:?}; {} requests of the good client", good.len()))
            .record(
                passed,
                format!(
                    "cut after {:.1?} to {:.1?}, {left} not, {untold} without a word; good client p99 \
                     {p99:.1?}, {} failed {:?}; {:.1} MiB resident, {:.1} anonymous",
                    first.unwrap_or_default(),
                    last.unwrap_or_default(),
                    failed.len(),
                    failed.first(),
                    mebibytes(resident),
                    mebibytes(anonymous)
                ),
            );
    }
}

/// One slow client.
#[derive(Debug)]
struct Client {
    stream: TcpStream,
    since: Instant,
    cut: Option<Duration>,
    /// It heard that it was too slow.
    is_told: bool,
}

impl Client {
    /// One byte more, and whether that was the end.
    fn beat(&mut self, slow: Slow) {
        if self.cut.is_some() {
            return;
        }
        // A reset is noticed although there are bytes left to read.
        let is_reset = self.stream.take_error().unwrap().is_some();
        let ended = if slow.reads() { is_reset } else { self.say(is_reset) };
        if slow.reads() {
            // Whatever it is: the edge decides when this ends.
            let _ = self.stream.read(&mut [0; 1]);
        }
        if ended {
            self.cut = Some(self.since.elapsed());
        }
    }

    fn say(&mut self, is_reset: bool) -> bool {
        let mut heard = [0; 1_024];
        loop {
            match self.stream.read(&mut heard) {
                Ok(0) => return true,
                Ok(count) => self.is_told |= heard[..count].starts_with(b"HTTP/1.1 408 "),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return true,
            }
        }
        is_reset || self.stream.write(b"a").is_err()
    }
}

/// So many clients, each with its request said.
fn connect(host: &Host, slow: Slow, count: usize) -> Vec<Client> {
    let connect = |number: usize| {
        if number.is_multiple_of(10) {
            pause(CONNECT_PACE);
        }
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if slow.reads() {
            socket.set_recv_buffer_size(BUFFER).unwrap();
        }
        socket.connect(&SockAddr::from(SocketAddr::from(ADDRESS))).unwrap();
        let mut stream = TcpStream::from(socket);
        let since = Instant::now();
        stream.write_all(slow.request()).unwrap();
        stream.set_nonblocking(true).unwrap();
        Client { stream, since, cut: None, is_told: false }
    };
    host.enter(|| (0..count).map(connect).collect())
}

/// A good client, on a connection that is kept and on new ones in turn: how long each answer took, and
/// what went wrong.
pub(crate) fn ask_in_turn(over: &AtomicBool) -> (Vec<Duration>, Vec<String>) {
    let (mut took, mut failed, mut kept) = (Vec::new(), Vec::new(), None);
    for number in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        let wire = kept.take().filter(|_| number % 2 == 0).map_or_else(Wire::here, Ok);
        let asked = wire.and_then(|mut wire| wire.get("app.test", "/good").map(|_| wire));
        match asked {
            Ok(wire) => kept = Some(wire),
            Err(error) => failed.push(error.to_string()),
        }
        took.push(began.elapsed());
        pause(PACE);
    }
    // In the short form there may be few; none would be no proof.
    assert!(took.len() > if full() { 100 } else { 0 }, "{} requests", took.len());
    (took, failed)
}
