//! Probes: a thread that does nothing else asks every endpoint of every pool, again and again,
//! and hands what it sees (and what traffic saw) to the judge of the pool.
//!
//! | file | concern |
//! |---|---|
//! | `watch` | one pool: its judge, its endpoints, what follows from evidence |
//! | `drive` | one endpoint: when the next probe is due; the probes under way |
//! | `fresh` | a fresh connection: silence, hello, set-up, and what each failure means |
//! | `connect`, `first_byte` | the connection itself, over the way that traffic takes |
//! | `tls`, `certificate` | its TLS; what the certificate tells |
//! | `http`, `kept` | the questions over a connection that is set up, and its keeping |
//! | `unasked` | pools without probes, where traffic alone says something |
//! | `link` | our own link, which can be the reason for silence |
//! | `announce`, `allowance` | what the log is told, and how often |
//! | `resets` | orders to the workers |

mod allowance;
mod announce;
mod certificate;
mod connect;
mod drive;
mod first_byte;
mod fresh;
mod http;
mod kept;
mod link;
mod resets;
mod tls;
mod unasked;
mod watch;

pub(crate) use allowance::Allowance;

use crate::engine::{Order, Shared, reactor};
use crate::observe::Event;
use crate::pool::Pool;
use crate::signal::{Command, Signal};
use eclusa_config::plan;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{mpsc, watch as tokio_watch};
use tokio::task::spawn_local;
use unasked::UnaskedPool;

/// What asks the endpoints of one pool.
pub(crate) struct Prober {
    pool: Arc<Pool>,
    /// Index of the pool.
    index: usize,
    kind: Kind,
}

/// What is asked; a kind is a file with its code, and a line in [`Kind::prepare`].
enum Kind {
    /// Whether it connects.
    Tcp,
    /// Whether it completes a TLS handshake.
    Tls(tls::Tls),
    /// What it answers to HTTP requests.
    Http(http::Http),
}

impl Kind {
    fn prepare(probe: &plan::Probe) -> Result<Option<Self>, String> {
        Ok(match probe {
            plan::Probe::None => None,
            plan::Probe::Tcp => Some(Self::Tcp),
            plan::Probe::Tls(probe) => Some(Self::Tls(tls::Tls::prepare(probe, &[])?)),
            plan::Probe::Http(probe) => Some(Self::Http(http::Http::prepare(probe)?)),
        })
    }

    fn tls(&self) -> Option<&tls::Tls> {
        match self {
            Self::Tcp => None,
            Self::Tls(tls) => Some(tls),
            Self::Http(http) => http.tls(),
        }
    }
}

/// Loads what the probes need. Errors are for the operator: the file, and the remedy.
pub(crate) fn prepare(shared: &Shared) -> Result<Vec<Prober>, String> {
    let mut probers = Vec::new();
    for (index, pool) in shared.pools.iter().enumerate() {
        if let Some(kind) = Kind::prepare(&pool.plan().probe)? {
            probers.push(Prober { pool: pool.clone(), index, kind });
        }
    }
    Ok(probers)
}

/// The body of the probes' thread.
pub(crate) fn run(
    shared: Arc<Shared>,
    probers: Vec<Prober>,
    signals: mpsc::Receiver<Signal>,
    commands: Vec<mpsc::Sender<Command>>,
    mut orders: tokio_watch::Receiver<Order>,
) {
    let Ok(runtime) = reactor() else {
        return shared.logger.event(Event::new("warning", "the probes cannot start"));
    };
    runtime.block_on(async move {
        let resets = Rc::new(resets::Resets::new(commands));
        let mut watches = HashMap::new();
        for prober in probers {
            let index = prober.index;
            let watch = watch::Watch::new(shared.clone(), prober, resets.clone());
            spawn_local(watch.clone().follow());
            spawn_local(watch.clone().turns());
            watches.insert(index, watch);
        }
        let mut unasked = HashMap::new();
        for pool in shared.pools.iter().filter(|pool| !watches.contains_key(&pool.index())) {
            let pool_without = UnaskedPool::new(shared.clone(), pool.clone());
            spawn_local(pool_without.clone().turns());
            unasked.insert(pool.index(), pool_without);
        }
        spawn_local(hear(signals, watches, unasked));
        // An engine that is gone without a word wants an end, too.
        let _ = orders.wait_for(|order| *order == Order::Stop).await;
    });
}

/// Hands what traffic saw to the judges.
async fn hear(
    mut signals: mpsc::Receiver<Signal>,
    watches: HashMap<usize, Rc<watch::Watch>>,
    unasked: HashMap<usize, Rc<UnaskedPool>>,
) {
    while let Some(Signal { pool, key, evidence }) = signals.recv().await {
        if let Some(watch) = watches.get(&pool) {
            watch.observe(key, &evidence);
        } else if let Some(pool) = unasked.get(&pool) {
            pool.observe(key, &evidence);
        }
    }
}
