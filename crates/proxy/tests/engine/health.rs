//! What `observe.listen` says of health, and how it bears those who ask badly.

use crate::common::ask::{self, get, request};
use crate::common::{self, Balancer};
use eclusa_config::plan::{EndpointAddress, Plan, Pool, Probe, Route};
use eclusa_policy::condition::Condition;
use eclusa_policy::route::Target;
use eclusa_proxy::engine::Engine;
use eclusa_testkit::wait_until;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(15);

fn start(endpoints: &[SocketAddr], change: impl FnOnce(&mut Plan)) -> (Balancer, SocketAddr) {
    let asked = common::ask::free_address();
    let balancer = Balancer::start(endpoints, |plan| {
        plan.observe.listen = vec![asked];
        change(plan);
    });
    (balancer, asked)
}

fn probe(plan: &mut Plan) {
    let pool = Arc::make_mut(&mut plan.pools[0]);
    pool.probe = Probe::Tcp;
    pool.judge.hold = Duration::from_secs(1);
}

fn wait_for(asked: SocketAddr, path: &str, status: u16) -> String {
    let what = format!("{status} of {path}");
    wait_until(LIMIT, &what, || get(asked, path).status == status);
    get(asked, path).body
}

/// An endpoint that can die and come back.
struct Mortal {
    address: SocketAddr,
    alive: Option<TcpListener>,
}

impl Mortal {
    fn new() -> Self {
        // While it is dead nobody else may answer there.
        let address = ask::free_address();
        Self { address, alive: Some(TcpListener::bind(address).expect("a port")) }
    }

    fn die(&mut self) {
        self.alive = None;
    }

    fn revive(&mut self) {
        // The port may linger in the hands of connections that are over.
        let bind = || {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&self.address.into())?;
            socket.listen(128)?;
            Ok::<_, std::io::Error>(TcpListener::from(socket))
        };
        self.alive = Some(bind().expect("its port is free"));
    }
}

#[test]
fn alive_and_ready_with_a_pool_that_serves() {
    let (balancer, asked) = start(&[common::echo_after_eof()], |plan| plan.workers = Some(2));
    wait_until(LIMIT, "heartbeats", || {
        let heartbeats = balancer.engine().heartbeats();
        heartbeats.ages().all(|age| age < Duration::from_millis(600))
    });
    for (path, body) in [
        ("/livez", "every worker runs\n"),
        ("/readyz", "every pool can serve\n"),
        ("/pool/pool", "pool pool: 1/1 ready, can lose 0\n"),
        ("/vip", "this host reaches its endpoints, or none was asked\n"),
    ] {
        let answer = get(asked, path);
        assert_eq!((answer.status, &*answer.body), (200, body), "{path}");
    }
    assert_eq!(get(asked, "/pool/other").status, 404);
    let reach = get(asked, "/reach");
    assert_eq!((reach.status, &*reach.body), (503, "no endpoint has been asked\n"));
    assert_eq!(balancer.engine().heartbeats().age(2), None);
}

#[test]
fn a_pool_that_cannot_serve_is_named() {
    let mut endpoint = Mortal::new();
    let (_balancer, asked) = start(&[endpoint.address], |plan| {
        probe(plan);
        let nameless = Pool {
            name: "[nowhere]".into(),
            endpoints: vec![eclusa_config::plan::Endpoint {
                address: EndpointAddress::Name { host: "nowhere.invalid".into(), port: 443 },
                ..plan.pools[0].endpoints[0].clone()
            }],
            ..(*plan.pools[0]).clone()
        };
        plan.pools.push(Arc::new(nameless));
    });
    wait_for(asked, "/reach", 200);
    assert_eq!(get(asked, "/readyz").status, 200, "no route uses the pool without endpoints");
    for path in ["/pool/[nowhere]", "/pool/%5Bnowhere%5d"] {
        let other = get(asked, path);
        let line = "pool [nowhere]: 0/0 ready, can lose 0, none can take a session\n";
        assert_eq!((other.status, &*other.body), (503, line));
    }
    endpoint.die();
    let line = "pool pool: 0/1 ready, can lose 0, none can take a session, CORRELATED\n";
    assert_eq!(wait_for(asked, "/readyz", 503), line);
    assert_eq!(get(asked, "/pool/pool").body, line);
    assert_eq!(get(asked, "/reach").status, 503);
    assert_eq!(get(asked, "/livez").status, 200, "it is not the workers' fault");
    endpoint.revive();
    wait_for(asked, "/readyz", 200);
    wait_for(asked, "/reach", 200);
}

#[test]
fn every_pool_of_a_route_counts() {
    let (_balancer, asked) = start(&[common::echo_after_eof()], |plan| {
        let empty = Pool { name: "empty".into(), endpoints: vec![], ..(*plan.pools[0]).clone() };
        plan.pools.push(Arc::new(empty));
        plan.listeners[0]
            .routes
            .insert(0, Route { when: Condition::Always, target: Target::Pool(1) });
    });
    let ready = get(asked, "/readyz");
    let line = "pool empty: 0/0 ready, can lose 0, none can take a session\n";
    assert_eq!((ready.status, &*ready.body), (503, line));
}

