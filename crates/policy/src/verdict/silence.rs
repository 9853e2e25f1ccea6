//! Silence: the one kind of evidence that leads to resets, so it must be beyond doubt.
//!
//! A lost SYN costs a second of retransmission: that is why it takes several fresh connections in
//! a row without a ServerHello, and why one byte from the endpoint, on any session or probe since
//! the first of them began, refutes them all. And an endpoint whose every byte comes 1.5 s late must
//! have had the time to send one: so a least time without an answer belongs to it, too.

use crate::time::Time;
use std::time::Duration;

/// An endpoint is busy that was never quiet for this long...
const BUSY_GAP: Duration = Duration::from_millis(600);
/// ...for one to two of these.
const BUSY_WINDOW: Duration = Duration::from_secs(5);

/// What is remembered of an endpoint's silence.
#[derive(Clone, Debug, Default)]
pub(super) struct Silence {
    /// Unanswered fresh connections in a row.
    run: u32,
    /// The last so many of the run, in a row, had a witness.
    witnessed: u32,
    /// When the first of the run sent its SYN.
    begun: Time,
    /// When the first dial was sent of those that are still unanswered.
    asked: Option<Time>,
    last_byte: Option<Time>,
    /// When the last byte came on a session that has stood for a while.
    last_lasting: Option<Time>,
    /// The longest gap between such bytes in this and in the last window of time.
    gaps: [Duration; 2],
    window: Time,
    windows: u32,
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
            self.witnessed = 0;
        }
        self.asked = self.asked.filter(|asked| at < *asked);
    }

    /// A dial that was sent at `since` is not answered yet.
    fn asked(&mut self, since: Time) {
        if !self.heard_since(since) {
            self.asked = Some(self.asked.map_or(since, |asked| asked.min(since)));
        }
    }

    /// Since when everything that was asked has been unanswered. Of an endpoint whose lasting
    /// sessions were heard all the time something was asked all the time.
    pub(super) fn quiet_since(&self) -> Option<Time> {
        let busy = self.windows > 1 && self.gaps.iter().all(|gap| *gap < BUSY_GAP);
        // Of sessions that are gone since nothing is owed: they must have been heard to the last.
        let lasting = self.last_lasting.unwrap_or_default() + BUSY_GAP;
        let busy = busy && self.last_byte.is_some_and(|at| at < lasting);
        // Bytes that come late come after the usual gap, too.
        let usual = self.gaps[0].max(self.gaps[1]);
        let heard = self.last_lasting.max(self.last_byte).filter(|_| busy).map(|at| at + usual);
        self.asked.into_iter().chain(heard.filter(|_| self.run > 0)).min()
    }

    /// Unanswered fresh connections in a row.
    pub(super) fn run(&self) -> u32 {
        self.run
    }

    /// A byte came on a session that has stood for a while.
    pub(super) fn lasting_byte(&mut self, at: Time) {
        let gap = self.last_lasting.map_or(Duration::MAX, |last| at.since(last));
        if at.since(self.window) >= BUSY_WINDOW {
            self.gaps = [Duration::ZERO, self.gaps[0]];
            self.window = at;
            self.windows = self.windows.saturating_add(1);
        }
        self.gaps[0] = self.gaps[0].max(gap);
        self.last_lasting = self.last_lasting.max(Some(at));
    }

    /// A hello came in time.
    pub(super) fn hello(&mut self, at: Time) {
        self.byte(at);
        self.last_hello = Some(at);
        self.interrupt();
        self.tardy = 0;
    }

    /// A hello came late; returns how many in a row did not come in time.
    pub(super) fn tardy_hello(&mut self, at: Time) -> u32 {
        self.byte(at);
        self.tardy += 1;
        self.tardy
    }

    /// The row is broken: a packet came that is no byte (a refusal), or it must start anew.
    pub(super) fn interrupt(&mut self) {
        self.run = 0;
        self.witnessed = 0;
        self.asked = None;
    }

    /// A sign of its kernel that what stood there before is gone: nothing asked of it is owed.
    pub(super) fn restart(&mut self) {
        self.interrupt();
        self.windows = 0;
    }

    /// Whether another endpoint was heard while the dial missed last was under way. If nobody was,
    /// the row of witnessed ones starts anew: a host that hears nobody says nothing of anybody.
    pub(super) fn witness(&mut self, heard_another: bool) {
        self.witnessed = if heard_another && self.run > 0 { self.witnessed + 1 } else { 0 };
    }

    /// How many dials in a row were missed while others were heard.
    pub(super) fn witnessed(&self) -> u32 {
        self.witnessed
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
        self.asked(since);
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
