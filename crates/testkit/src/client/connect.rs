//! Where clients connect to, how, and what their errors mean.

use super::record::{Failed, Outcome, Step};
use crate::background::OnThisThread;
use crate::ca::Ca;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::cell::Cell;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

/// Where a client connects to, and whom it trusts there.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where.
    pub address: SocketAddr,
    /// The host of its requests; with TLS its SNI, too, and checked in the certificate.
    pub host: String,
    tls: Option<Tls>,
    source: Option<IpAddr>,
    first: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Tls {
    name: ServerName<'static>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Target {
    /// TLS to `address` by the name `host` (an address: no SNI), trusting `ca` only.
    ///
    /// # Panics
    /// When `host` is neither a name nor an address.
    #[must_use]
    pub fn new(address: SocketAddr, host: &str, ca: &Ca) -> Self {
        let name = ServerName::try_from(host.to_owned()).expect("the name of a target");
        let tls = Tls { name, http1: ca.client(&["http/1.1"]), http2: ca.client(&["h2"]) };
        Self { address, host: host.to_owned(), tls: Some(tls), source: None, first: Vec::new() }
    }

    /// HTTP without TLS.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        let host = address.ip().to_string();
        Self { address, host, tls: None, source: None, first: Vec::new() }
    }

    /// Connects from this local address, so that the other end sees different clients.
    #[must_use]
    pub fn from(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Sends these bytes at the beginning of each connection, before TLS: a PROXY header
    /// ([`crate::proxy_header::write_v2`]), or something that is none.
    #[must_use]
    pub fn begin_with(mut self, bytes: &[u8]) -> Self {
        self.first = bytes.to_vec();
        self
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        let socket =
            if self.address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if let Some(source) = self.source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let mut tcp = socket.connect(self.address).await?;
        // Fails only on a socket that is already gone.
        let _ = tcp.set_nodelay(true);
        tcp.write_all(&self.first).await?;
        Ok(tcp)
    }

    pub(super) fn uri(&self, path: &str) -> Result<Uri, Failed> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let host = match &self.host {
            v6 if v6.contains(':') => format!("[{v6}]"),
            name => name.clone(),
        };
        format!("{scheme}://{host}:{}{path}", self.address.port())
            .parse()
            .map_err(|error| other(Step::Connect, format!("`{path}` is no path: {error}")))
    }

    /// A request; over HTTP/1.1 the host stands in its header.
    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Failed> {
        let uri = self.uri(path)?;
        let host = uri.authority().map_or("", |authority| authority.as_str()).to_owned();
        Request::builder()
            .method(method)
            .uri(uri)
            .header(hyper::header::HOST, host)
            .body(Full::new(body))
            .map_err(|error| other(Step::Connect, error.to_string()))
    }
}

/// Where a request stands, for the one that times it out.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) step: Cell<Step>,
    pub(super) session: Cell<Option<usize>>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { step: Cell::new(Step::Connect), session: Cell::new(None) }
    }

    pub(super) fn timeout(&self) -> Failed {
        Failed { step: self.step.get(), outcome: Outcome::Timeout }
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Runs a connection until it ends; yields how.
pub(super) type Driver = Pin<Box<dyn Future<Output = Outcome>>>;

/// The half of a connection that takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

async fn connect(
    target: &Target,
    protocol: Protocol,
    progress: &Progress,
) -> Result<Box<dyn Io>, Failed> {
    progress.step.set(Step::Connect);
    let tcp = target.dial().await.map_err(|error| of_io(&error, Step::Connect))?;
    let Some(tls) = &target.tls else { return Ok(Box::new(tcp)) };
    progress.step.set(Step::Tls);
    let config = match protocol {
        Protocol::Http1 => &tls.http1,
        Protocol::Http2 => &tls.http2,
    };
    let stream = TlsConnector::from(Arc::clone(config))
        .connect(tls.name.clone(), tcp)
        .await
        .map_err(|error| of_io(&error, Step::Tls))?;
    if protocol == Protocol::Http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(other(Step::Tls, "h2 was not agreed".into()));
    }
    Ok(Box::new(stream))
}

