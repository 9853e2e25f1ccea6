//! A worker's pickers: one per pool, rebuilt when the pool's endpoints or verdicts change.

use super::own_map::OwnMap;
use super::queue::{Grant, NoPlace, is_worth_waiting_for};
use super::{Endpoint, Lease, Pool, PoolId};
use eclusa_policy::balance::{Balance, Candidate, EarlyEnds, Pick, groups, picker};
use eclusa_policy::time::Time;
use eclusa_policy::verdict::Key;
use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Pickers {
    worker: usize,
    pickers: RefCell<OwnMap<PoolId, Picker>>,
}

#[derive(Default)]
pub(super) struct Picker {
    /// The pool's epoch that this picker was built for; 0: not built yet.
    epoch: u64,
    endpoints: Arc<Vec<Arc<Endpoint>>>,
    /// One for each group of endpoints, the best first.
    groups: Vec<Group>,
    /// What this worker saw of endpoints that end sessions early; the others see the same.
    early: OwnMap<Key, EarlyEnds>,
    /// Endpoints that failed this worker just now, and until when it would rather have another.
    aside: Vec<(Key, Time)>,
}

struct Group {
    balance: Box<dyn Balance>,
    candidates: Vec<Candidate>,
    /// A session rather waits for one of these than it goes to a worse group.
    worth: bool,
}

/// How long a worker would rather have another endpoint after one has failed it: until the judge, who
/// hears of it at the same time, has made up its mind.
const ASIDE: Duration = Duration::from_secs(1);

/// Looks at a pick that another worker was faster at before it counts as full: each means that
/// somebody got a place.
const RACES: usize = 16;

/// The circumstances of a pick.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The client.
    pub(crate) source: IpAddr,
    /// Endpoints that are not to be picked.
    pub(crate) excluded: &'a [SocketAddr],
    pub(crate) now: Time,
    /// It would be turned away otherwise: any place will do, whoever waits.
    pub(crate) any: bool,
    /// What decides instead of the client where an endpoint is chosen by a hash.
    pub(crate) key: Option<u64>,
    /// This one, if it may take traffic and no better does.
    pub(crate) at: Option<SocketAddr>,
}

impl Pickers {
    pub(crate) fn new(worker: usize) -> Self {
        Self { worker, pickers: RefCell::default() }
    }

    /// Forgets the pools that no configuration names any more.
    pub(crate) fn retain(&self, pools: &[Arc<Pool>]) {
        self.pickers.borrow_mut().retain(|id, _| pools.iter().any(|pool| pool.id() == *id));
    }

    /// A lease on an endpoint of `pool`.
    ///
    /// # Errors
    /// [`Unpicked`]
    pub(crate) fn pick(&self, pool: &Pool, wanted: Wanted<'_>) -> Result<Lease, Unpicked> {
        if !wanted.any && pool.somebody_waits() {
            return Err(Unpicked::Full);
        }
        let mut pickers = self.pickers.borrow_mut();
        let picker = pickers.entry(pool.id()).or_default();
        let epoch = pool.epoch();
        if picker.epoch != epoch {
            picker.rebuild(pool, epoch, self.worker);
        }
        for _ in 0..RACES {
            let endpoint = picker.choose(wanted)?;
            if let Some(lease) = Lease::take(endpoint, self.worker) {
                return Ok(lease);
            }
        }
        Err(Unpicked::Full)
    }

    /// The lease for a place that was waited for.
    pub(super) fn lease(&self, grant: Grant) -> Result<Lease, NoPlace> {
        Lease::of(grant, self.worker).ok_or(NoPlace::Nobody)
    }

    /// An endpoint of the pool failed this worker: for a moment it would rather have another, as long as
    /// traffic may make that many suspect.
    pub(crate) fn put_aside(&self, pool: &Pool, endpoint: &Endpoint, now: Time) {
        let limit = pool.plan().judge.passive_limit;
        if let Some(picker) = self.pickers.borrow_mut().get_mut(&pool.id()) {
            let limit = limit.map_or(usize::MAX, |limit| limit.of(picker.endpoints.len()));
            picker.aside.retain(|(key, until)| *key != endpoint.key() && now < *until);
            if picker.aside.len() < limit {
                picker.aside.push((endpoint.key(), now + ASIDE));
            }
        }
    }

    /// An endpoint of the pool ended a session early: that weighs as load for a while.
    pub(crate) fn ended_early(&self, pool: PoolId, endpoint: &Endpoint, now: Time) {
        if let Some(picker) = self.pickers.borrow_mut().get_mut(&pool) {
            picker.early.entry(endpoint.key()).or_default().count(now);
        }
    }
}

