//! What a probe shows of itself (a client certificate, a bearer token), and what it reads of an
//! endpoint's certificate: against a TLS server that demands the one or the other.

use crate::common::probed::{LIMIT, http};
use crate::common::{self, Balancer};
use eclusa_config::plan::{HttpProbe, Plan, Pool, Probe, Program, TlsProbe};
use eclusa_policy::verdict::{Check, Reason, Report, Settings, TlsFault, Verdict};
use eclusa_testkit::ca::{Ca, Leaf, LeafFiles};
use eclusa_testkit::wait_until;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// A folder of the test's own.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("eclusa-secrets-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    fn leaf(&self, name: &str, leaf: &Leaf) -> LeafFiles {
        leaf.write(&self.0, name).expect("files")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a server demands, and how it speaks.
struct Server {
    shows: Leaf,
    /// Whose client certificates it takes; `None`: it asks for none.
    clients: Option<Ca>,
    version: &'static SupportedProtocolVersion,
    /// Session tickets that it sends after a handshake with TLS 1.3.
    tickets: usize,
}

impl Server {
    fn config(&self) -> ServerConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[self.version])
            .unwrap();
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(self.shows.pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.shows.key_pem.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.send_tls13_tickets = self.tickets;
        config
    }

    /// Answers each request with what `answer` makes of its head.
    fn start(&self, answer: impl Fn(&str) -> String + Send + Sync + 'static) -> SocketAddr {
        let config = Arc::new(self.config());
        common::serve(move |stream| {
            serve(config.clone(), stream, &answer);
        })
    }
}

fn serve(config: Arc<ServerConfig>, stream: TcpStream, answer: impl Fn(&str) -> String) {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    if converse(&mut stream, answer).is_err() {
        // Closed with something unread it would reset, and take the alert with it.
        let _ = std::io::copy(&mut stream.sock, &mut std::io::sink());
    }
}

fn converse(
    stream: &mut StreamOwned<ServerConnection, TcpStream>,
    answer: impl Fn(&str) -> String,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while stream.read_line(&mut head)? > 0 {
        if head.ends_with("\r\n\r\n") {
            let text = answer(&head);
            stream.get_mut().write_all(text.as_bytes())?;
            head.clear();
        }
    }
    Ok(())
}

