//! Keeper and engine: what ends, and who notices. A crash of the engine and a restart of the whole
//! service refuse no connection; an engine without its keeper stops in order.

use e2e::bed::{Bed, VIP, carry_all};
use e2e::plain::{connect, echoes, hear, try_connect};
use e2e::product::{ConfigFile, PATIENCE, Product, Program};
use e2e::proof::{Item, median, size};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::{Manager, Runner, Signal};
use eclusa_testkit::wait::{pause, wait_until};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const ADDRESS: ([u8; 4], u16) = ([192, 168, 1, 2], 7001);
/// Between two connections of one of the clients that keep coming.
const PACE: Duration = Duration::from_millis(5);
/// Within this time traffic flows again.
const BACK: Duration = Duration::from_millis(500);

/// What became of the connections of clients that keep coming.
#[derive(Debug, Default)]
struct Tally {
    served: AtomicUsize,
    /// Nobody listened, or nobody answered the SYN in time.
    refused: AtomicUsize,
    /// Connected, and reset before the answer: it was accepted, and its engine ended.
    cut: AtomicUsize,
}

impl Tally {
    fn in_words(&self) -> String {
        let of = |count: &AtomicUsize| count.load(Relaxed);
        let (served, refused, cut) = (of(&self.served), of(&self.refused), of(&self.cut));
        format!("{served} served, {refused} refused, {cut} cut")
    }
}

/// One connection after the other, each with a question and its answer, until `over`.
fn keep_coming(host: &Host, tally: &Tally, over: &AtomicBool) {
    while !over.load(Relaxed) {
        let count = match try_connect(host, ADDRESS.into(), PATIENCE) {
            Ok(stream) if echoes(&stream, b"are you there?") => &tally.served,
            Ok(_) => &tally.cut,
            // Accepted and reset before this side had seen that it stands.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => &tally.cut,
            Err(error) => {
                eprintln!("refused: {error}");
                &tally.refused
            }
        };
        count.fetch_add(1, Relaxed);
        pause(PACE);
    }
}

/// Ends the clients' coming when it goes.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Does `with` while four clients keep coming.
fn under_load<T>(client: &Host, with: impl FnOnce(&Tally) -> T) -> (Tally, T) {
    let (tally, over) = (Tally::default(), AtomicBool::new(false));
    let done = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| keep_coming(client, &tally, &over));
        }
        // Even when an assertion fails, or the clients would come for ever.
        let _end = End(&over);
        wait_until(PATIENCE, "a load", || tally.served.load(Relaxed) > 50);
        with(&tally)
    });
    (tally, done)
}

/// Waits until many more have been served.
#[track_caller]
fn more(tally: &Tally) {
    let before = tally.served.load(Relaxed);
    wait_until(PATIENCE, "more traffic", || tally.served.load(Relaxed) > before + 100);
}

/// Kills the engine; yields how long it took until a connection made after that was answered.
fn kill_engine(bed: &Bed) -> Duration {
    let old = bed.edge.engine_pid();
    assert_ne!(old, bed.edge.pid(), "there is a keeper");
    let killed = Instant::now();
    bed.edge.signal_engine(Signal::KILL).expect("it runs");
    let client = bed.host("outside1");
    wait_until(PATIENCE, "an answer", || {
        let stream = try_connect(&client, ADDRESS.into(), PATIENCE);
        stream.is_ok_and(|stream| echoes(&stream, b"and now?"))
    });
    let back = killed.elapsed();
    wait_until(PATIENCE, "another engine", || {
        ![old, bed.edge.pid()].contains(&bed.edge.engine_pid())
    });
    back
}

#[test]
fn a_killed_engine_refuses_nobody() {
    let Some(bed) = Bed::start("a_killed_engine_refuses_nobody", &carry_all(&[7001])) else {
        return;
    };
    let _echo = bed.endpoint(7001, Kind::Echo);
    let client = bed.host("outside1");
    let kills = size(10, 10);
    let (tally, (times, standing)) = under_load(&client, |tally| {
        let mut reset = 0;
        let times: Vec<_> = (0..kills)
            .map(|_| {
                let standing = connect(&client, ADDRESS.into());
                assert!(echoes(&standing, b"I stand"));
                let back = kill_engine(&bed);
                more(tally);
                reset += usize::from(hear(&standing).is_ok_and(|heard| heard.is_empty()));
                back
            })
            .collect();
        (times, reset)
    });
    let ended: Vec<_> = bed.edge.events();
    let ended: Vec<_> = ended.iter().filter(|event| event["event"] == "engine_ended").collect();
    let told = ended.len() == kills
        && ended.iter().zip(1..).all(|(event, n)| event["crashes"] == n && event["signal"] == 9);
    let worst = times.iter().max().copied().unwrap_or_default();
    let refused = tally.refused.load(Relaxed);
    Item::new("2a the engine killed (SIGKILL) under load")
        .bound("0 refused, standing sessions reset, traffic again within 0.5 s, each crash told")
        .n(kills)
        .worst(format!("{} ms", worst.as_millis()))
        .median(format!("{} ms", median(&times).unwrap_or_default().as_millis()))
        .note("time from the kill until a connection made after it is answered")
        .record(
            refused == 0 && worst < BACK && told && standing == kills,
            format!(
                "{}; {standing} standing reset, {} crashes told",
                tally.in_words(),
                ended.len()
            ),
        );
}

