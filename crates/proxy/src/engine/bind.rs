//! The sockets of listeners: bound once, kept across reloads, a copy for each worker.

use super::instance::{self, InstanceLock};
use super::{StartError, processors};
use crate::listener::{Address, Listener};
use crate::observe::{Event, Logger};
use crate::pool::Pool;
use crate::relay::PIPES;
use eclusa_config::plan::{self, Plan};
use eclusa_sys::limits::raise_descriptors;
use eclusa_sys::socket::{Keepalive, listen, retune};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Descriptors that are nobody's session: logs, probes, rival dials, the reactors'.
const RESERVED: u64 = 256;
/// Descriptors of a worker beside its listeners': reactor, wake-ups.
const RESERVED_PER_WORKER: u64 = 8;
/// Descriptors of a listening socket: the worker's, and the one kept here.
const PER_SOCKET: u64 = 2;

/// An address that is listened on, with its sockets. They are kept for the thread that may have to
/// take the place of a worker's.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) address: Arc<Address>,
    sockets: Vec<OwnedFd>,
    _lock: InstanceLock,
}

impl Bound {
    pub(super) fn address(&self) -> SocketAddr {
        self.address.address()
    }

    /// Copies of the sockets that a worker accepts from: of as many as there are, all are somebody's.
    pub(super) fn of_worker(
        &self,
        worker: usize,
        workers: usize,
    ) -> io::Result<Vec<(Arc<Address>, OwnedFd)>> {
        let own = self.sockets.iter().skip(worker).step_by(workers);
        own.map(|socket| Ok((self.address.clone(), socket.try_clone()?))).collect()
    }

    /// Gives the sockets the settings of another plan; connections accepted from now on have them.
    pub(super) fn retune(&self, plan: &plan::Listener) -> io::Result<()> {
        let tune = |socket: &OwnedFd| retune(socket.as_fd(), plan.backlog, keepalive(plan));
        self.sockets.iter().try_for_each(tune)
    }
}

/// Binds every address of a plan.
///
/// # Errors
/// The first address that cannot be had and is not optional; then none is bound.
pub(super) fn all(
    plan: &Plan,
    workers: usize,
    pools: &Arc<Vec<Arc<Pool>>>,
    logger: &Logger,
) -> Result<Vec<Bound>, StartError> {
    missing(plan, workers, pools, &|_| false, logger)
}

/// Binds the addresses of a plan that are not there yet.
///
/// # Errors
/// As [`all`].
pub(super) fn missing(
    plan: &Plan,
    workers: usize,
    pools: &Arc<Vec<Arc<Pool>>>,
    there: &dyn Fn(SocketAddr) -> bool,
    logger: &Logger,
) -> Result<Vec<Bound>, StartError> {
    let mut bound = Vec::new();
    for written in &plan.listeners {
        let listeners = Listener::prepare(written, pools);
        for (listener, listen) in listeners.into_iter().zip(&written.addresses) {
            if there(listen.address) {
                continue;
            }
            match open(plan, written, listener, workers) {
                Ok(one) => bound.push(one),
                Err(StartError::Listen(address, error)) if listen.optional => {
                    let message = format!("not listening on {address}: {error}");
                    logger.event(Event::new("warning", message));
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(bound)
}

fn open(
    plan: &Plan,
    written: &plan::Listener,
    listener: Arc<Listener>,
    workers: usize,
) -> Result<Bound, StartError> {
    let address = listener.address();
    let lock = instance::claim(plan, address).map_err(StartError::Taken)?;
    let one = |_| listen(address, written.backlog, keepalive(written));
    let sockets: io::Result<Vec<_>> = (0..workers).map(one).collect();
    let sockets = sockets.map_err(|error| StartError::Listen(address, error))?;
    Ok(Bound { address: Address::new(listener), sockets, _lock: lock })
}

fn keepalive(plan: &plan::Listener) -> Keepalive {
    Keepalive {
        idle: plan.dead_peer.keepalive_idle,
        interval: plan.dead_peer.keepalive_interval,
        count: plan.dead_peer.keepalive_count,
    }
}

/// Sessions that may run at once: each holds two descriptors.
pub(super) fn sessions_max(plan: &Plan, logger: &Logger) -> usize {
    let descriptors = raise_descriptors().unwrap_or(1 << 20);
    let workers = plan.workers.unwrap_or_else(processors) as u64;
    let addresses: usize = plan.listeners.iter().map(|listener| listener.addresses.len()).sum();
    let per_worker = addresses as u64 * PER_SOCKET + RESERVED_PER_WORKER;
    let reserved = RESERVED + 2 * PIPES as u64 + workers * per_worker;
    let possible = usize::try_from(descriptors.saturating_sub(reserved) / 2).unwrap_or(1 << 19);
    let by_default = usize::try_from(descriptors * 8 / 10 / 2).unwrap_or(1 << 19).min(possible);
    let wanted = plan.sessions_max.unwrap_or(by_default);
    if wanted > possible {
        let message = format!(
            "sessions_max = {wanted} takes {} descriptors, the limit is {descriptors}: \
             {possible} sessions (raise LimitNOFILE= of the unit)",
            wanted * 2
        );
        logger.event(Event::new("warning", message));
    }
    wanted.min(possible).clamp(1, Semaphore::MAX_PERMITS)
}
