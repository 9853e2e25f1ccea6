//! `server` lines and what goes with them, as a pool.

use super::names::Names;
use super::{probe, tuning};
use crate::model::endpoint::Endpoint;
use crate::model::{Config, Proxy};
use crate::report::{Kind, Ledger};
use crate::toml;
use crate::values::{Host, Port, shown};
use std::collections::{HashMap, HashSet};

/// How listeners use a pool.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Use {
    /// Requests are seen.
    pub(crate) http: bool,
    /// TLS is opened, or requests are seen.
    pub(crate) opens: bool,
    /// The only port that clients come in by.
    pub(crate) port: Option<u16>,
    /// It is for `eclusa-apiserver`.
    pub(crate) masters: bool,
    /// Somebody uses it.
    pub(crate) used: bool,
    /// Rules count at its table.
    pub(crate) counts: bool,
}

/// An endpoint as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Address or name, as in front of a port.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) weight: u64,
    pub(crate) backup: bool,
    pub(crate) sessions_max: Option<u64>,
    pub(crate) line: usize,
}

pub(crate) type Pairs = Vec<(String, String)>;

/// A pool as it is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) members: Vec<Member>,
    /// Lines of endpoints that are left out, to be shown as comments.
    pub(crate) left_out: Vec<usize>,
    pub(crate) pairs: Pairs,
    pub(crate) dial: Pairs,
    pub(crate) probe: Pairs,
    pub(crate) tls: Pairs,
    pub(crate) http: Pairs,
}

impl Pool {
    pub(crate) fn is_usable(&self) -> bool {
        !self.members.is_empty()
    }
}

pub(crate) fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// A section's endpoints as a pool of this name.
pub(crate) fn of(
    config: &Config,
    back: &Proxy,
    name: String,
    how: Use,
    ledger: &mut Ledger,
) -> Pool {
    let mut pool = Pool { name, ..Pool::default() };
    members(&mut pool, back, how, ledger);
    let lines: HashSet<usize> = pool.members.iter().map(|member| member.line).collect();
    let kept: Vec<&Endpoint> =
        back.endpoints.iter().filter(|endpoint| lines.contains(&endpoint.line)).collect();
    limits(&mut pool, back, ledger);
    tuning::read(&mut pool, back, (kept.as_slice(), how), ledger);
    super::secure::read(&mut pool, config, (kept.as_slice(), how), ledger);
    probe::read(&mut pool, (config, back), (kept.as_slice(), how), ledger);
    used(&kept, ledger);
    pool
}

/// Options that were carried over are so by now.
fn used(kept: &[&Endpoint], ledger: &mut Ledger) {
    for endpoint in kept {
        ledger.same(endpoint.line);
        for set in endpoint.settings.values() {
            ledger.same(set.line);
        }
    }
}

fn members(pool: &mut Pool, back: &Proxy, how: Use, ledger: &mut Ledger) {
    let mut names = Names::default();
    let mut addresses: HashMap<(String, u16), usize> = HashMap::new();
    for endpoint in &back.endpoints {
        let line = endpoint.line;
        if let Some(why) = left_out(endpoint) {
            ledger.tell(line, Kind::Improved, why);
            pool.left_out.push(line);
            continue;
        }
        let (host, port) = match address(endpoint, how) {
            Ok(address) => address,
            Err(why) => {
                ledger.tell(line, Kind::Unsupported, why);
                pool.left_out.push(line);
                continue;
            }
        };
        let weight = endpoint.number("weight").map_or(1, |set| set.value);
        let key = (host.to_ascii_lowercase(), port);
        if let Some(first) = addresses.get(&key) {
            let first: &mut Member = &mut pool.members[*first];
            first.weight = first.weight.saturating_add(weight).min(256);
            let note = format!(
                "the same address as `{}`, which gets its share by a larger `weight`: one address \
                 is one endpoint",
                first.name
            );
            ledger.tell(line, Kind::Improved, note);
            pool.left_out.push(line);
            continue;
        }
        addresses.insert(key, pool.members.len());
        let name = names.take(&endpoint.name);
        if name != endpoint.name {
            let note = format!(
                "called `{name}`: another endpoint has the name, which HAProxy refuses today, or it \
                 has signs that names have not"
            );
            ledger.tell(line, Kind::Improved, note);
        }
        let sessions_max = endpoint.number("maxconn").map(|set| set.value).filter(|max| *max > 0);
        let backup = endpoint.has("backup");
        pool.members.push(Member { name, host, port, weight, backup, sessions_max, line });
    }
    backups(pool, back, ledger);
}

