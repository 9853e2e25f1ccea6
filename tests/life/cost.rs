//! What it costs to be looked at: the page of metrics, and a log whose targets stand still.

use e2e::ask::{get, sample};
use e2e::bed::patient;
use e2e::plain::{connect, echoes};
use e2e::product::{PATIENCE, Product, Program};
use e2e::proof::{Item, median, p99, size};
use eclusa_testkit::ca::client_hello;
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::Scratch;
use eclusa_testkit::wait::{pause, try_until, wait_until};
use socket2::{Domain, Socket, Type};
use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const ADDRESS: ([u8; 4], u16) = ([192, 168, 1, 2], 443);
const OBSERVED: ([u8; 4], u16) = ([127, 0, 0, 1], 9644);
const OBSERVE: &str = "observe = { listen = [\"127.0.0.1:9644\"] }\n";

/// A cluster with one endpoint on all virtual addresses.
fn stage(kind: Kind) -> (Cluster, Endpoint) {
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let start = || Endpoint::start(([0, 0, 0, 0], 9000).into(), kind);
    let endpoint = cluster.host("worker1").enter(start).unwrap();
    (cluster, endpoint)
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

const POOLS: usize = 100;
const ENDPOINTS_PER_POOL: usize = 10;

fn many_endpoints() -> String {
    let mut text = format!("{OBSERVE}[listener.web]\nlisten = [\"192.168.1.2:443\"]\n");
    let endpoints: Vec<_> =
        (0..ENDPOINTS_PER_POOL).map(|number| format!("10.0.1.{}:9000", 100 + number)).collect();
    for pool in 0..POOLS {
        text.push_str(&format!(
            "[[listener.web.route]]\nserver_name = [\"host{pool}.test\"]\npool = \"pool{pool}\"\n"
        ));
    }
    for pool in 0..POOLS {
        // One of ten is probed.
        let kind = if pool % 10 == 0 { "tcp" } else { "none" };
        text.push_str(&format!(
            "[pool.pool{pool}]\nendpoints = {endpoints:?}\nprobe = {{ kind = \"{kind}\" }}\n"
        ));
    }
    text
}

#[test]
fn a_scrape_of_a_thousand_endpoints() {
    if skipped("a_scrape_of_a_thousand_endpoints") {
        return;
    }
    let (cluster, _echo) = stage(Kind::Echo);
    let (host, client) = (cluster.host("edge"), cluster.host("outside1"));
    let edge = Program::Edge.start(Some(&host), &many_endpoints());
    // Each pool has had a session: what was never counted is left out of the page.
    for pool in 0..POOLS {
        let hello = client_hello(&format!("host{pool}.test"), &[]);
        assert!(echoes(&connect(&client, ADDRESS.into()), &hello));
    }
    let _records =
        edge.wait_sessions(POOLS, "the ends of all sessions", |it| it["letters"] == "--");
    let (scrapes, most) = size((50, Duration::from_millis(50)), (5, Duration::from_secs(5)));
    let mut pages = Vec::new();
    let times: Vec<_> = (0..scrapes)
        .map(|_| {
            let began = Instant::now();
            let answer = get(&host, OBSERVED.into(), "/metrics");
            let took = began.elapsed();
            assert_eq!(answer.status, 200, "{}", answer.body);
            pages.push(answer.body);
            took
        })
        .collect();
    let endpoints = POOLS * ENDPOINTS_PER_POOL;
    let rows = |name: &str| {
        pages.iter().map(|page| page.matches(&format!("\n{name}{{")).count()).min().unwrap_or(0)
    };
    let complete = rows("eclusa_endpoint_picks_total") == endpoints
        && rows("eclusa_pool_dial_seconds_count") == POOLS;
    let page = pages.last().unwrap();
    let worst = times.iter().max().copied().unwrap_or_default();
    Item::new(format!("5b GET /metrics with {endpoints} endpoints"))
        .bound(format!(
            "under {} ms, from connect to the last byte; every endpoint on it",
            most.as_millis()
        ))
        .n(scrapes)
        .worst(ms(worst))
        .median(ms(median(&times).unwrap_or_default()))
        .record(
            worst < most && complete,
            format!("{} lines, {} KiB, of {POOLS} pools", page.lines().count(), page.len() / 1024),
        );
}

/// What stands in the record of each session.
const MARK: &[u8] = b"\"event\":\"session\"";
/// `O_NONBLOCK` (fcntl.h): a FIFO that says when it is empty.
const NONBLOCK: i32 = 0o4000;
/// Between two looks at a target.
const LOOK: Duration = Duration::from_millis(1);

/// Targets of the log that can be told to take nothing.
#[derive(Default)]
struct Targets {
    stalled: AtomicBool,
    over: AtomicBool,
    /// Records that each has taken.
    taken: [AtomicU64; 3],
}

impl Targets {
    /// Takes what comes at one of them, unless it is to stand still.
    fn take(&self, index: usize, mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) {
        let mut buffer = vec![0; 64 * 1024];
        // What may be the beginning of a mark.
        let mut kept = 0;
        while !self.over.load(Relaxed) {
            let read = match self.stalled.load(Relaxed) {
                true => 0,
                false => read(&mut buffer[kept..]).unwrap_or(0),
            };
            if read == 0 {
                pause(LOOK);
                continue;
            }
            let all = &buffer[..kept + read];
            let marks = all.windows(MARK.len()).filter(|part| *part == MARK).count();
            self.taken[index].fetch_add(marks as u64, Relaxed);
            let begin = all.len() - (MARK.len() - 1).min(all.len());
            kept = all.len() - begin;
            buffer.copy_within(begin..begin + kept, 0);
        }
    }

    fn taken(&self) -> [u64; 3] {
        self.taken.each_ref().map(|taken| taken.load(Relaxed))
    }
}

/// Ends the targets when it goes.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A syslog at a unix socket, a FIFO, a syslog over TCP, each with small buffers.
struct Opened {
    unix: UnixDatagram,
    fifo: File,
    tcp: TcpListener,
    names: [String; 3],
}

impl Opened {
    fn new(directory: &Path, edge: &Host) -> Self {
        let open = |path: &Path| std::fs::set_permissions(path, Permissions::from_mode(0o777));
        open(directory).unwrap();
        let (unix_path, fifo_path) = (directory.join("syslog"), directory.join("fifo"));
        let unix = UnixDatagram::bind(&unix_path).unwrap();
        open(&unix_path).unwrap();
        unix.set_nonblocking(true).unwrap();
        let made = Command::new("mkfifo").arg(&fifo_path).status().unwrap();
        assert!(made.success());
        open(&fifo_path).unwrap();
        let mut options = File::options();
        let fifo = options.read(true).write(true).custom_flags(NONBLOCK).open(&fifo_path).unwrap();
        let tcp = edge.enter(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            // The sender's buffer is as large as its segments allow.
            socket.set_tcp_mss(536).unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
            socket.bind(&SocketAddr::from(([127, 0, 0, 1], 5601)).into()).unwrap();
            socket.listen(1).unwrap();
            socket.set_nonblocking(true).unwrap();
            TcpListener::from(socket)
        });
        let names = [
            format!("unix:{}", unix_path.display()),
            fifo_path.display().to_string(),
            "tcp:127.0.0.1:5601".to_owned(),
        ];
        Self { unix, fifo, tcp, names }
    }

    fn config(&self) -> String {
        format!(
            "{OBSERVE}workers = 2\n[log]\ntarget = {:?}\nevents = {{ target = \"stderr\" }}\n\
             [listener.web]\nlisten = [\"192.168.1.2:443\"]\npool = \"web\"\npeek = \"none\"\n\
             [pool.web]\nendpoints = [\"10.0.1.100:9000\"]\nprobe = {{ kind = \"none\" }}\n",
            self.names
        )
    }
}

