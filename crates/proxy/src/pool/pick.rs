//! A worker's pickers: one per pool, rebuilt when the pool's endpoints or verdicts change.

use super::{Endpoint, Lease, Pool, PoolId};
use eclusa_policy::balance::{Balance, EarlyEnds, Pick, groups, picker};
use eclusa_policy::time::Time;
use eclusa_policy::verdict::Key;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub(crate) struct Pickers {
    worker: usize,
    pickers: RefCell<HashMap<PoolId, Picker>>,
}

#[derive(Default)]
struct Picker {
    /// The pool's epoch that this picker was built for; 0: not built yet.
    epoch: u64,
    endpoints: Arc<Vec<Arc<Endpoint>>>,
    /// One for each group of endpoints, the best first.
    groups: Vec<Box<dyn Balance>>,
    /// What this worker saw of endpoints that end sessions early; the others see the same.
    early: HashMap<Key, EarlyEnds>,
}

/// The circumstances of a pick.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The client.
    pub(crate) source: IpAddr,
    /// Endpoints that are not to be picked.
    pub(crate) excluded: &'a [SocketAddr],
    pub(crate) now: Time,
}

impl Pickers {
    pub(crate) fn new(worker: usize) -> Self {
        Self { worker, pickers: RefCell::default() }
    }

    /// Forgets the pools that no configuration names any more.
    pub(crate) fn retain(&self, pools: &[Arc<Pool>]) {
        self.pickers.borrow_mut().retain(|id, _| pools.iter().any(|pool| pool.id() == *id));
    }

    /// A lease on an endpoint of `pool`; `None` where no other can take a session.
    pub(crate) fn pick(&self, pool: &Pool, wanted: Wanted<'_>) -> Option<Lease> {
        let mut pickers = self.pickers.borrow_mut();
        let picker = pickers.entry(pool.id()).or_default();
        let epoch = pool.epoch();
        if picker.epoch != epoch {
            picker.rebuild(pool, epoch, self.worker);
        }
        let Picker { endpoints, groups, early, .. } = picker;
        let load = |slot: u32| {
            let endpoint = endpoints.get(slot as usize);
            endpoint.map_or(u32::MAX, |endpoint| {
                let early = early.get(&endpoint.key()).map_or(0, |early| early.load(wanted.now));
                endpoint.sessions().saturating_add(early)
            })
        };
        let excluded = slots_of(wanted.excluded, endpoints);
        let pick =
            Pick { load: &load, excluded: &excluded, source: Some(wanted.source), now: wanted.now };
        let slot = groups.iter_mut().find_map(|group| group.pick(&pick))?;
        let endpoint = endpoints.get(slot as usize)?.clone();
        Some(Lease::take(endpoint, self.worker))
    }

    /// An endpoint of the pool ended a session early: that weighs as load for a while.
    pub(crate) fn ended_early(&self, pool: PoolId, endpoint: &Endpoint, now: Time) {
        if let Some(picker) = self.pickers.borrow_mut().get_mut(&pool) {
            picker.early.entry(endpoint.key()).or_default().count(now);
        }
    }
}

/// The slots of the endpoints at these addresses; the usual case, none, costs nothing.
fn slots_of(addresses: &[SocketAddr], endpoints: &[Arc<Endpoint>]) -> Vec<u32> {
    if addresses.is_empty() {
        return Vec::new();
    }
    let slots = (0..).zip(endpoints);
    slots.filter(|(_, e)| addresses.contains(&e.address())).map(|(slot, _)| slot).collect()
}

impl Picker {
    fn rebuild(&mut self, pool: &Pool, epoch: u64, worker: usize) {
        self.epoch = epoch;
        self.endpoints = pool.endpoints();
        let plan = pool.plan();
        let slow_start = plan.judge.slow_start;
        let standings: Vec<_> = self.endpoints.iter().map(|e| e.standing(slow_start)).collect();
        let seed = fastrand::u64(..).wrapping_add(worker as u64);
        let algorithm = plan.balance;
        self.groups = groups(&standings).iter().map(|g| picker(algorithm, g, seed)).collect();
        let endpoints = &self.endpoints;
        self.early.retain(|key, _| endpoints.iter().any(|endpoint| endpoint.key() == *key));
    }
}
