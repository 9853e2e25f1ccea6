//! What the workers and the probes' thread tell each other. Both ways are bounded and never waited
//! for: a worker that cannot place a signal drops it (traffic brings more), and an order to reset
//! that finds no place is given again at the next turn.

use crate::admin::{Session, SessionFilter, Sort};
use crate::listener::Address;
use crate::pool::{Endpoint, Pool, PoolId};
use eclusa_policy::verdict::{Evidence, Key, Pace, Reason};
use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use tokio::sync::oneshot;

/// Signals on their way to the probes' thread.
pub(crate) const SIGNALS: usize = 4096;
/// Orders on their way to a worker.
pub(crate) const COMMANDS: usize = 256;

/// Reloads on their way to the probes' thread.
pub(crate) const CHANGES: usize = 4;

/// Traffic saw something of an endpoint.
#[derive(Debug)]
pub(crate) struct Signal {
    pub(crate) pool: PoolId,
    pub(crate) key: Key,
    pub(crate) evidence: Evidence,
}

/// Held while something is being closed; when every clone is dropped its receiver knows.
pub(crate) type Closed = SyncSender<Infallible>;

/// The probes' thread or a reload wants something of a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Listen on one more socket.
    Listen { address: Arc<Address>, socket: OwnedFd },
    /// Hear no more on an address, take what waits, close.
    Close { address: SocketAddr, closed: Closed },
    /// Tell of sessions, and close them if that is asked for.
    Sessions { ask: Arc<SessionQuery>, tell: oneshot::Sender<SessionsFound> },
    /// These are the pools from now on: forget what is kept of others.
    Pools(Arc<Vec<Arc<Pool>>>),
    /// Reset the sessions that stand on an endpoint, towards both sides, paced, for as long as its
    /// reset order ([`Endpoint::reset_order`]) is this one.
    Reset { endpoint: Arc<Endpoint>, order: u64, reason: Reason, pace: Pace },
}

/// Which sessions somebody asks for.
#[derive(Debug)]
pub(crate) struct SessionQuery {
    /// These alone, by their ids.
    pub(crate) ids: Option<HashSet<String>>,
    /// Those that fulfil this.
    pub(crate) filter: SessionFilter,
    pub(crate) sort: Sort,
    /// At most so many are told of; all are counted.
    pub(crate) limit: usize,
    /// And they are to be closed.
    pub(crate) close: bool,
}

/// What a worker has of what was asked for.
#[derive(Debug, Default)]
pub(crate) struct SessionsFound {
    pub(crate) matching: u64,
    /// Sorted as asked for.
    pub(crate) sessions: Vec<Session>,
    /// Of the ids that were asked for, those that are there.
    pub(crate) ids: Vec<String>,
}
