//! Looks at this host.

use super::judge::Tracked;
use crate::listening::{self, Holder, Listening};
use std::fs;
use std::net::IpAddr;

/// `CAP_NET_ADMIN` (capabilities(7)).
const NET_ADMIN: u64 = 1 << 12;

/// Whether this process may change nftables.
pub(super) fn may_change_the_network() -> bool {
    let status = text("/proc/self/status");
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    effective.is_some_and(|bits| bits & NET_ADMIN != 0)
}

/// The addresses of this host.
pub(super) fn networks() -> Vec<(IpAddr, u8)> {
    eclusa_sys::interface::networks().unwrap_or_default()
}

/// Who listens, and who holds that.
pub(super) fn listening() -> Vec<(Listening, Vec<Holder>)> {
    let all = listening::all();
    let mut holders = listening::holders(&all);
    all.into_iter().map(|one| (one, holders.remove(&one.inode).unwrap_or_default())).collect()
}

/// Connections that have this port on this side.
pub(super) fn connections(port: u16) -> usize {
    listening::connections(port)
}

/// The kernel's table of connections; `None` where it has none yet.
pub(super) fn tracked() -> Option<Tracked> {
    let number = |name: &str| -> Option<u64> {
        let path = format!("/proc/sys/net/netfilter/nf_conntrack_{name}");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    let sockets = text("/proc/net/sockstat") + &text("/proc/net/sockstat6");
    Some(Tracked { count: number("count")?, max: number("max")?, connections: connected(&sockets) })
}

/// TCP sockets that a tracking kernel has an entry for, in the words of `/proc/net/sockstat`: those in use, and
/// those that wait out their end.
fn connected(sockstat: &str) -> u64 {
    let lines = sockstat.lines().filter(|line| line.starts_with("TCP"));
    let of_line = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let value = |name: &str| -> u64 {
            let at = words.iter().position(|word| *word == name);
            at.and_then(|at| words.get(at + 1)?.parse().ok()).unwrap_or_default()
        };
        value("inuse") + value("tw")
    };
    lines.map(of_line).sum()
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_in_the_words_of_the_kernel() {
        let text = "sockets: used 291\nTCP: inuse 105 orphan 0 tw 17 alloc 120 mem 9\nUDP: inuse 3 mem 1\n\
                    TCP6: inuse 8\nUDP6: inuse 2\n";
        assert_eq!(connected(text), 130);
        assert_eq!(connected(""), 0);
    }
}
