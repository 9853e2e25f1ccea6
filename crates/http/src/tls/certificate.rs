//! A certificate with its key: read, checked, ready to be shown.

use super::files::Files;
use super::layout::Pair;
use super::mistake::Mistake;
use super::names::Names;
use super::pem::{self, Contents, Want};
use super::provider;
use aws_lc_rs::digest::{SHA256, digest};
use eclusa_proxy::laid_out::keys_of;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, SignatureAlgorithm};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

/// The kind of a certificate's key, in the order in which they are preferred: the cheapest
/// handshake first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    /// ECDSA.
    Ecdsa,
    /// Ed25519.
    Ed25519,
    /// RSA.
    Rsa,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ecdsa => "ECDSA",
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        })
    }
}

/// A certificate with its key.
#[derive(Debug)]
pub struct Certificate {
    file: PathBuf,
    names: Names,
    not_before: SystemTime,
    not_after: SystemTime,
    key_type: KeyType,
    fingerprint: [u8; 32],
    pub(super) certified: Arc<CertifiedKey>,
    /// Which path of the configuration it came from: its number.
    pub(super) root: usize,
}

impl Certificate {
    /// The file of its chain.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The names that it holds for.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// It is not valid before.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// It is not valid after.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// The kind of its key.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// SHA-256 of the certificate (DER).
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Who has issued it; `None`: itself, or what it says of that cannot be read.
    #[must_use]
    pub fn issuer(&self) -> Option<String> {
        let (_, leaf) = X509Certificate::from_der(self.certified.cert.first()?).ok()?;
        (leaf.issuer().as_raw() != leaf.subject().as_raw()).then(|| leaf.issuer().to_string())
    }

    /// How many certificates its chain has.
    #[must_use]
    pub fn links(&self) -> usize {
        self.certified.cert.len()
    }

    /// Whether an exchange for `host` may use a connection on which this certificate was shown. If
    /// not, the answer is 421 (RFC 9110, section 15.5.20). `host`: a name in lower case or an
    /// address, without port.
    #[must_use]
    pub fn fits(&self, host: &str) -> bool {
        self.names.fits(host)
    }

    /// What is wrong with its dates at `now`.
    pub(super) fn untimely(&self, now: SystemTime) -> Option<Mistake> {
        let day = |time: SystemTime| humantime::format_rfc3339_seconds(time).to_string();
        let (what, remedy) = if now > self.not_after {
            (format!("it has expired at {}", day(self.not_after)), "renew it")
        } else if now < self.not_before {
            let what = format!("it is not valid before {}", day(self.not_before));
            (what, "wait until then, or set this host's clock")
        } else {
            return None;
        };
        Some(Mistake::new(&self.file, format!("{what} (for {})", self.names), remedy))
    }

    /// Reads and checks it, but for its dates. What is odd and does no harm is the second part.
    pub(super) fn read(files: &dyn Files, pair: &Pair) -> Result<(Self, Vec<Mistake>), Mistake> {
        let (chain, key, key_file) = chain_and_key(files, pair)?;
        let links = parse(&pair.chain, &chain)?;
        let (names, strange) = Names::of(&links[0]);
        let validity = links[0].validity();
        let (not_before, not_after) =
            (time(validity.not_before.timestamp()), time(validity.not_after.timestamp()));
        let certified = certified(&pair.chain, &key_file, &chain, key, &names.to_string())?;
        order(&pair.chain, &links)?;
        if names.is_empty() {
            return Err(Mistake::new(
                &pair.chain,
                "the certificate names no host (no DNS name and no address as subject alternative name)",
                "no client would take it: have one issued with the names; a common name does not count",
            ));
        }
        let key_type = match certified.key.algorithm() {
            SignatureAlgorithm::ECDSA => KeyType::Ecdsa,
            SignatureAlgorithm::ED25519 => KeyType::Ed25519,
            _ => KeyType::Rsa,
        };
        let odd = strange.iter().map(|name| {
            let what = format!("no client matches the name {name}");
            Mistake::new(
                &pair.chain,
                what,
                "wildcards stand alone as the first label: *.example.com",
            )
        });
        let odd = odd.collect();
        let fingerprint = fingerprint(&chain[0]);
        let file = pair.chain.clone();
        let certified = Arc::new(certified);
        let root = pair.root;
        let read =
            Self { file, names, not_before, not_after, key_type, fingerprint, certified, root };
        Ok((read, odd))
    }
}

pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, certificate).as_ref());
    bytes
}

/// Seconds since 1970 as a time; before that, 1970.
pub(super) fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn contents(files: &dyn Files, path: &Path, want: Want) -> Result<Contents, Mistake> {
    let bytes = files.read(path).map_err(|error| Mistake::unreadable(path, &error))?;
    pem::read(path, &bytes, want)
}

