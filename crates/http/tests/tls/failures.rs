//! Handshakes that come to nothing: who and why, in words.

use crate::support::{Authority, Dir, Key, LIMIT, Server, live, load, provider, settings, visit};
use eclusa_http::tls::failure::{Failure, Who, Why};
use eclusa_http::tls::files::HostFiles;
use eclusa_http::tls::store;
use eclusa_http::tls::terminate::{MinVersion, Settings, Terminator};
use eclusa_http::tls::tickets::Tickets;
use eclusa_testkit::ca::client_hello;
use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn terminator(dir: &Dir, ca: &Authority, settings: &Settings) -> Terminator {
    let live = live(dir, &ca.issue(&["shop.test"], Key::Ecdsa));
    Terminator::new(&HostFiles, settings, live, &Tickets::random(Instant::now())).unwrap()
}

/// What the server makes of these bytes, and what it answers.
fn says(server: &Server, bytes: &[u8], end: Option<Shutdown>) -> (Failure, Vec<u8>) {
    let mut client = TcpStream::connect(server.address).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.write_all(bytes).unwrap();
    if let Some(how) = end {
        client.shutdown(how).unwrap();
    }
    let mut answer = Vec::new();
    // It may be a reset.
    let _ = client.read_to_end(&mut answer);
    (server.next().unwrap_err(), answer)
}