#[test]
fn a_stop_shows_while_sessions_go_on() {
    let (mut balancer, asked) = start(&[common::echo_after_eof()], |plan| {
        plan.stop_deadline = Duration::from_secs(20);
    });
    let client = balancer.connect();
    balancer.wait_for_sessions(1);
    let stopping = balancer.stop_in_background();
    assert_eq!(wait_for(asked, "/readyz", 503), "the service stops\n");
    assert_eq!(get(asked, "/livez").status, 503);
    assert!(get(asked, "/metrics").body.contains("\neclusa_stopping 1\n"));
    drop(client);
    stopping.join().unwrap();
    assert!(TcpStream::connect(asked).is_err(), "nobody is asked any more");
}

/// Two hosts that share an address, each with an endpoint of its own and the other as its peer.
#[test]
fn the_shared_address_moves_only_where_that_helps() {
    let [mut first, mut second] = [Mortal::new(), Mortal::new()];
    let [asked_first, asked_second] = [ask::free_address(), ask::free_address()];
    let host = |endpoint: &Mortal, asked: SocketAddr, peer: SocketAddr| {
        Balancer::start(&[endpoint.address], |plan| {
            probe(plan);
            plan.observe.listen = vec![asked];
            plan.observe.peer = Some(peer.to_string().into());
        })
    };
    let a = host(&first, asked_first, asked_second);
    let b = host(&second, asked_second, asked_first);
    wait_for(asked_first, "/reach", 200);
    wait_for(asked_second, "/reach", 200);

    first.die();
    wait_for(asked_first, "/reach", 503);
    let began = Instant::now();
    assert_eq!(get(asked_first, "/vip").status, 200, "not at once");
    let why = wait_for(asked_first, "/vip", 503);
    assert_eq!(why, "no endpoint is reached, and the peer reaches one\n");
    let took = began.elapsed();
    assert!((4..8).contains(&took.as_secs()), "{took:?}");
    assert_eq!(get(asked_second, "/vip").status, 200);
    assert!(get(asked_first, "/metrics").body.contains("\neclusa_vip 0\n"));

    // Now neither reaches one: nothing is gained by moving.
    second.die();
    wait_for(asked_first, "/vip", 200);
    common::let_pass(Duration::from_secs(6));
    for asked in [asked_first, asked_second] {
        let answer = get(asked, "/vip");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    // The second is well again, and then it is gone: nobody is left to take the address.
    second.revive();
    wait_for(asked_first, "/vip", 503);
    drop(b.stop());
    wait_for(asked_first, "/vip", 200);

    first.revive();
    wait_for(asked_first, "/reach", 200);
    assert_eq!(get(asked_first, "/vip").status, 200);
    drop(a);
}

#[test]
fn what_is_asked_badly_gets_an_error() {
    let (_balancer, asked) = start(&[common::echo_after_eof()], |_| {});
    let head = request(asked, "HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!((head.status, &*head.body), (200, ""));
    assert!(head.head.contains("content-length: 18"), "{}", head.head);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let text = format!("{method} /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = request(asked, &text);
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: get, head"), "{}", answer.head);
    }
    assert_eq!(get(asked, "/nothing").status, 404);
    assert_eq!(get(asked, "/pool/").status, 404);
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert_eq!(request(asked, &long).status, 431);
    assert_eq!(request(asked, "nonsense\r\n\r\n").status, 400);
}

#[test]
fn connections_are_bounded_and_the_data_path_does_not_care() {
    let (balancer, asked) = start(&[common::echo_after_eof()], |_| {});
    let idle: Vec<_> = (0..32).map(|_| TcpStream::connect(asked).unwrap()).collect();
    let mut waiting = TcpStream::connect(asked).unwrap();
    waiting.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(waiting.read(&mut [0; 16]).is_err(), "answered beyond the limit");
    let mut client = balancer.connect();
    client.write_all(b"hello").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"hello");
    // Who says nothing is sent away, and makes room.
    waiting.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(idle);
}

#[test]
fn an_address_that_is_taken_is_told_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (balancer, asked) = start(&[common::unused_address()], |_| {});
    assert_eq!(get(asked, "/livez").status, 200);
    let mut told = String::new();
    Balancer::plan_only(|plan| {
        plan.observe.listen = vec![common::ask::free_address(), address];
        told = Engine::start(plan).map(|_| ()).unwrap_err().to_string();
    });
    let expected = format!("`observe.listen`: cannot listen on {address}: ");
    assert!(told.starts_with(&expected), "{told}");
    let remedy =
        "(write an address that nothing else on this host has; `observe` has it while it runs)";
    assert!(told.ends_with(remedy), "{told}");
    drop(balancer);
}
