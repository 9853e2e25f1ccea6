//! The generator's TLS: as cheap as it can be, since it shares a core with the endpoint. It believes
//! every certificate; what it offers leaves candidates no choice, so that all do the same work: TLS
//! 1.3, X25519, AES-128-GCM, and nothing resumed or, where that is measured, all.

use crate::failure::{Context, Failure, Outcome};
use crate::traffic::message::HOST;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::unbuffered::{AppDataRecord, ConnectionState, UnbufferedStatus};
use rustls::{ClientConfig, DigitallySignedStruct, HandshakeKind, SignatureScheme, version};
use std::sync::Arc;

/// Room for what one step writes, beyond what is asked.
const OUT: usize = 4096;

/// The generator's half of all its handshakes.
pub struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// One connection.
pub struct Secure {
    connection: UnbufferedClientConnection,
    /// Received and not used up.
    incoming: Vec<u8>,
    length: usize,
    /// To be sent.
    pub outgoing: Vec<u8>,
    /// A request that waits for the handshake's end.
    request: bool,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It goes on.
    Open,
    /// The other side has ended it.
    Ended,
}

impl Client {
    /// Prepares it; candidates are offered this protocol (ALPN) and no other. With `resumes` each
    /// connection takes up the session of the one before.
    ///
    /// # Errors
    /// The library does not know what is offered.
    pub fn new(protocol: &[u8], resumes: bool) -> Outcome<Self> {
        let mut provider = default_provider();
        provider.cipher_suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
        provider.kx_groups = vec![kx_group::X25519];
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&version::TLS13])
            .context(|| "TLS".into())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        config.resumption =
            if resumes { Resumption::in_memory_sessions(1) } else { Resumption::disabled() };
        let name = ServerName::try_from(HOST).context(|| "TLS".into())?;
        Ok(Self { config: Arc::new(config), name })
    }

    /// The first flight of a connection.
    ///
    /// # Errors
    /// What the library says.
    pub fn hello(&self) -> Outcome<Vec<u8>> {
        let mut secure = self.begin(OUT).map_err(Failure::new)?;
        secure.go_on(0, b"", |_| Ok(())).map_err(Failure::new)?;
        Ok(secure.outgoing)
    }

    /// A connection that begins; `room` for bytes that come at once.
    ///
    /// # Errors
    /// What the library says.
    pub fn begin(&self, room: usize) -> Result<Secure, String> {
        let connection = UnbufferedClientConnection::new(self.config.clone(), self.name.clone());
        let connection = connection.map_err(|error| format!("TLS: {error}"))?;
        let incoming = vec![0; room];
        Ok(Secure { connection, incoming, length: 0, outgoing: Vec::new(), request: true })
    }
}

impl Secure {
    /// Where bytes are received.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.incoming[self.length..]
    }

    /// A request is to be sent.
    pub fn ask(&mut self) {
        self.request = true;
    }

    /// Whether the handshake took up an earlier session.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whether what was asked still waits for the handshake's end.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.request
    }

    /// So many bytes were received: goes on. Plaintext goes to `take`, what is to be sent into
    /// `outgoing`, with `request` as soon as it may.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub fn go_on(
        &mut self,
        received: usize,
        request: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<Stands, String> {
        let told = |error: rustls::Error| format!("TLS: {error}");
        self.length += received;
        let mut used = 0;
        let stands = loop {
            let records = &mut self.incoming[used..self.length];
            let UnbufferedStatus { mut discard, state, .. } =
                self.connection.process_tls_records(records);
            let mut waits = None;
            match state.map_err(told)? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let AppDataRecord { discard: more, payload, .. } = record.map_err(told)?;
                        take(payload)?;
                        discard += more;
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    put(&mut self.outgoing, OUT, |room| data.encode(room))?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::WriteTraffic(mut traffic) => {
                    if std::mem::take(&mut self.request) {
                        let room = OUT + request.len();
                        put(&mut self.outgoing, room, |room| traffic.encrypt(request, room))?;
                    } else {
                        waits = Some(Stands::Open);
                    }
                }
                ConnectionState::BlockedHandshake => waits = Some(Stands::Open),
                ConnectionState::PeerClosed | ConnectionState::Closed => {
                    waits = Some(Stands::Ended);
                }
                other => return Err(format!("TLS: {other:?}")),
            }
            used += discard;
            if let Some(stands) = waits {
                break stands;
            }
        };
        self.incoming.copy_within(used..self.length, 0);
        self.length -= used;
        Ok(stands)
    }
}

/// Lets `write` write at most `room` bytes behind what is there.
fn put<E: std::fmt::Display>(
    out: &mut Vec<u8>,
    room: usize,
    write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<(), String> {
    let start = out.len();
    out.resize(start + room, 0);
    let written = write(&mut out[start..]).map_err(|error| format!("TLS: {error}"))?;
    out.truncate(start + written);
    Ok(())
}

/// Believes everybody.
#[derive(Debug)]
struct Anybody;

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
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256]
    }
}
