//! An endpoint at run time, and the lease on it.

use super::queue::{Grant, Places};
use crate::admin::AdminState;
use arc_swap::ArcSwap;
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
    /// Its sessions are being reset; which order, 0: none.
    reset_order: AtomicU64,
    /// Where it takes no more than so many sessions at once.
    places: Option<Arc<Places>>,
    cells: Box<[Cell]>,
}

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
    sessions: AtomicU32,
    picks: AtomicU64,
    failures: AtomicU64,
    /// When a byte last came from it, in milliseconds since the start.
    heard: AtomicU64,
    /// The same of sessions that have stood for a while.
    heard_lasting: AtomicU64,
}

impl Endpoint {
    pub(super) fn new(
        written: &plan::Endpoint,
        address: SocketAddr,
        workers: usize,
        probed: bool,
        places: Option<Arc<Places>>,
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
            reset_order: AtomicU64::new(0),
            places,
            cells: (0..workers).map(|_| Cell::default()).collect(),
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
        if let (Some(places), Some(limit)) = (self.places(), written.sessions_max) {
            places.set_limit(limit);
        }
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
        self.report.store(Arc::new(report));
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
            limit: self.places().map(Places::limit),
        }
    }

    pub(super) fn is_backup(&self) -> bool {
        self.written.load().backup
    }

    /// Whether it can go on under what is written now. Not when a limit comes or goes: sessions that
    /// nobody counted could not be given back. Then there is a new endpoint beside this one, which
    /// ends with its sessions.
    pub(super) fn adopts(&self, written: &plan::Endpoint) -> bool {
        self.places.is_some() == written.sessions_max.is_some()
    }

    pub(super) fn places(&self) -> Option<&Places> {
        self.places.as_deref()
    }

    /// How many of its places are taken; 0 where nobody counts them.
    #[must_use]
    pub fn places_taken(&self) -> u32 {
        self.places().map_or(0, Places::taken)
    }

    pub(super) fn has_place(&self) -> bool {
        self.places().is_none_or(|places| places.taken() < places.limit())
    }

    /// Takes one of its places, if there is one.
    pub(super) fn take_place(&self) -> bool {
        self.places().is_none_or(Places::take)
    }

    pub(super) fn give_place_back(&self) {
        if let Some(places) = self.places() {
            places.give_back();
        }
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
        self.cells.iter().map(|cell| cell.sessions.load(Ordering::Relaxed)).sum()
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
    worker: usize,
}

impl Lease {
    /// `None` where the endpoint has no place left.
    pub(super) fn take(endpoint: Arc<Endpoint>, worker: usize) -> Option<Self> {
        endpoint.take_place().then(|| Self::counted(endpoint, worker))
    }

    /// A lease for a place that was waited for.
    pub(super) fn of(grant: Grant, worker: usize) -> Option<Self> {
        grant.into_endpoint().map(|endpoint| Self::counted(endpoint, worker))
    }

    fn counted(endpoint: Arc<Endpoint>, worker: usize) -> Self {
        let lease = Self { endpoint, worker };
        lease.cell().sessions.fetch_add(1, Ordering::Relaxed);
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

    /// Notes that a byte came from the endpoint: `tick` is the worker's coarse time; `now` is asked
    /// only while something speaks against the endpoint. `lasting`: on a session that has stood for
    /// [`LASTING`] or more.
    pub(crate) fn heard(&self, tick: Time, now: impl FnOnce() -> Time, lasting: bool) {
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
        &self.endpoint.cells[self.worker]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.cell().sessions.fetch_sub(1, Ordering::Relaxed);
        self.endpoint.give_place_back();
    }
}
