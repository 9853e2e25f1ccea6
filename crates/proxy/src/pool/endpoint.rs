//! An endpoint at run time, and the lease on it.

use super::queue::{Grant, Place, Places};
use crate::admin::AdminState;
use crate::drill::Drill;
use arc_swap::{ArcSwap, ArcSwapOption};
use eclusa_config::plan;
use eclusa_policy::balance::{Ramp, Standing, identity_of};
use eclusa_policy::rebalance::Load;
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{History, Key, Onward, Reason, Report, Tier, Verdict};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// A session that has stood for so long shows that its endpoint is busy (a watch, a tunnel).
pub(crate) const LASTING: Duration = Duration::from_secs(5);

/// One address that traffic can go to, with its live numbers. Outlives a change of the pool's set
/// as long as its address stays.
#[derive(Debug)]
pub struct Endpoint {
    key: Key,
    address: SocketAddr,
    written: ArcSwap<Written>,
    /// What the operator wants of it, and the weight that holds in place of the written one.
    ordered: ArcSwap<Ordered>,
    report: ArcSwap<Report>,
    /// When its certificate ends, in seconds since 1970; 0: no probe has seen one.
    certificate_end: AtomicI64,
    results: ArcSwap<History>,
    /// Something speaks against it: bytes from it are noted to the millisecond.
    doubted: AtomicBool,
    /// There may be a drill.
    drilled: AtomicBool,
    drill: ArcSwapOption<Drill>,
    /// Its sessions are being reset; which order, 0: none.
    reset_order: AtomicU64,
    /// Sessions that it takes at once; [`NO_LIMIT`]: as many as come.
    limit: AtomicU32,
    /// Counts them exactly while there is a limit.
    places: Arc<Places>,
    cells: Box<[Cell]>,
    /// One for each worker, as the cells.
    waits: Box<[Wait]>,
}

/// More sessions than there can be.
const NO_LIMIT: u32 = u32::MAX;

/// What the configuration says of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The name that resolved to its address, where the configuration has one.
    pub host: Option<Arc<str>>,
    /// Share of new sessions relative to the others.
    pub weight: u16,
    /// Used only while no other endpoint can take traffic.
    pub backup: bool,
}

/// What the operator has ordered of an endpoint, past the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ordered {
    pub(crate) admin: AdminState,
    pub(crate) weight: Option<u16>,
}

impl From<&plan::Endpoint> for Written {
    fn from(endpoint: &plan::Endpoint) -> Self {
        Self {
            name: endpoint.name.clone(),
            host: match &endpoint.address {
                plan::EndpointAddress::Name { host, .. } => Some(host.clone()),
                plan::EndpointAddress::Socket(_) => None,
            },
            weight: endpoint.weight,
            backup: endpoint.backup,
        }
    }
}

/// The numbers that one worker keeps of an endpoint: on a cache line of their own, written by that
/// worker alone, added up by whoever reads.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell {
    /// Sessions with a place that counts.
    counted: AtomicU32,
    /// Sessions from a time without a limit: they fill it up, and no number that workers share has
    /// them.
    uncounted: AtomicU32,
    picks: AtomicU64,
    failures: AtomicU64,
    /// When a byte last came from it, in milliseconds since the start.
    heard: AtomicU64,
    /// The same of sessions that have stood for a while.
    heard_lasting: AtomicU64,
}

/// Whether sessions of one worker wait for a word of an endpoint: odd while they do, another number
/// each time. On a cache line of its own, which nobody reads who picks.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Wait(AtomicU64);

impl Wait {
    /// Bytes went to the endpoint.
    fn begin(&self) {
        let now = self.0.load(Ordering::Relaxed);
        if now & 1 == 0 {
            self.0.store(now + 1, Ordering::Relaxed);
        }
    }

    /// A byte came from it.
    fn end(&self) {
        let now = self.0.load(Ordering::Relaxed);
        if now & 1 == 1 {
            self.0.store(now + 1, Ordering::Relaxed);
        }
    }
}

