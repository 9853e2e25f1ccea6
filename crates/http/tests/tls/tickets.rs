//! Resumption: across workers, over rotations, between hosts, and where it must not be.

use crate::support::{Authority, Dir, Key, Server, live, provider, visit};
use eclusa_http::tls::failure::Why;
use eclusa_http::tls::files::HostFiles;
use eclusa_http::tls::store::Live;
use eclusa_http::tls::terminate::{Clients, Settings, Terminator};
use eclusa_http::tls::tickets::Tickets;
use eclusa_testkit::wait_until;
use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

fn server(live: &Live, clients: Clients, tickets: &Arc<Tickets>) -> Server {
    let settings = Settings { clients, ..Settings::default() };
    Server::start(Terminator::new(&HostFiles, &settings, live.clone(), tickets).unwrap())
}

fn client(ca: &Authority, version: &'static rustls::SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.der.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(provider().into())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

fn resumes(server: &Server, client: &Arc<ClientConfig>) -> bool {
    let resumed = visit(server.address, client, "shop.test").unwrap().resumed;
    assert_eq!(server.next().unwrap().resumed, resumed, "both sides agree");
    resumed
}

#[test]
fn a_session_is_resumed_on_another_worker_and_over_two_rotations() {
    let (dir, ca) = (Dir::new("workers"), Authority::new("ca"));
    let live = live(&dir, &ca.issue(&["shop.test"], Key::Ecdsa));
    let tickets = Tickets::random(Instant::now());
    let workers = [(); 2].map(|()| server(&live, Clients::Unasked, &tickets));
    for version in [&TLS12, &TLS13] {
        let here = client(&ca, version);
        assert!(!resumes(&workers[0], &here), "{version:?}");
        assert!(resumes(&workers[1], &here), "{version:?}");
        assert!(resumes(&workers[0], &here), "{version:?}");
        tickets.rotate();
        tickets.rotate();
        assert!(resumes(&workers[1], &here), "{version:?} after two rotations");
        for _ in 0..3 {
            tickets.rotate();
        }
        assert!(!resumes(&workers[1], &here), "{version:?} after three");
    }
    let strangers = server(&live, Clients::Unasked, &Tickets::random(Instant::now()));
    let here = client(&ca, &TLS13);
    assert!(!resumes(&workers[0], &here));
    assert!(!resumes(&strangers, &here), "other keys");
}

#[test]
fn a_pair_of_hosts_shares_a_file() {
    let (dir, ca) = (Dir::new("pair"), Authority::new("ca"));
    let live = live(&dir, &ca.issue(&["shop.test"], Key::Ecdsa));
    let line = |byte: u8| data_encoding::BASE64.encode(&[byte; 80]) + "\n";
    let path = dir.write("keys", line(1) + &line(2) + &line(3));
    let now = Instant::now();
    let both = [(); 2].map(|()| Tickets::from_file(&HostFiles, path.clone(), now).unwrap());
    let hosts = [0, 1].map(|host| server(&live, Clients::Unasked, &both[host]));
    let here = client(&ca, &TLS13);
    assert!(!resumes(&hosts[0], &here));
    assert!(resumes(&hosts[1], &here));
    // One host has the next key already, the other has not: either's tickets are good at both.
    std::fs::write(&path, line(1) + &line(2) + &line(3) + &line(4)).unwrap();
    assert_eq!(both[0].tend(&HostFiles, now), Ok(true));
    assert_eq!(both[0].tend(&HostFiles, now), Ok(false), "once");
    for host in [0, 1, 0, 0, 1, 1] {
        assert!(resumes(&hosts[host], &here), "host {host}");
    }
    // What is wrong is told once, and the keys stay.
    std::fs::write(&path, "nonsense!").unwrap();
    let mistake = both[0].tend(&HostFiles, now).unwrap_err().to_string();
    assert!(mistake.contains("line 1: this is no base64"), "{mistake}");
    assert_eq!(both[0].tend(&HostFiles, now), Ok(false));
    std::fs::remove_file(&path).unwrap();
    let mistake = both[0].tend(&HostFiles, now).unwrap_err().to_string();
    assert!(mistake.contains("there is no such file"), "{mistake}");
    assert!(resumes(&hosts[0], &here));
    std::fs::write(&path, line(7)).unwrap();
    assert_eq!(both[0].tend(&HostFiles, now), Ok(true));
    assert!(!resumes(&hosts[0], &here), "none of the keys is left");
    both[0].rotate();
    assert!(resumes(&hosts[0], &here), "keys from a file do not change by themselves");
}

#[test]
fn a_ticket_is_no_certificate() {
    let (dir, ca) = (Dir::new("bypass"), Authority::new("ca"));
    let live = live(&dir, &ca.issue(&["shop.test"], Key::Ecdsa));
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let (ours_file, others_file) = (dir.write("ours", &ours.pem), dir.write("others", &others.pem));
    let tickets = Tickets::random(Instant::now());
    let unasked = server(&live, Clients::Unasked, &tickets);
    let optional = server(&live, Clients::Optional { ca: ours_file.clone() }, &tickets);
    let required = server(&live, Clients::Required { ca: ours_file.clone() }, &tickets);
    let twin = server(&live, Clients::Required { ca: ours_file }, &tickets);
    let foreign = server(&live, Clients::Required { ca: others_file }, &tickets);
    for version in [&TLS12, &TLS13] {
        let nobody = client(&ca, version);
        for easy in [&unasked, &optional] {
            visit(easy.address, &nobody, "shop.test").unwrap();
            assert_eq!(easy.next().unwrap().identity, None);
            assert!(visit(required.address, &nobody, "shop.test").is_err());
            let failure = required.next().unwrap_err();
            assert_eq!(failure.to_string(), "client showed no certificate");
        }
    }
    let shown = ours.issue(&["worker.test"], Key::Ecdsa);
    let known = Arc::new(ca.client_with(&shown));
    assert!(!resumes(&required, &known));
    assert!(resumes(&twin, &known), "the same is demanded");
    assert!(visit(foreign.address, &known, "shop.test").is_err(), "another CA is believed");
    let failure = foreign.next().unwrap_err();
    let words = "certificate of the client: it is signed by no CA that is believed here";
    assert_eq!((failure.why, failure.to_string().as_str()), (Why::Certificate, words));
}

#[test]
fn a_resumed_client_is_the_same_until_its_certificate_ends() {
    let (dir, ca) = (Dir::new("ends"), Authority::new("ca"));
    let live = live(&dir, &ca.issue(&["shop.test"], Key::Ecdsa));
    let clients = Clients::Required { ca: dir.write("ca", &ca.pem) };
    let server = server(&live, clients, &Tickets::random(Instant::now()));
    let end = SystemTime::now() + Duration::from_secs(3);
    let shown =
        ca.issue_with(&["worker.test"], &Key::Ecdsa.pair(), |params| params.not_after = end.into());
    let client = Arc::new(ca.client_with(&shown));
    visit(server.address, &client, "shop.test").unwrap();
    let first = server.next().unwrap();
    visit(server.address, &client, "shop.test").unwrap();
    let second = server.next().unwrap();
    assert!(!first.resumed && second.resumed);
    assert_eq!(first.identity, second.identity);
    assert_eq!(first.identity.unwrap().common_name.as_deref(), Some("worker.test"));
    wait_until(Duration::from_secs(10), "its end", || SystemTime::now() > end);
    assert!(visit(server.address, &client, "shop.test").is_err());
    let words = "certificate of the client: it has expired since the session began";
    assert_eq!(server.next().unwrap_err().to_string(), words);
}
