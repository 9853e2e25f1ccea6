//! Names of endpoints: resolved again and again in the background. A name never blocks the start,
//! and one that stops resolving keeps the addresses that it had.

use crate::engine::{Order, Shared, reactor};
use crate::observe::{Event, Logger};
use crate::pool::Pool;
use eclusa_config::plan::EndpointAddress;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

/// A look-up that takes longer counts as failed; the resolver's own limits are often larger.
const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses of one name that are used at most.
const ADDRESSES_MAX: usize = 64;

/// Whether a pool has endpoints to resolve.
pub(crate) fn has_names(pool: &Pool) -> bool {
    pool.plan().endpoints.iter().any(|e| matches!(e.address, EndpointAddress::Name { .. }))
}

/// The body of the resolver's thread.
pub(crate) fn run(shared: &Shared, mut orders: watch::Receiver<Order>) {
    let Ok(runtime) = reactor() else {
        return shared.logger.event(Event::new("warning", "the resolver cannot start"));
    };
    runtime.block_on(async move {
        for pool in shared.pools.iter().filter(|pool| has_names(pool)) {
            for (index, endpoint) in pool.plan().endpoints.iter().enumerate() {
                if let EndpointAddress::Name { host, port } = &endpoint.address {
                    let name = Name { index, host: host.clone(), port: *port };
                    spawn_local(follow(pool.clone(), name, shared.logger.clone()));
                }
            }
        }
        let _ = orders.wait_for(|order| *order == Order::Stop).await;
    });
    // A look-up that hangs must not hold up the stop.
    runtime.shutdown_background();
}

/// An endpoint that the configuration knows by name.
struct Name {
    /// Its place among the pool's endpoints as written.
    index: usize,
    host: Arc<str>,
    port: u16,
}

/// Resolves a name again and again. Each has a task of its own: a dead one holds up no other.
async fn follow(pool: Arc<Pool>, name: Name, logger: Logger) {
    let mut told = String::new();
    loop {
        match resolve(&name, &pool).await {
            Ok(found) => {
                let outside = outside_of(&found);
                if !outside.is_empty() && outside != told {
                    tell(&logger, &pool, &name.host, &outside);
                }
                told = outside;
                if pool.set_resolved(|index| (index == name.index).then(|| found.inside.clone())) {
                    tell_addresses(&logger, &pool);
                }
            }
            Err(error) => {
                if error != told {
                    tell(&logger, &pool, &name.host, &format!("{error}; known addresses are kept"));
                    told = error;
                }
            }
        }
        sleep(pool.plan().resolve_interval).await;
    }
}

fn tell_addresses(logger: &Logger, pool: &Pool) {
    let addresses: Vec<_> = pool.endpoints().iter().map(|e| e.address().to_string()).collect();
    let name = &*pool.plan().name;
    let message = format!("endpoints of pool {name} are now {}", addresses.join(", "));
    logger.event(Event::new("resolve", message).about("pool", name).about("addresses", addresses));
}

fn tell(logger: &Logger, pool: &Pool, host: &str, error: &str) {
    let event = Event::new("resolve", format!("{host}: {error}"))
        .about("pool", &*pool.plan().name)
        .about("host", host);
    logger.event(event);
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
    if found.inside.is_empty() {
        // An empty answer must not empty the pool.
        let outside = outside_of(&found);
        return Err(if outside.is_empty() { "it has no address".into() } else { outside });
    }
    Ok(found)
}
