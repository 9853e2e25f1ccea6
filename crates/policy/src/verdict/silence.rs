//! Silence: the one kind of evidence that leads to resets, so it must be beyond doubt.
//!
//! A lost SYN costs a second of retransmission: that is why it takes several fresh connections in
//! a row without a ServerHello, and why one byte from the endpoint, on any session or probe since
//! the first of them began, refutes them all.

use crate::time::Time;

/// What is remembered of an endpoint's silence.
#[derive(Clone, Debug, Default)]
pub(super) struct Silence {
    /// Unanswered fresh connections in a row.
    run: u32,
    /// When the first of the run sent its SYN.
    begun: Time,
    last_byte: Option<Time>,
    /// When the last hello came that was in time.
    last_hello: Option<Time>,
    /// Hellos missed in a row while bytes came: slow, not silent.
    tardy: u32,
}

impl Silence {
    /// A byte came at `at`, from any session or probe.
    pub(super) fn byte(&mut self, at: Time) {
        self.last_byte = self.last_byte.max(Some(at));
        if at >= self.begun {
            self.run = 0;
        }
    }

    /// A hello came in time.
    pub(super) fn hello(&mut self, at: Time) {
        self.byte(at);
        self.last_hello = Some(at);
        self.run = 0;
        self.tardy = 0;
    }

    /// A hello came late; returns how many in a row did not come in time.
    pub(super) fn tardy_hello(&mut self, at: Time) -> u32 {
        self.byte(at);
        self.tardy += 1;
        self.tardy
    }

    /// A packet came that is no byte: a refusal.
    pub(super) fn interrupt(&mut self) {
        self.run = 0;
    }

    /// A fresh connection whose SYN was sent at `since` got no hello in time.
    pub(super) fn missed(&mut self, since: Time) -> Missed {
        if self.heard_since(since) {
            self.tardy += 1;
            return Missed::Vetoed(self.tardy);
        }
        if self.run == 0 {
            self.begun = since;
        }
        self.run += 1;
        Missed::InARow(self.run)
    }

    /// Whether a byte came at `since` or later.
    pub(super) fn heard_since(&self, since: Time) -> bool {
        self.last_byte.is_some_and(|at| at >= since)
    }

    /// Whether a hello came in time at `since` or later.
    pub(super) fn greeted_since(&self, since: Time) -> bool {
        self.last_hello.is_some_and(|at| at >= since)
    }

    /// When the run of silence began.
    pub(super) fn begun(&self) -> Time {
        self.begun
    }
}

/// What a missing hello means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// So many in a row now, and no byte since the first.
    InARow(u32),
    /// Bytes came meanwhile: so many hellos in a row that were merely late.
    Vetoed(u32),
}
