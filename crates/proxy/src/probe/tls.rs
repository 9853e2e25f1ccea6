//! The TLS probe: a complete handshake, closed in order, so that the endpoint's log stays clean.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

#[derive(Clone)]
pub(super) struct Probe {
    connector: TlsConnector,
    /// Sent, and checked against the certificate where there is a CA; `None`: the endpoint's own.
    name: Option<ServerName<'static>>,
}

impl Probe {
    /// Prepares a probe that sends `server_name` (none: the endpoint's host name, if the
    /// configuration knows it by one) and accepts certificates that a CA
    /// of the bundle `ca` signed (none: any).
    pub(super) fn new(server_name: Option<&str>, ca: Option<&Path>) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS of the probes: {error}"))?;
        let mut config = match ca {
            Some(path) => builder.with_root_certificates(roots(path)?).with_no_client_auth(),
            None => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
                .with_no_client_auth(),
        };
        // Each probe asks for the whole handshake; a resumed one would prove less.
        config.resumption = rustls::client::Resumption::disabled();
        let name = server_name.map(|name| {
            ServerName::try_from(name.to_owned())
                .map_err(|error| format!("server name {name} of a probe: {error}"))
        });
        let name = name.transpose()?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// A handshake with the endpoint at `address`, known as `host` if by a name.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        host: Option<&str>,
        address: IpAddr,
    ) -> io::Result<()> {
        let own = || {
            let host = host.and_then(|host| ServerName::try_from(host.to_owned()).ok());
            // An address is checked against the certificate, and no SNI is sent for it.
            host.unwrap_or_else(|| ServerName::IpAddress(address.into()))
        };
        let name = self.name.clone().unwrap_or_else(own);
        let mut tls = self.connector.connect(name, stream).await?;
        tls.shutdown().await
    }
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let failed = |error: &dyn std::fmt::Display| format!("CA bundle {}: {error}", path.display());
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() {
        return Err(failed(&"no certificate in it"));
    }
    Ok(roots)
}

/// Takes any certificate whose key signs the handshake: without a CA a probe asks whether the
/// endpoint speaks TLS, not who it is.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
