//! One handshake with a client.

use super::certificate::Certificate;
use super::failure::{Failure, Who, Why};
use super::gate::Turn;
use super::identity::Identity;
use super::serve::take_chosen;
use super::terminate::Terminator;
use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{CipherSuite, Error, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::ready;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::StartHandshake;
pub use tokio_rustls::server::TlsStream;

/// `unrecognized_name`, fatal, in a record of its own (RFC 6066, section 3; RFC 8446, section 6).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// How long, and for how many bytes, a refused client is listened to so that the alert reaches it:
/// to close while there is something to read resets the connection, and that may overtake the
/// alert.
const PARTING: Duration = Duration::from_millis(200);
const PARTING_BYTES: u64 = 16 * 1024;

/// What a handshake has agreed on.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// TLS 1.2 or 1.3.
    pub version: ProtocolVersion,
    /// The cipher suite.
    pub cipher: CipherSuite,
    /// The group of the key exchange; `None` for a TLS 1.2 session that was resumed.
    pub group: Option<NamedGroup>,
    /// The server name that the client has asked for, in lower case.
    pub server_name: Option<Box<str>>,
    /// The application protocol.
    pub alpn: Option<Box<[u8]>>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// Who the client is, where it has shown a certificate.
    pub identity: Option<Arc<Identity>>,
    /// The certificate that was shown, or that would have been if the session were not resumed.
    pub certificate: Arc<Certificate>,
}

impl Handshake {
    /// The version as logs write it: `TLSv1.3`.
    #[must_use]
    pub fn version_name(&self) -> &'static str {
        match self.version {
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            _ => "TLSv1.3",
        }
    }

    /// The cipher suite as its registry writes it: `TLS_AES_128_GCM_SHA256`.
    #[must_use]
    pub fn cipher_name(&self) -> String {
        let name = format!("{:?}", self.cipher);
        name.strip_prefix("TLS13_").map_or(name.clone(), |rest| format!("TLS_{rest}"))
    }

    /// Whether an exchange for `host` may use this connection: see [`Certificate::fits`]. For the
    /// server name that the client has asked for it may in any case: also where it has seen a default
    /// certificate, and did not mind.
    #[must_use]
    pub fn fits(&self, host: &str) -> bool {
        self.server_name.as_deref() == Some(host) || self.certificate.fits(host)
    }
}

/// A handshake with the client on `stream`, complete before `deadline`. `first`: what was read of
/// the stream already, from its first byte on; it may be the whole ClientHello, a part of it,
/// nothing, or more. Once its ClientHello is there each of its steps waits for its `turn`.
///
/// # Errors
/// Who has ended it, and why. The client has been sent an alert where TLS has one for it.
pub async fn accept<S>(
    terminator: &Terminator,
    stream: S,
    first: &[u8],
    turn: Turn<'_>,
    deadline: Instant,
) -> Result<(TlsStream<S>, Handshake), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let began = Instant::now();
    let shaking = Box::pin(shake(terminator, stream, first, turn));
    let (failure, stream) = match timeout_at(deadline, shaking).await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(refused)) => refused,
        Err(_) => {
            let waited = began.elapsed();
            let words = format!("TLS handshake not complete after {waited:.1?}");
            return Err(Failure::new(Who::Client, Why::Deadline, words));
        }
    };
    if let Some(stream) = stream.filter(|_| failure.why != Why::Closed) {
        part(stream, deadline).await;
    }
    Err(failure)
}

/// Lets the alert arrive.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, deadline: Instant) {
    let parting = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(PARTING_BYTES), &mut tokio::io::sink()).await
    };
    // Whether the client has gone or not: so do we.
    let _ = timeout_at(deadline, timeout(PARTING, parting)).await;
}

/// Why, and the connection, to part from the client.
type Refused<S> = (Failure, Option<S>);

async fn shake<S>(
    terminator: &Terminator,
    mut stream: S,
    first: &[u8],
    mut turn: Turn<'_>,
) -> Result<(TlsStream<S>, Handshake), Refused<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (accepted, rest) = match hello(&mut stream, first).await {
        Ok(read) => read,
        Err(failure) => return Err((failure, Some(stream))),
    };
    if let Some(failure) = unknown(terminator, &accepted) {
        // If it does not go out, the client has gone.
        let _ = stream.write_all(&UNRECOGNIZED_NAME).await;
        return Err((failure, Some(stream)));
    }
    if poll_fn(|context| turn.poll(context)).await.is_err() {
        let words = format!("{} other TLS handshakes wait for their turn already", turn.most);
        return Err((Failure::new(Who::Proxy, Why::Busy, words), None));
    }
    let mut broken = None;
    let feed = |connection: &mut ServerConnection| broken = feed(connection, &rest).err();
    let start = StartHandshake::from_parts(accepted, stream);
    let mut rest = start.into_stream_with(terminator.config.clone(), feed);
    let mut chosen = take_chosen();
    if let Some((error, alert)) = broken {
        if let Some(stream) = rest.get_mut() {
            let _ = stream.write_all(&alert).await;
        }
        return Err((Failure::of_tls(Who::Client, &error), None));
    }
    let mut rest = pin!(rest.into_fallible());
    let done = poll_fn(|context| {
        // Who has begun is not sent away.
        let _ = ready!(turn.poll(context));
        let polled = rest.as_mut().poll(context);
        turn.done();
        // After a retry (RFC 8446, section 4.1.4) the certificate is chosen anew.
        if let Some(again) = take_chosen() {
            chosen = Some(again);
        }
        polled
    });
    let stream = match done.await {
        Ok(stream) => stream,
        Err((error, stream)) => return Err((Failure::of(Who::Client, &error), Some(stream))),
    };
    match facts(stream.get_ref().1, chosen) {
        Ok(facts) => Ok((stream, facts)),
        Err(failure) => Err((failure, Some(stream.into_inner().0))),
    }
}

