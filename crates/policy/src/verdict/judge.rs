//! The judge of one pool: evidence in, reports and events out.

use super::brakes;
use super::history::History;
use super::member::{Finding, Member, Reset, State};
use super::report::{Event, Report};
use super::schedule::{Next, Way};
use super::{Evidence, HandshakeFacts, Reason, Settings, Tier};
use crate::time::Time;
use fastrand::Rng;

/// A stable name of an endpoint: the same address of the same pool has the same key for as long
/// as the program runs. The caller gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

/// Whether a pool can take new sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Fine,
    /// All fail by status, slowness or together: it keeps sending to the least bad.
    Panic,
    /// Nobody can take a session: accept, then reset at once.
    Nobody,
}

/// Judges the endpoints of one pool.
///
/// One thread owns it (the probes' own); workers read the reports that it publishes. Call
/// [`Judge::tick`] at least at [`Judge::next_deadline`].
#[derive(Debug)]
pub struct Judge {
    settings: Settings,
    members: Vec<Member>,
    events: Vec<Event>,
    correlated: bool,
    panic: bool,
    rng: Rng,
}

impl Judge {
    /// A judge without endpoints. `seed`: of the jitter.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            members: Vec::new(),
            events: Vec::new(),
            correlated: false,
            panic: false,
            rng: Rng::with_seed(seed),
        }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes other settings (a reload); what was seen stays.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Adds an endpoint, or takes one back that was retired; its first probe is due at once.
    pub fn add(&mut self, key: Key, now: Time) {
        match self.member_mut(key) {
            Some(member) => member.retired = false,
            None => self.members.push(Member::new(key, now)),
        }
        self.settle(now);
    }

    /// The endpoint was removed from the pool, but sessions stand on it: it takes no new ones, and
    /// goes on being probed and judged.
    pub fn retire(&mut self, key: Key, now: Time) {
        if let Some(member) = self.member_mut(key) {
            member.retired = true;
        }
        self.settle(now);
    }

    /// The endpoint is gone.
    pub fn forget(&mut self, key: Key, now: Time) {
        self.members.retain(|member| member.key != key);
        self.settle(now);
    }

    /// Whether the operator lets the endpoint take new sessions (admin state `ready`). Changes no
    /// verdict; an endpoint that the operator drains is nobody who would be left.
    pub fn set_in_rotation(&mut self, key: Key, in_rotation: bool, now: Time) {
        if let Some(member) = self.member_mut(key) {
            member.in_rotation = in_rotation;
        }
        self.settle(now);
    }

    /// Takes in evidence. Before silence is reported, tell with [`Judge::heard`] what traffic
    /// heard of the pool's endpoints: bytes beat probes.
    pub fn observe(&mut self, key: Key, evidence: &Evidence, now: Time) {
        let Some(index) = self.index(key) else { return };
        let was_silent = self.members[index].is_silent();
        let finding = self.members[index].take(evidence, now, &self.settings);
        if was_silent && is_sign_of_life(evidence) {
            brakes::revive(&mut self.members[index], now);
        }
        if let Evidence::Silent { since, .. } = *evidence {
            brakes::witness(&mut self.members, index, since + self.settings.witness_after);
        }
        match finding {
            Finding::Nothing => {}
            Finding::Rise => self.members[index].rise(now),
            Finding::Suspect(reason) => self.suspect(index, reason),
            Finding::Fall { reason, alive } => {
                brakes::fall(&mut self.members, index, reason, alive, now, &self.settings);
            }
        }
        self.settle(now);
    }

    /// Traffic or a probe received a byte from the endpoint at `at`. Workers leave the time of the
    /// last byte in a cell of their own; the probe thread passes the latest on before it reports
    /// silence.
    pub fn heard(&mut self, key: Key, at: Time, now: Time) {
        let Some(index) = self.index(key) else { return };
        let member = &mut self.members[index];
        let since_silence = member.is_silent() && at >= member.silence.begun();
        member.silence.byte(at);
        if since_silence {
            brakes::revive(member, now);
            self.settle(now);
        }
    }

    /// A byte came at `at` on a session that has stood for 5 s or more. To be told a few times a
    /// second: it shows which endpoints are busy, and the silence of a busy one is found sooner.
    /// (Not so young sessions: when a first flight is replayed its late answer is never seen.)
    pub fn heard_lasting(&mut self, key: Key, at: Time, now: Time) {
        if let Some(member) = self.member_mut(key) {
            member.silence.lasting_byte(at);
        }
        self.heard(key, at, now);
    }

    /// Time has passed: finds silence that has lasted long enough, lets holds expire and orders
    /// resets that are due. Tell before what was heard.
    pub fn tick(&mut self, now: Time) {
        for index in 0..self.members.len() {
            let member = &self.members[index];
            let due = member.silent_at(&self.settings).is_some_and(|at| now >= at);
            if due && !member.is_silent() {
                let reason = Reason::Silent;
                brakes::fall(&mut self.members, index, reason, false, now, &self.settings);
            }
        }
        self.settle(now);
    }

    /// When [`Judge::tick`] must be called next, if nothing else happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let of = |member: &Member| {
            let reset = match member.reset {
                Reset::From(at) => Some(at),
                Reset::None | Reset::Ordered(_) => None,
            };
            let hold = match member.state {
                State::Fallen(fall) => fall.hold.filter(|hold| !hold.expired),
                _ => None,
            };
            let hold = hold.map(|hold| hold.since + self.settings.hold);
            let silent = member.silent_at(&self.settings).filter(|_| !member.is_silent());
            reset.into_iter().chain(hold).chain(silent).min()
        };
        self.members.iter().filter_map(of).min()
    }

    /// When and how the endpoint is to be probed next. Ask again after every evidence: it can
    /// have moved forward.
    #[must_use]
    pub fn next_probe(&self, key: Key) -> Option<Next> {
        let member = self.member(key)?;
        Some(member.schedule.next(member.is_changing(), &self.settings))
    }

    /// A probe of the endpoint begins.
    pub fn started(&mut self, key: Key, way: Way, now: Time) {
        let Some(index) = self.index(key) else { return };
        let member = &mut self.members[index];
        let changing = member.is_changing();
        let in_doubt = changing || member.schedule.is_in_doubt();
        member.schedule.started(now, way, changing, &self.settings, &mut self.rng);
        if way == Way::Fresh && in_doubt {
            let others = self.members.iter_mut().filter(|member| member.key != key);
            others.for_each(|other| other.schedule.bear_witness(now, &self.settings));
        }
    }

    /// The report of an endpoint.
    #[must_use]
    pub fn report(&self, key: Key) -> Option<Report> {
        self.member(key).map(|member| member.published)
    }

    /// All reports, retired endpoints included.
    pub fn reports(&self) -> impl Iterator<Item = (Key, Report)> {
        self.members.iter().map(|member| (member.key, member.published))
    }

    /// The last results of an endpoint.
    #[must_use]
    pub fn history(&self, key: Key) -> Option<&History> {
        self.member(key).map(|member| &member.history)
    }

    /// What the last handshake told of its certificate.
    #[must_use]
    pub fn handshake(&self, key: Key) -> Option<HandshakeFacts> {
        self.member(key).and_then(|member| member.facts)
    }

    /// What happened since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether endpoints fell together, so that this host or its network is suspected.
    #[must_use]
    pub fn is_correlated(&self) -> bool {
        self.correlated
    }

    /// Whether the pool can take new sessions.
    #[must_use]
    pub fn availability(&self) -> Availability {
        let usable = |member: &&Member| member.counts() && member.published.tier != Tier::Closed;
        let well = |member: &Member| {
            member.published.tier <= Tier::Suspect && !member.published.correlated
        };
        let mut usable = self.members.iter().filter(usable).peekable();
        if usable.peek().is_none() {
            Availability::Nobody
        } else if usable.any(well) {
            Availability::Fine
        } else {
            Availability::Panic
        }
    }

    fn index(&self, key: Key) -> Option<usize> {
        self.members.iter().position(|member| member.key == key)
    }

    fn member(&self, key: Key) -> Option<&Member> {
        self.members.iter().find(|member| member.key == key)
    }

    fn member_mut(&mut self, key: Key) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.key == key)
    }

    fn suspect(&mut self, index: usize, reason: Reason) {
        let suspects = |member: &&Member| match member.state {
            State::Suspect(reason) => member.counts() && reason.is_passive(),
            _ => false,
        };
        let already = self.members.iter().filter(suspects).count();
        let endpoints = self.members.iter().filter(|member| member.counts()).count();
        let limit = self.settings.passive_limit.map_or(usize::MAX, |limit| limit.of(endpoints));
        let state = &mut self.members[index].state;
        match *state {
            State::Up | State::Unprobed if reason.is_passive() && already >= limit => {}
            State::Suspect(before) if reason.is_passive() && !before.is_passive() => {}
            State::Up | State::Unprobed | State::Suspect(_) => *state = State::Suspect(reason),
            State::Fallen(_) => {}
        }
    }

    /// Brings everything that depends on the whole pool up to date, and tells what changed.
    fn settle(&mut self, now: Time) {
        brakes::release(&mut self.members, now, &self.settings);
        self.stop_resets();
        self.publish(now);
        self.order_resets(now);
    }

    fn publish(&mut self, now: Time) {
        for member in &mut self.members {
            if member.is_changing() {
                member.schedule.hasten(&self.settings);
            }
            let mut report = member.report(&self.settings);
            if report == member.published {
                continue;
            }
            let before = member.published.verdict;
            if report.verdict != before {
                report.since = now;
            }
            member.published = report;
            self.events.push(Event::Changed { key: member.key, before, report });
        }
        let correlated = self.members.iter().any(|member| member.published.correlated);
        if correlated != self.correlated {
            self.correlated = correlated;
            self.events.push(Event::Correlated(correlated));
        }
        let panic = self.availability() == Availability::Panic;
        if panic != self.panic {
            self.panic = panic;
            self.events.push(Event::Panic(panic));
        }
    }

    /// Resets whose reason is gone.
    fn stop_resets(&mut self) {
        for member in self.members.iter_mut().filter(|member| brakes::must_stop(member)) {
            if let Reset::Ordered(_) = std::mem::replace(&mut member.reset, Reset::None) {
                self.events.push(Event::StopReset { key: member.key });
            }
        }
    }

    /// Resets that are due.
    fn order_resets(&mut self, now: Time) {
        for index in 0..self.members.len() {
            let allowed = brakes::may_reset(&self.members, index);
            let member = &mut self.members[index];
            if let (Reset::From(at), State::Fallen(fall)) = (member.reset, member.state)
                && allowed
                && now >= at
            {
                member.reset = Reset::Ordered(at);
                self.events.push(Event::Reset { key: member.key, reason: fall.reason });
            }
        }
    }
}

/// Evidence that came as bytes from the endpoint. A failed handshake is left to its own finding.
fn is_sign_of_life(evidence: &Evidence) -> bool {
    matches!(
        evidence,
        Evidence::Byte
            | Evidence::Hello { .. }
            | Evidence::Handshake(_)
            | Evidence::Answer { .. }
            | Evidence::Connected { .. }
    )
}
