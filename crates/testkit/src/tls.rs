//! TLS clients that block, over connections that a test has made.

pub use rustls::ClientConfig;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::pem::PemObject;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// A client's end of a TLS connection.
#[derive(Debug)]
pub struct TlsClient(StreamOwned<ClientConnection, TcpStream>);

impl TlsClient {
    /// The whole handshake, by which the server shows a certificate for `name`.
    ///
    /// # Errors
    /// Either side has broken it off, or nothing came for as long as `stream` waits.
    pub fn connect(
        mut stream: TcpStream,
        config: &Arc<ClientConfig>,
        name: &str,
    ) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name);
        let mut session = session.map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(Self(StreamOwned::new(session, stream)))
    }

    /// The protocol that the server has chosen of those that were offered (ALPN); `None`: it has chosen none.
    #[must_use]
    pub fn protocol(&self) -> Option<Vec<u8>> {
        self.0.conn.alpn_protocol().map(<[u8]>::to_vec)
    }

    /// The certificate that the server has shown (DER).
    #[must_use]
    pub fn leaf(&self) -> Vec<u8> {
        let chain = self.0.conn.peer_certificates().unwrap_or_default();
        chain.first().map(|leaf| leaf.to_vec()).unwrap_or_default()
    }
}

impl Read for TlsClient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for TlsClient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The first certificate of a PEM text (DER), as [`TlsClient::leaf`] tells it.
///
/// # Panics
/// There is none.
#[must_use]
pub fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate").to_vec()
}
