//! A syslog and a journal: real sockets, read as their owners read them.

use super::*;
use eclusa_testkit::wait::wait_for;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

/// The next datagram.
fn next(socket: &UnixDatagram) -> String {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0_u8; 65_536];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

/// The parts of a message of RFC 5424 without structured data: the priority, the rest of its head,
/// the message.
fn rfc5424(text: &str) -> (u16, Vec<&str>, &str) {
    let (priority, rest) = text.strip_prefix('<').unwrap().split_once(">1 ").unwrap();
    let parts: Vec<_> = rest.splitn(7, ' ').collect();
    assert!(parts[0].parse::<humantime::Timestamp>().is_ok(), "{text}");
    assert_eq!(parts[5], "-", "{text}");
    (priority.parse().unwrap(), parts[1..5].to_vec(), parts[6])
}

#[test]
fn a_syslog_on_this_host_gets_datagrams() {
    let (_scratch, path) = scratch();
    let socket = UnixDatagram::bind(&path).unwrap();
    let target = LogTarget::Unix(path.clone());
    let mut output = output(target, SessionFormat::Tcplog, EventFormat::Words);
    output.syslog = Syslog::Rfc3164;
    let (logger, writer) = Logger::start(&log(vec![output])).unwrap();
    logger.session(&record());
    let text = next(&socket);
    let tag = format!(" eclusa-edge[{}]: 192.0.2.7:33313 [", std::process::id());
    assert!(text.starts_with("<134>") && text.contains(&tag), "{text}");
    assert!(text.ends_with(" https web/ingress1 0/2/5007 212 -- 1/1/0/0/0 0/0"), "{text}");
    // The syslog is started anew: another socket at the same place.
    drop(socket);
    std::fs::remove_file(&path).unwrap();
    logger.event(Event::new("limit", "while nobody listens"));
    let socket = UnixDatagram::bind(&path).unwrap();
    let text = next(&socket);
    assert!(
        text.starts_with("<132>") && text.ends_with("]: limit: while nobody listens"),
        "{text}"
    );
    writer.close();
    assert_eq!(logger.dropped_total(), 0);
}

#[test]
fn a_syslog_on_this_host_may_take_streams() {
    let (_scratch, path) = scratch();
    let listener = UnixListener::bind(&path).unwrap();
    let target = LogTarget::Unix(path);
    let (logger, writer) =
        Logger::start(&log(vec![output(target, SessionFormat::Json, EventFormat::Words)])).unwrap();
    for n in 0..3 {
        logger.event(Event::new("test", format!("line {n}")));
    }
    let (stream, _) = listener.accept().unwrap();
    let lines = BufReader::new(stream).lines().take(3).map(Result::unwrap);
    for (n, line) in lines.enumerate() {
        let (priority, head, message) = rfc5424(&line);
        assert_eq!((priority, message), (133, &*format!("test: line {n}")));
        assert_eq!(head[1..], ["eclusa-edge", &std::process::id().to_string(), "test"]);
    }
    writer.close();
}

#[test]
fn udp_takes_a_datagram_for_each_line() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let target = LogTarget::Udp(socket.local_addr().unwrap());
    let (logger, writer) = Logger::start(&json_to(target)).unwrap();
    logger.session(&record());
    logger.event(numbered(1));
    let mut buffer = [0_u8; 65_536];
    for kind in ["session", "test"] {
        let length = socket.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        let (_, head, message) = rfc5424(text);
        let object: serde_json::Value = serde_json::from_str(message).unwrap();
        assert_eq!((head[3], object["event"].as_str()), (kind, Some(kind)));
    }
    writer.close();
}

