//! The world: virtual time, events, and what is true.

use crate::fault::{Fault, Timeline};
use crate::invariants::{self, Check, Violation};
use crate::mutant::Mutant;
use crate::prober::{ProbeEvent, Prober};
use crate::traffic::{SessionEvent, Traffic};
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{
    Event, Evidence, HandshakeFacts, Judge, Key, Pace, Pacer, Reason, Report, Settings, Verdict,
};
use fastrand::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    Probe(ProbeEvent),
    Session(SessionEvent),
    /// The kernel of an endpoint ends all its sessions.
    Kill(usize),
    /// Sessions of an endpoint are reset, if this order still stands.
    ResetTurn {
        endpoint: usize,
        order: u32,
    },
    /// The judge's own clock.
    Tick,
    /// A look at the books.
    Audit,
    /// The endpoint has been silent long enough.
    Notice(usize),
}

/// When, in which order, when it was due, what.
type Entry = Reverse<(Time, u64, Time, Happening)>;

/// What happened in all, so that a quiet simulation is not taken for a good one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    pub sessions: u64,
    pub failed: u64,
    pub probes: u64,
    pub voids: u64,
    pub resets: u64,
    pub replays: u64,
    pub queued: u64,
    pub dead: u64,
    pub correlated: u64,
    pub events: u64,
}

impl Statistics {
    pub fn add(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.failed += other.failed;
        self.probes += other.probes;
        self.voids += other.voids;
        self.resets += other.resets;
        self.replays += other.replays;
        self.queued += other.queued;
        self.dead += other.dead;
        self.correlated += other.correlated;
        self.events += other.events;
    }
}

/// An order to reset the sessions of an endpoint.
struct Order {
    number: u32,
    at: Time,
    pacer: Pacer,
    first: bool,
    reason: Reason,
}

pub struct World {
    pub now: Time,
    /// How late the event that is being handled is.
    pub late: Duration,
    pub rng: Rng,
    pub timeline: Timeline,
    pub mutant: Mutant,
    pub judge: Judge,
    pub endpoints: usize,
    pub prober: Prober,
    pub traffic: Traffic,
    pub statistics: Statistics,
    /// Changes with every report: the pickers are rebuilt by it.
    pub epoch: u64,
    /// When bytes of an endpoint last reached this host, by session or probe.
    pub last_byte: Vec<Option<Time>>,
    /// The same, on sessions that have stood for a while.
    pub last_lasting: Vec<Option<Time>>,
    /// Silent dials since the last byte, by the time of their SYN.
    silent_dials: Vec<Vec<Time>>,
    orders: Vec<Option<Order>>,
    orders_given: u32,
    queue: BinaryHeap<Entry>,
    sequence: u64,
    stalled: bool,
    violation: Option<Violation>,
    story: bool,
}

/// Keys of endpoints that do not exist: see [`Mutant::CorrelationOff`].
const PHANTOMS: std::ops::Range<u64> = 1000..1020;
const ROUND_TRIP: Duration = Duration::from_micros(400);

pub fn key(endpoint: usize) -> Key {
    Key(endpoint as u64)
}

impl World {
    pub fn new(seed: u64, mutant: Mutant, story: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let endpoints = [1, 2, 3, 3, 3, 3, 5, 7][rng.usize(0..8)];
        let timeline = Timeline::generate(endpoints, &mut rng);
        // Pools here are small: so is what counts as a storm.
        let pace = Pace { at_once: 6, ..Pace::default() };
        let settings = mutant.settings(Settings { pace, ..Settings::apiserver() });
        let judge = Judge::new(settings, rng.u64(..));
        let traffic = Traffic::new(endpoints, mutant, &mut rng);
        let mut world = Self {
            now: Time::START,
            late: Duration::ZERO,
            rng,
            timeline,
            mutant,
            judge,
            endpoints,
            prober: Prober::new(endpoints),
            traffic,
            statistics: Statistics::default(),
            epoch: 1,
            last_byte: vec![None; endpoints],
            last_lasting: vec![None; endpoints],
            silent_dials: vec![Vec::new(); endpoints],
            orders: (0..endpoints).map(|_| None).collect(),
            orders_given: 0,
            queue: BinaryHeap::new(),
            sequence: 0,
            stalled: false,
            violation: None,
            story,
        };
        world.set_up();
        world
    }

