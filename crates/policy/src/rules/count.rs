//! Count: the request counts for its client, which conditions of rules behind it ask about.

use std::sync::Arc;

/// Where a request counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The counter, as an index into the plan's.
    pub counter: usize,
    /// Its name.
    pub name: Arc<str>,
}
