//! Eight clients on kept connections, and what they felt.

use super::endpoint::BODY;
use crate::reply::Wire;
use e2e::proof::{median, p99};
use eclusa_testkit::netns::Host;
use eclusa_testkit::wait::pause;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How many there are.
const CLIENTS: usize = 8;

/// The clients, each on its connection.
#[derive(Debug)]
pub(crate) struct Clients {
    host: Host,
    to: SocketAddr,
    wires: Vec<Option<Wire>>,
}

/// What they felt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Felt {
    pub(crate) took: Vec<Duration>,
    /// Requests without the right answer: why.
    pub(crate) failed: Vec<String>,
}

impl Clients {
    pub(crate) fn new(host: &Host, to: SocketAddr) -> Self {
        Self { host: host.clone(), to, wires: (0..CLIENTS).map(|_| None).collect() }
    }

    /// Sends so many GETs in all; each client rests for `pace` between two of its own.
    pub(crate) fn run(&mut self, count: usize, pace: Duration) -> Felt {
        self.run_at("/", count, pace)
    }

    /// The same for a path.
    pub(crate) fn run_at(&mut self, path: &str, count: usize, pace: Duration) -> Felt {
        let left = AtomicUsize::new(count);
        let (host, to, left) = (&self.host, self.to, &left);
        let mut felt = Felt::default();
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .wires
                .iter_mut()
                .map(|wire| scope.spawn(move || ask((host, to), path, wire, left, pace)))
                .collect();
            for thread in threads {
                let of_one = thread.join().unwrap();
                felt.took.extend(of_one.took);
                felt.failed.extend(of_one.failed);
            }
        });
        felt
    }
}

fn ask(
    way: (&Host, SocketAddr),
    path: &str,
    wire: &mut Option<Wire>,
    left: &AtomicUsize,
    pace: Duration,
) -> Felt {
    let mut felt = Felt::default();
    while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
        let begun = Instant::now();
        let answered = one(way, path, wire);
        felt.took.push(begun.elapsed());
        if let Err(why) = answered {
            felt.failed.push(why);
            *wire = None;
        }
        pause(pace);
    }
    felt
}

fn one((host, to): (&Host, SocketAddr), path: &str, wire: &mut Option<Wire>) -> Result<(), String> {
    if wire.is_none() {
        *wire = Some(Wire::open(host, to).map_err(|error| format!("connect: {error}"))?);
    }
    let Some(open) = wire else { return Ok(()) };
    let reply = open.get("web.test", path).map_err(|error| error.to_string())?;
    if reply.is_last() {
        *wire = None;
    }
    match (reply.status, reply.body.len()) {
        (200, BODY) => Ok(()),
        (status, length) => Err(format!("{status} with {length} bytes")),
    }
}

impl Felt {
    /// Requests that took longer than this.
    pub(crate) fn slower(&self, than: Duration) -> usize {
        self.took.iter().filter(|took| **took > than).count()
    }

    pub(crate) fn p99(&self) -> Duration {
        p99(&self.took).unwrap_or_default()
    }

    pub(crate) fn median(&self) -> Duration {
        median(&self.took).unwrap_or_default()
    }

    pub(crate) fn worst(&self) -> Duration {
        self.took.iter().max().copied().unwrap_or_default()
    }
}

impl fmt::Display for Felt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, slow) = (self.failed.len(), self.slower(Duration::from_millis(300)));
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let (p99, worst) = (ms(self.p99()), ms(self.worst()));
        write!(f, "{failed} failed, {slow} over 300 ms, p99 {p99:.1} ms, worst {worst:.0} ms")?;
        match self.failed.first() {
            Some(first) => write!(f, "; the first failure: {first}"),
            None => Ok(()),
        }
    }
}
