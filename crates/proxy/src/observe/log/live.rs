//! Numbers of the moment at which a line is written, for the formats that tell them.

use crate::pool::Pool;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

/// Who knows how many sessions there are.
pub(crate) trait Live: Send + Sync + fmt::Debug {
    /// Sessions at this moment.
    fn sessions(&self) -> u64;
}

/// Set once the engine stands; it outlives no engine.
pub(super) type Source = OnceLock<Weak<dyn Live>>;

/// What is known at a moment; pools are counted once, since counting one of 10,000 endpoints takes
/// its time.
#[derive(Debug, Default)]
pub(super) struct Moment {
    live: Option<Arc<dyn Live>>,
    pools: Vec<(Arc<Pool>, u64)>,
}

impl Moment {
    pub(super) fn now(source: &Source) -> Self {
        Self { live: source.get().and_then(Weak::upgrade), pools: Vec::new() }
    }

    pub(super) fn sessions(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| live.sessions())
    }

    /// Sessions on all endpoints of the pool.
    pub(super) fn sessions_of(&mut self, pool: &Arc<Pool>) -> u64 {
        let known = self.pools.iter().find(|(known, _)| Arc::ptr_eq(known, pool));
        if let Some((_, sessions)) = known {
            return *sessions;
        }
        let endpoints = pool.endpoints();
        let sessions = endpoints.iter().map(|endpoint| u64::from(endpoint.sessions())).sum();
        self.pools.push((pool.clone(), sessions));
        sessions
    }
}
