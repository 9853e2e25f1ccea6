//! Attackers outside, two endpoints inside, and whoever stands between them.

use super::candidate::{Candidate, Kind};
use super::good::{Felt, Good};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::flood::{Attack, Ground, Report};
use eclusa_testkit::netns::{Cluster, Host, Shape};
use eclusa_testkit::process::{Peer, Runner, Scratch, binary};
use eclusa_testkit::wait::wait_until;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What attackers may take to end when their time is over.
const ENDS: Duration = Duration::from_secs(30);
/// The endpoints: of what is attacked, and of the other listener.
pub(super) const ATTACKED: &str = "10.0.1.100:80";
pub(super) const GOOD: &str = "10.0.1.101:81";
/// Bytes of the large answer.
const LARGE: usize = 8 << 20;

/// The network of one row, and its endpoints.
pub(super) struct Bed {
    _endpoints: [Peer; 2],
    pub(super) certificate: PathBuf,
    _files: Scratch,
    cluster: Cluster,
}

/// What came of an attack.
pub(super) struct Outcome {
    pub(super) felt: Felt,
    pub(super) attackers: Vec<Report>,
    /// The most that all its processes held, in bytes.
    pub(super) peak: u64,
}

impl Bed {
    pub(super) fn new() -> Self {
        let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
        let files = Scratch::new("floods").unwrap();
        let leaf = Ca::new().leaf(&["attacked.test"]).write(files.path(), "edge").unwrap();
        let worker = cluster.host("worker1");
        let endpoints = [endpoint(&worker, ATTACKED), endpoint(&worker, GOOD)];
        Self { _endpoints: endpoints, certificate: leaf.both, _files: files, cluster }
    }

    pub(super) fn edge(&self) -> Host {
        self.cluster.host("edge")
    }

    /// Attacks `candidate` for so long, while somebody else asks for something.
    pub(super) fn attack(&self, candidate: &Candidate, attack: Attack, lasts: Duration) -> Outcome {
        let good = self.cluster.host("router");
        wait_until(ENDS, "an answer before the attack", || Good::asks_once(&good));
        let asking = Good::start(&good);
        let attackers: Vec<_> = ["outside1", "outside2"]
            .iter()
            .map(|host| self.attacker(host, attack, lasts))
            .collect();
        let attackers = attackers.into_iter().map(|mut attacker| {
            let ended = attacker.wait_exit(lasts + ENDS);
            assert!(ended.success(), "{}", attacker.last_words());
            let last = attacker.stderr_lines().pop().unwrap_or_default();
            serde_json::from_str(&last).unwrap_or_else(|error| panic!("{error}: {last}"))
        });
        let attackers = attackers.collect();
        Outcome { felt: asking.stop(), attackers, peak: candidate.peak() }
    }

    fn attacker(
        &self,
        host: &str,
        attack: Attack,
        lasts: Duration,
    ) -> eclusa_testkit::process::Running {
        let port = match attack.ground() {
            Ground::Http1 => 80,
            Ground::H2 => 81,
            Ground::Tls => 443,
        };
        let to = SocketAddr::from(([192, 168, 1, 2], port)).to_string();
        let lasts = format!("{}ms", lasts.as_millis());
        let program = binary("eclusa-flood").unwrap_or_else(|error| panic!("{error}"));
        let runner = Runner::new(program).host(&self.cluster.host(host));
        runner.args([&attack.name(), "--to", &to, "--lasts", &lasts]).start().unwrap()
    }

    pub(super) fn start(&self, kind: Kind) -> Option<Candidate> {
        kind.start(&self.edge(), &self.certificate)
    }
}

/// nginx with what attackers ask for: a small answer, a large one, and one after the whole body.
fn endpoint(worker: &Host, listen: &str) -> Peer {
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String =
        kinds.iter().map(|kind| format!("{kind}_temp_path {{directory}}/{kind}; ")).collect();
    let port: u16 = listen.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap();
    // nginx reads a body to its end only for somebody else.
    let inner = 8_000 + port;
    let config = format!(
        "worker_processes 1; worker_rlimit_nofile 20000; error_log stderr crit;\n\
         events {{ worker_connections 16000; multi_accept on; }}\n\
         http {{ {temporary} access_log off; keepalive_requests 1000000000; sendfile on;\n\
         server {{ listen {listen} backlog=4096; root {{directory}};\n\
         location = / {{ return 200 'well'; }}\n\
         location = /upload {{ client_max_body_size 64m; proxy_pass http://127.0.0.1:{inner}/; }} }}\n\
         server {{ listen 127.0.0.1:{inner}; location / {{ return 200 'well'; }} }} }}\n"
    );
    let peer = Peer::nginx(Some(worker), &config, &[port]).unwrap();
    std::fs::write(peer.directory().join("large"), vec![b'l'; LARGE]).unwrap();
    peer
}