/// Lets a new connection look at what was read beyond the ClientHello. The handshake proper waits
/// for the socket first, so it would look too late; an error comes with the alert that tells the
/// client.
fn feed(connection: &mut ServerConnection, mut rest: &[u8]) -> Result<(), (Error, Vec<u8>)> {
    loop {
        let mut seen = connection.process_new_packets().map(drop);
        if seen.is_ok() && rest.is_empty() {
            return Ok(());
        }
        if seen.is_ok() {
            let read = connection.read_tls(&mut rest);
            seen = read.map(drop).map_err(|error| Error::General(error.to_string()));
        }
        if let Err(error) = seen {
            let mut alert = Vec::new();
            while connection.wants_write() && connection.write_tls(&mut alert).is_ok() {}
            return Err((error, alert));
        }
    }
}

/// Reads the ClientHello; what follows it is the second part.
async fn hello<S>(stream: &mut S, first: &[u8]) -> Result<(Accepted, Vec<u8>), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut acceptor = Acceptor::default();
    let mut read = first.to_vec();
    let mut kind = None;
    loop {
        let mut rest = read.as_slice();
        kind = kind.or(rest.first().copied());
        while !rest.is_empty() {
            acceptor.read_tls(&mut rest).map_err(|error| Failure::of(Who::Client, &error))?;
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok((accepted, rest.to_vec())),
                Ok(None) => {}
                Err((error, alert)) => {
                    send(stream, alert).await;
                    let mut failure = Failure::of_tls(Who::Client, &error);
                    if kind != Some(22) && failure.why == Why::Malformed {
                        failure.why = Why::NotTls;
                        failure.words = "client does not speak TLS".to_owned();
                    }
                    return Err(failure);
                }
            }
        }
        read.resize(4096, 0);
        let got = match stream.read(&mut read).await {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            other => other,
        };
        read.truncate(got.map_err(|error| Failure::of(Who::Client, &error))?);
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, mut alert: AcceptedAlert) {
    let mut bytes = Vec::new();
    // A vector takes all; if it does not go out, the client has gone.
    let _ = alert.write_all(&mut bytes);
    let _ = stream.write_all(&bytes).await;
}

/// Whether the client asks for a name that is not served.
fn unknown(terminator: &Terminator, accepted: &Accepted) -> Option<Failure> {
    let hello = accepted.client_hello();
    let name = hello.server_name();
    if terminator.live.load().serves(name) {
        return None;
    }
    let words = match name {
        Some(name) => {
            format!("client asked for {}, which has no certificate here", name.escape_debug())
        }
        None => "client named no host, and there is no default certificate".to_owned(),
    };
    Some(Failure::new(Who::Client, Why::UnknownName, words))
}

fn facts(
    connection: &ServerConnection,
    chosen: Option<Arc<Certificate>>,
) -> Result<Handshake, Failure> {
    let missing = || Failure::new(Who::Proxy, Why::Other, "TLS handshake: its facts are missing");
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    let shown = connection.peer_certificates().and_then(<[_]>::first);
    let identity = shown.map(|shown| Identity::of(shown).ok_or_else(missing)).transpose()?;
    // When a session is resumed nobody looks at the client's certificate again.
    if identity.as_ref().is_some_and(|who| resumed && who.not_after < SystemTime::now()) {
        let words = "certificate of the client: it has expired since the session began";
        return Err(Failure::new(Who::Client, Why::Certificate, words));
    }
    Ok(Handshake {
        version: connection.protocol_version().ok_or_else(missing)?,
        cipher: connection.negotiated_cipher_suite().ok_or_else(missing)?.suite(),
        group: connection.negotiated_key_exchange_group().map(|group| group.name()),
        server_name: connection.server_name().map(|name| super::names::folded(name).into()),
        alpn: connection.alpn_protocol().map(Into::into),
        resumed,
        identity: identity.map(Arc::new),
        certificate: chosen.ok_or_else(missing)?,
    })
}
