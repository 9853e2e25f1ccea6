//! Who is where: pure text for `ip -batch`.

use super::ip::Batch;
use super::{LB_VIP, Network, Shape, metallb_vips};
use std::net::Ipv4Addr;

/// The namespace that holds the bridges.
pub(super) const SWITCH: &str = "switch";
const ROUTER_DMZ: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const ROUTER_OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// One leg of a host: an interface called like its network.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub(super) network: Network,
    pub(super) address: Ipv4Addr,
    /// Further addresses, /32.
    pub(super) vips: Vec<Ipv4Addr>,
}

/// One host to be.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) legs: Vec<Leg>,
    pub(super) gateway: Option<Ipv4Addr>,
    pub(super) forwards: bool,
}

impl Machine {
    fn new(name: impl Into<String>, network: Network, address: [u8; 4]) -> Self {
        let legs = vec![Leg { network, address: address.into(), vips: Vec::new() }];
        Self { name: name.into(), legs, gateway: None, forwards: false }
    }

    fn leg(mut self, network: Network, address: [u8; 4]) -> Self {
        self.legs.push(Leg { network, address: address.into(), vips: Vec::new() });
        self
    }

    fn vips(mut self, vips: impl IntoIterator<Item = Ipv4Addr>) -> Self {
        if let Some(leg) = self.legs.first_mut() {
            leg.vips.extend(vips);
        }
        self
    }

    fn gateway(mut self, gateway: Ipv4Addr) -> Self {
        self.gateway = Some(gateway);
        self
    }

    /// The lines that give it its addresses, in its own namespace.
    pub(super) fn setup(&self) -> Batch {
        let mut batch = Batch::new("link set lo up");
        for leg in &self.legs {
            let (device, length) = (leg.network.name(), leg.network.prefix_length());
            batch.line(format!("addr add {}/{length} dev {device}", leg.address));
            for vip in &leg.vips {
                batch.line(format!("addr add {vip}/32 dev {device}"));
            }
            batch.line(format!("link set {device} up"));
        }
        if let Some(route) = self.default_route() {
            batch.line(route);
        }
        batch
    }

    /// The line that sets its default route, which goes with its interface.
    pub(super) fn default_route(&self) -> Option<String> {
        self.gateway.map(|gateway| format!("route replace default via {gateway}"))
    }

    /// The switch's end of the cable into `network`.
    pub(super) fn port(&self, network: Network) -> String {
        // Interface names have 15 characters.
        format!("{}-{}", &network.name()[..1], self.name)
    }
}

/// All hosts of a cluster.
pub(super) fn machines(shape: Shape) -> Vec<Machine> {
    use Network::{Cluster, Dmz, Outside};
    let mut all = Vec::new();
    for n in 1..=shape.masters {
        all.push(Machine::new(format!("master{n}"), Cluster, [10, 0, 0, 10 + n]));
    }
    for n in 1..=shape.workers {
        let worker = Machine::new(format!("worker{n}"), Cluster, [10, 0, 0, 20 + n]);
        all.push(if n == 1 { worker.vips(metallb_vips()) } else { worker });
    }
    all.push(Machine::new("lb", Cluster, [10, 0, 0, 10]).vips([LB_VIP]));
    let edge = Machine::new("edge", Dmz, [192, 168, 1, 2]).leg(Cluster, [10, 0, 0, 9]);
    all.push(edge.gateway(ROUTER_DMZ));
    let mut router =
        Machine::new("router", Dmz, ROUTER_DMZ.octets()).leg(Outside, ROUTER_OUTSIDE.octets());
    router.forwards = true;
    all.push(router);
    for n in 1..=2 {
        let client = Machine::new(format!("outside{n}"), Outside, [203, 0, 113, 10 + n]);
        all.push(client.gateway(ROUTER_OUTSIDE));
    }
    all
}

/// The lines that make bridges and cables, in the switch's namespace. `name` gives the
/// namespace of a host.
pub(super) fn switch(machines: &[Machine], name: impl Fn(&str) -> String) -> Batch {
    let mut batch = Batch::new("link set lo up");
    for network in Network::ALL {
        // Without spanning tree and delay: a port forwards at once.
        batch.line(format!("link add {} type bridge forward_delay 0 stp_state 0", network.name()));
        batch.line(format!("link set {} up", network.name()));
    }
    for machine in machines {
        for leg in &machine.legs {
            let (port, device) = (machine.port(leg.network), leg.network.name());
            let namespace = name(&machine.name);
            batch.line(format!("link add {port} type veth peer name {device} netns {namespace}"));
            batch.line(format!("link set {port} master {device} up"));
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::Congestion;
    use std::collections::HashSet;

    #[test]
    fn addresses_and_ports_are_unique_in_the_largest_cluster() {
        let shape = Shape { masters: 7, workers: 3, congestion: Congestion::Reno };
        let machines = machines(shape);
        let mut seen = HashSet::new();
        for machine in &machines {
            for leg in &machine.legs {
                let port = machine.port(leg.network);
                assert!(port.len() <= 15, "{port}");
                assert!(seen.insert(port));
                for address in leg.vips.iter().chain([&leg.address]) {
                    assert!(seen.insert(address.to_string()), "{address} twice");
                }
            }
        }
        let count = |prefix: &str| machines.iter().filter(|m| m.name.starts_with(prefix)).count();
        assert_eq!((count("master"), count("worker"), count("outside")), (7, 3, 2));
    }
}
