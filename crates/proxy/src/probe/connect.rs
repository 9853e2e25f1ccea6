//! A connection to an endpoint over the way that traffic takes: same source address, same PROXY
//! header, same name; set up as far as the kind of probe wants it.

use super::certificate;
use super::first_byte::{FirstByte, Noted};
use super::tls::fault_of;
use super::watch::Watch;
use crate::pool::{Endpoint, source_for};
use eclusa_config::plan::SendProxy;
use eclusa_policy::verdict::{Evidence, HandshakeFacts, VoidCause};
use eclusa_sys::socket::{connect, is_local_trouble, local_address};
use eclusa_wire::proxy_protocol;
use std::io;
use std::net::TcpStream as StdTcpStream;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connection that is set up.
pub(super) enum Connection {
    Plain(Noted),
    Tls(Box<TlsStream<Noted>>),
}

/// Connects, and completes the TLS handshake where there is one. `first` notes the first byte and
/// the address of the local end.
pub(super) async fn set_up(
    watch: &Watch,
    endpoint: &Endpoint,
    first: Rc<FirstByte>,
) -> io::Result<Connection> {
    if let Some(drill) = endpoint.drill() {
        drill.meet().await?;
    }
    let plan = watch.pool().plan();
    let source = source_for(&plan.source, endpoint.address(), 0);
    let socket = connect(endpoint.address(), source)?;
    if let Ok(local) = local_address(socket.as_fd()) {
        first.set_local(local.ip());
    }
    let mut stream = TcpStream::from_std(StdTcpStream::from(socket))?;
    stream.writable().await?;
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    if let Some(send_proxy) = plan.send_proxy {
        stream.write_all(&local_header(send_proxy)).await?;
    }
    let stream = Noted::new(stream, first);
    let kind = watch.kind();
    Ok(match kind.tls() {
        None => Connection::Plain(stream),
        Some(tls) => Connection::Tls(Box::new(tls.handshake(stream, endpoint).await?)),
    })
}

/// A PROXY header that says: the balancer itself speaks.
pub(crate) fn local_header(send_proxy: SendProxy) -> Vec<u8> {
    if send_proxy.version == 1 {
        return b"PROXY UNKNOWN\r\n".to_vec();
    }
    let mut header = Vec::new();
    proxy_protocol::encode_v2_local(&mut header);
    header
}

/// What a failed set-up shows; `None`: nothing but that no answer comes, which is silence.
///
/// "No route to host" and "timed out" come from a neighbour or a router that gave up: whether an
/// endpoint that is switched off leads to them or to nothing at all is a matter of luck.
pub(super) fn evidence_of(error: &io::Error) -> Option<Evidence> {
    if let Some(fault) = fault_of(error) {
        return Some(Evidence::TlsFailed(fault));
    }
    if is_local_trouble(error) {
        return Some(Evidence::Void(cause_of(error)));
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(Evidence::Refused),
        io::ErrorKind::HostUnreachable | io::ErrorKind::TimedOut => None,
        _ => Some(Evidence::Reset),
    }
}

fn cause_of(error: &io::Error) -> VoidCause {
    match error.kind() {
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::PermissionDenied => VoidCause::NoRoute,
        _ => VoidCause::Exhausted,
    }
}

impl Connection {
    /// Whether the endpoint chose HTTP/2; `known`: without TLS, where nobody asks it, it is to know it.
    pub(super) fn is_http2(&self, known: bool) -> bool {
        match self {
            Self::Plain(_) => known,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// What the handshake told; `None`: there was none.
    pub(super) fn facts(&self, watch: &Watch) -> Option<HandshakeFacts> {
        let Self::Tls(stream) = self else { return None };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let facts = chain.first().map(|leaf| certificate::facts(leaf, &watch.own_addresses()));
        Some(facts.unwrap_or_default())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_trouble_is_void_and_a_dead_neighbour_is_silence() {
        // Linux, errno(3).
        let cases = [
            (24, Some(Evidence::Void(VoidCause::Exhausted)), "EMFILE"),
            (99, Some(Evidence::Void(VoidCause::Exhausted)), "EADDRNOTAVAIL"),
            (101, Some(Evidence::Void(VoidCause::NoRoute)), "ENETUNREACH"),
            (100, Some(Evidence::Void(VoidCause::NoRoute)), "ENETDOWN"),
            (1, Some(Evidence::Void(VoidCause::NoRoute)), "EPERM"),
            (111, Some(Evidence::Refused), "ECONNREFUSED"),
            (104, Some(Evidence::Reset), "ECONNRESET"),
            (113, None, "EHOSTUNREACH"),
            (110, None, "ETIMEDOUT"),
        ];
        for (number, expected, name) in cases {
            assert_eq!(evidence_of(&io::Error::from_raw_os_error(number)), expected, "{name}");
        }
        let eof = io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof");
        assert_eq!(evidence_of(&eof), Some(Evidence::Reset));
    }
}
