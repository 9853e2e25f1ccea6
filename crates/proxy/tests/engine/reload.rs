//! Reload: another plan in the midst of traffic. Real sockets, one engine.

use crate::common::{Balancer, ask, listener, pool, serve, unused_address};
use eclusa_config::plan::{self, ListenAddress, Plan, Probe};
use eclusa_policy::condition::Condition;
use eclusa_policy::route::Target;
use eclusa_policy::verdict::Verdict;
use eclusa_proxy::engine::ReloadError;
use eclusa_testkit::wait::wait_until;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

/// An endpoint that says its name and then echoes.
fn named(name: &'static str) -> SocketAddr {
    serve(move |mut stream| {
        let mut buffer = [0; 1024];
        let _ = stream.write_all(name.as_bytes());
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..read]).is_err() {
                return;
            }
        }
    })
}

fn ask_name(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    name_of(&mut stream)
}

fn name_of(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut name = [0; 1];
    stream.read_exact(&mut name).unwrap();
    String::from_utf8(name.to_vec()).unwrap()
}

/// The session still carries bytes both ways.
fn still_carries(stream: &mut TcpStream) {
    stream.write_all(b"?").unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"?");
}

fn set_endpoints(plan: &mut Plan, endpoints: &[SocketAddr]) {
    Arc::make_mut(&mut plan.pools[0]).endpoints = pool(endpoints).endpoints;
}

#[test]
fn endpoints_come_and_go_and_sessions_stay() {
    let (a, b) = (named("a"), named("b"));
    let mut balancer = Balancer::start(&[a], |_| {});
    let mut standing = balancer.connect();
    assert_eq!(name_of(&mut standing), "a");
    let known = balancer.engine().status().pools[0].endpoints()[0].clone();
    balancer.reload(|plan| set_endpoints(plan, &[a, b])).unwrap();
    let names: Vec<_> = (0..4).map(|_| ask_name(balancer.address())).collect();
    assert!(names.contains(&"a".to_owned()) && names.contains(&"b".to_owned()), "{names:?}");
    let now = balancer.engine().status().pools[0].endpoints();
    assert!(Arc::ptr_eq(&known, &now[0]), "what is known of an endpoint that stays is kept");
    let reloaded = balancer.reload(|plan| set_endpoints(plan, &[b])).unwrap();
    assert_eq!(reloaded.generation, 3);
    assert_eq!(reloaded.diff.changes.len(), 1, "{:?}", reloaded.diff);
    assert!((0..4).all(|_| ask_name(balancer.address()) == "b"));
    still_carries(&mut standing);
}

#[test]
fn addresses_and_pools_come_and_go() {
    let (a, b) = (named("a"), named("b"));
    let mut balancer = Balancer::start(&[a], |plan| plan.allow_shrink = true);
    let other = ask::free_address();
    let add = |plan: &mut Plan| {
        let mut second = pool(&[b]);
        second.name = "second".into();
        plan.pools.push(Arc::new(second));
        let mut listener = listener(other);
        listener.name = "other".into();
        listener.routes[0].target = Target::Pool(1);
        plan.listeners.push(listener);
    };
    balancer.reload(add).unwrap();
    assert_eq!(ask_name(other), "b");
    assert_eq!(ask_name(balancer.address()), "a");
    let mut standing = TcpStream::connect(other).unwrap();
    assert_eq!(name_of(&mut standing), "b");
    // The route of the listener that stays goes elsewhere; the other listener goes.
    let change = |plan: &mut Plan| {
        plan.listeners.pop();
        plan.listeners[0].routes =
            vec![plan::Route { when: Condition::Always, target: Target::Pool(1) }];
    };
    balancer.reload(change).unwrap();
    assert_eq!(ask_name(balancer.address()), "b");
    assert!(TcpStream::connect(other).is_err(), "nobody listens there");
    still_carries(&mut standing);
    balancer.reload(|plan| plan.listeners[0].routes[0].target = Target::Pool(0)).unwrap();
    let gone = |plan: &mut Plan| drop(plan.pools.pop());
    balancer.reload(gone).unwrap();
    assert_eq!(balancer.engine().status().pools.len(), 1);
    still_carries(&mut standing);
    drop(standing);
    balancer.wait_for_sessions(0);
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let a = named("a");
    let mut balancer = Balancer::start(&[a], |_| {});
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (taken, address)).unwrap();
    let error = balancer.reload(|plan| {
        set_endpoints(plan, &[unused_address()]);
        let listen = ListenAddress { address: taken.1, optional: false };
        plan.listeners[0].addresses.push(listen);
    });
    assert!(matches!(error, Err(ReloadError::Shrink(_))), "{error:?}");
    let error = balancer
        .reload(|plan| {
            plan.allow_shrink = true;
            set_endpoints(plan, &[unused_address()]);
            let listen = ListenAddress { address: taken.1, optional: false };
            plan.listeners[0].addresses.push(listen);
        })
        .unwrap_err()
        .to_string();
    assert!(error.contains(&taken.1.to_string()) && error.contains("is taken by"), "{error}");
    let ca = balancer.reload(|plan| {
        let tls = plan::TlsProbe { ca: Some("/no/such/ca.pem".into()), ..Default::default() };
        Arc::make_mut(&mut plan.pools[0]).probe = Probe::Tls(tls);
    });
    assert!(ca.unwrap_err().to_string().contains("/no/such/ca.pem"));
    assert_eq!(ask_name(balancer.address()), "a");
    assert_eq!(balancer.engine().status().generation, 1);
    wait_until(LIMIT, "the log", || balancer.events("reload_refused").len() == 3);
}

