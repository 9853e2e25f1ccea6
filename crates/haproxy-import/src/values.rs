//! Times, sizes and addresses as HAProxy writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A time in milliseconds, which a number without a unit is in; below one it is rounded up (section 2.5
/// of HAProxy's configuration manual).
pub(crate) fn time(text: &str) -> Option<u64> {
    time_in(text, "ms")
}

/// The same where a number without a unit is in `usual`.
pub(crate) fn time_in(text: &str, usual: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let factor = match if unit.is_empty() { usual } else { unit } {
        "us" => return Some(number.div_ceil(1_000)),
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A size in bytes: `16384`, `16k`, `1m`, `1g`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// All addresses of IPv4: `*`, or nothing.
    Any,
    Address(IpAddr),
    Name(String),
}

/// An address with its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: Host,
    pub(crate) port: Port,
}

/// The part behind the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// It is not written.
    None,
    /// A port.
    One(u16),
    /// From the first to the last.
    Range(u16, u16),
    /// `+N`, `-N`: so much more or less than the client's.
    Offset(i32),
}

impl Port {
    /// The port, if it is one.
    pub(crate) fn one(self) -> Option<u16> {
        match self {
            Self::One(port) => Some(port),
            _ => None,
        }
    }
}

/// Reads an address (section 11 of newer manuals; `bind` and `server` of this one).
///
/// # Errors
/// What it is, where that is nothing that TCP reaches.
pub(crate) fn place(text: &str) -> Result<Place, String> {
    let (family, rest) = text.split_once('@').unwrap_or(("", text));
    let any = match family {
        "" | "ipv4" | "tcp" | "tcp4" => Host::Any,
        "ipv6" | "tcp6" => Host::Address(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        "unix" | "uxst" | "uxdg" => return Err("a UNIX socket".to_owned()),
        "abns" | "abnsz" => return Err("an abstract UNIX socket".to_owned()),
        "fd" => return Err("an inherited descriptor".to_owned()),
        "sockpair" => return Err("a pair of sockets".to_owned()),
        "quic4" | "quic6" => return Err("QUIC (HTTP/3)".to_owned()),
        "udp" | "udp4" | "udp6" => return Err("UDP".to_owned()),
        "ring" => return Err("a ring buffer".to_owned()),
        _ => return Err(format!("`{family}@`, which is no kind of address")),
    };
    if rest.starts_with('/') {
        return Err("a UNIX socket".to_owned());
    }
    if rest.contains('$') {
        return Err("a variable".to_owned());
    }
    let bare = rest.parse::<Ipv6Addr>().ok().filter(|_| !ends_in_port(rest));
    let parts = rest.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let (host, port) = match (bare, parts) {
        (Some(_), _) | (None, None) => (rest, ""),
        (None, Some((host, port))) => (host, port),
    };
    let port = if rest.ends_with(':') { Port::None } else { self::port(port)? };
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = match inside {
        "" | "*" => any,
        _ => match inside.parse::<IpAddr>() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Name(inside.to_owned()),
        },
    };
    Ok(Place { host, port })
}

/// Whether what stands behind the last colon is meant as a port: `:::80`, but not `fd00::1`, which has
/// none, as HAProxy would take the last group for it.
fn ends_in_port(text: &str) -> bool {
    text.starts_with(":::")
}

fn port(text: &str) -> Result<Port, String> {
    let wrong = || format!("`{text}`, which is no port");
    if text.is_empty() {
        return Ok(Port::None);
    }
    if let Some(sign) = text.strip_prefix(['+', '-']) {
        let offset: i32 = sign.parse::<u16>().map_err(|_| wrong())?.into();
        return Ok(Port::Offset(if text.starts_with('-') { -offset } else { offset }));
    }
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
    match text.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            match first.cmp(&last) {
                std::cmp::Ordering::Less => Ok(Port::Range(first, last)),
                std::cmp::Ordering::Equal => Ok(Port::One(first)),
                std::cmp::Ordering::Greater => Err(wrong()),
            }
        }
        None => Ok(Port::One(number(text)?)),
    }
}

