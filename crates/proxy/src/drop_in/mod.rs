//! A drop-in for the edge's unit: `IPAddressDeny=` and `IPAddressAllow=` from the plan, so that the
//! kernel keeps the service from every address that it has no business with, whatever becomes of the
//! program.
//!
//! systemd looks at the remote address of every packet, both ways: what `IPAddressAllow=` names is let
//! through, then what `IPAddressDeny=` names is dropped, and the rest is let through
//! (systemd.resource-control(5)). So clients must be named like endpoints.

mod host;
mod text;

pub use host::{DropIn, Host, print};

use eclusa_config::plan::{EndpointAddress, Listener, LogTarget, Plan, Pool};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use text::Text;

/// The networks that nobody reaches over the internet: RFC 1918, 6598, 3927, 4193, 4291. These are the
/// inner ones.
const INNER: [&str; 7] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
];

/// A drop-in, and what its reader must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The file.
    pub text: String,
    /// What it does not know, each in one sentence.
    pub warnings: Vec<String>,
}

/// Writes the drop-in for a plan, which came from `file`. `clients`: from where clients come, beside
/// the `allow` lists of the listeners; a network that holds every address says that everyone may.
#[must_use]
pub fn render(plan: &Plan, file: &Path, clients: &[IpNet], host: &Host) -> Rendered {
    let mut text = Text::default();
    text.head(file, clients);
    let everyone = everyone(plan, clients);
    match &everyone {
        Some(whom) => text.deny_inner(whom, &INNER),
        None => text.deny_any(),
    }
    text.allow("this host", ["localhost".to_owned()]);
    allow_clients(&mut text, plan, clients);
    for pool in &plan.pools {
        allow_pool(&mut text, pool, host);
    }
    allow_the_rest(&mut text, plan, host);
    for (key, addresses) in
        [("observe.listen", &plan.observe.listen), ("dashboard.listen", &plan.dashboard.listen)]
    {
        for address in addresses {
            allow_observers(&mut text, (key, address.ip()), host, everyone.is_some());
        }
    }
    if everyone.is_some() {
        text.warn(
            "clients with private addresses are dropped, unless their network is named by an `allow` \
             list, or by `--clients 0.0.0.0/0 --clients NETWORK`: hosts beside this one, and everyone \
             behind a router that puts its own private address in place of theirs",
        );
    }
    text.into_rendered()
}

/// Who lets everyone in, in words; `None`: nobody does.
fn everyone(plan: &Plan, clients: &[IpNet]) -> Option<String> {
    let open = |listener: &&Listener| !is_local(listener) && is_open(listener);
    let listeners: Vec<_> = plan.listeners.iter().filter(open).map(|it| &*it.name).collect();
    if clients.iter().any(|network| network.prefix_len() == 0) {
        return Some("--clients says so".to_owned());
    }
    // Who names the clients says that there are no others.
    if listeners.is_empty() || !clients.is_empty() {
        return None;
    }
    let have = if listeners.len() == 1 { "has" } else { "have" };
    Some(format!("{} {have} no `allow` list", names("listener", &listeners)))
}