#[test]
fn the_shrink_guard_counts_what_is_up() {
    let endpoints: Vec<_> = (0..4).map(|_| named("a")).collect();
    let mut balancer = Balancer::start(&endpoints, |_| {});
    balancer.reload(|plan| set_endpoints(plan, &endpoints[..2])).expect("half may go");
    let error = balancer.reload(|plan| set_endpoints(plan, &[unused_address()])).unwrap_err();
    let expected = "pool pool would lose 2 of 2 endpoints that are up; if that is meant: \
                    `reload --force`, or `allow_shrink = true` in the file";
    assert_eq!(error.to_string(), expected);
    let gone = balancer.reload(|plan| {
        let mut other = pool(&endpoints[..1]);
        other.name = "other".into();
        plan.pools = vec![Arc::new(other)];
    });
    assert!(gone.unwrap_err().to_string().contains("1 of 1 pools that serve would be gone"));
}

#[test]
fn probes_begin_change_and_end_with_a_reload() {
    let (alive, dead) = (named("a"), unused_address());
    let mut balancer = Balancer::start(&[alive, dead], |_| {});
    let verdict = |balancer: &Balancer, index: usize| {
        balancer.engine().status().pools[0].endpoints()[index].report().verdict
    };
    assert_eq!(verdict(&balancer, 1), Verdict::Up, "nobody asks");
    balancer.reload(|plan| Arc::make_mut(&mut plan.pools[0]).probe = Probe::Tcp).unwrap();
    wait_until(LIMIT, "a verdict", || verdict(&balancer, 1) == Verdict::Dead);
    assert!((0..4).all(|_| ask_name(balancer.address()) == "a"));
    balancer.reload(|plan| Arc::make_mut(&mut plan.pools[0]).probe = Probe::None).unwrap();
    wait_until(LIMIT, "nobody to ask", || verdict(&balancer, 1) == Verdict::Up);
}

#[test]
fn a_weight_holds_from_the_reload_on() {
    let (a, b) = (named("a"), named("b"));
    let mut balancer = Balancer::start(&[a, b], |_| {});
    let reloaded =
        balancer.reload(|plan| Arc::make_mut(&mut plan.pools[0]).endpoints[1].weight = 3);
    let diff = reloaded.unwrap().diff;
    let expected = format!("pool pool: endpoint {b}: weight 1 -> 3");
    assert_eq!(diff.changes[0].to_string(), expected);
    let names: Vec<_> = (0..8).map(|_| ask_name(balancer.address())).collect();
    assert_eq!(names.iter().filter(|name| *name == "b").count(), 6, "{names:?}");
}

#[test]
fn two_hundred_reloads_lose_no_connection() {
    let (a, b) = (named("a"), named("b"));
    let mut balancer = Balancer::start(&[a, b], |plan| plan.workers = Some(2));
    let other = ask::free_address();
    let address = balancer.address();
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut standing: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    standing.iter_mut().for_each(|stream| drop(name_of(stream)));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    ask_name(address);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in 0..200 {
            let change = |plan: &mut Plan| {
                set_endpoints(plan, &[a, b][..1 + number % 2]);
                let second = ListenAddress { address: other, optional: false };
                let first = plan.listeners[0].addresses[0];
                let with = number % 4 < 2;
                plan.listeners[0].addresses = if with { vec![first, second] } else { vec![first] };
            };
            balancer.reload(change).unwrap();
            standing.iter_mut().for_each(still_carries);
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(balancer.engine().status().generation, 201);
    assert!(asked.load(Ordering::Relaxed) > 200, "{asked:?}");
}
