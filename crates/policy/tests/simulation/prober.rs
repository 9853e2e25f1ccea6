//! The probe thread: asks when the judge says so, reports what it saw.

use crate::fault::Fault;
use crate::mutant::Mutant;
use crate::world::{Happening, World, key};
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{Check, Evidence, HandshakeFacts, TlsFault, VoidCause, Way};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeEvent {
    Due(usize),
    Refused(usize),
    Hello(usize),
    /// Timer: no hello so far.
    Silent(usize),
    Answer(usize, Check),
    /// Timer: no answer so far.
    Overdue(usize),
    /// Timer: no answer for long.
    Late(usize, Check),
}

/// One probe under way; events name it by its number.
struct Probe {
    endpoint: usize,
    started: Time,
    /// Waits for its hello.
    dialling: bool,
    /// It was under way while this process did not run.
    tainted: bool,
    over: bool,
    asked: Time,
    answered: [bool; 3],
}

pub struct Prober {
    probes: Vec<Probe>,
    /// When each endpoint's next probe is armed for.
    armed: Vec<Option<Time>>,
}

impl Prober {
    pub fn new(endpoints: usize) -> Self {
        Self { probes: Vec::new(), armed: vec![None; endpoints] }
    }
}

impl World {
    /// Wakes the prober in time for the endpoint's next probe.
    pub fn arm(&mut self, endpoint: usize) {
        let Some(next) = self.judge.next_probe(key(endpoint)) else { return };
        let at = next.at.max(self.now);
        if self.prober.armed[endpoint].is_none_or(|armed| at < armed || armed < self.now) {
            self.prober.armed[endpoint] = Some(at);
            self.at(at, Happening::Probe(ProbeEvent::Due(endpoint)));
        }
    }

    pub fn probe_event(&mut self, event: ProbeEvent) {
        match event {
            ProbeEvent::Due(endpoint) => self.probe_due(endpoint),
            ProbeEvent::Refused(id) if self.is_dialling(id) => {
                self.prober.probes[id].over = true;
                self.observe(self.prober.probes[id].endpoint, &Evidence::Refused);
            }
            ProbeEvent::Hello(id) => self.probe_hello(id),
            ProbeEvent::Silent(id) if self.is_dialling(id) => self.probe_silent(id),
            ProbeEvent::Answer(id, check) => self.probe_answer(id, check),
            ProbeEvent::Overdue(id) => {
                let probe = &self.prober.probes[id];
                let answered = probe.answered[1] && probe.answered[2];
                if !probe.over && !answered {
                    let (since, timer_late) = (probe.asked, self.late);
                    self.observe(probe.endpoint, &Evidence::Overdue { since, timer_late });
                }
            }
            ProbeEvent::Late(id, check) => {
                let probe = &self.prober.probes[id];
                if !probe.over && !probe.answered[check as usize] {
                    let (since, timer_late) = (probe.asked, self.late);
                    self.observe(probe.endpoint, &Evidence::Late { check, since, timer_late });
                }
            }
            ProbeEvent::Refused(_) | ProbeEvent::Silent(_) => {}
        }
    }

    fn is_dialling(&self, id: usize) -> bool {
        self.prober.probes[id].dialling && !self.prober.probes[id].over
    }

    fn probe_due(&mut self, endpoint: usize) {
        self.prober.armed[endpoint] = None;
        let next = self.judge.next_probe(key(endpoint)).expect("every endpoint is judged");
        if next.at > self.now {
            return self.arm(endpoint);
        }
        self.statistics.probes += 1;
        self.judge.started(key(endpoint), next.way, self.now);
        let kept = next.way == Way::Kept;
        let probe = Probe {
            endpoint,
            started: self.now,
            dialling: !kept,
            tainted: false,
            over: false,
            asked: self.now,
            answered: [false; 3],
        };
        self.prober.probes.push(probe);
        let id = self.prober.probes.len() - 1;
        if kept {
            self.ask(id)
        } else {
            self.dial_probe(id, endpoint)
        }
        self.arm(endpoint);
    }

    fn dial_probe(&mut self, id: usize, endpoint: usize) {
        let common = |fault| self.timeline.has(endpoint, self.now, |f| f == fault);
        let cause = if common(Fault::NoRoute) {
            Some(VoidCause::NoRoute)
        } else if common(Fault::Exhausted) {
            Some(VoidCause::Exhausted)
        } else {
            None
        };
        if let Some(cause) = cause {
            self.prober.probes[id].over = true;
            return self.observe(endpoint, &Evidence::Void(cause));
        }
        if let Some(arrived) = self.arrives(endpoint, self.now) {
            let closed = |fault| matches!(fault, Fault::Killed | Fault::Closed);
            if self.timeline.has(endpoint, arrived, closed) {
                self.at(arrived, Happening::Probe(ProbeEvent::Refused(id)));
            } else {
                let hello = self.answers(endpoint, arrived);
                self.at(hello, Happening::Probe(ProbeEvent::Hello(id)));
            }
        }
        let silent = self.now + self.judge.settings().hello_within;
        self.at(silent, Happening::Probe(ProbeEvent::Silent(id)));
    }

