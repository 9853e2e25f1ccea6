//! The observer: hears the judges and HAProxy, keeps both words on each endpoint, and tells.

use super::at::{At, Clock};
use super::compare::{Change, End, Pair, Reading, Said, Who};
use super::source::Answer;
use super::stat::{Table, cut};
use super::summary::{Of, Span};
use super::tally::Order;
use super::tap::{Judged, What};
use super::{told, would};
use crate::admin::client::{Page, Style};
use crate::engine::Engine;
use crate::observe::{Event, Severity};
use crate::pool::{Endpoint, Pool, PoolId};
use crate::probe::Allowance;
use eclusa_config::plan::Probe;
use eclusa_policy::verdict::{Key, Reason, Report};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Between two reads of HAProxy, while all agree...
pub(super) const READ_EVERY: Duration = Duration::from_secs(2);
/// ...and for [`PRESSING`] after somebody came to say something else: who noticed when is to be known.
pub(super) const READ_SOON: Duration = Duration::from_millis(500);
const PRESSING: Duration = Duration::from_secs(30);
/// What HAProxy said last counts for so long when it cannot be read any more.
const KNOWN_FOR: Duration = Duration::from_secs(10);
/// Names in a line.
const NAMES_MAX: usize = 10;

/// An endpoint, and what is said of it.
struct Entry {
    pool: Arc<Pool>,
    endpoint: Arc<Endpoint>,
    pair: Pair,
    /// What HAProxy calls it, and its sessions there.
    names: Vec<String>,
    sessions: Option<u64>,
    /// The order that follows from its verdict.
    ordered: Option<Order>,
    /// Lines about it.
    allowance: Allowance,
}

/// HAProxy, as far as it is read.
struct Haproxy {
    /// Where.
    source: String,
    /// It was read last at this moment.
    heard: Option<At>,
    /// It cannot be read.
    in_trouble: bool,
    /// Who stands on one side alone, as it was told last.
    alone: Option<(BTreeSet<String>, BTreeSet<String>)>,
    allowance: Allowance,
}

/// A read of HAProxy: when it was asked, when it had answered, what came of it.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) asked: At,
    pub(super) answered: At,
    /// `Ok(None)`: nothing new.
    pub(super) answer: Result<Option<Answer>, String>,
}

/// All that is observed.
pub(super) struct Observer {
    engine: Arc<Engine>,
    entries: HashMap<Key, Entry>,
    haproxy: Option<Haproxy>,
    /// Pools that could take no session.
    closed: HashSet<PoolId>,
    day: At,
    clock: Clock,
    /// What judges said that found no place.
    lost: Arc<AtomicU64>,
}

impl Entry {
    fn new(pool: &Arc<Pool>, endpoint: &Arc<Endpoint>, now: At) -> Self {
        Self {
            pool: pool.clone(),
            endpoint: endpoint.clone(),
            pair: Pair::new(now),
            names: Vec::new(),
            sessions: None,
            ordered: None,
            allowance: Allowance::default(),
        }
    }

    fn whom(&self) -> String {
        format!("{} of pool {}", self.endpoint.name(), self.pool.name())
    }

    /// Takes a report in. Returns the order that follows from it, if that is a new one.
    fn note(&mut self, at: At, report: &Report) -> Option<Order> {
        if let Some(said) = Said::of(report) {
            let why = format!("{}: {}", report.verdict.name(), report.reason);
            self.pair.we_say(at, said, &why);
            if said != Said::Out {
                self.ordered = None;
            }
        }
        would::follows(report, self.ordered)
    }

    /// Whether they differ; `None`: one of them says nothing.
    fn differs(&self) -> Option<bool> {
        let says = |who| self.pair.word(who).said;
        self.pair.is_compared().then(|| says(Who::We) != says(Who::Haproxy))
    }