/// Connections, one after the other on each of four threads; what each took until it had its
/// answer and its end.
fn connections(client: &Host, each: usize, pace: Duration) -> Vec<Duration> {
    let one = || {
        let began = Instant::now();
        let stream = TcpStream::connect_timeout(&ADDRESS.into(), PATIENCE);
        let mut stream = stream.and_then(|stream| patient(stream, PATIENCE)).unwrap();
        let mut heard = [0; 2];
        stream.read_exact(&mut heard[..1]).unwrap();
        let took = began.elapsed();
        assert_eq!(stream.read(&mut heard).unwrap(), 0);
        took
    };
    let some = || {
        let paced = |_| {
            pause(pace);
            one()
        };
        (0..each).map(paced).collect::<Vec<_>>()
    };
    client.enter(|| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(some)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        })
    })
}

/// Between two connections of a client.
const PACE: Duration = Duration::from_millis(2);
/// Connections that fill the room of each target (4,096 lines of each of two workers) and all that lies
/// behind it.
const FILL: usize = 10_000;
/// Until a target has taken all that waited.
const CATCH_UP: Duration = Duration::from_secs(60);

/// The program with its log.
struct Logged<'a> {
    edge: &'a Product,
    host: &'a Host,
    targets: &'a Targets,
    names: &'a [String; 3],
}

impl Logged<'_> {
    /// Lines that the metric says were dropped.
    fn dropped(&self) -> u64 {
        let page = get(self.host, OBSERVED.into(), "/metrics").body;
        let dropped = sample(&page, "eclusa_log_lines_dropped_total");
        dropped.map_or(0, |dropped| dropped as u64)
    }

    /// Lines that the log itself says were dropped at each target.
    fn told(&self) -> [u64; 3] {
        let events = self.edge.events();
        let total = |name: &String| {
            let is_it = |event: &&serde_json::Value| {
                event["event"] == "log_dropped" && event["target"] == name.as_str()
            };
            let last = events.iter().rfind(is_it);
            last.and_then(|event| event["total"].as_u64()).unwrap_or(0)
        };
        self.names.each_ref().map(total)
    }

    /// Waits until each target has taken, or the log has told as dropped, the record of each of so
    /// many sessions.
    #[track_caller]
    fn wait_all_told(&self, sessions: u64) {
        let mut last = ([0; 3], [0; 3]);
        let told = try_until(CATCH_UP, "all records", || {
            last = (self.targets.taken(), self.told());
            last.0.iter().zip(last.1).all(|(taken, dropped)| taken + dropped == sessions)
        });
        let (taken, dropped) = last;
        told.unwrap_or_else(|error| {
            panic!("{error}: of {sessions} taken {taken:?}, dropped {dropped:?}")
        });
    }
}

