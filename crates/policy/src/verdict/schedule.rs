//! When and how an endpoint is probed next.

use super::Settings;
use crate::time::Time;
use fastrand::Rng;

/// How a probe reaches the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// Over the connection that is kept, where there is one; else over a fresh one.
    Kept,
    /// Over a fresh connection, handshake and all.
    Fresh,
}

/// The next probe of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// When it is due.
    pub at: Time,
    /// How.
    pub way: Way,
}

#[derive(Clone, Debug)]
pub(super) struct Schedule {
    next_at: Time,
    last_start: Time,
    fresh_wanted: bool,
    /// Probes over the kept connection since the last fresh one.
    kept: u32,
    /// A fresh dial is under way: nobody needs another.
    dialling: bool,
}

impl Schedule {
    /// The first probe is due at once and fresh.
    pub(super) fn new(now: Time) -> Self {
        Self { next_at: now, last_start: now, fresh_wanted: true, kept: 0, dialling: false }
    }

    pub(super) fn next(&self, changing: bool, settings: &Settings) -> Next {
        let fifth = self.kept + 1 >= settings.fresh_every;
        let way = if self.fresh_wanted || changing || fifth { Way::Fresh } else { Way::Kept };
        // One dial at a time: two that overlap would lose their SYNs to one and the same burst.
        let dial_ends = self.last_start + settings.hello_within + settings.timer_slack;
        let at = if self.dialling { self.next_at.max(dial_ends) } else { self.next_at };
        Next { at, way }
    }

    /// A probe has begun.
    pub(super) fn started(
        &mut self,
        now: Time,
        way: Way,
        changing: bool,
        settings: &Settings,
        rng: &mut Rng,
    ) {
        let interval = if changing { settings.fast_interval } else { settings.interval };
        // Never longer: the bounds on the time to a verdict count on the interval.
        let jitter = 1.0 - rng.f64() * f64::from(settings.jitter_percent) / 100.0;
        self.next_at = now + interval.mul_f64(jitter);
        self.last_start = now;
        self.dialling = way == Way::Fresh;
        if self.dialling {
            self.kept = 0;
            self.fresh_wanted = false;
        } else {
            self.kept += 1;
        }
    }

    /// The fresh dial under way has an outcome.
    pub(super) fn dialled(&mut self) {
        self.dialling = false;
    }

    /// The next probe is a fresh one.
    pub(super) fn want_fresh(&mut self) {
        self.fresh_wanted = true;
    }

    /// A fresh probe is due at once, unless one is under way.
    pub(super) fn hurry(&mut self, now: Time) {
        if !self.dialling {
            self.fresh_wanted = true;
            self.next_at = self.next_at.min(now);
        }
    }

    /// A fresh probe is due soon, unless one is under way: no sooner than the fast interval after the
    /// last, for this asks again with every session that is slow.
    pub(super) fn glance(&mut self, settings: &Settings) {
        if !self.dialling {
            self.fresh_wanted = true;
            self.hasten(settings);
        }
    }

    /// Whether the last probe went over the kept connection.
    pub(super) fn last_was_kept(&self) -> bool {
        self.kept > 0
    }

    /// Whether the next fresh probe follows a failure or a doubt, not the steady round.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.fresh_wanted
    }

    /// Another endpoint is dialled in doubt: this one is asked soon, as a witness.
    pub(super) fn bear_witness(&mut self, now: Time, settings: &Settings) {
        let soon = now + settings.witness_after + settings.witness_after / 2;
        let at = soon.max(self.last_start + settings.fast_interval);
        self.next_at = self.next_at.min(at);
    }

    /// The next probe starts no later than the fast interval after the last.
    pub(super) fn hasten(&mut self, settings: &Settings) {
        self.next_at = self.next_at.min(self.last_start + settings.fast_interval);
    }
}