/// Chain and key, and the file that the key was in.
fn chain_and_key(files: &dyn Files, pair: &Pair) -> Result<(Chain, Key, PathBuf), Mistake> {
    let Contents { chain, mut keys } = contents(files, &pair.chain, Want::Certificates)?;
    let mut key_file = &pair.chain;
    if keys.is_empty() {
        key_file = pair.key.as_ref().ok_or_else(|| no_key(&pair.chain))?;
        keys = contents(files, key_file, Want::Key)?.keys;
    }
    match (keys.pop(), keys.len()) {
        (Some(key), 0) => Ok((chain, key, key_file.clone())),
        (_, more) => {
            let what = format!("there are {} private keys in it", more + 1);
            Err(Mistake::new(key_file, what, "leave the one of the certificate"))
        }
    }
}

/// A certificate that we show as a client, with its key: only that they fit is checked, the rest is
/// for the other side to judge.
pub(super) fn of_client(
    files: &dyn Files,
    chain: &Path,
    key: &Path,
) -> Result<CertifiedKey, Mistake> {
    let pair = Pair { chain: chain.to_owned(), key: Some(key.to_owned()), root: 0 };
    let (certificates, key, key_file) = chain_and_key(files, &pair)?;
    let links = parse(chain, &certificates)?;
    let subject = links[0].subject().to_string();
    certified(chain, &key_file, &certificates, key, &subject)
}

type Chain = Vec<CertificateDer<'static>>;
type Key = PrivateKeyDer<'static>;

fn no_key(chain: &Path) -> Mistake {
    let beside = keys_of(chain);
    let beside: Vec<_> = beside.iter().map(|path| path.display().to_string()).collect();
    let name = chain.file_name().and_then(|name| name.to_str());
    let remedy = match name {
        Some("cert.pem" | "chain.pem") => {
            "of certbot's files name the directory, or fullchain.pem".to_owned()
        }
        _ => "put it into the same file, or beside it under such a name".to_owned(),
    };
    let what =
        format!("there is no private key for it, neither in it nor in {}", beside.join(" or "));
    Mistake::new(chain, what, remedy)
}

/// All certificates of the chain.
fn parse<'a>(
    file: &Path,
    chain: &'a [CertificateDer<'static>],
) -> Result<Vec<X509Certificate<'a>>, Mistake> {
    let each = chain.iter().enumerate().map(|(index, der)| {
        X509Certificate::from_der(der).map(|(_, certificate)| certificate).map_err(|_| {
            let what = format!("what it calls certificate {} is none", index + 1);
            Mistake::new(file, what, "write it again, whole")
        })
    });
    each.collect()
}

/// Key and chain together, if the key fits.
fn certified(
    file: &Path,
    key_file: &Path,
    chain: &[CertificateDer<'static>],
    key: Key,
    holder: &str,
) -> Result<CertifiedKey, Mistake> {
    let key = provider().key_provider.load_private_key(key).map_err(|_| {
        let what = "rustls has no use for this private key";
        Mistake::new(
            key_file,
            what,
            "it takes RSA of 2048 to 8192 bits, P-256, P-384, P-521, Ed25519",
        )
    })?;
    let fits = |chain: Vec<CertificateDer<'static>>| {
        let certified = CertifiedKey::new(chain, key.clone());
        match certified.keys_match() {
            Err(Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => Ok(None),
            Ok(()) | Err(Error::InconsistentKeys(_)) => Ok(Some(certified)),
            Err(error) => Err(error),
        }
    };
    match fits(chain.to_vec()) {
        Ok(Some(certified)) => return Ok(certified),
        Ok(None) => {}
        Err(error) => {
            let what = format!("rustls cannot use this certificate ({error})");
            return Err(Mistake::new(file, what, "have it issued anew"));
        }
    }
    let later = chain.iter().skip(1).position(|der| matches!(fits(vec![der.clone()]), Ok(Some(_))));
    if let Some(index) = later {
        let what = format!("the certificate of the key is number {} of the chain", index + 2);
        let remedy = "put it first, then the CA that has signed it, then that CA's";
        return Err(Mistake::new(file, what, remedy));
    }
    let what = format!("the key does not fit the certificate {} (for {holder})", file.display());
    let remedy = "give the key that the certificate was requested with";
    Err(Mistake::new(key_file, what, remedy))
}

/// Each certificate is signed by the next (RFC 8446, section 4.4.2; RFC 5246, section 7.4.2). Names
/// and key identifiers are compared: enough to find a chain that was put together wrong.
fn order(file: &Path, links: &[X509Certificate<'_>]) -> Result<(), Mistake> {
    for (index, two) in links.windows(2).enumerate() {
        let (lower, upper) = (&two[0], &two[1]);
        let same_name = lower.issuer().as_raw() == upper.subject().as_raw();
        let same_key = match (authority(lower), subject(upper)) {
            (Some(wanted), Some(given)) => wanted == given,
            _ => true,
        };
        if same_name && same_key {
            continue;
        }
        let (number, next) = (index + 1, index + 2);
        let what = if same_name {
            format!(
                "certificate {next} of the chain has another key than the one that signed {number}"
            )
        } else {
            format!(
                "certificate {number} of the chain is signed by \"{}\", but {next} is \"{}\"",
                lower.issuer(),
                upper.subject()
            )
        };
        let remedy = "the order is: the certificate of the host, the CA that has signed it, that CA's; \
                      leave out what does not belong";
        return Err(Mistake::new(file, what, remedy));
    }
    Ok(())
}

fn authority<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    })
}

fn subject<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}