    fn probe_hello(&mut self, id: usize) {
        let Probe { endpoint, started, dialling, tainted, .. } = self.prober.probes[id];
        if self.timeline.has(endpoint, self.now, |f| matches!(f, Fault::Killed)) {
            return;
        }
        self.byte_from(endpoint);
        if tainted {
            // The time that it took is ours.
            if !std::mem::replace(&mut self.prober.probes[id].over, true) {
                self.observe(endpoint, &Evidence::Void(VoidCause::Stalled));
            }
            return;
        }
        self.observe(endpoint, &Evidence::Hello { took: self.now.since(started) });
        if !dialling || self.prober.probes[id].over {
            return;
        }
        self.prober.probes[id].dialling = false;
        if self.timeline.has(endpoint, self.now, |f| f == Fault::BadTls) {
            self.prober.probes[id].over = true;
            return self.observe(endpoint, &Evidence::TlsFailed(TlsFault::Protocol));
        }
        self.observe(endpoint, &Evidence::Handshake(HandshakeFacts::default()));
        self.ask(id);
    }

    fn probe_silent(&mut self, id: usize) {
        let Probe { endpoint, started, .. } = self.prober.probes[id];
        // It is left open for its hello, but the next one takes over.
        self.prober.probes[id].over = true;
        let evidence = Evidence::Silent { since: started, timer_late: self.late };
        self.observe(endpoint, &evidence);
    }

    /// Sends both requests.
    fn ask(&mut self, id: usize) {
        let endpoint = self.prober.probes[id].endpoint;
        self.prober.probes[id].asked = self.now;
        let gone = |fault| matches!(fault, Fault::Killed | Fault::Closed);
        if self.timeline.has(endpoint, self.now, gone) {
            self.prober.probes[id].over = true;
            return self.observe(endpoint, &Evidence::KeptEnded);
        }
        let settings = self.judge.settings();
        let (overdue, late) = (self.now + settings.overdue_after, self.now + settings.late_after);
        let sick = |fault| matches!(fault, Fault::Sick | Fault::EtcdStall);
        for check in [Check::Ready, Check::Live] {
            if let Some(arrived) = self.arrives(endpoint, self.now) {
                let mut answer = self.answers(endpoint, arrived);
                if self.timeline.has(endpoint, answer, sick) {
                    answer = answer + Duration::from_secs(2);
                }
                self.at(answer, Happening::Probe(ProbeEvent::Answer(id, check)));
            }
            self.at(late, Happening::Probe(ProbeEvent::Late(id, check)));
        }
        self.at(overdue, Happening::Probe(ProbeEvent::Overdue(id)));
    }

    fn probe_answer(&mut self, id: usize, check: Check) {
        let Probe { endpoint, asked, over, .. } = self.prober.probes[id];
        if self.timeline.has(endpoint, self.now, |fault| fault == Fault::Killed) {
            if !std::mem::replace(&mut self.prober.probes[id].over, true) {
                self.observe(endpoint, &Evidence::KeptEnded);
            }
            return;
        }
        self.byte_from(endpoint);
        if over {
            return;
        }
        self.prober.probes[id].answered[check as usize] = true;
        let bad = |fault| match fault {
            Fault::Sick | Fault::EtcdStall => true,
            Fault::NotReady | Fault::Closed => check == Check::Ready,
            _ => false,
        };
        let status = if self.timeline.has(endpoint, self.now, bad) { 500 } else { 200 };
        let took = self.now.since(asked);
        self.observe(endpoint, &Evidence::Answer { check, status, took, status_object: false });
    }

    /// The process did not run: what is under way says nothing. (A real prober notices by its
    /// heartbeat.)
    pub fn after_standstill(&mut self) {
        for id in 0..self.prober.probes.len() {
            let probe = &mut self.prober.probes[id];
            if probe.over {
                probe.tainted = true;
                continue;
            }
            if probe.dialling {
                probe.tainted = true;
            } else if !(probe.answered[1] && probe.answered[2]) {
                probe.over = true;
                if self.mutant == Mutant::LateTimersCount {
                    let Probe { endpoint, asked: since, .. } = self.prober.probes[id];
                    let timer_late = self.late.max(Duration::from_millis(101));
                    self.observe(endpoint, &Evidence::Silent { since, timer_late });
                    continue;
                }
                self.observe(self.prober.probes[id].endpoint, &Evidence::Void(VoidCause::Stalled));
            }
        }
    }
}
