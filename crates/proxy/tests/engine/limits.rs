//! Limits of endpoints and the queue before them, with real sockets.

use crate::common::{self, Balancer, wait_until};
use eclusa_config::plan::{Plan, Pool, Probe};
use eclusa_policy::verdict::Tier;
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// An endpoint that counts the sessions on it. It greets each, reads one byte, notes it, and closes
/// when `hold` returns.
struct Counted {
    address: SocketAddr,
    most: Arc<AtomicU32>,
    all: Arc<AtomicU32>,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Counted {
    fn new(hold: impl Fn() + Send + Sync + 'static) -> Self {
        let counter = || Arc::new(AtomicU32::new(0));
        let (now, most, all) = (counter(), counter(), counter());
        let said = Arc::new(Mutex::new(Vec::new()));
        let of = (now.clone(), most.clone(), all.clone(), said.clone());
        let address = common::serve(move |mut stream| {
            let (now, most, all, said) = &of;
            all.fetch_add(1, Ordering::SeqCst);
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let _ = stream.write_all(b"hello");
            let mut byte = [0];
            if stream.read(&mut byte).is_ok_and(|read| read > 0) {
                said.lock().unwrap_or_else(PoisonError::into_inner).push(byte[0]);
                hold();
            }
            // Before the balancer can know of the end.
            now.fetch_sub(1, Ordering::SeqCst);
        });
        Self { address, most, all, said }
    }

    fn most(&self) -> u32 {
        self.most.load(Ordering::SeqCst)
    }

    fn said(&self) -> Vec<u8> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[allow(clippy::disallowed_methods, reason = "how long an endpoint takes for a session")]
fn busy(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

fn limit(plan: &mut Plan, limits: &[u32]) {
    let pool = pool_of(plan);
    for (endpoint, limit) in pool.endpoints.iter_mut().zip(limits) {
        endpoint.sessions_max = Some(*limit);
    }
}

fn pool_of(plan: &mut Plan) -> &mut Pool {
    Arc::make_mut(&mut plan.pools[0])
}

fn waiting(balancer: &Balancer) -> usize {
    balancer.engine().status().pools[0].waiting()
}

fn wait_for_waiting(balancer: &Balancer, wanted: usize) {
    wait_until("the length of the queue", || waiting(balancer) == wanted);
}

fn taken(balancer: &Balancer, index: usize) -> u32 {
    balancer.engine().status().pools[0].endpoints()[index].places_taken()
}

/// A client that has its greeting.
fn served(balancer: &Balancer) -> TcpStream {
    let mut client = balancer.connect();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    greeted(&mut client);
    client
}

fn greeted(client: &mut TcpStream) {
    let mut got = [0; 5];
    client.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
}

/// A client that is in the queue as the `place`th, having said `said`.
fn queued(balancer: &Balancer, place: usize, said: &[u8]) -> TcpStream {
    let mut client = balancer.connect();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.write_all(said).unwrap();
    wait_for_waiting(balancer, place);
    client
}

fn assert_reset(client: &mut TcpStream) {
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

fn ended(records: &[Value], letters: &str) -> Value {
    let mut found = records.iter().filter(|record| record["letters"] == letters);
    let first = found.next().unwrap_or_else(|| panic!("no {letters} in {records:#?}")).clone();
    assert!(found.next().is_none(), "more than one {letters}: {records:#?}");
    first
}

#[test]
fn never_more_than_the_limit_and_everybody_is_served() {
    let endpoints = [Counted::new(|| busy(3)), Counted::new(|| busy(7))];
    let balancer = Balancer::start(&endpoints.each_ref().map(|e| e.address), |plan| {
        plan.workers = Some(4);
        limit(plan, &[3, 2]);
        pool_of(plan).queue.length = 1000;
        pool_of(plan).queue.timeout = Duration::from_secs(30);
    });
    thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let mut client = served(&balancer);
                    client.write_all(b"x").unwrap();
                    let mut rest = Vec::new();
                    client.read_to_end(&mut rest).unwrap();
                }
            });
        }
    });
    assert_eq!(endpoints.each_ref().map(Counted::most), [3, 2]);
    balancer.wait_for_sessions(0);
    assert_eq!([taken(&balancer, 0), taken(&balancer, 1)], [0, 0]);
    assert_eq!(waiting(&balancer), 0);
    let records = balancer.stop();
    assert_eq!(records.iter().filter(|record| record["letters"] == "--").count(), 400);
    let waited = records.iter().filter(|record| record["ms"]["queue"].is_number()).count();
    assert!(waited > 200, "{waited} of 400 waited");
}

