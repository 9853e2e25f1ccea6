//! Whole streams: large ones, which are spliced, and small messages, which are copied.

use e2e::bed::{Bed, STUCK, carry_all, mebibytes, receive_end};
use e2e::proof::{Item, size};
use eclusa_testkit::client::{both_ways, download, upload};
use eclusa_testkit::endpoint::Kind;
use eclusa_testkit::stream::Stream;
use eclusa_testkit::wait::pause;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// Bytes under way at most while small messages are sent: less than the copy buffer of a worker
/// (16 KiB), so that no read fills it and the session stays with copying.
const UNDER_WAY: u64 = 12 * 1024;

fn rate(bytes: u64, start: Instant) -> String {
    let speed = bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
    format!("{bytes} bytes, all as sent, at {speed:.0} MB/s")
}

#[test]
fn large_streams_arrive_whole() {
    let config = carry_all(&[7001, 7002, 7003]);
    let Some(bed) = Bed::start("large_streams_arrive_whole", &config) else { return };
    let bytes = size(mebibytes(1024), mebibytes(64));
    let without = bed.pipes();

    let _source = bed.endpoint(7001, Kind::Source { seed: 1, bytes });
    let (client, start) = (bed.connect("outside1", 7001), Instant::now());
    let received = download(&client, 1);
    let figure = rate(bytes, start);
    let spliced = bed.pipes() > without;
    Item::new("3.1 1 GiB down").bound("every byte as sent; by splice").n(bytes).record(
        matches!(received, Ok(all) if all == bytes) && spliced,
        format!("{figure} ({received:?}); pipes in use: {spliced}"),
    );
    drop(client);

    let _sink = bed.endpoint(7002, Kind::Sink { seed: 2, rate: None });
    let (client, start) = (bed.connect("outside1", 7002), Instant::now());
    let report = upload(&client, 2, bytes).expect("a report");
    let right = report.bytes == bytes
        && report.difference.is_none()
        && report.checksum == Stream::new(2).checksum(bytes);
    Item::new("3.2 1 GiB up")
        .bound("every byte as sent; the same checksum")
        .n(bytes)
        .record(right, format!("{}; checksum {:016x}", rate(report.bytes, start), report.checksum));
    drop(client);

    let _echo = bed.endpoint(7003, Kind::Echo);
    let bytes = bytes / 2;
    let (client, start) = (bed.connect("outside1", 7003), Instant::now());
    let returned = both_ways(&client, 3, bytes);
    let figure = format!("{} ({returned:?})", rate(bytes, start));
    Item::new("3.3a both ways at once, spliced")
        .bound("every byte as sent, in both directions")
        .n(bytes)
        .record(matches!(returned, Ok(all) if all == bytes), figure);
    let records = bed.edge.wait_sessions(3, "three records", |record| record["letters"] == "--");
    assert_eq!(records.len(), 3, "{records:?}");
}

/// How many bytes have come back, for the sender to wait by.
#[derive(Default)]
struct Returned {
    /// The bytes, and whether the reader has ended.
    state: Mutex<(u64, bool)>,
    changed: Condvar,
}

impl Returned {
    fn set(&self, bytes: u64, over: bool) {
        *self.state.lock().expect("no panic before") = (bytes, over);
        self.changed.notify_all();
    }

    /// Waits until there is room for `length` more bytes after `sent`.
    fn wait(&self, sent: u64, length: u64) -> io::Result<()> {
        let state = self.state.lock().expect("no panic before");
        let full = |state: &mut (u64, bool)| !state.1 && sent + length > state.0 + UNDER_WAY;
        let waited = self.changed.wait_timeout_while(state, STUCK, full);
        match waited.expect("no panic before") {
            (_, timeout) if timeout.timed_out() => Err(io::Error::other("nothing comes back")),
            (state, _) if state.1 => Err(io::Error::other("the end came too early")),
            _ => Ok(()),
        }
    }
}

/// Sends `bytes` bytes in messages of 1 byte to 4 KiB with a pause now and then; reads and checks
/// what comes back meanwhile.
fn small_messages(tcp: &TcpStream, seed: u64, bytes: u64) -> io::Result<u64> {
    let returned = Returned::default();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut offset = 0;
            let read = read_back(tcp, seed, &mut offset, &returned);
            returned.set(offset, true);
            read.map(|()| offset)
        });
        let (stream, mut sent, mut messages) = (Stream::new(seed), 0, 0_u64);
        let mut to: &TcpStream = tcp;
        while sent < bytes {
            let length = (1 + (messages * 977) % 4096).min(bytes - sent);
            returned.wait(sent, length)?;
            to.write_all(&stream.bytes(sent, length as usize))?;
            sent += length;
            messages += 1;
            if messages.is_multiple_of(256) {
                pause(Duration::from_millis(2));
            }
        }
        tcp.shutdown(Shutdown::Write)?;
        reader.join().expect("the reader does not panic")
    })
}

fn read_back(
    mut tcp: &TcpStream,
    seed: u64,
    offset: &mut u64,
    returned: &Returned,
) -> io::Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let read = tcp.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        Stream::new(seed)
            .check(*offset, &buffer[..read])
            .map_err(|wrong| io::Error::new(io::ErrorKind::InvalidData, wrong.to_string()))?;
        *offset += read as u64;
        returned.set(*offset, false);
    }
}

#[test]
fn small_messages_arrive_whole() {
    let Some(bed) = Bed::start("small_messages_arrive_whole", &carry_all(&[7001])) else { return };
    const SESSIONS: u64 = 4;
    let bytes = size(mebibytes(256), mebibytes(8));
    let without = bed.pipes();
    let _echo = bed.endpoint(7001, Kind::Echo);
    let results: Vec<_> = std::thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|seed| {
                let client = bed.connect("outside1", 7001);
                scope.spawn(move || small_messages(&client, seed, bytes))
            })
            .collect();
        sessions.into_iter().map(|session| session.join().expect("no panic")).collect()
    });
    let whole = results.iter().all(|result| matches!(result, Ok(all) if *all == bytes));
    let copied = bed.pipes() == without;
    Item::new("3.3b both ways at once, copied")
        .bound("every byte as sent; no splice")
        .n(SESSIONS)
        .note("messages of 1 byte to 4 KiB, at most 12 KiB under way, with pauses")
        .record(
            whole && copied,
            format!("{SESSIONS} sessions of {bytes} bytes each way; no pipe in use: {copied}; {results:?}"),
        );
}

#[test]
fn a_greeting_comes_first() {
    let Some(bed) = Bed::start("a_greeting_comes_first", &carry_all(&[7001])) else { return };
    let _greeting = bed.endpoint(7001, Kind::Greeting(b"220 ready\r\n".to_vec()));
    let mut client = bed.connect("outside1", 7001);
    let mut greeting = [0; 11];
    client.read_exact(&mut greeting).expect("a greeting without a byte from the client");
    assert_eq!(&greeting, b"220 ready\r\n");
    client.shutdown(Shutdown::Write).expect("a connection");
    receive_end(&client).expect("an end in order");
}
