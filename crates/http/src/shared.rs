//! What the connections of a worker share.

use crate::h2::Links;
use crate::reuse::Idle;
use crate::tls::gate::Gate;
use eclusa_policy::retry::Retry;
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{Evidence, ExchangeFault};
use eclusa_proxy::layer7::{Connection, Endpoint, OwnMap, Pool, PoolId};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Pools whose second tries are kept in mind before those that nobody uses any more are looked for.
const POOLS: usize = 64;
/// One that nobody has used for so long is forgotten; its budget counts over less.
const UNUSED: Duration = Duration::from_secs(60);

/// Everything that they share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) idle: Rc<Idle>,
    pub(crate) links: Rc<Links>,
    pub(crate) retries: Retries,
    /// Where handshakes wait for their turns.
    pub(crate) gate: Gate,
}

/// The second tries of a worker's pools.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    pools: RefCell<OwnMap<PoolId, OfPool>>,
    /// How many there were after the last look for those that nobody uses.
    used: Cell<usize>,
}

/// The second tries of one of them.
#[derive(Debug)]
pub(crate) struct OfPool {
    percent: u32,
    /// The pool's, when these were its endpoints.
    epoch: u64,
    endpoints: Arc<Vec<Arc<Endpoint>>>,
    used: Time,
    pub(crate) retry: Retry,
}

impl OfPool {
    fn new(connection: &Connection, pool: &Pool, percent: u32) -> Self {
        let (epoch, endpoints) = (pool.epoch(), pool.endpoints());
        let workers = u32::try_from(connection.workers()).unwrap_or(u32::MAX);
        let retry = Retry::new(percent, endpoints.len(), workers);
        Self { percent, epoch, endpoints, used: Time::START, retry }
    }

    /// How many endpoints the pool has.
    pub(crate) fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// The place of an endpoint in the pool.
    pub(crate) fn slot(&self, endpoint: &Endpoint) -> usize {
        let mut endpoints = self.endpoints.iter();
        endpoints.position(|known| known.key() == endpoint.key()).unwrap_or(usize::MAX)
    }

    fn follow(&mut self, pool: &Pool) {
        let epoch = pool.epoch();
        if epoch == self.epoch {
            return;
        }
        self.epoch = epoch;
        let endpoints = pool.endpoints();
        if !Arc::ptr_eq(&endpoints, &self.endpoints) {
            self.retry.set_endpoints(endpoints.len());
            self.endpoints = endpoints;
        }
    }
}

impl Retries {
    /// Lets `ask` look at the second tries of a pool that may spend `percent` on them.
    fn with<T>(
        &self,
        connection: &Connection,
        (pool, percent): (&Pool, u32),
        ask: impl FnOnce(&mut OfPool, Time) -> T,
    ) -> T {
        let (mut pools, now) = (self.pools.borrow_mut(), connection.time());
        if pools.len() >= POOLS.max(2 * self.used.get()) && !pools.contains_key(&pool.id()) {
            // Those of pools that reloads have taken away are among them. One that is used must not
            // lose its budget, however many there are.
            pools.retain(|_, of_pool| now.since(of_pool.used) < UNUSED);
            self.used.set(pools.len());
        }
        let begin = || OfPool::new(connection, pool, percent);
        let of_pool = pools.entry(pool.id()).or_insert_with(begin);
        if of_pool.percent != percent {
            *of_pool = begin();
        }
        of_pool.follow(pool);
        of_pool.used = now;
        ask(of_pool, now)
    }
}

/// How the endpoints of a pool behave towards exchanges: told to the probes, and kept in mind.
#[derive(Clone, Copy)]
pub(crate) struct Conduct<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) pool: &'a Pool,
    /// What second tries may cost.
    pub(crate) percent: u32,
}

impl Conduct<'_> {
    /// Lets `ask` look at the second tries of the pool.
    pub(crate) fn with<T>(&self, ask: impl FnOnce(&mut OfPool, Time) -> T) -> T {
        let shared = self.connection.shared::<Shared>();
        shared.retries.with(self.connection, (self.pool, self.percent), ask)
    }

    /// The endpoint has failed an exchange, or could not be reached for one.
    pub(crate) fn failed(&self, endpoint: &Endpoint, evidence: Evidence) {
        self.with(|it, _| it.retry.failed(it.slot(endpoint)));
        self.connection.put_aside(self.pool, endpoint);
        self.connection.saw(self.pool, endpoint, evidence);
    }

    /// The endpoint has broken off its answer.
    pub(crate) fn cut(&self, endpoint: &Endpoint) {
        self.failed(endpoint, Evidence::Exchange(ExchangeFault::Cut));
    }

    /// The endpoint has served an exchange to its end.
    pub(crate) fn served(&self, endpoint: &Endpoint) {
        if self.with(|it, _| it.retry.served(it.slot(endpoint))) {
            self.connection.saw(self.pool, endpoint, Evidence::Served);
        }
    }
}