    /// Takes in what HAProxy's table says of it.
    fn read(&mut self, table: &Table, asked: At, answered: At) -> Vec<Change> {
        let (pool, name) = (self.pool.name(), self.endpoint.name());
        let Some(theirs) = table.of(pool, &name, self.endpoint.address()) else {
            (self.names, self.sessions) = (Vec::new(), None);
            return self.pair.haproxy_is_silent(answered);
        };
        (self.names, self.sessions) = (theirs.names, Some(theirs.sessions));
        let (said, words) = (theirs.said, theirs.words);
        let (since, falls) = (theirs.since, theirs.falls);
        self.pair.haproxy_says(&Reading { asked, answered, said, words, since, falls })
    }
}

impl Observer {
    /// `source`: where HAProxy is read, if it is; `lost`: what judges said that found no place.
    pub(super) fn new(engine: Arc<Engine>, source: Option<String>, lost: Arc<AtomicU64>) -> Self {
        let haproxy = source.map(|source| Haproxy {
            source,
            heard: None,
            in_trouble: false,
            alone: None,
            allowance: Allowance::default(),
        });
        let (entries, closed) = (HashMap::new(), HashSet::new());
        let clock = Clock::at(engine.time().into());
        let day = At::default();
        let observer = Self { engine, entries, haproxy, closed, day, clock, lost };
        let pools = observer.pools();
        observer.engine.metrics().observing_begins(pools.iter().map(|pool| pool.name()));
        observer
    }

    pub(super) fn now(&self) -> At {
        self.engine.time().into()
    }

    /// The pools that are probed: of the others only traffic could tell.
    fn pools(&self) -> Vec<Arc<Pool>> {
        let pools = self.engine.status().pools;
        pools.iter().filter(|pool| pool.plan().probe != Probe::None).cloned().collect()
    }

    /// A judge said something.
    pub(super) fn judged(&mut self, judged: &Judged) {
        let Judged { at, pool, endpoint, what } = judged;
        let (key, now) = (endpoint.key(), self.now());
        let entry = self.entries.entry(key);
        let entry = entry.or_insert_with(|| Entry::new(pool, endpoint, now));
        match what {
            What::Changed(report) => {
                if let Some(order) = entry.note((*at).into(), report) {
                    self.order(key, order, report.reason);
                }
                self.look_at_pool(pool);
            }
            What::Reset(reason) => self.order(key, Order::Reset, *reason),
            What::Spare => self.engine.event(would::spared(pool.name(), endpoint)),
        }
    }

    fn order(&mut self, key: Key, order: Order, reason: Reason) {
        let (time, engine) = (self.engine.time(), &self.engine);
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if order != Order::Reset {
            entry.ordered = Some(order);
        }
        let (pool, sessions) = (entry.pool.name(), entry.sessions);
        engine.metrics().would_have(pool, order.word());
        if entry.allowance.take(time) {
            engine.event(would::ordered(pool, &entry.endpoint, order, reason, sessions));
        }
        entry.pair.order(order, sessions.unwrap_or(0));
    }

    /// Whether a pool could take a session, where that has changed.
    fn look_at_pool(&mut self, pool: &Arc<Pool>) {
        let is_closed = would::is_closed(pool);
        let changed = match is_closed {
            true => self.closed.insert(pool.id()),
            false => self.closed.remove(&pool.id()),
        };
        if !changed {
            return;
        }
        if is_closed {
            self.engine.metrics().would_have(pool.name(), Order::TurnAway.word());
        }
        self.engine.event(would::turned_away(pool, is_closed));
    }

