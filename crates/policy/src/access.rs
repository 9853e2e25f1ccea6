//! Access lists: which networks may connect to a listener at all.

use crate::network::NetworkMap;
use ipnet::IpNet;
use std::net::IpAddr;

/// `allow` and `deny` lists of networks. The narrowest network that holds the client decides;
/// where both lists name the same network, `deny` does. A client that no network holds is let in,
/// unless there is an `allow` list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    networks: NetworkMap<bool>,
    allow_listed_only: bool,
}

/// What an access list says of an address, and which of its lines said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let in; by this network, or because nothing speaks against it.
    Allowed(Option<IpNet>),
    /// Kept out; by this network, or because an `allow` list does not name it.
    Denied(Option<IpNet>),
}

impl Access {
    /// Builds the list.
    #[must_use]
    pub fn new(allow: &[IpNet], deny: &[IpNet]) -> Self {
        let mut networks = NetworkMap::default();
        for network in allow {
            networks.insert(*network, true);
        }
        for network in deny {
            networks.insert(*network, false);
        }
        Self { networks, allow_listed_only: !allow.is_empty() }
    }

    /// Whether every address is let in without a look.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.networks.is_empty()
    }

    /// The networks of the `allow` list, parts of which may be denied; `None` where there is none:
    /// everyone is let in who is not denied.
    #[must_use]
    pub fn allowed(&self) -> Option<Vec<IpNet>> {
        let allowed = self.networks.iter().filter(|(_, allowed)| **allowed);
        self.allow_listed_only.then(|| allowed.map(|(network, _)| network).collect())
    }

    /// Decides on a client's address.
    #[must_use]
    pub fn decide(&self, address: IpAddr) -> Decision {
        match self.networks.get(address) {
            Some((network, true)) => Decision::Allowed(Some(network)),
            Some((network, false)) => Decision::Denied(Some(network)),
            None if self.allow_listed_only => Decision::Denied(None),
            None => Decision::Allowed(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_narrowest_network_decides() {
        let access = Access::new(
            &[net("10.0.0.0/8"), net("10.1.1.1/32")],
            &[net("10.1.0.0/16"), net("::/0")],
        );
        assert_eq!(access.decide(ip("10.2.0.1")), Decision::Allowed(Some(net("10.0.0.0/8"))));
        assert_eq!(access.decide(ip("10.1.0.1")), Decision::Denied(Some(net("10.1.0.0/16"))));
        assert_eq!(access.decide(ip("10.1.1.1")), Decision::Allowed(Some(net("10.1.1.1/32"))));
        assert_eq!(access.decide(ip("11.0.0.1")), Decision::Denied(None));
        assert_eq!(access.decide(ip("fd00::1")), Decision::Denied(Some(net("::/0"))));
        assert_eq!(
            access.decide(ip("::ffff:10.2.0.1")),
            Decision::Allowed(Some(net("10.0.0.0/8")))
        );
    }

    #[test]
    fn no_list_lets_everyone_in_and_a_deny_list_the_rest() {
        assert!(Access::default().is_open());
        assert_eq!(Access::default().decide(ip("1.2.3.4")), Decision::Allowed(None));
        let access = Access::new(&[], &[net("1.2.3.0/24")]);
        assert_eq!(access.decide(ip("1.2.4.4")), Decision::Allowed(None));
    }

    #[test]
    fn the_allow_list_is_known() {
        let access = Access::new(&[net("10.0.0.0/8"), net("fd00::/8")], &[net("10.1.0.0/16")]);
        assert_eq!(access.allowed(), Some(vec![net("10.0.0.0/8"), net("fd00::/8")]));
        assert_eq!(Access::new(&[], &[net("10.0.0.0/8")]).allowed(), None, "all others are let in");
    }

    #[test]
    fn deny_wins_over_allow_of_the_same_network() {
        let access = Access::new(&[net("10.0.0.0/8")], &[net("10.0.0.0/8")]);
        assert_eq!(access.decide(ip("10.0.0.1")), Decision::Denied(Some(net("10.0.0.0/8"))));
    }
}
