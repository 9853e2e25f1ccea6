//! Authorities, certificates, files of a test, a server on the product's code, and a client.

use eclusa_http::tls::accept::{Handshake, accept};
use eclusa_http::tls::failure::Failure;
use eclusa_http::tls::files::HostFiles;
use eclusa_http::tls::gate::Gate;
use eclusa_http::tls::store::{Live, Settings, Store};
use eclusa_http::tls::terminate::Terminator;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256,
};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub const LIMIT: Duration = Duration::from_secs(10);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// A directory that goes with the test.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new(label: &str) -> Self {
        let path = std::env::temp_dir().join(format!("eclusa-tls-{}-{label}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, with the directories above it.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Clone, Copy)]
pub enum Key {
    Ecdsa,
    Ed25519,
    Rsa,
}

impl Key {
    pub fn pair(self) -> KeyPair {
        let algorithm = match self {
            Self::Ecdsa => &PKCS_ECDSA_P256_SHA256,
            Self::Ed25519 => &PKCS_ED25519,
            Self::Rsa => &PKCS_RSA_SHA256,
        };
        KeyPair::generate_for(algorithm).unwrap()
    }
}

pub struct Authority {
    pub pem: String,
    pub der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Issued {
    pub pem: String,
    pub key: String,
}

impl Issued {
    pub fn both(&self) -> String {
        format!("{}{}", self.pem, self.key)
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let (params, key) = (ca_params(name), Key::Ecdsa.pair());
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { pem, der, issuer: Issuer::new(params, key) }
    }

    pub fn below(&self, name: &str) -> Self {
        let (params, key) = (ca_params(name), Key::Ecdsa.pair());
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { pem, der, issuer: Issuer::new(params, key) }
    }

    pub fn issue(&self, names: &[&str], key: Key) -> Issued {
        self.issue_with(names, &key.pair(), |_| {})
    }

    pub fn issue_with(
        &self,
        names: &[&str],
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let common = names.first().map_or("nobody", String::as_str);
        params.distinguished_name.push(DnType::CommonName, common);
        params.not_before = (SystemTime::now() - DAY).into();
        params.not_after = (SystemTime::now() + 90 * DAY).into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let certificate = params.signed_by(key, &self.issuer).unwrap();
        Issued { pem: certificate.pem(), key: key.serialize_pem() }
    }

    /// A client that believes this authority, and nobody else.
    pub fn client(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(8);
        config
    }

    /// The same, with a certificate.
    pub fn client_with(&self, shown: &Issued) -> ClientConfig {
        let mut config = self.client();
        let chain = CertificateDer::pem_slice_iter(shown.pem.as_bytes()).map(Result::unwrap);
        let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
        let certified =
            rustls::sign::CertifiedKey::from_der(chain.collect(), key, &provider()).unwrap();
        let resolver = rustls::sign::SingleCertAndKey::from(certified);
        config.client_auth_cert_resolver = Arc::new(resolver);
        config
    }
}

pub fn provider() -> rustls::crypto::CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

pub fn der(issued: &Issued) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(issued.pem.as_bytes()).unwrap()
}

pub fn settings(certificates: &[&Path]) -> Settings {
    let certificates = certificates.iter().map(|path| (*path).to_owned()).collect();
    Settings { certificates, ..Settings::default() }
}

pub fn load(settings: &Settings) -> Store {
    let loaded = Store::load(&HostFiles, settings, None, SystemTime::now());
    loaded.unwrap_or_else(|mistakes| panic!("{mistakes:?}")).store
}

/// One certificate for all.
pub fn live(dir: &Dir, issued: &Issued) -> Live {
    load(&settings(&[&dir.write("one.pem", issued.both())])).live()
}

/// A server that shakes hands by the product's code, says `ok` to a request and sends back what
/// else it is told.
pub struct Server {
    pub address: SocketAddr,
    pub seen: Receiver<Result<Handshake, Failure>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub fn start(terminator: Terminator) -> Self {
        Self::start_after(terminator, 0, LIMIT)
    }

    /// `first`: so many bytes are read before the handshake; `within`: its limit.
    pub fn start_after(terminator: Terminator, first: usize, within: Duration) -> Self {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let (tell, seen) = channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(socket).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (terminator, tell) = (terminator.clone(), tell.clone());
                let told = move |result| drop(tell.send(result));
                let served = Box::pin(serve(terminator, stream, first, within, told));
                tokio::task::spawn_local(served);
            }
        };
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, async {
                tokio::select! { () = serve => {}, _ = stopped => {} }
            });
        });
        Self { address, seen, stop: Some(stop), thread: Some(thread) }
    }

    /// What became of the next handshake.
    pub fn next(&self) -> Result<Handshake, Failure> {
        self.seen.recv_timeout(LIMIT).expect("a handshake that ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        if !std::thread::panicking() {
            assert!(ended.is_some_and(|ended| ended.is_ok()), "the server has panicked");
        }
    }
}

async fn serve(
    terminator: Terminator,
    mut stream: tokio::net::TcpStream,
    first: usize,
    within: Duration,
    tell: impl FnOnce(Result<Handshake, Failure>),
) {
    let mut read = vec![0; first];
    if stream.read_exact(&mut read).await.is_err() {
        return;
    }
    let deadline = tokio::time::Instant::now() + within;
    let gate = Gate::default();
    let turn = gate.turn(IpAddr::from([127, 0, 0, 1]).into(), 16);
    let mut stream = match accept(&terminator, stream, &read, turn, deadline).await {
        Ok((stream, handshake)) => {
            tell(Ok(handshake));
            stream
        }
        Err(failure) => return tell(Err(failure)),
    };
    let mut buffer = [0; 4096];
    while let Ok(got @ 1..) = stream.read(&mut buffer).await {
        let answer: &[u8] = match buffer[..got].starts_with(b"GET ") {
            true => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
            false => &buffer[..got],
        };
        if stream.write_all(answer).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

/// What a client saw of a session that worked.
#[derive(Debug)]
pub struct Visit {
    pub certificate: Option<CertificateDer<'static>>,
    pub resumed: bool,
    pub alpn: Option<Vec<u8>>,
}

/// A handshake, four bytes there and back, and a proper end.
pub fn visit(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> io::Result<Visit> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(config.clone(), name).unwrap();
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(LIMIT))?;
    let mut stream = StreamOwned::new(connection, socket);
    stream.write_all(b"ping")?;
    stream.flush()?;
    let mut got = [0; 4];
    stream.read_exact(&mut got)?;
    assert_eq!(&got, b"ping");
    stream.conn.send_close_notify();
    stream.flush()?;
    let certificate = stream.conn.peer_certificates().map(|chain| chain[0].clone().into_owned());
    let resumed = stream.conn.handshake_kind() == Some(HandshakeKind::Resumed);
    Ok(Visit { certificate, resumed, alpn: stream.conn.alpn_protocol().map(<[u8]>::to_vec) })
}

/// Why rustls's client has failed.
pub fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
