//! One pool: its judge, its endpoints, and what follows from evidence.

use super::Kind;
use super::allowance::Allowance;
use super::certificate::Concern;
use super::drive;
use super::kept::Kept;
use super::link::Link;
use super::resets::Resets;
use crate::admin::AdminState;
use crate::drill::Fault;
use crate::engine::Shared;
use crate::observing::{Judged, What};
use crate::pool::{Endpoint, Pool, first_report};
use eclusa_config::plan::Probe;
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{
    Availability, Event, Evidence, Judge, Key, Next, Outcome, Pacer, Settings, VoidCause, Way,
};
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};

/// Between two turns at least: a deadline that has passed must not make us spin.
const TURN_AT_LEAST: Duration = Duration::from_millis(20);
/// The judge hears of traffic at least this often, and an endpoint that leaves standing sessions without a
/// word for as long is looked at.
const LISTEN: Duration = Duration::from_millis(200);

/// One pool that is probed.
pub(super) struct Watch {
    pub(super) shared: Arc<Shared>,
    pool: Arc<Pool>,
    /// What the configuration wants asked, and what asks that.
    probe: RefCell<Probe>,
    kind: RefCell<Rc<Kind>>,
    judge: RefCell<Judge>,
    members: RefCell<Vec<Rc<Member>>>,
    resets: Rc<Resets>,
    /// Something happened that can bring the next turn forward.
    happened: Notify,
    /// The link that the endpoints are reached over.
    pub(super) link: Link,
    /// Lines about the pool itself.
    pub(super) allowance: RefCell<Allowance>,
    /// The last trouble of our own that was told.
    pub(super) trouble: RefCell<Option<String>>,
    /// Why results were void, each with when that last was so.
    pub(super) voids: RefCell<Vec<(VoidCause, Time)>>,
}

/// One endpoint of the pool, or one that was removed while sessions stand on it.
pub(super) struct Member {
    pub(super) endpoint: Arc<Endpoint>,
    retired: Cell<bool>,
    /// Its next probe may have moved.
    pub(super) moved: Notify,
    /// The connection that serves the steady probes.
    pub(super) kept: RefCell<Option<Rc<Kept>>>,
    pub(super) under_way: drive::UnderWay,
    /// What was last told of its certificate.
    pub(super) told: Cell<Concern>,
    /// Lines about it.
    pub(super) allowance: RefCell<Allowance>,
    /// Which workers' sessions waited for a word of it at the last turn, and when that was.
    waits: RefCell<(Vec<Option<u64>>, Time)>,
}

impl Watch {
    pub(super) fn new(
        shared: Arc<Shared>,
        pool: Arc<Pool>,
        probe: Probe,
        kind: Kind,
        resets: Rc<Resets>,
    ) -> Rc<Self> {
        let judge = Judge::new(pool.plan().judge.clone(), fastrand::u64(..));
        Rc::new(Self {
            shared,
            pool,
            probe: RefCell::new(probe),
            kind: RefCell::new(Rc::new(kind)),
            judge: RefCell::new(judge),
            members: RefCell::default(),
            resets,
            happened: Notify::new(),
            link: Link::default(),
            allowance: RefCell::default(),
            trouble: RefCell::default(),
            voids: RefCell::default(),
        })
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) fn kind(&self) -> Rc<Kind> {
        self.kind.borrow().clone()
    }

    pub(super) fn settings(&self) -> Settings {
        self.pool.plan().judge.clone()
    }

    /// Addresses that clients of the balancer connect to, as far as the plan names them.
    pub(super) fn own_addresses(&self) -> Vec<IpAddr> {
        let addresses = self.shared.addresses();
        let specific = addresses.iter().map(|address| address.ip().to_canonical());
        specific.filter(|address| !address.is_unspecified()).collect()
    }

    /// Asks in another way from now on, and judges by the plan that is in force. What was seen
    /// stays; a connection that was kept for other questions does not.
    pub(super) fn set_kind(&self, probe: Probe, kind: Kind) {
        self.kind.replace(Rc::new(kind));
        if self.probe.replace(probe.clone()) != probe {
            self.members.borrow().iter().for_each(|member| drop(member.kept.take()));
        }
        self.judge.borrow_mut().set_settings(self.settings());
        self.settle(None);
    }

    /// Nobody asks any more: all endpoints count as `up`, as in a pool that never was asked.
    pub(super) fn end(&self) {
        for member in self.members.take() {
            let endpoint = &member.endpoint;
            self.judge.borrow_mut().forget(endpoint.key(), self.shared.time());
            endpoint.set_reset_order(0);
            self.pool.publish(endpoint, first_report(false));
            member.moved.notify_one();
        }
        // Of nobody who is there.
        self.judge.borrow_mut().take_events();
    }

    /// Whether the pool is gone, and all sessions that stood on its endpoints.
    pub(super) fn is_over(&self) -> bool {
        self.pool.is_closed() && self.members.borrow().is_empty()
    }

