//! Verdicts: what probes and traffic show of an endpoint, and what follows.
//!
//! [`Judge`] is the whole of it for one pool: evidence goes in ([`Evidence`]), verdicts with their
//! reasons and consequences come out ([`Report`], [`Event`]), and it says when and how to probe
//! next ([`Next`]). First law: never be the cause. Hence the order of things: a *member* weighs its
//! own evidence and finds that it should fall; the *brakes* decide whether that is believed
//! (`brakes`); only then anything follows.
//!
//! | file | concern |
//! |---|---|
//! | `settings` | every number, with its unit |
//! | `evidence`, `reason` | what can be seen, and how it is named |
//! | `silence`, `answers`, `conduct` | the kinds of evidence that need a memory |
//! | `member` | one endpoint: evidence to finding |
//! | `standing` | state to verdict, tier, fate of sessions |
//! | `brakes` | correlation, witness, hold, resets |
//! | `schedule` | when and how to probe next |
//! | `judge`, `report` | the pool: entry points, events |
//! | `pace` | resets spread over time |
//! | `unasked` | pools without probes |
//!
//! How it is driven, by the thread that owns it:
//!
//! ```
//! use eclusa_policy::time::Time;
//! use eclusa_policy::verdict::{Check, Event, Evidence, HandshakeFacts, Judge, Key, Settings};
//! use std::time::Duration;
//!
//! let (mut judge, master) = (Judge::new(Settings::apiserver(), 7), Key(1));
//! let now = Time::from_millis(0);
//! judge.add(master, now);
//! // The next probe is due at `at`, over a kept or a fresh connection.
//! let next = judge.next_probe(master).unwrap();
//! judge.started(master, next.way, now);
//! // The probe tells what it saw and how long that took; it does not judge.
//! let took = Duration::from_millis(4);
//! judge.observe(master, &Evidence::Hello { took }, now);
//! judge.observe(master, &Evidence::Handshake(HandshakeFacts::default()), now);
//! for check in [Check::Ready, Check::Live] {
//!     let answer = Evidence::Answer { check, status: 200, took, status_object: false };
//!     judge.observe(master, &answer, now);
//! }
//! // Workers left the time of the last byte; pass it on before `tick` and before silence.
//! judge.heard(master, now, now);
//! judge.tick(now);
//! for event in judge.take_events() {
//!     match event {
//!         Event::Changed { report, .. } => println!("{}: {}", report.verdict.name(), report.reason),
//!         Event::Reset { .. } => { /* a `Pacer` over the endpoint's sessions */ }
//!         Event::StopReset { .. } | Event::Correlated(_) | Event::Panic(_) => {}
//!     }
//! }
//! // Ask again: evidence moves the next probe forward.
//! let (probe, deadline) = (judge.next_probe(master), judge.next_deadline());
//! # assert!(probe.is_some() && deadline.is_none());
//! ```

mod answers;
mod brakes;
mod conduct;
mod evidence;
mod history;
mod judge;
mod member;
mod pace;
mod reason;
mod report;
mod schedule;
mod settings;
mod silence;
mod standing;
mod status;
#[cfg(test)]
mod tests;
mod unasked;

pub use evidence::{
    Check, DialFault, Evidence, ExchangeFault, HandshakeFacts, TlsFault, VoidCause,
};
pub use history::{Entry, History, Outcome};
pub use judge::{Availability, Judge, Key};
pub use pace::{Pace, Pacer};
pub use reason::Reason;
pub use report::{Event, Onward, Report};
pub use schedule::{Next, Way};
pub use settings::{PassiveLimit, Settings};
pub use status::{HEALTH_UNKNOWN, NO_ANSWER, NO_GRPC, NOT_SERVING, OTHER_BODY, of_grpc};
pub use unasked::{SUSPECT_FOR, Unasked};

/// What is held of an endpoint. Never mixed with what the operator wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// Not probed yet: usable, after those that are `up`.
    Unknown = 0,
    /// Takes traffic.
    Up = 1,
    /// Takes no new sessions.
    Dead = 2,
    /// Something speaks against it, a fresh probe is under way: takes new sessions only while
    /// nobody better can.
    Suspect = 3,
    /// Alive, but should get no new sessions: ending, starting, sick or slow. Standing ones go on.
    Draining = 4,
    /// Its name does not resolve; the addresses known last go on being used and probed.
    Unresolved = 5,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 6] =
        [Self::Unknown, Self::Up, Self::Dead, Self::Suspect, Self::Draining, Self::Unresolved];

    /// The verdict as logs and status name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Dead => "dead",
            Self::Suspect => "suspect",
            Self::Draining => "draining",
            Self::Unresolved => "unresolved",
        }
    }

    /// The verdict behind the number that `as u8` gave.
    #[must_use]
    pub fn from_u8(number: u8) -> Self {
        Self::ALL.into_iter().find(|verdict| *verdict as u8 == number).unwrap_or(Self::Unknown)
    }

    /// How bad it is: more bad evidence never makes this smaller.
    #[must_use]
    pub fn badness(self) -> u8 {
        match self {
            Self::Up => 0,
            Self::Unknown => 1,
            Self::Unresolved => 2,
            Self::Suspect => 3,
            Self::Draining => 4,
            Self::Dead => 5,
        }
    }
}

/// Whether an endpoint takes new sessions: those of the best tier that is not empty do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tier {
    /// Takes new sessions.
    Up = 0,
    /// Takes them while nobody is known to be better: not probed yet.
    Unprobed = 1,
    /// Only while nobody better can: suspect.
    Suspect = 2,
    /// Only when failing open: slow, not ready, sick.
    Draining = 3,
    /// The very last: all seem to have fallen together, so this host or its network is suspected.
    LastResort = 4,
    /// Never.
    Closed = 5,
}

impl Tier {
    /// Every tier that can take a session, the best first.
    pub const USABLE: [Self; 5] =
        [Self::Up, Self::Unprobed, Self::Suspect, Self::Draining, Self::LastResort];

    /// The tier behind the number that `as u8` gave.
    #[must_use]
    pub fn from_u8(number: u8) -> Self {
        Self::USABLE.into_iter().find(|tier| *tier as u8 == number).unwrap_or(Self::Closed)
    }
}
