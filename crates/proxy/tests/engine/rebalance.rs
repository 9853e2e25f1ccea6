//! Gentle rebalance, with real sockets.

use crate::common::{self, Balancer, let_pass, wait_until};
use eclusa_config::plan::{Plan, Pool, Rebalance};
use eclusa_policy::balance::Algorithm;
use eclusa_policy::rebalance::Settings;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// An endpoint that says its name, then sends back what comes. Counts the connections that were
/// reset.
fn named(name: u8) -> (SocketAddr, Arc<AtomicU32>) {
    let resets = Arc::new(AtomicU32::new(0));
    let counter = resets.clone();
    let address = common::serve(move |mut stream| {
        let _ = stream.write_all(&[name]);
        let mut bytes = [0; 64];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => return,
                Ok(read) => {
                    let _ = stream.write_all(&bytes[..read]);
                }
                Err(_) => {
                    counter.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
        }
    });
    (address, resets)
}

fn rebalance(plan: &mut Plan, above_percent: u32, per_minute: u32) -> &mut Pool {
    plan.workers = Some(4);
    let pool = Arc::make_mut(&mut plan.pools[0]);
    let settings = Settings { above_percent, per_minute };
    pool.rebalance = Some(Rebalance { settings, quiet: Duration::from_secs(1) });
    pool
}

/// A client, and the name of the endpoint that it is on.
fn connect(balancer: &Balancer) -> (TcpStream, u8) {
    let mut client = balancer.connect();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut name = [0];
    client.read_exact(&mut name).unwrap();
    (client, name[0])
}

/// So many clients on the first endpoint, and none on the others.
fn skewed(balancer: &Balancer, wanted: usize) -> Vec<TcpStream> {
    let (mut kept, mut others) = (Vec::new(), Vec::new());
    while kept.len() < wanted {
        let (client, name) = connect(balancer);
        if name == b'a' { kept.push(client) } else { others.push(client) }
    }
    drop(others);
    balancer.wait_for_sessions(u32::try_from(wanted).unwrap());
    kept
}

fn sessions(balancer: &Balancer) -> Vec<u32> {
    let endpoints = balancer.engine().status().pools[0].endpoints();
    endpoints.iter().map(|endpoint| endpoint.sessions()).collect()
}

/// How many have been closed, in order.
fn closed(clients: &[TcpStream]) -> usize {
    let is_closed = |client: &&TcpStream| {
        client.set_nonblocking(true).unwrap();
        match client.peek(&mut [0]) {
            Ok(0) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            other => panic!("neither open nor closed in order: {other:?}"),
        }
    };
    clients.iter().filter(is_closed).count()
}

/// Holds a connection, and connects anew when it is closed in order.
fn stay(balancer: &Balancer, mut client: TcpStream, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        client.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        match client.read(&mut [0]) {
            Ok(read) => {
                assert_eq!(read, 0);
                client = connect(balancer).0;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

/// Says a byte and reads it back, a few times a second.
fn talk(mut client: TcpStream, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
        let_pass(Duration::from_millis(200));
    }
}

#[test]
fn a_skewed_pool_levels_out_and_who_talks_is_left_alone() {
    let ((first, resets), (second, _)) = (named(b'a'), named(b'b'));
    let balancer = Balancer::start(&[first, second], |plan| {
        rebalance(plan, 120, 60).balance = Algorithm::LeastConnections;
    });
    let mut quiet = skewed(&balancer, 24);
    let busy = quiet.split_off(16);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        busy.into_iter().for_each(|client| drop(scope.spawn(|| talk(client, &over))));
        quiet.into_iter().for_each(|client| drop(scope.spawn(|| stay(&balancer, client, &over))));
        wait_until("an even pool", || {
            let sessions = sessions(&balancer);
            sessions[0].max(sessions[1]) <= 14 && sessions.iter().sum::<u32>() == 24
        });
        over.store(true, Ordering::SeqCst);
    });
    assert_eq!(resets.load(Ordering::SeqCst), 0, "the endpoint sees an orderly end as well");
    let records = balancer.stop();
    let moved: Vec<_> = records.iter().filter(|r| r["reason"] == "rebalanced").collect();
    assert!((10..=20).contains(&moved.len()), "{} moved", moved.len());
    for record in moved {
        assert_eq!((&record["ended_by"], &record["step"]), (&"proxy".into(), &"data".into()));
        assert_eq!(record["bytes"]["up"], 0, "it talked: {record}");
    }
}

#[test]
fn no_more_are_closed_in_a_minute_than_set() {
    let ((first, _), (second, _)) = (named(b'a'), named(b'b'));
    let asked = common::ask::free_address();
    let balancer = Balancer::start(&[first, second], |plan| {
        plan.observe.listen = vec![asked];
        rebalance(plan, 110, 4);
    });
    let clients = skewed(&balancer, 20);
    wait_until("the first ones", || closed(&clients) > 0);
    assert!(closed(&clients) <= 2, "a few at a time");
    wait_until("all of a minute", || closed(&clients) == 4);
    // Two more decisions, and some.
    let_pass(Duration::from_secs(8));
    assert_eq!(closed(&clients), 4);
    let page = common::ask::Page::of(asked);
    assert_eq!(page.get(r#"eclusa_pool_rebalanced_total{pool="pool"}"#), Some(4.0));
}

#[test]
fn nobody_is_moved_while_an_endpoint_is_not_well() {
    let ((first, _), (second, _)) = (named(b'a'), named(b'b'));
    // Whoever dials it finds it refused; that makes it suspect for ten seconds.
    let third = common::unused_address();
    let balancer = Balancer::start(&[first, second, third], |plan| {
        rebalance(plan, 110, 60);
    });
    let clients = skewed(&balancer, 20);
    let_pass(Duration::from_secs(7));
    let third = balancer.engine().status().pools[0].endpoints()[2].clone();
    assert!(third.failures() > 0);
    assert_eq!(closed(&clients), 0);
    assert_eq!(sessions(&balancer), [20, 0, 0]);
}
