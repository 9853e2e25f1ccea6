//! Pools at run time: their endpoints, and which of them takes the next session.

mod dial;
mod endpoint;
mod own_map;
mod pick;
mod preview;
mod queue;
mod rebalance;

pub(crate) use dial::{Call, DialFailure, Dialled, FailureKind, dial, source_for};
pub use endpoint::Lease;
pub use endpoint::{Endpoint, Written};
pub(crate) use endpoint::{LASTING, Ordered, first_report};
pub use own_map::OwnMap;
pub(crate) use pick::{Pickers, Wanted};
pub(crate) use preview::{Position, Preview};
pub use queue::QueueTime;
pub(crate) use queue::{Patience, Queued};
pub(crate) use rebalance::level;

use crate::observe::metrics::{Metrics, PoolCells};
use crate::probe::FileCertificate;
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use eclusa_config::plan;
use eclusa_policy::verdict::Report;
use queue::Line;
use rebalance::Rebalancer;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Tells a pool from every other that this process ever had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolId(u64);

/// A pool: its plan and the endpoints that it has at this moment. It lives as long as the
/// configuration has a pool of its name: what a reload changes is changed in place.
#[derive(Debug)]
pub struct Pool {
    id: PoolId,
    name: Arc<str>,
    plan: ArcSwap<plan::Pool>,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    /// Changes whenever the plan, the set of endpoints or a verdict does; pickers are rebuilt by it.
    epoch: AtomicU64,
    /// Tells the probes and the resolver that the plan or the set of endpoints has changed.
    changed: watch::Sender<()>,
    /// No configuration names it any more.
    closed: AtomicBool,
    rebuilding: Mutex<()>,
    workers: usize,
    /// Where its sessions and probes are counted.
    cells: Arc<PoolCells>,
    /// Where sessions wait for a place.
    line: Arc<Line>,
    /// An endpoint has a limit.
    limited: AtomicBool,
    rebalancer: ArcSwapOption<Rebalancer>,
    /// What its probes use.
    certificates: ArcSwap<Vec<FileCertificate>>,
}

