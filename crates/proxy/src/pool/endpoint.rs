//! An endpoint at run time, and the lease on it.

use eclusa_config::plan;
use eclusa_policy::balance::{Standing, identity_of};
use eclusa_policy::verdict::Verdict;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// One address that traffic can go to, with its live numbers. Outlives a change of the pool's set
/// as long as its address stays.
#[derive(Debug)]
pub struct Endpoint {
    name: Arc<str>,
    host: Option<Arc<str>>,
    index: usize,
    address: SocketAddr,
    weight: u16,
    backup: bool,
    verdict: AtomicU8,
    cells: Box<[Cell]>,
}

/// The numbers that one worker keeps of an endpoint: on a cache line of their own, written by that
/// worker alone, added up by whoever reads.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell {
    sessions: AtomicU32,
    picks: AtomicU64,
    failures: AtomicU64,
}

impl Endpoint {
    pub(super) fn new(
        written: &plan::Endpoint,
        index: usize,
        address: SocketAddr,
        workers: usize,
        probed: bool,
    ) -> Self {
        let verdict = if probed { Verdict::Unknown } else { Verdict::Up };
        Self {
            name: written.name.clone(),
            host: match &written.address {
                plan::EndpointAddress::Name { host, .. } => Some(host.clone()),
                plan::EndpointAddress::Socket(_) => None,
            },
            index,
            address,
            weight: written.weight,
            backup: written.backup,
            verdict: AtomicU8::new(verdict as u8),
            cells: (0..workers).map(|_| Cell::default()).collect(),
        }
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that resolved to its address, where the configuration has one.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Which of the pool's endpoints as written it comes from (a name can yield several).
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What probes show of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict::from_u8(self.verdict.load(Ordering::Acquire))
    }

    /// Sets the verdict and returns the one before.
    pub(super) fn set_verdict(&self, verdict: Verdict) -> Verdict {
        Verdict::from_u8(self.verdict.swap(verdict as u8, Ordering::AcqRel))
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            tier: self.verdict().tier(),
            weight: self.weight,
            priority: u8::from(self.backup),
            identity: identity_of(self.address),
            ..Standing::default()
        }
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
}

/// The right to use one endpoint once, taken by a worker; dropped = released.
#[derive(Debug)]
pub(crate) struct Lease {
    endpoint: Arc<Endpoint>,
    worker: usize,
}

impl Lease {
    pub(super) fn take(endpoint: Arc<Endpoint>, worker: usize) -> Self {
        let cell = &endpoint.cells[worker];
        cell.sessions.fetch_add(1, Ordering::Relaxed);
        cell.picks.fetch_add(1, Ordering::Relaxed);
        Self { endpoint, worker }
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    pub(super) fn count_failure(&self) {
        self.endpoint.cells[self.worker].failures.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.cells[self.worker].sessions.fetch_sub(1, Ordering::Relaxed);
    }
}
