//! Sets of networks with longest-prefix match, v4 and v6 apart.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use std::net::IpAddr;

/// Networks, each with a value; an address finds the value of the narrowest network that holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkMap<V> {
    v4: PrefixMap<Ipv4Net, V>,
    v6: PrefixMap<Ipv6Net, V>,
}

impl<V> Default for NetworkMap<V> {
    fn default() -> Self {
        Self { v4: PrefixMap::new(), v6: PrefixMap::new() }
    }
}

impl<V> NetworkMap<V> {
    /// Sets the value of `network` (host bits are cut off) and returns the one it had.
    pub fn insert(&mut self, network: IpNet, value: V) -> Option<V> {
        match network.trunc() {
            IpNet::V4(network) => self.v4.insert(network, value),
            IpNet::V6(network) => self.v6.insert(network, value),
        }
    }

    /// The narrowest network that holds `address`, with its value. A v4-mapped v6 address is
    /// looked up as the v4 address that it stands for.
    #[must_use]
    pub fn get(&self, address: IpAddr) -> Option<(IpNet, &V)> {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                self.v4.get_lpm(&Ipv4Net::from(address)).map(|(n, v)| (IpNet::V4(n), v))
            }
            IpAddr::V6(address) => {
                self.v6.get_lpm(&Ipv6Net::from(address)).map(|(n, v)| (IpNet::V6(n), v))
            }
        }
    }

    /// All networks with their values, v4 first, each before those that lie in it.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, &V)> {
        let v4 = self.v4.iter().map(|(network, value)| (IpNet::V4(network), value));
        let v6 = self.v6.iter().map(|(network, value)| (IpNet::V6(network), value));
        v4.chain(v6)
    }

    /// Whether there is no network in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

/// A plain set of networks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkSet(NetworkMap<()>);

impl NetworkSet {
    /// Whether a network of the set holds `address`.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.get(address).is_some()
    }

    /// Whether there is no network in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<IpNet> for NetworkSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let mut map = NetworkMap::default();
        for network in networks {
            map.insert(network, ());
        }
        Self(map)
    }
}
