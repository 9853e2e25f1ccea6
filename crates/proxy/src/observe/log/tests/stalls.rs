//! Targets that stand still, die and return: nobody else waits, and what is lost is counted.

use super::*;
use eclusa_testkit::wait::wait_until;
use std::io::{BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// The messages of a stream that counts octets, to its end; a message cut by the end is left out.
fn messages(stream: TcpStream) -> Vec<serde_json::Value> {
    let mut reader = BufReader::new(stream);
    let mut messages = Vec::new();
    while let Some(message) = message(&mut reader) {
        let (_, json) = message.split_once(" - ").expect("a head");
        messages.push(serde_json::from_str(json).unwrap_or_else(|e| panic!("{message}: {e}")));
    }
    messages
}

fn message(reader: &mut impl Read) -> Option<String> {
    let mut length = 0;
    loop {
        let mut byte = [0];
        reader.read_exact(&mut byte).ok()?;
        match byte[0] {
            b' ' => break,
            digit => length = length * 10 + usize::from(digit.checked_sub(b'0').expect("a digit")),
        }
    }
    let mut message = vec![0; length];
    reader.read_exact(&mut message).ok()?;
    Some(String::from_utf8(message).unwrap())
}

fn number(message: &serde_json::Value) -> Option<usize> {
    Some(message.get("n")?.as_u64()? as usize)
}

/// Sends numbered lines until the first target takes no more and tells so in the file of the second.
fn send_until_stuck(logger: &Logger, file: &Path) -> usize {
    let sinks = &logger.shared.sinks;
    let mut sent = 0;
    wait_until(PATIENCE, "the first target to be stuck", || {
        while sinks.iter().all(|sink| sink.queue().0 < lane::LINES / 2) {
            logger.event(numbered(sent));
            sent += 1;
        }
        std::fs::read_to_string(file).unwrap().contains("it takes nothing")
    });
    assert_eq!(logger.dropped_total(), 0);
    sent
}

/// Sends numbered lines from `first` on until some are dropped at the first target; others are given
/// the time that they need. Returns the number of the next, and the longest that one took.
fn send_until_dropped(logger: &Logger, first: usize) -> (usize, Duration) {
    let sinks = &logger.shared.sinks;
    let (mut next, mut longest) = (first, Duration::ZERO);
    while sinks[0].dropped_total() < 1_000 {
        while sinks.get(1).is_some_and(|sink| sink.queue().0 > lane::LINES / 2) {
            std::thread::yield_now();
        }
        let began = Instant::now();
        logger.event(numbered(next));
        longest = longest.max(began.elapsed());
        next += 1;
    }
    (next, longest)
}

/// A syslog over TCP, and a file that gets the same.
fn beside_a_file(address: SocketAddr, path: &Path) -> (Logger, Writer) {
    let targets = [LogTarget::Tcp(address), LogTarget::File(path.to_owned())];
    let outputs = targets.map(|target| output(target, SessionFormat::Json, EventFormat::Json));
    Logger::start(&log(outputs.to_vec())).unwrap()
}

#[test]
fn a_collector_that_stands_still_holds_up_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_scratch, path) = scratch();
    let (logger, writer) = beside_a_file(listener.local_addr().unwrap(), &path);
    let (stream, _) = {
        logger.event(Event::new("test", "the first"));
        listener.accept().unwrap()
    };
    let stuck = send_until_stuck(&logger, &path);
    let (sent, longest) = send_until_dropped(&logger, stuck);
    // A call that waited for the collector would take a second, the timeout of a write.
    assert!(longest < Duration::from_millis(500), "{longest:?}");
    // All of it is in the file, while the collector still stands still.
    let in_file = || numbers(std::fs::read_to_string(&path).unwrap().lines()).len();
    wait_until(PATIENCE, "the file to have every line", || in_file() == sent);
    let dropped = logger.dropped_total();
    // It goes on, over the same connection: what was not dropped comes, and one line tells the rest.
    let reading = std::thread::spawn(move || messages(stream));
    wait_until(PATIENCE, "the queue to be emptied", || logger.shared.sinks[0].queue().0 == 0);
    writer.close();
    assert_eq!(logger.dropped_total(), dropped);
    let heard = reading.join().unwrap();
    let told: Vec<_> = heard.iter().filter(|line| line["event"] == "log_dropped").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["lines"], dropped);
    let numbers: Vec<_> = heard.iter().filter_map(number).collect();
    assert!(numbers.is_sorted());
    assert_eq!(numbers.len() as u64 + dropped, sent as u64);
}

#[test]
fn a_collector_that_dies_is_found_again_and_gets_whole_messages() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (_scratch, path) = scratch();
    let (logger, writer) = beside_a_file(address, &path);
    logger.event(Event::new("test", "the first"));
    let (stream, _) = listener.accept().unwrap();
    // It stands still, a message half way, and dies: what it has not read is reset.
    let stuck = send_until_stuck(&logger, &path);
    let (sent, _) = send_until_dropped(&logger, stuck);
    // In this order: a connection that is made anew must not wait at the old listener, and take lines
    // with it when that goes.
    drop(listener);
    drop(stream);
    let listener = TcpListener::bind(address).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let reading = std::thread::spawn(move || messages(stream));
    wait_until(PATIENCE, "the queue to be emptied", || logger.shared.sinks[0].queue().0 == 0);
    logger.event(numbered(sent));
    writer.close();
    let heard = reading.join().unwrap();
    let numbers: Vec<_> = heard.iter().filter_map(number).collect();
    // From the message that was half way on, none is missing but those that were counted.
    assert!(numbers.is_sorted_by(|a, b| a < b), "each once, in order");
    assert_eq!(numbers.last(), Some(&sent));
    let dropped = logger.dropped_total();
    let told: Vec<_> = heard.iter().filter(|line| line["event"] == "log_dropped").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["lines"], dropped);
    assert_eq!((numbers[0] + numbers.len()) as u64 + dropped, sent as u64 + 1);
}

