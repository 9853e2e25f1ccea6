//! Who ask for something at another listener: 40 requests a second, half of them on lasting
//! connections, the others on a new one each.

use e2e::proof::{median, p99, size};
use eclusa_testkit::netns::Host;
use eclusa_testkit::wait::pause;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The other listener.
const LISTENER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 2)), 8080);
/// How many there are; none waits for another.
const CLIENTS: u32 = 16;
/// From one request of a client to its next.
const PACE: Duration = Duration::from_millis(400);
/// Whoever has no answer by then has failed. Every day other tests run beside it.
const DEADLINE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";

/// Those who ask.
pub(super) struct Good {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Felt>>,
}

/// What they felt.
#[derive(Clone, Debug, Default)]
pub(super) struct Felt {
    /// From each request to its end, whatever that was.
    pub(super) took: Vec<Duration>,
    /// Why those have failed that have.
    pub(super) failed: Vec<String>,
}

impl Good {
    /// Whether a single request is answered.
    pub(super) fn asks_once(host: &Host) -> bool {
        host.enter(|| ask(&mut None)).is_ok()
    }

    pub(super) fn start(host: &Host) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let start = |number: u32| {
            let over = Arc::clone(&over);
            // A thread that is born in a namespace stays there.
            host.enter(|| std::thread::spawn(move || run(number, &over)))
        };
        Self { threads: (0..CLIENTS).map(start).collect(), over }
    }

    pub(super) fn stop(self) -> Felt {
        self.over.store(true, Relaxed);
        let mut all = Felt::default();
        for thread in self.threads {
            let felt = thread.join().unwrap();
            all.took.extend(felt.took);
            all.failed.extend(felt.failed);
        }
        all
    }
}

/// Asks whenever it is due; their turns are spread.
fn run(number: u32, over: &AtomicBool) -> Felt {
    let lasting = number.is_multiple_of(2);
    let mut felt = Felt::default();
    let mut connection = None;
    let mut due = Instant::now() + PACE * number / CLIENTS;
    while !over.load(Relaxed) {
        pause(due.saturating_duration_since(Instant::now()));
        let begun = Instant::now();
        let answered = ask(&mut connection);
        felt.took.push(begun.elapsed());
        if !lasting || answered.is_err() {
            connection = None;
        }
        if let Err(error) = answered {
            felt.failed.push(format!("{}: {error}", if lasting { "lasting" } else { "new" }));
        }
        due = (due + PACE).max(Instant::now());
    }
    felt
}

/// One request and its answer, which ends in `well`.
fn ask(connection: &mut Option<TcpStream>) -> io::Result<()> {
    let until = Instant::now() + size(DEADLINE.0, DEADLINE.1);
    let left = || match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let stream = match connection {
        Some(stream) => stream,
        None => connection.insert(TcpStream::connect_timeout(&LISTENER, left()?)?),
    };
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(REQUEST)?;
    let mut heard = Vec::new();
    while !heard.ends_with(b"well") {
        stream.set_read_timeout(Some(left()?))?;
        let mut bytes = [0; 1_024];
        match stream.read(&mut bytes)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => heard.extend_from_slice(&bytes[..read]),
        }
        // An answer of the balancer's own.
        if heard.starts_with(b"HTTP/1.1 ") && heard.len() > 12 && heard[9] != b'2' {
            let status = String::from_utf8_lossy(&heard[9..12]).into_owned();
            return Err(io::Error::other(status));
        }
    }
    Ok(())
}

impl Felt {
    pub(super) fn p99(&self) -> Duration {
        p99(&self.took).unwrap_or_default()
    }

    pub(super) fn median(&self) -> Duration {
        median(&self.took).unwrap_or_default()
    }

    pub(super) fn worst(&self) -> Duration {
        self.took.iter().max().copied().unwrap_or_default()
    }
}

impl fmt::Display for Felt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, asked) = (self.failed.len(), self.took.len());
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        write!(f, "{failed} of {asked} failed, p50 {:.1} ms", ms(self.median()))?;
        write!(f, ", p99 {:.1} ms, worst {:.0} ms", ms(self.p99()), ms(self.worst()))?;
        match self.failed.first() {
            Some(first) => write!(f, "; the first: {first}"),
            None => Ok(()),
        }
    }
}
