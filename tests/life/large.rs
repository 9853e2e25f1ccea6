//! A large configuration: reloaded with a change in it, while clients of the same program talk on.

use e2e::bed::{patient, reset};
use e2e::plain::echoes;
use e2e::product::{PATIENCE, Product, Program};
use e2e::proof::{Item, median, p99, size};
use eclusa_testkit::ca::client_hello;
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::binary;
use eclusa_testkit::wait::{pause, wait_until};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Where the clients that stay ask and answer.
const LASTING: ([u8; 4], u16) = ([192, 168, 1, 2], 7001);
/// The listener with all the routes.
const ROUTED: ([u8; 4], u16) = ([192, 168, 1, 2], 443);
/// Of so many pools one is probed.
const PROBED: usize = 100;
/// Clients of each kind.
const CLIENTS: usize = 4;
/// Between two round trips of a client.
const PACE: Duration = Duration::from_millis(1);
/// Between two connections of a client that comes anew each time.
const NEW_PACE: Duration = Duration::from_millis(5);
/// How long a reload may still have an effect after it was done.
const SETTLING: Duration = Duration::from_millis(100);

/// So many endpoints and so many routes.
#[derive(Clone, Copy, Debug)]
struct Large {
    many: usize,
    endpoints_per_pool: usize,
}

impl Large {
    fn pools(self) -> usize {
        self.many / self.endpoints_per_pool
    }

    /// The whole file; `turn` is where two of them differ: in a route and in a weight.
    fn config(self, turn: usize) -> String {
        let mut text = String::from(
            "[listener.lasting]\nlisten = [\"192.168.1.2:7001\"]\npool = \"echo\"\npeek = \"none\"\n\
             [pool.echo]\nendpoints = [\"10.0.1.100:9000\"]\nprobe = { kind = \"none\" }\n\
             [listener.routed]\nlisten = [\"192.168.1.2:443\"]\npool = \"echo\"\n",
        );
        for route in 0..self.many {
            let name = if route == self.many / 2 { turn } else { route };
            text.push_str(&format!(
                "[[listener.routed.route]]\nserver_name = [\"{}\"]\n",
                name_of(name)
            ));
            // Some ask for more than a name.
            if route % 10 == 0 {
                text.push_str("source = [\"203.0.113.0/24\"]\n");
            }
            text.push_str(&format!("pool = \"pool{}\"\n", route % self.pools()));
        }
        for pool in 0..self.pools() {
            text.push_str(&self.pool(pool, turn));
        }
        text
    }

    fn pool(self, pool: usize, turn: usize) -> String {
        let turning = (self.pools() / 2, self.endpoints_per_pool / 2);
        let endpoint = |number| {
            let weight = if (pool, number) == turning { 1 + turn % 9 } else { 1 };
            // All there are, in turn.
            let address = 100 + (pool + number) % 10;
            format!("{{ address = \"10.0.1.{address}:9000\", weight = {weight} }}")
        };
        let endpoints: Vec<_> = (0..self.endpoints_per_pool).map(endpoint).collect();
        let kind = if pool.is_multiple_of(PROBED) { "tcp" } else { "none" };
        format!(
            "[pool.pool{pool}]\nendpoints = [{}]\nprobe = {{ kind = \"{kind}\" }}\n",
            endpoints.join(", ")
        )
    }
}

/// The server name of a route; all are of one length.
fn name_of(route: usize) -> String {
    format!("host{route:06}.example.com")
}

/// What clients say that want a server name.
struct Hello {
    bytes: Vec<u8>,
    at: usize,
}

impl Hello {
    fn new() -> Self {
        let name = name_of(0);
        let bytes = client_hello(&name, &["h2"]);
        let at = bytes.windows(name.len()).position(|part| part == name.as_bytes()).unwrap();
        Self { bytes, at }
    }

    fn of(&self, route: usize) -> Vec<u8> {
        let (name, mut bytes) = (name_of(route), self.bytes.clone());
        bytes[self.at..self.at + name.len()].copy_from_slice(name.as_bytes());
        bytes
    }
}

struct Stage {
    edge: Product,
    client: Host,
    _endpoint: Endpoint,
    _cluster: Cluster,
}

