//! An endpoint that answers, until it is told to get into trouble.

use eclusa_testkit::netns::Host;
use eclusa_testkit::wait::pause;
use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks at what it is to do.
const LOOK: Duration = Duration::from_millis(1);
/// How long it is there and away by turns, when it flaps.
const FLAP: Duration = Duration::from_millis(200);
/// How late one answers that is slow.
const SLOW: Duration = Duration::from_secs(5);
/// The body of its answers.
pub(crate) const BODY: usize = 1024;

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Well,
    /// Its process is gone: connections end, new ones are refused.
    Killed,
    /// Its process is stopped: the system accepts and acknowledges, nobody answers.
    Frozen,
    /// Every connection is reset, new ones as soon as they stand.
    Reset,
    /// Resets in the midst of its answers.
    Cut,
    /// Closes where an answer is due.
    Empty,
    /// Answers something that is no HTTP.
    Garbage,
    /// Answers 503.
    Unavailable,
    /// Answers after 5 s.
    Slow,
    /// Is killed and comes back, all the time.
    Flapping,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    mode: Mutex<(Mode, Instant)>,
    over: AtomicBool,
    /// Requests that came.
    asked: AtomicUsize,
    /// Requests for `/late` that it works on at this moment, and the most that ever were.
    at_once: Mutex<(usize, usize)>,
    connections: Mutex<Vec<TcpStream>>,
}

/// The endpoint; gone when dropped.
#[derive(Debug)]
pub(crate) struct Faulty {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Faulty {
    pub(crate) fn start(host: &Host, address: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            address,
            mode: Mutex::new((Mode::Well, Instant::now())),
            over: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            at_once: Mutex::default(),
            connections: Mutex::default(),
        });
        let (for_thread, host) = (Arc::clone(&shared), host.clone());
        let thread = std::thread::spawn(move || host.enter(|| for_thread.accept()));
        Self { shared, thread: Some(thread) }
    }

    /// From now on.
    pub(crate) fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = (mode, Instant::now());
        if matches!(self.shared.mode(), Mode::Killed | Mode::Reset) {
            self.shared.drop_all();
        }
    }

    /// How many requests it got so far.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Relaxed)
    }

    /// The most requests for `/late` that it ever worked on at a time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.at_once.lock().unwrap().1
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.shared.over.store(true, Relaxed);
        self.shared.drop_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// What it does now.
    fn mode(&self) -> Mode {
        let (mode, since) = *self.mode.lock().unwrap();
        if mode != Mode::Flapping {
            return mode;
        }
        let turn = since.elapsed().as_millis() / FLAP.as_millis();
        if turn.is_multiple_of(2) { Mode::Killed } else { Mode::Well }
    }

    fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    fn drop_all(&self) {
        for stream in self.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn accept(self: &Arc<Self>) {
        let mut listener = None;
        while !self.is_over() {
            let mode = self.mode();
            if mode == Mode::Killed {
                listener = None;
                self.drop_all();
            } else if listener.is_none() {
                listener = TcpListener::bind(self.address).ok();
                let _ = listener.as_ref().map(|listener| listener.set_nonblocking(true));
            }
            let accepts = mode != Mode::Frozen;
            match listener.as_ref().filter(|_| accepts).map(TcpListener::accept) {
                Some(Ok((stream, _))) => self.serve(stream),
                _ => pause(LOOK),
            }
        }
    }

    fn serve(self: &Arc<Self>, stream: TcpStream) {
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_nodelay(true);
        let Ok(other) = stream.try_clone() else { return };
        self.connections.lock().unwrap().push(other);
        let shared = Arc::clone(self);
        std::thread::spawn(move || {
            // A connection that breaks is over.
            let _ = shared.answer_all(&stream);
            let _ = stream.shutdown(Shutdown::Both);
            let mut connections = shared.connections.lock().unwrap();
            let same = |other: &TcpStream| other.peer_addr().ok() == stream.peer_addr().ok();
            connections.retain(|other| !same(other));
        });
    }

    fn answer_all(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut inbox = Vec::new();
        loop {
            if self.mode() == Mode::Reset {
                SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
                return Ok(());
            }
            while !inbox.windows(4).any(|part| part == b"\r\n\r\n") {
                let mut buffer = [0; 4096];
                let read = stream.read(&mut buffer)?;
                if read == 0 {
                    return Ok(());
                }
                inbox.extend_from_slice(&buffer[..read]);
            }
            let late = inbox.starts_with(b"GET /late");
            inbox.clear();
            self.asked.fetch_add(1, Relaxed);
            if late {
                // As long as real work takes, so that others come meanwhile.
                self.count(1);
                pause(Duration::from_millis(30));
                self.count(-1);
            }
            if !self.answer(stream)? {
                return Ok(());
            }
        }
    }

    /// So many more requests are worked on, or fewer.
    fn count(&self, by: isize) {
        let mut at_once = self.at_once.lock().unwrap();
        at_once.0 = at_once.0.saturating_add_signed(by);
        at_once.1 = at_once.1.max(at_once.0);
    }

    /// Answers; whether the connection goes on.
    fn answer(&self, mut stream: &TcpStream) -> io::Result<bool> {
        let begun = Instant::now();
        let mut mode = self.mode();
        while mode == Mode::Frozen || mode == Mode::Slow && begun.elapsed() < SLOW {
            if self.is_over() {
                return Ok(false);
            }
            pause(LOOK);
            mode = self.mode();
        }
        let (address, body) = (self.address, "b".repeat(BODY));
        let whole =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\nFrom: {address}\r\n\r\n{body}");
        match mode {
            Mode::Empty | Mode::Killed => return Ok(false),
            Mode::Garbage => {
                stream.write_all(b"hello, who is there?\r\n\r\n")?;
                return Ok(false);
            }
            Mode::Cut => {
                stream.write_all(&whole.as_bytes()[..BODY / 2])?;
                // What was sent arrives before the reset: the endpoint breaks off in the midst.
                pause(Duration::from_millis(2));
                SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
                return Ok(false);
            }
            Mode::Reset => {
                SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
                return Ok(false);
            }
            Mode::Unavailable => {
                stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")?;
            }
            _ => stream.write_all(whole.as_bytes())?,
        }
        Ok(true)
    }
}
