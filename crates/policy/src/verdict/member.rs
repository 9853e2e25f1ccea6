//! One endpoint: takes evidence in, says what it finds. It knows nothing of the others; whether a
//! finding is believed is up to the brakes.

use super::answers::{Answers, Rules};
use super::conduct::Conduct;
use super::history::{History, Outcome};
use super::report::{Onward, Report};
use super::schedule::Schedule;
use super::silence::{Missed, Silence};
use super::{Check, Evidence, HandshakeFacts, Key, Reason, Settings, Tier, Verdict, VoidCause};
use crate::time::Time;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) key: Key,
    /// Removed from the pool, but sessions still stand on it: it goes on being probed.
    pub(super) retired: bool,
    /// Whether the operator lets it take new sessions; only counts for "is anybody left".
    pub(super) in_rotation: bool,
    pub(super) state: State,
    /// It was up since it last fell for good.
    pub(super) stood: bool,
    pub(super) silence: Silence,
    pub(super) schedule: Schedule,
    pub(super) history: History,
    pub(super) facts: Option<HandshakeFacts>,
    pub(super) reset: Reset,
    pub(super) published: Report,
    pub(super) answers: Answers,
    conduct: Conduct,
    pub(super) resolved: bool,
    refusals: u32,
    tls_failures: u32,
    /// Good results in a row, per check.
    good: [u32; 3],
    /// When the newest question that was answered was sent, per check.
    asked: [Time; 3],
    /// When something was last not good.
    bad_at: Time,
    /// A fresh connection was set up in time since the last failure.
    fresh_good: bool,
    /// The last hello came in time.
    prompt: bool,
    pub(super) risen: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Unprobed,
    Up,
    Suspect(Reason),
    Fallen(Fall),
}

/// An endpoint out of rotation, or one that would be if the brakes did not hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fall {
    pub(super) reason: Reason,
    pub(super) at: Time,
    /// It stood before: only then its fall can be one of several with one cause.
    pub(super) stood: bool,
    pub(super) hold: Option<Hold>,
}

/// The brake of correlation holds an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) since: Time,
    /// It was draining for this before; it goes back to that.
    pub(super) before: Option<Reason>,
    /// The worst verdict shown while held.
    pub(super) floor: Verdict,
    pub(super) expired: bool,
}

/// Where the resets of an endpoint's sessions stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    None,
    From(Time),
    /// Ordered; since when they were due.
    Ordered(Time),
}

/// What evidence amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Nothing,
    /// Good enough to be `up`.
    Rise,
    Suspect(Reason),
    /// Should leave the rotation; `alive`: the same evidence proves that it lives.
    Fall {
        reason: Reason,
        alive: bool,
    },
}

impl Member {
    pub(super) fn new(key: Key, now: Time) -> Self {
        Self {
            key,
            retired: false,
            in_rotation: true,
            state: State::Unprobed,
            stood: false,
            silence: Silence::default(),
            schedule: Schedule::new(now),
            history: History::default(),
            facts: None,
            reset: Reset::None,
            published: Report {
                verdict: Verdict::Unknown,
                reason: Reason::NotProbed,
                since: now,
                blind: false,
                correlated: false,
                tier: Tier::Unprobed,
                onward: Onward::GoOn,
                risen: None,
            },
            answers: Answers::default(),
            conduct: Conduct::default(),
            resolved: true,
            refusals: 0,
            tls_failures: 0,
            good: [0; 3],
            asked: [Time::START; 3],
            bad_at: Time::START,
            fresh_good: false,
            prompt: false,
            risen: None,
        }
    }

