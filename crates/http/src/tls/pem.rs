//! What stands in a PEM file (RFC 7468), and what people put there by mistake.

use super::mistake::Mistake;
use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;

/// The certificates and keys of a file, in its order.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) keys: Vec<PrivateKeyDer<'static>>,
}

/// What a file is read for; said when it is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Certificates,
    Key,
}

const AS_PEM: &str = "give it as PEM (a text that begins with -----BEGIN CERTIFICATE-----)";
const LABELS: &str =
    "the labels are CERTIFICATE, and PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY";

/// Reads all sections. A section of another kind (parameters of curves and of Diffie-Hellman, as
/// older tools write them) is passed over; where nothing of the wanted kind is found, it is what
/// the mistake is about.
pub(super) fn read(file: &Path, bytes: &[u8], want: Want) -> Result<Contents, Mistake> {
    let mistake = |what: &str, remedy: &str| Mistake::new(file, what, remedy);
    let labels = labels(bytes);
    if let Some(remedy) = encrypted(bytes, &labels) {
        return Err(mistake(
            "the private key is encrypted, and nobody is here to type the passphrase",
            &remedy,
        ));
    }
    let mut contents = Contents::default();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        let (kind, der) = section.map_err(|error| broken(file, &error))?;
        if kind == SectionKind::Certificate {
            contents.chain.push(der.into());
        } else if let Some(key) = PrivateKeyDer::from_pem(kind, der) {
            contents.keys.push(key);
        }
    }
    let (missing, name) = match want {
        Want::Certificates => (contents.chain.is_empty(), "certificate"),
        Want::Key => (contents.keys.is_empty(), "private key"),
    };
    if !missing {
        return Ok(contents);
    }
    if bytes.is_empty() {
        return Err(mistake("it is empty", AS_PEM));
    }
    let strange = labels.iter().find(|label| !matches!(**label, "CERTIFICATE" | "PRIVATE KEY"));
    let what = match (strange, labels.first()) {
        // 0x30 begins a sequence: DER, or PKCS#12, which is one, too.
        (_, None) if bytes[0] == 0x30 => "it is DER or PKCS#12, not PEM".to_owned(),
        (_, None) => "it is no PEM".to_owned(),
        (Some(label), _) => format!("there is no {name} in it, only {}", article(label)),
        (None, Some(label)) => format!("there is no {name} in it, only {}", article(label)),
    };
    let remedy = match (strange.copied(), labels.is_empty()) {
        (Some("OPENSSH PRIVATE KEY"), _) => "`ssh-keygen -p -m PKCS8 -f FILE` writes it as PEM",
        (Some("TRUSTED CERTIFICATE"), _) => "`openssl x509 -in FILE` writes it as CERTIFICATE",
        (_, true) => AS_PEM,
        (None, _) if want == Want::Certificates => "name the file of the certificate and its chain",
        _ => LABELS,
    };
    Err(mistake(&what, remedy))
}

fn article(label: &str) -> String {
    let vowel = label.starts_with(['A', 'E', 'I', 'O', 'U']);
    format!("{} {label}", if vowel { "an" } else { "a" })
}

/// How to write an encrypted key in clear, if one is.
fn encrypted(bytes: &[u8], labels: &[&str]) -> Option<String> {
    let old = bytes.windows(21).any(|part| part == b"Proc-Type: 4,ENCRYPTE");
    (old || labels.contains(&"ENCRYPTED PRIVATE KEY")).then(|| {
        "`openssl pkey -in FILE -out NEW` writes it without one; let only root read NEW".to_owned()
    })
}

fn broken(file: &Path, error: &pem::Error) -> Mistake {
    let what = match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            let label = String::from_utf8_lossy(end_marker);
            let label = label.trim_start_matches("-----END ").trim().trim_end_matches('-');
            format!("it ends in the middle of {}", article(label))
        }
        pem::Error::IllegalSectionStart { line } => {
            let line = String::from_utf8_lossy(line);
            format!("the line {:?} begins no section", line.trim_end().escape_debug().to_string())
        }
        pem::Error::Base64Decode(_) => "a section is no base64".to_owned(),
        other => other.to_string(),
    };
    Mistake::new(file, what, "write it again, whole")
}

/// What the sections call themselves.
fn labels(bytes: &[u8]) -> Vec<&str> {
    let lines = bytes.split(|&byte| byte == b'\n');
    let begin = lines.filter_map(|line| line.strip_prefix(b"-----BEGIN "));
    let text = begin.filter_map(|rest| std::str::from_utf8(rest).ok());
    text.filter_map(|rest| rest.trim_end().strip_suffix("-----")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &[u8], want: Want) -> String {
        match read(Path::new("a.pem"), bytes, want) {
            Ok(contents) => format!("{} and {}", contents.chain.len(), contents.keys.len()),
            Err(mistake) => mistake.to_string(),
        }
    }

    #[test]
    fn sections_of_other_kinds_are_passed_over() {
        let text = b"Bag Attributes\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n\
            -----END EC PARAMETERS-----\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n\
            -----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n";
        assert_eq!(said(text, Want::Certificates), "1 and 0");
        assert!(
            said(text, Want::Key).starts_with("a.pem: there is no private key in it, only an EC")
        );
    }
}