fn reply(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn well(_: &str) -> String {
    reply("200 OK", "ok")
}

fn judge(checks: &[Check]) -> Settings {
    let fast = Duration::from_millis(100);
    Settings {
        interval: fast,
        fast_interval: fast,
        checks: checks.to_vec(),
        ..Settings::apiserver()
    }
}

fn https(tls: TlsProbe) -> HttpProbe {
    HttpProbe { checks: vec![(Check::Ready, "/readyz".into())], ..http(Some(&tls)) }
}

fn start(endpoints: &[SocketAddr], probe: Probe, change: impl FnOnce(&mut Plan)) -> Balancer {
    let checks = match probe {
        Probe::Http(_) => [Check::Ready],
        _ => [Check::Connect],
    };
    let judge = judge(&checks);
    Balancer::start(endpoints, |plan| {
        plan.program = Program::Apiserver;
        plan.pools[0] = Arc::new(Pool { probe, judge, ..(*plan.pools[0]).clone() });
        change(plan);
    })
}

fn report(balancer: &Balancer, index: usize) -> Report {
    balancer.engine().status().pools[0].endpoints()[index].report()
}

#[track_caller]
fn wait_for(balancer: &Balancer, index: usize, verdict: Verdict, reason: Reason) {
    let seen = || {
        let report = report(balancer, index);
        (report.verdict, report.reason) == (verdict, reason)
    };
    let waited = eclusa_testkit::wait::try_until(LIMIT, "its verdict", seen);
    assert!(waited.is_ok(), "{:?}, not {verdict:?} for {reason:?}", report(balancer, index));
}

#[test]
fn a_client_certificate_is_shown_and_a_refused_one_is_a_tls_failure() {
    let folder = Folder::new();
    let (ours, foreign) = (Ca::new(), Ca::new());
    let right = folder.leaf("right", &ours.leaf(&["probe"]));
    let wrong = folder.leaf("wrong", &foreign.leaf(&["probe"]));
    let pair = |files: &LeafFiles| Some((files.certificate.clone(), files.key.clone()));
    for (version, tickets) in [(&TLS12, 0), (&TLS13, 2), (&TLS13, 0)] {
        let server = Server {
            shows: ours.leaf(&["kubernetes"]),
            clients: Some(Ca::load(&write(&folder, &ours)).unwrap()),
            version,
            tickets,
        };
        let endpoint = server.start(well);
        let kinds: [fn(TlsProbe) -> Probe; 2] = [Probe::Tls, |tls| Probe::Http(https(tls))];
        for kind in kinds {
            let shown = |files| kind(TlsProbe { client: pair(files), ..TlsProbe::default() });
            let balancer = start(&[endpoint], shown(&right), |_| {});
            wait_for(&balancer, 0, Verdict::Up, Reason::Answers);
            let balancer = start(&[endpoint], shown(&wrong), |_| {});
            wait_for(&balancer, 0, Verdict::Dead, Reason::Tls(TlsFault::Protocol));
            // It goes on being so: no probe takes the end of its own handshake for success.
            let dead = || {
                let endpoints = balancer.engine().status().pools[0].endpoints();
                let results = endpoints[0].results();
                let outcomes: Vec<_> = results.iter().map(|e| e.outcome.to_string()).collect();
                assert!(outcomes.iter().all(|one| one == "tls"), "{version:?} {outcomes:?}");
                results.iter().count() >= 5
            };
            wait_until(LIMIT, "more probes", dead);
        }
    }
}

fn write(folder: &Folder, ca: &Ca) -> PathBuf {
    ca.write(&folder.0).expect("files of a CA");
    folder.0.clone()
}

#[test]
fn an_endpoint_that_begins_to_refuse_the_certificate_is_dead_and_then_well_again() {
    let folder = Folder::new();
    let ca = Ca::new();
    let shown = folder.leaf("probe", &ca.leaf(&["probe"]));
    let server = |clients: Ca| Server {
        shows: ca.leaf(&["kubernetes"]),
        clients: Some(clients),
        version: &TLS13,
        tickets: 1,
    };
    let same = Ca::load(&write(&folder, &ca)).unwrap();
    let configs = [server(same).config(), server(Ca::new()).config()].map(Arc::new);
    let current = Arc::new(Mutex::new(configs[0].clone()));
    let serving = current.clone();
    let endpoint = common::serve(move |stream| {
        let config = serving.lock().unwrap().clone();
        serve(config, stream, well);
    });
    let client = Some((shown.certificate.clone(), shown.key.clone()));
    let probe = Probe::Http(https(TlsProbe { client, ..TlsProbe::default() }));
    // Another one stays, or nobody would believe it.
    let other = server(Ca::load(&folder.0).unwrap()).start(well);
    let balancer = start(&[endpoint, other], probe, |_| {});
    wait_for(&balancer, 0, Verdict::Up, Reason::Answers);
    wait_for(&balancer, 1, Verdict::Up, Reason::Answers);
    *current.lock().unwrap() = configs[1].clone();
    wait_for(&balancer, 0, Verdict::Dead, Reason::Tls(TlsFault::Protocol));
    *current.lock().unwrap() = configs[0].clone();
    wait_for(&balancer, 0, Verdict::Up, Reason::Answers);
}

#[test]
fn a_token_is_sent_and_replaced_in_its_file() {
    const STATUS: &str = r#"{"kind":"Status","code":401}"#;
    let folder = Folder::new();
    let ca = Ca::new();
    let server =
        Server { shows: ca.leaf(&["kubernetes"]), clients: None, version: &TLS13, tickets: 2 };
    let wanted = Arc::new(Mutex::new("one"));
    let (demanded, asked) = (wanted.clone(), Arc::new(AtomicU32::new(0)));
    let counted = asked.clone();
    let endpoint = server.start(move |head| {
        counted.fetch_add(1, Ordering::Relaxed);
        let token = format!("\r\nauthorization: bearer {}\r\n", demanded.lock().unwrap());
        match head.to_lowercase().contains(&token) {
            true => reply("200 OK", "ok"),
            false => reply("401 Unauthorized", STATUS),
        }
    });
    let file = folder.file("token", "wrong\n");
    let tls = TlsProbe {
        server_name: Some("kubernetes".into()),
        ca: Some(folder.file("ca.pem", ca.pem())),
        client: None,
    };
    let probe = Probe::Http(HttpProbe { token_file: Some(file.clone()), ..https(tls) });
    let balancer = start(&[endpoint], probe, |_| {});
    wait_for(&balancer, 0, Verdict::Up, Reason::Blind);
    folder.file("token", "one\n");
    wait_for(&balancer, 0, Verdict::Up, Reason::Answers);
    // It answered 2xx once: what it turns away from now on is a failure.
    *wanted.lock().unwrap() = "two";
    wait_for(&balancer, 0, Verdict::Draining, Reason::NotReady(401));
    folder.file("token", "two\n");
    wait_for(&balancer, 0, Verdict::Up, Reason::Answers);
    // Without the file the last token goes on, and that is told once.
    std::fs::remove_file(&file).unwrap();
    wait_until(LIMIT, "a warning", || !balancer.events("warning").is_empty());
    let before = asked.load(Ordering::Relaxed);
    wait_until(LIMIT, "more requests", || asked.load(Ordering::Relaxed) >= before + 15);
    assert_eq!(report(&balancer, 0).reason, Reason::Answers);
    let warnings = balancer.events("warning");
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0]["message"].as_str().unwrap().contains("bearer token"), "{warnings:?}");
}

