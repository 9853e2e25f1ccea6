//! Waiting for a condition with a deadline, durations in words, and free ports.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A condition that did not come true in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedOut {
    /// What was waited for, in words.
    pub what: String,
    /// How long.
    pub after: Duration,
}

impl std::fmt::Display for TimedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "still waiting after {:?} for: {}", self.after, self.what)
    }
}

impl std::error::Error for TimedOut {}

/// Blocks until `condition` holds and returns how long that took.
///
/// # Panics
/// When it does not hold within `limit`: the message says `what` was waited for.
#[track_caller]
pub fn wait_until(limit: Duration, what: &str, condition: impl FnMut() -> bool) -> Duration {
    match try_until(limit, what, condition) {
        Ok(took) => took,
        Err(error) => panic!("{error}"),
    }
}

/// Like [`wait_until`] for a condition that yields a value.
///
/// # Panics
/// When `look` has yielded nothing within `limit`.
#[track_caller]
pub fn wait_for<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    wait_until(limit, what, || {
        found = look();
        found.is_some()
    });
    found.expect("wait_until returned because it is there")
}

/// Blocks until `condition` holds and returns how long that took. The condition is looked at
/// once more after the deadline, so that a machine that stood still is no failure.
///
/// # Errors
/// [`TimedOut`] when it does not hold within `limit`.
pub fn try_until(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> bool,
) -> Result<Duration, TimedOut> {
    let start = Instant::now();
    loop {
        let late = start.elapsed() >= limit;
        if condition() {
            return Ok(start.elapsed());
        }
        if late {
            return Err(TimedOut { what: what.to_owned(), after: limit });
        }
        pause(LOOK_EVERY.min(limit));
    }
}

/// Lets `duration` pass. Only for tests whose subject *is* the passing of time (a reader that
/// pauses, traffic that runs for ten seconds); whoever waits for something uses [`wait_until`].
#[allow(clippy::disallowed_methods, reason = "the one place of the test bed that sleeps")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// A duration as tests write it: `1.5s`, `800ms` or `0`.
///
/// # Errors
/// It is none, in words.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
        .filter(|_| text.ends_with('s') || number == "0")
        .ok_or(format!("`{text}` is no duration such as 800ms or 1.5s"))
}

/// A TCP port of 127.0.0.1 that is free now. Another program can take it before you do: where
/// the callee can listen on port 0 and tell, prefer that. Ports are not handed out twice in a
/// row, so that concurrent tests of one process do not collide.
///
/// # Panics
/// When the system has none.
#[must_use]
pub fn free_port() -> u16 {
    free_port_on(IpAddr::V4(Ipv4Addr::LOCALHOST)).expect("a free port on the loopback address")
}

/// Like [`free_port`] for any local address.
///
/// # Errors
/// What binding said: the address is not local, or no port is left.
pub fn free_port_on(address: IpAddr) -> io::Result<u16> {
    static LAST: AtomicU16 = AtomicU16::new(0);
    let mut port = 0;
    for _ in 0..8 {
        port = TcpListener::bind(SocketAddr::new(address, 0))?.local_addr()?.port();
        if LAST.swap(port, Ordering::Relaxed) != port {
            break;
        }
    }
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_holds_ends_the_wait() {
        let mut looks = 0;
        let took = wait_until(Duration::from_secs(5), "three looks", || {
            looks += 1;
            looks == 3
        });
        assert!(took < Duration::from_secs(5));
        assert_eq!(wait_for(Duration::ZERO, "a value", || Some(7)), 7);
    }

    #[test]
    fn a_condition_that_never_holds_is_told_in_words() {
        let error = try_until(Duration::from_millis(10), "rain", || false).unwrap_err();
        assert_eq!(error.to_string(), "still waiting after 10ms for: rain");
    }

    #[test]
    fn a_free_port_can_be_bound() {
        let port = free_port();
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    }
}
