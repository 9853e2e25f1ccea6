//! First-flight replay through a running engine, over real sockets on loopback.

use crate::common::{self, Balancer};
use eclusa_config::plan::Peek;
use eclusa_policy::replay::Settings;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A ClientHello of TLS 1.2 without extensions: complete, and nothing after it.
fn hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    let mut message = vec![1, 0, 0, u8::try_from(body.len()).expect("short")];
    message.extend(&body);
    let mut record = vec![0x16, 3, 1, 0, u8::try_from(message.len()).expect("short")];
    record.extend(&message);
    record
}

/// An endpoint that reads a whole hello and answers with `name`.
fn answering(name: &'static [u8]) -> SocketAddr {
    common::serve(move |mut stream| {
        let mut got = vec![0; hello().len()];
        if stream.read_exact(&mut got).is_ok() && got == hello() {
            let _ = stream.write_all(name);
            let _ = stream.read(&mut got);
        }
    })
}

/// An endpoint that accepts and never says anything.
fn frozen() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    (listener.local_addr().expect("an address"), listener)
}

fn start(endpoints: &[SocketAddr]) -> Balancer {
    Balancer::start(endpoints, |plan| {
        plan.listeners[0].peek = Peek::Tls;
        Arc::make_mut(&mut plan.pools[0]).replay = Some(Settings::default());
    })
}

fn ask(balancer: &Balancer) -> (TcpStream, std::io::Result<Vec<u8>>) {
    let mut client = balancer.connect();
    client.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    client.write_all(&hello()).expect("it is connected");
    let mut got = vec![0; 5];
    let read = client.read_exact(&mut got).map(|()| got);
    (client, read)
}

#[test]
fn a_frozen_endpoint_costs_a_second_and_no_session() {
    let (address, _frozen) = frozen();
    let balancer = start(&[address, answering(b"hello")]);
    for _ in 0..4 {
        let began = Instant::now();
        let (_client, got) = ask(&balancer);
        assert_eq!(got.unwrap(), b"hello");
        assert!(began.elapsed() < Duration::from_millis(1400), "{:?}", began.elapsed());
    }
    let records = balancer.stop();
    let replayed = records.iter().filter(|record| record["replayed"] == true).count();
    assert!(replayed >= 1, "one went to the frozen one first: {records:?}");
}

#[test]
fn an_endpoint_that_closes_before_its_first_byte_is_left_at_once() {
    let closing = common::serve(|mut stream| {
        let _ = stream.read(&mut [0; 16]);
    });
    let balancer = start(&[closing, answering(b"hello")]);
    for _ in 0..6 {
        let began = Instant::now();
        let (_client, got) = ask(&balancer);
        assert_eq!(got.unwrap(), b"hello");
        assert!(began.elapsed() < Duration::from_millis(400));
    }
}