/// A cluster with an echo behind the edge, and systemd's stand-in.
struct Stage {
    manager: Manager,
    cluster: Cluster,
    file: ConfigFile,
    _echo: Endpoint,
}

impl Stage {
    fn new(test: &str, config: &str) -> Option<Self> {
        if skipped(test) {
            return None;
        }
        let shape = Shape { masters: 0, workers: 1, ..Shape::default() };
        let cluster = Cluster::new(shape).expect("a cluster");
        let start = || Endpoint::start((VIP, 7001).into(), Kind::Echo);
        let echo = cluster.host("worker1").enter(start).expect("an endpoint");
        let manager = Manager::new().expect("a manager");
        let file = ConfigFile::new(config);
        Some(Self { manager, cluster, file, _echo: echo })
    }

    fn runner(&self, run_directory: &Path) -> Runner {
        let runner = Program::Edge.runner(Some(&self.cluster.host("edge")));
        let runner = runner.args(["run", "-c"]).args([self.file.path()]);
        self.manager.runner(runner.run_directory(run_directory))
    }

    /// The next start of the service: with what the manager has in store.
    fn start(&self, run_directory: &Path) -> Product {
        let mut edge = Product::from(self.runner(run_directory).start().expect("it starts"));
        edge.wait_ready();
        edge
    }
}

fn config(workers: usize, ports: &[u16]) -> String {
    format!("workers = {workers}\nstop_deadline = \"1s\"\n{}", carry_all(ports))
}

fn rewrite(file: &ConfigFile, text: &str) {
    std::fs::write(file.path(), text).expect("a file");
}

/// Where locks go; the service's user may write there, and it stays between two starts.
fn run_directory() -> eclusa_testkit::process::Scratch {
    use std::os::unix::fs::PermissionsExt;
    let scratch = eclusa_testkit::process::Scratch::new("run").expect("a directory");
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(scratch.path(), open).expect("permissions");
    scratch
}

#[test]
fn a_restart_of_the_service_refuses_nobody() {
    let name = "a_restart_of_the_service_refuses_nobody";
    let Some(stage) = Stage::new(name, &config(2, &[7001])) else { return };
    let run = run_directory();
    let client = stage.cluster.host("outside1");
    let mut edge = stage.start(run.path());
    stage.manager.wait_stored(PATIENCE, 2);
    let restarts = size(10, 3);
    let (tally, gaps) = under_load(&client, |tally| {
        let mut restart = || {
            let before = tally.served.load(Relaxed);
            edge.signal(Signal::TERM).expect("it runs");
            assert!(edge.wait_exit(PATIENCE).success(), "{}", edge.last_words());
            let gone = Instant::now();
            edge = stage.start(run.path());
            wait_until(PATIENCE, "traffic", || tally.served.load(Relaxed) > before);
            let gap = gone.elapsed();
            more(tally);
            gap
        };
        (0..restarts).map(|_| restart()).collect::<Vec<_>>()
    });
    let kept =
        edge.events().iter().any(|event| event["event"] == "sockets_kept" && event["sockets"] == 2);
    let worst = gaps.iter().max().copied().unwrap_or_default();
    let (refused, cut) = (tally.refused.load(Relaxed), tally.cut.load(Relaxed));
    Item::new("2b the service restarted, its sockets in a store as systemd's")
        .bound("0 refused, 0 cut")
        .n(restarts)
        .worst(format!("{} ms without a process", worst.as_millis()))
        .note("cut: accepted, and reset by the stop at its deadline of 1 s")
        .record(refused == 0 && cut == 0 && kept, tally.in_words());
}

/// How many of 60 fresh connections are answered.
fn answered(client: &Host, to: SocketAddr) -> usize {
    let streams: Vec<_> = (0..60).map(|_| try_connect(client, to, PATIENCE)).collect();
    let all: io::Result<Vec<_>> = streams.into_iter().collect();
    all.map_or(0, |all| all.iter().filter(|stream| echoes(stream, b"here?")).count())
}

