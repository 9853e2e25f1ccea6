//! Sessions through a running engine, over real sockets on loopback.

use crate::common::{self, Balancer, digest, pattern};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn bytes_pass_both_ways_and_half_close_is_kept() {
    let endpoint = common::echo_after_eof();
    let balancer = Balancer::start(&[endpoint], |_| {});
    // More than the sockets' buffers hold, so that the relay has to stop and go on.
    let sent = pattern(3 << 20);
    for _ in 0..20 {
        let mut client = balancer.connect();
        let mut writing = client.try_clone().unwrap();
        let bytes = sent.clone();
        let writer = thread::spawn(move || {
            writing.write_all(&bytes).unwrap();
            writing.shutdown(Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        writer.join().unwrap();
        assert_eq!(digest(&got), digest(&sent));
    }
}

#[test]
fn bulk_with_a_slow_reader_arrives_whole() {
    let total = 64 << 20;
    let endpoint = common::source(total);
    let balancer = Balancer::start(&[endpoint], |_| {});
    let mut client = balancer.connect();
    let mut got = Vec::with_capacity(total);
    let mut piece = vec![0; 1 << 20];
    loop {
        let n = client.read(&mut piece).unwrap();
        if n == 0 {
            break;
        }
        got.extend_from_slice(&piece[..n]);
        if got.len() % 7 == 0 {
            thread::yield_now();
        }
    }
    assert_eq!(digest(&got), digest(&pattern(total)));
}

#[test]
fn an_answer_followed_by_a_reset_is_delivered_before_the_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            // One byte, so that others are surely left unread: then closing is a reset.
            let _ = stream.read(&mut [0; 1]);
            let _ = stream.write_all(&[b'a'; 100]);
        }
    });
    let balancer = Balancer::start(&[address], |_| {});
    for round in 0..200 {
        let mut client = balancer.connect();
        let _ = client.write_all(&vec![b'u'; 300_000]);
        let mut got = Vec::new();
        let end = client.read_to_end(&mut got);
        assert_eq!(got.len(), 100, "round {round}: {end:?}");
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset, "round {round}");
    }
}

#[test]
fn the_time_of_a_session_has_what_its_end_took() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let balancer = Balancer::start(&[listener.local_addr().unwrap()], |_| {});
    let client = balancer.connect();
    let began = Instant::now();
    let (mut endpoint, _) = listener.accept().unwrap();
    // More than the client's kernel takes, which acknowledges the rest when the client reads: never. It is
    // waited for a second.
    endpoint.write_all(&pattern(200 << 10)).unwrap();
    common::let_pass(Duration::from_millis(300));
    let before = began.elapsed();
    common::reset(endpoint);
    balancer.wait_for_sessions(0);
    let records = balancer.stop();
    let record = records.iter().find(|it| it["event"] == "session").unwrap();
    let total = Duration::from_secs_f64(record["ms"]["total"].as_f64().unwrap() / 1_000.0);
    assert!(total >= before + Duration::from_millis(800), "{total:?} of {before:?}: {record}");
    drop(client);
}

#[test]
fn a_reset_of_the_client_reaches_the_endpoint() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let balancer = Balancer::start(&[address], |_| {});
    let mut client = balancer.connect();
    client.write_all(b"hello").unwrap();
    let (mut endpoint, _) = listener.accept().unwrap();
    let mut got = [0; 5];
    endpoint.read_exact(&mut got).unwrap();
    common::reset(client);
    let error = endpoint.read(&mut got).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_half_closed_session_without_bytes_ends_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let balancer = Balancer::start(&[address], |plan| {
        plan.listeners[0].half_closed_timeout = Duration::from_secs(2);
    });
    let mut client = balancer.connect();
    client.shutdown(Shutdown::Write).unwrap();
    let (_endpoint, _) = listener.accept().unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_refusing_endpoint_costs_a_try_and_no_session() {
    let gone = common::unused_address();
    let endpoint = common::echo_after_eof();
    let balancer = Balancer::start(&[gone, endpoint], |_| {});
    for _ in 0..20 {
        let mut client = balancer.connect();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"hello");
    }
}

#[test]
fn without_any_endpoint_the_client_is_reset() {
    let balancer = Balancer::start(&[common::unused_address()], |_| {});
    let mut client = balancer.connect();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn at_the_limit_clients_wait_in_the_kernels_queue() {
    let endpoint = common::echo_after_eof();
    let balancer = Balancer::start(&[endpoint], |plan| plan.sessions_max = Some(2));
    let held: Vec<TcpStream> = (0..2).map(|_| balancer.connect()).collect();
    balancer.wait_for_sessions(2);
    let mut waiting = balancer.connect();
    waiting.write_all(b"late").unwrap();
    waiting.shutdown(Shutdown::Write).unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(waiting.read(&mut [0]).is_err(), "served although the limit is reached");
    drop(held);
    waiting.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut got = Vec::new();
    waiting.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"late");
}

