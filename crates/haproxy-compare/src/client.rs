//! Clients: one request, and what comes back.

use crate::endpoint::{ID, WANTED};
use crate::http::{Message, Reader, What};
use eclusa_wire::proxy_protocol::encode_v1;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// How long a client waits for a connection, and for bytes.
const PATIENCE: Duration = Duration::from_secs(3);

/// A request, or the session of a listener that does not read what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) id: usize,
    /// Which of the bed's addresses it goes to.
    pub(crate) open: usize,
    /// Who the client is, as its PROXY header tells.
    pub(crate) source: SocketAddr,
    /// Whether it speaks TLS, and for which name; the empty name: for none.
    pub(crate) tls: Option<String>,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) host: Option<String>,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The status that the endpoint is to answer.
    pub(crate) wanted: u16,
    /// What two readers could read in two ways, if something is.
    pub(crate) odd: Option<&'static str>,
}

/// What a client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Answer(Message),
    /// Nobody listens there.
    Refused,
    /// The connection ended without an answer; in a handshake or after it.
    Closed,
    /// Nothing came.
    Silence,
    /// Something that is no HTTP.
    Garbage(String),
}

/// What a client got, and which certificate it was shown.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) got: Got,
    pub(crate) certificate: Option<Vec<u8>>,
}

impl Request {
    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if let Some(host) = &self.host {
            head.push_str(&format!("Host: {host}\r\n"));
        }
        head.push_str(&format!("{ID}: {}\r\n", self.id));
        if self.wanted != 200 {
            head.push_str(&format!("{WANTED}: {}\r\n", self.wanted));
        }
        for (name, value) in &self.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

/// Takes every certificate, for that is what is looked at; but only of whoever has its key,
/// where that can be read out of it: those of X.509 version 1 are no reason to compare nothing.
#[derive(Debug)]
struct Any(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match ParsedCertificate::try_from(certificate) {
            Ok(_) => verify_tls12_signature(message, certificate, signed, &self.0),
            Err(_) => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match ParsedCertificate::try_from(certificate) {
            Ok(_) => verify_tls13_signature(message, certificate, signed, &self.0),
            Err(_) => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Clients of one side.
pub(crate) struct Clients {
    tls: Arc<ClientConfig>,
}

impl Clients {
    pub(crate) fn new() -> Result<Self, String> {
        let provider = aws_lc_rs::default_provider();
        let verifier = Any(provider.signature_verification_algorithms);
        let mut config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // Each session is a handshake of its own, and sees the certificate.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self { tls: Arc::new(config) })
    }

    /// Sends a request to an address, and reads the answer.
    pub(crate) fn ask(&self, request: &Request, to: SocketAddr) -> Outcome {
        let mut certificate = None;
        let got = self.asked(request, to, &mut certificate).unwrap_or_else(|error| failed(&error));
        Outcome { got, certificate }
    }

    fn asked(
        &self,
        request: &Request,
        to: SocketAddr,
        certificate: &mut Option<Vec<u8>>,
    ) -> io::Result<Got> {
        let mut stream = match TcpStream::connect_timeout(&to, PATIENCE) {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(Got::Refused),
            Err(error) => return Err(error),
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut header = Vec::new();
        encode_v1(&mut header, request.source, of_family(to, request.source));
        let to_head = request.method == "HEAD";
        let Some(name) = &request.tls else {
            header.extend(request.bytes());
            stream.write_all(&header)?;
            return read(stream, to_head);
        };
        stream.write_all(&header)?;
        // For an address no name is sent.
        let none = || ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let name = ServerName::try_from(name.clone()).unwrap_or_else(|_| none());
        let connection =
            ClientConnection::new(Arc::clone(&self.tls), name).map_err(io::Error::other)?;
        let mut tls = StreamOwned::new(connection, stream);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        let shown = tls.conn.peer_certificates().and_then(|all| all.first());
        *certificate = shown.map(|it| it.as_ref().to_vec());
        tls.write_all(&request.bytes())?;
        tls.flush()?;
        read(tls, to_head)
    }
}

/// The address that the client connected to, in the family of its own.
fn of_family(to: SocketAddr, source: SocketAddr) -> SocketAddr {
    match (to.ip(), source.ip()) {
        (IpAddr::V4(ip), IpAddr::V6(_)) => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()),
        _ => to,
    }
}

fn read(stream: impl Read, to_head: bool) -> io::Result<Got> {
    let answer = Reader::new(stream).message(What::Answer { to_head })?;
    Ok(answer.map_or(Got::Closed, Got::Answer))
}

fn failed(error: &io::Error) -> Got {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Got::Silence,
        ErrorKind::InvalidData
            if !error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) =>
        {
            Got::Garbage(error.to_string())
        }
        // A reset, an end in the midst, an alert.
        _ => Got::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Authority;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::server::{ClientHello, ResolvesServerCert};
    use rustls::sign::CertifiedKey;
    use rustls::{ServerConfig, ServerConnection};
    use std::net::TcpListener;
    use std::thread;

    /// A certificate, and a key that may be that of another.
    #[derive(Debug)]
    struct Shown(Arc<CertifiedKey>);

    impl ResolvesServerCert for Shown {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }

    /// What a client gets of a server that shows the one certificate, and has the key of the other.
    fn asked(of: usize, key: usize) -> Outcome {
        let authority = Authority::new().unwrap();
        let issued = [0, 1].map(|_| authority.issue(&["a.test".to_owned()]).unwrap());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued[key].key.clone()));
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let chain = vec![CertificateDer::from(issued[of].der.clone())];
        let shown = Shown(Arc::new(CertifiedKey::new(chain, key)));
        let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The PROXY header.
            while {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                byte != *b"\n"
            } {}
            let connection = ServerConnection::new(Arc::new(config)).unwrap();
            let mut tls = StreamOwned::new(connection, stream);
            let mut some = [0; 16];
            if tls.read(&mut some).is_ok() {
                tls.write_all(b"HTTP/1.1 204 ok\r\n\r\n").unwrap();
            }
        });
        let request = Request {
            id: 1,
            open: 0,
            source: "198.51.100.1:1".parse().unwrap(),
            tls: Some("a.test".to_owned()),
            method: "GET".to_owned(),
            target: "/".to_owned(),
            host: None,
            fields: Vec::new(),
            body: Vec::new(),
            wanted: 200,
            odd: None,
        };
        let outcome = Clients::new().unwrap().ask(&request, to);
        serving.join().unwrap();
        outcome
    }

    #[test]
    fn a_certificate_without_its_key_is_none() {
        let own = asked(0, 0);
        assert!(matches!(own.got, Got::Answer(_)) && own.certificate.is_some(), "{own:?}");
        let stolen = asked(0, 1);
        assert!(stolen.got == Got::Closed && stolen.certificate.is_none(), "{stolen:?}");
    }
}
