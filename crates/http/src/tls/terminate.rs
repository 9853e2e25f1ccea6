//! What a listener offers to clients that come with TLS.

use super::bundle;
use super::files::Files;
use super::mistake::Mistake;
use super::provider;
use super::serve::Chooser;
use super::store::{Live, Store};
use super::tickets::Tickets;
use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The oldest version that is spoken. Below 1.2 nothing is (RFC 8996).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

impl MinVersion {
    pub(super) fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        const ALL: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
        match self {
            Self::Tls12 => ALL,
            Self::Tls13 => &ALL[..1],
        }
    }
}

/// Whether clients show a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Clients {
    /// They are not asked for one.
    #[default]
    Unasked,
    /// They may show one. One that is shown must be good.
    Optional {
        /// The CAs that are believed: a PEM bundle.
        ca: PathBuf,
    },
    /// They must show one.
    Required {
        /// The CAs that are believed: a PEM bundle.
        ca: PathBuf,
    },
}

/// What a listener offers, as the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The oldest version.
    pub min_version: MinVersion,
    /// Application protocols, best first. Where the client offers protocols and none of these, it
    /// is refused (RFC 7301, section 3.2). Empty: the listener knows nothing of ALPN.
    pub alpn: Vec<String>,
    /// Whether clients show a certificate.
    pub clients: Clients,
}

/// A listener's half of handshakes. One serves all workers.
#[derive(Clone, Debug)]
pub struct Terminator {
    pub(super) config: Arc<ServerConfig>,
    pub(super) live: Live,
}

impl Terminator {
    /// Prepares it. `live`: the certificates, looked up in each handshake. `tickets`: the keys of
    /// the process.
    ///
    /// A session can be resumed by a ticket alone, and nothing is kept here for it; there is no
    /// early data (RFC 8446, section 8: it can be replayed).
    ///
    /// # Errors
    /// What is wrong with the bundle of CAs.
    pub fn new(
        files: &dyn Files,
        settings: &Settings,
        live: Live,
        tickets: &Arc<Tickets>,
    ) -> Result<Self, Mistake> {
        let (verifier, context) = clients(files, &settings.clients)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(settings.min_version.versions())
            .map_err(|error| Mistake::new(Path::new("TLS"), error.to_string(), "report this"))?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Chooser(live.clone())));
        config.alpn_protocols =
            settings.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        config.ticketer = tickets.within(context);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // A full handshake with ECDSA costs hardly more than a resumed one, so a client that comes
        // with two connections at once loses nothing; and the chain of a client is in each ticket.
        config.send_tls13_tickets = 1;
        Ok(Self { config: Arc::new(config), live })
    }
}

impl Terminator {
    /// The certificates that it shows at this moment.
    #[must_use]
    pub fn store(&self) -> Arc<Store> {
        self.live.load_full()
    }
}

type Verifier = Option<Arc<dyn ClientCertVerifier>>;

/// How clients are verified, and a digest of that for their tickets.
fn clients(files: &dyn Files, clients: &Clients) -> Result<(Verifier, [u8; 32]), Mistake> {
    let (ca, required) = match clients {
        Clients::Unasked => return Ok((None, context("unasked", &mut []))),
        Clients::Optional { ca } => (ca, false),
        Clients::Required { ca } => (ca, true),
    };
    let (roots, mut certificates) = bundle::read(files, ca)?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    let verifier = builder.build().map_err(|error| {
        Mistake::new(ca, error.to_string(), "name a bundle of CAs that sign clients' certificates")
    })?;
    let mode = if required { "required" } else { "optional" };
    Ok((Some(verifier), context(mode, &mut certificates)))
}

fn context(mode: &str, certificates: &mut [CertificateDer<'_>]) -> [u8; 32] {
    certificates.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
    let mut digest = Context::new(&SHA256);
    digest.update(mode.as_bytes());
    for certificate in certificates {
        digest.update(&(certificate.len() as u64).to_be_bytes());
        digest.update(certificate);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.finish().as_ref());
    bytes
}
