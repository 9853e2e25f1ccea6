//! The sockets of listeners: got once, kept across reloads, a copy for each worker.

use super::{StartError, processors};
use crate::keeper::{Sockets, Wanted};
use crate::layer7::Services;
use crate::listener::{Address, Listener};
use crate::observe::Event;
use crate::observe::Logger;
use crate::observe::metrics::Metrics;
use crate::pool::Pool;
use crate::relay::PIPES;
use eclusa_config::plan::{self, Plan};
use eclusa_sys::limits::raise_descriptors;
use eclusa_sys::socket::{Keepalive, renew};
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
        let keepalive = Keepalive {
            idle: plan.dead_peer.keepalive_idle,
            interval: plan.dead_peer.keepalive_interval,
            count: plan.dead_peer.keepalive_count,
        };
        let tune = |socket: &OwnedFd| renew(socket.as_fd(), plan.backlog, keepalive);
        self.sockets.iter().try_for_each(tune)
    }
}

/// The listeners of a plan, one for each address.
pub(super) fn listeners(
    plan: &Plan,
    pools: &Arc<Vec<Arc<Pool>>>,
    metrics: &Metrics,
    services: &Services,
) -> Vec<Arc<Listener>> {
    let prepare = |written| Listener::prepare(written, pools, metrics, services);
    plan.listeners.iter().flat_map(prepare).collect()
}

/// Gets sockets for listeners: for each worker one, or more.
///
/// # Errors
/// An address that cannot be had and is not optional; then none is held.
pub(super) fn bind(
    plan: &Plan,
    listeners: Vec<Arc<Listener>>,
    workers: usize,
    source: &Sockets,
    logger: &Logger,
) -> Result<Vec<Bound>, StartError> {
    let wanted: Vec<_> = listeners
        .iter()
        .map(|listener| Wanted::new(listener.plan(), listener.address(), workers))
        .collect();
    let got = source.listen(&wanted).map_err(StartError::Taken)?;
    let mut bound = Vec::new();
    let mut failed = None;
    for (listener, sockets) in listeners.into_iter().zip(got) {
        let address = listener.address();
        match sockets {
            Ok(sockets) => bound.push(Bound { address: Address::new(listener), sockets }),
            Err(error) if is_optional(plan, address) => {
                let message = format!("not listening on {address}: {error}");
                logger.event(Event::new("warning", message));
            }
            Err(error) => failed = Some(StartError::Listen(address, error)),
        }
    }
    let Some(error) = failed else { return Ok(bound) };
    for bound in bound {
        let address = bound.address();
        drop(bound);
        source.release(address);
    }
    Err(error)
}

fn is_optional(plan: &Plan, address: SocketAddr) -> bool {
    let mut all = plan.listeners.iter().flat_map(|listener| &listener.addresses);
    all.any(|listen| listen.address == address && listen.optional)
}

/// Sessions that so many descriptors allow, each with two: by default, and at most.
pub(crate) fn sessions_possible(plan: &Plan, descriptors: u64) -> (usize, usize) {
    let workers = plan.workers.unwrap_or_else(processors) as u64;
    let addresses: usize = plan.listeners.iter().map(|listener| listener.addresses.len()).sum();
    let per_worker = addresses as u64 * PER_SOCKET + RESERVED_PER_WORKER;
    let reserved = RESERVED + 2 * PIPES as u64 + workers * per_worker;
    let possible = usize::try_from(descriptors.saturating_sub(reserved) / 2).unwrap_or(1 << 19);
    let by_default = usize::try_from(descriptors * 8 / 10 / 2).unwrap_or(1 << 19).min(possible);
    (by_default, possible)
}

/// Sessions that may run at once.
pub(super) fn sessions_max(plan: &Plan, logger: &Logger) -> usize {
    let descriptors = raise_descriptors().unwrap_or(1 << 20);
    let (by_default, possible) = sessions_possible(plan, descriptors);
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