impl Pool {
    /// A pool of which the endpoints given by address exist already; names come with
    /// [`Pool::set_resolved`].
    pub(crate) fn new(plan: Arc<plan::Pool>, metrics: &Metrics) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let pool = Self {
            id: PoolId(NEXT.fetch_add(1, Ordering::Relaxed)),
            name: plan.name.clone(),
            cells: metrics.pool(&plan.name),
            line: Line::new(plan.queue.length, plan.queue.timeout),
            plan: ArcSwap::new(plan),
            endpoints: ArcSwap::default(),
            epoch: AtomicU64::new(1),
            changed: watch::Sender::new(()),
            closed: AtomicBool::new(false),
            rebuilding: Mutex::default(),
            workers: metrics.workers(),
            limited: AtomicBool::new(false),
            rebalancer: ArcSwapOption::empty(),
            certificates: ArcSwap::default(),
        };
        pool.adopt_settings();
        pool.rebuild(|_| None);
        pool
    }

    /// What it is known by inside the program.
    #[must_use]
    pub fn id(&self) -> PoolId {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the configuration says of the pool.
    #[must_use]
    pub fn plan(&self) -> Guard<Arc<plan::Pool>> {
        self.plan.load()
    }

    /// The endpoints at this moment.
    #[must_use]
    pub fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// Whether no configuration names it any more. Sessions go on; nobody new comes.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether endpoints may be there at all: `upstreams_within` binds what the file, DNS or an
    /// import says.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        let (address, plan) = (address.to_canonical(), self.plan());
        let within = plan.within.as_deref();
        within.is_none_or(|networks| networks.iter().any(|network| network.contains(&address)))
    }

    /// How many endpoints are held to be well and in service: those that are no backups, or the backups
    /// where no other is. What fell with all the others is not well here, although traffic still goes
    /// there. Where there are `enough`, no more are counted.
    #[must_use]
    pub fn available(&self, enough: usize) -> usize {
        let (mut usual, mut backups) = (0, 0);
        for endpoint in self.endpoints.load().iter().filter(|endpoint| endpoint.is_well()) {
            *(if endpoint.is_backup() { &mut backups } else { &mut usual }) += 1;
            if usual >= enough {
                break;
            }
        }
        if usual > 0 { usual } else { backups }
    }

    /// The certificates that its probes use, from files.
    pub(crate) fn certificates(&self) -> Arc<Vec<FileCertificate>> {
        self.certificates.load_full()
    }

    pub(crate) fn set_certificates(&self, certificates: Vec<FileCertificate>) {
        self.certificates.store(Arc::new(certificates));
    }

    pub(crate) fn cells(&self) -> &PoolCells {
        &self.cells
    }

    /// Sessions that wait for a place on an endpoint.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line.waiting()
    }

    /// What moves sessions at rest away from an endpoint that has too many, where that is wanted.
    fn rebalancer(&self) -> Option<Arc<Rebalancer>> {
        self.rebalancer.load_full()
    }

    /// Where sessions wait.
    fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Whether somebody who comes now would overtake those who wait. Asked at each pick: a pool without
    /// limits does not look at what other workers write.
    fn somebody_waits(&self) -> bool {
        self.limited.load(Ordering::Acquire) && self.line.somebody_waits()
    }

    /// A verdict, a limit or the set of endpoints has changed.
    fn review_who_waits(&self) {
        // With a limit the queue's lock orders this with whoever is about to wait.
        if self.limited.load(Ordering::Acquire) || self.line.somebody_waits() {
            self.line.review();
        }
    }

    /// Changes whenever the plan, the set of endpoints or a verdict does.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Hears of every change of the plan or the set of endpoints.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Makes known what is held of an endpoint.
    pub(crate) fn publish(&self, endpoint: &Endpoint, report: Report) {
        self.cells.probing.verdict(endpoint.report().verdict, report.verdict);
        endpoint.publish(report);
        self.epoch.fetch_add(1, Ordering::Release);
        self.review_who_waits();
    }

    /// Takes a new plan of the same name. Endpoints whose address stays keep counters and verdict.
    pub(crate) fn set_plan(&self, plan: Arc<plan::Pool>) {
        if **self.plan.load() == *plan {
            return;
        }
        self.plan.store(plan);
        self.adopt_settings();
        self.rebuild(|_| None);
        self.tell_change();
    }

    fn adopt_settings(&self) {
        let plan = self.plan.load();
        let limited = plan.endpoints.iter().any(|endpoint| endpoint.sessions_max.is_some());
        self.limited.store(limited, Ordering::Release);
        self.line.set_bounds(plan.queue.length, plan.queue.timeout);
        let rebalancer = self.rebalancer.load();
        if rebalancer.as_ref().map(|rebalancer| rebalancer.plan()) != plan.rebalance {
            let rebalancer = plan.rebalance.map(|plan| Rebalancer::new(plan, self.workers));
            self.rebalancer.store(rebalancer.map(Arc::new));
        }
    }

    /// Sets what the operator has ordered of each endpoint.
    pub(crate) fn set_ordered(&self, of: impl Fn(&str) -> Ordered) {
        let mut changed = false;
        for endpoint in self.endpoints().iter() {
            changed |= endpoint.set_ordered(of(&endpoint.name()));
        }
        if changed {
            self.tell_change();
        }
    }

    /// No configuration names the pool any more: sessions on their way to it still find their
    /// endpoints, which are probed as long as sessions stand on them.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.tell_change();
    }

    fn tell_change(&self) {
        self.epoch.fetch_add(1, Ordering::Release);
        self.review_who_waits();
        self.changed.send_replace(());
    }

    /// Takes in what names resolve to: `addresses(host, port)`, or `None` to keep what is known.
    /// Endpoints whose address stays keep their counters and verdict. Says whether the set changed.
    pub(crate) fn set_resolved(
        &self,
        addresses: impl Fn(&str, u16) -> Option<Vec<SocketAddr>>,
    ) -> bool {
        self.rebuild(|written| match written {
            plan::EndpointAddress::Name { host, port } => addresses(host, *port),
            plan::EndpointAddress::Socket(_) => None,
        })
    }

    fn rebuild(
        &self,
        resolved: impl Fn(&plan::EndpointAddress) -> Option<Vec<SocketAddr>>,
    ) -> bool {
        // The resolver's thread and a reload must not undo each other's work. Not on the data path.
        let _alone = self.rebuilding.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, plan) = (self.endpoints.load_full(), self.plan.load());
        let by_address: HashMap<_, _> =
            known.iter().map(|known| (known.address(), known)).collect();
        let mut taken = HashSet::with_capacity(known.len());
        let probed = plan.probe != plan::Probe::None;
        let mut next: Vec<Arc<Endpoint>> = Vec::with_capacity(known.len());
        for written in &plan.endpoints {
            let addresses = match &written.address {
                plan::EndpointAddress::Socket(address) => vec![*address],
                name @ plan::EndpointAddress::Name { host, port } => {
                    resolved(name).unwrap_or_else(|| known_addresses(&known, host, *port))
                }
            };
            for address in addresses {
                // Two names can have an address in common.
                if !taken.insert(address) {
                    continue;
                }
                next.push(match by_address.get(&address) {
                    Some(endpoint) => {
                        endpoint.set_written(written);
                        Arc::clone(endpoint)
                    }
                    None => {
                        let places = self.line.places(address);
                        Arc::new(Endpoint::new(written, address, self.workers, probed, places))
                    }
                });
            }
        }
        let same =
            next.len() == known.len() && next.iter().zip(&*known).all(|(a, b)| Arc::ptr_eq(a, b));
        if !same {
            let next = Arc::new(next);
            self.line.set_endpoints(next.clone());
            self.endpoints.store(next);
            self.tell_change();
        }
        !same
    }
}

/// The addresses that a name had when it resolved last.
fn known_addresses(known: &[Arc<Endpoint>], host: &str, port: u16) -> Vec<SocketAddr> {
    let of_name = known.iter().filter(|endpoint| {
        endpoint.address().port() == port && endpoint.written().host.as_deref() == Some(host)
    });
    of_name.map(|endpoint| endpoint.address()).collect()
}