#[test]
fn what_is_no_handshake_is_told_from_what_is_a_wrong_one() {
    let (dir, ca) = (Dir::new("not-tls"), Authority::new("ca"));
    let server = Server::start(terminator(&dir, &ca, &Settings::default()));
    let hello = client_hello("shop.test", &[]);
    let (failure, answer) = says(&server, b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n", None);
    assert_eq!((failure.who, failure.why), (Who::Client, Why::NotTls));
    assert_eq!(failure.to_string(), "client does not speak TLS");
    assert_eq!(answer[0], 21, "an alert");
    let mut wrong = hello.clone();
    wrong[43] = 0xff; // The length of the session's identifier, of which 32 is the most.
    let (failure, answer) = says(&server, &wrong, Some(Shutdown::Write));
    assert_eq!((failure.who, failure.why), (Who::Client, Why::Malformed), "{failure}");
    assert_eq!(answer[0], 21, "an alert");
    for bytes in [&hello[..0], &hello[..1], &hello[..40], &hello] {
        let (failure, _) = says(&server, bytes, Some(Shutdown::Write));
        assert_eq!((failure.who, failure.why), (Who::Client, Why::Closed), "{}", bytes.len());
        assert_eq!(failure.to_string(), "client closed within the TLS handshake");
    }
    let (failure, _) = says(&server, &[&hello[..], &[21, 3, 3, 0, 2, 2, 48]].concat(), None);
    assert_eq!((failure.who, failure.why), (Who::Client, Why::Alert));
    let words =
        "client ended the TLS handshake: it knows no CA of the certificate (alert UnknownCA)";
    assert_eq!(failure.to_string(), words);
}

#[test]
fn a_deadline_ends_it() {
    let (dir, ca) = (Dir::new("deadline"), Authority::new("ca"));
    let within = Duration::from_millis(100);
    let server = Server::start_after(terminator(&dir, &ca, &Settings::default()), 0, within);
    let hello = client_hello("shop.test", &[]);
    for bytes in [&hello[..0], &hello[..100], &hello] {
        let began = Instant::now();
        let (failure, _) = says(&server, bytes, None);
        assert_eq!((failure.who, failure.why), (Who::Client, Why::Deadline), "{}", bytes.len());
        assert!(failure.to_string().starts_with("TLS handshake not complete after "), "{failure}");
        assert!(began.elapsed() >= within);
    }
}

#[test]
fn it_does_not_matter_how_much_was_read_before() {
    let (dir, ca) = (Dir::new("first-bytes"), Authority::new("ca"));
    let client = Arc::new(ca.client());
    let whole = client_hello("shop.test", &[]).len();
    for first in [0, 1, 5, 6, 50, 150, whole.min(200)] {
        let terminator = terminator(&dir, &ca, &Settings::default());
        let server = Server::start_after(terminator, first, LIMIT);
        visit(server.address, &client, "shop.test").unwrap();
        let handshake = server.next().unwrap();
        assert_eq!(handshake.server_name.as_deref(), Some("shop.test"));
        assert_eq!(handshake.version_name(), "TLSv1.3");
        assert!(handshake.cipher_name().starts_with("TLS_AES_"), "{}", handshake.cipher_name());
    }
    // The hello and what follows it, in one piece, read before.
    let server = Server::start_after(terminator(&dir, &ca, &Settings::default()), whole + 7, LIMIT);
    let hello = [&client_hello("shop.test", &[])[..], &[21, 3, 3, 0, 2, 2, 48]].concat();
    assert_eq!(says(&server, &hello, None).0.why, Why::Alert);
}

#[test]
fn a_hello_may_come_byte_by_byte() {
    let (dir, ca) = (Dir::new("byte-by-byte"), Authority::new("ca"));
    let server = Server::start(terminator(&dir, &ca, &Settings::default()));
    let mut client = TcpStream::connect(server.address).unwrap();
    client.set_nodelay(true).unwrap();
    for byte in client_hello("shop.test", &[]) {
        client.write_all(&[byte]).unwrap();
    }
    let mut record = [0; 5];
    client.read_exact(&mut record).unwrap();
    assert_eq!(record[0], 22, "a handshake record, no alert");
}

#[test]
fn what_is_not_in_common_is_named() {
    let (dir, ca) = (Dir::new("common"), Authority::new("ca"));
    let client = |change: &dyn Fn(&mut rustls::crypto::CryptoProvider), version| {
        let mut provider = provider();
        change(&mut provider);
        let mut roots = RootCertStore::empty();
        roots.add(ca.der.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config
    };
    let strict = Settings {
        min_version: MinVersion::Tls13,
        alpn: vec!["h2".into(), "http/1.1".into()],
        ..Settings::default()
    };
    let server = Server::start(terminator(&dir, &ca, &strict));
    let lax = Server::start(terminator(&dir, &ca, &Settings::default()));
    let words = |server: &Server, client: ClientConfig| {
        assert!(visit(server.address, &Arc::new(client), "shop.test").is_err());
        let failure = server.next().unwrap_err();
        assert_eq!((failure.who, failure.why), (Who::Client, Why::Incompatible), "{failure}");
        failure.to_string()
    };
    let all = |_: &mut _| {};
    let old = words(&server, client(&all, &TLS12));
    assert_eq!(old, "nothing in common with the client: no TLS version");
    let mut other = client(&all, &TLS13);
    other.alpn_protocols = vec![b"ftp".to_vec()];
    let other = words(&server, other);
    assert_eq!(other, "nothing in common with the client: no application protocol (ALPN)");
    // The certificate is ECDSA's, and in TLS 1.2 the cipher suite says so.
    let rsa = client(
        &|provider| {
            let is_rsa = |suite: rustls::CipherSuite| format!("{suite:?}").contains("ECDHE_RSA");
            provider.cipher_suites.retain(|suite| is_rsa(suite.suite()));
        },
        &TLS12,
    );
    let rsa = words(&lax, rsa);
    assert!(rsa.starts_with("nothing in common with the client: no "), "{rsa}");
}

#[test]
fn the_best_protocol_in_common_is_taken() {
    let (dir, ca) = (Dir::new("alpn"), Authority::new("ca"));
    let settings = Settings { alpn: vec!["h2".into(), "http/1.1".into()], ..Settings::default() };
    let server = Server::start(terminator(&dir, &ca, &settings));
    let deaf = Server::start(terminator(&dir, &ca, &Settings::default()));
    let table: [(&[&str], Option<&str>); 4] = [
        (&["http/1.1", "h2"], Some("h2")),
        (&["ftp", "http/1.1"], Some("http/1.1")),
        (&["h2"], Some("h2")),
        (&[], None),
    ];
    for (offered, expected) in table {
        let mut client = ca.client();
        client.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let client = Arc::new(client);
        let seen = visit(server.address, &client, "shop.test").unwrap().alpn;
        let expected = expected.map(|name| name.as_bytes().to_vec());
        assert_eq!(seen, expected, "{offered:?}");
        assert_eq!(server.next().unwrap().alpn.map(Vec::from), expected);
        assert_eq!(visit(deaf.address, &client, "shop.test").unwrap().alpn, None);
    }
}

#[test]
fn a_client_that_does_not_trust_us_says_so() {
    let (dir, ca) = (Dir::new("mistrust"), Authority::new("ca"));
    let server = Server::start(terminator(&dir, &ca, &Settings::default()));
    let stranger = Arc::new(Authority::new("other").client());
    assert!(visit(server.address, &stranger, "shop.test").is_err());
    let failure = server.next().unwrap_err();
    assert_eq!((failure.who, failure.why), (Who::Client, Why::Alert));
    let words =
        "client ended the TLS handshake: it knows no CA of the certificate (alert UnknownCA)";
    assert_eq!(failure.to_string(), words);
}

#[test]
fn the_alert_arrives_whatever_the_client_is_still_sending() {
    let (dir, ca) = (Dir::new("parting"), Authority::new("ca"));
    let certificates = store::Settings { strict: true, ..settings(&[&dir.at("one.pem")]) };
    drop(live(&dir, &ca.issue(&["shop.test"], Key::Ecdsa)));
    let (live, tickets) = (load(&certificates).live(), Tickets::random(Instant::now()));
    let terminator = Terminator::new(&HostFiles, &Settings::default(), live, &tickets).unwrap();
    let server = Server::start(terminator);
    for more in [0, 100, 8 * 1024] {
        let mut client = TcpStream::connect(server.address).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.write_all(&client_hello("other.test", &[])).unwrap();
        client.write_all(&vec![23; more]).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("an end, no reset");
        assert_eq!(answer, [21, 3, 3, 0, 2, 2, 112], "and {more} bytes more");
        assert_eq!(server.next().unwrap_err().why, Why::UnknownName);
    }
}
