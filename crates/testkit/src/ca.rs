//! A throw-away certification authority, leaf certificates, and rustls configurations that use
//! them.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long leaf certificates are valid unless asked otherwise; kubeadm's masters have a year.
pub const VALID_FOR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The protocols that an apiserver offers, best first.
pub const H2_AND_HTTP1: &[&str] = &["h2", "http/1.1"];

/// A throw-away certification authority.
pub struct Ca {
    pem: String,
    key_pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ca")
    }
}

/// A leaf certificate with its key, signed by a [`Ca`].
#[derive(Clone)]
pub struct Leaf {
    /// The certificate.
    pub pem: String,
    /// Its key (PKCS#8).
    pub key_pem: String,
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leaf")
    }
}

/// Where the PEM files of a [`Leaf`] were written.
#[derive(Clone, Debug)]
pub struct LeafFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Both in one file, as HAProxy wants them.
    pub both: PathBuf,
}

impl Ca {
    /// Makes a new one, with a P-256 key.
    ///
    /// # Panics
    /// When the system gives no randomness.
    #[must_use]
    pub fn new() -> Self {
        let key = new_key();
        let certificate =
            ca_params().self_signed(&key).expect("signing needs only the key at hand");
        Self::from_pem(certificate.pem(), key.serialize_pem())
            .expect("what was just written can be read")
    }

    fn from_pem(pem: String, key_pem: String) -> io::Result<Self> {
        let key = KeyPair::from_pem(&key_pem).map_err(io::Error::other)?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(io::Error::other)?;
        let issuer = Issuer::new(ca_params(), key);
        Ok(Self { pem, key_pem, der, issuer })
    }

    /// Reads the CA that [`Ca::write`] has put into `directory`.
    ///
    /// # Errors
    /// A file is missing or no PEM.
    pub fn load(directory: &Path) -> io::Result<Self> {
        Self::from_pem(
            std::fs::read_to_string(directory.join("ca.pem"))?,
            std::fs::read_to_string(directory.join("ca.key"))?,
        )
    }

    /// Writes `ca.pem` and `ca.key` into `directory`, which is made if need be.
    ///
    /// # Errors
    /// What the file system said.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        std::fs::create_dir_all(directory)?;
        std::fs::write(directory.join("ca.pem"), &self.pem)?;
        std::fs::write(directory.join("ca.key"), &self.key_pem)
    }

    /// The CA's own certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for `names`: DNS names and addresses (as text), valid for [`VALID_FOR`].
    /// `localhost`, `127.0.0.1` and `::1` always stand in it as well.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        self.leaf_until(names, SystemTime::now() + VALID_FOR)
    }

    /// Like [`Ca::leaf`], valid from an hour before now (or before its end) until `not_after`.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    pub fn leaf_until(&self, names: &[&str], not_after: SystemTime) -> Leaf {
        let always = ["localhost", "127.0.0.1", "::1"];
        let missing = always.iter().filter(|always| !names.contains(always));
        let all: Vec<&str> = names.iter().chain(missing).copied().collect();
        self.leaf_of(&all, not_after)
    }

    /// Like [`Ca::leaf_until`] for these names and no others: a server that has several certificates
    /// wants each name in one of them.
    ///
    /// # Panics
    /// When a name is none.
    #[must_use]
    pub fn leaf_of(&self, names: &[&str], not_after: SystemTime) -> Leaf {
        let all: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(all).expect("names of a test certificate");
        params
            .distinguished_name
            .push(DnType::CommonName, names.first().copied().unwrap_or("localhost"));
        let hour = Duration::from_secs(3600);
        params.not_before = (SystemTime::now().min(not_after) - hour).into();
        params.not_after = not_after.into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = new_key();
        let certificate =
            params.signed_by(&key, &self.issuer).expect("signing needs only the keys at hand");
        Leaf { pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    /// A client that trusts this CA and nobody else, and offers `alpn` (best first).
    ///
    /// # Panics
    /// Never: the CA's certificate is one that rustls takes.
    #[must_use]
    pub fn client(&self, alpn: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("the certificate of a CA");
        client(roots, alpn)
    }
}

impl Default for Ca {
    fn default() -> Self {
        Self::new()
    }
}

impl Leaf {
    /// A server that shows this certificate and takes the first protocol of `alpn` that the
    /// client offers ([`H2_AND_HTTP1`]); with an empty `alpn` it knows nothing of ALPN.
    ///
    /// # Panics
    /// Never: the certificate and key are a pair.
    #[must_use]
    pub fn server(&self, alpn: &[&str]) -> Arc<ServerConfig> {
        let chain = CertificateDer::pem_slice_iter(self.pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .expect("the PEM we wrote");
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("the PEM we wrote");
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the key belongs to the certificate");
        config.alpn_protocols = protocols(alpn);
        Arc::new(config)
    }

    /// Writes `NAME.pem`, `NAME.key` and `NAME.both.pem` into `directory`.
    ///
    /// # Errors
    /// What the file system said.
    pub fn write(&self, directory: &Path, name: &str) -> io::Result<LeafFiles> {
        std::fs::create_dir_all(directory)?;
        let files = LeafFiles {
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
            both: directory.join(format!("{name}.both.pem")),
        };
        std::fs::write(&files.certificate, &self.pem)?;
        std::fs::write(&files.key, &self.key_pem)?;
        std::fs::write(&files.both, format!("{}{}", self.pem, self.key_pem))?;
        Ok(files)
    }
}

/// A client that trusts nobody: it breaks every handshake off with an alert.
#[must_use]
pub fn client_that_trusts_nobody(alpn: &[&str]) -> Arc<ClientConfig> {
    client(RootCertStore::empty(), alpn)
}

/// A client that takes any certificate, as `curl -k` does.
///
/// # Panics
/// Never: the provider has the default versions.
#[must_use]
pub fn client_that_trusts_anybody(alpn: &[&str]) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider())))
        .with_no_client_auth();
    config.alpn_protocols = protocols(alpn);
    Arc::new(config)
}

