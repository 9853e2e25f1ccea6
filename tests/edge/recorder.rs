//! An endpoint that records every byte and answers as the path of a request tells it to.

use eclusa_testkit::netns::Host;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long it waits for whatever it waits for.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where the paths of scripted answers begin.
const SCRIPTED: &str = "/scripted/";

#[derive(Debug, Default)]
struct Shared {
    /// What came, connection by connection.
    seen: Mutex<Vec<Vec<u8>>>,
    /// Connections that stand.
    open: Mutex<usize>,
    /// Answers for paths that [`Recorder::will_answer`] gave.
    answers: Mutex<Vec<Scripted>>,
    /// Turns that [`Recorder::go_on`] has given.
    turns: Mutex<usize>,
    turned: Condvar,
    over: AtomicBool,
}

/// An answer byte by byte.
#[derive(Clone, Debug)]
struct Scripted {
    bytes: Vec<u8>,
    /// The end of the stream comes behind it; else the connection is left to who asked.
    ends: bool,
}

/// The endpoint; gone when dropped.
#[derive(Debug)]
pub(crate) struct Recorder {
    address: SocketAddr,
    host: Host,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    pub(crate) fn start(host: &Host, address: &str) -> Self {
        let address = address.parse().unwrap();
        let listener = host.enter(|| TcpListener::bind(address)).unwrap();
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if for_thread.over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&for_thread);
                std::thread::spawn(move || {
                    *shared.open.lock().unwrap() += 1;
                    // A connection that breaks has been recorded so far.
                    let _ = serve(&stream, &shared);
                    *shared.open.lock().unwrap() -= 1;
                });
            }
        });
        Self { address, host: host.clone(), shared, thread: Some(thread) }
    }

    /// What came so far, connection by connection.
    pub(crate) fn seen(&self) -> Vec<Vec<u8>> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// All that came so far.
    pub(crate) fn bytes(&self) -> usize {
        self.seen().iter().map(Vec::len).sum()
    }

    /// How many connections stand.
    pub(crate) fn open(&self) -> usize {
        *self.shared.open.lock().unwrap()
    }

    /// The path that has these bytes answered, be they as many as they like; with `ends` the end of
    /// the stream behind them.
    pub(crate) fn will_answer(&self, bytes: &[u8], ends: bool) -> String {
        let mut answers = self.shared.answers.lock().unwrap();
        answers.push(Scripted { bytes: bytes.to_vec(), ends });
        format!("{SCRIPTED}{}", answers.len() - 1)
    }

    /// What waits for its turn goes on.
    pub(crate) fn go_on(&self) {
        self.shared.give_turn();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes it.
        let _ = self.host.enter(|| TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn scripted(&self, path: &str) -> Option<Scripted> {
        let number: usize = path.strip_prefix(SCRIPTED)?.parse().ok()?;
        self.answers.lock().unwrap().get(number).cloned()
    }

    fn give_turn(&self) {
        *self.turns.lock().unwrap() += 1;
        self.turned.notify_all();
    }

    fn wait_for_turn(&self, number: usize) {
        let turns = self.turns.lock().unwrap();
        let waits = |turns: &mut usize| *turns < number;
        drop(self.turned.wait_timeout_while(turns, PATIENCE, waits).unwrap());
    }
}

/// The bytes of one connection, as they come.
struct Inbox<'a> {
    stream: &'a TcpStream,
    shared: &'a Shared,
    number: usize,
    /// What is not used up.
    rest: Vec<u8>,
}

