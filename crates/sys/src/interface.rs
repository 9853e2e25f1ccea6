//! Network interfaces: whether the link behind an address of this host carries anything, and which
//! network lies there.

use std::ffi::c_int;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// Whether an interface that has `address` is up and has its carrier (`IFF_UP`, `IFF_RUNNING`;
/// netdevice(7)): a pulled cable or a switch without power shows there. `None`: no interface has
/// the address. Where several have it, one that runs is enough.
///
/// Asks the kernel for all addresses of this host (getifaddrs(3)): nothing for every packet.
///
/// # Errors
/// What getifaddrs(3) says: no descriptor or memory is left.
pub fn has_carrier(address: IpAddr) -> io::Result<Option<bool>> {
    const RUNS: c_int = libc::IFF_UP | libc::IFF_RUNNING;
    let wanted = address.to_canonical();
    let mut found = None;
    Interfaces::read()?.each(|address, flags| {
        if address == wanted {
            found = Some(found == Some(true) || flags & RUNS == RUNS);
        }
    });
    Ok(found)
}

/// The addresses of this host's interfaces, each with the length of its network's prefix in bits.
///
/// # Errors
/// What getifaddrs(3) says: no descriptor or memory is left.
pub fn networks() -> io::Result<Vec<(IpAddr, u8)>> {
    let mut found = Vec::new();
    Interfaces::read()?.each_with_mask(|address, mask, _| {
        let bits = |mask: IpAddr| match mask {
            IpAddr::V4(mask) => mask.to_bits().count_ones(),
            IpAddr::V6(mask) => mask.to_bits().count_ones(),
        };
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = mask.map_or(whole, bits).min(whole);
        found.push((address, u8::try_from(prefix).unwrap_or(u8::MAX)));
    });
    Ok(found)
}

/// The list that getifaddrs(3) has made.
struct Interfaces(*mut libc::ifaddrs);

impl Interfaces {
    fn read() -> io::Result<Self> {
        let mut list = ptr::null_mut();
        // SAFETY: the pointer is valid for writing; what is written there is ours to free.
        let result = unsafe { libc::getifaddrs(&raw mut list) };
        if result == 0 { Ok(Self(list)) } else { Err(io::Error::last_os_error()) }
    }

    /// Calls `see` with each internet address and the flags of its interface.
    fn each(&self, mut see: impl FnMut(IpAddr, c_int)) {
        self.each_with_mask(|address, _, flags| see(address, flags));
    }

    /// Calls `see` with each internet address, its netmask and the flags of its interface.
    fn each_with_mask(&self, mut see: impl FnMut(IpAddr, Option<IpAddr>, c_int)) {
        let mut next = self.0;
        // SAFETY: `next` is null or an item of the list, which nobody changes and which stands
        // until `self` is dropped.
        while let Some(item) = unsafe { next.as_ref() } {
            // SAFETY: `ifa_addr` is null or points to an address that is as long as its family says.
            if let Some(address) = unsafe { internet_address(item.ifa_addr) } {
                // SAFETY: as `ifa_addr`.
                let mask = unsafe { internet_address(item.ifa_netmask) };
                see(address, mask, item.ifa_flags.cast_signed());
            }
            next = item.ifa_next;
        }
    }
}

impl Drop for Interfaces {
    fn drop(&mut self) {
        // SAFETY: getifaddrs made the list, and it is freed once.
        unsafe { libc::freeifaddrs(self.0) };
    }
}

/// The internet address behind `address`, if it is one.
///
/// # Safety
/// `address` is null, or points to a socket address that is as long as its family says.
unsafe fn internet_address(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: null, or at least a family stands there, by the caller's word.
    let family = unsafe { address.as_ref() }?.sa_family;
    match c_int::from(family) {
        libc::AF_INET => {
            // SAFETY: of this family it is a `sockaddr_in`; read as bytes of any alignment.
            let v4 = unsafe { ptr::read_unaligned(address.cast::<libc::sockaddr_in>()) };
            Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: of this family it is a `sockaddr_in6`; read as bytes of any alignment.
            let v6 = unsafe { ptr::read_unaligned(address.cast::<libc::sockaddr_in6>()) };
            Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_a_network_of_eight_bits() {
        assert!(networks().unwrap().contains(&(Ipv4Addr::LOCALHOST.into(), 8)));
    }

    #[test]
    fn loopback_carries_and_what_is_not_here_does_not() {
        for address in ["127.0.0.1", "::ffff:127.0.0.1"] {
            assert_eq!(has_carrier(address.parse().unwrap()).unwrap(), Some(true), "{address}");
        }
        assert_eq!(has_carrier("198.51.100.7".parse().unwrap()).unwrap(), None);
        assert_eq!(has_carrier("2001:db8::7".parse().unwrap()).unwrap(), None);
    }
}
