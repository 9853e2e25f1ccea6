//! Gentle rebalance: closes a few of the longest quiet sessions of an endpoint that has too many.
//! When, and how many: `eclusa_policy::rebalance`.
//!
//! Sessions belong to their workers, a decision to the pool. Once in a [`TURN`] each worker does what
//! was decided for its own sessions, and posts how long those at rest have rested; the first worker
//! decides once in a few turns and shares out the closing, the longest quiet first, over the
//! workers. A session that has begun to move since is left alone and counts all the same: fewer are
//! closed than could be, never more.
//!
//! TCP does not show whether an answer is under way in silence; `quiet` has to be longer than that
//! takes.

use super::Pool;
use crate::engine::Worker;
use crate::registry::Registry;
use eclusa_config::plan;
use eclusa_policy::rebalance::{Close, Load, Rebalance, is_skewed};
use eclusa_policy::time::Time;
use eclusa_policy::verdict::Key;
use std::cmp::Reverse;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often a worker looks.
const TURN: Duration = Duration::from_secs(1);
/// How many turns pass between two decisions: what was closed is gone by then, and what rests is
/// posted anew.
const TURNS: u32 = 3;

/// The rebalance of one pool, shared by the workers.
#[derive(Debug)]
pub(super) struct Rebalancer {
    plan: plan::Rebalance,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rebalance: Rebalance,
    workers: Vec<OfWorker>,
    turns: u32,
}

#[derive(Debug, Default)]
struct OfWorker {
    /// Sessions at rest by their endpoint, and for how long; the longest first, and no more of an
    /// endpoint than could be closed.
    resting: Vec<(Key, Duration)>,
    /// How many to close of which endpoint.
    orders: Vec<(Key, u32)>,
}

impl Rebalancer {
    pub(super) fn new(plan: plan::Rebalance, workers: usize) -> Self {
        let state = State {
            rebalance: Rebalance::new(plan.settings),
            workers: (0..workers).map(|_| OfWorker::default()).collect(),
            turns: 0,
        };
        Self { plan, state: Mutex::new(state) }
    }

    /// What it goes by.
    pub(super) fn plan(&self) -> plan::Rebalance {
        self.plan
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One turn of a worker.
    fn turn(&self, pool: &Pool, worker: usize, registry: &Registry, now: Time) {
        let orders = match self.lock().workers.get_mut(worker) {
            Some(own) => std::mem::take(&mut own.orders),
            None => return,
        };
        let loads = loads(pool, now);
        let resting = if orders.is_empty() && !is_skewed(self.plan.settings, &loads) {
            Vec::new()
        } else {
            self.move_on(registry, orders)
        };
        let mut state = self.lock();
        if let Some(own) = state.workers.get_mut(worker) {
            own.resting = resting;
        }
        if worker == 0 {
            state.turns += 1;
            if state.turns >= TURNS {
                state.turns = 0;
                state.decide(pool, loads, now);
            }
        }
    }

    /// Closes what was ordered, the longest quiet first, and yields what else rests.
    fn move_on(&self, registry: &Registry, mut orders: Vec<(Key, u32)>) -> Vec<(Key, Duration)> {
        let mut resting = registry.at_rest(self.plan.quiet);
        resting.sort_by_key(|(_, rest, _)| Reverse(*rest));
        let mut posted: Vec<(Key, u32)> = Vec::new();
        let mut left = Vec::new();
        for (key, rest, watch) in resting {
            if let Some((_, count)) = orders.iter_mut().find(|(of, count)| *of == key && *count > 0)
            {
                *count -= 1;
                watch.move_on();
                continue;
            }
            let index = posted.iter().position(|(of, _)| *of == key).unwrap_or_else(|| {
                posted.push((key, 0));
                posted.len() - 1
            });
            if posted[index].1 < self.plan.settings.per_minute {
                posted[index].1 += 1;
                left.push((key, rest));
            }
        }
        left
    }
}

/// What the endpoints carry; who rests is not known yet.
fn loads(pool: &Pool, now: Time) -> Vec<Load> {
    let slow_start = pool.plan().judge.slow_start;
    let endpoints = pool.endpoints();
    let loads = (0..).zip(&*endpoints).filter_map(|(slot, e)| e.load(slot, slow_start, now));
    loads.collect()
}

impl State {
    fn decide(&mut self, pool: &Pool, mut loads: Vec<Load>, now: Time) {
        let endpoints = pool.endpoints();
        let key_of = |slot: u32| endpoints.get(slot as usize).map(|endpoint| endpoint.key());
        for load in &mut loads {
            let Some(key) = key_of(load.slot) else { return };
            // What a worker has not got round to yet is as good as gone.
            let ordered = self.workers.iter().flat_map(|of| &of.orders);
            let ordered: u32 = ordered.filter(|(of, _)| *of == key).map(|(_, count)| count).sum();
            let resting = self.workers.iter().flat_map(|of| &of.resting);
            let resting = resting.filter(|(of, _)| *of == key).count();
            load.sessions = load.sessions.saturating_sub(ordered);
            load.quiet = u32::try_from(resting).unwrap_or(u32::MAX).saturating_sub(ordered);
        }
        let Some(Close { slot, sessions }) = self.rebalance.decide(&loads, now) else { return };
        if let Some(key) = key_of(slot) {
            self.share_out(key, sessions);
        }
    }

    /// The longest quiet sessions of an endpoint, wherever they are.
    fn share_out(&mut self, key: Key, sessions: u32) {
        let mut longest: Vec<(Duration, usize)> = Vec::new();
        for (worker, of) in self.workers.iter().enumerate() {
            let resting = of.resting.iter().filter(|(of, _)| *of == key);
            longest.extend(resting.map(|(_, rest)| (*rest, worker)));
        }
        longest.sort_by_key(|(rest, _)| Reverse(*rest));
        for (_, worker) in longest.into_iter().take(sessions as usize) {
            let Some(of) = self.workers.get_mut(worker) else { continue };
            match of.orders.iter_mut().find(|(of, _)| *of == key) {
                Some((_, count)) => *count += 1,
                None => of.orders.push((key, 1)),
            }
        }
    }
}

/// Goes on with the rebalance of the pools that want it, for one worker.
pub(crate) async fn level(worker: &Worker) {
    let mut turns = tokio::time::interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        for pool in worker.pools().iter() {
            if let Some(rebalancer) = pool.rebalancer() {
                rebalancer.turn(pool, worker.index(), worker.registry(), worker.time());
            }
        }
    }
}
