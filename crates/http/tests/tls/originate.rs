//! TLS to endpoints.

use crate::support::{Authority, DAY, Dir, Issued, Key, LIMIT, Server, live};
use eclusa_http::tls::failure::{Failure, Who, Why};
use eclusa_http::tls::files::HostFiles;
use eclusa_http::tls::originate::{Agreed, EndpointTls, Originator, Settings, Trust, read_failure};
use eclusa_http::tls::terminate::{self, Clients, Terminator};
use eclusa_http::tls::tickets::Tickets;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn endpoint(dir: &Dir, shown: &Issued, clients: Clients) -> Server {
    let settings =
        terminate::Settings { alpn: vec!["http/1.1".into()], clients, ..Default::default() };
    let tickets = Tickets::random(Instant::now());
    Server::start(Terminator::new(&HostFiles, &settings, live(dir, shown), &tickets).unwrap())
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// A handshake, and an echo.
fn visit(tls: &EndpointTls, address: SocketAddr) -> Result<Agreed, Failure> {
    visit_within(tls, address, LIMIT)
}

fn visit_within(
    tls: &EndpointTls,
    address: SocketAddr,
    limit: Duration,
) -> Result<Agreed, Failure> {
    run(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let deadline = tokio::time::Instant::now() + limit;
        let (mut stream, agreed) = tls.connect(stream, deadline).await?;
        let mut got = [0; 4];
        let echo = async {
            stream.write_all(b"ping").await?;
            stream.flush().await?;
            stream.read_exact(&mut got).await
        };
        match echo.await {
            Ok(_) => assert_eq!(&got, b"ping"),
            Err(error) => return Err(read_failure(&error).expect("TLS is what fails")),
        }
        stream.shutdown().await.unwrap();
        Ok(agreed)
    })
}

fn local() -> std::net::IpAddr {
    Ipv4Addr::LOCALHOST.into()
}

fn bundle(dir: &Dir, ca: &Authority) -> Trust {
    Trust::Bundle(dir.write("bundle.pem", &ca.pem))
}

#[test]
fn the_endpoint_is_verified_by_its_name_or_address() {
    let (dir, ca) = (Dir::new("verify"), Authority::new("ca"));
    let shown = ca.issue(&["app.internal", "127.0.0.1"], Key::Ecdsa);
    let server = endpoint(&dir, &shown, Clients::Unasked);
    let settings = Settings { trust: bundle(&dir, &ca), ..Settings::default() };
    let pool = Originator::new(&HostFiles, &settings).unwrap();
    // By address: checked, not sent.
    let agreed = visit(&pool.endpoint(None, local()), server.address).unwrap();
    assert!(!agreed.resumed);
    assert_eq!(server.next().unwrap().server_name, None);
    visit(&pool.endpoint(Some("app.internal"), local()), server.address).unwrap();
    assert_eq!(server.next().unwrap().server_name.as_deref(), Some("app.internal"));
    let words = |tls: &EndpointTls| {
        let failure = visit(tls, server.address).unwrap_err();
        assert_eq!((failure.who, failure.why), (Who::Endpoint, Why::Certificate), "{failure}");
        assert!(server.next().is_err());
        failure.to_string()
    };
    let other = words(&pool.endpoint(Some("other.internal"), local()));
    assert!(
        other.starts_with(
            "certificate of the endpoint: it does not hold for other.internal, but for "
        )
    );
    // The pool's name goes before the endpoint's.
    let named = Settings { server_name: Some("other.internal".into()), ..settings.clone() };
    let named = Originator::new(&HostFiles, &named).unwrap();
    assert!(words(&named.endpoint(Some("app.internal"), local())).contains("other.internal"));
    let stranger = Settings { trust: bundle(&dir, &Authority::new("else")), ..settings.clone() };
    let stranger = Originator::new(&HostFiles, &stranger).unwrap();
    let said = words(&stranger.endpoint(Some("app.internal"), local()));
    assert_eq!(said, "certificate of the endpoint: it is signed by no CA that is believed here");
    // Only who says so takes anybody.
    let anybody = Settings { trust: Trust::Anybody, ..Settings::default() };
    let anybody = Originator::new(&HostFiles, &anybody).unwrap();
    visit(&anybody.endpoint(Some("other.internal"), local()), server.address).unwrap();
    let system = Settings { trust: Trust::System, ..Settings::default() };
    match Originator::new(&HostFiles, &system) {
        Ok(system) => {
            server.next().unwrap();
            let said = words(&system.endpoint(Some("app.internal"), local()));
            assert!(said.contains("no CA that is believed"), "{said}");
        }
        Err(mistake) => assert!(mistake.to_string().contains("no list of CAs"), "{mistake}"),
    }
}

