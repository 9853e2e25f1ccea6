//! Clients of what changes: they come one after the other, or stay.

use super::bed::DEADLINE;
use e2e::bed::patient;
use e2e::plain::{echoes, try_connect};
use e2e::product::Product;
use eclusa_testkit::netns::Host;
use eclusa_testkit::wait::pause;
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two connections of a client, and between two looks at those that stand.
const PACE: Duration = Duration::from_millis(20);
/// Sessions of guests that stand at once; a new one takes the place of the oldest, which has seen its
/// listener go several times by then.
const STAY: usize = 9;
/// Failures that are kept in words.
const KEPT: usize = 20;

/// What has become of all these clients.
#[derive(Debug, Default)]
pub struct Guests {
    /// Asked and answered.
    pub served: AtomicUsize,
    /// The longest that one of them took at a listener that stays, in milliseconds.
    slowest: AtomicU64,
    /// Not connected while nobody listened: no failure.
    pub absent: AtomicUsize,
    /// Questions answered on sessions that stand.
    pub stood: AtomicUsize,
    /// How many have failed.
    pub failed: AtomicUsize,
    /// The first failures, and whose they were.
    words: Mutex<Vec<(String, Option<SocketAddr>)>>,
    /// Since when the listener that comes and goes is there.
    there: Mutex<Option<Instant>>,
    standing: Mutex<VecDeque<TcpStream>>,
    over: AtomicBool,
}

/// A connection on which nobody waits for longer than [`DEADLINE`].
fn knock(host: &Host, at: SocketAddr) -> io::Result<TcpStream> {
    patient(try_connect(host, at, DEADLINE)?, DEADLINE)
}

/// A client that panics has its own message.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guests {
    /// One connection after the other to `at`, each with a question and its answer. `comes_and_goes`:
    /// nobody need listen while the listener is not there; who is connected is answered all the same.
    pub fn keep_coming(&self, host: &Host, at: SocketAddr, comes_and_goes: bool) {
        while !self.over.load(Relaxed) {
            let begun = Instant::now();
            match knock(host, at) {
                Ok(stream) if echoes(&stream, b"anybody there?") => {
                    self.served.fetch_add(1, Relaxed);
                    if !comes_and_goes {
                        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                        self.slowest.fetch_max(took, Relaxed);
                    }
                }
                Ok(stream) => self.fail(format!("{at} gave no answer"), Some(&stream)),
                Err(_) if comes_and_goes && !self.was_there(begun) => {
                    self.absent.fetch_add(1, Relaxed);
                }
                Err(error) => self.fail(format!("{at}: {error} after {:?}", begun.elapsed()), None),
            }
            pause(PACE);
        }
    }

    /// Asks again and again on all sessions that stand.
    pub fn keep_standing(&self) {
        while !self.over.load(Relaxed) {
            self.ask_standing();
            pause(PACE);
        }
    }

    fn ask_standing(&self) {
        lock(&self.standing).retain(|stream| {
            let answered = echoes(stream, b"still there?");
            if answered {
                self.stood.fetch_add(1, Relaxed);
            } else {
                self.fail("a session that stood was cut".to_owned(), Some(stream));
            }
            answered
        });
    }

    /// The listener that comes and goes is there: some come to stay.
    pub fn come(&self, hosts: &[Host], at: SocketAddr) {
        lock(&self.there).get_or_insert(Instant::now());
        for host in hosts {
            match knock(host, at) {
                Ok(stream) if echoes(&stream, b"I stay") => {
                    let mut standing = lock(&self.standing);
                    standing.push_back(stream);
                    if standing.len() > STAY {
                        standing.pop_front();
                    }
                }
                Ok(stream) => self.fail(format!("{at} is there and gave no answer"), Some(&stream)),
                Err(error) => self.fail(format!("{at} is there: {error}"), None),
            }
        }
    }

    /// The listener is about to go.
    pub fn go(&self) {
        lock(&self.there).take();
    }

    /// Whether the listener has been there all the time since.
    fn was_there(&self, since: Instant) -> bool {
        lock(&self.there).is_some_and(|from| from <= since)
    }

    fn fail(&self, words: String, stream: Option<&TcpStream>) {
        self.failed.fetch_add(1, Relaxed);
        let client = stream.and_then(|stream| stream.local_addr().ok());
        let mut all = lock(&self.words);
        if all.len() < KEPT {
            all.push((words, client));
        }
    }

    /// All of it in words.
    pub fn in_words(&self) -> String {
        let of = |count: &AtomicUsize| count.load(Relaxed);
        let Self { served, absent, stood, failed, slowest, .. } = self;
        format!(
            "{} served (in at most {} ms), {} not while nobody listened, {} answers on {} sessions \
             that stand, {} failed",
            of(served),
            slowest.load(Relaxed),
            of(absent),
            of(stood),
            lock(&self.standing).len(),
            of(failed)
        )
    }

    /// The first failures, each with what the balancer has recorded of its session.
    pub fn failures(&self, edge: &Product) -> Vec<String> {
        let failures = lock(&self.words).clone();
        // The log is long: it is looked at only where there is something to be found.
        let records = if failures.is_empty() { Vec::new() } else { edge.sessions() };
        let record = |client: Option<SocketAddr>| {
            let client = client?.to_string();
            records.iter().rfind(|record| record["client"] == client.as_str())
        };
        let words = failures.into_iter();
        words.map(|(words, client)| format!("{words}: {:?}", record(client))).collect()
    }

    /// Ends the clients' coming and staying.
    pub fn end(&self) {
        self.over.store(true, Relaxed);
    }
}