impl Inbox<'_> {
    fn more(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 65536];
        let read = self.stream.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = &buffer[..read];
        self.shared.seen.lock().unwrap()[self.number].extend_from_slice(bytes);
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    fn until(&mut self, mark: &[u8]) -> io::Result<String> {
        loop {
            if let Some(at) = self.rest.windows(mark.len()).position(|part| part == mark) {
                let bytes: Vec<u8> = self.rest.drain(..at + mark.len()).collect();
                return Ok(String::from_utf8_lossy(&bytes[..at]).into_owned());
            }
            self.more()?;
        }
    }

    fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.rest.len() < count {
            self.more()?;
        }
        Ok(self.rest.drain(..count).collect())
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let number = {
        let mut seen = shared.seen.lock().unwrap();
        seen.push(Vec::new());
        seen.len() - 1
    };
    let mut inbox = Inbox { stream, shared, number, rest: Vec::new() };
    loop {
        let head = inbox.until(b"\r\n\r\n")?;
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let value = |name: &str| {
            let found = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
            found.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let mut body = Vec::new();
        if path == "/early" {
            inbox.more()?;
            (&mut &*stream).write_all(b"HTTP/1.1 413 Long\r\nContent-Length: 2\r\n\r\nno")?;
            return stream.shutdown(Shutdown::Both);
        }
        if let Some(length) = value("content-length:") {
            body = inbox.exactly(length.parse().map_err(io::Error::other)?)?;
        } else if value("transfer-encoding:").is_some() {
            loop {
                let size = inbox.until(b"\r\n")?;
                let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
                if size == 0 {
                    // Trailers, and the empty line.
                    while !inbox.until(b"\r\n")?.is_empty() {}
                    break;
                }
                body.extend(inbox.exactly(size)?);
                inbox.until(b"\r\n")?;
            }
        }
        if let Some(scripted) = shared.scripted(&path) {
            (&mut &*stream).write_all(&scripted.bytes)?;
            if scripted.ends {
                stream.shutdown(Shutdown::Write)?;
            }
            // Whatever was meant by it: what follows is another connection's.
            let _ = inbox.more();
            return stream.shutdown(Shutdown::Both);
        }
        if head.starts_with("HEAD ") {
            (&mut &*stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")?;
            continue;
        }
        if !answer(stream, shared, &mut inbox, &path, &body)? {
            return stream.shutdown(Shutdown::Both);
        }
    }
}

/// Answers; whether the connection goes on.
fn answer(
    mut stream: &TcpStream,
    shared: &Shared,
    inbox: &mut Inbox<'_>,
    path: &str,
    body: &[u8],
) -> io::Result<bool> {
    let whole =
        |text: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    match path {
        "/length" => stream.write_all(whole(&body.len().to_string()).as_bytes())?,
        "/events" => events(stream, shared)?,
        "/stream" => {
            asked_events(stream, shared)?;
            return Ok(false);
        }
        "/end-later" => {
            let turn = *shared.turns.lock().unwrap() + 1;
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            shared.wait_for_turn(turn);
            stream.write_all(b"0\r\nX-Last: yes\r\n\r\n")?;
        }
        "/turn" => {
            shared.give_turn();
            stream.write_all(whole(path).as_bytes())?;
        }
        "/socket" => {
            let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                        Connection: Upgrade\r\n\r\n";
            stream.write_all(head.as_bytes())?;
            loop {
                stream.write_all(&std::mem::take(&mut inbox.rest))?;
                inbox.more()?;
            }
        }
        "/big" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n")?;
            stream.write_all(&vec![b'b'; 32 << 20])?;
        }
        "/hang" => shared.wait_for_turn(usize::MAX),
        "/empty" => return Ok(false),
        "/cut" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")?;
            return Ok(false);
        }
        "/cut-chunks" => {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
            stream.write_all(head.as_bytes())?;
            return Ok(false);
        }
        "/last" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast")?;
            return Ok(false);
        }
        path => match raw(path) {
            Some(bytes) => {
                stream.write_all(&bytes)?;
                // Whatever was meant by it: what follows is another connection's.
                return Ok(inbox.more().is_ok());
            }
            None => stream.write_all(whole(path).as_bytes())?,
        },
    }
    Ok(true)
}

/// Events, and an end, each in its turn.
fn events(mut stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    for number in 1..=3 {
        shared.wait_for_turn(number);
        let event = format!("data: {number}\n\n");
        stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())?;
    }
    shared.wait_for_turn(4);
    stream.write_all(b"0\r\n\r\n")
}

/// Events that are asked for one by one, by requests for `/turn` behind the head of the answer.
fn asked_events(mut stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let before = *shared.turns.lock().unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
    for number in 1..=3 {
        shared.wait_for_turn(before + number);
        stream.write_all(format!("data: {number}\n\n").as_bytes())?;
    }
    Ok(())
}

/// `/raw/HEX`: these bytes are the answer.
fn raw(path: &str) -> Option<Vec<u8>> {
    let hex = path.strip_prefix("/raw/")?;
    let digits: Vec<char> = hex.chars().collect();
    let pairs =
        digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16));
    pairs.collect::<Result<_, _>>().ok()
}

/// The path that has these bytes answered.
pub(crate) fn path_of(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("/raw/{hex}")
}