    /// Takes in evidence.
    pub(super) fn take(&mut self, evidence: &Evidence, now: Time, settings: &Settings) -> Finding {
        if let Some(cause) = void_cause(evidence, settings) {
            self.void(cause, now);
            return Finding::Nothing;
        }
        match *evidence {
            Evidence::Connected { took } => {
                self.schedule.dialled();
                let slow = self.hello(took, now, settings);
                self.set_up();
                slow.unwrap_or_else(|| self.good(Check::Connect, now, settings))
            }
            Evidence::Hello { took } => {
                // It was reached: what is silent after this is found by another dial.
                self.schedule.dialled();
                self.hello(took, now, settings).unwrap_or(Finding::Nothing)
            }
            Evidence::Handshake(facts) => {
                self.schedule.dialled();
                self.silence.byte(now);
                self.facts = Some(facts);
                self.set_up();
                self.good(Check::Connect, now, settings)
            }
            Evidence::Refused => self.refused(Reason::Refused, now, settings),
            Evidence::Reset => self.refused(Reason::Reset, now, settings),
            Evidence::TlsFailed(fault) => {
                self.schedule.dialled();
                self.silence.byte(now);
                self.tls_failures += 1;
                self.confirmed(Reason::Tls(fault), self.tls_failures, now, settings)
            }
            Evidence::Silent { since, .. } => self.silent(since, now, settings),
            Evidence::Answer { check, status, took, status_object } => {
                self.silence.byte(now);
                if asked_at(took, now) < self.asked[check as usize] {
                    // A later question was answered before: this one is history.
                    return Finding::Nothing;
                }
                let good = self.answers.take(check, status, status_object, self.rules(settings));
                self.answered(check, status, good, took, now, settings)
            }
            Evidence::Late { since, .. } => {
                self.bad(Outcome::Bad(Reason::Slow), now);
                self.late(since, false)
            }
            Evidence::DialFailed(_) | Evidence::Unanswered { .. } | Evidence::EndedEarly { .. } => {
                self.schedule.hurry(now);
                self.met_by_traffic(evidence)
            }
            Evidence::Exchange(fault) => {
                self.schedule.hurry(now);
                self.conduct.failed(now);
                Finding::Suspect(Reason::Exchange(fault))
            }
            _ => {
                self.noted(evidence, now, settings);
                Finding::Nothing
            }
        }
    }

    /// What finds nothing by itself: a sign of life, or a reason to ask sooner.
    fn noted(&mut self, evidence: &Evidence, now: Time, settings: &Settings) {
        match *evidence {
            Evidence::Byte => self.silence.byte(now),
            Evidence::Served => self.conduct.served(),
            // Over a fresh connection its hello came a moment ago: it lives, and is slow to
            // answer. To ask it again at once would be a load on one that is sick.
            Evidence::Overdue { .. } if self.schedule.last_was_kept() => self.schedule.hurry(now),
            Evidence::KeptEnded => {
                self.silence.restart();
                self.schedule.hurry(now);
            }
            Evidence::Slow { since } if !self.silence.heard_since(since) => {
                self.schedule.glance(settings);
            }
            Evidence::Unresolved => self.resolved = false,
            Evidence::Resolved => self.resolved = true,
            Evidence::Void(cause) => self.void(cause, now),
            _ => {}
        }
    }

    /// What sessions met: a suspicion at most.
    fn met_by_traffic(&self, evidence: &Evidence) -> Finding {
        match *evidence {
            Evidence::DialFailed(fault) => Finding::Suspect(Reason::DialFailed(fault)),
            // Not `asked`: the session may have been replayed and this half of it given up, so
            // that its answer would never be seen.
            Evidence::Unanswered { since } if !self.silence.heard_since(since) => {
                Finding::Suspect(Reason::Unanswered)
            }
            Evidence::EndedEarly { answered: false } => Finding::Suspect(Reason::EndedEarly),
            _ => Finding::Nothing,
        }
    }

    /// Our own trouble is no evidence: the state is held. After a standstill the row of silence
    /// starts anew, for nobody knows what came meanwhile.
    fn void(&mut self, cause: VoidCause, now: Time) {
        self.schedule.dialled();
        self.schedule.want_fresh();
        self.history.push(now, Outcome::Void(cause));
        if cause == VoidCause::Stalled {
            self.silence.interrupt();
        }
    }

