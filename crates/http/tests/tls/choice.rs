//! Which certificate a client sees.

use crate::support::{Authority, Dir, Issued, Key, Server, der, load, provider, settings, visit};
use crate::support::{live, tls_error};
use eclusa_http::tls::files::HostFiles;
use eclusa_http::tls::store::Settings;
use eclusa_http::tls::terminate::{self, Terminator};
use eclusa_http::tls::tickets::Tickets;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, Error, NamedGroup, SignatureScheme,
    SupportedProtocolVersion,
};
use std::sync::Arc;
use std::time::Instant;

/// Takes any certificate, and understands some signatures.
#[derive(Debug)]
struct Understands(Vec<SignatureScheme>);

impl ServerCertVerifier for Understands {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

const ECDSA: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;
const RSA: SignatureScheme = SignatureScheme::RSA_PSS_SHA256;
const ED25519: SignatureScheme = SignatureScheme::ED25519;

fn client(
    understands: &[SignatureScheme],
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider().into())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Understands(understands.to_vec())))
        .with_no_client_auth();
    Arc::new(config)
}

fn server(settings: &Settings) -> Server {
    let tickets = Tickets::random(Instant::now());
    let offer = terminate::Settings::default();
    Server::start(Terminator::new(&HostFiles, &offer, load(settings).live(), &tickets).unwrap())
}

/// The number of the certificate that a client sees, or the alert that it gets.
fn sees(
    server: &Server,
    client: &Arc<ClientConfig>,
    name: &str,
    all: &[&Issued],
) -> Result<usize, AlertDescription> {
    match visit(server.address, client, name) {
        Ok(visit) => {
            let seen = visit.certificate.unwrap();
            Ok(all.iter().position(|issued| der(issued) == seen).expect("one of ours"))
        }
        Err(error) => match tls_error(&error) {
            Some(Error::AlertReceived(alert)) => Err(*alert),
            _ => panic!("{name}: {error}"),
        },
    }
}

#[test]
fn the_name_decides() {
    let (dir, ca) = (Dir::new("names"), Authority::new("ca"));
    let first = ca.issue(&["first.test", "192.0.2.7"], Key::Ecdsa);
    let exact = ca.issue(&["shop.test", "b.wild.test"], Key::Ecdsa);
    let wild = ca.issue(&["*.wild.test"], Key::Ecdsa);
    let all = [&first, &exact, &wild];
    let paths = ["a.pem", "b.pem", "c.pem"];
    for (path, issued) in paths.iter().zip(all) {
        dir.write(path, issued.both());
    }
    let lax = settings(&[&dir.at("")]);
    let strict = Settings { strict: true, ..lax.clone() };
    let with_default =
        |settings: &Settings| Settings { default: Some("SHOP.test".into()), ..settings.clone() };
    const REFUSED: Result<usize, AlertDescription> = Err(AlertDescription::UnrecognisedName);
    // An address is never sent as a server name.
    let table = [
        (&lax, "shop.test", Ok(1)),
        (&lax, "a.wild.test", Ok(2)),
        (&lax, "b.wild.test", Ok(1)),
        (&lax, "a.b.wild.test", Ok(0)),
        (&lax, "wild.test", Ok(0)),
        (&lax, "other.test", Ok(0)),
        (&lax, "127.0.0.1", Ok(0)),
        (&with_default(&lax), "other.test", Ok(1)),
        (&with_default(&lax), "127.0.0.1", Ok(1)),
        (&with_default(&lax), "first.test", Ok(0)),
        (&strict, "first.test", Ok(0)),
        (&strict, "a.wild.test", Ok(2)),
        (&strict, "other.test", REFUSED),
        (&strict, "a.b.wild.test", REFUSED),
        (&strict, "127.0.0.1", REFUSED),
        (&with_default(&strict), "other.test", REFUSED),
        (&with_default(&strict), "127.0.0.1", Ok(1)),
    ];
    for (settings, name, expected) in table {
        let server = server(settings);
        for version in [&TLS12, &TLS13] {
            let client = client(&[ECDSA], version);
            let seen = sees(&server, &client, name, &all);
            assert_eq!(seen, expected, "{name} {version:?} of {settings:?}");
            match (expected, server.next()) {
                (Ok(index), Ok(handshake)) => {
                    let shown = handshake.certificate;
                    assert_eq!(shown.file(), dir.at(paths[index]), "{name}");
                    let names = [("shop.test", 1), ("x.wild.test", 2), ("192.0.2.7", 0)];
                    for (host, of) in names {
                        assert_eq!(shown.fits(host), of == index, "{host} and {index}");
                    }
                }
                (Err(_), Err(failure)) => {
                    let words = match name {
                        "127.0.0.1" => "client named no host, and there is no default certificate",
                        name => &format!("client asked for {name}, which has no certificate here"),
                    };
                    assert_eq!(failure.to_string(), words);
                }
                (expected, got) => panic!("{name}: {expected:?}, {got:?}"),
            }
        }
    }
}

