//! TLS to endpoints.

use super::bundle;
use super::certificate;
use super::failure::{Failure, Who, Why};
use super::files::Files;
use super::mistake::Mistake;
use super::provider;
use super::terminate::MinVersion;
use eclusa_proxy::layer7::AnyCertificate;
use rustls::client::{ClientConnection, Resumption};
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, Error, HandshakeKind, ProtocolVersion};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
pub use tokio_rustls::client::TlsStream;

/// Sessions that are kept for one endpoint, to be resumed.
const SESSIONS: usize = 16;

/// Whom we believe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// The CAs of the host.
    #[default]
    System,
    /// The CAs of a bundle (PEM).
    Bundle(PathBuf),
    /// Anybody: for those who have said `verify = false`.
    Anybody,
}

/// The TLS of a pool, as the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whom we believe.
    pub trust: Trust,
    /// Sent as server name and looked for in the certificate. `None`: the endpoint's own name, or
    /// its address, which is looked for but never sent (RFC 6066, section 3).
    pub server_name: Option<String>,
    /// The certificate that we show, and its key: PEM files, perhaps the same one.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Application protocols that are offered, best first.
    pub alpn: Vec<String>,
    /// The oldest version.
    pub min_version: MinVersion,
}

/// The TLS of a pool.
pub struct Originator {
    config: ClientConfig,
    name: Option<ServerName<'static>>,
}

impl fmt::Debug for Originator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Originator").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Originator {
    /// Loads what the settings name.
    ///
    /// # Errors
    /// What is wrong with a file, or with the server name.
    pub fn new(files: &dyn Files, settings: &Settings) -> Result<Self, Mistake> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(settings.min_version.versions())
            .map_err(|error| Mistake::new(Path::new("TLS"), error.to_string(), "report this"))?;
        let builder = match &settings.trust {
            Trust::System => builder.with_root_certificates(bundle::system(files)?),
            Trust::Bundle(path) => builder.with_root_certificates(bundle::read(files, path)?.0),
            Trust::Anybody => {
                let anybody = Arc::new(AnyCertificate::new(provider()));
                builder.dangerous().with_custom_certificate_verifier(anybody)
            }
        };
        let mut config = match &settings.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let certified = certificate::of_client(files, chain, key)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
            }
        };
        config.alpn_protocols =
            settings.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        let name = settings.server_name.as_ref().map(|name| {
            ServerName::try_from(name.clone()).map_err(|_| {
                let what =
                    format!("the server name {name:?} is neither a host name nor an address");
                Mistake::new(Path::new("server_name"), what, "write it as in `shop.example.com`")
            })
        });
        Ok(Self { config, name: name.transpose()? })
    }

    /// The TLS of one endpoint: `host` is its name as the configuration writes it, where it has
    /// one. Keep it as long as the endpoint: it remembers sessions, which another endpoint could
    /// not resume.
    #[must_use]
    pub fn endpoint(&self, host: Option<&str>, address: IpAddr) -> EndpointTls {
        let own = || {
            let host = host.and_then(|host| ServerName::try_from(host.to_owned()).ok());
            host.unwrap_or_else(|| ServerName::IpAddress(address.into()))
        };
        let name = self.name.clone().unwrap_or_else(own);
        let mut config = self.config.clone();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        EndpointTls { connector: TlsConnector::from(Arc::new(config)), name }
    }
}

/// The TLS of one endpoint.
#[derive(Clone)]
pub struct EndpointTls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl fmt::Debug for EndpointTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointTls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a handshake with an endpoint has agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// TLS 1.2 or 1.3.
    pub version: ProtocolVersion,
    /// The application protocol.
    pub alpn: Option<Box<[u8]>>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

impl EndpointTls {
    /// A handshake with the endpoint on `stream`, complete before `deadline`.
    ///
    /// # Errors
    /// Who has ended it, and why. With TLS 1.3 an endpoint that does not like our certificate says
    /// so only after the handshake: the first read then fails, see [`Failure`] by [`read_failure`].
    pub async fn connect<S>(
        &self,
        stream: S,
        deadline: Instant,
    ) -> Result<(TlsStream<S>, Agreed), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let began = Instant::now();
        let connecting = Box::pin(self.connector.connect(self.name.clone(), stream));
        let stream = match timeout_at(deadline, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Failure::of(Who::Endpoint, &error)),
            Err(_) => {
                let words = format!("TLS handshake not complete after {:.1?}", began.elapsed());
                return Err(Failure::new(Who::Endpoint, Why::Deadline, words));
            }
        };
        let agreed = agreed(stream.get_ref().1);
        Ok((stream, agreed))
    }
}

/// What an error of reading from (or writing to) an endpoint means, if TLS is what has failed.
#[must_use]
pub fn read_failure(error: &std::io::Error) -> Option<Failure> {
    error.get_ref()?.downcast_ref::<Error>().map(|error| Failure::of_tls(Who::Endpoint, error))
}

fn agreed(connection: &ClientConnection) -> Agreed {
    Agreed {
        version: connection.protocol_version().unwrap_or(ProtocolVersion::TLSv1_3),
        alpn: connection.alpn_protocol().map(Into::into),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}