/// HAProxy uses the first backup alone.
fn backups(pool: &Pool, back: &Proxy, ledger: &mut Ledger) {
    let backups: Vec<_> = pool.members.iter().filter(|member| member.backup).collect();
    if backups.len() > 1 && back.option("allbackups").is_none() {
        for backup in backups {
            let note = "all backups are used together, where HAProxy uses the first that is up";
            ledger.tell(backup.line, Kind::Improved, note);
        }
    }
}

/// Why an endpoint is not there at the start.
fn left_out(endpoint: &Endpoint) -> Option<&'static str> {
    if endpoint.has("disabled") {
        return Some(
            "left out, as a comment: it was disabled; whether an endpoint is in service is an \
             operator's order here (`endpoint maint`, `endpoint ready`)",
        );
    }
    let weight = endpoint.number("weight").map(|set| set.value);
    (weight == Some(0)).then_some(
        "left out, as a comment: with weight 0 it got no new clients; here that is an operator's \
         order (`endpoint drain`)",
    )
}

fn address(endpoint: &Endpoint, how: Use) -> Result<(String, u16), String> {
    let port = match (endpoint.place.port, how.port) {
        (Port::One(port), _) => port,
        (Port::None, Some(port)) => port,
        (Port::Offset(offset), Some(port)) => {
            let port = i32::from(port) + offset;
            u16::try_from(port).map_err(|_| "its port is none: HAProxy refuses it".to_owned())?
        }
        (Port::None | Port::Offset(_), None) => {
            return Err(
                "it was dialled at the port that the client came to, one of many; now it is left \
                 out; write a listener and a pool for each port that is needed"
                    .to_owned(),
            );
        }
        (Port::Range(..), _) => return Err("its port is none: HAProxy refuses it".to_owned()),
    };
    match &endpoint.place.host {
        Host::Any => {
            Err("it was wherever the client wanted to go; now it is left out; name the endpoints"
                .into())
        }
        Host::Address(ip) if ip.is_unspecified() || ip.is_multicast() => {
            Err("it was wherever the client wanted to go; now it is left out; name the endpoints"
                .into())
        }
        Host::Name(name) if !is_host(name) => Err(format!(
            "`{name}` is neither an address nor a name that DNS has; now it is left out; correct it"
        )),
        host => Ok((shown(host), port)),
    }
}

/// A name for DNS; one that ends in a number is a mistyped address.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= 253 && name.split('.').all(label) && !numeric
}

/// Limits of endpoints, and how long clients wait for a place.
fn limits(pool: &mut Pool, back: &Proxy, ledger: &mut Ledger) {
    let first = pool.members.first().and_then(|member| member.sessions_max);
    let alike = pool.members.iter().all(|member| member.sessions_max == first);
    let limited = pool.members.iter().any(|member| member.sessions_max.is_some());
    if alike && let Some(max) = first {
        pool.pairs.push(pair("endpoint_sessions_max", max.min(1_000_000).to_string()));
        pool.members.iter_mut().for_each(|member| member.sessions_max = None);
    }
    if let Some(queue) = back.time("queue") {
        if limited {
            let value = queue.value.clamp(10, 3_600_000);
            pool.pairs.push(pair("queue_timeout", toml::duration(value)));
            let note =
                "`queue_timeout`; at most 1000 wait at once (`queue`), where HAProxy has no bound";
            ledger.tell(queue.line, Kind::Improved, note);
        } else {
            let note = "nobody waits where no endpoint has a `maxconn`, with HAProxy either";
            ledger.tell(queue.line, Kind::Ignored, note);
        }
    }
    if let (true, None, Some(connect)) = (limited, back.time("queue"), back.time("connect")) {
        // What HAProxy waits where nothing is said.
        let value = connect.value.clamp(10, 3_600_000);
        if value != 5_000 {
            pool.pairs.push(pair("queue_timeout", toml::duration(value)));
        }
    }
}

/// The value that options of the endpoints have, and lines whose own differs.
pub(crate) fn common<T: PartialEq + Clone>(
    kept: &[&Endpoint],
    read: impl Fn(&Endpoint) -> Option<T>,
) -> (Option<T>, Vec<usize>) {
    let value = kept.iter().find_map(|endpoint| read(endpoint));
    let differs = |endpoint: &&&Endpoint| read(endpoint) != value;
    let lines = kept.iter().filter(differs).map(|endpoint| endpoint.line).collect();
    (value, lines)
}

/// Tells lines that the pool has one value for all.
pub(crate) fn one_for_all(what: &str, value: &str, lines: Vec<usize>, ledger: &mut Ledger) {
    for line in lines {
        let note = format!("`{what}` differs among the endpoints: the pool has one, {value}");
        ledger.tell(line, Kind::Improved, note);
    }
}
