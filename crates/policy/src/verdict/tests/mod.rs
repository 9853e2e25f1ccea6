//! Tests of the verdict engine: the table of evidence and consequence, the brakes, the schedule,
//! and what must hold for any evidence.

mod braking;
mod conduct;
mod probing;
mod properties;
mod table;

use super::*;
use crate::time::Time;
use std::time::Duration;

/// A judge over a few endpoints with a clock that is moved by hand.
struct Court {
    judge: Judge,
    now: Time,
}

const A: Key = Key(1);
const B: Key = Key(2);
const C: Key = Key(3);

impl Court {
    /// `A`, `B`, `C`, not probed yet.
    fn new(settings: Settings) -> Self {
        let mut judge = Judge::new(settings, 1);
        for key in [A, B, C] {
            judge.add(key, Time::START);
            judge.started(key, Way::Fresh, Time::START);
        }
        Self { judge, now: Time::START }
    }

    /// The preset for masters, all up.
    fn masters() -> Self {
        let mut court = Self::new(Settings::apiserver());
        court.round(&[A, B, C]);
        court.pass(1000);
        court.judge.take_events();
        court
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now = self.now + Duration::from_millis(milliseconds);
        self.judge.tick(self.now);
    }

    fn see(&mut self, key: Key, evidence: Evidence) {
        self.judge.observe(key, &evidence, self.now);
    }

    fn hello(&mut self, key: Key) {
        self.see(key, Evidence::Hello { took: Duration::from_millis(5) });
        self.see(key, Evidence::Handshake(HandshakeFacts::default()));
    }

    fn answer(&mut self, key: Key, check: Check, status: u16) {
        // Asked at this very moment: after whatever was seen before.
        let took = Duration::ZERO;
        self.see(key, Evidence::Answer { check, status, took, status_object: true });
    }

    fn good(&mut self, key: Key) {
        self.hello(key);
        self.answer(key, Check::Ready, 200);
        self.answer(key, Check::Live, 200);
    }

    fn round(&mut self, keys: &[Key]) {
        for key in keys {
            self.good(*key);
        }
    }

    /// A fresh dial that began 0.7 s ago and is not answered; the others are well meanwhile.
    fn silent(&mut self, key: Key) {
        let since = self.now;
        self.pass(350);
        let others: Vec<_> = [A, B, C].into_iter().filter(|other| *other != key).collect();
        for other in others {
            self.see(other, Evidence::Byte);
        }
        self.pass(350);
        self.see(key, Evidence::Silent { since, timer_late: Duration::ZERO });
    }

    /// The same for several at once, and nobody else is heard.
    fn all_silent(&mut self, keys: &[Key]) {
        let since = self.now;
        self.pass(700);
        for key in keys {
            self.see(*key, Evidence::Silent { since, timer_late: Duration::ZERO });
        }
    }

    /// Falls silent while the others are well, until it is found dead or should be.
    fn freeze(&mut self, key: Key) {
        for _ in 0..3 {
            self.silent(key);
        }
    }

    /// The same for several at once, and nobody else is heard.
    fn freeze_all(&mut self, keys: &[Key]) {
        for _ in 0..3 {
            self.all_silent(keys);
        }
    }

    fn report(&self, key: Key) -> Report {
        self.judge.report(key).unwrap()
    }

    fn verdict(&self, key: Key) -> (Verdict, &'static str) {
        let report = self.report(key);
        (report.verdict, report.reason.word())
    }

    fn resets(&mut self) -> Vec<Key> {
        let reset = |event| match event {
            Event::Reset { key, .. } => Some(key),
            _ => None,
        };
        self.judge.take_events().into_iter().filter_map(reset).collect()
    }
}