    /// A hello; where it makes the endpoint slow, that finding.
    fn hello(&mut self, took: Duration, now: Time, settings: &Settings) -> Option<Finding> {
        let sent = Time::after_start(now.since_start().saturating_sub(took));
        self.refusals = 0;
        if took > settings.hello_within && self.silence.greeted_since(sent) {
            // An old dial that was repeated late; a younger one was answered in time.
            self.silence.byte(now);
            return None;
        }
        self.prompt = took <= settings.hello_within;
        if self.prompt {
            self.silence.hello(now);
            return None;
        }
        let tardy = self.silence.tardy_hello(now);
        self.bad(Outcome::Bad(Reason::Slow), now);
        (tardy >= settings.confirm).then_some(Finding::Fall { reason: Reason::Slow, alive: true })
    }

    /// A fresh connection was set up.
    fn set_up(&mut self) {
        self.refusals = 0;
        self.tls_failures = 0;
        self.fresh_good = self.prompt;
    }

    fn refused(&mut self, reason: Reason, now: Time, settings: &Settings) -> Finding {
        self.schedule.dialled();
        self.silence.restart();
        self.refusals += 1;
        self.confirmed(reason, self.refusals, now, settings)
    }

    /// A failure that must be seen `confirm` times, at once; the first verdict takes one, and so
    /// does another reason for an endpoint that is dead.
    fn confirmed(&mut self, reason: Reason, seen: u32, now: Time, settings: &Settings) -> Finding {
        self.bad(Outcome::Bad(reason), now);
        if seen >= settings.confirm || self.is_dead() || self.state == State::Unprobed {
            return Finding::Fall { reason, alive: false };
        }
        self.schedule.hurry(now);
        Finding::Suspect(reason)
    }

    fn silent(&mut self, since: Time, now: Time, settings: &Settings) -> Finding {
        self.schedule.dialled();
        match self.silence.missed(since) {
            Missed::InARow(_) => {
                self.bad(Outcome::Bad(Reason::Silent), now);
                if self.silent_at(settings).is_some_and(|at| now >= at) {
                    return Finding::Fall { reason: Reason::Silent, alive: false };
                }
                self.schedule.hurry(now);
                Finding::Suspect(Reason::Silent)
            }
            Missed::Vetoed(count) => {
                self.bad(Outcome::Vetoed, now);
                if count >= settings.confirm {
                    return Finding::Fall { reason: Reason::Slow, alive: false };
                }
                self.schedule.hurry(now);
                Finding::Suspect(Reason::Slow)
            }
        }
    }

    /// When it counts as silent, if nothing is heard until then: enough dials have failed, and only
    /// the time is missing. One that is known to be slow gets a dial more: its hellos may take
    /// longer than two.
    pub(super) fn silent_at(&self, settings: &Settings) -> Option<Time> {
        let slow = matches!(self.state, State::Fallen(fall) if fall.reason == Reason::Slow);
        let enough = self.silence.run() >= settings.confirm + u32::from(slow);
        self.silence.quiet_since().filter(|_| enough).map(|since| since + settings.silent_for)
    }