/// `listener.a and listener.b`, at most three by name.
fn names(kind: &str, names: &[&str]) -> String {
    let shown: Vec<_> = names.iter().take(3).map(|name| format!("{kind}.{name}")).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn is_local(listener: &Listener) -> bool {
    listener.addresses.iter().all(|listen| listen.address.ip().is_loopback())
}

fn is_open(listener: &Listener) -> bool {
    let allowed = listener.access.allowed();
    allowed.is_none_or(|networks| networks.iter().any(|network| network.prefix_len() == 0))
}

fn allow_clients(text: &mut Text, plan: &Plan, clients: &[IpNet]) {
    let some = |networks: &[IpNet]| -> Vec<String> {
        // One that holds everything would take back what is denied.
        let some = networks.iter().filter(|network| network.prefix_len() > 0);
        some.map(short).collect()
    };
    text.allow("clients: --clients", some(clients));
    for listener in &plan.listeners {
        let name = &listener.name;
        let allowed = listener.access.allowed().unwrap_or_default();
        text.allow(&format!("clients: `allow` of listener.{name}"), some(&allowed));
        let proxies = listener.proxy_from.as_deref().unwrap_or_default();
        text.allow(&format!("proxies in front: `proxy_from` of listener.{name}"), some(proxies));
    }
}

fn allow_pool(text: &mut Text, pool: &Pool, host: &Host) {
    if let Some(within) = &pool.within {
        // The same for all pools: written once.
        return text.allow("endpoints of all pools: `upstreams_within`", within.iter().map(short));
    }
    let mut known = Vec::new();
    for endpoint in &pool.endpoints {
        match &endpoint.address {
            EndpointAddress::Socket(address) => known.push(bare(address)),
            EndpointAddress::Name { host: name, .. } => {
                let now = host.addresses_of(name);
                let from = format!("endpoint {name} of pool.{}, as it resolves now", pool.name);
                text.allow(&from, now.iter().map(canonical));
                let nothing = if now.is_empty() { " (it does not now)" } else { "" };
                text.warn(format!(
                    "endpoint {name} of pool.{} is a name: other addresses that it resolves to \
                     later{nothing} are dropped; `upstreams_within` would name the networks that \
                     they lie in",
                    pool.name
                ));
            }
        }
    }
    text.allow(&format!("endpoints of pool.{}", pool.name), known);
}

/// Names, the other host, the log.
fn allow_the_rest(text: &mut Text, plan: &Plan, host: &Host) {
    let endpoints = plan.pools.iter().flat_map(|pool| &pool.endpoints);
    let mut by_name =
        endpoints.filter(|it| matches!(it.address, EndpointAddress::Name { .. })).count();
    let peer = plan.observe.peer.as_deref().and_then(|peer| Some((peer, host_of(peer)?)));
    match peer {
        Some((_, Peer::Address(address))) => {
            text.allow("the other host: `observe.peer`", [canonical(&address)]);
        }
        Some((peer, Peer::Name(name))) => {
            by_name += 1;
            let now = host.addresses_of(&name);
            text.allow(
                "the other host: `observe.peer`, as it resolves now",
                now.iter().map(canonical),
            );
            text.warn(format!(
                "`observe.peer` {peer} is a name: other addresses that it resolves to later are dropped"
            ));
        }
        None => {}
    }
    if by_name > 0 {
        let resolvers = host.resolvers.iter().filter(|address| !address.is_loopback());
        text.allow("resolvers, for names: /etc/resolv.conf", resolvers.map(canonical));
    }
    let logs = plan.log.outputs.iter().filter_map(|output| match output.target {
        LogTarget::Udp(address) | LogTarget::Tcp(address) => Some(bare(&address)),
        _ => None,
    });
    text.allow("syslog: `[log]`", logs);
}

/// Who asks for figures, health and the dashboard is not written anywhere: the networks that the
/// address lies in.
fn allow_observers(text: &mut Text, (key, address): (&str, IpAddr), host: &Host, everyone: bool) {
    if address.is_loopback() {
        return;
    }
    let networks = host.networks_of(address);
    let whose = format!("whoever asks `{key}` {address}: its network");
    text.allow(&whose, networks.iter().map(short));
    let known =
        if networks.is_empty() { "nobody but this host" } else { "nobody from further away" };
    let all = if everyone { "--clients 0.0.0.0/0 " } else { "" };
    text.warn(format!(
        "`{key}` {address}: {known} can ask there; to let others: {all}--clients NETWORK"
    ));
}

enum Peer {
    Address(IpAddr),
    Name(String),
}

/// The host in `host:port`.
fn host_of(peer: &str) -> Option<Peer> {
    if let Ok(address) = peer.parse::<SocketAddr>() {
        return Some(Peer::Address(address.ip()));
    }
    let (name, _) = peer.rsplit_once(':')?;
    Some(Peer::Name(name.to_owned()))
}

fn bare(address: &SocketAddr) -> String {
    canonical(&address.ip())
}

fn canonical(address: &IpAddr) -> String {
    address.to_canonical().to_string()
}

/// A network that is one address is written as such.
fn short(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        canonical(&network.addr())
    } else {
        network.to_string()
    }
}
