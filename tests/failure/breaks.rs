//! Connections that break: resets from either side, and what was said before them.

use e2e::bed::{Bed, STUCK, VIP, carry_all, connect_to, is_reset, patient, reset};
use e2e::proof::{Item, size};
use eclusa_testkit::endpoint::{ANSWER, Kind};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What a client uploads while the endpoint answers and breaks off.
const UPLOAD: usize = 256 * 1024;
/// Clients at once.
const AT_ONCE: usize = 4;

/// Uploads, reads what comes, and says whether that was the whole answer.
fn ask(mut tcp: TcpStream) -> bool {
    if tcp.write_all(&[b'q'; 1024]).is_err() {
        return false;
    }
    // Fails when the reset comes meanwhile: that is what this is about.
    let _ = tcp.write_all(&vec![b'u'; UPLOAD]);
    let mut answer = Vec::new();
    let mut buffer = [0; 256];
    while let Ok(read @ 1..) = tcp.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..read]);
    }
    answer == ANSWER
}

/// Asks `times` times over `connect`, and counts the answers that were lost.
fn lost(times: usize, connect: impl Fn() -> io::Result<TcpStream> + Sync) -> usize {
    let (next, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while next.fetch_add(1, Relaxed) < times {
                    if !connect().is_ok_and(ask) {
                        lost.fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    lost.into_inner()
}

#[test]
fn an_answer_before_a_reset_is_not_lost() {
    let name = "an_answer_before_a_reset_is_not_lost";
    let Some(bed) = Bed::start(name, &carry_all(&[7001])) else { return };
    let times = size(1000, 100);
    let _endpoint = bed.endpoint(7001, Kind::AnswerThenReset);
    let worker = bed.host("worker2");
    let direct = lost(times, || connect_to(&worker, (VIP, 7001).into(), None));
    let through = lost(times, || bed.try_connect("worker2", 7001));
    let resets = bed.edge.wait_sessions(times, "records", |record| record["step"] == "data");
    let resets = resets.iter().filter(|record| record["letters"] == "SD").count();
    Item::new("3.6 answer and reset with unread upload")
        .bound("no more answers lost than on a direct connection")
        .n(times)
        .note("100 bytes of answer; the endpoint closes while 256 KiB of upload are unread")
        .record(
            through <= direct && resets == times,
            format!(
                "{through} lost, directly {direct}; the edge saw {resets} resets of the endpoint"
            ),
        );
}

/// What an endpoint saw of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Reset,
    End,
    Other(String),
}

/// Takes one connection, greets it, and reads to its end.
fn read_to_end_of_one(listener: &TcpListener) -> io::Result<(usize, Seen)> {
    let (tcp, _) = listener.accept()?;
    let mut tcp = patient(tcp, STUCK)?;
    tcp.write_all(b"!")?;
    let (mut bytes, mut buffer) = (0, [0; 256]);
    loop {
        match tcp.read(&mut buffer) {
            Ok(0) => return Ok((bytes, Seen::End)),
            Ok(read) => bytes += read,
            Err(error) if is_reset(&error) => return Ok((bytes, Seen::Reset)),
            Err(error) => return Ok((bytes, Seen::Other(error.to_string()))),
        }
    }
}

#[test]
fn a_clients_reset_reaches_the_endpoint() {
    let name = "a_clients_reset_reaches_the_endpoint";
    let Some(bed) = Bed::start(name, &carry_all(&[7001])) else { return };
    const TIMES: usize = 100;
    let listener = bed.listener("worker1", SocketAddr::from((VIP, 7001)));
    let mut seen = Vec::new();
    for _ in 0..TIMES {
        let one = std::thread::scope(|scope| {
            let endpoint = scope.spawn(|| read_to_end_of_one(&listener));
            let mut client = bed.connect("outside1", 7001);
            client.read_exact(&mut [0; 1]).expect("the endpoint's greeting");
            client.write_all(&[b'x'; 10]).expect("a connection");
            reset(client);
            endpoint.join().expect("no panic").expect("a connection")
        });
        seen.push(one);
    }
    let resets = seen.iter().filter(|(_, seen)| *seen == Seen::Reset).count();
    let whole = seen.iter().filter(|(bytes, _)| *bytes == 10).count();
    bed.edge.wait_sessions(TIMES, "records", |record| record["letters"] == "CD");
    Item::new("3.7a a client's reset")
        .bound("the endpoint gets what was said before, then a reset, every time; letters CD")
        .n(TIMES)
        .record(
            resets == TIMES && whole == TIMES,
            format!("{resets} of {TIMES} as resets; what was said before: {whole} of {TIMES}"),
        );
}

#[test]
fn an_endpoints_reset_reaches_the_client() {
    let name = "an_endpoints_reset_reaches_the_client";
    let Some(bed) = Bed::start(name, &carry_all(&[7001])) else { return };
    const TIMES: usize = 100;
    let listener = bed.listener("worker1", SocketAddr::from((VIP, 7001)));
    let (mut resets, mut whole) = (0, 0);
    for _ in 0..TIMES {
        let (answer, end) = std::thread::scope(|scope| {
            let endpoint = scope.spawn(|| -> io::Result<()> {
                let (tcp, _) = listener.accept()?;
                let mut tcp = patient(tcp, STUCK)?;
                tcp.read_exact(&mut [0; 1])?;
                tcp.write_all(&ANSWER)?;
                reset(tcp);
                Ok(())
            });
            let mut client = bed.connect("outside1", 7001);
            client.write_all(b"?").expect("a connection");
            let mut answer = Vec::new();
            let end = client.read_to_end(&mut answer);
            endpoint.join().expect("no panic").expect("a connection");
            (answer, end)
        });
        resets += usize::from(end.is_err_and(|error| is_reset(&error)));
        whole += usize::from(answer == ANSWER);
    }
    bed.edge.wait_sessions(TIMES, "records", |record| record["letters"] == "SD");
    Item::new("3.7b an endpoint's reset")
        .bound("the client gets the answer, then a reset, every time; letters SD")
        .n(TIMES)
        .record(
            resets == TIMES && whole == TIMES,
            format!("{resets} of {TIMES} as resets; answers: {whole} of {TIMES}"),
        );
}
