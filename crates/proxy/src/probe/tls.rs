//! The TLS of probes: which CA is believed, which certificate is shown, which name is sent.

use super::certificate::FileCertificate;
use super::first_byte::Noted;
use crate::any_certificate::AnyCertificate;
use crate::files;
use crate::pool::Endpoint;
use eclusa_config::plan::TlsProbe;
use eclusa_policy::verdict::TlsFault;
use rustls::client::WantsClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, Error, ProtocolVersion, RootCertStore};
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The TLS of a pool's probes.
pub(super) struct Tls {
    connector: TlsConnector,
    /// Sent, and checked against the certificate where there is a CA; `None`: the endpoint's own.
    name: Option<ServerName<'static>>,
    /// Whether the probe has a certificate to show.
    shows: bool,
    /// What it shows and whom it believes, from their files.
    certificates: Vec<FileCertificate>,
}

/// How long an endpoint may take to say what it thinks of the certificate that it was shown. Most
/// do at once; one that says nothing has taken it.
const OPINION: Duration = Duration::from_millis(300);

impl Tls {
    /// Loads what the plan names. `protocols`: offered by ALPN, best first.
    pub(super) fn prepare(plan: &TlsProbe, protocols: &[&str]) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS of the probes: {error}"))?;
        let mut certificates = Vec::new();
        let builder = match &plan.ca {
            Some(path) => builder.with_root_certificates(roots(path, &mut certificates)?),
            None => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider))),
        };
        let mut config = match &plan.client {
            Some((certificate, key)) => {
                let (config, leaf) = client_certificate(builder, certificate, key)?;
                certificates.splice(0..0, leaf);
                config
            }
            None => builder.with_no_client_auth(),
        };
        // Each probe asks for the whole handshake; a resumed one would prove less.
        config.resumption = rustls::client::Resumption::disabled();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = plan.server_name.as_deref().map(|name| {
            ServerName::try_from(name.to_owned())
                .map_err(|error| format!("server name {name} of a probe: {error}"))
        });
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { connector, name: name.transpose()?, shows: plan.client.is_some(), certificates })
    }

    /// The certificates of the probe: the one that it shows first, then those that it believes.
    pub(super) fn certificates(&self) -> &[FileCertificate] {
        &self.certificates
    }

    /// A handshake with `endpoint` over `stream`.
    pub(super) async fn handshake(
        &self,
        stream: Noted,
        endpoint: &Endpoint,
    ) -> io::Result<TlsStream<Noted>> {
        let own = || {
            let host = endpoint.written().host.as_deref().map(str::to_owned);
            let host = host.and_then(|host| ServerName::try_from(host).ok());
            // An address is checked against the certificate, and no SNI is sent for it.
            host.unwrap_or_else(|| ServerName::IpAddress(endpoint.address().ip().into()))
        };
        let name = self.name.clone().unwrap_or_else(own);
        let mut stream = self.connector.connect(name, stream).await?;
        if self.shows {
            // None in time is a good one.
            timeout(OPINION, opinion(&mut stream)).await.unwrap_or(Ok(()))?;
        }
        Ok(stream)
    }
}

/// Waits for what the endpoint thinks of our certificate. With TLS 1.3 the client's handshake ends
/// before its certificate was looked at (RFC 8446, section 2): a refusal comes as an alert later,
/// where anything else, mostly a session ticket, means that it was taken.
async fn opinion(stream: &mut TlsStream<Noted>) -> io::Result<()> {
    let (noted, tls) = stream.get_mut();
    let socket = noted.stream();
    while tls.protocol_version() == Some(ProtocolVersion::TLSv1_3)
        && tls.tls13_tickets_received() == 0
    {
        socket.readable().await?;
        match tls.read_tls(&mut Ready(socket)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            result => result?,
        };
        let state = tls.process_new_packets();
        let state = state.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if state.plaintext_bytes_to_read() > 0 {
            break;
        }
    }
    Ok(())
}

/// What a socket has to read by now.
struct Ready<'a>(&'a TcpStream);

impl io::Read for Ready<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

/// Why a set-up failed, if TLS is the reason.
pub(super) fn fault_of(error: &io::Error) -> Option<TlsFault> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => TlsFault::Certificate,
        _ => TlsFault::Protocol,
    })
}

/// The certificate that the probe shows, with its key; and what there is to tell of it.
fn client_certificate(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    certificate: &Path,
    key: &Path,
) -> Result<(ClientConfig, Option<FileCertificate>), String> {
    let of_certificate = |error: &dyn Display| {
        let path = certificate.display();
        format!("client certificate {path} of a probe: {error} (it must be PEM, readable by us)")
    };
    let of_key = |error: &dyn Display| {
        let path = key.display();
        format!("key {path} of a probe's client certificate: {error} (PEM, readable by us)")
    };
    let file = files::open(certificate).map_err(|error| of_certificate(&error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_reader_iter(file).collect();
    let chain = chain.map_err(|error| of_certificate(&error))?;
    if chain.is_empty() {
        return Err(of_certificate(&"no certificate in it"));
    }
    let file = files::open(key).map_err(|error| of_key(&error))?;
    let private = PrivateKeyDer::from_pem_reader(file).map_err(|error| of_key(&error))?;
    let leaf = chain.first().and_then(|leaf| FileCertificate::read(certificate, leaf));
    let config = builder.with_client_auth_cert(chain, private).map_err(|error| of_key(&error))?;
    Ok((config, leaf))
}

/// CA certificates of a bundle that are told of.
const TOLD_MAX: usize = 16;

fn roots(path: &Path, told: &mut Vec<FileCertificate>) -> Result<RootCertStore, String> {
    let failed = |error: &dyn Display| {
        format!("CA bundle {}: {error} (it must be PEM, readable by us)", path.display())
    };
    let mut roots = RootCertStore::empty();
    let file = files::open(path).map_err(|error| failed(&error))?;
    for certificate in CertificateDer::pem_reader_iter(file) {
        let certificate = certificate.map_err(|error| failed(&error))?;
        if told.len() < TOLD_MAX {
            told.extend(FileCertificate::read(path, &certificate));
        }
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() {
        return Err(failed(&"no certificate in it"));
    }
    Ok(roots)
}