/// `0.0.0.0` for all, or the address.
pub(crate) fn listened(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Any => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        Host::Address(address) => Some(*address),
        Host::Name(_) => None,
    }
}

/// Address or name, as text in front of a port.
pub(crate) fn shown(host: &Host) -> String {
    match host {
        Host::Any => "0.0.0.0".to_owned(),
        Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
        Host::Address(address) => address.to_string(),
        Host::Name(name) => name.clone(),
    }
}

/// A network as the configuration wants it: no bit set behind its prefix, `127.0.0.1/8` of
/// HAProxy's own `LOCALHOST` corrected, and netmasks made a length. `None`: it is none.
pub(crate) fn network(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    if let Ok(network) = text.parse::<ipnet::IpNet>() {
        return Some(network.trunc().to_string());
    }
    let (address, mask) = text.split_once('/')?;
    let mask: Ipv4Addr = mask.parse().ok()?;
    let length = ipnet::ipv4_mask_to_prefix(mask).ok()?;
    network(&format!("{address}/{length}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_unit_are_milliseconds() {
        for (text, expected) in [
            ("5000", Some(5_000)),
            ("5s", Some(5_000)),
            ("1500us", Some(2)),
            ("2m", Some(120_000)),
            ("1d", Some(86_400_000)),
            ("", None),
            ("s", None),
            ("1.5s", None),
            ("-1", None),
            ("99999999999999999d", None),
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
        assert_eq!(time_in("10", "s"), Some(10_000));
        assert_eq!(
            (size("16k"), size("1m"), size("9"), size("x")),
            (Some(16 << 10), Some(1 << 20), Some(9), None)
        );
    }

    #[test]
    fn addresses_have_all_their_forms() {
        let one = |text: &str| place(text).map(|it| (shown(&it.host), it.port));
        for (text, host, port) in [
            ("*:80", "0.0.0.0", Port::One(80)),
            (":80", "0.0.0.0", Port::One(80)),
            ("80", "80", Port::None),
            ("10.0.0.1:80-82", "10.0.0.1", Port::Range(80, 82)),
            ("10.0.0.1", "10.0.0.1", Port::None),
            ("master1:6443", "master1", Port::One(6443)),
            ("host:+1000", "host", Port::Offset(1000)),
            ("host:-5", "host", Port::Offset(-5)),
            ("[::]:443", "[::]", Port::One(443)),
            (":::443", "[::]", Port::One(443)),
            ("fd00::1", "[fd00::1]", Port::None),
            ("[fd00::1]:22", "[fd00::1]", Port::One(22)),
            ("[fd00::1]", "[fd00::1]", Port::None),
            ("ipv6@:80", "[::]", Port::One(80)),
            ("ipv6@*:80", "[::]", Port::One(80)),
            ("ipv4@10.0.0.1:80", "10.0.0.1", Port::One(80)),
            ("10.0.0.1:", "10.0.0.1", Port::None),
        ] {
            assert_eq!(one(text), Ok((host.to_owned(), port)), "{text}");
        }
        for (text, what) in [
            ("unix@/run/a", "UNIX"),
            ("/run/a", "UNIX"),
            ("abns@a", "abstract"),
            ("fd@3", "descriptor"),
            ("quic4@:443", "QUIC"),
            ("what@x", "no kind"),
            ("*:x", "no port"),
            ("*:0", "no port"),
            ("*:82-80", "no port"),
            ("*:70000", "no port"),
        ] {
            let error = place(text).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn networks_end_at_their_prefix() {
        for (text, expected) in [
            ("127.0.0.1/8", Some("127.0.0.0/8")),
            ("10.0.0.0/255.255.252.0", Some("10.0.0.0/22")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("fd00::/8", Some("fd00::/8")),
            ("example.com", None),
            ("10.0.0.0/33", None),
        ] {
            assert_eq!(network(text).as_deref(), expected, "{text}");
        }
    }
}