#[test]
fn an_expired_endpoint_is_told() {
    let (dir, ca) = (Dir::new("endpoint-expired"), Authority::new("ca"));
    let shown = ca.issue_with(&["app.internal"], &Key::Ecdsa.pair(), |params| {
        params.not_before = (SystemTime::now() - 2 * DAY).into();
        params.not_after = (SystemTime::now() - DAY).into();
    });
    let server = endpoint(&dir, &shown, Clients::Unasked);
    let settings = Settings { trust: bundle(&dir, &ca), ..Settings::default() };
    let pool = Originator::new(&HostFiles, &settings).unwrap();
    let failure = visit(&pool.endpoint(Some("app.internal"), local()), server.address).unwrap_err();
    assert_eq!(failure.to_string(), "certificate of the endpoint: it has expired");
}

#[test]
fn sessions_are_kept_for_each_endpoint() {
    let (dir, ca) = (Dir::new("endpoint-sessions"), Authority::new("ca"));
    let shown = ca.issue(&["app.internal"], Key::Ecdsa);
    let servers = [(); 2].map(|()| endpoint(&dir, &shown, Clients::Unasked));
    let settings = Settings {
        trust: bundle(&dir, &ca),
        server_name: Some("app.internal".into()),
        alpn: vec!["http/1.1".into()],
        ..Settings::default()
    };
    let pool = Originator::new(&HostFiles, &settings).unwrap();
    let endpoints = [(); 2].map(|()| pool.endpoint(None, local()));
    for turn in 0..3 {
        for (tls, server) in endpoints.iter().zip(&servers) {
            let agreed = visit(tls, server.address).unwrap();
            assert_eq!(agreed.resumed, turn > 0, "turn {turn}");
            assert_eq!(agreed.alpn.as_deref(), Some(&b"http/1.1"[..]));
            assert_eq!(server.next().unwrap().resumed, turn > 0);
        }
    }
}

#[test]
fn a_certificate_of_ours_is_shown() {
    let (dir, ca) = (Dir::new("endpoint-client"), Authority::new("ca"));
    let shown = ca.issue(&["app.internal"], Key::Ecdsa);
    let required = Clients::Required { ca: dir.write("clients.pem", &ca.pem) };
    let server = endpoint(&dir, &shown, required);
    let ours = ca.issue(&["edge.test"], Key::Ecdsa);
    let (chain, key) = (dir.write("our.pem", &ours.pem), dir.write("our.key", &ours.key));
    let both = dir.write("both.pem", ours.both());
    let settings = |client| Settings { trust: bundle(&dir, &ca), client, ..Settings::default() };
    for client in [(chain.clone(), key), (both.clone(), both)] {
        let pool = Originator::new(&HostFiles, &settings(Some(client))).unwrap();
        visit(&pool.endpoint(Some("app.internal"), local()), server.address).unwrap();
        let identity = server.next().unwrap().identity.unwrap();
        assert_eq!(identity.dns_names, ["edge.test".into()]);
    }
    let pool = Originator::new(&HostFiles, &settings(None)).unwrap();
    let failure = visit(&pool.endpoint(Some("app.internal"), local()), server.address).unwrap_err();
    let words =
        "endpoint ended the TLS handshake: it wants a certificate (alert CertificateRequired)";
    assert_eq!(failure.to_string(), words);
    let other = dir.write("other.key", Key::Ecdsa.pair().serialize_pem());
    let mistake = Originator::new(&HostFiles, &settings(Some((chain, other)))).unwrap_err();
    let said = mistake.to_string();
    assert!(said.contains("other.key: the key does not fit the certificate"), "{said}");
}

#[test]
fn an_endpoint_may_not_speak_tls_or_say_nothing() {
    let (dir, ca) = (Dir::new("endpoint-plain"), Authority::new("ca"));
    let settings = Settings { trust: bundle(&dir, &ca), ..Settings::default() };
    let tls = Originator::new(&HostFiles, &settings).unwrap().endpoint(Some("a.test"), local());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let plain = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; 64];
        stream.read_exact(&mut hello).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        drop(stream);
        listener
    });
    let failure = visit(&tls, address).unwrap_err();
    assert_eq!((failure.who, failure.why), (Who::Endpoint, Why::NotTls));
    assert_eq!(failure.to_string(), "endpoint does not speak TLS");
    let _silent = plain.join().unwrap();
    let failure = visit_within(&tls, address, Duration::from_millis(100)).unwrap_err();
    assert_eq!((failure.who, failure.why), (Who::Endpoint, Why::Deadline));
    let named = Settings { server_name: Some("not a name".into()), ..settings };
    let said = Originator::new(&HostFiles, &named).unwrap_err().to_string();
    let words = "server_name: the server name \"not a name\" is neither a host name nor an address: \
                 write it as in `shop.test`";
    assert_eq!(said.replace("shop.example.com", "shop.test"), words);
}
