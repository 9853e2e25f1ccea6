//! Where a connection or a request goes, and why: the question of `explain` and its answer.

use super::AdminState;
use super::bounds::shown;
use eclusa_config::explain::{Pair, Question};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// A connection or a request whose way is to be explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explain {
    /// The client.
    pub(crate) from: IpAddr,
    /// The listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) listener: Option<String>,
    /// The port that it connects to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    /// The server name of its ClientHello.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sni: Option<String>,
    /// The host of its request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// The path, with or without a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// The method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    /// Header fields: `Name: value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) headers: Vec<String>,
    /// Cookies: `name=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cookies: Vec<String>,
}

impl Explain {
    /// The question as the configuration takes it.
    ///
    /// # Errors
    /// A header field or a cookie that is none.
    pub(crate) fn question(&self) -> Result<Question, String> {
        let pairs = |texts: &[String], between: char, form: &str| {
            let pair = |text: &String| {
                let (name, value) = text
                    .split_once(between)
                    .ok_or_else(|| format!("`{}` has no `{between}`: write {form}", shown(text)))?;
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            };
            texts.iter().map(pair).collect::<Result<Vec<Pair>, String>>()
        };
        Ok(Question {
            from: self.from,
            listener: self.listener.clone(),
            port: self.port,
            server_name: self.sni.clone(),
            host: self.host.clone(),
            path: self.path.clone(),
            method: self.method.clone(),
            headers: pairs(&self.headers, ':', "`Name: value`")?,
            cookies: pairs(&self.cookies, '=', "`name=value`")?,
        })
    }
}

/// Where it goes, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Explanation {
    /// The listener that takes it.
    pub(crate) listener: String,
    /// The address of the listener that it comes to.
    pub(crate) address: SocketAddr,
    /// The client.
    pub(crate) from: IpAddr,
    /// The server name that the listener sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server_name: Option<String>,
    /// Method, host, path and query of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
    /// From a file alone: all endpoints are taken to be up.
    pub(crate) offline: bool,
    /// Whether the access list lets the client in, and by which network.
    pub(crate) allowed: bool,
    /// The network that decided; `None`: no network holds the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<String>,
    /// The rules that were tried, in order.
    pub(crate) rules: Vec<TriedReport>,
    /// The routes that were looked at, in order.
    pub(crate) routes: Vec<TriedReport>,
    /// Routes that the index of hosts, names and paths left out and that are not listed.
    pub(crate) routes_left_out: usize,
    /// In one word: `denied`, `answered`, `pool`, `split`, `nowhere`.
    pub(crate) outcome: String,
    /// The status of the answer, where no endpoint gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// What becomes of it, in words.
    pub(crate) words: String,
    /// The pools that it can go to.
    pub(crate) pools: Vec<PoolReport>,
    /// What was taken for granted, and what else may happen on the way.
    pub(crate) notes: Vec<String>,
}

/// A rule or a route that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TriedReport {
    /// Which, from 1, in the order of the file.
    pub(crate) number: usize,
    /// What it does, or where it leads.
    pub(crate) does: String,
    /// `false`: the index left it out, traffic evaluates nothing of it.
    pub(crate) evaluated: bool,
    /// Why it holds or does not.
    pub(crate) why: WhyReport,
}

/// A condition that was evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WhyReport {
    /// The condition in words.
    pub(crate) condition: String,
    /// What was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fact: Option<String>,
    /// Whether it held.
    pub(crate) held: bool,
    /// Those of its parts that were needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<WhyReport>,
}

impl From<eclusa_policy::condition::Why> for WhyReport {
    fn from(why: eclusa_policy::condition::Why) -> Self {
        let eclusa_policy::condition::Why { condition, fact, held, parts } = why;
        Self { condition, fact, held, parts: parts.into_iter().map(Self::from).collect() }
    }
}

/// A pool that it can go to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PoolReport {
    /// Its name.
    pub(crate) name: String,
    /// How often it is this one, from 0 to 1: less than 1 where the route is split.
    pub(crate) share: f64,
    /// How an endpoint is chosen.
    pub(crate) balance: String,
    /// The endpoint that is chosen next, where only one can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    /// Its endpoints.
    pub(crate) endpoints: Vec<CandidateReport>,
}

/// An endpoint, and why it is in or out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CandidateReport {
    /// Its name.
    pub(crate) name: String,
    /// Where it is; `None`: its name was not resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<SocketAddr>,
    /// In one word: `candidate`, `full`, `spare`, `out`, `unresolved`.
    pub(crate) position: String,
    /// Why, in words.
    pub(crate) because: String,
    /// What probes and traffic show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) verdict: Option<String>,
    /// What the operator wants of it.
    pub(crate) admin: AdminState,
    /// Its weight.
    pub(crate) weight: u16,
    /// Sessions on it.
    pub(crate) sessions: u64,
    /// Its share of the next such sessions, from 0 to 1.
    pub(crate) share: f64,
}