impl Stage {
    fn new(test: &str, config: &str) -> Option<Self> {
        if skipped(test) {
            return None;
        }
        let shape = Shape { masters: 0, workers: 1, ..Shape::default() };
        let cluster = Cluster::new(shape).unwrap();
        // On all virtual addresses.
        let start = || Endpoint::start(([0, 0, 0, 0], 9000).into(), Kind::Echo);
        let endpoint = cluster.host("worker1").enter(start).unwrap();
        let edge = Program::Edge.start(Some(&cluster.host("edge")), config);
        let client = cluster.host("outside1");
        Some(Self { edge, client, _endpoint: endpoint, _cluster: cluster })
    }

    /// `reload`, as the unit calls it: from the start of the command to its end.
    #[track_caller]
    fn reload(&self, config: &str, changes: usize) -> Duration {
        std::fs::write(self.edge.config().unwrap(), config).unwrap();
        let mut command = Command::new(binary("eclusa-edge").unwrap());
        command.args(["reload", "--socket"]).arg(self.edge.run_directory().join("edge.sock"));
        let began = Instant::now();
        let output = command.output().unwrap();
        let took = began.elapsed();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains(&format!("reloaded: {changes} change")), "{said}");
        took
    }
}

/// A question and its answer.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Instant,
    /// `None`: there was no answer.
    took: Option<Duration>,
}

/// Clients that ask on and on.
struct Clients {
    hello: Hello,
    routes: usize,
    /// The next route to ask for.
    next: AtomicUsize,
    /// On connections that stand.
    lasting: Mutex<Vec<Asked>>,
    /// On a new connection each, by all routes in turn.
    new: Mutex<Vec<Asked>>,
    over: AtomicBool,
}

impl Clients {
    fn new(routes: usize) -> Self {
        let (next, lasting, new, over) = Default::default();
        Self { hello: Hello::new(), routes, next, lasting, new, over }
    }

    /// To be called on a thread in the clients' namespace.
    fn ask(&self) {
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| self.stay());
                scope.spawn(|| self.until_over(&self.new, NEW_PACE, || self.come()));
            }
        });
    }

    fn stay(&self) {
        let stream = TcpStream::connect_timeout(&LASTING.into(), PATIENCE);
        let stream = stream.and_then(|stream| patient(stream, PATIENCE)).unwrap();
        self.until_over(&self.lasting, PACE, || echoes(&stream, b"ping"));
    }

    fn come(&self) -> bool {
        let hello = self.hello.of(self.next.fetch_add(1, Relaxed) % self.routes);
        let stream = TcpStream::connect_timeout(&ROUTED.into(), PATIENCE);
        let stream = stream.and_then(|stream| patient(stream, PATIENCE));
        stream.is_ok_and(|stream| {
            let served = echoes(&stream, &hello);
            // Ports of this host are not to be waited for.
            reset(stream);
            served
        })
    }

    /// Every route is taken some times: what is only prepared at the first use is there. To be called
    /// on a thread in the clients' namespace.
    fn ask_for_all(&self, times: usize) {
        let all = self.routes * times;
        let one_by_one = || while self.next.load(Relaxed) < all && self.come() {};
        std::thread::scope(|scope| {
            (0..CLIENTS).for_each(|_| drop(scope.spawn(one_by_one)));
        });
        assert!(self.next.load(Relaxed) >= all, "every one is served");
    }

    fn until_over(&self, all: &Mutex<Vec<Asked>>, pace: Duration, mut ask: impl FnMut() -> bool) {
        let mut own = Vec::new();
        while !self.over.load(Relaxed) {
            let at = Instant::now();
            let took = ask().then(|| at.elapsed());
            own.push(Asked { at, took });
            pause(pace);
        }
        all.lock().unwrap().extend(own);
    }
}

/// Ends the clients' asking when it goes.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Spans of time.
type Spans = Vec<(Instant, Instant)>;

/// Reloads, and between two of them as long without one.
fn reloads(stage: &Stage, large: Large, count: usize) -> (Vec<Duration>, Spans, Spans) {
    let (mut times, mut with, mut without) = (Vec::new(), Spans::new(), Spans::new());
    for turn in 1..=count {
        let text = large.config(large.many + turn);
        let began = Instant::now();
        times.push(stage.reload(&text, 2));
        pause(SETTLING);
        let ended = Instant::now();
        with.push((began, ended));
        pause(ended - began);
        without.push((ended, Instant::now()));
    }
    (times, with, without)
}

