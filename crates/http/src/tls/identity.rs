//! Who a client is, by the certificate that it has shown and that was verified.

use super::certificate::{fingerprint, time};
use super::names::address;
use rustls::pki_types::CertificateDer;
use std::time::SystemTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Who a client is. Its certificate was verified against the listener's CAs, in this handshake or
/// in the one that the session was resumed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The subject's common name. `None` where there is none, or more than one: nobody could say
    /// which one counts. Without control characters.
    pub common_name: Option<Box<str>>,
    /// Subject alternative names that are DNS names, in lower case.
    pub dns_names: Vec<Box<str>>,
    /// Other subject alternative names: `uri:spiffe://cluster/app`, `email:me@example.com`,
    /// `ip:10.0.0.7`.
    pub other_names: Vec<Box<str>>,
    /// SHA-256 of the certificate (DER).
    pub fingerprint: [u8; 32],
    /// The certificate's end.
    pub not_after: SystemTime,
}

impl Identity {
    /// Reads it; `None` for what cannot be read, which rustls would not have verified.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let mut common = parsed.subject().iter_common_name();
        let common_name = match (common.next(), common.next()) {
            (Some(name), None) => name.as_str().ok().and_then(clean),
            _ => None,
        };
        let (mut dns_names, mut other_names) = (Vec::new(), Vec::new());
        if let Ok(Some(listed)) = parsed.subject_alternative_name() {
            for name in &listed.value.general_names {
                match name {
                    GeneralName::DNSName(name) => {
                        dns_names.extend(clean(&name.to_ascii_lowercase()));
                    }
                    other => other_names.extend(written(other)),
                }
            }
        }
        Some(Self {
            common_name,
            dns_names,
            other_names,
            fingerprint: fingerprint(certificate),
            not_after: time(parsed.validity().not_after.timestamp()),
        })
    }

    /// The fingerprint in lower-case hexadecimal digits, as `openssl x509 -fingerprint -sha256`
    /// writes it without its colons.
    #[must_use]
    pub fn fingerprint_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.fingerprint)
    }
}

fn written(name: &GeneralName<'_>) -> Option<Box<str>> {
    let text = match name {
        GeneralName::RFC822Name(name) => format!("email:{name}"),
        GeneralName::URI(name) => format!("uri:{name}"),
        GeneralName::IPAddress(bytes) => format!("ip:{}", address(bytes)?),
        _ => return None,
    };
    clean(&text)
}

/// Names go into headers and logs.
fn clean(name: &str) -> Option<Box<str>> {
    (!name.is_empty() && !name.contains(char::is_control)).then(|| name.into())
}
