//! Reload: another plan, without losing a connection.
//!
//! ```text
//! diff → shrink guard → prepare (what probes need, sockets for new addresses) → swap → close what is gone
//! ```
//! Until the swap nothing has changed, and whatever fails leaves everything as it was. The swap
//! itself cannot fail. Sessions that stand are not touched: not by a route that is gone, not by an
//! endpoint that was removed (it takes no new ones, and is probed as long as they stand on it).

use super::bind::{self, Bound};
use super::seat::Seat;
use super::{Control, Engine, Shared, StartError, prepare, routed, shrink, wait_until};
use crate::layer7::Services;
use crate::listener::Listener;
use crate::observe::{Event, Faces};
use crate::pool::Pool;
use crate::probe;
use crate::signal::Command;
use eclusa_config::diff::Diff;
use eclusa_config::plan::Plan;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::TrySendError;

/// How long a command waits for a place with a worker that is busy.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a reload waits for addresses to be closed; they close all the same.
const CLOSING: Duration = Duration::from_secs(1);

/// A reload that was done.
#[derive(Debug)]
pub struct Reloaded {
    /// How many configurations have been in force, this one included.
    pub generation: u64,
    /// What has changed.
    pub diff: Diff,
}

/// Why a reload was refused; nothing has changed.
#[derive(Debug)]
pub enum ReloadError {
    /// Something of the new plan cannot be had here: an address, a file.
    Prepare(StartError),
    /// It would take away too much of what serves; each pool in words.
    Shrink(Vec<String>),
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare(error) => error.fmt(f),
            Self::Shrink(pools) => write!(
                f,
                "{}; if that is meant: `reload --force`, or `allow_shrink = true` in the file",
                pools.join("; ")
            ),
        }
    }
}

impl std::error::Error for ReloadError {}

impl Engine {
    /// Takes another plan. `force`: without the shrink guard.
    ///
    /// # Errors
    /// [`ReloadError`]; then everything is as it was.
    pub fn reload(&self, plan: &Plan, force: bool) -> Result<Reloaded, ReloadError> {
        let reloaded = self.take(plan, force);
        match &reloaded {
            Ok(Reloaded { generation, diff }) => {
                self.file_refused.store(None);
                self.gone_back.store(None);
                self.unconfirmed.store(None);
                self.shared.metrics.reloaded();
                self.tell_reloaded(*generation, diff);
            }
            Err(error) => self.refuse_reload(&error.to_string()),
        }
        reloaded
    }

    /// Takes a plan with other endpoints than the file's, by order: whether the file is in force stays as it
    /// was.
    ///
    /// # Errors
    /// [`ReloadError`]; then everything is as it was.
    pub(crate) fn amend(&self, plan: &Plan, force: bool) -> Result<Reloaded, ReloadError> {
        let reloaded = self.take(plan, force)?;
        self.shared.metrics.amended();
        Ok(reloaded)
    }

    /// Tells that a reload was refused, and why.
    pub fn refuse_reload(&self, why: &str) {
        self.shared.metrics.reload_refused();
        let message = format!("reload refused, nothing has changed: {}", why.trim_end());
        self.shared.logger.event(Event::new("reload_refused", message));
    }

    fn take(&self, plan: &Plan, force: bool) -> Result<Reloaded, ReloadError> {
        let mut control = self.control();
        let (diff, guarded) = self.compared(&control, plan);
        if !force {
            guarded.map_err(ReloadError::Shrink)?;
        }
        let pools = self.shared.pools_of(plan);
        let changes = probe::prepare(&pools, plan)
            .map_err(|message| ReloadError::Prepare(StartError::Ca(message)))?;
        let services = prepare(self.layer.as_ref(), plan).map_err(ReloadError::Prepare)?;
        let known: HashSet<_> = control.bound.iter().map(Bound::address).collect();
        let mut new = bind::listeners(plan, &pools, &self.shared.metrics, &services);
        new.retain(|listener| !known.contains(&listener.address()));
        let (workers, logger) = (self.shared.seats.len(), &self.shared.logger);
        let added =
            bind::bind(plan, new, workers, &self.sockets, logger).map_err(ReloadError::Prepare)?;
        // From here on nothing can fail.
        self.shared.swap_pools(&pools, plan);
        changes.tell_pools();
        self.shared.lists.store(Arc::new(plan.lists.clone()));
        let gone = self.shared.swap_listeners(&mut control, plan, (&pools, &services), added);
        let mut left = Some(changes);
        wait_until(Instant::now() + PATIENCE, || {
            let sent = left.take().map(|changes| control.probing.try_send(changes));
            // Closed: the probes' thread has ended with the engine.
            if let Some(Err(TrySendError::Full(changes))) = sent {
                left = Some(changes);
            }
            left.is_none()
        });
        let _ = control.resolving.try_send(());
        self.shared.tell_workers(|| Command::Pools(pools.clone()));
        control.plan = plan.clone();
        control.generation += 1;
        let generation = control.generation;
        drop(control);
        self.close(gone);
        Ok(Reloaded { generation, diff })
    }

    /// What differs from the plan that runs, and what the shrink guard says.
    pub(super) fn compared(
        &self,
        control: &Control,
        plan: &Plan,
    ) -> (Diff, Result<(), Vec<String>>) {
        let guarded = match plan.allow_shrink {
            true => Ok(()),
            false => shrink::guard(&self.shared.pools(), plan),
        };
        (Diff::between(&control.plan, plan), guarded)
    }

