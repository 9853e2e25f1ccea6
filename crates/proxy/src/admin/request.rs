//! What can be asked of a running program.

use super::drill::{DrillShow, DrillStart, DrillStop};
use super::{Explain, Moment};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A request, within its bounds: [`super::protocol`] lets no other through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// `reload`: read the file again.
    Reload(Reload),
    /// `confirm`: what was reloaded on trial is to stay.
    Confirm(Confirm),
    /// `rollback`: what was in force before.
    Rollback(Rollback),
    /// `status`: how everything is.
    Status(StatusOf),
    /// `session list`
    SessionList(SessionList),
    /// `session show`
    SessionShow(SessionShow),
    /// `session close`
    SessionClose(SessionClose),
    /// `endpoint set`: what the operator wants of an endpoint.
    EndpointSet(EndpointSet),
    /// `endpoint weight`
    EndpointWeight(EndpointWeight),
    /// `endpoint reset`: back to what the file says.
    EndpointReset(EndpointReset),
    /// `endpoint add`: endpoints that the file does not list.
    EndpointAdd(EndpointAdd),
    /// `endpoint remove`: none that it lists.
    EndpointRemove(EndpointRemove),
    /// `drill start`: an endpoint is treated for a while as if it failed.
    DrillStart(DrillStart),
    /// `drill stop`
    DrillStop(DrillStop),
    /// `drill show`
    DrillShow(DrillShow),
    /// `plan`: what a reload would do.
    Plan(PlanOf),
    /// `explain`: where a connection or a request goes.
    Explain(Box<Explain>),
    /// `errors`: the last messages that were refused.
    Errors(Errors),
    /// `events`: the last things that happened, and those that will.
    Events(Events),
    /// `save`: what was ordered, for whoever writes it into the file.
    Save(Save),
}

/// Read the file again and put it in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reload {
    /// Past the guard against a file that has shrunk.
    pub(crate) force: bool,
    /// It goes back by itself unless it is confirmed within so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) confirm_seconds: Option<u64>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// What was reloaded on trial is to stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Confirm {
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Put in force again what was so before the last reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rollback {
    /// Past the guard against a configuration that has shrunk.
    pub(crate) force: bool,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// What a reload would do now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PlanOf {
    /// The file that is meant, where the client found it; `None`: the program's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// What the client has read in it. The program opens no file that a client names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
}

/// How everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StatusOf {
    /// Of this pool alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pool: Option<String>,
}

/// Sessions that fulfil everything that is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SessionList {
    /// Of this pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pool: Option<String>,
    /// On this endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    /// Of clients in this network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<ClientNetwork>,
    /// At most so many, 1 to 10,000.
    pub(crate) limit: u32,
    /// Which come first.
    pub(crate) sort: Sort,
}

impl Default for SessionList {
    fn default() -> Self {
        Self { pool: None, endpoint: None, client: None, limit: 100, sort: Sort::Age }
    }
}

/// Which sessions come first in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sort {
    /// The oldest
    #[default]
    Age,
    /// Those without a byte for the longest time
    Idle,
    /// Those that carried most, both directions together
    Bytes,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionShow {
    /// Its id, as in the log.
    pub(crate) session: String,
}

/// Closes sessions: those that are named, or, where none is, those that fulfil everything that is
/// given, which is at least one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SessionClose {
    /// Their ids, as in the log; at most 1,000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sessions: Vec<String>,
    /// Of this pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pool: Option<String>,
    /// On this endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    /// Of clients in this network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<ClientNetwork>,
}

/// What sessions have in common; `None` for all that does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionFilter {
    /// The name of the pool.
    pub(crate) pool: Option<String>,
    /// The name of the endpoint.
    pub(crate) endpoint: Option<String>,
    /// Where the client is.
    pub(crate) client: Option<ClientNetwork>,
}

/// What the operator wants of an endpoint; never mixed with its verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AdminState {
    /// Takes sessions, as far as its verdict lets it.
    #[default]
    Ready,
    /// Takes no new sessions; those that stand go on.
    Drain,
    /// Out of service: takes no new sessions and is not probed; those that stand go on.
    Maint,
}

impl AdminState {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }
}

/// Sets what the operator wants of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointSet {
    /// The name of the pool.
    pub(crate) pool: String,
    /// The name of the endpoint.
    pub(crate) endpoint: String,
    /// What is wanted.
    pub(crate) admin: AdminState,
    /// For so long, in seconds; `None`: until somebody says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) for_seconds: Option<u64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Past the guard of the quorum.
    #[serde(default)]
    pub(crate) force: bool,
}

/// Sets the weight of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointWeight {
    /// The name of the pool.
    pub(crate) pool: String,
    /// The name of the endpoint.
    pub(crate) endpoint: String,
    /// Share of new sessions relative to the others, 1 to 256.
    pub(crate) weight: u16,
    /// For so long, in seconds; `None`: until somebody says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) for_seconds: Option<u64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Takes back everything that was set of an endpoint: the file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointReset {
    /// The name of the pool.
    pub(crate) pool: String,
    /// The name of the endpoint.
    pub(crate) endpoint: String,
}

/// Adds endpoints that the file does not list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointAdd {
    /// The name of the pool.
    pub(crate) pool: String,
    /// Each `ADDRESS` or `ADDRESS=NAME`, as in the file.
    pub(crate) endpoints: Vec<String>,
    /// Share of new sessions relative to the others, 1 to 256; `None`: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<u16>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Takes an endpoint away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointRemove {
    /// The name of the pool.
    pub(crate) pool: String,
    /// The name of the endpoint.
    pub(crate) endpoint: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Past the guards of quorum and of the last endpoint.
    #[serde(default)]
    pub(crate) force: bool,
}

/// The last messages that were refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Errors {}

/// The last things that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Events {
    /// And those that will, as they come.
    pub(crate) follow: bool,
    /// Not those before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Moment>,
    /// Of these kinds alone; none: of all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) kinds: Vec<String>,
    /// The last so many of them, 0 to 1,000.
    pub(crate) limit: u32,
}

impl Default for Events {
    fn default() -> Self {
        Self { follow: false, since: None, kinds: Vec::new(), limit: 1_000 }
    }
}

/// What was ordered, for whoever writes it into the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Save {}

/// A network, or one address; v4 addresses in v6 form are v4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ClientNetwork(IpNet);

impl ClientNetwork {
    /// Whether a client is in it.
    pub(crate) fn contains(self, client: IpAddr) -> bool {
        self.0.contains(&client.to_canonical())
    }
}

impl TryFrom<String> for ClientNetwork {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::str::FromStr for ClientNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        let network = address.or_else(|_| text.parse::<IpNet>().map(|network| network.trunc()));
        network.map(Self).map_err(|_| {
            format!(
                "`{}` is no address and no network such as 10.0.0.0/22",
                super::bounds::shown(text)
            )
        })
    }
}

impl From<ClientNetwork> for String {
    fn from(network: ClientNetwork) -> Self {
        network.to_string()
    }
}

impl std::fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            return self.0.addr().fmt(f);
        }
        self.0.fmt(f)
    }
}

impl SessionList {
    /// What the sessions have in common.
    pub(crate) fn filter(&self) -> SessionFilter {
        let (pool, endpoint) = (self.pool.clone(), self.endpoint.clone());
        SessionFilter { pool, endpoint, client: self.client }
    }
}

impl SessionClose {
    /// What the sessions have in common, where none is named.
    pub(crate) fn filter(&self) -> SessionFilter {
        let (pool, endpoint) = (self.pool.clone(), self.endpoint.clone());
        SessionFilter { pool, endpoint, client: self.client }
    }
}