    fn set_up(&mut self) {
        for endpoint in 0..self.endpoints {
            self.judge.add(key(endpoint), self.now);
        }
        if self.mutant == Mutant::CorrelationOff {
            for phantom in PHANTOMS.map(Key) {
                self.judge.add(phantom, self.now);
            }
        }
        self.judge.take_events();
        for endpoint in 0..self.endpoints {
            self.arm(endpoint);
        }
        self.at(Time::from_millis(100), Happening::Session(SessionEvent::Arrive));
        self.at(Time::from_millis(50), Happening::Tick);
        self.at(Time::from_millis(1000), Happening::Audit);
        for episode in self.timeline.episodes.clone() {
            let Some(endpoint) = episode.endpoint else { continue };
            match episode.fault {
                Fault::Killed => self.at(episode.from, Happening::Kill(endpoint)),
                Fault::Closed => self.at(episode.to, Happening::Kill(endpoint)),
                Fault::Frozen | Fault::Unreachable => {
                    let noticed = episode.from + Duration::from_millis(3300);
                    if noticed < episode.to && self.is_alone(endpoint, episode.from, noticed) {
                        self.at(noticed, Happening::Notice(endpoint));
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether all else is well for long enough before and during this time.
    fn is_alone(&self, endpoint: usize, from: Time, to: Time) -> bool {
        let before = Time::after_start(from.since_start().saturating_sub(Duration::from_secs(13)));
        let others = (0..self.endpoints).filter(|other| *other != endpoint);
        self.endpoints > 1
            && others.into_iter().all(|other| self.timeline.is_healthy(other, before, to))
            && self.timeline.is_healthy(endpoint, before, from)
            && self
                .timeline
                .episodes
                .iter()
                .filter(|e| e.endpoint == Some(endpoint) && e.from < to && from < e.to)
                .count()
                == 1
    }

    pub fn run(mut self) -> (Statistics, Option<Violation>) {
        while let Some(Reverse((at, _, due, what))) = self.queue.pop() {
            if at >= self.timeline.end || self.violation.is_some() {
                break;
            }
            if let Some(end) = self.timeline.stalled_until(at) {
                // When it runs again its timers come first: what has arrived is read after them.
                let timer = matches!(
                    what,
                    Happening::Probe(ProbeEvent::Silent(_) | ProbeEvent::Overdue(_))
                );
                let read = if timer { end } else { end + Duration::from_millis(1) };
                self.stalled = true;
                self.push(read, due, what);
                continue;
            }
            self.now = at;
            self.late = at.since(due);
            self.statistics.events += 1;
            if std::mem::take(&mut self.stalled) {
                self.after_standstill();
            }
            self.handle(what);
        }
        if self.violation.is_none() {
            self.finish();
        }
        (self.statistics, self.violation)
    }

    fn handle(&mut self, what: Happening) {
        match what {
            Happening::Probe(event) => self.probe_event(event),
            Happening::Session(event) => self.session_event(event),
            Happening::Kill(endpoint) => self.kill(endpoint),
            Happening::ResetTurn { endpoint, order } => self.reset_turn(endpoint, order),
            Happening::Tick => self.tick(),
            Happening::Audit => self.audit(),
            Happening::Notice(endpoint) => {
                let report = self.report(endpoint);
                self.check(invariants::silence_is_noticed_in_time(endpoint, &report));
            }
        }
    }

    fn finish(&mut self) {
        let reports = self.reports();
        let correlated = self.judge.is_correlated();
        self.check(invariants::everybody_recovers(&reports, correlated));
        self.end_all_sessions();
        let zero = vec![0; self.endpoints];
        let counted = self.traffic.in_flight.clone();
        self.check(invariants::every_lease_is_returned(&counted, &zero));
    }

    pub fn at(&mut self, at: Time, what: Happening) {
        self.push(at, at, what);
    }

    fn push(&mut self, at: Time, due: Time, what: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence, due, what)));
    }

    pub fn report(&self, endpoint: usize) -> Report {
        self.judge.report(key(endpoint)).expect("every endpoint is judged")
    }

    pub fn reports(&self) -> Vec<Report> {
        (0..self.endpoints).map(|endpoint| self.report(endpoint)).collect()
    }

    pub fn check(&mut self, check: Check) {
        if let Err((invariant, story)) = check {
            let at = self.now;
            self.tell(|| format!("VIOLATION of `{invariant}`: {story}"));
            self.violation.get_or_insert(Violation { invariant, at, story });
        }
    }

    pub fn tell(&self, line: impl FnOnce() -> String) {
        if self.story {
            println!("{:>9.3} s  {}", self.now.since_start().as_secs_f64(), line());
        }
    }

    /// Bytes of an endpoint have arrived here.
    pub fn byte_from(&mut self, endpoint: usize) {
        self.last_byte[endpoint] = Some(self.now);
        self.silent_dials[endpoint].clear();
    }

    /// Tells the judge what the workers heard, as the probe thread does before it reports.
    fn pass_on_bytes(&mut self) {
        for endpoint in 0..self.endpoints {
            if let Some(at) = self.last_byte[endpoint]
                && self.mutant != Mutant::VetoIgnored
            {
                self.judge.heard(key(endpoint), at, self.now);
            }
            if let Some(at) = self.last_lasting[endpoint].take()
                && self.mutant != Mutant::VetoIgnored
            {
                self.judge.heard_lasting(key(endpoint), at, self.now);
            }
        }
        self.follow();
    }

    /// Gives evidence to the judge, looks at what it does with it, and follows.
    pub fn observe(&mut self, endpoint: usize, evidence: &Evidence) {
        self.pass_on_bytes();
        self.judge.tick(self.now);
        self.follow();
        let void = is_void(evidence);
        self.statistics.voids += u64::from(void);
        if let (Evidence::Silent { since, .. }, false) = (evidence, void) {
            self.silent_dials[endpoint].push(*since);
        }
        let before = self.reports();
        for evidence in self.mutated(endpoint, evidence) {
            self.judge.observe(key(endpoint), &evidence, self.now);
        }
        let after = self.reports();
        if after[endpoint] != before[endpoint]
            || !matches!(
                evidence,
                Evidence::Hello { .. }
                    | Evidence::Handshake(_)
                    | Evidence::Answer { status: 200, .. }
            )
        {
            self.tell(|| format!("endpoint {endpoint}: {evidence:?} -> {:?}", after[endpoint]));
        }
        if void {
            self.check(invariants::void_changes_nothing(evidence, &before, &after));
        }
        let (was, is) = (&before[endpoint], &after[endpoint]);
        self.check(invariants::verdicts_are_monotone(evidence, was, is));
        self.check(invariants::traffic_alone_never_kills(evidence, was, is));
        self.follow();
        for endpoint in 0..self.endpoints {
            self.arm(endpoint);
        }
    }

    /// What the judge gets to see under the mutant.
    fn mutated(&self, endpoint: usize, evidence: &Evidence) -> Vec<Evidence> {
        let suspect = self.report(endpoint).verdict == Verdict::Suspect;
        match (self.mutant, evidence) {
            (Mutant::VoidCountsAsFailure, Evidence::Void(_)) => vec![Evidence::Refused],
            (Mutant::LateTimersCount, Evidence::Silent { since, .. }) => {
                vec![Evidence::Silent { since: *since, timer_late: Duration::ZERO }]
            }
            (Mutant::SilenceUnreported, Evidence::Silent { .. }) => vec![],
            (Mutant::PassiveKills, Evidence::DialFailed(_)) => vec![Evidence::Refused; 2],
            (Mutant::RefusalHeals, Evidence::Refused) if suspect => {
                let took = Duration::from_millis(1);
                let answer =
                    |check| Evidence::Answer { check, status: 200, took, status_object: false };
                let checks = self.judge.settings().checks.iter().copied().map(answer);
                let mut good =
                    vec![Evidence::Hello { took }, Evidence::Handshake(HandshakeFacts::default())];
                good.extend(checks);
                good
            }
            _ => vec![evidence.clone()],
        }
    }

    /// Does what the judge's events ask for.
    fn follow(&mut self) {
        for event in self.judge.take_events() {
            match event {
                Event::Changed { key: Key(of), before, report } if of < PHANTOMS.start => {
                    let endpoint = of as usize;
                    self.epoch += 1;
                    self.changed(endpoint, before, &report);
                }
                Event::Reset { key: Key(of), reason } => {
                    let endpoint = of as usize;
                    self.tell(|| format!("endpoint {endpoint}: reset its sessions: {reason}"));
                    self.order_resets(endpoint, reason);
                }
                Event::StopReset { key: Key(of) } if self.mutant != Mutant::StopIgnored => {
                    self.orders[of as usize] = None;
                }
                Event::Correlated(on) => {
                    self.tell(|| format!("CORRELATED: {on}"));
                    self.statistics.correlated += u64::from(on);
                }
                _ => {}
            }
        }
    }

    fn changed(&mut self, endpoint: usize, before: Verdict, report: &Report) {
        if report.verdict != Verdict::Dead || before == Verdict::Dead {
            return;
        }
        self.statistics.dead += 1;
        match report.reason {
            Reason::Silent => {
                let check = invariants::silence_is_two_dials_and_no_byte(
                    endpoint,
                    &self.silent_dials[endpoint],
                    self.last_byte[endpoint],
                );
                self.check(check);
            }
            Reason::Refused if self.mutant == Mutant::ResetOnRefused => {
                self.order_resets(endpoint, Reason::Refused);
            }
            _ => {}
        }
    }

    fn order_resets(&mut self, endpoint: usize, reason: Reason) {
        let sessions = self.traffic.standing_on(endpoint);
        let report = self.report(endpoint);
        self.check(invariants::correlated_never_resets(endpoint, &report));
        self.check(invariants::no_reset_without_silence_of_its_own(
            &self.timeline,
            endpoint,
            self.now,
        ));
        self.orders_given += 1;
        let order = self.orders_given;
        let pacer = Pacer::new(self.judge.settings().pace, sessions, self.now);
        self.orders[endpoint] =
            Some(Order { number: order, at: self.now, pacer, first: true, reason });
        self.at(self.now, Happening::ResetTurn { endpoint, order });
    }

    fn reset_turn(&mut self, endpoint: usize, number: u32) {
        // A byte since the order stops it.
        self.pass_on_bytes();
        let Some(mut order) = self.orders[endpoint].take_if(|order| order.number == number) else {
            return;
        };
        let all = self.traffic.standing_on(endpoint);
        let due = order.pacer.due(self.now);
        let due = if self.mutant == Mutant::Unpaced { all } else { due.min(all) };
        if due > 0 {
            let bound = self.judge.settings().pace.at_once;
            let (at, now) = (order.at, self.now);
            self.check(invariants::resets_are_paced(at, now, order.first, due, bound));
            if let Reason::Sick(_) = order.reason {
                // It answers, and after ten seconds its sessions are reset all the same.
                let reason = self.report(endpoint).reason;
                self.check(invariants::no_reset_of_the_recovered(endpoint, reason));
            } else {
                let last_byte = self.last_byte[endpoint];
                self.check(invariants::no_reset_after_a_sign_of_life(endpoint, at, last_byte));
            }
            let report = self.report(endpoint);
            self.check(invariants::correlated_never_resets(endpoint, &report));
            order.first = false;
            self.statistics.resets += u64::from(due);
            self.reset_sessions(endpoint, due);
        }
        if !order.pacer.is_done() && self.traffic.standing_on(endpoint) > 0 {
            self.orders[endpoint] = Some(order);
            let next = self.now + Pacer::TURN;
            self.at(next, Happening::ResetTurn { endpoint, order: number });
        }
    }

    fn tick(&mut self) {
        if self.mutant == Mutant::CorrelationOff {
            for phantom in PHANTOMS.map(Key) {
                self.judge.heard(phantom, self.now, self.now);
            }
        }
        self.pass_on_bytes();
        self.judge.tick(self.now);
        self.follow();
        for endpoint in 0..self.endpoints {
            self.arm(endpoint);
        }
        self.at(self.now + Duration::from_millis(50), Happening::Tick);
    }

    fn audit(&mut self) {
        let standing: Vec<_> =
            (0..self.endpoints).map(|endpoint| self.traffic.leases_on(endpoint)).collect();
        let counted = self.traffic.in_flight.clone();
        self.check(invariants::every_lease_is_returned(&counted, &standing));
        self.at(self.now + Duration::from_secs(1), Happening::Audit);
    }

    /// When the SYN sent at `sent` reaches the endpoint: lost ones are repeated after 1, 3, 7 s.
    pub fn arrives(&mut self, endpoint: usize, sent: Time) -> Option<Time> {
        let lost = self.rng.f64() < 2.0 * self.timeline.loss(endpoint, sent);
        let tries = [0, 1, 3, 7].map(|seconds| sent + Duration::from_secs(seconds));
        let reaches = |at: &Time| self.timeline.unreachable_until(endpoint, *at).is_none();
        tries.into_iter().skip(usize::from(lost)).find(reaches).map(|at| at + ROUND_TRIP)
    }

    /// When the answer to what reached the endpoint at `asked` is here, if nothing else happens.
    pub fn answers(&mut self, endpoint: usize, asked: Time) -> Time {
        let runs = self.timeline.frozen_until(endpoint, asked).unwrap_or(asked);
        let work = Duration::from_micros(self.rng.u64(500..8000));
        let sent = runs + work + self.timeline.delay(endpoint, runs);
        let sent = self.timeline.frozen_until(endpoint, sent).unwrap_or(sent);
        let repeated = Duration::from_millis(self.rng.u64(0..1000));
        let left = self.timeline.unreachable_until(endpoint, sent);
        left.map_or(sent, |until| until + repeated) + ROUND_TRIP
    }
}

/// Whether evidence says that it says nothing.
fn is_void(evidence: &Evidence) -> bool {
    match evidence {
        Evidence::Void(_) => true,
        Evidence::Silent { timer_late, .. }
        | Evidence::Overdue { timer_late, .. }
        | Evidence::Late { timer_late, .. } => *timer_late > Duration::from_millis(100),
        _ => false,
    }
}