/// What connections took while all targets took what came, and while none did.
struct Windows {
    well: Vec<Duration>,
    stalled: Vec<Duration>,
    sessions: u64,
}

fn windows(logged: &Logged<'_>, client: &Host, count: usize, each: usize) -> Windows {
    let mut windows = Windows { well: Vec::new(), stalled: Vec::new(), sessions: 0 };
    for _ in 0..count {
        windows.well.extend(connections(client, each, PACE));
        logged.targets.stalled.store(true, Relaxed);
        let filled = connections(client, FILL / 4, Duration::ZERO).len();
        let before = logged.dropped();
        let stalled = connections(client, each, PACE);
        // Every queue was full all the time: no line found a place.
        let lines = 3 * stalled.len() as u64;
        wait_until(PATIENCE, "all lines dropped", || logged.dropped() >= before + lines);
        windows.sessions += (filled + 2 * stalled.len()) as u64;
        windows.stalled.extend(stalled);
        logged.targets.stalled.store(false, Relaxed);
        logged.wait_all_told(windows.sessions);
    }
    windows
}

#[test]
fn targets_of_the_log_that_stand_still_hold_up_nobody() {
    if skipped("targets_of_the_log_that_stand_still_hold_up_nobody") {
        return;
    }
    let (cluster, _endpoint) = stage(Kind::Source { seed: 1, bytes: 1 });
    let (host, client) = (cluster.host("edge"), cluster.host("outside1"));
    let scratch = Scratch::new("targets").unwrap();
    let opened = Opened::new(scratch.path(), &host);
    let edge = Program::Edge.start(Some(&host), &opened.config());
    let Opened { unix, mut fifo, tcp, names } = opened;
    let mut accepted = None;
    let (count, each) = size((10, 250), (1, 50));
    let targets = Targets::default();
    let (windows, dropped, told) = std::thread::scope(|scope| {
        scope.spawn(|| targets.take(0, |buffer| unix.recv(buffer)));
        scope.spawn(|| targets.take(1, |buffer| fifo.read(buffer)));
        scope.spawn(|| targets.take(2, |buffer| read_over(&tcp, &mut accepted, buffer)));
        // Even when an assertion fails, or the targets would take for ever.
        let _end = End(&targets.over);
        let logged = Logged { edge: &edge, host: &host, targets: &targets, names: &names };
        let windows = windows(&logged, &client, count, each);
        (windows, logged.dropped(), logged.told())
    });
    let tail = |times: &[Duration]| p99(times).unwrap_or(PATIENCE);
    let (well, stalled) = (tail(&windows.well), tail(&windows.stalled));
    let most = size(Duration::from_millis(1).max(well / 10), Duration::from_secs(1));
    Item::new("5c log targets that stand still: a unix socket, a FIFO, TCP")
        .bound(
            "p99 of new connections at most 1 ms or 10 % more than while they take; every line lost \
             is counted by the metric",
        )
        .n(windows.stalled.len())
        .worst(format!(
            "{}; {} while they take",
            ms(windows.stalled.iter().max().copied().unwrap_or_default()),
            ms(windows.well.iter().max().copied().unwrap_or_default())
        ))
        .median(format!(
            "{}; {} while they take",
            ms(median(&windows.stalled).unwrap_or_default()),
            ms(median(&windows.well).unwrap_or_default())
        ))
        .note(format!(
            "{count} windows with all queues full, {count} without, in turn; a connection: connect, \
             a byte of the endpoint; of {} sessions in all, each target took or lost each",
            windows.sessions
        ))
        .record(
            stalled <= well + most && dropped == told.iter().sum::<u64>(),
            format!(
                "p99 {}; {} while they take; {dropped} lines dropped, {told:?} told by target",
                ms(stalled),
                ms(well)
            ),
        );
}

/// Reads from the connection that was made, or the next.
fn read_over(
    listener: &TcpListener,
    accepted: &mut Option<TcpStream>,
    buffer: &mut [u8],
) -> io::Result<usize> {
    let stream = match accepted {
        Some(stream) => stream,
        None => {
            let (stream, _) = listener.accept()?;
            stream.set_nonblocking(true)?;
            accepted.insert(stream)
        }
    };
    let read = stream.read(buffer)?;
    if read == 0 {
        *accepted = None;
    }
    Ok(read)
}
