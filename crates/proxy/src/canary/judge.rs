//! Whether connections may be moved, and where to: facts in, refusals out. Each refusal names its remedy.

use super::nft::{Found, Standing};
use super::rule::{Table, To};
use crate::admin::StatusReport;
use crate::listening::{Holder, Listening, meet};
use eclusa_config::plan::{Listener, Plan, Program};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Of 100 places of the table of connections so many may be taken.
const TRACKED_MOST: u64 = 80;

/// What is known before anything is moved.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) program: Program,
    pub(super) take: SocketAddr,
    /// The listener that was named.
    pub(super) listener: Option<String>,
    pub(super) plan: Plan,
    /// How the service is; or why nobody knows.
    pub(super) status: Result<Box<StatusReport>, String>,
    /// Addresses of this host's interfaces.
    pub(super) networks: Vec<(IpAddr, u8)>,
    /// Who listens on this host, and who holds that.
    pub(super) listening: Vec<(Listening, Vec<Holder>)>,
    pub(super) tracked: Option<Tracked>,
    pub(super) found: Found,
    /// Connections at the port that the canary of this address moves to.
    pub(super) moved: usize,
    pub(super) passes: Passes,
}

/// What the operator takes upon himself.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "options of a command line")]
pub(super) struct Passes {
    /// The address may be on another host now.
    pub(super) vip: bool,
    /// Who connects sends a PROXY header.
    pub(super) proxied: bool,
    /// Pools that are not fine are no reason.
    pub(super) force: bool,
}

/// The kernel's table of connections, which exists once it tracks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tracked {
    /// Its entries.
    pub(super) count: u64,
    pub(super) max: u64,
    /// TCP connections of this host, which it will have when it tracks them.
    pub(super) connections: u64,
}

/// Why nothing is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) found: String,
    pub(super) remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.found, self.remedy)
    }
}

fn refusal<T>(found: impl Into<String>, remedy: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { found: found.into(), remedy: remedy.into() })
}

/// What may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The name of the listener.
    pub(super) listener: String,
    /// Where it listens.
    pub(super) at: SocketAddr,
    pub(super) to: To,
    /// Who has the connections now, in words.
    pub(super) from: String,
    /// The address is not on this host now.
    pub(super) is_away: bool,
}

/// Where to, or everything that speaks against it.
pub(super) fn judge(facts: &Facts) -> Result<Way, Vec<Refusal>> {
    let mut refusals = Vec::new();
    let mut keep = |checked: Result<(), Refusal>| refusals.extend(checked.err());
    keep(address(facts));
    keep(kept_by(facts).map(drop));
    keep(tracked(facts.tracked));
    keep(foreign(facts));
    let chosen = listener(facts).and_then(|listener| {
        let (to, at) = target(facts, listener)?;
        Ok((listener, to, at))
    });
    match chosen {
        Err(refusal) => refusals.push(refusal),
        Ok((listener, to, at)) => {
            refusals.extend(proxied(facts, listener).err());
            refusals.extend(same_target(facts, to).err());
            refusals.extend(unfit(
                facts.program,
                &facts.plan,
                &facts.status,
                listener,
                at,
                facts.passes.force,
            ));
            if !facts.listening.iter().any(|(one, _)| one.address == at) {
                refusals.push(Refusal {
                    found: format!("nobody listens at {at} in this network namespace"),
                    remedy: format!("{} status", facts.program.name()),
                });
            }
            if refusals.is_empty() {
                return Ok(Way {
                    listener: listener.name.to_string(),
                    at,
                    to,
                    from: kept_by(facts).unwrap_or_default(),
                    is_away: !is_here(facts),
                });
            }
        }
    }
    Err(refusals)
}

fn is_here(facts: &Facts) -> bool {
    let ip = facts.take.ip();
    ip.is_unspecified() || facts.networks.iter().any(|(own, _)| *own == ip)
}

fn address(facts: &Facts) -> Result<(), Refusal> {
    let take = facts.take;
    let own: Vec<_> = facts
        .networks
        .iter()
        .map(|(own, _)| *own)
        .filter(|own| !own.is_loopback() && own.is_ipv4() == take.is_ipv4())
        .map(|own| own.to_string())
        .collect();
    let own = if own.is_empty() { "none".to_owned() } else { own.join(", ") };
    match take.ip() {
        ip if ip.is_loopback() => refusal(
            format!("{ip} is the loopback address: what this host sends itself is not moved"),
            format!(
                "send clients of this host to our listener yourself; to move those of the network name \
                 the address that they use (of this host: {own})"
            ),
        ),
        ip if ip.is_multicast()
            || ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST)
            || take.port() == 0 =>
        {
            refusal(
                format!("{take} is no address that clients connect to"),
                "name where HAProxy listens, with its port".to_owned(),
            )
        }
        ip if !facts.passes.vip && !is_here(facts) => refusal(
            format!("{ip} is on no interface of this host"),
            format!(
                "name one of its addresses ({own}); if it is an address that moves, and another host has it \
                 now, add --vip"
            ),
        ),
        _ => Ok(()),
    }
}