    fn tell_reloaded(&self, generation: u64, diff: &Diff) {
        let lines = |changes: &[eclusa_config::diff::Change]| -> Vec<String> {
            changes.iter().take(LINES).map(ToString::to_string).collect()
        };
        let message = match diff.changes.len() {
            0 => "reloaded: nothing has changed".to_owned(),
            1 => format!("reloaded: {}", diff.changes[0]),
            more => format!("reloaded: {more} changes"),
        };
        let event = Event::new("reloaded", message)
            .about("generation", generation)
            .about("changes", lines(&diff.changes))
            .about("after_restart", lines(&diff.after_restart));
        self.shared.logger.event(event);
    }
}

/// Changes that one line of the log lists at most.
const LINES: usize = 50;

impl Shared {
    /// The pools of a plan: those that are there already, and new ones.
    fn pools_of(&self, plan: &Plan) -> Arc<Vec<Arc<Pool>>> {
        let now = self.pools();
        let by_name: HashMap<_, _> = now.iter().map(|pool| (pool.name(), pool)).collect();
        let pool = |written: &Arc<eclusa_config::plan::Pool>| match by_name.get(&*written.name) {
            Some(pool) => Arc::clone(pool),
            None => Arc::new(Pool::new(written.clone(), &self.metrics)),
        };
        Arc::new(plan.pools.iter().map(pool).collect())
    }

    fn swap_pools(&self, pools: &Arc<Vec<Arc<Pool>>>, plan: &Plan) {
        for (pool, written) in pools.iter().zip(&plan.pools) {
            pool.set_plan(written.clone());
        }
        self.routed.store(Arc::new(routed(plan)));
        self.faces.store(Arc::new(Faces::of(plan)));
        let before = self.pools.swap(pools.clone());
        let stay: HashSet<_> = pools.iter().map(|pool| pool.id()).collect();
        for pool in before.iter().filter(|pool| !stay.contains(&pool.id())) {
            pool.close();
        }
    }

    /// Gives every address its listener, and the new ones to the workers; returns the addresses
    /// that no listener has any more.
    fn swap_listeners(
        &self,
        control: &mut Control,
        plan: &Plan,
        (pools, services): (&Arc<Vec<Arc<Pool>>>, &Services),
        added: Vec<Bound>,
    ) -> Vec<Bound> {
        let mut wanted: HashMap<SocketAddr, Arc<Listener>> = HashMap::new();
        for listener in bind::listeners(plan, pools, &self.metrics, services) {
            wanted.insert(listener.address(), listener);
        }
        let (kept, gone): (Vec<_>, Vec<_>) =
            control.bound.drain(..).partition(|bound| wanted.contains_key(&bound.address()));
        for bound in &kept {
            let Some(listener) = wanted.remove(&bound.address()) else { continue };
            if let Err(error) = bound.retune(listener.plan()) {
                let message = format!("{}: settings of the listener: {error}", bound.address());
                self.logger.event(Event::new("warning", message));
            }
            bound.address.set_listener(listener);
        }
        for bound in &gone {
            bound.address.set_gone();
        }
        self.services.store(Arc::new(services.clone()));
        for bound in &added {
            self.hand_out(bound);
        }
        control.bound = kept.into_iter().chain(added).collect();
        self.addresses.store(Arc::new(control.bound.iter().map(Bound::address).collect()));
        gone
    }

    /// Gives the sockets of an address to the workers.
    fn hand_out(&self, bound: &Bound) {
        for (index, seat) in self.seats.iter().enumerate() {
            match bound.of_worker(index, self.seats.len()) {
                Ok(sockets) => {
                    for (address, socket) in sockets {
                        self.command(seat, Command::Listen { address, socket });
                    }
                }
                Err(error) => {
                    let message = format!("{}: worker {index}: {error}", bound.address());
                    self.logger.event(Event::new("warning", message));
                }
            }
        }
    }

    fn tell_workers(&self, command: impl Fn() -> Command) {
        for seat in &self.seats {
            self.command(seat, command());
        }
    }

    /// Gives a command, and waits a while where the worker's queue is full. One that is stuck so
    /// long is about to be replaced, by a thread that starts with what is in force then.
    fn command(&self, seat: &Seat, command: Command) {
        let mut left = Some(command);
        wait_until(Instant::now() + PATIENCE, || {
            left = left.take().and_then(|command| seat.command(command).err());
            left.is_none()
        });
    }
}

impl Engine {
    /// Closes addresses: what waits there is taken first.
    fn close(&self, gone: Vec<Bound>) {
        let (closing, closed) = sync_channel(1);
        for bound in &gone {
            for seat in &self.shared.seats {
                let (address, closed) = (bound.address(), closing.clone());
                self.shared.command(seat, Command::Close { address, closed });
            }
            let address = bound.address().to_string();
            let event = Event::new("closed", format!("listening on {address} no more"));
            self.shared.logger.event(event.about("address", address));
        }
        drop(closing);
        if gone.is_empty() {
            return;
        }
        // Ends when every worker has dropped its end.
        let _ = closed.recv_timeout(CLOSING);
        for bound in gone {
            let address = bound.address();
            drop(bound);
            self.sockets.release(address);
        }
    }
}
