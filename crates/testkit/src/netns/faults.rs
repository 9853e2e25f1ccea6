//! Packets that get lost (nftables).

use super::ip;
use super::{Host, NetnsError};

/// Which packets of a host get lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Those that come to it.
    In,
    /// Those that it sends.
    Out,
    /// All.
    Both,
}

/// The table that holds the faults of a host.
const TABLE: &str = "eclusa_faults";

impl Host {
    /// Drops every packet of one direction, those of its loopback excepted. Takes the place of
    /// what was dropped before.
    ///
    /// # Errors
    /// `nft` failed.
    pub fn drop_packets(&self, direction: Direction) -> Result<(), NetnsError> {
        self.set_faults(direction, "drop")
    }

    /// Drops so many percent of the packets, at random. Takes the place of what was dropped before.
    ///
    /// # Errors
    /// `nft` failed.
    pub fn lose_packets(&self, direction: Direction, percent: u8) -> Result<(), NetnsError> {
        self.set_faults(direction, &format!("numgen random mod 100 < {percent} drop"))
    }

    /// Drops the TCP segments to and from one port, whichever side has it.
    ///
    /// # Errors
    /// `nft` failed.
    pub fn drop_port(&self, direction: Direction, port: u16) -> Result<(), NetnsError> {
        let rule = format!("tcp dport {port} drop");
        let back = format!("tcp sport {port} drop");
        self.set_rules(direction, &[&rule, &back])
    }

    /// Ends the loss of packets.
    ///
    /// # Errors
    /// `nft` failed.
    pub fn heal(&self) -> Result<(), NetnsError> {
        // Adding first: deleting what is not there is an error.
        self.nft(&format!("add table inet {TABLE}\ndelete table inet {TABLE}\n"))
    }

    fn set_faults(&self, direction: Direction, rule: &str) -> Result<(), NetnsError> {
        self.set_rules(direction, &[rule])
    }

    fn set_rules(&self, direction: Direction, rules: &[&str]) -> Result<(), NetnsError> {
        let mut text = format!("add table inet {TABLE}\ndelete table inet {TABLE}\n");
        text.push_str(&format!("table inet {TABLE} {{\n"));
        let chains: &[(&str, &str)] = match direction {
            Direction::In => &[("prerouting", "iif")],
            Direction::Out => &[("postrouting", "oif")],
            Direction::Both => &[("prerouting", "iif"), ("postrouting", "oif")],
        };
        for (hook, interface) in chains {
            text.push_str(&format!("chain {hook} {{ type filter hook {hook} priority 0;\n"));
            for rule in rules {
                text.push_str(&format!("{interface} != lo {rule}\n"));
            }
            text.push_str("}\n");
        }
        text.push_str("}\n");
        self.nft(&text)
    }

    /// One transaction: the old faults end as the new begin.
    fn nft(&self, text: &str) -> Result<(), NetnsError> {
        let mut command = self.command("nft");
        command.args(["-f", "-"]);
        ip::complete(command, text).map(drop)
    }
}