    /// Whether it was found silent.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.state, State::Fallen(fall) if fall.reason == Reason::Silent)
    }

    fn rules(&self, settings: &Settings) -> Rules {
        Rules {
            fall: settings.fall,
            first_5xx_counts: settings.first_5xx_counts,
            first: self.state == State::Unprobed,
        }
    }

    fn answered(
        &mut self,
        check: Check,
        status: u16,
        good: bool,
        took: Duration,
        now: Time,
        settings: &Settings,
    ) -> Finding {
        let asked = asked_at(took, now);
        self.asked[check as usize] = asked;
        if let Some(reason) = self.answers.against() {
            if !good {
                self.bad(Outcome::Bad(reason), now);
                return Finding::Fall { reason, alive: true };
            }
            // A good answer to one question does not undo what it counts for, nor does what the
            // other one was answered earlier take an endpoint out anew.
            self.count_good(check, now);
            let fallen = matches!(self.state, State::Fallen(_));
            return if fallen { Finding::Fall { reason, alive: true } } else { Finding::Nothing };
        }
        if !good {
            self.bad(Outcome::Bad(Reason::NotReady(status)), now);
            return Finding::Nothing;
        }
        if took > settings.late_after {
            self.bad(Outcome::Bad(Reason::Slow), now);
            return self.late(asked, true);
        }
        if asked < self.bad_at {
            // What was asked before the last trouble says nothing of now: answers that were held up
            // together are no row of good ones.
            return Finding::Nothing;
        }
        self.good(check, now, settings)
    }

    /// A request of `since` is late: slow, if a fresh hello was in time meanwhile; else the dials
    /// beside it decide (silence, or hellos that are late themselves).
    fn late(&self, since: Time, alive: bool) -> Finding {
        if self.silence.greeted_since(since) {
            return Finding::Fall { reason: Reason::Slow, alive };
        }
        Finding::Nothing
    }

    /// One check is good.
    fn good(&mut self, check: Check, now: Time, settings: &Settings) -> Finding {
        self.count_good(check, now);
        let needed = if self.is_out() { settings.rise } else { 1 };
        let enough = |check: &Check| self.good[*check as usize] >= needed;
        let all = self.fresh_good && settings.checks.iter().all(enough);
        if all && !self.is_out_for_conduct(now) { Finding::Rise } else { Finding::Nothing }
    }

    /// Suspect for what exchanges met, so that no probe clears it yet.
    fn is_out_for_conduct(&self, now: Time) -> bool {
        let passive = matches!(self.state, State::Suspect(reason) if reason.is_passive());
        passive && self.conduct.is_out(now)
    }

    fn count_good(&mut self, check: Check, now: Time) {
        self.history.push(now, Outcome::Good);
        let count = &mut self.good[check as usize];
        *count = count.saturating_add(1);
    }

    /// Something is not good: what was good in a row before no longer counts.
    fn bad(&mut self, outcome: Outcome, now: Time) {
        self.history.push(now, outcome);
        self.bad_at = now;
        self.start_over();
        self.schedule.want_fresh();
    }

    fn start_over(&mut self) {
        self.good = [0; 3];
        self.fresh_good = false;
    }

    /// Comes up.
    pub(super) fn rise(&mut self, now: Time) {
        if self.conduct.returns() || self.is_out() || self.state == State::Unprobed {
            self.risen = Some(now);
        }
        self.state = State::Up;
        self.stood = true;
        self.start_over();
    }

    /// Forgets what was counted against it: a fresh probe decides.
    pub(super) fn recheck(&mut self, now: Time) {
        self.silence.interrupt();
        self.refusals = 0;
        self.tls_failures = 0;
        self.start_over();
        self.schedule.hurry(now);
    }

    /// Whether answers by status speak against it.
    pub(super) fn has_bad_status(&self) -> bool {
        self.answers.against().is_some()
    }

    /// Out of rotation, and no brake holds it.
    pub(super) fn is_out(&self) -> bool {
        matches!(self.state, State::Fallen(Fall { hold, .. })
            if hold.is_none_or(|hold| hold.expired))
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, State::Fallen(fall) if fall.reason.is_deadly())
    }

    /// A member of the pool that could take sessions if it were well.
    pub(super) fn counts(&self) -> bool {
        self.in_rotation && !self.retired
    }

    /// Whether its verdict is about to change.
    pub(super) fn is_changing(&self) -> bool {
        match self.state {
            State::Unprobed | State::Suspect(_) => true,
            State::Up => self.answers.is_wavering(),
            State::Fallen(fall) => {
                fall.hold.is_some() || self.fresh_good || self.good.iter().any(|n| *n > 0)
            }
        }
    }

    /// On its way up: the last thing seen of it was good, and no answer that took it out stands.
    pub(super) fn is_returning(&self) -> bool {
        !self.has_bad_status() && self.fresh_good && self.good.iter().any(|n| *n > 0)
    }
}

/// When the question was sent that was answered just now.
fn asked_at(took: Duration, now: Time) -> Time {
    Time::after_start(now.since_start().saturating_sub(took))
}

/// Why evidence is void, where it is.
fn void_cause(evidence: &Evidence, settings: &Settings) -> Option<VoidCause> {
    match *evidence {
        Evidence::Silent { timer_late, .. }
        | Evidence::Overdue { timer_late, .. }
        | Evidence::Late { timer_late, .. } => {
            (timer_late > settings.timer_slack).then_some(VoidCause::Stalled)
        }
        _ => None,
    }
}