/// How long the answers took to what was asked in these spans, or was still asked when one began.
fn within(asked: &[Asked], spans: &Spans) -> Vec<Duration> {
    let is_in = |one: &&Asked| {
        let ended = one.at + one.took.unwrap_or(PATIENCE);
        spans.iter().any(|(from, to)| one.at < *to && ended > *from)
    };
    asked.iter().filter(is_in).filter_map(|one| one.took).collect()
}

/// Records what reloads do to clients.
fn record_effect(name: &str, asked: &[Asked], with: &Spans, without: &Spans) {
    let unanswered = asked.iter().filter(|one| one.took.is_none()).count();
    let (during, between) = (within(asked, with), within(asked, without));
    let most = size(Duration::from_millis(5), Duration::from_secs(1));
    let tail = |times: &[Duration]| p99(times).unwrap_or(PATIENCE);
    let effect = tail(&during).saturating_sub(tail(&between));
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    Item::new(name)
        .bound(format!(
            "all answered; p99 at most {} ms more than between reloads",
            most.as_millis()
        ))
        .n(during.len())
        .worst(ms(during.iter().max().copied().unwrap_or_default()))
        .median(ms(median(&during).unwrap_or_default()))
        .note(format!(
            "during {} reloads and {} ms after each; as long between them: n {}, worst {}",
            with.len(),
            SETTLING.as_millis(),
            between.len(),
            ms(between.iter().max().copied().unwrap_or_default())
        ))
        .record(
            unanswered == 0 && effect <= most && between.len() > 100,
            format!(
                "p99 {} during reloads, {} between them; {unanswered} of {} without an answer",
                ms(tail(&during)),
                ms(tail(&between)),
                asked.len()
            ),
        );
}

/// Reloads, and records what they take and what they do to clients.
fn show(stage: &Stage, large: Large, count: usize) {
    // Everyday builds are some ten times slower, and the machine is busy.
    let most = size(Duration::from_secs(1), Duration::from_secs(10));
    let clients = Clients::new(large.many);
    // In full more often than there are workers.
    stage.client.enter(|| clients.ask_for_all(size(4, 1)));
    let (times, with, without) = std::thread::scope(|scope| {
        scope.spawn(|| stage.client.enter(|| clients.ask()));
        // Even when an assertion fails, or the clients would ask for ever.
        let _end = End(&clients.over);
        let before = clients.next.load(Relaxed);
        wait_until(PATIENCE, "clients", || clients.next.load(Relaxed) > before + 100);
        reloads(stage, large, count)
    });
    let Large { many, endpoints_per_pool } = large;
    let of = format!("{} pools of {endpoints_per_pool}", large.pools());
    let worst = times.iter().max().copied().unwrap_or_default();
    Item::new(format!("6a reload of {many} endpoints and {many} routes, {of}"))
        .bound(format!("under {} ms, from the command's start to its end", most.as_millis()))
        .n(count)
        .worst(format!("{} ms", worst.as_millis()))
        .median(format!("{} ms", median(&times).unwrap_or_default().as_millis()))
        .note("each with a route and a weight changed, under the load of 6b and 6c")
        .record(worst < most, format!("worst {} ms, {} changes", worst.as_millis(), 2 * count));
    let lasting = clients.lasting.into_inner().unwrap();
    let what = format!("6b round trips on connections that stand, {of}");
    record_effect(&what, &lasting, &with, &without);
    let new = clients.new.into_inner().unwrap();
    let what = format!("6c new connections by all routes in turn, {of}");
    record_effect(&what, &new, &with, &without);
}

#[test]
fn a_large_configuration_is_reloaded() {
    let (many, count) = size((10_000, 10), (2_000, 2));
    for endpoints_per_pool in [1, 10] {
        let large = Large { many, endpoints_per_pool };
        let name = "a_large_configuration_is_reloaded";
        let Some(stage) = Stage::new(name, &large.config(many)) else { return };
        show(&stage, large, count);
    }
}
