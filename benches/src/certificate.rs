//! The certificate that candidates show where the generator speaks TLS: one P-256 key for all.

use crate::failure::{Context, Outcome};
use crate::traffic::message::HOST;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use std::fs;
use std::path::Path;

/// The file's name: certificate and key in one, as every candidate can read it.
pub const FILE: &str = "bench.pem";

/// Makes a fresh one in `directory`.
///
/// # Errors
/// The system gives no randomness, or the file cannot be written.
pub fn write(directory: &Path) -> Outcome<()> {
    let cannot = || "cannot make a certificate".to_owned();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context(cannot)?;
    let params = CertificateParams::new(vec![HOST.to_owned()]).context(cannot)?;
    let certificate = params.self_signed(&key).context(cannot)?;
    let file = directory.join(FILE);
    fs::write(&file, certificate.pem() + &key.serialize_pem())
        .context(|| format!("cannot write {}", file.display()))
}
