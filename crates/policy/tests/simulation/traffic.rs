//! Clients and workers: sessions are picked, dialled, replayed, queued and ended; what they meet
//! is reported.

use crate::fault::Fault;
use crate::invariants;
use crate::mutant::Mutant;
use crate::world::{Happening, World};
use eclusa_policy::balance::{
    Algorithm, Balance, Candidate, Pick, Ramp, Standing, candidates, picker,
};
use eclusa_policy::queue::{Queue, Ticket, Turn};
use eclusa_policy::replay::{self, Flight, Replay};
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{DialFault, Evidence, Tier, Verdict};
use fastrand::Rng;
use std::net::IpAddr;
use std::time::Duration;

/// A try of a session on one endpoint, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Try {
    session: usize,
    attempt: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionEvent {
    Arrive,
    Connected(Try),
    Refused(Try),
    /// Timer: not connected so far.
    DialTimeout(Try),
    /// This host was out of something: again.
    Redial(usize),
    FirstByte(Try),
    /// Timer: the first flight is not answered so far.
    ReplayClock(Try),
    Slow(Try),
    /// More bytes of the endpoint.
    Data(usize),
    End(usize),
    /// The client has no more patience.
    GiveUp(usize),
    /// Timer: it has waited too long.
    QueueTimeout(usize),
}

/// A session on its way to one endpoint, or on it; it holds the lease.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    endpoint: usize,
    leased: bool,
    connected: bool,
    written: Time,
}

#[derive(Clone, Debug)]
struct Session {
    started: Time,
    attempts: Vec<Attempt>,
    lasting: bool,
    replayed: bool,
    /// The attempt whose first byte came.
    standing: Option<usize>,
    /// Its place in the queue.
    waiting: Option<Ticket>,
    over: bool,
    client: u32,
}

pub struct Traffic {
    /// Leases per endpoint, as the pool counts them.
    pub in_flight: Vec<u32>,
    sessions: Vec<Session>,
    algorithm: Algorithm,
    limit: Option<u32>,
    queue: Queue<usize>,
    picker: Option<Box<dyn Balance>>,
    candidates: Vec<Candidate>,
    epoch: u64,
    replay: Replay,
    begun: Vec<Time>,
    replays: Vec<Time>,
}

const QUEUE: usize = 4;
const QUEUE_TIMEOUT: Duration = Duration::from_secs(2);
const DIAL_TIMEOUT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);
const LOCAL_PAUSE: Duration = Duration::from_millis(100);

impl Traffic {
    pub fn new(endpoints: usize, mutant: Mutant, rng: &mut Rng) -> Self {
        let limited = rng.u32(0..4) == 0;
        let places = if mutant == Mutant::QueueUnbounded { usize::MAX } else { QUEUE };
        let (_, algorithm) = Algorithm::ALL[rng.usize(0..Algorithm::ALL.len())];
        // A pool that prefers its first endpoint needs a limit to use the others at all.
        let limited = limited || algorithm == Algorithm::First;
        Self {
            in_flight: vec![0; endpoints],
            sessions: Vec::new(),
            algorithm,
            limit: limited.then(|| 2 + 40 / endpoints as u32),
            queue: Queue::new(places),
            picker: None,
            candidates: Vec::new(),
            epoch: 0,
            replay: Replay::new(replay::Settings::default(), endpoints, 1),
            begun: Vec::new(),
            replays: Vec::new(),
        }
    }

    fn live(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(|session| !session.over)
    }

    /// Sessions whose first byte came from the endpoint.
    pub fn standing_on(&self, endpoint: usize) -> u32 {
        let on = |session: &&Session| {
            session.standing.is_some_and(|attempt| session.attempts[attempt].endpoint == endpoint)
        };
        self.live().filter(on).count() as u32
    }

