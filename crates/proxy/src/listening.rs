//! Who listens on this host: the tables of the kernel (`/proc/net/tcp`, proc(5)), and the processes
//! that have the sockets open; and how many connections a port has.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listening {
    /// Where.
    pub(crate) address: SocketAddr,
    /// What its descriptors lead to: `socket:[INODE]`.
    pub(crate) inode: u64,
}

/// A process that has such a socket open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// What it calls itself, at most 15 bytes of it.
    pub(crate) name: String,
    pub(crate) pid: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, pid {}", self.name, self.pid)
    }
}

impl Listening {
    /// Whether it is in the way of somebody who wants to listen on `address`, as far as the table says:
    /// whether one for all v6 addresses takes v4 as well does not stand there.
    pub(crate) fn is_in_the_way(&self, address: SocketAddr) -> bool {
        meet(self.address, address)
    }
}

/// Whether who listens on one of these gets connections to the other.
pub(crate) fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, another) = (one.ip(), other.ip());
    let meets = ip == another || ip.is_unspecified() || another.is_unspecified();
    one.port() == other.port() && meets
}

/// All sockets of this network namespace that listen.
pub(crate) fn all() -> Vec<Listening> {
    tables().flat_map(|table| table.lines().filter_map(of_line).collect::<Vec<_>>()).collect()
}

/// How many connections of this network namespace have this port on this side and are not over.
pub(crate) fn connections(port: u16) -> usize {
    // TIME_WAIT, CLOSE, LISTEN
    const NONE: [&str; 3] = ["06", "07", "0A"];
    let is_one = |line: &&str| {
        local(line).is_some_and(|(address, state)| address.port() == port && !NONE.contains(&state))
    };
    tables().map(|table| table.lines().filter(is_one).count()).sum()
}

fn tables() -> impl Iterator<Item = String> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
}

/// The processes that have these sockets open, as far as this user may see them.
pub(crate) fn holders(of: &[Listening]) -> HashMap<u64, Vec<Holder>> {
    let mut found: HashMap<u64, Vec<Holder>> = HashMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let inode = |descriptor: fs::DirEntry| {
            let target = fs::read_link(descriptor.path()).ok()?;
            let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            inode.parse::<u64>().ok()
        };
        let mut inodes: Vec<u64> = descriptors.flatten().filter_map(inode).collect();
        inodes.sort_unstable();
        inodes.dedup();
        inodes.retain(|inode| of.iter().any(|listening| listening.inode == *inode));
        if inodes.is_empty() {
            continue;
        }
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        let holder = Holder { name: name.trim().to_owned(), pid };
        for inode in inodes {
            found.entry(inode).or_default().push(holder.clone());
        }
    }
    found
}

/// A line of the table, if it is that of a listener.
fn of_line(line: &str) -> Option<Listening> {
    const LISTEN: &str = "0A";
    let (address, _) = local(line).filter(|(_, state)| *state == LISTEN)?;
    Some(Listening { address, inode: line.split_whitespace().nth(9)?.parse().ok()? })
}

/// This side of a line of the table, and its state; `None`: it is the head.
fn local(line: &str) -> Option<(SocketAddr, &str)> {
    let mut fields = line.split_whitespace().skip(1);
    let (ip, port) = fields.next()?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(address_of_hex(ip)?, port), fields.nth(1)?))
}

/// An address as the kernel prints it: 32-bit words in the host's byte order.
fn address_of_hex(hex: &str) -> Option<IpAddr> {
    let words: Option<Vec<u32>> = (0..hex.len() / 8)
        .map(|i| u32::from_str_radix(hex.get(i * 8..i * 8 + 8)?, 16).ok())
        .collect();
    let bytes: Vec<u8> = words?.iter().flat_map(|word| word.to_ne_bytes()).collect();
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_with_who_holds_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found: Vec<_> = all().into_iter().filter(|it| it.address == address).collect();
        assert_eq!(found.len(), 1);
        let holders = holders(&found);
        let pids: Vec<_> = holders[&found[0].inode].iter().map(|holder| holder.pid).collect();
        assert_eq!(pids, [std::process::id()]);
        assert_eq!(connections(address.port()), 0);
        let client = std::net::TcpStream::connect(address).unwrap();
        assert_eq!(connections(address.port()), 1);
        let own = client.local_addr().unwrap().port();
        assert_eq!(connections(own), 1);
        drop(listener);
        assert!(!all().iter().any(|it| it.address == address));
    }

    #[test]
    fn v6_addresses_are_read_as_the_kernel_prints_them() {
        assert_eq!(address_of_hex("0100007F"), Some("127.0.0.1".parse().unwrap()));
        let v6 = "00000000000000000000000001000000";
        assert_eq!(address_of_hex(v6), Some("::1".parse().unwrap()));
    }

    #[test]
    fn who_listens_everywhere_is_in_everybodys_way() {
        let at = |address: &str| Listening { address: address.parse().unwrap(), inode: 1 };
        let meets = |one: &str, other: &str| at(one).is_in_the_way(other.parse().unwrap());
        assert!(meets("0.0.0.0:443", "192.168.1.2:443") && meets("192.168.1.2:443", "0.0.0.0:443"));
        assert!(!meets("192.168.1.3:443", "192.168.1.2:443"));
        assert!(!meets("0.0.0.0:80", "192.168.1.2:443"));
    }
}
