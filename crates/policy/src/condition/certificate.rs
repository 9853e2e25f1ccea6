//! The certificate that a client has shown.

use super::text::TextPattern;
use crate::name::NamePattern;
use std::fmt;

/// What is known of a client's certificate, which was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Common name of the subject.
    pub common_name: Option<Box<str>>,
    /// DNS names among the subject's alternative names, in lower case.
    pub dns_names: Vec<Box<str>>,
    /// SHA-256 of the certificate in DER.
    pub fingerprint: [u8; 32],
}

/// What is asked of a client's certificate: each list that is not empty has one that matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificatePatterns {
    /// For the common name of the subject.
    pub common_name: Vec<TextPattern>,
    /// For the DNS names.
    pub dns_name: Vec<NamePattern>,
    /// SHA-256 of the certificate in DER.
    pub fingerprint: Vec<Fingerprint>,
}

/// SHA-256 of a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl CertificatePatterns {
    /// Whether the certificate is one of those.
    #[must_use]
    pub fn hold(&self, certificate: &ClientCertificate) -> bool {
        let common_name = certificate.common_name.as_deref();
        let (names, hash) = (&certificate.dns_names, Fingerprint(certificate.fingerprint));
        (self.common_name.is_empty()
            || common_name.is_some_and(|name| self.common_name.iter().any(|p| p.matches(name))))
            && (self.dns_name.is_empty()
                || names.iter().any(|name| self.dns_name.iter().any(|p| p.matches(name))))
            && (self.fingerprint.is_empty() || self.fingerprint.contains(&hash))
    }
}
