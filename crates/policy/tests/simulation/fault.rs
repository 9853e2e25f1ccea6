//! What goes wrong, when, and for whom.

use eclusa_policy::time::Time;
use fastrand::Rng;
use std::time::Duration;

/// A fault of one endpoint, or of this host and its network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The process is gone: dials are refused, sessions are reset by its kernel.
    Killed,
    /// The listener is closed, sessions are served on: the second half of a graceful end.
    Closed,
    /// The process stands still; its kernel still accepts.
    Frozen,
    /// Every packet to and from it is lost.
    Unreachable,
    /// Every byte comes this late.
    Slow(Duration),
    /// `/readyz` answers 500.
    NotReady,
    /// `/readyz` and `/livez` answer 500, after two seconds.
    Sick,
    /// The handshake fails.
    BadTls,
    /// A packet in so many is lost: its exchange takes a second longer.
    Loss(f64),
    /// All of them: the network behind this host is down, and nobody says so.
    Outage,
    /// This host has no route: the kernel says so.
    NoRoute,
    /// This host is out of descriptors.
    Exhausted,
    /// This process does not run.
    Stall,
    /// Every byte of all of them comes this late.
    AllSlow(Duration),
    /// All of them at once, sick as above: etcd stands still.
    EtcdStall,
}

impl Fault {
    fn is_silence(self) -> bool {
        matches!(self, Self::Frozen | Self::Unreachable)
    }
}

/// A fault with its time.
#[derive(Clone, Copy, Debug)]
pub struct Episode {
    pub from: Time,
    pub to: Time,
    /// Whose; `None`: common.
    pub endpoint: Option<usize>,
    pub fault: Fault,
}

impl Episode {
    fn is_at(&self, now: Time) -> bool {
        self.from <= now && now < self.to
    }

    fn overlaps(&self, from: Time, to: Time) -> bool {
        self.from < to && from < self.to
    }
}

/// Everything that goes wrong in one seed.
#[derive(Clone, Debug)]
pub struct Timeline {
    pub episodes: Vec<Episode>,
    /// All is well for the last twenty seconds.
    pub end: Time,
}

/// This process gets to run for a moment now and then only.
fn starve(episodes: &mut Vec<Episode>, from: f64, rng: &mut Rng) {
    for n in 1..30 {
        let from = from + f64::from(n) * 0.5 + 0.3 * rng.f64();
        let (from, to) = (seconds(from), seconds(from + 0.1 + 0.2 * rng.f64()));
        episodes.push(Episode { from, to, endpoint: None, fault: Fault::Stall });
    }
}

fn seconds(from: f64) -> Time {
    Time::after_start(Duration::from_secs_f64(from))
}

impl Timeline {
    /// Faults of single endpoints between 8 and 50 s, a common one between 60 and 75 s.
    pub fn generate(endpoints: usize, rng: &mut Rng) -> Self {
        let mut episodes = Vec::new();
        for _ in 0..rng.usize(0..4) {
            let endpoint = Some(rng.usize(0..endpoints));
            let from = 8.0 + 30.0 * rng.f64();
            let length = 1.0 + 11.0 * rng.f64();
            // Later than that, out of the blue, cannot be told from silence within 3.1 s.
            let slow = Duration::from_millis(rng.u64(800..1800));
            let fault = match rng.u32(0..10) {
                0 => Fault::Killed,
                1 | 2 => Fault::Frozen,
                3 => Fault::Unreachable,
                4 => Fault::Slow(slow),
                5 => Fault::NotReady,
                6 => Fault::Sick,
                7 => Fault::BadTls,
                8 => Fault::Loss(0.05),
                _ => {
                    // A graceful end.
                    let middle = from + length / 2.0;
                    let ending = Fault::NotReady;
                    let (from, to) = (seconds(from), seconds(middle));
                    episodes.push(Episode { from, to, endpoint, fault: ending });
                    let (from, to) = (to, seconds(middle + length / 2.0));
                    episodes.push(Episode { from, to, endpoint, fault: Fault::Closed });
                    continue;
                }
            };
            let (from, to) = (seconds(from), seconds(from + length));
            episodes.push(Episode { from, to, endpoint, fault });
        }
        if rng.u32(0..10) < 6 {
            let from = 60.0 + 5.0 * rng.f64();
            let slow_all = Duration::from_millis(rng.u64(600..2000));
            let (fault, most) = match rng.u32(0..7) {
                0 => (Fault::Outage, 8.0),
                1 => (Fault::NoRoute, 8.0),
                2 => (Fault::Exhausted, 8.0),
                3 => (Fault::Stall, 6.0),
                4 => (Fault::AllSlow(slow_all), 8.0),
                5 => {
                    starve(&mut episodes, from, rng);
                    (Fault::Stall, 0.5)
                }
                _ => (Fault::EtcdStall, 8.0),
            };
            let (from, to) = (seconds(from), seconds(from + 0.3 + most * rng.f64()));
            episodes.push(Episode { from, to, endpoint: None, fault });
        }
        Self { episodes, end: seconds(95.0) }
    }