pub(super) async fn http1(
    target: &Target,
    progress: &Progress,
) -> Result<(http1::SendRequest<Full<Bytes>>, Driver), Failed> {
    let io = connect(target, Protocol::Http1, progress).await?;
    progress.step.set(Step::Head);
    let (send, connection) =
        http1::handshake(TokioIo::new(io)).await.map_err(|e| of_hyper(&e, Step::Head))?;
    let driver = async { connection.await.map_or_else(fate, |()| Outcome::Ok) };
    Ok((send, Box::pin(driver)))
}

pub(super) async fn http2(
    target: &Target,
    progress: &Progress,
) -> Result<(http2::SendRequest<Full<Bytes>>, Driver), Failed> {
    let io = connect(target, Protocol::Http2, progress).await?;
    progress.step.set(Step::Head);
    let (send, connection) = http2::handshake(OnThisThread, TokioIo::new(io))
        .await
        .map_err(|e| of_hyper(&e, Step::Head))?;
    let driver = async { connection.await.map_or_else(fate, |()| Outcome::Ok) };
    Ok((send, Box::pin(driver)))
}

fn fate(error: hyper::Error) -> Outcome {
    of_hyper(&error, Step::Body).outcome
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) head: Response<()>,
    pub(super) body: Bytes,
}

impl Whole {
    pub(super) async fn read(
        response: Response<Incoming>,
        progress: &Progress,
    ) -> Result<Self, Failed> {
        progress.step.set(Step::Body);
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| of_hyper(&error, Step::Body))?.to_bytes();
        Ok(Self { head: Response::from_parts(parts, ()), body })
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self.head.status().as_u16() {
            ..400 => Outcome::Ok,
            code => Outcome::Status(code),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        header(&self.head, name)
    }
}

pub(super) fn header<T>(response: &Response<T>, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

pub(super) fn other(step: Step, why: String) -> Failed {
    Failed { step, outcome: Outcome::Other(why) }
}

/// What an error of the system, or of TLS within one, means.
pub(super) fn of_io(error: &io::Error, step: Step) -> Failed {
    use io::ErrorKind as Kind;
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let outcome = match (tls, error.kind()) {
        (Some(tls), _) => Outcome::Tls(tls.to_string()),
        (_, Kind::ConnectionRefused) => Outcome::Refused,
        (_, Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted) => Outcome::Reset,
        (_, Kind::UnexpectedEof) => Outcome::Closed,
        (_, Kind::TimedOut) => Outcome::Timeout,
        (_, Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown) => {
            Outcome::Unreachable
        }
        _ => Outcome::Other(error.to_string()),
    };
    Failed { step, outcome }
}

/// What an error of hyper means: the cause of it, where one is known.
pub(super) fn of_hyper(error: &hyper::Error, step: Step) -> Failed {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(this) = cause {
        let io = this
            .downcast_ref::<io::Error>()
            .or_else(|| this.downcast_ref::<h2::Error>().and_then(h2::Error::get_io));
        if let Some(io) = io {
            return of_io(io, step);
        }
        cause = this.source();
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Failed { step, outcome: Outcome::Closed };
    }
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    other(step, cause)
}

/// Whether the request was certainly not processed, so that it may be tried again elsewhere
/// (RFC 9113, section 8.7).
pub(super) fn never_processed(error: &hyper::Error) -> bool {
    let h2 = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    error.is_canceled()
        || error.is_closed()
        || h2.is_some_and(|h2| {
            h2.reason() == Some(h2::Reason::REFUSED_STREAM)
                || (h2.is_go_away() && h2.is_remote() && h2.reason() == Some(h2::Reason::NO_ERROR))
        })
}
