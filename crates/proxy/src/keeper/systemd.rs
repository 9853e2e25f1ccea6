//! What the keeper tells systemd: sd_notify(3). Without a manager nothing is told.

use eclusa_sys::systemd::{Notifier, take_descriptors};
use rustix::time::{ClockId, clock_gettime};
use std::env;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// What a manager tells a service in its environment, and what must not get to the engine.
pub(super) const ENVIRONMENT: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];
/// Time that a stop gets beyond what the engine asked for.
const GRACE: Duration = Duration::from_secs(5);

/// The manager, if there is one.
#[derive(Debug)]
pub(super) struct Systemd {
    notifier: Option<Notifier>,
    watchdog: Option<Duration>,
    /// When the watchdog was last told that all is well.
    petted: Instant,
}

impl Systemd {
    /// By this process's environment; with what could not be used of it, in words.
    pub(super) fn new() -> (Self, Option<String>) {
        let mut trouble = None;
        let notifier = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let notifier = notifier.and_then(|name| match Notifier::new(&name) {
            Ok(notifier) => Some(notifier),
            Err(error) => {
                trouble = Some(format!("NOTIFY_SOCKET={}: {error}", name.to_string_lossy()));
                None
            }
        });
        let microseconds =
            number("WATCHDOG_USEC").filter(|&usec| usec > 0 && is_us("WATCHDOG_PID"));
        let watchdog = microseconds.map(Duration::from_micros).filter(|_| notifier.is_some());
        (Self { notifier, watchdog, petted: Instant::now() }, trouble)
    }

    /// Whether it stores descriptors. (It may have been told to store none: then a restart refuses
    /// connections, as without a store; nothing tells.)
    pub(super) fn stores(&self) -> bool {
        self.notifier.is_some()
    }

    /// How often somebody must say that all is well: three times within what the watchdog allows.
    pub(super) fn heartbeat(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / 3)
    }

    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// A stop has begun; with the time it may take, if that is known.
    pub(super) fn stopping(&self, within: Option<Duration>) {
        match within.map(|within| within.saturating_add(GRACE).as_micros()) {
            Some(extend) => self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={extend}")),
            None => self.tell("STOPPING=1"),
        }
    }

    /// One line for people. Line breaks would begin a new assignment.
    pub(super) fn status(&self, text: &str) {
        self.tell(&format!("STATUS={}", text.replace(char::is_control, " ")));
    }

    /// All is well.
    pub(super) fn pet(&mut self) {
        self.petted = Instant::now();
        if self.watchdog.is_some() {
            self.tell("WATCHDOG=1");
        }
    }

    /// When it is time to pet the watchdog again; `None` without one.
    pub(super) fn pet_at(&self) -> Option<Instant> {
        Some(self.petted + self.heartbeat()?)
    }

    /// Stores a descriptor under a name, for the next start of the service. It stays in the store
    /// even if the kernel reports trouble on it (`FDPOLL=0`).
    pub(super) fn store(&self, name: &str, descriptor: &OwnedFd) {
        if let Some(notifier) = &self.notifier {
            let lines = format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0");
            // A manager that is gone starts nothing again either.
            let _ = notifier.send(&lines, Some(descriptor.as_fd()));
        }
    }

    /// Removes what is stored under a name.
    pub(super) fn forget(&self, name: &str) {
        self.tell(&format!("FDSTOREREMOVE=1\nFDNAME={name}"));
    }

    fn tell(&self, lines: &str) {
        if let Some(notifier) = &self.notifier {
            let _ = notifier.send(lines, None);
        }
    }
}

/// The descriptors that the manager kept for us, with their names.
pub(super) fn stored() -> Vec<(String, OwnedFd)> {
    let Some(count) = number("LISTEN_FDS").filter(|_| is_us("LISTEN_PID")) else {
        return Vec::new();
    };
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let taken = take_descriptors(usize::try_from(count).unwrap_or(0));
    let named = taken.into_iter().map(|taken| (names.next().unwrap_or_default().to_owned(), taken));
    named.filter_map(|(name, taken)| Some((name, taken?))).collect()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// Whether a variable names this process, or is not there.
fn is_us(variable: &str) -> bool {
    number(variable).is_none_or(|pid| pid == u64::from(std::process::id()))
}
