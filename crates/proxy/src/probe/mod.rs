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
//! | `grpc` | the question to gRPC's health service, and its answers |
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
mod grpc;
mod http;
mod kept;
mod link;
mod resets;
mod tls;
mod unasked;
mod watch;

pub(crate) use allowance::Allowance;
pub(crate) use certificate::{FileCertificate, SOON, Seen, seen};
pub(crate) use connect::local_header;

use crate::engine::{Order, Shared, reactor};
use crate::observe::Event;
use crate::pool::{Pool, PoolId};
use crate::signal::Signal;
use eclusa_config::plan;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{mpsc, watch as tokio_watch};
use tokio::task::{AbortHandle, spawn_local};
use unasked::UnaskedPool;

/// What asks the endpoints of one pool.
struct Prober {
    pool: Arc<Pool>,
    probe: plan::Probe,
    /// `None`: nobody asks.
    kind: Option<Kind>,
}

/// The pools of a configuration, for the probes' thread.
pub(crate) struct Change(Vec<Prober>);

impl Change {
    /// The pools are in force: what their probes use is theirs.
    pub(crate) fn tell_pools(&self) {
        for Prober { pool, kind, .. } in &self.0 {
            let tls = kind.as_ref().and_then(Kind::tls);
            pool.set_certificates(tls.map_or_else(Vec::new, |tls| tls.certificates().to_vec()));
        }
    }
}

/// What is asked; a kind is a file with its code, and a line in [`Kind::prepare`].
enum Kind {
    /// Whether it connects.
    Tcp,
    /// Whether it completes a TLS handshake.
    Tls(tls::Tls),
    /// What it answers to HTTP requests, or to a call of gRPC.
    Http(Box<http::Http>),
}

impl Kind {
    fn prepare(probe: &plan::Probe) -> Result<Option<Self>, String> {
        Ok(match probe {
            plan::Probe::None => None,
            plan::Probe::Tcp => Some(Self::Tcp),
            plan::Probe::Tls(probe) => Some(Self::Tls(tls::Tls::prepare(probe, &[])?)),
            plan::Probe::Http(probe) => Some(Self::Http(Box::new(http::Http::prepare(probe)?))),
            plan::Probe::Grpc(probe) => {
                Some(Self::Http(Box::new(http::Http::prepare_grpc(probe)?)))
            }
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

/// Loads what the probes of a plan need; `pools` are those of the plan, in its order. Errors are for
/// the operator: the file, and the remedy.
pub(crate) fn prepare(pools: &[Arc<Pool>], plan: &plan::Plan) -> Result<Change, String> {
    let prober = |(pool, written): (&Arc<Pool>, &Arc<plan::Pool>)| {
        let kind = Kind::prepare(&written.probe)?;
        Ok(Prober { pool: pool.clone(), probe: written.probe.clone(), kind })
    };
    pools.iter().zip(&plan.pools).map(prober).collect::<Result<_, String>>().map(Change)
}

/// The body of the probes' thread.
pub(crate) fn run(
    shared: Arc<Shared>,
    mut changes: mpsc::Receiver<Change>,
    mut signals: mpsc::Receiver<Signal>,
    mut orders: tokio_watch::Receiver<Order>,
) {
    let Ok(runtime) = reactor() else {
        return shared.logger.event(Event::new("warning", "the probes cannot start"));
    };
    runtime.block_on(async move {
        let resets = Rc::new(resets::Resets::new(shared.clone()));
        let mut probed = Probed { shared, resets, asked: HashMap::new(), unasked: HashMap::new() };
        loop {
            tokio::select! {
                Some(change) = changes.recv() => probed.change(change),
                Some(signal) = signals.recv() => probed.hear(&signal),
                // An engine that is gone without a word wants an end, too.
                _ = orders.wait_for(|order| *order == Order::Stop) => return,
            }
        }
    });
}

/// All pools, and the tasks that look after each.
struct Probed {
    shared: Arc<Shared>,
    resets: Rc<resets::Resets>,
    asked: HashMap<PoolId, Running<watch::Watch>>,
    unasked: HashMap<PoolId, Running<UnaskedPool>>,
}

/// Something with its tasks, which end with it.
struct Running<T> {
    of: Rc<T>,
    tasks: Vec<AbortHandle>,
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Probed {
    /// Another configuration is in force. What was seen of endpoints that stay is kept.
    fn change(&mut self, Change(probers): Change) {
        for Prober { pool, probe, kind } in probers {
            let id = pool.id();
            match kind {
                Some(kind) => {
                    self.unasked.remove(&id);
                    match self.asked.get(&id) {
                        Some(running) => running.of.set_kind(probe, kind),
                        None => drop(self.asked.insert(id, self.ask(pool, probe, kind))),
                    }
                }
                None => {
                    if let Some(running) = self.asked.remove(&id) {
                        running.of.end();
                    }
                    self.unasked.entry(id).or_insert_with(|| {
                        let of = UnaskedPool::new(self.shared.clone(), pool);
                        let tasks = vec![spawn_local(of.clone().turns()).abort_handle()];
                        Running { of, tasks }
                    });
                }
            }
        }
        self.unasked.retain(|_, running| !running.of.is_closed());
        self.asked.retain(|_, running| !running.of.is_over());
    }

    fn ask(&self, pool: Arc<Pool>, probe: plan::Probe, kind: Kind) -> Running<watch::Watch> {
        let of = watch::Watch::new(self.shared.clone(), pool, probe, kind, self.resets.clone());
        let follow = spawn_local(of.clone().follow()).abort_handle();
        let turns = spawn_local(of.clone().turns()).abort_handle();
        Running { of, tasks: vec![follow, turns] }
    }

    /// Hands what traffic saw to the judge.
    fn hear(&self, Signal { pool, key, evidence }: &Signal) {
        if let Some(running) = self.asked.get(pool) {
            running.of.observe(*key, evidence);
        } else if let Some(running) = self.unasked.get(pool) {
            running.of.observe(*key, evidence);
        }
    }
}
