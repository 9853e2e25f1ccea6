//! What the certificate of an endpoint tells: until when it is valid, and whether the balancer's
//! own addresses stand in its names (clients that reach the endpoint through the balancer verify
//! the balancer's address against it). And what there is to tell of certificates in files.

use eclusa_policy::verdict::HandshakeFacts;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

/// A certificate that ends within this is worth telling.
pub(crate) const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// Reads the facts from a leaf certificate (DER). `ours`: addresses that clients of the balancer
/// connect to; none: nobody can say whether they are covered.
pub(super) fn facts(der: &[u8], ours: &[IpAddr]) -> HandshakeFacts {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return HandshakeFacts::default();
    };
    let covered = |address: &IpAddr| addresses(&certificate).contains(address);
    HandshakeFacts {
        not_after: Some(certificate.validity().not_after.timestamp()),
        covers_us: (!ours.is_empty()).then(|| ours.iter().all(covered)),
    }
}

fn addresses(certificate: &X509Certificate<'_>) -> Vec<IpAddr> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let address = |name: &GeneralName<'_>| match name {
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(IpAddr::from),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(IpAddr::from),
            _ => None,
        },
        _ => None,
    };
    names.value.general_names.iter().filter_map(address).collect()
}

/// A certificate as it was seen on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    /// The key that signed it (authority key identifier, RFC 5280, section 4.2.1.1), in hexadecimal.
    pub(crate) authority: Option<String>,
    pub(crate) dns_names: Vec<String>,
    pub(crate) addresses: Vec<IpAddr>,
    /// Seconds since 1970.
    pub(crate) not_before: i64,
    /// Seconds since 1970.
    pub(crate) not_after: i64,
}

/// What a certificate (DER) says that an endpoint showed; `None`: it is none.
pub(crate) fn seen(der: &[u8]) -> Option<Seen> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let authority = certificate.extensions().iter().find_map(|it| match it.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    });
    let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let dns_names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    Some(Seen {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        authority: authority.map(hexadecimal),
        dns_names: dns_names.collect(),
        addresses: addresses(&certificate),
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
    })
}

/// A certificate that a probe uses, as it was read from its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileCertificate {
    pub(crate) path: PathBuf,
    /// Its subject, and the names that it is for.
    pub(crate) names: Vec<String>,
    /// The end of its life, in seconds since 1970.
    pub(crate) not_after: i64,
}

/// Names of a certificate that are told.
const NAMES_MAX: usize = 20;

impl FileCertificate {
    /// Reads it (DER); what is none was refused before.
    pub(super) fn read(path: &Path, der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let hosts = alternatives.iter().flat_map(|names| &names.value.general_names);
        let hosts = hosts.filter_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
            _ => None,
        });
        let subject = Some(certificate.subject().to_string()).filter(|name| !name.is_empty());
        let addresses = addresses(&certificate).into_iter().map(|address| address.to_string());
        Some(Self {
            path: path.to_owned(),
            names: subject.into_iter().chain(hosts).chain(addresses).take(NAMES_MAX).collect(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }
}

/// What is wrong with a certificate, as far as it is worth telling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Concern {
    /// It ends soon, or has ended: when, in seconds since 1970.
    pub(super) ends: Option<i64>,
    /// The balancer's address does not stand in it.
    pub(super) uncovered: bool,
}

impl Concern {
    /// What is wrong at `now`.
    pub(super) fn of(facts: HandshakeFacts, now: SystemTime) -> Self {
        let soon = now.duration_since(UNIX_EPOCH).unwrap_or_default() + SOON;
        let soon = i64::try_from(soon.as_secs()).unwrap_or(i64::MAX);
        Self {
            ends: facts.not_after.filter(|&end| end < soon),
            uncovered: facts.covers_us == Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_testkit::ca::Ca;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    fn der(names: &[&str], valid: Duration) -> Vec<u8> {
        let leaf = Ca::new().leaf_until(names, SystemTime::now() + valid);
        CertificateDer::from_pem_slice(leaf.pem.as_bytes()).unwrap().to_vec()
    }

    #[test]
    fn addresses_are_looked_up_among_the_names() {
        let certificate = der(&["kubernetes", "10.0.0.10", "fd00::1"], SOON * 2);
        let covers = |ours: &[&str]| {
            let ours: Vec<IpAddr> = ours.iter().map(|ip| ip.parse().unwrap()).collect();
            facts(&certificate, &ours).covers_us
        };
        assert_eq!(covers(&[]), None, "only wildcard addresses: nobody can say");
        assert_eq!(covers(&["10.0.0.10"]), Some(true));
        assert_eq!(covers(&["10.0.0.10", "fd00::1"]), Some(true));
        assert_eq!(covers(&["10.0.0.10", "10.0.0.11"]), Some(false));
    }

    #[test]
    fn the_end_concerns_a_month_before() {
        let now = SystemTime::now();
        let concern = |valid| Concern::of(facts(&der(&["kubernetes"], valid), &[]), now);
        assert_eq!(concern(SOON + Duration::from_secs(60)), Concern::default());
        assert!(concern(SOON - Duration::from_secs(60)).ends.is_some());
    }

    #[test]
    fn a_certificate_of_a_file_has_its_names_and_its_end() {
        let certificate = der(&["probe.test", "10.0.0.10"], SOON);
        let read = FileCertificate::read(Path::new("/etc/probe.crt"), &certificate).unwrap();
        assert_eq!(read.path, Path::new("/etc/probe.crt"));
        for name in ["probe.test", "10.0.0.10"] {
            assert!(read.names.iter().any(|known| known == name), "{name} in {:?}", read.names);
        }
        let left = read.not_after
            - i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
                .unwrap();
        assert!((left - 30 * 86_400).abs() < 86_400, "{left} s");
        assert_eq!(FileCertificate::read(Path::new("/x"), b"none"), None);
    }

    #[test]
    fn what_is_no_certificate_tells_nothing() {
        assert_eq!(facts(b"no certificate", &[]), HandshakeFacts::default());
    }
}
