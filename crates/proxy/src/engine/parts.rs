//! What is made of a plan before anything runs.

use super::StartError;
use crate::layer7::{Layer, Services};
use crate::observe::metrics::Metrics;
use crate::pool::Pool;
use eclusa_config::plan::Plan;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The pools of a plan, all of them new.
pub(super) fn pools(plan: &Plan, metrics: &Metrics) -> Arc<Vec<Arc<Pool>>> {
    let pool = |pool: &Arc<_>| Arc::new(Pool::new(Arc::clone(pool), metrics));
    Arc::new(plan.pools.iter().map(pool).collect())
}

/// The services of a plan's listeners.
pub(super) fn prepare(layer: Option<&Arc<dyn Layer>>, plan: &Plan) -> Result<Services, StartError> {
    let Some(layer) = layer else {
        let unserved = crate::layer7::unserved(plan);
        return unserved.map_or_else(|| Ok(Services::new()), |why| Err(StartError::Service(why)));
    };
    layer.prepare(plan).map_err(StartError::Service)
}

/// The names of the pools that a route uses, in order.
pub(super) fn routed(plan: &Plan) -> Vec<Arc<str>> {
    let routes = plan.listeners.iter().flat_map(|listener| &listener.routes);
    let indexes = routes.flat_map(|route| route.target.pools());
    let pools = indexes.filter_map(|index| plan.pools.get(index));
    let names: BTreeSet<Arc<str>> = pools.map(|pool| pool.name.clone()).collect();
    names.into_iter().collect()
}