    /// Leases on the endpoint that sessions hold.
    pub fn leases_on(&self, endpoint: usize) -> u32 {
        let leases = self.live().flat_map(|session| &session.attempts);
        leases.filter(|attempt| attempt.leased && attempt.endpoint == endpoint).count() as u32
    }
}

impl World {
    pub fn session_event(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Arrive => self.arrive(),
            SessionEvent::Connected(at) => self.connected(at),
            SessionEvent::Refused(at) => self.dial_failed(at, DialFault::Refused),
            SessionEvent::DialTimeout(at) => {
                if self.attempt(at).is_some_and(|attempt| !attempt.connected) {
                    self.dial_failed(at, DialFault::TimedOut);
                }
            }
            SessionEvent::Redial(session) if !self.traffic.sessions[session].over => {
                self.next_try(session);
            }
            SessionEvent::FirstByte(at) => self.first_byte(at),
            SessionEvent::ReplayClock(at) => self.replay_clock(at),
            SessionEvent::Slow(at) => self.slow(at),
            SessionEvent::Data(session) => self.data(session),
            SessionEvent::End(session) | SessionEvent::GiveUp(session) => {
                let standing = self.traffic.sessions[session].standing.is_some();
                if standing == matches!(event, SessionEvent::End(_)) {
                    self.end(session);
                }
            }
            SessionEvent::QueueTimeout(session) => {
                if self.traffic.sessions[session].waiting.is_some() {
                    self.statistics.failed += 1;
                    self.end(session);
                }
            }
            SessionEvent::Redial(_) => {}
        }
    }

    fn later(&mut self, after: Duration, event: SessionEvent) {
        self.at(self.now + after, Happening::Session(event));
    }

    /// The attempt, while it counts: its session lives, it holds its lease.
    fn attempt(&self, at: Try) -> Option<Attempt> {
        let session = &self.traffic.sessions[at.session];
        session.attempts.get(at.attempt).copied().filter(|a| a.leased && !session.over)
    }

    fn arrive(&mut self) {
        if self.now < self.timeline.end {
            let next = Duration::from_millis(self.rng.u64(20..200));
            self.later(next, SessionEvent::Arrive);
        }
        self.statistics.sessions += 1;
        self.traffic.replay.session(self.now);
        self.traffic.begun.push(self.now);
        let session = self.traffic.sessions.len();
        let lasting = self.rng.u32(0..6) == 0;
        let client = self.rng.u32(..);
        self.traffic.sessions.push(Session {
            started: self.now,
            attempts: Vec::new(),
            lasting,
            replayed: false,
            standing: None,
            waiting: None,
            over: false,
            client,
        });
        self.later(PATIENCE, SessionEvent::GiveUp(session));
        self.next_try(session);
    }

    /// Dials the next endpoint for a session, lets it wait, or fails it.
    fn next_try(&mut self, session: usize) {
        let tried: Vec<_> =
            self.traffic.sessions[session].attempts.iter().map(|a| a.endpoint as u32).collect();
        match self.pick(&tried, self.traffic.sessions[session].client) {
            Ok(endpoint) => self.dial(session, endpoint),
            Err(true) => match self.traffic.queue.push(session) {
                Ok(ticket) => {
                    self.traffic.sessions[session].waiting = Some(ticket);
                    self.statistics.queued += 1;
                    let waiting = self.traffic.queue.len();
                    self.check(invariants::the_queue_is_bounded(waiting, QUEUE));
                    self.later(QUEUE_TIMEOUT, SessionEvent::QueueTimeout(session));
                }
                Err(_) => self.fail(session),
            },
            Err(false) => self.fail(session),
        }
    }

    /// A slot, or whether it is worth waiting for one.
    fn pick(&mut self, tried: &[u32], client: u32) -> Result<usize, bool> {
        if self.traffic.epoch != self.epoch {
            self.traffic.epoch = self.epoch;
            self.rebuild_picker();
        }
        let Traffic { picker, candidates, in_flight, limit, .. } = &mut self.traffic;
        let Some(picker) = picker else { return Err(false) };
        let load = |slot: u32| in_flight[slot as usize];
        let source = Some(IpAddr::from(client.to_be_bytes()));
        let pick = Pick { excluded: tried, source, now: self.now, ..Pick::by_load(&load) };
        let Some(slot) = picker.pick(&pick) else { return Err(pick.would_wait(candidates)) };
        let full = limit.map(|limit| in_flight.iter().map(|n| *n >= limit).collect::<Vec<_>>());
        let room = |other: usize| {
            !tried.contains(&(other as u32)) && !full.as_ref().is_some_and(|full| full[other])
        };
        let reports = self.reports();
        let picked = slot as usize;
        self.check(invariants::new_sessions_go_to_who_can_serve(picked, &reports, room));
        Ok(picked)
    }

    fn rebuild_picker(&mut self) {
        let standing = |report: &eclusa_policy::verdict::Report| {
            let tier = match (self.mutant, report.verdict) {
                (Mutant::DrainingTakesSessions, Verdict::Draining) => Tier::Up,
                (Mutant::DeadTakesSessions, Verdict::Dead) => Tier::Up,
                _ => report.tier,
            };
            let length = self.judge.settings().slow_start;
            let ramp = report.risen.map(|from| Ramp { from, length });
            Standing { tier, ramp, limit: self.traffic.limit, ..Standing::default() }
        };
        let reports = self.reports();
        let mut pool: Vec<_> = reports.iter().map(standing).collect();
        for (standing, identity) in pool.iter_mut().zip(1..) {
            standing.identity = identity;
        }
        let candidates = candidates(&pool);
        let seed = self.rng.u64(..);
        let algorithm = self.traffic.algorithm;
        self.traffic.picker =
            (!candidates.is_empty()).then(|| picker(algorithm, &candidates, seed));
        self.traffic.candidates = candidates;
    }

    fn dial(&mut self, session: usize, endpoint: usize) {
        self.traffic.in_flight[endpoint] += 1;
        let attempts = &mut self.traffic.sessions[session].attempts;
        attempts.push(Attempt { endpoint, leased: true, connected: false, written: self.now });
        let at = Try { session, attempt: attempts.len() - 1 };
        let local = |fault| matches!(fault, Fault::NoRoute | Fault::Exhausted);
        if self.timeline.has(endpoint, self.now, local) {
            // No evidence, and no try spent: again, within the patience of the client.
            self.release(at);
            self.traffic.sessions[session].attempts.pop();
            return self.later(LOCAL_PAUSE, SessionEvent::Redial(session));
        }
        if let Some(arrived) = self.arrives(endpoint, self.now) {
            let closed = |fault| matches!(fault, Fault::Killed | Fault::Closed);
            let event = if self.timeline.has(endpoint, arrived, closed) {
                SessionEvent::Refused(at)
            } else {
                SessionEvent::Connected(at)
            };
            self.at(arrived, Happening::Session(event));
        }
        self.later(DIAL_TIMEOUT, SessionEvent::DialTimeout(at));
    }

    fn connected(&mut self, at: Try) {
        let Some(attempt) = self.attempt(at) else { return };
        let this = &mut self.traffic.sessions[at.session].attempts[at.attempt];
        this.connected = true;
        this.written = self.now;
        let answer = self.answers(attempt.endpoint, self.now);
        self.at(answer, Happening::Session(SessionEvent::FirstByte(at)));
        let clock = self.traffic.replay.clock(self.now);
        self.later(clock, SessionEvent::ReplayClock(at));
        let hint = self.traffic.replay.hint(self.now);
        self.later(hint, SessionEvent::Slow(at));
    }

    fn dial_failed(&mut self, at: Try, fault: DialFault) {
        let Some(attempt) = self.attempt(at) else { return };
        if self.mutant == Mutant::LeaseLeaked {
            self.traffic.sessions[at.session].attempts[at.attempt].leased = false;
        } else {
            self.release(at);
        }
        self.observe(attempt.endpoint, &Evidence::DialFailed(fault));
        let session = &self.traffic.sessions[at.session];
        if !session.attempts.iter().any(|attempt| attempt.leased) {
            self.next_try(at.session);
        }
    }

    fn first_byte(&mut self, at: Try) {
        let Some(attempt) = self.attempt(at) else { return };
        let session = &mut self.traffic.sessions[at.session];
        if session.standing.is_some() {
            return;
        }
        session.standing = Some(at.attempt);
        let (lasting, replayed) = (session.lasting, session.replayed);
        self.byte_from(attempt.endpoint);
        let took = self.now.since(attempt.written);
        self.traffic.replay.first_byte(attempt.endpoint as u32, took, self.now);
        if replayed {
            self.traffic.replay.won(at.attempt > 0);
        }
        for other in 0..self.traffic.sessions[at.session].attempts.len() {
            if other != at.attempt {
                self.release(Try { session: at.session, attempt: other });
            }
        }
        if lasting {
            let life = Duration::from_secs_f64(5.0 + 30.0 * self.rng.f64());
            self.later(life, SessionEvent::End(at.session));
            self.data(at.session);
        } else {
            let life = Duration::from_millis(self.rng.u64(5..1500));
            self.later(life, SessionEvent::End(at.session));
        }
    }

    fn slow(&mut self, at: Try) {
        let Some(attempt) = self.attempt(at) else { return };
        if self.traffic.sessions[at.session].standing.is_none() {
            self.observe(attempt.endpoint, &Evidence::Slow { since: attempt.written });
        }
    }

    fn replay_clock(&mut self, at: Try) {
        let Some(attempt) = self.attempt(at) else { return };
        let session = &self.traffic.sessions[at.session];
        let answered = session.standing.is_some();
        if !answered {
            let since = attempt.written;
            self.observe(attempt.endpoint, &Evidence::Unanswered { since });
        }
        let session = &self.traffic.sessions[at.session];
        let flight = Flight {
            complete_hello: true,
            length: 517,
            early_data: false,
            more_bytes: false,
            fin: false,
            answered,
            replayed: session.replayed,
        };
        let replayable = match replay::check(flight) {
            Err(replay::NotReplayable::Answered) => self.mutant == Mutant::AnsweredReplayed,
            result => result.is_ok(),
        };
        if !replayable {
            return;
        }
        let slot = attempt.endpoint as u32;
        let refused = self.traffic.replay.begin(slot, self.now).is_err();
        if refused && self.mutant != Mutant::BudgetIgnored {
            return;
        }
        self.check(invariants::only_unanswered_flights_are_replayed(answered));
        let client = self.traffic.sessions[at.session].client;
        let tried: Vec<_> = self.traffic.sessions[at.session]
            .attempts
            .iter()
            .map(|attempt| attempt.endpoint as u32)
            .collect();
        let Ok(endpoint) = self.pick(&tried, client) else { return };
        self.traffic.sessions[at.session].replayed = true;
        self.statistics.replays += 1;
        self.traffic.replays.push(self.now);
        let Traffic { replays, begun, .. } = &self.traffic;
        self.check(invariants::the_replay_budget_is_kept(replays, begun, self.now));
        self.dial(at.session, endpoint);
    }

    /// More bytes for a lasting session.
    fn data(&mut self, session: usize) {
        let Some(standing) = self.traffic.sessions[session].standing else { return };
        if self.traffic.sessions[session].over {
            return;
        }
        let endpoint = self.traffic.sessions[session].attempts[standing].endpoint;
        let silent = [
            self.timeline.frozen_until(endpoint, self.now),
            self.timeline.unreachable_until(endpoint, self.now),
            self.timeline.gap_until(endpoint, self.now),
        ];
        let next = match silent.into_iter().flatten().max() {
            Some(until) => until.since(self.now) + Duration::from_millis(self.rng.u64(1..500)),
            None => {
                self.byte_from(endpoint);
                let started = self.traffic.sessions[session].started;
                if self.now.since(started) >= Duration::from_secs(5) {
                    self.last_lasting[endpoint] = Some(self.now);
                }
                Duration::from_millis(self.rng.u64(100..500))
            }
        };
        self.later(next, SessionEvent::Data(session));
    }

    /// Gives the lease of an attempt back, to whoever waits for the place.
    fn release(&mut self, at: Try) {
        let attempt = &mut self.traffic.sessions[at.session].attempts[at.attempt];
        if !std::mem::replace(&mut attempt.leased, false) {
            return;
        }
        let endpoint = attempt.endpoint;
        self.traffic.in_flight[endpoint] -= 1;
        let takes = self.traffic.candidates.iter().any(|c| c.slot as usize == endpoint);
        if !takes {
            return;
        }
        let Traffic { queue, sessions, .. } = &mut self.traffic;
        let mut free = true;
        let served = queue.serve(|waiter| {
            let tried = sessions[*waiter].attempts.iter().any(|a| a.endpoint == endpoint);
            match free {
                false => Turn::Enough,
                true if tried => Turn::Wait,
                true => {
                    free = false;
                    Turn::Leave(())
                }
            }
        });
        for (waiter, ()) in served {
            self.traffic.sessions[waiter].waiting = None;
            self.dial(waiter, endpoint);
        }
    }

    fn end(&mut self, session: usize) {
        if std::mem::replace(&mut self.traffic.sessions[session].over, true) {
            return;
        }
        if let Some(ticket) = self.traffic.sessions[session].waiting.take() {
            self.traffic.queue.leave(ticket);
        }
        for attempt in 0..self.traffic.sessions[session].attempts.len() {
            self.release(Try { session, attempt });
        }
    }

    fn fail(&mut self, session: usize) {
        self.statistics.failed += 1;
        if self.traffic.limit.is_none() {
            self.check(invariants::nobody_is_turned_away(&self.timeline, self.endpoints, self.now));
        }
        self.end(session);
    }

    /// The endpoint's kernel ends its sessions.
    pub fn kill(&mut self, endpoint: usize) {
        self.observe(endpoint, &Evidence::KeptEnded);
        for session in 0..self.traffic.sessions.len() {
            let Session { over, standing, started, .. } = self.traffic.sessions[session];
            if over {
                continue;
            }
            if let Some(standing) = standing {
                if self.traffic.sessions[session].attempts[standing].endpoint == endpoint {
                    self.end(session);
                    if self.now.since(started) < Duration::from_secs(1) {
                        self.observe(endpoint, &Evidence::EndedEarly { answered: true });
                    }
                }
                continue;
            }
            for attempt in 0..self.traffic.sessions[session].attempts.len() {
                let at = Try { session, attempt };
                if self.attempt(at).is_some_and(|a| a.endpoint == endpoint && a.connected) {
                    self.dial_failed(at, DialFault::Reset);
                }
            }
        }
    }

    /// We reset so many sessions on the endpoint.
    pub fn reset_sessions(&mut self, endpoint: usize, count: u32) {
        let on = |session: &usize| {
            let session = &self.traffic.sessions[*session];
            let standing = session.standing.map(|attempt| session.attempts[attempt].endpoint);
            !session.over && standing == Some(endpoint)
        };
        let all = (0..self.traffic.sessions.len()).filter(on);
        let some: Vec<_> = all.take(count as usize).collect();
        for session in some {
            self.end(session);
        }
    }

    pub fn end_all_sessions(&mut self) {
        for waiting in 0..self.traffic.sessions.len() {
            if self.traffic.sessions[waiting].waiting.is_some() {
                self.end(waiting);
            }
        }
        for session in 0..self.traffic.sessions.len() {
            self.end(session);
        }
    }
}