/// The bytes of one ClientHello record as a client of this machine sends them, for tests that
/// cut, delay or break it. `name` may be an address: then no server name is sent.
///
/// # Panics
/// When `name` is neither a host name nor an address.
#[must_use]
pub fn client_hello(name: &str, alpn: &[&str]) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).expect("a name for the ClientHello");
    let mut session = rustls::ClientConnection::new(client_that_trusts_nobody(alpn), name)
        .expect("a client session");
    let mut hello = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut hello).expect("a vector takes all bytes");
    }
    hello
}

fn client(roots: RootCertStore, alpn: &[&str]) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Each connection is a full handshake: what a test measures shall not depend on its order.
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = protocols(alpn);
    Arc::new(config)
}

/// What every throw-away CA says of itself; they differ by their keys only, so that one read back
/// from its files needs no parser of certificates.
fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "eclusa throw-away CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("randomness for a key")
}

fn protocols(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect()
}

/// Named, not looked up: other crates of a test may bring another default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Checks signatures, and nothing about who signed.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ClientConnection, ServerConnection};

    /// A handshake in memory; yields the protocol that was agreed on.
    fn handshake(
        client: Arc<ClientConfig>,
        server: Arc<ServerConfig>,
        name: &str,
    ) -> Result<Option<Vec<u8>>, rustls::Error> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(client, name).unwrap();
        let mut server = ServerConnection::new(server).unwrap();
        for _ in 0..10 {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).unwrap();
            }
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
            }
            server.process_new_packets()?;
            let mut bytes = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut bytes).unwrap();
            }
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
            }
            client.process_new_packets()?;
            if !client.is_handshaking() && !server.is_handshaking() {
                return Ok(client.alpn_protocol().map(<[u8]>::to_vec));
            }
        }
        panic!("the handshake does not end");
    }

    #[test]
    fn who_trusts_the_ca_takes_names_and_addresses_of_the_leaf() {
        let ca = Ca::new();
        let leaf = ca.leaf(&["master1.k8s.local", "10.0.0.11", "fd00::11"]);
        for name in ["master1.k8s.local", "10.0.0.11", "fd00::11", "localhost", "127.0.0.1"] {
            let agreed = handshake(ca.client(H2_AND_HTTP1), leaf.server(H2_AND_HTTP1), name);
            assert_eq!(agreed, Ok(Some(b"h2".to_vec())), "{name}");
        }
        let other = handshake(ca.client(&[]), leaf.server(&[]), "10.0.0.12");
        assert!(other.is_err(), "a name that is not in the certificate");
        assert_eq!(handshake(ca.client(&[]), leaf.server(H2_AND_HTTP1), "localhost"), Ok(None));
    }

    #[test]
    fn strangers_are_refused_unless_anybody_will_do() {
        let leaf = Ca::new().leaf(&["a.test"]);
        let stranger = handshake(Ca::new().client(&[]), leaf.server(&[]), "a.test");
        assert!(stranger.is_err());
        assert!(handshake(client_that_trusts_nobody(&[]), leaf.server(&[]), "a.test").is_err());
        let careless = handshake(client_that_trusts_anybody(&[]), leaf.server(&[]), "b.test");
        assert_eq!(careless, Ok(None));
    }

    #[test]
    fn an_expired_certificate_is_refused() {
        let ca = Ca::new();
        let leaf = ca.leaf_until(&["a.test"], SystemTime::now() - Duration::from_secs(60));
        assert!(handshake(ca.client(&[]), leaf.server(&[]), "a.test").is_err());
    }

    #[test]
    fn a_ca_comes_back_from_its_files() {
        let directory = std::env::temp_dir().join(format!("eclusa-ca-{}", std::process::id()));
        let ca = Ca::new();
        ca.write(&directory).unwrap();
        let again = Ca::load(&directory).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        let leaf = again.leaf(&["a.test"]);
        assert_eq!(handshake(ca.client(&[]), leaf.server(&[]), "a.test"), Ok(None));
    }

    #[test]
    fn a_client_hello_is_one_handshake_record() {
        let hello = client_hello("shop.example.com", &["h2"]);
        assert_eq!(hello[0], 22, "record type: handshake");
        assert_eq!(usize::from(u16::from_be_bytes([hello[3], hello[4]])) + 5, hello.len());
        assert!(hello.windows(16).any(|part| part == b"shop.example.com"));
    }
}
