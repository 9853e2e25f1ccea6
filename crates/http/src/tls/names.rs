//! The names that a certificate holds for (RFC 9525).

use eclusa_policy::name::{NamePattern, fold};
use std::fmt;
use std::net::IpAddr;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// The names of a certificate, from its subject alternative names. The common name is none: no
/// client of today looks at it (RFC 9525, section 2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Full names, in lower case, sorted.
    exact: Vec<Box<str>>,
    /// `*.example.com` as `example.com`, sorted.
    wildcard: Vec<Box<str>>,
    addresses: Vec<IpAddr>,
}

impl Names {
    /// Reads them; those that no client would match are the second part.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> (Self, Vec<String>) {
        let (mut names, mut strange) = (Self::default(), Vec::new());
        let Ok(Some(listed)) = certificate.subject_alternative_name() else {
            return (names, strange);
        };
        for name in &listed.value.general_names {
            match name {
                GeneralName::DNSName(text) => match NamePattern::parse(text) {
                    Ok(NamePattern::Exact(name)) => names.exact.push(name),
                    Ok(NamePattern::Wildcard(suffix)) => names.wildcard.push(suffix),
                    Err(_) => strange.push(text.escape_default().to_string()),
                },
                GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        names.exact.sort();
        names.exact.dedup();
        names.wildcard.sort();
        names.wildcard.dedup();
        (names, strange)
    }

    /// Whether the certificate holds for `host`: a name in lower case or an address, without port;
    /// an IPv6 address may stand in brackets. A wildcard stands for exactly one label.
    #[must_use]
    pub fn fits(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let has = |list: &[Box<str>], name: &str| {
            list.binary_search_by(|listed| (**listed).cmp(name)).is_ok()
        };
        if has(&self.exact, host) {
            return true;
        }
        if let Some((label, suffix)) = host.split_once('.')
            && !label.is_empty()
            && has(&self.wildcard, suffix)
        {
            return true;
        }
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        !self.addresses.is_empty()
            && bare.parse().is_ok_and(|address| self.addresses.contains(&address))
    }

    /// Full names, in lower case.
    pub fn exact(&self) -> impl Iterator<Item = &str> {
        self.exact.iter().map(|name| &**name)
    }

    /// What follows `*.` in the wildcard names.
    pub fn wildcards(&self) -> impl Iterator<Item = &str> {
        self.wildcard.iter().map(|suffix| &**suffix)
    }

    /// The addresses.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The first of them, as `*.example.com` is written; empty where there is none.
    #[must_use]
    pub fn first(&self) -> String {
        self.all().next().unwrap_or_default()
    }

    /// All of them, as they are written.
    fn all(&self) -> impl Iterator<Item = String> {
        let wildcards = self.wildcards().map(|suffix| format!("*.{suffix}"));
        let addresses = self.addresses.iter().map(IpAddr::to_string);
        self.exact().map(str::to_owned).chain(wildcards).chain(addresses)
    }

    /// Whether there is nothing that a client could compare with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcard.is_empty() && self.addresses.is_empty()
    }
}

impl fmt::Display for Names {
    /// At most three of them, and how many there are beyond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.all().collect();
        let shown = names.len().min(3);
        f.write_str(&names[..shown].join(", "))?;
        if names.len() > shown {
            write!(f, " and {} more", names.len() - shown)?;
        }
        Ok(())
    }
}

/// A server name as the names here are written: lower case, no final dot.
pub(super) fn folded(name: &str) -> String {
    fold(name)
}

pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            exact: vec!["example.com".into(), "shop.example.com".into()],
            wildcard: vec!["apps.example.com".into()],
            addresses: vec!["192.168.1.2".parse().unwrap(), "fd00::1".parse().unwrap()],
        }
    }

    #[test]
    fn a_host_fits_as_a_client_would_say() {
        let names = names();
        for fits in [
            "example.com",
            "shop.example.com",
            "shop.example.com.",
            "a.apps.example.com",
            "192.168.1.2",
            "[fd00::1]",
            "fd00::1",
            "[fd00:0::1]",
        ] {
            assert!(names.fits(fits), "{fits}");
        }
        for other in [
            "",
            ".",
            "com",
            "www.example.com",
            "a.b.apps.example.com",
            "apps.example.com",
            ".apps.example.com",
            "192.168.1.3",
            "[192.168.1.2",
            "example.com.evil.test",
        ] {
            assert!(!names.fits(other), "{other}");
        }
    }

    #[test]
    fn a_list_of_names_stays_short() {
        let text = "example.com, shop.example.com, *.apps.example.com and 2 more";
        assert_eq!(names().to_string(), text);
    }
}