impl Picker {
    /// A picker of a worker, for a pool as it is now.
    pub(super) fn of(pool: &Pool, worker: usize) -> Self {
        let mut picker = Self::default();
        picker.rebuild(pool, pool.epoch(), worker);
        picker
    }

    /// The endpoint for one more session.
    pub(super) fn choose(&mut self, wanted: Wanted<'_>) -> Result<Arc<Endpoint>, Unpicked> {
        let Self { endpoints, groups, early, aside, .. } = self;
        let load = |slot: u32| {
            let endpoint = endpoints.get(slot as usize);
            endpoint.map_or(u32::MAX, |endpoint| {
                let early = early.get(&endpoint.key()).map_or(0, |early| early.load(wanted.now));
                endpoint.sessions().saturating_add(early)
            })
        };
        let taken = |slot: u32| endpoints.get(slot as usize).map_or(0, |e| e.places_taken());
        let excluded = slots_of(wanted.excluded, endpoints);
        let pick = Pick {
            load: &load,
            taken: &taken,
            excluded: &excluded,
            source: Some(wanted.source),
            key: wanted.key,
            now: wanted.now,
        };
        aside.retain(|(_, until)| wanted.now < *until);
        let aside = slots_where(endpoints, !aside.is_empty(), |endpoint| {
            aside.iter().any(|(key, _)| *key == endpoint.key())
        });
        let at = wanted.at.map_or_else(Vec::new, |at| slots_of(&[at], endpoints));
        let slot = match groups.first_mut().and_then(|best| best.prefer(&pick, &aside, &at)) {
            Some(slot) => slot,
            None => choose(groups, &pick, wanted.any)?,
        };
        endpoints.get(slot as usize).cloned().ok_or(Unpicked::Nobody)
    }
}

/// Why no endpoint was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpicked {
    /// None can take traffic that was not tried.
    Nobody,
    /// One could, if it were not at its limit.
    Full,
}

impl Group {
    /// An endpoint of this group that there is a reason to prefer, if it can be picked: `at`, or one
    /// that is not among those put `aside`.
    fn prefer(&mut self, pick: &Pick<'_>, aside: &[u32], at: &[u32]) -> Option<u32> {
        let wanted = |candidate: &&Candidate| {
            let slot = &candidate.slot;
            at.contains(slot) && !aside.contains(slot) && pick.allows(candidate)
        };
        if let Some(candidate) = self.candidates.iter().find(wanted) {
            return Some(candidate.slot);
        }
        if aside.is_empty() {
            return None;
        }
        let excluded = [pick.excluded, aside].concat();
        self.balance.pick(&Pick { excluded: &excluded, ..*pick })
    }
}

fn choose(groups: &mut [Group], pick: &Pick<'_>, any: bool) -> Result<u32, Unpicked> {
    let mut full = false;
    for group in groups {
        if full && !group.worth && !any {
            break;
        }
        if let Some(slot) = group.balance.pick(pick) {
            return Ok(slot);
        }
        full |= pick.would_wait(&group.candidates);
    }
    Err(if full { Unpicked::Full } else { Unpicked::Nobody })
}

/// The slots of the endpoints at these addresses; the usual case, none, costs nothing.
fn slots_of(addresses: &[SocketAddr], endpoints: &[Arc<Endpoint>]) -> Vec<u32> {
    slots_where(endpoints, !addresses.is_empty(), |endpoint| {
        addresses.contains(&endpoint.address())
    })
}

/// The slots of the endpoints that `is_one` takes; where there is none (not `any`) nobody looks.
fn slots_where(
    endpoints: &[Arc<Endpoint>],
    any: bool,
    is_one: impl Fn(&Endpoint) -> bool,
) -> Vec<u32> {
    if !any {
        return Vec::new();
    }
    let slots = (0..).zip(endpoints);
    slots.filter(|(_, endpoint)| is_one(endpoint)).map(|(slot, _)| slot).collect()
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
        let tier_of = |candidate: &Candidate| Some(standings.get(candidate.slot as usize)?.tier);
        let group = |candidates: Vec<Candidate>| Group {
            balance: picker(algorithm, &candidates, seed),
            worth: candidates.first().and_then(tier_of).is_some_and(is_worth_waiting_for),
            candidates,
        };
        self.groups = groups(&standings).into_iter().map(group).collect();
        let endpoints = &self.endpoints;
        self.early.retain(|key, _| endpoints.iter().any(|endpoint| endpoint.key() == *key));
    }
}