/// Who listens there, in words.
fn kept_by(facts: &Facts) -> Result<String, Refusal> {
    let take = facts.take;
    let there: Vec<_> = facts.listening.iter().filter(|(one, _)| one.is_in_the_way(take)).collect();
    if there.is_empty() {
        return refusal(
            format!(
                "nobody listens at {take}: connections that are not moved would be refused, and all of them \
                 once the canary is over"
            ),
            format!(
                "start HAProxy there first, or name where it listens ({})",
                haproxys(&facts.listening)
            ),
        );
    }
    let holders = there.iter().flat_map(|(_, holders)| holders);
    let mut names: Vec<_> = holders.map(|one| format!("{} (pid {})", one.name, one.pid)).collect();
    names.sort();
    names.dedup();
    names.truncate(2);
    Ok(if names.is_empty() { "who listens there".to_owned() } else { names.join(" and ") })
}

/// Where HAProxy listens, to be named in a remedy.
pub(super) fn haproxys(listening: &[(Listening, Vec<Holder>)]) -> String {
    let is_haproxy = |holder: &Holder| holder.name.starts_with("haproxy");
    let mut found: Vec<_> = listening
        .iter()
        .filter(|(_, holders)| holders.iter().any(is_haproxy))
        .map(|(one, _)| one.address.to_string())
        .collect();
    found.sort();
    found.dedup();
    found.truncate(5);
    if found.is_empty() {
        return "no program called haproxy listens on this host".to_owned();
    }
    format!("haproxy listens at {}", found.join(", "))
}

/// A table that is full makes the kernel drop what is new, whoever it is for.
pub(super) fn tracked(tracked: Option<Tracked>) -> Result<(), Refusal> {
    let Some(Tracked { count, max, connections }) = tracked else { return Ok(()) };
    let used = count.max(connections);
    if used.saturating_mul(100) < max.saturating_mul(TRACKED_MOST) {
        return Ok(());
    }
    refusal(
        format!(
            "the kernel would track every connection of this host, and has {max} places for them: {count} are \
             taken, and {connections} TCP connections stand; without a place it drops new ones"
        ),
        format!(
            "sysctl -w net.netfilter.nf_conntrack_max={}",
            used.saturating_mul(4).next_power_of_two()
        ),
    )
}

fn foreign(facts: &Facts) -> Result<(), Refusal> {
    let own = Table::of(facts.program, facts.take);
    if !facts.found.foreign.contains(&own) {
        return Ok(());
    }
    refusal(
        format!("there is a table {own} in nftables that is no canary of ours"),
        format!("look at it: nft list table {own}; if nobody needs it: nft delete table {own}"),
    )
}

/// The listener that was named, or the only one.
fn listener(facts: &Facts) -> Result<&Listener, Refusal> {
    let all = &facts.plan.listeners;
    let names = || all.iter().map(|one| &*one.name).collect::<Vec<_>>().join(", ");
    match (&facts.listener, all.as_slice()) {
        (Some(name), _) => match all.iter().find(|one| *one.name == **name) {
            Some(found) => Ok(found),
            None => {
                refusal(format!("there is no listener `{name}`"), format!("there are: {}", names()))
            }
        },
        (None, [one]) => Ok(one),
        (None, _) => refusal(
            format!("the file has {} listeners", all.len()),
            format!("say which is to get them, --listener NAME: {}", names()),
        ),
    }
}