#[test]
fn first_come_first_served_whichever_worker_they_are_on() {
    let endpoint = Counted::new(|| ());
    let balancer = Balancer::start(&[endpoint.address], |plan| {
        plan.workers = Some(4);
        limit(plan, &[1]);
    });
    let holder = served(&balancer);
    let order: Vec<u8> = (0..20).collect();
    let clients: Vec<_> =
        order.iter().map(|n| queued(&balancer, usize::from(*n) + 1, &[*n])).collect();
    drop(holder);
    for mut client in clients {
        greeted(&mut client);
    }
    wait_until("the last one", || endpoint.said().len() == 20);
    assert_eq!(endpoint.said(), order);
    assert_eq!(endpoint.most(), 1);
}

#[test]
fn who_has_waited_too_long_is_reset() {
    let endpoint = Counted::new(|| ());
    let balancer = Balancer::start(&[endpoint.address], |plan| {
        limit(plan, &[1]);
        pool_of(plan).queue.timeout = Duration::from_millis(400);
        pool_of(plan).dial.timeout = Duration::from_millis(100);
    });
    let holder = served(&balancer);
    let began = Instant::now();
    let mut late = queued(&balancer, 1, b"x");
    assert_reset(&mut late);
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
    assert_eq!(waiting(&balancer), 0);
    // A wait longer than the dial's budget takes nothing from it.
    let mut next = queued(&balancer, 1, b"x");
    busy(200);
    drop(holder);
    greeted(&mut next);
    let records = balancer.stop();
    let late = ended(&records, "sQ");
    assert_eq!((&late["ended_by"], &late["step"]), (&"proxy".into(), &"queue".into()));
    assert!(late["ms"]["queue"].as_f64().unwrap() >= 400.0, "{late}");
    assert!(late["ms"]["dial"].as_f64().unwrap() < 100.0, "{late}");
    assert_eq!(late["tries"], 0);
}

#[test]
fn who_finds_the_queue_full_is_reset_at_once() {
    let endpoint = Counted::new(|| ());
    let balancer = Balancer::start(&[endpoint.address], |plan| {
        plan.workers = Some(2);
        limit(plan, &[1]);
        pool_of(plan).queue.length = 1;
    });
    let holder = served(&balancer);
    let mut first = queued(&balancer, 1, b"1");
    let mut second = balancer.connect();
    assert_reset(&mut second);
    drop(holder);
    greeted(&mut first);
    let records = balancer.stop();
    let refused = ended(&records, "SQ");
    assert_eq!((&refused["ended_by"], &refused["step"]), (&"proxy".into(), &"queue".into()));
    assert_eq!(refused["reason"], "the queue of pool pool is full (1)");
}

#[test]
fn without_a_queue_the_limit_refuses() {
    let endpoint = Counted::new(|| ());
    let balancer = Balancer::start(&[endpoint.address], |plan| {
        limit(plan, &[1]);
        pool_of(plan).queue.length = 0;
    });
    let holder = served(&balancer);
    assert_reset(&mut balancer.connect());
    drop(holder);
    balancer.wait_for_sessions(0);
    drop(served(&balancer));
    let records = balancer.stop();
    assert_eq!(ended(&records, "SQ")["reason"], "every endpoint of pool pool is at its limit");
}

#[test]
fn a_client_that_leaves_the_queue_is_noticed_and_takes_no_place_with_it() {
    let endpoint = Counted::new(|| ());
    let balancer = Balancer::start(&[endpoint.address], |plan| {
        plan.workers = Some(2);
        limit(plan, &[1]);
    });
    let holder = served(&balancer);
    let silent = queued(&balancer, 1, b"");
    let spoke = queued(&balancer, 2, b"x");
    let mut half = queued(&balancer, 3, b"h");
    let mut last = queued(&balancer, 4, b"l");
    drop(silent);
    wait_for_waiting(&balancer, 3);
    common::reset(spoke);
    wait_for_waiting(&balancer, 2);
    // What it said is to be answered.
    half.shutdown(Shutdown::Write).unwrap();
    drop(holder);
    greeted(&mut half);
    greeted(&mut last);
    wait_until("both", || endpoint.said() == b"hl");
    let records = balancer.stop();
    let left: Vec<_> = records.iter().filter(|record| record["letters"] == "CQ").collect();
    assert_eq!(left.len(), 2, "{records:#?}");
    assert!(left.iter().all(|record| record["ended_by"] == "client"), "{left:#?}");
}