#[test]
fn without_any_endpoint_that_answers_the_client_is_reset() {
    let closing = || {
        common::serve(|mut stream| {
            let _ = stream.read(&mut [0; 16]);
        })
    };
    let balancer = start(&[closing(), closing()]);
    let (_client, got) = ask(&balancer);
    assert_eq!(got.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let records = balancer.stop();
    assert_eq!(records[0]["letters"], "SC");
}

#[test]
fn the_first_byte_wins_and_the_loser_is_reset() {
    // Slower than the clock, faster than never: both have the flight, and the first one wins.
    let (reports, reported) = std::sync::mpsc::channel();
    let slow = common::serve(move |mut stream| {
        let mut got = vec![0; hello().len()];
        if stream.read_exact(&mut got).is_ok() {
            common::let_pass(Duration::from_millis(1500));
            let _ = stream.write_all(b"first");
            let _ = stream.read(&mut got);
        }
    });
    let never = common::serve(move |mut stream| {
        let mut got = vec![0; hello().len()];
        stream.read_exact(&mut got).unwrap();
        let _ = reports.send(stream.read(&mut got).map_err(|error| error.kind()));
    });
    let balancer = start(&[slow, never]);
    let (_client, got) = ask(&balancer);
    assert_eq!(got.unwrap(), b"first");
    let loser = reported.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(loser, Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_client_that_goes_on_is_not_replayed() {
    let (address, frozen) = frozen();
    let accepted = thread::spawn(move || {
        let (mut stream, _) = frozen.accept().unwrap();
        let mut got = vec![0; hello().len() + 4];
        stream.read_exact(&mut got).unwrap();
        stream.write_all(b"hello").unwrap();
        got
    });
    let balancer = start(&[address]);
    let mut client = balancer.connect();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    client.write_all(&hello()).unwrap();
    common::let_pass(Duration::from_millis(100));
    client.write_all(b"more").unwrap();
    let mut got = vec![0; 5];
    client.read_exact(&mut got).unwrap();
    assert_eq!(got, b"hello");
    assert!(accepted.join().unwrap().ends_with(b"more"));
    let records = balancer.stop();
    assert!(records[0].get("replayed").is_none());
}

#[test]
fn a_pool_that_is_slow_as_a_whole_gets_few_replays() {
    let slow = || {
        common::serve(|mut stream| {
            let mut got = vec![0; hello().len()];
            if stream.read_exact(&mut got).is_ok() {
                common::let_pass(Duration::from_millis(1300));
                let _ = stream.write_all(b"hello");
                let _ = stream.read(&mut got);
            }
        })
    };
    let balancer = start(&[slow(), slow(), slow()]);
    let clients: Vec<_> = (0..30)
        .map(|_| {
            let mut client = balancer.connect();
            client.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
            client.write_all(&hello()).unwrap();
            client
        })
        .collect();
    for mut client in clients {
        let mut got = vec![0; 5];
        client.read_exact(&mut got).unwrap();
        assert_eq!(got, b"hello");
    }
    let records = balancer.stop();
    let replayed = records.iter().filter(|record| record["replayed"] == true).count();
    assert!(replayed <= 5, "{replayed} replays of 30 sessions");
}

#[test]
fn without_probes_a_frozen_endpoint_is_left_after_its_first_silence() {
    let (address, _frozen) = frozen();
    let balancer = start(&[address, answering(b"hello")]);
    // Well under the ten seconds after which it is tried again.
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(ask(&balancer).1.unwrap(), b"hello");
    }
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let records = balancer.stop();
    let replayed = records.iter().filter(|record| record["replayed"] == true).count();
    assert!((1..=2).contains(&replayed), "{replayed} of 20 sessions waited for it");
}

/// A balancer before `other` and an endpoint that answers and takes one session, which it has.
fn start_with_one_place(other: SocketAddr) -> (Balancer, TcpStream) {
    let balancer = Balancer::start(&[other, answering(b"hello")], |plan| {
        plan.listeners[0].peek = Peek::Tls;
        let pool = Arc::make_mut(&mut plan.pools[0]);
        pool.replay = Some(Settings::default());
        pool.endpoints[1].sessions_max = Some(1);
    });
    let (holder, got) = ask(&balancer);
    assert_eq!(got.expect("an answer"), b"hello");
    (balancer, holder)
}

#[test]
fn a_rival_keeps_to_the_limit_of_an_endpoint() {
    let (address, _frozen) = frozen();
    let (balancer, holder) = start_with_one_place(address);
    let mut client = balancer.connect();
    client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    client.write_all(&hello()).unwrap();
    // Time for the clock of the replay, and more.
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let pool = &balancer.engine().status().pools[0];
    let endpoints = pool.endpoints();
    assert_eq!((endpoints[1].places_taken(), endpoints[1].picks(), pool.waiting()), (1, 1, 0));
    drop(holder);
}

#[test]
fn a_first_flight_that_lost_its_endpoint_waits_for_a_place() {
    let closing = common::serve(|mut stream| {
        let _ = stream.read(&mut [0; 16]);
    });
    let (balancer, holder) = start_with_one_place(closing);
    let mut client = balancer.connect();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client.write_all(&hello()).unwrap();
    let pool = balancer.engine().status().pools[0].clone();
    common::wait_until("a waiter", || pool.waiting() == 1);
    drop(holder);
    let mut got = [0; 5];
    client.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
    let records = balancer.stop();
    assert!(records.iter().any(|record| record["ms"]["queue"].is_number()), "{records:#?}");
}
