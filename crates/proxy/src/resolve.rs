//! Names of endpoints: resolved again and again in the background. A name never blocks the start,
//! and one that stops resolving keeps the addresses that it had: the probes' thread hears of it, and
//! goes on probing them.

use crate::engine::{Order, Shared, reactor};
use crate::observe::Event;
use crate::pool::{Endpoint, Pool, PoolId};
use crate::probe::Allowance;
use eclusa_config::plan::EndpointAddress;
use eclusa_policy::verdict::Evidence;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{sleep, timeout};

/// A look-up that takes longer counts as failed; the resolver's own limits are often larger.
const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses of one name that are used at most.
const ADDRESSES_MAX: usize = 64;

/// The body of the resolver's thread. `again`: another configuration is in force.
pub(crate) fn run(
    shared: &Arc<Shared>,
    mut again: mpsc::Receiver<()>,
    mut orders: watch::Receiver<Order>,
) {
    let Ok(runtime) = reactor() else {
        return shared.logger.event(Event::new("warning", "the resolver cannot start"));
    };
    runtime.block_on(async move {
        let mut followed: HashMap<(PoolId, Name), AbortHandle> = HashMap::new();
        loop {
            follow(shared, &mut followed);
            tokio::select! {
                Some(()) = again.recv() => {}
                _ = orders.wait_for(|order| *order == Order::Stop) => return,
            }
        }
    });
    // A look-up that hangs must not hold up the stop.
    runtime.shutdown_background();
}

/// Follows the names of the pools that are there now, and no others.
fn follow(shared: &Arc<Shared>, followed: &mut HashMap<(PoolId, Name), AbortHandle>) {
    let mut before = std::mem::take(followed);
    for pool in shared.pools().iter() {
        for endpoint in &pool.plan().endpoints {
            let EndpointAddress::Name { host, port } = &endpoint.address else { continue };
            let name = Name { host: host.clone(), port: *port };
            let key = (pool.id(), name.clone());
            let task = before.remove(&key).unwrap_or_else(|| {
                spawn_local(Resolver::new(shared, pool, name).follow()).abort_handle()
            });
            followed.insert(key, task);
        }
    }
    before.into_values().for_each(|task| task.abort());
}

/// An endpoint that the configuration knows by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    host: Arc<str>,
    port: u16,
}

impl Name {
    /// Whether an endpoint is one of its addresses.
    fn is_of(&self, endpoint: &Endpoint) -> bool {
        endpoint.written().host.as_ref() == Some(&self.host)
            && endpoint.address().port() == self.port
    }
}

/// Resolves a name again and again. Each has a task of its own: a dead one holds up no other.
struct Resolver {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    name: Name,
    /// It was told that the name does not resolve.
    fails: bool,
    /// What was told of addresses that are not used.
    outside: String,
    allowance: Allowance,
}

impl Resolver {
    fn new(shared: &Arc<Shared>, pool: &Arc<Pool>, name: Name) -> Self {
        Self {
            shared: shared.clone(),
            pool: pool.clone(),
            name,
            fails: false,
            outside: String::new(),
            allowance: Allowance::default(),
        }
    }

    async fn follow(mut self) {
        loop {
            match resolve(&self.name, &self.pool).await {
                Ok(found) if found.inside.is_empty() => self.failed(None, outside_of(&found)),
                Ok(found) => self.resolved(found),
                Err(error) => self.failed(Some(&error), String::new()),
            }
            if let Some(lines) = self.allowance.take_left_out(self.shared.time()) {
                let message = format!("{lines} lines about {} were left out", self.name.host);
                let event = self.about("left_out", message).about("left_out", lines);
                self.shared.logger.event(event);
            }
            sleep(self.pool.plan().resolve_interval).await;
        }
    }

    fn resolved(&mut self, found: Found) {
        let outside = outside_of(&found);
        if !outside.is_empty() && outside != self.outside {
            self.tell(&outside);
        }
        self.outside = outside;
        if std::mem::take(&mut self.fails) {
            self.tell("it resolves now");
        }
        let is_it = |host: &str, port| *self.name.host == *host && self.name.port == port;
        let found = |host: &str, port| is_it(host, port).then(|| found.inside.clone());
        if self.pool.set_resolved(found) {
            self.tell_addresses();
        }
        self.signal(&Evidence::Resolved);
    }

    /// There is no address to be used: for an error, or because all lie `outside`.
    fn failed(&mut self, error: Option<&str>, outside: String) {
        let elsewhere = !outside.is_empty() && outside != self.outside;
        if !std::mem::replace(&mut self.fails, true) || elsewhere {
            let error = error.unwrap_or(&outside);
            // One that never resolved has no address that anybody could be told about.
            let then = match self.has_addresses() {
                true => "its last known addresses are kept",
                false => "it has no address yet",
            };
            self.tell(&format!("{error}; {then}"));
        }
        self.outside = outside;
        self.signal(&Evidence::Unresolved);
    }

    fn has_addresses(&self) -> bool {
        self.pool.endpoints().iter().any(|endpoint| self.name.is_of(endpoint))
    }

    /// Tells the judge. In every round: a signal that found no place is made up for by the next,
    /// and the one that changes nothing is no news.
    fn signal(&self, evidence: &Evidence) {
        for endpoint in self.pool.endpoints().iter().filter(|other| self.name.is_of(other)) {
            self.shared.signal(self.pool.id(), endpoint.key(), evidence.clone());
        }
    }

    fn tell_addresses(&mut self) {
        if !self.allowance.take(self.shared.time()) {
            return;
        }
        let endpoints = self.pool.endpoints();
        let addresses: Vec<_> = endpoints.iter().map(|e| e.address().to_string()).collect();
        let name = self.pool.name();
        let message = format!("endpoints of pool {name} are now {}", addresses.join(", "));
        let event = Event::new("resolve", message).about("pool", name);
        self.shared.logger.event(event.about("addresses", addresses));
    }

    fn tell(&mut self, words: &str) {
        if self.allowance.take(self.shared.time()) {
            let event = self.about("resolve", format!("{}: {words}", self.name.host));
            self.shared.logger.event(event.about("resolves", !self.fails));
        }
    }

    fn about(&self, kind: &'static str, message: String) -> Event {
        Event::new(kind, message).about("pool", self.pool.name()).about("host", &*self.name.host)
    }
}

/// What a name resolves to.
struct Found {
    inside: Vec<SocketAddr>,
    /// Not in `upstreams_within`, and so not used.
    outside: Vec<SocketAddr>,
}

fn outside_of(found: &Found) -> String {
    let addresses: Vec<_> = found.outside.iter().map(|a| a.ip().to_string()).collect();
    if addresses.is_empty() {
        return String::new();
    }
    format!("{} not in `upstreams_within`, not used", addresses.join(", "))
}

async fn resolve(name: &Name, pool: &Pool) -> Result<Found, String> {
    let found = timeout(PATIENCE, lookup_host((&*name.host, name.port))).await;
    let found = found.map_err(|_| format!("no answer within {PATIENCE:?}"))?;
    let canonical =
        |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let mut addresses: Vec<SocketAddr> =
        found.map_err(|error| error.to_string())?.take(ADDRESSES_MAX).map(canonical).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let (inside, outside) = addresses.into_iter().partition(|a| pool.admits(a.ip()));
    let found = Found { inside, outside };
    // An empty answer must not empty the pool.
    let is_empty = found.inside.is_empty() && found.outside.is_empty();
    if is_empty { Err("it has no address".into()) } else { Ok(found) }
}
