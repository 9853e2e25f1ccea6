//! The command, and what it asks this host.

use super::{Peer, host_of, render};
use crate::command::{file_of, refuse};
use clap::Args;
use eclusa_config::Mode;
use eclusa_config::plan::{EndpointAddress, Plan, Program};
use eclusa_sys::interface;
use ipnet::IpNet;
use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// `drop-in [-c FILE] [--clients NETWORK]...`
#[derive(Args, Debug)]
pub struct DropIn {
    /// The file; without it the default file
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// From where clients come, beside the `allow` lists; 0.0.0.0/0: from everywhere. Once for each
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    clients: Vec<IpNet>,
}

/// What the drop-in takes from this host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Where names are asked for.
    pub resolvers: Vec<IpAddr>,
    /// Addresses of this host, with the networks that they lie in.
    pub networks: Vec<IpNet>,
    /// What the names of the plan resolve to.
    pub names: HashMap<String, Vec<IpAddr>>,
}

impl Host {
    /// This one, as far as the plan needs it.
    fn here(plan: &Plan) -> Self {
        let endpoints = plan.pools.iter().filter(|pool| pool.within.is_none());
        let endpoints = endpoints.flat_map(|pool| &pool.endpoints);
        let mut names: Vec<String> = endpoints
            .filter_map(|endpoint| match &endpoint.address {
                EndpointAddress::Name { host, .. } => Some(host.to_string()),
                EndpointAddress::Socket(_) => None,
            })
            .collect();
        if let Some(Peer::Name(peer)) = plan.observe.peer.as_deref().and_then(host_of) {
            names.push(peer);
        }
        let resolved = |name: String| {
            let found = (name.as_str(), 0).to_socket_addrs();
            let mut found: Vec<_> = found.into_iter().flatten().map(|it| it.ip()).collect();
            found.sort();
            (name, found)
        };
        let networks = interface::networks().unwrap_or_default().into_iter();
        Self {
            resolvers: resolvers(&std::fs::read_to_string(RESOLV_CONF).unwrap_or_default()),
            networks: networks.filter_map(|(ip, bits)| IpNet::new(ip, bits).ok()).collect(),
            names: names.into_iter().map(resolved).collect(),
        }
    }

    pub(super) fn addresses_of(&self, name: &str) -> &[IpAddr] {
        self.names.get(name).map_or(&[], Vec::as_slice)
    }

    /// The networks that an address of this host lies in; of the unspecified one all.
    pub(super) fn networks_of(&self, address: IpAddr) -> Vec<IpNet> {
        let all = address.is_unspecified();
        let wanted = |network: &&IpNet| {
            let ip = network.addr();
            if all { !ip.is_loopback() } else { ip == address.to_canonical() }
        };
        self.networks.iter().filter(wanted).map(IpNet::trunc).collect()
    }
}

/// The resolvers of a resolv.conf(5).
fn resolvers(text: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        // `fe80::1%eth0`: the interface is no part of the address.
        address.split('%').next()?.parse().ok()
    };
    text.lines().filter_map(address).collect()
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
    match text.parse::<IpNet>().or_else(|_| address()) {
        Ok(network) if network.trunc() == network => Ok(network),
        Ok(network) => Err(format!("host bits are set: the network is {}", network.trunc())),
        Err(_) => Err("neither a network like 192.168.1.0/24 nor an address".to_owned()),
    }
}

/// Prints the drop-in on standard output, and what it does not know on standard error.
#[must_use]
pub fn print(program: Program, wanted: &DropIn) -> ExitCode {
    let file = file_of(program, wanted.config.as_deref());
    let plan = match eclusa_config::load(program, file, Mode::Known) {
        Ok(loaded) => loaded.plan,
        Err(diagnostics) => return refuse(&diagnostics),
    };
    let rendered = render(&plan, file, &wanted.clients, &Host::here(&plan));
    for warning in &rendered.warnings {
        // As with `check`: a reader that has gone away is no failure.
        let _ = writeln!(std::io::stderr(), "{}: {warning}", program.name());
    }
    let _ = std::io::stdout().write_all(rendered.text.as_bytes());
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_those_of_the_file() {
        let text = "# nameserver 192.0.2.9\nsearch example.com\nnameserver 192.0.2.53\n\
                    nameserver\tfe80::53%eth0\nnameserver nonsense\noptions edns0\n";
        let expected = ["192.0.2.53", "fe80::53"].map(|it| it.parse::<IpAddr>().unwrap());
        assert_eq!(resolvers(text), expected);
    }

    #[test]
    fn an_address_lies_in_the_networks_of_its_interfaces() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let networks = vec![net("127.0.0.1/8"), net("192.168.1.2/24"), net("fd00:1::2/64")];
        let host = Host { networks, ..Host::default() };
        let of = |ip: &str| host.networks_of(ip.parse().unwrap());
        assert_eq!(of("192.168.1.2"), [net("192.168.1.0/24")]);
        assert_eq!(of("192.168.1.3"), []);
        assert_eq!(of("::"), [net("192.168.1.0/24"), net("fd00:1::/64")]);
    }

    #[test]
    fn clients_are_networks_without_host_bits() {
        assert_eq!(network("192.168.1.7").unwrap().to_string(), "192.168.1.7/32");
        assert!(network("192.168.1.7/24").unwrap_err().contains("192.168.1.0/24"));
        assert!(network("shop.example.com").is_err());
    }
}
