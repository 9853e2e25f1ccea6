//! How everything is: the answer to `status`.

use super::{AdminState, DrillReport, Moment};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// How everything is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatusReport {
    /// The name of the program: `eclusa-apiserver`, `eclusa-edge`.
    pub(crate) program: String,
    /// Its version.
    pub(crate) version: String,
    /// The process that carries the traffic.
    pub(crate) pid: u32,
    /// The generation of the configuration: 1 at the start, one more for each reload.
    pub(crate) generation: u64,
    /// When this report was made.
    pub(crate) at: Moment,
    /// Seconds since the process began.
    pub(crate) uptime_seconds: u64,
    /// It takes no more load: a stop is under way.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) stopping: bool,
    /// The last reload; `None`: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_reload: Option<LastReload>,
    /// What is wrong with the file, where what was in force before a crash goes on in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file_refused: Option<String>,
    /// Why what is in force is what was so before the file: nobody confirmed that, or somebody ordered it
    /// back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gone_back: Option<String>,
    /// What is in force goes back by itself unless somebody confirms it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unconfirmed: Option<UnconfirmedStatus>,
    /// The drill that is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) drill: Option<DrillReport>,
    /// The threads that carry traffic.
    pub(crate) workers: Vec<WorkerStatus>,
    /// Where connections come in.
    pub(crate) listeners: Vec<ListenerStatus>,
    /// Where they go: all pools, or the one that was asked for.
    pub(crate) pools: Vec<PoolStatus>,
    /// Certificates in use.
    pub(crate) certificates: Vec<CertificateStatus>,
    /// What was ordered and differs from the file.
    pub(crate) overrides: Vec<OverrideStatus>,
}

/// What is in force must be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnconfirmedStatus {
    /// Until when.
    pub(crate) until: Moment,
    /// Who has put it in force.
    pub(crate) by: String,
    /// Why it could not go back when its time was over, in one line; it tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
}

/// The last reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastReload {
    /// When.
    pub(crate) at: Moment,
    /// Whether it put the file in force.
    pub(crate) succeeded: bool,
    /// What changed, or why nothing did, in one line.
    pub(crate) message: String,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerStatus {
    /// It gave a sign of life within the last two seconds.
    pub(crate) alive: bool,
    /// The sessions that it carries.
    pub(crate) sessions: u64,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListenerStatus {
    /// Its name.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Sessions that came by it and stand.
    pub(crate) sessions: u64,
}

/// One pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PoolStatus {
    /// Its name.
    pub(crate) name: String,
    /// Whether it can take sessions, in one word: `fine`, `panic`, `nobody`.
    pub(crate) availability: String,
    /// Its endpoints seem to have fallen together: this host or its network is suspected.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) correlated: bool,
    /// Of a pool of masters: `2/3 ready, can lose 0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quorum: Option<String>,
    /// Sessions that wait for an endpoint.
    pub(crate) queued: u64,
    /// Its endpoints.
    pub(crate) endpoints: Vec<EndpointStatus>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndpointStatus {
    /// Its name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// What probes and traffic show, in one word.
    pub(crate) verdict: String,
    /// Why, in words.
    pub(crate) why: String,
    /// Since when it has this verdict.
    pub(crate) since: Moment,
    /// It is `up`, and nothing is known of its health.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) blind: bool,
    /// It fell together with others.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) correlated: bool,
    /// What the operator wants of it.
    pub(crate) admin: AdminStatus,
    /// Its share of new sessions.
    pub(crate) weight: u16,
    /// What the file says, where that is another weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file_weight: Option<u16>,
    /// It takes sessions only while no other endpoint can.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) backup: bool,
    /// Sessions that stand on it, dials under way included.
    pub(crate) sessions: u64,
    /// Dials of it that failed, since the start.
    pub(crate) failures: u64,
    /// The last results of its probes, a sign each, the latest last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) results: String,
}

/// What the operator wants of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AdminStatus {
    /// What is wanted.
    pub(crate) state: AdminState,
    /// Why, as the operator said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Until when; `None`: until somebody says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Moment>,
}

/// A certificate in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CertificateStatus {
    /// Its file, or where it was seen.
    pub(crate) path: String,
    /// The names that it is for.
    pub(crate) names: Vec<String>,
    /// The end of its life.
    pub(crate) not_after: Moment,
}

/// Something that was ordered and differs from the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OverrideStatus {
    /// The name of the pool.
    pub(crate) pool: String,
    /// The name of the endpoint.
    pub(crate) endpoint: String,
    /// What was ordered: `drain`, `maint`, `weight 5`.
    pub(crate) order: String,
    /// What the file says instead: `ready`, `weight 1`.
    pub(crate) file: String,
    /// When.
    pub(crate) at: Moment,
    /// By whom.
    pub(crate) by: String,
    /// Until when; `None`: until somebody says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Moment>,
    /// Why, as the operator said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// It survives a restart; `false`: the state directory cannot be written.
    pub(crate) kept: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