#[test]
fn no_place_is_lost_while_clients_come_and_go() {
    let endpoints = [Counted::new(|| busy(1)), Counted::new(|| ())];
    let balancer = Balancer::start(&endpoints.each_ref().map(|e| e.address), |plan| {
        plan.workers = Some(4);
        limit(plan, &[2, 1]);
        pool_of(plan).queue.length = 20;
        pool_of(plan).queue.timeout = Duration::from_millis(20);
    });
    thread::scope(|scope| {
        for thread in 0..24 {
            let balancer = &balancer;
            scope.spawn(move || {
                for turn in 0..60 {
                    let mut client = balancer.connect();
                    client.set_read_timeout(Some(Duration::from_millis(turn % 7 * 4 + 1))).unwrap();
                    let _ = client.write_all(b"x");
                    let _ = client.read(&mut [0; 8]);
                    if (turn + thread) % 3 == 0 {
                        common::reset(client);
                    }
                }
            });
        }
    });
    wait_until("nobody on the endpoints", || (0..2).all(|index| taken(&balancer, index) == 0));
    assert_eq!(waiting(&balancer), 0);
    let _all: Vec<_> = (0..3).map(|_| served(&balancer)).collect();
    assert_eq!([taken(&balancer, 0), taken(&balancer, 1)], [2, 1]);
    drop(balancer);
}

#[test]
fn a_stop_ends_who_waits() {
    let endpoint = Counted::new(|| ());
    let balancer = Balancer::start(&[endpoint.address], |plan| limit(plan, &[1]));
    let _holder = served(&balancer);
    let mut waiting = queued(&balancer, 1, b"x");
    let records = balancer.stop();
    assert_reset(&mut waiting);
    assert_eq!(ended(&records, "KQ")["step"], "queue");
}

/// An endpoint whose listener can be closed, and its sessions with it.
fn mortal() -> (SocketAddr, mpsc::Receiver<TcpStream>, impl FnOnce()) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, accepted) = mpsc::channel();
    let dying = Arc::new(AtomicBool::new(false));
    let dies = dying.clone();
    let accepting = thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if dies.load(Ordering::SeqCst) {
                return;
            }
            let _ = stream.write_all(b"hello");
            if sender.send(stream).is_err() {
                return;
            }
        }
    });
    let die = move || {
        dying.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(address);
        let _ = accepting.join();
    };
    (address, accepted, die)
}

#[test]
fn who_waits_for_an_endpoint_that_dies_goes_elsewhere() {
    let (address, accepted, die) = mortal();
    let survivor = Counted::new(|| ());
    let balancer = Balancer::start(&[address, survivor.address], |plan| {
        plan.workers = Some(2);
        limit(plan, &[1, 1]);
    });
    let holders = [served(&balancer), served(&balancer)];
    let clients: Vec<_> = (1..=4).map(|place| queued(&balancer, place, b"x")).collect();
    let on_mortal = accepted.recv().unwrap();
    die();
    // Whoever gets its place finds it refused, and waits for the other one.
    common::reset(on_mortal);
    wait_until("a failed dial", || {
        balancer.engine().status().pools[0].endpoints()[0].failures() > 0
    });
    assert_eq!(survivor.all.load(Ordering::SeqCst), 1);
    drop(holders);
    thread::scope(|scope| {
        for mut client in clients {
            // Greeted, it leaves, and makes room for the next.
            scope.spawn(move || greeted(&mut client));
        }
    });
    assert_eq!(survivor.most(), 1);
    wait_until("all of them", || survivor.said() == b"xxxx");
}

/// Probes by TCP, with short intervals.
fn probed(plan: &mut Plan) {
    let pool = pool_of(plan);
    pool.probe = Probe::Tcp;
    pool.queue.timeout = Duration::from_secs(60);
    pool.judge.slow_start = Duration::ZERO;
    pool.judge.reset_silent_after = None;
}

#[test]
fn when_the_last_endpoint_is_found_dead_nobody_waits_for_it() {
    let (address, accepted, die) = mortal();
    let balancer = Balancer::start(&[address], |plan| {
        limit(plan, &[1]);
        probed(plan);
    });
    let _holder = served(&balancer);
    let mut clients: Vec<_> = (1..=3).map(|place| queued(&balancer, place, b"x")).collect();
    die();
    // The session that stands goes on, its place is not given back: the verdict alone tells them.
    clients.iter_mut().for_each(assert_reset);
    drop(accepted);
    let records = balancer.stop();
    let refused = records.iter().filter(|record| record["letters"] == "SC").count();
    assert_eq!(refused, 3, "{records:#?}");
}

