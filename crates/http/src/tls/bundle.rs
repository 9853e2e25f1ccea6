//! Bundles of CAs: whom to believe.

use super::files::Files;
use super::mistake::Mistake;
use super::pem::{self, Want};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::path::Path;

/// The certificates of a bundle, all of them usable.
pub(super) fn read(
    files: &dyn Files,
    path: &Path,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), Mistake> {
    let bytes = files.read(path).map_err(|error| Mistake::unreadable(path, &error))?;
    let certificates = pem::read(path, &bytes, Want::Certificates)?.chain;
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        roots.add(certificate.clone()).map_err(|error| {
            let what = format!("certificate {} cannot be a CA's ({error})", index + 1);
            Mistake::new(path, what, "leave it out, or write it again, whole")
        })?;
    }
    Ok((roots, certificates))
}

/// Where distributions keep the CAs that they believe: Debian, Red Hat, SUSE, Alpine.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The CAs that the host believes. One that rustls cannot use is passed over: the list is not the
/// operator's.
pub(super) fn system(files: &dyn Files) -> Result<RootCertStore, Mistake> {
    for path in SYSTEM.map(Path::new) {
        let Ok(bytes) = files.read(path) else { continue };
        let certificates = pem::read(path, &bytes, Want::Certificates)?.chain;
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(certificates).0 > 0 {
            return Ok(roots);
        }
    }
    let remedy = "install the package ca-certificates, or name a bundle by `ca`";
    Err(Mistake::new(Path::new(SYSTEM[0]), "this host has no list of CAs", remedy))
}