    /// Looks at everything, once a second: endpoints come and go with names, and a word of a judge can have
    /// been lost.
    pub(super) fn look(&mut self) {
        self.forget();
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let message =
                format!("{lost} words of the judges were lost: what is told goes out too slowly");
            self.engine.event(Event::new("left_out", message).about("left_out", lost));
        }
        let (now, time) = (self.now(), self.engine.time());
        let mut present = HashSet::new();
        for pool in self.pools() {
            let mut counts = (0, 0);
            for endpoint in pool.endpoints().iter() {
                let key = endpoint.key();
                present.insert(key);
                let entry = self.entries.entry(key);
                let entry = entry.or_insert_with(|| Entry::new(&pool, endpoint, now));
                let report = endpoint.report();
                let follows = entry.note(report.since.into(), &report);
                let differs = entry.differs();
                counts.0 += u32::from(differs.is_some());
                counts.1 += u32::from(differs == Some(true));
                if let Some(left_out) = entry.allowance.take_left_out(time) {
                    let message = format!("{left_out} lines about {} were left out", entry.whom());
                    self.engine.event(Event::new("left_out", message).about("left_out", left_out));
                }
                if let Some(order) = follows {
                    self.order(key, order, report.reason);
                }
            }
            self.engine.metrics().compared(pool.name(), counts.0, counts.1);
            self.look_at_pool(&pool);
        }
        self.entries.retain(|key, _| present.contains(key));
    }

    /// How long to wait for the next read of HAProxy.
    pub(super) fn pause(&self) -> Duration {
        let now = self.now();
        let is_new = |entry: &Entry, who| {
            let since = entry.pair.word(who).since.to;
            now.since(since) < PRESSING
        };
        let presses = |entry: &Entry| {
            entry.differs() == Some(true) && (is_new(entry, Who::We) || is_new(entry, Who::Haproxy))
        };
        if self.entries.values().any(presses) { READ_SOON } else { READ_EVERY }
    }

    /// HAProxy was read, or could not be.
    pub(super) fn read(&mut self, read: Read) {
        let Read { asked, answered, answer } = read;
        self.engine.metrics().haproxy_read(answer.is_ok());
        let Some(haproxy) = &mut self.haproxy else { return };
        match answer {
            Err(why) => self.trouble(&why),
            Ok(answer) => {
                haproxy.heard = Some(self.engine.time().into());
                if std::mem::take(&mut haproxy.in_trouble) {
                    let message = format!("HAProxy can be read again: {}", haproxy.source);
                    self.engine.event(Event::new("haproxy", message));
                }
                if let Some(Answer { rows, age }) = answer {
                    self.compare(&Table::new(rows), asked.before(age), answered.before(age));
                }
            }
        }
    }

    /// What HAProxy said last counts no longer after a while.
    fn forget(&mut self) {
        let now = self.now();
        let Some(haproxy) = &mut self.haproxy else { return };
        if haproxy.in_trouble && haproxy.heard.is_some_and(|heard| now.since(heard) >= KNOWN_FOR) {
            haproxy.heard = None;
            self.each(|entry| {
                entry.sessions = None;
                entry.pair.haproxy_is_silent(now)
            });
        }
    }

    /// Tells once that HAProxy cannot be read.
    fn trouble(&mut self, why: &str) {
        let Some(haproxy) = &mut self.haproxy else { return };
        if !std::mem::replace(&mut haproxy.in_trouble, true) {
            let source = &haproxy.source;
            let message = format!(
                "HAProxy cannot be read: {source}: {}; it is tried again, and the judging goes on",
                cut(why, 200)
            );
            let event = Event::new("haproxy", message).severity(Severity::Warning);
            self.engine.event(event.about("source", source.as_str()));
        }
    }

    fn compare(&mut self, table: &Table, asked: At, answered: At) {
        self.each(|entry| entry.read(table, asked, answered));
        let known: HashSet<&String> = self.entries.values().flat_map(|it| &it.names).collect();
        let theirs: BTreeSet<String> = table.names().filter(|name| !known.contains(name)).collect();
        let unknown = self.entries.values().filter(|entry| entry.names.is_empty());
        let ours: BTreeSet<String> = unknown.map(Entry::whom).collect();
        self.tell_alone(ours, theirs);
    }

    /// Tells who stands on one side alone, where that has changed.
    fn tell_alone(&mut self, ours: BTreeSet<String>, theirs: BTreeSet<String>) {
        let time = self.engine.time();
        let Some(haproxy) = &mut self.haproxy else { return };
        let alone = Some((ours, theirs));
        if haproxy.alone == alone {
            return;
        }
        let allowance = &mut haproxy.allowance;
        if allowance.take_left_out(time).is_none() && !allowance.take(time) {
            return;
        }
        haproxy.alone = alone;
        let Some((ours, theirs)) = &haproxy.alone else { return };
        let tell = |names: &BTreeSet<String>| {
            let first: Vec<&str> = names.iter().take(NAMES_MAX).map(String::as_str).collect();
            let more = if names.len() > NAMES_MAX { ", ..." } else { "" };
            format!("{}{more} ({} in all)", first.join(", "), names.len())
        };
        for (names, what) in [
            (ours, "HAProxy has no row for these endpoints, which are compared with nothing"),
            (theirs, "these endpoints of HAProxy's are in no pool that is probed here"),
        ] {
            if !names.is_empty() {
                let event = Event::new("haproxy", format!("{what}: {}", tell(names)));
                self.engine.event(event.severity(Severity::Warning));
            }
        }
    }

    /// Does something with each endpoint, and tells of the changes that come of it.
    fn each(&mut self, mut of: impl FnMut(&mut Entry) -> Vec<Change>) {
        let (now, time) = (self.now(), self.engine.time());
        self.clock = self.clock.again(now);
        let clock = self.clock;
        for entry in self.entries.values_mut() {
            for change in of(entry) {
                count(&self.engine, entry.pool.name(), &change);
                if entry.allowance.take(time) {
                    let event = told::event(&change, &entry.whom(), clock, now)
                        .about("pool", entry.pool.name())
                        .about("endpoint", &*entry.endpoint.name())
                        .about("address", entry.endpoint.address().to_string());
                    self.engine.event(event);
                }
            }
        }
    }

    /// The summary, of this day or of all: to the log, an event for each endpoint, after each of which
    /// `told` is called; and as a page for people. `day` begins another day.
    ///
    /// # Errors
    /// What `told` says.
    pub(super) fn summary(
        &mut self,
        day: bool,
        colour: bool,
        mut told: impl FnMut() -> io::Result<()>,
    ) -> io::Result<String> {
        let to = self.now();
        let from = if day { self.day } else { At::default() };
        self.clock = self.clock.again(to);
        let span = Span { from, to, clock: self.clock };
        let mut keys = Vec::new();
        for pool in self.pools() {
            keys.extend(pool.endpoints().iter().map(|endpoint| endpoint.key()));
        }
        keys.retain(|key| self.entries.contains_key(key));
        let differing = self.entries.values().filter(|it| it.differs() == Some(true)).count();
        let mut page = Page::new(colour);
        page.line(&span.head(keys.len(), differing), Style::Bold);
        let with_haproxy = self.haproxy.is_some();
        for key in keys {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let (name, tally) = (entry.endpoint.name(), entry.pair.tally(to, day));
            let of = Of {
                pool: entry.pool.name(),
                name: &name,
                address: entry.endpoint.address(),
                names: &entry.names,
                with_haproxy,
                pair: &entry.pair,
                tally,
            };
            of.write(&mut page, span);
            self.engine.event(of.event(span, day));
            told()?;
            if day {
                entry.pair.begin_day();
            }
        }
        if day {
            self.day = to;
        }
        Ok(page.into_text())
    }
}

/// Counts a change.
fn count(engine: &Engine, pool: &str, change: &Change) {
    match change.end {
        End::Open => {
            let out_by = if change.said == Said::Out { change.by } else { change.by.other() };
            engine.metrics().disagreement(pool, told::word(out_by));
        }
        End::Followed | End::AtOnce if change.said == Said::Out && !change.from_the_start => {
            engine.metrics().noticed(pool, told::first(change));
        }
        End::Brief => engine.metrics().disagreement(pool, told::word(change.by)),
        _ => {}
    }
}
