//! Pools at run time: their endpoints, and which of them takes the next session.

mod dial;
mod endpoint;
mod pick;
mod queue;
mod rebalance;

pub(crate) use dial::{Call, DialFailure, Dialled, FailureKind, dial, source_for};
pub use endpoint::Endpoint;
pub(crate) use endpoint::{LASTING, Lease};
pub(crate) use pick::{Pickers, Wanted};
pub(crate) use queue::{Patience, QueueTime};
pub(crate) use rebalance::level;

use crate::observe::metrics::{Metrics, PoolCells};
use arc_swap::ArcSwap;
use eclusa_config::plan;
use eclusa_policy::verdict::Report;
use queue::Line;
use rebalance::Rebalancer;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// A pool: its plan and the endpoints that it has at this moment.
#[derive(Debug)]
pub struct Pool {
    /// Its place among the pools of the engine.
    index: usize,
    plan: Arc<plan::Pool>,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    /// Changes whenever the set of endpoints or a verdict does; pickers are rebuilt by it.
    epoch: AtomicU64,
    /// Tells the probes that the set of endpoints has changed.
    changed: watch::Sender<()>,
    workers: usize,
    /// Where its sessions and probes are counted.
    cells: Arc<PoolCells>,
    /// Where sessions wait; only where an endpoint has a limit.
    line: Option<Arc<Line>>,
    rebalancer: Option<Rebalancer>,
}

impl Pool {
    /// A pool of which the endpoints given by address exist already; names come with
    /// [`Pool::set_resolved`].
    pub(crate) fn new(index: usize, plan: Arc<plan::Pool>, metrics: &Metrics) -> Self {
        let limited = plan.endpoints.iter().any(|endpoint| endpoint.sessions_max.is_some());
        let line = limited.then(|| Line::new(plan.queue.length, plan.queue.timeout));
        let rebalancer = plan.rebalance.map(|plan| Rebalancer::new(plan, metrics.workers()));
        let pool = Self {
            index,
            cells: metrics.pool(&plan.name),
            plan,
            endpoints: ArcSwap::default(),
            epoch: AtomicU64::new(1),
            changed: watch::Sender::new(()),
            workers: metrics.workers(),
            line,
            rebalancer,
        };
        pool.rebuild(|_| None);
        pool
    }

    /// Its place among the pools of the engine.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// What the configuration says of the pool.
    #[must_use]
    pub fn plan(&self) -> &plan::Pool {
        &self.plan
    }

    /// The endpoints at this moment.
    #[must_use]
    pub fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// Whether endpoints may be there at all: `upstreams_within` binds what the file, DNS or an
    /// import says.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let within = self.plan.within.as_deref();
        within.is_none_or(|networks| networks.iter().any(|network| network.contains(&address)))
    }

    pub(crate) fn cells(&self) -> &PoolCells {
        &self.cells
    }

    /// Sessions that wait for a place on an endpoint.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line().map_or(0, |line| line.waiting())
    }

    /// Whether sessions at rest move away from an endpoint that has too many.
    pub(crate) fn rebalances(&self) -> bool {
        self.rebalancer.is_some()
    }

    fn rebalancer(&self) -> Option<&Rebalancer> {
        self.rebalancer.as_ref()
    }

    fn line(&self) -> Option<&Arc<Line>> {
        self.line.as_ref()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Hears of every change of the set of endpoints.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Makes known what is held of an endpoint.
    pub(crate) fn publish(&self, endpoint: &Endpoint, report: Report) {
        self.cells.probing.verdict(endpoint.report().verdict, report.verdict);
        endpoint.publish(report);
        self.epoch.fetch_add(1, Ordering::Release);
        if let Some(line) = self.line() {
            line.review();
        }
    }

    /// Takes in what names resolve to: `addresses(index)` of the plan's endpoint at `index`, or
    /// `None` to keep what is known. Endpoints whose address stays keep their counters and verdict.
    pub(crate) fn set_resolved(
        &self,
        addresses: impl Fn(usize) -> Option<Vec<std::net::SocketAddr>>,
    ) -> bool {
        self.rebuild(addresses)
    }

    fn rebuild(&self, resolved: impl Fn(usize) -> Option<Vec<std::net::SocketAddr>>) -> bool {
        let known = self.endpoints.load_full();
        let mut next: Vec<Arc<Endpoint>> = Vec::with_capacity(known.len());
        for (index, written) in self.plan.endpoints.iter().enumerate() {
            let addresses = match &written.address {
                plan::EndpointAddress::Socket(address) => vec![*address],
                plan::EndpointAddress::Name { .. } => resolved(index).unwrap_or_else(|| {
                    let kept = known.iter().filter(|endpoint| endpoint.index() == index);
                    kept.map(|endpoint| endpoint.address()).collect()
                }),
            };
            for address in addresses {
                let same = |e: &&Arc<Endpoint>| e.index() == index && e.address() == address;
                let endpoint = known.iter().find(same).cloned().unwrap_or_else(|| {
                    let probed = self.plan.probe != plan::Probe::None;
                    let places = self.line().zip(written.sessions_max);
                    let places = places.map(|(line, limit)| line.places(index, address, limit));
                    Arc::new(Endpoint::new(written, index, address, self.workers, probed, places))
                });
                next.push(endpoint);
            }
        }
        let same =
            next.len() == known.len() && next.iter().zip(&*known).all(|(a, b)| Arc::ptr_eq(a, b));
        if !same {
            let next = Arc::new(next);
            self.endpoints.store(next.clone());
            self.epoch.fetch_add(1, Ordering::Release);
            if let Some(line) = self.line() {
                line.set_endpoints(next);
                line.review();
            }
            self.changed.send_replace(());
        }
        !same
    }
}