    fn of(&self, endpoint: usize, now: Time) -> impl Iterator<Item = &Episode> {
        let mine = move |episode: &&Episode| episode.endpoint.is_none_or(|of| of == endpoint);
        self.episodes.iter().filter(mine).filter(move |episode| episode.is_at(now))
    }

    /// Whether a fault that `which` names strikes the endpoint at `now`.
    pub fn has(&self, endpoint: usize, now: Time, which: impl Fn(Fault) -> bool) -> bool {
        self.of(endpoint, now).any(|episode| which(episode.fault))
    }

    /// How late the endpoint's bytes are at `now`.
    pub fn delay(&self, endpoint: usize, now: Time) -> Duration {
        let delay = |episode: &Episode| match episode.fault {
            Fault::Slow(delay) | Fault::AllSlow(delay) => Some(delay),
            _ => None,
        };
        self.of(endpoint, now).filter_map(delay).max().unwrap_or_default()
    }

    /// When what was sent before the endpoint turned slow is through: until the first late byte
    /// there is a gap.
    pub fn gap_until(&self, endpoint: usize, now: Time) -> Option<Time> {
        let slow = |fault| matches!(fault, Fault::Slow(_) | Fault::AllSlow(_));
        let since = self.of(endpoint, now).filter(|e| slow(e.fault)).map(|e| e.from).min()?;
        Some(since + self.delay(endpoint, now)).filter(|until| *until > now)
    }

    /// The share of packets lost at `now`.
    pub fn loss(&self, endpoint: usize, now: Time) -> f64 {
        let loss = |episode: &Episode| match episode.fault {
            Fault::Loss(share) => Some(share),
            _ => None,
        };
        self.of(endpoint, now).filter_map(loss).fold(0.0, f64::max)
    }

    /// When packets reach the endpoint again, if they do not at `now`.
    pub fn unreachable_until(&self, endpoint: usize, now: Time) -> Option<Time> {
        let cut = |fault| matches!(fault, Fault::Unreachable | Fault::Outage | Fault::NoRoute);
        self.of(endpoint, now).filter(|e| cut(e.fault)).map(|e| e.to).max()
    }

    /// When the endpoint's process runs again, if it does not at `now`.
    pub fn frozen_until(&self, endpoint: usize, now: Time) -> Option<Time> {
        self.of(endpoint, now).filter(|e| e.fault == Fault::Frozen).map(|e| e.to).max()
    }

    /// Whether nothing at all is wrong with the endpoint, nor with us, in this time.
    pub fn is_healthy(&self, endpoint: usize, from: Time, to: Time) -> bool {
        !self.episodes.iter().any(|episode| {
            episode.endpoint.is_none_or(|of| of == endpoint) && episode.overlaps(from, to)
        })
    }

    /// Whether a fault of its own kept the endpoint silent for all of this time.
    pub fn was_silent(&self, endpoint: usize, from: Time, to: Time) -> bool {
        self.episodes.iter().any(|episode| {
            let silent = episode.endpoint == Some(endpoint) && episode.fault.is_silence();
            silent && episode.from <= from && to <= episode.to
        })
    }

    /// The end of the standstill of this process that `now` falls into.
    pub fn stalled_until(&self, now: Time) -> Option<Time> {
        let stall = |episode: &&Episode| episode.fault == Fault::Stall && episode.is_at(now);
        self.episodes.iter().find(stall).map(|episode| episode.to)
    }
}
