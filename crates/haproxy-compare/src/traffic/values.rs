//! Values that a question of an ACL takes, and such that it nearly does.

use eclusa_haproxy_import::outline::{How, What, sample};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A text that the question takes; `None`: none is known.
pub(super) fn text(what: &What, how: How, value: &str) -> Option<String> {
    if *what == What::Source {
        return inside(value).map(|ip| ip.to_string());
    }
    Some(match how {
        How::Exact => value.to_owned(),
        How::Prefix if *what == What::Host => format!("{value}beginning.test"),
        How::Prefix => format!("{value}more"),
        How::Suffix if *what == What::Path => format!("/some{value}"),
        How::Suffix => format!("some{value}"),
        How::Part if *what == What::Path => format!("/a{value}b"),
        How::Part => format!("a{value}b"),
        How::Segment => format!("/a/{}/b", value.trim_matches('/')),
        How::Label => format!("a.{}.test", value.trim_matches('.')),
        How::Regex => sample(value)?,
        How::Found => "1".to_owned(),
    })
}

/// A text that it nearly takes. `made`: one that it takes.
pub(super) fn near(what: &What, how: How, value: &str, made: &str, longer: bool) -> String {
    let shorter = |text: &str| {
        let mut chars = text.chars();
        chars.next_back();
        chars.as_str().to_owned()
    };
    match how {
        How::Exact if longer => format!("{value}x"),
        How::Prefix if longer && *what == What::Path => format!("/x{value}"),
        How::Prefix if longer => format!("x{value}"),
        How::Suffix if longer => format!("{made}x"),
        How::Suffix => format!("{}x", shorter(made)),
        How::Segment => format!("/a/{}x/b", value.trim_matches('/')),
        How::Label => format!("a.{}x.test", value.trim_matches('.')),
        How::Regex | How::Part => format!("x{}", shorter(made)),
        How::Found => String::new(),
        How::Exact | How::Prefix => shorter(value),
    }
}

/// A path as it is sent; `None`: it cannot be.
pub(super) fn target(path: &str) -> Option<String> {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
    // What is written in several ways is compared in one of them: that is for odd requests alone.
    let odd = path.contains("//") || path.split('/').any(|it| it == "." || it == "..");
    (path.bytes().all(plain) && !odd).then_some(path)
}

/// The address and the length of a network.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let ip: IpAddr = address.parse().ok()?;
    let whole = if ip.is_ipv4() { 32 } else { 128 };
    Some((ip, length.parse().unwrap_or(whole).min(whole)))
}

/// An address in a network.
pub(super) fn inside(text: &str) -> Option<IpAddr> {
    let (ip, length) = network(text)?;
    Some(match ip {
        IpAddr::V4(ip) if length < 32 => Ipv4Addr::from_bits(ip.to_bits() | 1).into(),
        IpAddr::V6(ip) if length < 128 => Ipv6Addr::from_bits(ip.to_bits() | 1).into(),
        ip => ip,
    })
}

/// The address behind the last of a network.
pub(super) fn outside(text: &str) -> IpAddr {
    let usual = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 77));
    match network(text) {
        Some((IpAddr::V4(ip), length @ 1..)) => {
            let size = 1_u32.checked_shl(u32::from(32 - length)).unwrap_or(0);
            let first = ip.to_bits() & !(size.wrapping_sub(1));
            let next = Ipv4Addr::from_bits(first.wrapping_add(size));
            let odd = next.is_loopback() || next.is_multicast() || next.is_unspecified();
            if odd { usual } else { next.into() }
        }
        _ => usual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_or_nearly() {
        for (what, how, value, taken, missed) in [
            (What::Path, How::Exact, "/a", "/a", "/ax"),
            (What::Path, How::Prefix, "/api", "/apimore", "/x/api"),
            (What::Path, How::Suffix, ".png", "/some.png", "/some.pngx"),
            (What::Path, How::Segment, "b", "/a/b/b", "/a/bx/b"),
            (What::Host, How::Suffix, ".a.test", "some.a.test", "some.a.testx"),
            (What::Header("X".into()), How::Regex, "^a+$", "a", "x"),
        ] {
            let made = text(&what, how, value).unwrap();
            assert_eq!(made, taken);
            assert_eq!(near(&what, how, value, &made, true), missed);
        }
        assert_eq!(target("a b"), None);
        assert_eq!(target("a").as_deref(), Some("/a"));
    }

    #[test]
    fn addresses_are_in_networks_or_just_behind() {
        for (network, within, behind) in [
            ("10.0.0.0/8", "10.0.0.1", "11.0.0.0"),
            ("192.168.1.5", "192.168.1.5", "192.168.1.6"),
            ("127.0.0.1/8", "127.0.0.1", "128.0.0.0"),
            ("fd00::/8", "fd00::1", "203.0.113.77"),
        ] {
            assert_eq!(inside(network).unwrap().to_string(), within);
            assert_eq!(outside(network).to_string(), behind);
        }
        assert_eq!(inside("x"), None);
        assert_eq!(outside("0.0.0.0/0").to_string(), "203.0.113.77");
    }
}