#[test]
fn few_long_sessions_are_spread_over_the_workers() {
    let endpoint = common::echo_after_eof();
    let balancer = Balancer::start(&[endpoint], |plan| plan.workers = Some(2));
    for _ in 0..10 {
        let held: Vec<TcpStream> = (0..30).map(|_| balancer.connect()).collect();
        balancer.wait_for_sessions(30);
        let sessions = balancer.engine().status().sessions;
        assert!(sessions.iter().all(|n| (12..=18).contains(n)), "{sessions:?}");
        drop(held);
        balancer.wait_for_sessions(0);
    }
}

#[test]
fn a_slow_reader_of_a_half_closed_session_is_not_cut() {
    let total = 4 << 20;
    let endpoint = common::source(total);
    let balancer = Balancer::start(&[endpoint], |plan| {
        plan.listeners[0].half_closed_timeout = Duration::from_secs(1);
    });
    let mut client = balancer.connect();
    // The endpoint has sent everything and its FIN; the kernel's queues hold what the client has
    // not read yet, and nothing moves for longer than the half-closed timer.
    balancer.wait_for_sessions(1);
    common::let_pass(Duration::from_secs(8));
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    assert_eq!(digest(&got), digest(&pattern(total)));
}

#[test]
fn an_orderly_end_of_both_sides_is_no_reset_for_a_slow_reader() {
    let total = 16 << 20;
    let endpoint = common::serve(move |mut stream| {
        let mut request = Vec::new();
        let _ = stream.read_to_end(&mut request);
        let _ = stream.write_all(&pattern(total));
    });
    let balancer = Balancer::start(&[endpoint], |_| {});
    let mut client = balancer.connect();
    client.write_all(b"request").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    common::let_pass(Duration::from_secs(4));
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    assert_eq!(digest(&got), digest(&pattern(total)));
}

#[test]
fn two_blocked_sides_that_both_reset_end_the_session() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let balancer = Balancer::start(&[listener.local_addr().unwrap()], |_| {});
    let client = balancer.connect();
    let (endpoint, _) = listener.accept().unwrap();
    for stream in [&client, &endpoint] {
        common::fill(stream);
    }
    common::reset(client);
    common::reset(endpoint);
    balancer.wait_for_sessions(0);
}

#[test]
fn a_stop_serves_who_already_waits_in_the_kernels_queue() {
    let endpoint = common::echo_after_eof();
    for _ in 0..20 {
        let mut balancer = Balancer::start(&[endpoint], |plan| {
            plan.stop_deadline = Duration::from_secs(10);
        });
        let clients: Vec<TcpStream> = (0..40).map(|_| balancer.connect()).collect();
        let stopping = balancer.stop_in_background();
        for mut client in clients {
            client.write_all(b"still served").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut got = Vec::new();
            client.read_to_end(&mut got).unwrap();
            assert_eq!(got, b"still served");
        }
        stopping.join().unwrap();
    }
}

#[test]
fn of_three_endpoints_two_may_be_silent() {
    let silent = [common::Silent::new(), common::Silent::new()];
    let endpoint = common::echo_after_eof();
    let addresses = [silent[0].address(), silent[1].address(), endpoint];
    let balancer = Balancer::start(&addresses, |plan| {
        let pool = std::sync::Arc::make_mut(&mut plan.pools[0]);
        pool.dial.hedge_after = Some(Duration::from_millis(200));
    });
    for _ in 0..6 {
        let mut client = balancer.connect();
        client.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"hello");
    }
}

#[test]
fn a_session_under_way_at_a_stop_leaves_its_record() {
    let balancer = Balancer::start(&[common::Silent::new().address()], |plan| {
        plan.stop_deadline = Duration::ZERO;
        plan.listeners[0].peek = eclusa_config::plan::Peek::Tls;
    });
    let mut client = balancer.connect();
    balancer.wait_for_sessions(1);
    let records = balancer.stop();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["ended_by"], "operator");
    assert_eq!(records[0]["step"], "preamble");
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn no_endpoint_outside_upstreams_within_is_dialled() {
    let endpoint = common::echo_after_eof();
    let balancer = Balancer::start(&[endpoint], |plan| {
        let pool = std::sync::Arc::make_mut(&mut plan.pools[0]);
        pool.within = Some(std::sync::Arc::from(["10.0.0.0/22".parse().unwrap()]));
    });
    let mut client = balancer.connect();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let records = balancer.stop();
    let reason = records[0]["reason"].as_str().unwrap();
    assert!(reason.contains("upstreams_within"), "{reason}");
}

#[test]
fn a_proxy_header_from_an_untrusted_network_is_refused() {
    let balancer = Balancer::start(&[common::unused_address()], |plan| {
        plan.listeners[0].peek = eclusa_config::plan::Peek::Tls;
    });
    let mut client = balancer.connect();
    client.write_all(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    let records = balancer.stop();
    assert_eq!(records[0]["step"], "preamble");
    assert_eq!(records[0]["ended_by"], "client");
}