    /// Keeps the members as the pool has them.
    pub(super) async fn follow(self: Rc<Self>) {
        let mut changes = self.pool().changes();
        loop {
            self.adopt();
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn adopt(self: &Rc<Self>) {
        let now = self.shared.time();
        let endpoints = if self.pool.is_closed() { Arc::default() } else { self.pool.endpoints() };
        for endpoint in endpoints.iter() {
            let key = endpoint.key();
            match self.member(key) {
                Some(member) if !member.retired.replace(false) => {}
                Some(_) => self.judge.borrow_mut().add(key, now),
                None => self.begin(endpoint),
            }
        }
        for member in &*self.members.borrow() {
            let key = member.endpoint.key();
            let ready = member.endpoint.admin() == AdminState::Ready;
            self.judge.borrow_mut().set_in_rotation(key, ready, now);
            let stays = endpoints.iter().any(|endpoint| endpoint.key() == key);
            if !stays && !member.retired.replace(true) {
                self.judge.borrow_mut().retire(key, now);
                member.moved.notify_one();
            }
        }
        self.settle(None);
    }

    fn begin(self: &Rc<Self>, endpoint: &Arc<Endpoint>) {
        let member = Rc::new(Member {
            endpoint: endpoint.clone(),
            retired: Cell::new(false),
            moved: Notify::new(),
            kept: RefCell::default(),
            under_way: drive::UnderWay::default(),
            told: Cell::default(),
            allowance: RefCell::default(),
            waits: RefCell::new((Vec::new(), Time::START)),
        });
        self.members.borrow_mut().push(member.clone());
        self.judge.borrow_mut().add(endpoint.key(), self.shared.time());
        spawn_local(drive::drive(self.clone(), member));
    }

    fn member(&self, key: Key) -> Option<Rc<Member>> {
        self.members.borrow().iter().find(|member| member.endpoint.key() == key).cloned()
    }

    /// Forgets an endpoint that was removed, once no session stands on it; says whether it did.
    pub(super) fn forget_if_idle(&self, member: &Member) -> bool {
        if !member.retired.get() || member.endpoint.sessions() > 0 {
            return false;
        }
        let key = member.endpoint.key();
        self.tell_left_out_at_last(member);
        self.members.borrow_mut().retain(|member| member.endpoint.key() != key);
        self.judge.borrow_mut().forget(key, self.shared.time());
        self.settle(None);
        true
    }

    /// When and how the endpoint is to be probed next.
    pub(super) fn next_probe(&self, key: Key) -> Option<Next> {
        self.judge.borrow().next_probe(key)
    }

    /// A probe begins.
    pub(super) fn started(&self, key: Key, way: Way) {
        self.pool().cells().probing.started(way);
        self.judge.borrow_mut().started(key, way, self.shared.time());
    }

    /// Takes in what was seen of an endpoint.
    pub(super) fn observe(&self, key: Key, evidence: &Evidence) {
        self.pool().cells().probing.seen(evidence);
        // Bytes beat probes: what traffic heard is told before what would speak against it.
        match evidence {
            Evidence::Silent { .. } => self.tell_heard(|_| true),
            Evidence::Unanswered { .. } | Evidence::Slow { .. } => {
                self.tell_heard(|other| other == key);
            }
            _ => {}
        }
        let now = self.shared.time();
        self.judge.borrow_mut().observe(key, evidence, now);
        self.note_result(key, now);
        // Others are asked for a witness of silence.
        self.settle(Some(key).filter(|_| !matches!(evidence, Evidence::Silent { .. })));
        if let Evidence::Handshake(facts) = evidence {
            self.tell_certificate(key, *facts);
        }
    }

    /// Makes the results of an endpoint known, if there is one of `now`.
    fn note_result(&self, key: Key, now: Time) {
        let (judge, Some(member)) = (self.judge.borrow(), self.member(key)) else { return };
        let Some(history) = judge.history(key) else { return };
        let Some(last) = history.iter().next_back().filter(|last| last.at == now) else { return };
        member.endpoint.set_results(history.clone());
        if let Outcome::Void(cause) = last.outcome {
            self.tell_void(cause, now);
        }
    }

    pub(super) fn is_correlated(&self) -> bool {
        self.judge.borrow().is_correlated()
    }

    pub(super) fn is_in_panic(&self) -> bool {
        self.judge.borrow().availability() == Availability::Panic
    }

    /// Tells the judge what traffic heard of the endpoints.
    fn tell_heard(&self, of: impl Fn(Key) -> bool) {
        let now = self.shared.time();
        let mut judge = self.judge.borrow_mut();
        for member in &*self.members.borrow() {
            let key = member.endpoint.key();
            // What stands on an endpoint whose silence is a drill's goes on speaking.
            let is_frozen =
                || member.endpoint.drill().is_some_and(|it| it.fault() == Fault::Freeze);
            if !of(key) || is_frozen() {
                continue;
            }
            if let Some(at) = member.endpoint.heard_lasting() {
                judge.heard_lasting(key, at, now);
            }
            if let Some(at) = member.endpoint.heard() {
                judge.heard(key, at, now);
            }
        }
    }

    /// Has a look taken at endpoints that left a word of standing sessions unanswered since the last
    /// turn: new sessions may all go elsewhere. Only where they are asked for answers: elsewhere
    /// sessions may well talk in one direction.
    fn tell_slow(&self) {
        if !matches!(*self.kind(), Kind::Tls(_) | Kind::Http(_)) {
            return;
        }
        let (now, members) = (self.shared.time(), self.members.borrow().clone());
        for member in members {
            let waits: Vec<_> = member.endpoint.waits().collect();
            let (before, since) = member.waits.replace((waits.clone(), now));
            let still = |(a, b): (&Option<u64>, &Option<u64>)| a.is_some() && a == b;
            if before.iter().zip(&waits).any(still) {
                self.observe(member.endpoint.key(), &Evidence::Slow { since });
            }
        }
    }

    /// Lets time pass for the judge: holds expire, resets become due, and while sessions are being
    /// reset one byte from the endpoint stops that.
    pub(super) async fn turns(self: Rc<Self>) {
        let mut last = Instant::now();
        loop {
            // As moments, not as pauses: what happens meanwhile must not put a turn off.
            let next = self.next_turn(last);
            tokio::select! {
                biased;
                () = sleep_until(next.unwrap_or(last)), if next.is_some() => {
                    last = Instant::now();
                    self.tell_heard(|_| true);
                    self.tell_slow();
                    self.judge.borrow_mut().tick(self.shared.time());
                    self.resets.retry();
                    self.settle(None);
                    self.tell_left_out(&self.members.borrow());
                }
                () = self.happened.notified() => {}
            }
        }
    }

    fn next_turn(&self, last: Instant) -> Option<Instant> {
        let resetting = |member: &Rc<Member>| member.endpoint.reset_order() != 0;
        let busy = self.resets.is_waiting() || self.members.borrow().iter().any(resetting);
        let deadline = self.judge.borrow().next_deadline();
        let deadline = deadline.map(|at| Instant::now() + at.since(self.shared.time()));
        let deadline = deadline.map(|at| at.max(last + TURN_AT_LEAST));
        // Some times a second in any case: what traffic hears shows which endpoints are busy.
        let turn = if busy { Pacer::TURN } else { LISTEN };
        Some(deadline.map_or(last + turn, |at| at.min(last + turn)))
    }

    /// Does what the judge says after anything that can have changed its mind; `of`: the one
    /// endpoint that it concerns, as far as is known.
    fn settle(&self, of: Option<Key>) {
        let (events, pace) = {
            let mut judge = self.judge.borrow_mut();
            (judge.take_events(), judge.settings().pace)
        };
        // When a verdict changes the brakes can move the others.
        let all = of.is_none() || !events.is_empty();
        for event in events {
            match event {
                Event::Changed { key, before, report } => {
                    if let Some(member) = self.member(key) {
                        let known = member.endpoint.report();
                        self.pool().publish(&member.endpoint, report);
                        self.tell_verdict(&member, known, before, report);
                        self.tell_observer(&member, What::Changed(report));
                    }
                }
                Event::Reset { key, reason } => {
                    if let Some(member) = self.member(key)
                        && !self.tell_observer(&member, What::Reset(reason))
                    {
                        self.pool().cells().probing.resets_ordered();
                        self.resets.order(&member.endpoint, reason, pace);
                        self.tell_resets(&member, Some(reason));
                    }
                }
                Event::StopReset { key } => {
                    if let Some(member) = self.member(key)
                        && !self.tell_observer(&member, What::Spare)
                    {
                        member.endpoint.set_reset_order(0);
                        self.tell_resets(&member, None);
                    }
                }
                Event::Correlated(begins) => self.tell_correlated(begins),
                Event::Panic(begins) => self.tell_panic(begins),
            }
        }
        for member in &*self.members.borrow() {
            if all || Some(member.endpoint.key()) == of {
                member.moved.notify_one();
            }
        }
        self.happened.notify_one();
    }

    /// Tells who observes, if somebody does: then nothing stands on the endpoint, and nothing follows.
    fn tell_observer(&self, member: &Member, what: What) -> bool {
        let Some(tap) = self.shared.tap() else { return false };
        let (at, pool) = (self.shared.time(), self.pool.clone());
        tap.tell(Judged { at, pool, endpoint: member.endpoint.clone(), what });
        true
    }

    /// Tells of the certificate of an endpoint what changed for the worse.
    fn tell_certificate(&self, key: Key, facts: eclusa_policy::verdict::HandshakeFacts) {
        let Some(member) = self.member(key) else { return };
        member.endpoint.set_certificate_end(facts.not_after);
        let concern = Concern::of(facts, std::time::SystemTime::now());
        if self.is_apiserver() && member.told.get() != concern {
            self.announce_certificate(&member, concern);
        }
    }
}