#[test]
fn tcp_counts_octets() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = LogTarget::Tcp(listener.local_addr().unwrap());
    let (logger, writer) =
        Logger::start(&log(vec![output(target, SessionFormat::Tcplog, EventFormat::Json)]))
            .unwrap();
    logger.session(&record());
    // Octets, not characters.
    logger.event(Event::new("test", "Schleuse für Schiffe"));
    let (mut stream, _) = listener.accept().unwrap();
    writer.close();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let mut rest = &*text;
    let mut messages = Vec::new();
    while let Some((length, after)) = rest.split_once(' ') {
        let (message, after) = after.split_at(length.parse().unwrap());
        messages.push(rfc5424(message).2);
        rest = after;
    }
    assert_eq!((messages.len(), rest), (2, ""));
    assert!(messages[0].ends_with(" 212 -- 1/1/0/0/0 0/0"));
    assert!(messages[1].contains("für Schiffe"));
}

/// The fields of the next entry, as the journal reads them.
fn entry(socket: &UnixDatagram) -> Vec<(String, String)> {
    let text = next(socket);
    let lines = text.strip_suffix('\n').unwrap().split('\n');
    let fields = lines.map(|line| line.split_once('=').expect("NAME=value"));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn field<'a>(entry: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    entry.iter().find(|(name, _)| name == wanted).map(|(_, value)| &**value)
}

#[test]
fn the_journal_gets_fields() {
    let (_scratch, path) = scratch();
    let target = LogTarget::Journal(path.clone());
    let (logger, writer) =
        Logger::start(&log(vec![output(target, SessionFormat::Json, EventFormat::Words)])).unwrap();
    logger.session(&denied());
    // It comes later: what was said before is not lost.
    let socket = UnixDatagram::bind(Path::new(&path)).unwrap();
    let session = entry(&socket);
    let message: serde_json::Value =
        serde_json::from_str(field(&session, "MESSAGE").unwrap()).unwrap();
    assert_eq!(message["letters"], "PR");
    for (name, value) in [
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "eclusa-edge"),
        ("SYSLOG_FACILITY", "16"),
        ("ECLUSA_EVENT", "session"),
        ("ECLUSA_LISTENER", "https"),
        ("ECLUSA_CLIENT", "192.0.2.7:33313"),
        ("ECLUSA_SNI", "shop.example.com"),
        ("ECLUSA_ENDED_BY", "proxy"),
        ("ECLUSA_LETTERS", "PR"),
        ("ECLUSA_REASON", "denied: 192.0.2.0/24"),
    ] {
        assert_eq!(field(&session, name), Some(value), "{name}");
    }
    assert_eq!(field(&session, "ECLUSA_POOL"), None);
    let verdict = Event::new("verdict", "ingress1 of pool web is dead: two\nlines")
        .about("pool", "web")
        .about("verdict", "dead")
        .about("since_s", 7);
    logger.event(verdict);
    let event = entry(&socket);
    assert_eq!(
        field(&event, "MESSAGE"),
        Some(r"verdict: ingress1 of pool web is dead: two\u{a}lines")
    );
    assert_eq!(field(&event, "PRIORITY"), Some("4"));
    assert_eq!(field(&event, "ECLUSA_POOL"), Some("web"));
    assert_eq!(field(&event, "ECLUSA_SINCE_S"), Some("7"));
    writer.close();
    assert_eq!(logger.dropped_total(), 0);
}

#[test]
fn a_collector_that_comes_late_is_found() {
    // An address that is free: nobody listens there at first.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_scratch, path) = scratch();
    let outputs = vec![
        output(LogTarget::Tcp(address), SessionFormat::Json, EventFormat::Json),
        output(LogTarget::File(path.clone()), SessionFormat::Json, EventFormat::Json),
    ];
    let (logger, writer) = Logger::start(&log(outputs)).unwrap();
    for n in 0..100 {
        logger.event(numbered(n));
    }
    let told = wait_for(PATIENCE, "the trouble to be told", || {
        let text = std::fs::read_to_string(&path).ok()?;
        let told = text.lines().find(|line| line.contains("log_trouble"))?;
        serde_json::from_str::<serde_json::Value>(told).ok()
    });
    assert_eq!(told["target"], format!("tcp:{address}"));
    assert!(told["message"].as_str().unwrap().contains("refused"), "{told}");
    let listener = TcpListener::bind(address).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    writer.close();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("a numbered line").count(), 100);
    assert_eq!(logger.dropped_total(), 0);
}
