//! TLS: opened at a listener, spoken to endpoints.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// TLS that a listener opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminate {
    /// Files or directories with certificates and keys; never empty.
    pub certificates: Vec<PathBuf>,
    /// The least version that is spoken.
    pub min_version: TlsVersion,
    /// Protocols, the most wanted first (ALPN); empty: what clients offer is not answered.
    pub alpn: Vec<Arc<str>>,
    /// Which certificates clients show.
    pub client: ClientCertificates,
    /// File with the keys of session tickets; `None`: keys of our own, renewed by themselves.
    pub tickets: Option<PathBuf>,
    /// Names that no certificate has are refused, and hosts that the connection's does not have.
    pub strict: bool,
    /// The name whose certificate is shown to clients that send none, or, unless `strict`, one that
    /// no certificate has; `None`: the first certificate.
    pub default: Option<Arc<str>>,
    /// How long a handshake may take, from `accept`.
    pub handshake_timeout: Duration,
    /// Handshakes of one worker that may wait for their turn; who comes then is closed.
    pub handshakes_max: usize,
}

impl Terminate {
    /// The files that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let others = self.client.ca().into_iter().chain(self.tickets.as_deref());
        self.certificates.iter().map(PathBuf::as_path).chain(others)
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V12,
    /// TLS 1.3 (RFC 8446).
    V13,
}

/// Which certificates clients show; the path is that of a bundle of CAs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// None are asked for.
    Off,
    /// Those that have one show it; a wrong one is refused.
    Optional(PathBuf),
    /// All must show one.
    Required(PathBuf),
}

impl ClientCertificates {
    /// The bundle of CAs that must have signed them.
    #[must_use]
    pub fn ca(&self) -> Option<&Path> {
        match self {
            Self::Off => None,
            Self::Optional(ca) | Self::Required(ca) => Some(ca),
        }
    }
}

/// TLS that is spoken to endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Originate {
    /// Bundle of the CAs that must have signed the endpoint's certificate; `None`: any will do.
    pub ca: Option<PathBuf>,
    /// Server name to send, which the certificate must have; `None`: the host of the request, or the
    /// server name that the client sent.
    pub server_name: Option<Arc<str>>,
    /// The certificate to show, with its key (PEM).
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Originate {
    /// The files that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let client = self.client.iter().flat_map(|(certificate, key)| [certificate, key]);
        self.ca.iter().chain(client).map(PathBuf::as_path)
    }
}