impl Endpoint {
    pub(super) fn new(
        written: &plan::Endpoint,
        address: SocketAddr,
        workers: usize,
        probed: bool,
        places: Arc<Places>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            key: Key(NEXT.fetch_add(1, Ordering::Relaxed)),
            address,
            written: ArcSwap::from_pointee(written.into()),
            ordered: ArcSwap::default(),
            report: ArcSwap::from_pointee(first_report(probed)),
            certificate_end: AtomicI64::new(0),
            results: ArcSwap::default(),
            doubted: AtomicBool::new(false),
            drilled: AtomicBool::new(false),
            drill: ArcSwapOption::empty(),
            reset_order: AtomicU64::new(0),
            limit: AtomicU32::new(written.sessions_max.unwrap_or(NO_LIMIT)),
            places,
            cells: (0..workers).map(|_| Cell::default()).collect(),
            waits: (0..workers).map(|_| Wait::default()).collect(),
        }
    }

    /// What the judge of its pool knows it by.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        self.written.load().name.clone()
    }

    /// What the configuration says of it.
    #[must_use]
    pub fn written(&self) -> Arc<Written> {
        self.written.load_full()
    }

    pub(super) fn set_written(&self, written: &plan::Endpoint) {
        // Above it nobody is sent away; nobody new comes.
        self.limit.store(written.sessions_max.unwrap_or(NO_LIMIT), Ordering::SeqCst);
        let written = Written::from(written);
        if **self.written.load() != written {
            self.written.store(Arc::new(written));
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What probes and traffic show of it, and what follows.
    #[must_use]
    pub fn report(&self) -> Report {
        **self.report.load()
    }

    pub(super) fn publish(&self, report: Report) {
        self.doubted.store(report.verdict != Verdict::Up, Ordering::Relaxed);
        if let Some(drill) = self.drill() {
            drill.saw(&report);
        }
        self.report.store(Arc::new(report));
    }

    /// The drill that is on. Whoever is about to connect asks, and nobody else: without one it is a load
    /// of a line that is written when a verdict changes.
    pub(crate) fn drill(&self) -> Option<Arc<Drill>> {
        if self.drilled.load(Ordering::Relaxed) { self.drill_on() } else { None }
    }

    #[cold]
    fn drill_on(&self) -> Option<Arc<Drill>> {
        self.drill.load_full().filter(|drill| !drill.is_over())
    }

    /// Whether a drill is on: then no connection that was made before is to be used again.
    #[must_use]
    pub fn is_drilled(&self) -> bool {
        self.drill().is_some()
    }

    /// Begins a drill, or ends it.
    pub(crate) fn set_drill(&self, drill: Option<Arc<Drill>>) {
        let drilled = drill.is_some();
        self.drill.store(drill);
        self.drilled.store(drilled, Ordering::Release);
    }

    /// Its share of new sessions, relative to the others.
    #[must_use]
    pub fn weight(&self) -> u16 {
        self.ordered.load().weight.unwrap_or_else(|| self.written.load().weight)
    }

    pub(crate) fn admin(&self) -> AdminState {
        self.ordered.load().admin
    }

    /// Sets what the operator has ordered; says whether that is something else than before.
    pub(super) fn set_ordered(&self, ordered: Ordered) -> bool {
        *self.ordered.swap(Arc::new(ordered)) != ordered
    }

    /// When the certificate that a probe saw last ends, in seconds since 1970.
    #[must_use]
    pub fn certificate_end(&self) -> Option<i64> {
        Some(self.certificate_end.load(Ordering::Relaxed)).filter(|end| *end != 0)
    }

    pub(crate) fn set_certificate_end(&self, end: Option<i64>) {
        self.certificate_end.store(end.unwrap_or(0), Ordering::Relaxed);
    }

    /// The last results of its probes.
    #[must_use]
    pub fn results(&self) -> Arc<History> {
        self.results.load_full()
    }

    pub(crate) fn set_results(&self, results: History) {
        self.results.store(Arc::new(results));
    }

    pub(super) fn standing(&self, slow_start: Duration) -> Standing {
        let (report, written) = (self.report(), self.written.load());
        Standing {
            tier: if self.admin() == AdminState::Ready { report.tier } else { Tier::Closed },
            weight: self.weight(),
            priority: u8::from(written.backup),
            identity: identity_of(self.address),
            ramp: report.risen.map(|from| Ramp { from, length: slow_start }),
            limit: self.limit(),
        }
    }

    /// Whether it is in service, and nothing that is believed speaks against it.
    pub(super) fn is_well(&self) -> bool {
        let report = self.report();
        let well = match report.verdict {
            Verdict::Up | Verdict::Unknown | Verdict::Suspect | Verdict::Unresolved => true,
            Verdict::Dead | Verdict::Draining => false,
        };
        well && !report.correlated && self.admin() == AdminState::Ready
    }

    pub(super) fn is_backup(&self) -> bool {
        self.written.load().backup
    }

    /// Sessions that it takes at once; `None`: as many as come.
    fn limit(&self) -> Option<u32> {
        Some(self.limit.load(Ordering::SeqCst)).filter(|limit| *limit != NO_LIMIT)
    }

    /// How many of its places are taken; 0 where there is no limit.
    #[must_use]
    pub fn places_taken(&self) -> u32 {
        self.limit().map_or(0, |_| self.places.taken().saturating_add(self.uncounted()))
    }

    pub(super) fn has_place(&self) -> bool {
        self.limit().is_none_or(|limit| self.places_taken() < limit)
    }

    /// Takes one of its places, if there is one. At the moment when a limit appears a worker that did
    /// not see it yet can take one too many.
    pub(super) fn take_place(&self) -> Option<Place> {
        let Some(limit) = self.limit() else { return Some(Place::Uncounted) };
        let left = limit.saturating_sub(self.uncounted());
        self.places.take(left).then_some(Place::Counted)
    }

    /// Gives a place back, to whoever waits for it. One that is not counted must be free by now.
    pub(super) fn give_place_back(&self, place: Place) {
        match place {
            Place::Counted => self.places.give_back(),
            Place::Uncounted if self.limit().is_some() => self.places.tell_free(),
            Place::Uncounted => {}
        }
    }

    /// Gives a place back without a look at who waits.
    pub(super) fn put_place_down(&self, place: Place) {
        if place == Place::Counted {
            self.places.put_down();
        }
    }

    /// In sequential consistency with the limit and with who begins to wait: as the places are.
    fn uncounted(&self) -> u32 {
        self.cells.iter().map(|cell| cell.uncounted.load(Ordering::SeqCst)).sum()
    }

    /// Sessions for its weight, in 1/256.
    pub(super) fn relative_load(&self) -> u64 {
        (u64::from(self.sessions()) << 8) / u64::from(self.weight().max(1))
    }

    /// What gentle rebalance needs to know of it; `None` of a spare one, which has no share.
    pub(super) fn load(&self, slot: u32, slow_start: Duration, now: Time) -> Option<Load> {
        let report = self.report();
        let risen = report.risen.is_none_or(|risen| now.since(risen) >= slow_start);
        let ready = self.admin() == AdminState::Ready;
        let full = ready && report.tier == Tier::Up && !report.correlated && risen;
        let (weight, sessions) = (self.weight(), self.sessions());
        (!self.is_backup()).then_some(Load { slot, weight, sessions, quiet: 0, full })
    }

    /// Sessions on it at this moment, dials under way included.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        let of = |cell: &Cell| {
            let counted = cell.counted.load(Ordering::Relaxed);
            counted.saturating_add(cell.uncounted.load(Ordering::Relaxed))
        };
        self.cells.iter().map(of).sum()
    }

    /// How often it was picked.
    #[must_use]
    pub fn picks(&self) -> u64 {
        self.cells.iter().map(|cell| cell.picks.load(Ordering::Relaxed)).sum()
    }

    /// How many dials of it failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.cells.iter().map(|cell| cell.failures.load(Ordering::Relaxed)).sum()
    }

    /// When traffic last heard a byte from it. While nothing speaks against it the time is that of
    /// the worker's last tick; then it is exact.
    #[must_use]
    pub fn heard(&self) -> Option<Time> {
        latest(self.cells.iter().map(|cell| &cell.heard))
    }

    /// The same of sessions that have stood for [`LASTING`] or more.
    #[must_use]
    pub fn heard_lasting(&self) -> Option<Time> {
        latest(self.cells.iter().map(|cell| &cell.heard_lasting))
    }

    /// For each worker whether its sessions wait for a word of it: the wait's number, which the next
    /// wait has not.
    pub(crate) fn waits(&self) -> impl Iterator<Item = Option<u64>> {
        let numbers = self.waits.iter().map(|wait| wait.0.load(Ordering::Relaxed));
        numbers.map(|number| (number & 1 == 1).then_some(number))
    }

    /// Begins (a number) or ends (0) the reset of its sessions.
    pub(crate) fn set_reset_order(&self, order: u64) {
        self.reset_order.store(order, Ordering::Release);
    }

    /// The reset order in force; 0: none.
    pub(crate) fn reset_order(&self) -> u64 {
        self.reset_order.load(Ordering::Acquire)
    }
}

