//! Drills: what is ordered, and what came of it.

use super::Moment;
use crate::drill::Fault;
use serde::{Deserialize, Serialize};

/// Treat an endpoint for a while as if it failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DrillStart {
    /// The name of the pool.
    pub(crate) pool: String,
    /// The name of the endpoint.
    pub(crate) endpoint: String,
    /// As what it is treated.
    pub(crate) fault: Fault,
    /// For so long, in seconds, 1 to 60.
    pub(crate) for_seconds: u64,
    /// How much later all comes from one that is slow, in milliseconds, 1 to 10,000; `None`: 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delay_ms: Option<u64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// End the drill that is on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DrillStop {
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// The drill that is on, or the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DrillShow {}

/// A drill, and what clients saw of it so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DrillReport {
    /// Which one since the engine began, from 1.
    pub(crate) number: u64,
    /// The name of the pool.
    pub(crate) pool: String,
    /// The name of the endpoint.
    pub(crate) endpoint: String,
    /// As what it is treated.
    pub(crate) fault: Fault,
    /// How much later all comes, of one that is slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delay_ms: Option<u64>,
    /// When it began.
    pub(crate) began: Moment,
    /// When it ends by itself.
    pub(crate) until: Moment,
    /// Who has ordered it.
    pub(crate) by: String,
    /// Why, as they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// How long it has gone on.
    pub(crate) lasted_ms: u64,
    /// Why it is over; `None`: it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<String>,
    /// Connections of sessions and exchanges to the endpoint.
    pub(crate) connections: DrillConnections,
    /// What ended meanwhile in the whole pool.
    pub(crate) of_pool: DrillPool,
    /// Sessions on the endpoint when it began, and now, or when it ended.
    pub(crate) standing: [u64; 2],
    /// What was held of the endpoint, from the beginning on.
    pub(crate) verdicts: Vec<DrillVerdict>,
}

/// What became of the sessions and exchanges that were to be connected to the endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DrillConnections {
    /// How many there were.
    pub(crate) met: u64,
    /// Those that reached another endpoint.
    pub(crate) elsewhere: u64,
    /// Those that reached it after all: slowly, or when the drill was over.
    pub(crate) through: u64,
    /// Those that reached none.
    pub(crate) failed: u64,
    /// Those whose client did not wait.
    pub(crate) left: u64,
    /// The longest that one took to reach an endpoint.
    pub(crate) slowest_ms: u64,
}

/// What ended in a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DrillPool {
    /// Sessions and exchanges.
    pub(crate) ended: u64,
    /// Those of them that reached no endpoint.
    pub(crate) unserved: u64,
    /// Those that an endpoint, or a verdict on it, broke off while bytes moved.
    pub(crate) broken: u64,
    /// Dials beside the first of a session, and requests that were tried again.
    pub(crate) again: u64,
}

/// What was held of the endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DrillVerdict {
    /// Since the drill began.
    pub(crate) after_ms: u64,
    /// The verdict, in one word.
    pub(crate) verdict: String,
    /// Why, in words.
    pub(crate) why: String,
}
