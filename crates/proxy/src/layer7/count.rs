//! What a service counts of its connections, and which messages it has refused.

use super::{Connection, Endpoint, Exchange, Pool};
use crate::engine::Worker;
use crate::observe::metrics::{Compressed, Handshake, Limited, Login};
use crate::observe::{Origin, Refusal};
use eclusa_wire::http2::Flood;
use std::fmt;
use std::rc::{Rc, Weak};

impl Connection {
    /// Counts an exchange that is over, and writes its record.
    pub fn exchanged(&self, exchange: &Exchange) {
        self.opening.cells.exchanged(self.worker(), exchange);
        if let Some(pool) = &exchange.pool {
            pool.cells().exchanged(self.worker(), exchange);
        }
        if self.wants_records() {
            self.worker.logger().exchange(exchange);
        }
    }

    /// Counts a handshake with the client.
    pub fn shaken(&self, outcome: Handshake) {
        self.opening.cells.count_http(self.worker(), |http| http.shaken(outcome));
    }

    /// Counts a name and a password.
    pub fn login(&self, outcome: Login) {
        self.opening.cells.count_http(self.worker(), |http| http.login(outcome));
    }

    /// Counts what is over a limit of its client network, and whether it is refused for it.
    pub fn limited(&self, what: Limited, refused: bool) {
        self.opening.cells.count_http(self.worker(), |http| http.limited(what, refused));
    }

    /// Counts an answer that is to be compressed.
    pub fn compressed(&self, outcome: Compressed) {
        self.opening.cells.count_http(self.worker(), |http| http.compressed(outcome));
    }

    /// Counts itself as cut for a flood.
    pub fn flooded(&self, flood: Flood) {
        self.opening.cells.count_http(self.worker(), |http| http.flooded(flood));
    }

    /// Counts a client network that was forgotten too early.
    pub fn forgot(&self) {
        self.opening.cells.count_http(self.worker(), |http| http.forgot());
    }

    /// The codec has refused a request: counts and keeps it.
    pub fn refused_request(&self, refusal: Refusal<'_>) {
        self.opening.cells.count_http(self.worker(), |http| http.refused(refusal.reason));
        self.worker.refusals().keep(refusal, self.origin(None));
    }

    /// The codec has refused an answer of this endpoint of `pool`: counts and keeps it.
    pub fn refused_answer(&self, refusal: Refusal<'_>, pool: &Pool, endpoint: &Endpoint) {
        pool.cells().refused(self.worker(), refusal.reason);
        self.worker.refusals().keep(refusal, self.origin(Some((pool, endpoint))));
    }

    fn origin(&self, endpoint: Option<(&Pool, &Endpoint)>) -> Origin {
        let endpoint = endpoint.map(|(pool, endpoint)| (pool.name().into(), endpoint.address()));
        Origin { listener: self.opening.listener.clone(), client: self.opening.client, endpoint }
    }

    /// Tells metrics how many idle connections to endpoints this worker keeps.
    #[must_use]
    pub fn idle_gauge(&self) -> IdleGauge {
        IdleGauge(Rc::downgrade(&self.worker))
    }
}

/// Idle connections to endpoints that a worker keeps. Holds no worker.
#[derive(Default)]
pub struct IdleGauge(Weak<Worker>);

impl IdleGauge {
    /// There are so many now.
    pub fn set(&self, count: usize) {
        if let Some(worker) = self.0.upgrade() {
            worker.metrics().set_idle_connections(worker.index(), count);
        }
    }
}

impl fmt::Debug for IdleGauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdleGauge")
    }
}
