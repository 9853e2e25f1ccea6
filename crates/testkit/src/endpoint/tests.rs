//! Each kind of endpoint over real sockets.

use super::*;
use crate::ca::Ca;
use crate::client::{both_ways, download, upload};
use crate::stream::Stream;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

const LIMIT: Duration = Duration::from_secs(10);

fn connect(endpoint: &Endpoint) -> TcpStream {
    let tcp = TcpStream::connect(endpoint.address()).unwrap();
    tcp.set_read_timeout(Some(LIMIT)).unwrap();
    tcp.set_write_timeout(Some(LIMIT)).unwrap();
    tcp
}

#[test]
fn an_echo_gives_back_each_read_and_then_fin() {
    let endpoint = Endpoint::local(Kind::Echo);
    let mut tcp = connect(&endpoint);
    let mut buffer = [0; 5];
    for part in [b"hello", b"world"] {
        tcp.write_all(part).unwrap();
        tcp.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, part);
    }
    tcp.shutdown(Shutdown::Write).unwrap();
    assert_eq!(tcp.read(&mut buffer).unwrap(), 0);
    crate::wait_until(LIMIT, "the close", || endpoint.counters().open == 0);
    let counters = endpoint.counters();
    assert_eq!((counters.accepted, counters.received, counters.sent), (1, 10, 10));
    assert_eq!(both_ways(&connect(&endpoint), 3, 5_000_000).unwrap(), 5_000_000);
}

#[test]
fn an_echo_after_eof_says_nothing_before() {
    let endpoint = Endpoint::local(Kind::EchoAfterEof);
    let tcp = connect(&endpoint);
    (&tcp).write_all(&Stream::new(5).bytes(0, 3_000_000)).unwrap();
    crate::wait_until(LIMIT, "the upload", || endpoint.counters().accepted == 1);
    assert_eq!(endpoint.counters().sent, 0);
    tcp.shutdown(Shutdown::Write).unwrap();
    assert_eq!(download(&tcp, 5).unwrap(), 3_000_000);
}

#[test]
fn a_source_sends_its_stream_and_a_wrong_byte_would_be_seen() {
    let endpoint = Endpoint::local(Kind::Source { seed: 1, bytes: 1_000_001 });
    let tcp = connect(&endpoint);
    (&tcp).write_all(b"unread").unwrap();
    assert_eq!(download(&tcp, 1).unwrap(), 1_000_001);
    let error = download(connect(&endpoint), 2).unwrap_err();
    assert!(error.to_string().contains("byte 0 is"), "{error}");
}

#[test]
fn a_sink_reports_what_it_got() {
    let endpoint = Endpoint::local(Kind::Sink { seed: 9, rate: None });
    let report = upload(&connect(&endpoint), 9, 2_000_000).unwrap();
    let checksum = Stream::new(9).checksum(2_000_000);
    assert_eq!(report, Report { bytes: 2_000_000, checksum, difference: None });
    let report = upload(&connect(&endpoint), 8, 1000).unwrap();
    assert!(report.difference.unwrap().starts_with("byte 0"));
}

#[test]
fn a_slow_sink_keeps_its_rate() {
    let endpoint = Endpoint::local(Kind::Sink { seed: 9, rate: Some(1_000_000) });
    let begun = std::time::Instant::now();
    assert_eq!(upload(&connect(&endpoint), 9, 300_000).unwrap().bytes, 300_000);
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[test]
fn a_greeting_comes_first() {
    let endpoint = Endpoint::local(Kind::Greeting(b"220 ready\r\n".to_vec()));
    let mut tcp = connect(&endpoint);
    let mut greeting = [0; 11];
    tcp.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"220 ready\r\n");
    tcp.write_all(b"hi").unwrap();
    tcp.read_exact(&mut greeting[..2]).unwrap();
    assert_eq!(&greeting[..2], b"hi");
}

#[test]
fn an_answer_arrives_before_its_reset() {
    let endpoint = Endpoint::local(Kind::AnswerThenReset);
    for _ in 0..20 {
        let mut tcp = connect(&endpoint);
        tcp.write_all(&[0; 100_000]).unwrap();
        let mut answer = [0; 100];
        tcp.read_exact(&mut answer).unwrap();
        assert_eq!(answer, ANSWER);
        assert_eq!(tcp.read(&mut answer).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn a_black_hole_takes_what_the_system_holds_and_ends_when_dropped() {
    let endpoint = Endpoint::local(Kind::BlackHole);
    let mut tcp = connect(&endpoint);
    tcp.set_nonblocking(true).unwrap();
    let full = loop {
        if let Err(error) = tcp.write(&[0; 65536]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    crate::wait_until(LIMIT, "the accept", || endpoint.counters().open == 1);
    assert_eq!(endpoint.counters().received, 0);
    let address = endpoint.address();
    drop(endpoint);
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_recorder_tells_header_and_first_bytes_apart() {
    let endpoint = Endpoint::local(Kind::Recorder);
    let line = b"PROXY TCP4 192.168.1.50 10.0.1.100 40000 443\r\n";
    let mut echoed = [0; 5];
    for parts in [&[&line[..20], &line[20..], b"hello"][..], &[b"hello"]] {
        let mut tcp = connect(&endpoint);
        for part in parts {
            tcp.write_all(part).unwrap();
        }
        tcp.read_exact(&mut echoed).unwrap();
        assert_eq!(&echoed, b"hello");
    }
    connect(&endpoint).write_all(b"PROXY nonsense\r\n").unwrap();
    let recorded = endpoint.wait_recorded(3, LIMIT);
    let header = recorded[0].header.as_ref().unwrap();
    assert_eq!(header.source, "192.168.1.50:40000".parse().ok());
    assert_eq!((&recorded[0].header_bytes[..], &recorded[0].first[..]), (&line[..], &b"hello"[..]));
    assert_eq!((&recorded[1].header, &recorded[1].first[..]), (&None, &b"hello"[..]));
    assert!(recorded[2].malformed.as_ref().unwrap().contains("bad words"));
}

#[test]
fn a_source_behind_tls_is_the_same_stream() {
    let ca = Ca::new();
    let kind = Kind::Source { seed: 4, bytes: 200_000 };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let endpoint = Endpoint::start_tls(address, kind, &ca.leaf(&["a.test"])).unwrap();
    let name = rustls_pki_types::ServerName::try_from("a.test").unwrap();
    let session = rustls::ClientConnection::new(ca.client(&[]), name).unwrap();
    let tls = rustls::StreamOwned::new(session, connect(&endpoint));
    assert_eq!(download(tls, 4).unwrap(), 200_000);
}

#[test]
fn a_thousand_idle_sessions_of_an_echo_stand() {
    let _ = crate::background::raise_file_limit();
    let endpoint = Endpoint::local(Kind::Echo);
    let mut sessions: Vec<TcpStream> = (0..1000).map(|_| connect(&endpoint)).collect();
    let mut byte = [0];
    for tcp in &mut sessions {
        tcp.write_all(b"x").unwrap();
    }
    for tcp in &mut sessions {
        tcp.read_exact(&mut byte).unwrap();
    }
    assert_eq!(endpoint.counters().open, 1000);
    drop(sessions);
    crate::wait_until(LIMIT, "all closes", || endpoint.counters().open == 0);
}