/// The latest of the moments in some cells; 0 stands for none.
fn latest<'a>(moments: impl Iterator<Item = &'a AtomicU64>) -> Option<Time> {
    let latest = moments.map(|moment| moment.load(Ordering::Relaxed)).max()?;
    (latest > 0).then(|| Time::from_millis(latest))
}

/// What is held of an endpoint of which nothing was seen.
pub(crate) fn first_report(probed: bool) -> Report {
    let (verdict, reason, tier) = if probed {
        (Verdict::Unknown, Reason::NotProbed, Tier::Unprobed)
    } else {
        (Verdict::Up, Reason::NotProbed, Tier::Up)
    };
    Report {
        verdict,
        reason,
        since: Time::START,
        blind: false,
        correlated: false,
        tier,
        onward: Onward::GoOn,
        risen: None,
    }
}

/// The right to use one endpoint once, taken by a worker; dropped = released.
#[derive(Debug)]
pub struct Lease {
    endpoint: Arc<Endpoint>,
    worker: u32,
    place: Place,
}

impl Lease {
    /// `None` where the endpoint has no place left.
    pub(super) fn take(endpoint: Arc<Endpoint>, worker: usize) -> Option<Self> {
        let place = endpoint.take_place()?;
        Some(Self::counted(endpoint, worker, place))
    }