#[test]
fn an_endpoint_that_comes_up_takes_who_waits() {
    let first = Counted::new(|| ());
    let reserved =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    reserved.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let second = reserved.local_addr().unwrap().as_socket().unwrap();
    let balancer = Balancer::start(&[first.address, second], |plan| {
        plan.workers = Some(2);
        limit(plan, &[1, 2]);
        probed(plan);
    });
    let pool = &balancer.engine().status().pools[0];
    let tier = |index: usize| pool.endpoints()[index].report().tier;
    wait_until("verdicts", || (tier(0), tier(1)) == (Tier::Up, Tier::Closed));
    let _holder = served(&balancer);
    let mut clients: Vec<_> = (1..=3).map(|place| queued(&balancer, place, b"x")).collect();
    reserved.listen(16).unwrap();
    let listener = TcpListener::from(reserved);
    wait_for_waiting(&balancer, 1);
    let mut held = Vec::new();
    wait_until("two sessions", || taken(&balancer, 1) == 2);
    assert_eq!(waiting(&balancer), 1, "its limit holds");
    // The first two are on it, the third waits on.
    while held.len() < 2 {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // Probes say nothing.
        let mut byte = [0];
        if stream.read(&mut byte).is_ok_and(|read| read == 1) {
            stream.write_all(b"hello").unwrap();
            held.push(stream);
        }
    }
    clients[..2].iter_mut().for_each(greeted);
    assert_eq!(waiting(&balancer), 1);
}

#[test]
fn rivals_of_a_silent_endpoint_keep_to_the_limit() {
    let silent = common::Silent::new();
    let endpoint = Counted::new(|| busy(30));
    let balancer = Balancer::start(&[silent.address(), endpoint.address], |plan| {
        plan.workers = Some(4);
        limit(plan, &[20, 2]);
        pool_of(plan).dial.hedge_after = Some(Duration::from_millis(50));
    });
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut client = served(&balancer);
                client.write_all(b"x").unwrap();
                let _ = client.read(&mut [0]);
            });
        }
    });
    assert_eq!(endpoint.most(), 2);
    balancer.wait_for_sessions(0);
    assert_eq!([taken(&balancer, 0), taken(&balancer, 1)], [0, 0]);
    let records = balancer.stop();
    assert!(records.iter().any(|record| record["tries"] == 2), "nobody had a rival: {records:#?}");
}

#[test]
fn a_limit_that_a_reload_brings_counts_who_is_there_and_one_that_it_takes_lets_who_waits_go() {
    let endpoint = Counted::new(|| ());
    let mut balancer = Balancer::start(&[endpoint.address], |plan| plan.workers = Some(2));
    let mut standing: Vec<_> = (0..3).map(|_| served(&balancer)).collect();
    let before = balancer.engine().status().pools[0].endpoints()[0].clone();
    balancer.reload(|plan| limit(plan, &[2])).unwrap();
    let same = |balancer: &Balancer| {
        let now = balancer.engine().status().pools[0].endpoints()[0].clone();
        assert!(Arc::ptr_eq(&before, &now), "the endpoint is another one");
    };
    same(&balancer);
    assert_eq!((before.picks(), before.sessions(), taken(&balancer, 0)), (3, 3, 3));
    let mut first = queued(&balancer, 1, b"");
    drop(standing.pop());
    wait_until("two sessions", || before.sessions() == 2);
    assert_eq!(waiting(&balancer), 1, "two of two are left");
    drop(standing.pop());
    greeted(&mut first);
    assert_eq!((before.sessions(), taken(&balancer, 0)), (2, 2));
    let mut second = queued(&balancer, 1, b"");
    balancer.reload(|plan| pool_of(plan).endpoints[0].sessions_max = None).unwrap();
    greeted(&mut second);
    same(&balancer);
    let more: Vec<_> = (0..3).map(|_| served(&balancer)).collect();
    assert_eq!((waiting(&balancer), taken(&balancer, 0)), (0, 0));
    wait_until("all that count", || before.sessions() == 6);
    balancer.reload(|plan| limit(plan, &[6])).unwrap();
    let mut third = queued(&balancer, 1, b"");
    drop(standing);
    greeted(&mut third);
    assert_eq!(before.picks(), 9, "counters go on");
    drop((first, second, third, more));
    wait_until("no session", || before.sessions() == 0 && before.places_taken() == 0);
}
