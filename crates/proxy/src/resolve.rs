//! Names of endpoints: resolved again and again in the background. A name never blocks the start,
//! and one that stops resolving keeps the addresses that it had.

use crate::engine::{Order, Shared, reactor};
use crate::observe::{Event, Logger};
use crate::pool::Pool;
use eclusa_config::plan::EndpointAddress;
use ipnet::IpNet;
use std::collections::HashMap;
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
            spawn_local(follow(pool.clone(), shared.logger.clone()));
        }
        let _ = orders.wait_for(|order| *order == Order::Stop).await;
    });
    // A look-up that hangs must not hold up the stop.
    runtime.shutdown_background();
}

/// Resolves the names of a pool again and again.
async fn follow(pool: Arc<Pool>, logger: Logger) {
    let mut trouble: HashMap<usize, String> = HashMap::new();
    loop {
        let mut answers: HashMap<usize, Vec<SocketAddr>> = HashMap::new();
        for (index, endpoint) in pool.plan().endpoints.iter().enumerate() {
            let EndpointAddress::Name { host, port } = &endpoint.address else { continue };
            match resolve(host, *port, pool.plan().within.as_deref()).await {
                Ok(addresses) => {
                    trouble.remove(&index);
                    answers.insert(index, addresses);
                }
                Err(error) => {
                    if trouble.insert(index, error.clone()).as_ref() != Some(&error) {
                        tell(&logger, &pool, host, &error);
                    }
                }
            }
        }
        if pool.set_resolved(|index| answers.get(&index).cloned()) {
            let addresses: Vec<_> =
                pool.endpoints().iter().map(|e| e.address().to_string()).collect();
            let name = &*pool.plan().name;
            let message = format!("endpoints of pool {name} are now {}", addresses.join(", "));
            logger.event(
                Event::new("resolve", message).about("pool", name).about("addresses", addresses),
            );
        }
        sleep(pool.plan().resolve_interval).await;
    }
}

fn tell(logger: &Logger, pool: &Pool, host: &str, error: &str) {
    let event = Event::new("resolve", format!("{host}: {error}; known addresses are kept"))
        .about("pool", &*pool.plan().name)
        .about("host", host);
    logger.event(event);
}

/// The addresses of a name, those outside `within` left out.
async fn resolve(
    host: &str,
    port: u16,
    within: Option<&[IpNet]>,
) -> Result<Vec<SocketAddr>, String> {
    let found = timeout(PATIENCE, lookup_host((host, port))).await;
    let found = found.map_err(|_| format!("no answer within {PATIENCE:?}"))?;
    let mut addresses: Vec<SocketAddr> =
        found.map_err(|error| error.to_string())?.take(ADDRESSES_MAX).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let Some(within) = within else { return Ok(addresses) };
    let (inside, outside): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| within.iter().any(|network| network.contains(&address.ip())));
    match (inside.is_empty(), outside.first()) {
        (true, Some(address)) => {
            Err(format!("{} is not in `upstreams_within`, not used", address.ip()))
        }
        _ => Ok(inside),
    }
}
