//! The certificates that candidates show where the generator speaks TLS: one for each kind of key.

use crate::failure::{Context, Outcome};
use crate::traffic::message::HOST;
use crate::work::Key;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use std::fs;
use std::path::{Path, PathBuf};

/// The file's name in a candidate's directory: certificate and key in one, as every candidate can
/// read it.
pub const FILE: &str = "bench.pem";

/// A certificate with its key.
pub struct Made {
    /// What is shown.
    pub certificate: rcgen::Certificate,
    /// What it is signed with.
    pub key: KeyPair,
}

/// Makes a fresh one.
///
/// # Errors
/// The system gives no randomness.
pub fn make(key: Key) -> Outcome<Made> {
    let cannot = || "cannot make a certificate".to_owned();
    let key = match key {
        Key::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        Key::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
    };
    let key = key.context(cannot)?;
    let params = CertificateParams::new(vec![HOST.to_owned()]).context(cannot)?;
    let certificate = params.self_signed(&key).context(cannot)?;
    Ok(Made { certificate, key })
}

/// Makes one of each kind of key in `directory`.
///
/// # Errors
/// As [`make`], or a file cannot be written.
pub fn write(directory: &Path) -> Outcome<()> {
    for key in [Key::P256, Key::Rsa2048] {
        let made = make(key)?;
        let file = path(directory, key);
        fs::write(&file, made.certificate.pem() + &made.key.serialize_pem())
            .context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Where [`write()`] has written the one with this kind of key.
#[must_use]
pub fn path(directory: &Path, key: Key) -> PathBuf {
    directory.join(match key {
        Key::P256 => "p256.pem",
        Key::Rsa2048 => "rsa2048.pem",
    })
}