    /// A lease for a place that was waited for.
    pub(super) fn of(grant: Grant, worker: usize) -> Option<Self> {
        grant.into_place().map(|(endpoint, place)| Self::counted(endpoint, worker, place))
    }

    fn counted(endpoint: Arc<Endpoint>, worker: usize, place: Place) -> Self {
        // There are as many workers as processors, at most.
        let lease = Self { endpoint, worker: u32::try_from(worker).unwrap_or(0), place };
        lease.sessions().fetch_add(1, Ordering::SeqCst);
        lease.cell().picks.fetch_add(1, Ordering::Relaxed);
        lease
    }

    /// The endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    pub(super) fn count_failure(&self) {
        self.cell().failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that bytes went to the endpoint.
    pub(crate) fn asked(&self) {
        if let Some(wait) = self.endpoint.waits.get(self.worker as usize) {
            wait.begin();
        }
    }

    /// Notes that a byte came from the endpoint: `tick` is the worker's coarse time; `now` is asked
    /// only while something speaks against the endpoint. `lasting`: on a session that has stood for
    /// [`LASTING`] or more.
    pub(crate) fn heard(&self, tick: Time, now: impl FnOnce() -> Time, lasting: bool) {
        if let Some(wait) = self.endpoint.waits.get(self.worker as usize) {
            wait.end();
        }
        let at = if self.endpoint.doubted.load(Ordering::Relaxed) { now() } else { tick };
        let millis = u64::try_from(at.since_start().as_millis()).unwrap_or(u64::MAX);
        let note = |moment: &AtomicU64| {
            // Others read this cache line when they pick: it is written once a tick, not per read.
            if moment.load(Ordering::Relaxed) != millis {
                moment.store(millis, Ordering::Relaxed);
            }
        };
        note(&self.cell().heard);
        if lasting {
            note(&self.cell().heard_lasting);
        }
    }

    fn cell(&self) -> &Cell {
        &self.endpoint.cells[self.worker as usize]
    }

    /// Where it is counted.
    fn sessions(&self) -> &AtomicU32 {
        match self.place {
            Place::Counted => &self.cell().counted,
            Place::Uncounted => &self.cell().uncounted,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.sessions().fetch_sub(1, Ordering::SeqCst);
        self.endpoint.give_place_back(self.place);
    }
}
