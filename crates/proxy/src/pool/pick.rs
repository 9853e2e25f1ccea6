//! A worker's pickers: one per pool, rebuilt when the pool's endpoints or verdicts change.

use super::{Endpoint, Lease, Pool};
use eclusa_policy::balance::{Balance, Pick, candidates, picker};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) struct Pickers {
    worker: usize,
    pickers: RefCell<Vec<Picker>>,
}

struct Picker {
    /// The pool's epoch that this picker was built for; 0: not built yet.
    epoch: u64,
    endpoints: Arc<Vec<Arc<Endpoint>>>,
    balance: Option<Box<dyn Balance>>,
}

impl Pickers {
    pub(crate) fn new(worker: usize, pools: usize) -> Self {
        let empty = || Picker { epoch: 0, endpoints: Arc::default(), balance: None };
        Self { worker, pickers: RefCell::new((0..pools).map(|_| empty()).collect()) }
    }

    /// A lease on an endpoint of `pool` (the one at `index`) that is none of `excluded`; `None`
    /// where no other can take a session.
    pub(crate) fn pick(&self, pool: &Pool, index: usize, excluded: &[SocketAddr]) -> Option<Lease> {
        let mut pickers = self.pickers.borrow_mut();
        let picker = pickers.get_mut(index)?;
        let epoch = pool.epoch();
        if picker.epoch != epoch {
            picker.rebuild(pool, epoch, self.worker);
        }
        let endpoints = &picker.endpoints;
        let load = |slot: u32| endpoints.get(slot as usize).map_or(u32::MAX, |e| e.sessions());
        let excluded = slots_of(excluded, endpoints);
        // The client's address, slow start and limits come with the verdict engine's wiring.
        let pick = Pick { excluded: &excluded, ..Pick::by_load(&load) };
        let slot = picker.balance.as_mut()?.pick(&pick)?;
        let endpoint = endpoints.get(slot as usize)?.clone();
        Some(Lease::take(endpoint, self.worker))
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
        let standings: Vec<_> = self.endpoints.iter().map(|endpoint| endpoint.standing()).collect();
        let candidates = candidates(&standings);
        let seed = fastrand::u64(..).wrapping_add(worker as u64);
        self.balance =
            (!candidates.is_empty()).then(|| picker(pool.plan().balance, &candidates, seed));
    }
}
