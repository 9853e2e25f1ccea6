//! The shrink guard: a file that was cut off, or generated from an inventory that was empty, must
//! not take the endpoints of a pool away that serve.

use crate::pool::{Endpoint, Pool};
use eclusa_config::plan::{EndpointAddress, Plan};
use eclusa_policy::verdict::Verdict;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Looks whether a plan drops more than half of the endpoints of a pool that are `up`, or the last
/// of them, or more than half of the pools that have one.
///
/// # Errors
/// What would be dropped, in words.
pub(super) fn guard(pools: &[Arc<Pool>], plan: &Plan) -> Result<(), Vec<String>> {
    let serving: Vec<_> = pools.iter().filter(|pool| count_up(pool, |_| true) > 0).collect();
    let by_name: HashMap<&str, _> = plan.pools.iter().map(|pool| (&*pool.name, pool)).collect();
    let mut words = Vec::new();
    let mut gone = 0;
    for pool in &serving {
        let Some(written) = by_name.get(pool.name()) else {
            gone += 1;
            continue;
        };
        let stays: HashSet<_> =
            written.endpoints.iter().map(|endpoint| &endpoint.address).collect();
        let up = count_up(pool, |_| true);
        let lost = count_up(pool, |endpoint| !stays.contains(&written_address(endpoint)));
        if lost == up || lost * 2 > up {
            words.push(format!(
                "pool {} would lose {lost} of {up} endpoints that are up",
                pool.name()
            ));
        }
    }
    if gone * 2 > serving.len() {
        words.push(format!("{gone} of {} pools that serve would be gone", serving.len()));
    }
    if words.is_empty() { Ok(()) } else { Err(words) }
}

fn count_up(pool: &Pool, which: impl Fn(&Endpoint) -> bool) -> usize {
    let endpoints = pool.endpoints();
    let up = endpoints.iter().filter(|endpoint| endpoint.report().verdict == Verdict::Up);
    up.filter(|endpoint| which(endpoint)).count()
}

/// The address as the configuration wrote it.
pub(crate) fn written_address(endpoint: &Endpoint) -> EndpointAddress {
    match &endpoint.written().host {
        Some(host) => EndpointAddress::Name { host: host.clone(), port: endpoint.address().port() },
        None => EndpointAddress::Socket(endpoint.address()),
    }
}
