//! Stop, with sessions that outlast it.

use crate::common::{self, Balancer, wait_until};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// An endpoint that sends back what comes.
fn echo() -> SocketAddr {
    common::serve(|mut stream| {
        let mut bytes = [0; 64];
        while let Ok(read @ 1..) = stream.read(&mut bytes) {
            let _ = stream.write_all(&bytes[..read]);
        }
    })
}

/// A client that has been answered.
fn connect(balancer: &Balancer) -> TcpStream {
    let mut client = balancer.connect();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    client.write_all(b"x").unwrap();
    client.read_exact(&mut [0]).unwrap();
    client
}

#[test]
fn sessions_that_outlast_a_stop_are_ended_one_after_the_other() {
    let deadline = Duration::from_secs(5);
    let mut balancer = Balancer::start(&[echo()], |plan| {
        plan.workers = Some(2);
        plan.stop_deadline = deadline;
    });
    let clients: Vec<_> = (0..20).map(|_| connect(&balancer)).collect();
    let leaving: Vec<_> = (0..4).map(|_| connect(&balancer)).collect();
    let begin = Instant::now();
    let stopping = balancer.stop_in_background();
    wait_until("the stop", || !balancer.events("stopping").is_empty());
    drop(leaving);
    let end = move |mut client: TcpStream| {
        let error = client.read(&mut [0]).expect_err("a reset");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        begin.elapsed()
    };
    let waiting: Vec<_> =
        clients.into_iter().map(|client| thread::spawn(move || end(client))).collect();
    let mut ends: Vec<_> = waiting.into_iter().map(|wait| wait.join().unwrap()).collect();
    ends.sort();
    let (last, sessions) = (deadline / 5, ends.len() as u32);
    for (place, end) in (1..).zip(&ends) {
        let due = deadline - last + last * place / sessions;
        assert!(*end + Duration::from_millis(5) >= due, "number {place} at {end:?}, not {due:?}");
    }
    assert!(ends[0] < deadline, "the first one long before the deadline: {ends:?}");
    stopping.join().unwrap();
    let stopped = &balancer.events("stopped")[0];
    assert_eq!(stopped["sessions_reset"], 20, "those that left are not counted: {stopped}");
}