#[test]
fn the_client_s_signatures_decide() {
    let (dir, ca) = (Dir::new("types"), Authority::new("ca"));
    let ecdsa = ca.issue(&["shop.test", "both.test"], Key::Ecdsa);
    let rsa = ca.issue(&["shop.test", "rsa.test"], Key::Rsa);
    let ed = ca.issue(&["shop.test"], Key::Ed25519);
    let all = [&ecdsa, &rsa, &ed];
    // HAProxy's bundle of two, and a pair.
    dir.write("shop.pem.ecdsa", ecdsa.both());
    dir.write("shop.pem.rsa", rsa.both());
    dir.write("ed.crt", &ed.pem);
    dir.write("ed.key", &ed.key);
    let server = server(&settings(&[&dir.at("")]));
    const NOTHING: Result<usize, AlertDescription> = Err(AlertDescription::HandshakeFailure);
    let table: [(&str, &[SignatureScheme], Result<usize, AlertDescription>); 9] = [
        ("shop.test", &[RSA, ED25519, ECDSA], Ok(0)),
        ("shop.test", &[RSA, ED25519], Ok(2)),
        ("shop.test", &[RSA], Ok(1)),
        ("shop.test", &[ED25519], Ok(2)),
        ("rsa.test", &[ECDSA, RSA], Ok(1)),
        ("rsa.test", &[ECDSA], NOTHING),
        ("both.test", &[RSA], NOTHING),
        ("other.test", &[RSA, ECDSA], Ok(0)),
        ("other.test", &[RSA], Ok(1)),
    ];
    for (name, understands, expected) in table {
        for version in [&TLS12, &TLS13] {
            let client = client(understands, version);
            let seen = sees(&server, &client, name, &all);
            assert_eq!(seen, expected, "{name} {understands:?} {version:?}");
        }
    }
}

#[test]
fn the_post_quantum_exchange_is_there_for_who_wants_it() {
    let (dir, ca) = (Dir::new("hybrid"), Authority::new("ca"));
    let issued = ca.issue(&["shop.test"], Key::Ecdsa);
    let tickets = Tickets::random(Instant::now());
    let offer = terminate::Settings::default();
    let terminator = Terminator::new(&HostFiles, &offer, live(&dir, &issued), &tickets).unwrap();
    let server = Server::start(terminator);
    for group in [NamedGroup::X25519MLKEM768, NamedGroup::X25519, NamedGroup::secp256r1] {
        let mut provider = provider();
        provider.kx_groups.retain(|known| known.name() == group);
        let mut config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates({
                let mut roots = rustls::RootCertStore::empty();
                roots.add(ca.der.clone()).unwrap();
                roots
            })
            .with_no_client_auth();
        config.alpn_protocols = Vec::new();
        visit(server.address, &Arc::new(config), "shop.test").unwrap();
        assert_eq!(server.next().unwrap().group, Some(group));
    }
}

/// Handshakes take turns on a worker; each is told its own certificate, also after a retry of the
/// hello.
#[test]
fn handshakes_at_once_do_not_mix_up_their_certificates() {
    let (dir, ca) = (Dir::new("at-once"), Authority::new("ca"));
    let names = ["a.test", "b.test", "c.test", "d.test"];
    for name in names {
        dir.write(&format!("{name}.pem"), ca.issue(&[name], Key::Ecdsa).both());
    }
    let server = server(&settings(&[&dir.at("")]));
    let address = server.address;
    std::thread::scope(|scope| {
        for (index, name) in names.iter().enumerate() {
            let mut provider = provider();
            if index.is_multiple_of(2) {
                // A share is sent for the first group alone, which nobody here knows.
                provider.kx_groups = vec![
                    rustls::crypto::aws_lc_rs::kx_group::MLKEM1024,
                    rustls::crypto::aws_lc_rs::kx_group::SECP384R1,
                ];
            }
            let config = ClientConfig::builder_with_provider(provider.into())
                .with_safe_default_protocol_versions()
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Understands(vec![ECDSA])))
                .with_no_client_auth();
            let mut config = config;
            config.resumption = rustls::client::Resumption::disabled();
            let config = Arc::new(config);
            scope.spawn(move || {
                for _ in 0..25 {
                    visit(address, &config, name).unwrap();
                }
            });
        }
    });
    let mut retried = 0;
    for _ in 0..4 * 25 {
        let handshake = server.next().unwrap();
        let name = handshake.server_name.as_deref().unwrap();
        assert_eq!(handshake.certificate.file(), dir.at(&format!("{name}.pem")));
        assert!(handshake.fits(name) && !handshake.fits("e.test"));
        retried += usize::from(handshake.group == Some(NamedGroup::secp384r1));
    }
    assert_eq!(retried, 2 * 25);
}