#[test]
fn each_certificate_is_told_for_itself_and_a_renewed_one_no_more() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let (ca, now) = (Ca::new(), SystemTime::now());
    let covering = ["kubernetes", "127.0.0.2"];
    let server = |names: &[&str], valid: Duration| Server {
        shows: ca.leaf_until(names, now + valid),
        clients: None,
        version: &TLS13,
        tickets: 2,
    };
    let renewed = Arc::new(server(&covering, 365 * DAY).config());
    let current = Arc::new(Mutex::new(Arc::new(server(&covering, 10 * DAY).config())));
    let (serving, dials) = (current.clone(), Arc::new(AtomicU32::new(0)));
    let counted = dials.clone();
    let ending = common::serve(move |stream| {
        let config = serving.lock().unwrap().clone();
        counted.fetch_add(1, Ordering::Relaxed);
        serve(config, stream, well);
    });
    let uncovered = server(&["kubernetes"], 365 * DAY).start(well);
    let good = server(&covering, 365 * DAY).start(well);
    let probe = Probe::Http(https(TlsProbe::default()));
    let balancer = start(&[ending, uncovered, good], probe, |plan| {
        plan.listeners[0].addresses[0].address.set_ip([127, 0, 0, 2].into());
    });
    let told = || balancer.events("certificate");
    wait_until(LIMIT, "both to be told", || told().len() == 2);
    let of = |address: SocketAddr| {
        let own = |event: &serde_json::Value| event["address"] == address.to_string().as_str();
        told().into_iter().filter(own).collect::<Vec<_>>()
    };
    let (ends, uncovers) = (of(ending), of(uncovered));
    assert_eq!((ends.len(), uncovers.len()), (1, 1), "{:#?}", told());
    let end = humantime::parse_rfc3339(ends[0]["not_after"].as_str().unwrap()).unwrap();
    let off = end.duration_since(now + 10 * DAY).unwrap_or_else(|early| early.duration());
    assert!(off < Duration::from_secs(2), "{off:?}");
    assert_eq!(uncovers[0]["covers_us"], false);
    // Renewed: nothing to tell. The old one again: news again.
    let old = std::mem::replace(&mut *current.lock().unwrap(), renewed);
    let more = || {
        let before = dials.load(Ordering::Relaxed);
        wait_until(LIMIT, "fresh connections", || dials.load(Ordering::Relaxed) >= before + 3);
    };
    more();
    assert_eq!(told().len(), 2);
    *current.lock().unwrap() = old;
    more();
    wait_until(LIMIT, "the old one to be told anew", || of(ending).len() == 2);
}

#[test]
fn a_certificate_that_has_ended_is_dead_where_it_is_verified() {
    let folder = Folder::new();
    let ca = Ca::new();
    let hour = Duration::from_secs(3600);
    let server = Server {
        shows: ca.leaf_until(&["kubernetes"], SystemTime::now() - hour),
        clients: None,
        version: &TLS13,
        tickets: 2,
    };
    let endpoint = server.start(well);
    let verified = TlsProbe {
        server_name: Some("kubernetes".into()),
        ca: Some(folder.file("ca.pem", ca.pem())),
        client: None,
    };
    let balancer = start(&[endpoint], Probe::Http(https(verified)), |_| {});
    wait_for(&balancer, 0, Verdict::Dead, Reason::Tls(TlsFault::Certificate));
    // Where it is not, it is only told.
    let balancer = start(&[endpoint], Probe::Http(https(TlsProbe::default())), |_| {});
    wait_for(&balancer, 0, Verdict::Up, Reason::Answers);
    wait_until(LIMIT, "the log", || balancer.events("certificate").len() == 1);
}
