//! What the handle, the accept loop and the connections of a fake apiserver share.

use super::{Faults, Settings};
use rustls::ServerConfig;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::watch;

/// Where a fake apiserver stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Serves.
    Serving,
    /// Has got SIGTERM: `/readyz` is 500, connections are still accepted.
    Leaving,
    /// Its listener is closed; running requests go on.
    Closed,
    /// Everything is cut.
    Stopped,
}

/// What a fake apiserver has counted since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Of these, accepted after SIGTERM ("connection created very late").
    pub late_connections: u64,
    /// Connections that stand now.
    pub open: u64,
    /// TLS handshakes that failed, whoever broke them off.
    pub failed_handshakes: u64,
    /// Requests, watches and health checks among them.
    pub requests: u64,
    /// Requests of `/readyz`, `/livez` or `/healthz`.
    pub health: u64,
    /// Requests that are being answered now, without watches.
    pub running: u64,
    /// Watches that stand now.
    pub watches: u64,
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) faults: watch::Sender<Faults>,
    pub(super) phase: watch::Sender<Phase>,
    /// Generations: a connection that sees one change obeys.
    pub(super) cut: watch::Sender<u64>,
    pub(super) goaway: watch::Sender<u64>,
    pub(super) count: Count,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(super) struct Count {
    pub(super) connections: AtomicU64,
    pub(super) late_connections: AtomicU64,
    pub(super) open: AtomicU64,
    pub(super) failed_handshakes: AtomicU64,
    pub(super) requests: AtomicU64,
    /// Those over HTTP/2.
    pub(super) http2_requests: AtomicU64,
    pub(super) health: AtomicU64,
    pub(super) running: AtomicU64,
    pub(super) watches: AtomicU64,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        let alpn: Vec<&str> = settings.alpn.iter().map(String::as_str).collect();
        Self {
            tls: settings.certificate.as_ref().map(|leaf| leaf.server(&alpn)),
            faults: watch::Sender::new(settings.faults.clone()),
            phase: watch::Sender::new(Phase::Serving),
            cut: watch::Sender::new(0),
            goaway: watch::Sender::new(0),
            count: Count::default(),
            settings,
        }
    }

    pub(super) fn terminate(&self) {
        self.phase.send_if_modified(|phase| {
            let first = *phase == Phase::Serving;
            if first {
                *phase = Phase::Leaving;
            }
            first
        });
    }

    pub(super) fn cut(&self) {
        self.cut.send_modify(|generation| *generation += 1);
    }

    pub(super) fn goaway(&self) {
        self.goaway.send_modify(|generation| *generation += 1);
    }

    pub(super) fn counters(&self) -> Counters {
        let count = &self.count;
        Counters {
            connections: count.connections.load(Relaxed),
            late_connections: count.late_connections.load(Relaxed),
            open: count.open.load(Relaxed),
            failed_handshakes: count.failed_handshakes.load(Relaxed),
            requests: count.requests.load(Relaxed),
            health: count.health.load(Relaxed),
            running: count.running.load(Relaxed),
            watches: count.watches.load(Relaxed),
        }
    }
}

/// Which gauge a [`Held`] has raised.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gauge {
    Open,
    Running,
    Watches,
}

/// One unit of a gauge, given back by `Drop`.
#[derive(Debug)]
pub(super) struct Held(Arc<Shared>, Gauge);

impl Held {
    pub(super) fn new(shared: &Arc<Shared>, gauge: Gauge) -> Self {
        let held = Self(Arc::clone(shared), gauge);
        held.gauge().fetch_add(1, Relaxed);
        held
    }

    fn gauge(&self) -> &AtomicU64 {
        match self.1 {
            Gauge::Open => &self.0.count.open,
            Gauge::Running => &self.0.count.running,
            Gauge::Watches => &self.0.count.watches,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge().fetch_sub(1, Relaxed);
    }
}