/// Reads until it was told of lost lines and the line with this number has come, the last there is;
/// returns what was told.
fn hear_of_losses(stream: &TcpStream, last: Option<usize>) -> serde_json::Value {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream);
    let (mut told, mut came) = (None, last.is_none());
    while told.is_none() || !came {
        let message = message(&mut reader).expect("more is told");
        let json = message.split_once(" - ").unwrap().1;
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        came |= last.is_some() && number(&json) == last;
        if json["event"] == "log_dropped" {
            assert!(told.is_none(), "{told:?} and {json}");
            told = Some(json);
        }
    }
    told.unwrap()
}

#[test]
fn losses_that_a_broken_connection_may_have_swallowed_are_told_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_scratch, path) = scratch();
    let (logger, writer) = beside_a_file(listener.local_addr().unwrap(), &path);
    logger.event(Event::new("test", "the first"));
    let (stuck, _) = listener.accept().unwrap();
    let sent = send_until_stuck(&logger, &path);
    let (sent, _) = send_until_dropped(&logger, sent);
    let dropped = logger.dropped_total();
    // The second is told, and resets what came behind: the writer cannot know what was read.
    drop(stuck);
    let (second, _) = listener.accept().unwrap();
    let told = hear_of_losses(&second, None);
    assert_eq!((&told["lines"], &told["total"]), (&dropped.into(), &dropped.into()));
    wait_until(PATIENCE, "the queue to be emptied", || logger.shared.sinks[0].queue().0 == 0);
    assert_eq!(second.peek(&mut [0]).unwrap(), 1, "something is not read");
    drop(second);
    logger.event(numbered(sent));
    let (third, _) = listener.accept().unwrap();
    let told = hear_of_losses(&third, Some(sent));
    // No loss beside the first ones: the sum since the start says so.
    assert_eq!((&told["lines"], &told["total"]), (&dropped.into(), &dropped.into()));
    // It has read all and ends in order: there is nothing to be told again.
    drop(third);
    logger.event(numbered(sent + 1));
    let (fourth, _) = listener.accept().unwrap();
    writer.close();
    let heard = messages(fourth);
    assert_eq!(heard.iter().map(number).collect::<Vec<_>>(), [Some(sent + 1)], "{heard:?}");
    assert_eq!(logger.dropped_total(), dropped);
}

#[test]
fn a_collector_that_closes_in_order_costs_no_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (logger, writer) =
        Logger::start(&json_to(LogTarget::Tcp(listener.local_addr().unwrap()))).unwrap();
    for n in 0..5 {
        logger.event(numbered(n));
        let (mut stream, _) = listener.accept().unwrap();
        let heard = message(&mut stream).unwrap();
        assert!(heard.contains(&format!("\"n\":{n}")), "{heard}");
        // The end reaches the writer before its next line.
        drop(stream);
    }
    writer.close();
    assert_eq!(logger.dropped_total(), 0);
}

#[test]
fn a_journal_that_stands_still_holds_up_neither_workers_nor_the_stop() {
    let (_scratch, path) = scratch();
    let socket = UnixDatagram::bind(&path).unwrap();
    let (logger, writer) = Logger::start(&json_to(LogTarget::Journal(path))).unwrap();
    let (_, longest) = send_until_dropped(&logger, 0);
    assert!(longest < Duration::from_millis(500), "{longest:?}");
    let began = Instant::now();
    writer.close();
    assert!(began.elapsed() < LAST_WORDS + Duration::from_secs(1));
    drop(socket);
}

#[test]
fn a_syslog_that_takes_no_events_has_its_losses_told_elsewhere() {
    let (_scratch, path) = scratch();
    let socket_path = path.with_extension("socket");
    let socket = UnixDatagram::bind(&socket_path).unwrap();
    let mut outputs = vec![
        output(LogTarget::Unix(socket_path), SessionFormat::Tcplog, EventFormat::Words),
        output(LogTarget::File(path.clone()), SessionFormat::Json, EventFormat::Json),
    ];
    outputs[0].events = None;
    outputs[1].sessions = None;
    let (logger, writer) = Logger::start(&log(outputs)).unwrap();
    while logger.dropped_total() < 100 {
        logger.session(&record());
    }
    socket.set_nonblocking(true).unwrap();
    let mut buffer = [0; 4096];
    wait_until(PATIENCE, "the losses to be told", || {
        while socket.recv(&mut buffer).is_ok() {}
        std::fs::read_to_string(&path).unwrap().contains("log_dropped")
    });
    writer.close();
    let text = std::fs::read_to_string(&path).unwrap();
    let told = text.lines().find(|line| line.contains("log_dropped")).unwrap();
    let told: serde_json::Value = serde_json::from_str(told).unwrap();
    assert_eq!(told["lines"], logger.dropped_total());
    assert!(told["target"].as_str().unwrap().starts_with("unix:"));
}