/// Where a listener gets them, and where that listens.
fn target(facts: &Facts, listener: &Listener) -> Result<(To, SocketAddr), Refusal> {
    let (take, name) = (facts.take, &listener.name);
    let all = listener.addresses.iter().map(|listen| listen.address);
    let own: Vec<_> = all.filter(|own| own.is_ipv4() == take.is_ipv4()).collect();
    let shown = |addresses: &[SocketAddr]| {
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let any = if take.is_ipv4() { "0.0.0.0" } else { "[::]" };
    let advice = format!(
        "for the canary give listener `{name}` a port of its own, such as listen = [\"{any}:1{:04}\"], and reload",
        take.port() % 10_000
    );
    if own.is_empty() {
        let family = if take.is_ipv4() { "IPv4" } else { "IPv6" };
        return refusal(
            format!("listener `{name}` has no {family} address, and {take} is one"),
            advice,
        );
    }
    let others: Vec<_> = own.iter().copied().filter(|own| !meet(*own, take)).collect();
    if others.is_empty() {
        return refusal(
            format!(
                "listener `{name}` listens at {}, where these connections go already",
                shown(&own)
            ),
            advice,
        );
    }
    let same = others.iter().find(|own| own.ip() == take.ip());
    if let Some(at) = same.or_else(|| others.iter().find(|own| own.ip().is_unspecified())) {
        return Ok((To { address: None, port: at.port() }, *at));
    }
    let is_reached = |own: &&SocketAddr| {
        let ip = own.ip();
        !take.ip().is_unspecified()
            && !ip.is_loopback()
            && facts.networks.iter().any(|(it, _)| *it == ip)
    };
    match others.iter().find(is_reached) {
        Some(at) => Ok((To { address: Some(at.ip()), port: at.port() }, *at)),
        None => refusal(
            format!(
                "listener `{name}` listens at {}, where connections to {take} cannot be moved to",
                shown(&others)
            ),
            advice,
        ),
    }
}

fn proxied(facts: &Facts, listener: &Listener) -> Result<(), Refusal> {
    let name = &listener.name;
    match (&listener.proxy_from, facts.passes.proxied) {
        (Some(_), false) => refusal(
            format!("listener `{name}` expects a PROXY header (`proxy_from`)"),
            "if HAProxy's `bind` says accept-proxy as well, those who connect send one: add --proxied; else take \
             `proxy_from` out, and reload",
        ),
        (None, true) => refusal(
            format!(
                "listener `{name}` expects no PROXY header, and --proxied says that one is sent"
            ),
            "set its `proxy_from` to the networks that send one, and reload; or leave --proxied out",
        ),
        _ => Ok(()),
    }
}

/// Connections live from the table: it must not be replaced by one for another port while some do.
fn same_target(facts: &Facts, to: To) -> Result<(), Refusal> {
    let own = |one: &&Standing| one.take == facts.take && one.to != to;
    let Some(standing) = facts.found.standing.iter().find(own) else { return Ok(()) };
    if facts.moved == 0 {
        return Ok(());
    }
    refusal(
        format!(
            "connections to {} were moved to {}, and {} of them stand there: they would be cut",
            standing.take, standing.to, facts.moved
        ),
        format!("keep to the listener that has {}, or wait until they have ended", standing.to),
    )
}

/// What speaks against our service, as it is.
pub(super) fn unfit(
    program: Program,
    plan: &Plan,
    status: &Result<Box<StatusReport>, String>,
    listener: &Listener,
    at: SocketAddr,
    force: bool,
) -> Vec<Refusal> {
    let name = program.name();
    let status = match status {
        Ok(status) => status,
        Err(why) => {
            let remedy =
                format!("systemctl status {name}; whoever is to get connections is asked first");
            return vec![Refusal { found: why.clone(), remedy }];
        }
    };
    let mut all = Vec::new();
    let mut add = |found: String, remedy: String| all.push(Refusal { found, remedy });
    if status.stopping {
        add(format!("{name} is about to stop"), format!("systemctl start {name}"));
    }
    if !status.workers.iter().any(|worker| worker.alive) {
        add(
            format!("no worker of {name} gives a sign of life"),
            format!("systemctl restart {name}"),
        );
    }
    let runs = status
        .listeners
        .iter()
        .any(|one| *one.name == *listener.name && one.addresses.contains(&at));
    if !runs {
        add(
            format!("the {name} that runs has no listener `{}` at {at}", listener.name),
            format!("it goes by another file, or by an older state of it: {name} reload"),
        );
    }
    let mut indexes: Vec<_> =
        listener.routes.iter().flat_map(|route| route.target.pools()).collect();
    indexes.sort_unstable();
    indexes.dedup();
    for pool in indexes.into_iter().filter_map(|index| plan.pools.get(index)).filter(|_| !force) {
        let Some(found) = status.pools.iter().find(|one| *one.name == *pool.name) else {
            add(
                format!("the {name} that runs has no pool `{}`", pool.name),
                format!("it goes by another file, or by an older state of it: {name} reload"),
            );
            continue;
        };
        let what = match &*found.availability {
            "fine" => continue,
            "nobody" => "has no endpoint that takes a session",
            _ => "is in panic: none of its endpoints passes its checks",
        };
        add(
            format!("pool `{}` {what}", pool.name),
            format!(
                "{name} status {} tells why; if HAProxy has none for it either, --force moves connections all \
                 the same",
                pool.name
            ),
        );
    }
    all
}
