//! Where the engine's listening sockets come from: from the keeper, or from itself where there is
//! none.
//!
//! ```text
//! start, reload:  listen(all that is new) → sockets; on failure, release what was got
//! reload:         release(address)        after its last socket was closed
//! stop:           release_all() after the last was closed, unless they_stay()
//! ```
//!
//! All calls block: they are for the thread that starts the engine, and for the control thread.

use super::Client;
use super::binder::Binder;
use super::instance::InstanceError;
use eclusa_config::plan;
use eclusa_sys::socket::Keepalive;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Sockets that are to listen on one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The address. Addresses that are not here yet can be listened on.
    pub address: SocketAddr,
    /// Length of the accept queue of each socket.
    pub backlog: u32,
    /// Seconds before the first keepalive probe of what is accepted.
    keepalive_idle: u64,
    /// Seconds between two probes.
    keepalive_interval: u64,
    keepalive_count: u32,
    /// How many: one for each worker.
    pub sockets: usize,
}

impl Wanted {
    /// What one address of a listener wants.
    #[must_use]
    pub fn new(listener: &plan::Listener, address: SocketAddr, sockets: usize) -> Self {
        Self {
            address,
            backlog: listener.backlog,
            keepalive_idle: listener.dead_peer.keepalive_idle.as_secs(),
            keepalive_interval: listener.dead_peer.keepalive_interval.as_secs(),
            keepalive_count: listener.dead_peer.keepalive_count,
            sockets,
        }
    }

    pub(super) fn keepalive(&self) -> Keepalive {
        Keepalive {
            idle: Duration::from_secs(self.keepalive_idle),
            interval: Duration::from_secs(self.keepalive_interval),
            count: self.keepalive_count,
        }
    }
}

/// Where listening sockets come from.
#[derive(Clone, Debug)]
pub struct Sockets(Source);

#[derive(Clone, Debug)]
enum Source {
    /// This process binds, and holds the locks.
    Own(Arc<Mutex<Binder>>),
    /// The keeper does.
    Keeper(Arc<Client>),
}

impl Sockets {
    /// Of this process itself; locks go to `run_directory`, or where they go by default.
    #[must_use]
    pub fn own(program: plan::Program, run_directory: Option<PathBuf>) -> Self {
        let binder = Binder::new(program.name(), run_directory);
        Self(Source::Own(Arc::new(Mutex::new(binder))))
    }

    /// Of the keeper.
    #[must_use]
    pub fn of_keeper(keeper: Arc<Client>) -> Self {
        Self(Source::Keeper(keeper))
    }

    /// Sockets that listen on these addresses. First all addresses are claimed: if somebody else has
    /// one of them, nothing listens. Then each address has a result of its own: the host may lack
    /// IPv6, say. There can be *more* sockets than were wanted, from a run with more workers; all must be
    /// accepted from, for the kernel spreads new connections over all of them.
    ///
    /// An address that this engine listens on already is not to be asked for again before it is
    /// released.
    ///
    /// # Errors
    /// Another instance or another program listens there; then none of these addresses is held.
    pub fn listen(
        &self,
        wanted: &[Wanted],
    ) -> Result<Vec<io::Result<Vec<OwnedFd>>>, InstanceError> {
        for (index, one) in wanted.iter().enumerate() {
            if let Err(error) = self.claim(one.address) {
                for claimed in wanted.iter().take(index) {
                    self.release(claimed.address);
                }
                return Err(error);
            }
        }
        let open = |one: &Wanted| {
            let got = match &self.0 {
                Source::Own(binder) => locked(binder).open(one, one.sockets),
                Source::Keeper(keeper) => keeper.listen(one),
            };
            if got.is_err() {
                self.release(one.address);
            }
            got
        };
        Ok(wanted.iter().map(open).collect())
    }

    fn claim(&self, address: SocketAddr) -> Result<(), InstanceError> {
        match &self.0 {
            Source::Own(binder) => locked(binder).claim(address, false).map(|_| ()),
            Source::Keeper(keeper) => keeper.claim(address),
        }
    }

    /// The engine no longer listens on this address, and has closed its sockets: others may have it.
    pub fn release(&self, address: SocketAddr) {
        match &self.0 {
            Source::Own(binder) => locked(binder).release(address),
            Source::Keeper(keeper) => keeper.release(address),
        }
    }

    /// The engine listens nowhere any more.
    pub fn release_all(&self) {
        match &self.0 {
            Source::Own(binder) => locked(binder).release_all(),
            Source::Keeper(keeper) => keeper.release_all(),
        }
    }

    /// Whether the sockets outlive this process, in systemd's store or with another acceptor: then a
    /// stop must not empty their queues or make them deaf. Who waits there is served by the next
    /// start.
    #[must_use]
    pub fn they_stay(&self) -> bool {
        match &self.0 {
            Source::Own(_) => false,
            Source::Keeper(keeper) => keeper.stores(),
        }
    }

    /// Whether a stop goes on accepting until the last session has ended: the sockets stay, so that
    /// clients would not be refused but wait for as long as the stop takes. Not without the keeper: then a
    /// successor may already be there.
    #[must_use]
    pub fn accept_to_the_end(&self) -> bool {
        match &self.0 {
            Source::Own(_) => false,
            Source::Keeper(keeper) => keeper.stores() && !keeper.is_gone(),
        }
    }
}

/// A panic elsewhere leaves the locks as they are.
fn locked(binder: &Mutex<Binder>) -> std::sync::MutexGuard<'_, Binder> {
    binder.lock().unwrap_or_else(PoisonError::into_inner)
}