#[test]
fn stored_sockets_fit_another_number_of_workers_and_other_addresses() {
    let name = "stored_sockets_fit_another_number_of_workers_and_other_addresses";
    let Some(stage) = Stage::new(name, &config(4, &[7001, 7002])) else { return };
    let run = run_directory();
    let client = stage.cluster.host("outside1");
    let restart = |edge: &mut Product, text: &str| {
        rewrite(&stage.file, text);
        edge.signal(Signal::TERM).expect("it runs");
        assert!(edge.wait_exit(PATIENCE).success(), "{}", edge.last_words());
        *edge = stage.start(run.path());
    };
    let mut edge = stage.start(run.path());
    stage.manager.wait_stored(PATIENCE, 8);
    // Fewer workers: each socket still has one that accepts. An address that is gone is let go.
    restart(&mut edge, &config(1, &[7001]));
    stage.manager.wait_stored(PATIENCE, 4);
    assert_eq!(answered(&client, ADDRESS.into()), 60);
    let gone = SocketAddr::from((ADDRESS.0, 7002));
    let error = try_connect(&client, gone, PATIENCE).expect_err("nobody listens there");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    // More workers: more sockets, beside those that were there.
    restart(&mut edge, &config(6, &[7001]));
    stage.manager.wait_stored(PATIENCE, 6);
    assert_eq!(answered(&client, ADDRESS.into()), 60);
    let mut names = stage.manager.stored();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(names.iter().all(|name| !name.contains(':')), "{names:?}");
}

#[test]
fn an_engine_without_its_keeper_ends_in_order() {
    let name = "an_engine_without_its_keeper_ends_in_order";
    let Some(mut bed) = Bed::start(name, &carry_all(&[7001])) else { return };
    let _echo = bed.endpoint(7001, Kind::Echo);
    let client = bed.host("outside1");
    let engine = bed.edge.engine_pid();
    let standing = connect(&client, ADDRESS.into());
    assert!(echoes(&standing, b"I stand"));
    bed.edge.signal(Signal::KILL).expect("it runs");
    bed.edge.wait_exit(PATIENCE);
    wait_until(PATIENCE, "no more listeners", || {
        try_connect(&client, ADDRESS.into(), PATIENCE).is_err()
    });
    // The session is not cut, and the engine goes with it.
    let served = echoes(&standing, b"still standing");
    drop(standing);
    // Its parent is gone: it may be a while before somebody else takes note of its end.
    let there = || {
        let status = std::fs::read_to_string(format!("/proc/{engine}/status"));
        status.is_ok_and(|status| !status.contains("State:\tZ"))
    };
    let begun = Instant::now();
    wait_until(PATIENCE, "the end of the engine", || !there());
    let told = bed.edge.events().iter().any(|event| event["event"] == "stopped");
    Item::new("2c the keeper killed (SIGKILL)")
        .bound("the engine takes no more connections, serves what stands, and ends with it")
        .record(
            served && told,
            format!("{} ms after the last session", begun.elapsed().as_millis()),
        );
}

#[test]
fn a_broken_file_does_not_keep_an_engine_from_starting_again() {
    let name = "a_broken_file_does_not_keep_an_engine_from_starting_again";
    let text = config(1, &[7001]);
    let Some(stage) = Stage::new(name, &text) else { return };
    let run = run_directory();
    let mut edge = stage.start(run.path());
    let client = stage.cluster.host("outside1");
    rewrite(&stage.file, "nonsense = true\n");
    edge.signal_engine(Signal::KILL).expect("it runs");
    // Until it is dead it may still accept, and takes with it whom it has accepted.
    edge.wait_for_event(PATIENCE, "its end", |event| event["event"] == "engine_ended");
    let stream = try_connect(&client, ADDRESS.into(), PATIENCE).expect("the keeper listens");
    assert!(echoes(&stream, b"by what was in force before"));
    edge.wait_for_event(PATIENCE, "a word of it", |event| event["event"] == "last_good_config");
    edge.signal(Signal::TERM).expect("it runs");
    drop(stream);
    assert_eq!(edge.wait_exit(PATIENCE).code(), Some(0));
}

#[test]
fn an_engine_that_cannot_start_again_is_tried_until_it_can() {
    let name = "an_engine_that_cannot_start_again_is_tried_until_it_can";
    let bundle = ConfigFile::new(Ca::new().pem());
    let probe = format!("kind = \"tls\", server_name = \"a.test\", ca = {:?}", bundle.path());
    let probed = carry_all(&[7009]).replace("kind = \"none\"", &probe);
    let text = config(1, &[7001]) + &probed;
    let Some(stage) = Stage::new(name, &text) else { return };
    let run = run_directory();
    let mut edge = stage.start(run.path());
    let client = stage.cluster.host("outside1");
    // The file is as it was, and so what was in force last does not start either.
    let certificate = std::fs::read_to_string(bundle.path()).expect("a file");
    std::fs::write(bundle.path(), "nobody's certificate").expect("a file");
    edge.signal_engine(Signal::KILL).expect("it runs");
    // The second try has waited for longer than the first.
    let event = edge.wait_for_event(PATIENCE, "a second vain try", |event| {
        event["event"] == "engine_ended" && event["crashes"] == 3
    });
    assert_eq!((&event["exit_code"], &event["again_in_ms"]), (&2.into(), &200.into()), "{event}");
    // Who comes meanwhile waits.
    let waiting = try_connect(&client, ADDRESS.into(), PATIENCE).expect("the keeper listens");
    std::fs::write(bundle.path(), certificate).expect("a file");
    assert!(echoes(&waiting, b"at last?"));
    edge.signal(Signal::TERM).expect("it runs");
    assert_eq!(edge.wait_exit(PATIENCE).code(), Some(0));
}
