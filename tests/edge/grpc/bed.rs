//! Endpoints of gRPC, without and with TLS, and the edge before them.

use e2e::product::{Product, Program};
use e2e::python::{Script, command};
use eclusa_testkit::ca::{Ca, LeafFiles};
use eclusa_testkit::netns::{Cluster, Shape};
use eclusa_testkit::process::Scratch;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an endpoint may take to start.
pub(super) const START: Duration = Duration::from_secs(30);
/// The endpoints, without and with TLS.
const ENDPOINTS: [&str; 2] = ["10.0.1.106:50051", "10.0.1.106:50443"];

const CONFIG: &str = r#"
upstreams_within = ["10.0.0.0/22"]
[listener.plain-plain]
listen = ["192.168.1.2:50051"]
http = true
pool = "plain"
[listener.plain-tls]
listen = ["192.168.1.2:50052"]
http = true
pool = "tls"
[listener.tls-plain]
listen = ["192.168.1.2:50443"]
tls = { certificates = ["{certificate}"] }
http = true
pool = "plain"
[listener.tls-tls]
listen = ["192.168.1.2:50444"]
tls = { certificates = ["{certificate}"] }
http = true
pool = "tls"
[pool.plain]
endpoints = ["10.0.1.106:50051"]
probe = { kind = "none" }
http = { version = "2" }
[pool.tls]
endpoints = ["10.0.1.106:50443"]
probe = { kind = "none" }
http = { version = "2" }
tls = { ca = "{ca}", server_name = "grpc.test" }
"#;

/// A listener and its pool.
pub(super) struct Way {
    pub(super) name: &'static str,
    port: u16,
    is_tls: bool,
    endpoint: usize,
}

/// All of them.
pub(super) const WAYS: [Way; 4] = [
    Way { name: "plain to plain", port: 50051, is_tls: false, endpoint: 0 },
    Way { name: "plain to TLS", port: 50052, is_tls: false, endpoint: 1 },
    Way { name: "TLS to plain", port: 50443, is_tls: true, endpoint: 0 },
    Way { name: "TLS to TLS", port: 50444, is_tls: true, endpoint: 1 },
];

/// Where a client connects to.
pub(super) struct Target {
    address: String,
    is_tls: bool,
}

impl Way {
    /// The edge's listener.
    pub(super) fn through(&self) -> Target {
        Target { address: format!("192.168.1.2:{}", self.port), is_tls: self.is_tls }
    }

    /// The endpoint behind it.
    pub(super) fn directly(&self) -> Target {
        Target { address: ENDPOINTS[self.endpoint].to_owned(), is_tls: self.endpoint == 1 }
    }
}

/// Everything that runs, in the order in which it must end.
pub(super) struct Bed {
    _edge: Product,
    endpoints: Vec<Script>,
    leaf: LeafFiles,
    ca: PathBuf,
    files: Scratch,
    cluster: Cluster,
    /// Scripts started so far.
    started: std::cell::Cell<usize>,
}

/// A script beside this file.
pub(super) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("edge/grpc").join(name)
}

impl Bed {
    pub(super) fn start() -> Self {
        let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
        let (ca, files) = (Ca::new(), Scratch::new("grpc").unwrap());
        let leaf = ca.leaf(&["grpc.test"]).write(files.path(), "grpc").unwrap();
        let ca = files.write("ca.pem", ca.pem()).unwrap();
        let config = CONFIG
            .replace("{certificate}", &leaf.both.display().to_string())
            .replace("{ca}", &ca.display().to_string());
        let edge = Program::Edge.start(Some(&cluster.host("edge")), &config);
        let (endpoints, started) = (Vec::new(), std::cell::Cell::new(0));
        let mut bed = Self { _edge: edge, endpoints, leaf, ca, files, cluster, started };
        bed.start_endpoints();
        bed
    }

    pub(super) fn start_endpoints(&mut self) {
        let worker = self.cluster.host("worker1");
        let start = |(number, address): (usize, &&str)| {
            let mut command = command(&worker, &script("server.py"));
            command.arg(address);
            if number == 1 {
                command.args([&self.leaf.certificate, &self.leaf.key]);
            }
            Script::start(command, self.log())
        };
        let endpoints: Vec<_> = ENDPOINTS.iter().enumerate().map(start).collect();
        endpoints.iter().for_each(|endpoint| endpoint.wait_for(START, "ready"));
        self.endpoints = endpoints;
    }

    pub(super) fn kill_endpoints(&mut self) {
        self.endpoints.iter_mut().for_each(Script::kill);
    }

    /// A client of its own process, outside where it goes through the edge, else beside the endpoint.
    pub(super) fn client(&self, target: Target, words: &[&str]) -> Script {
        let host = if target.address.starts_with("192.") { "outside1" } else { "worker1" };
        let mut command = command(&self.cluster.host(host), &script("client.py"));
        command.arg(target.address);
        command.arg(if target.is_tls { self.ca.as_os_str() } else { "-".as_ref() });
        Script::start(
            {
                command.args(words);
                command
            },
            self.log(),
        )
    }

    fn log(&self) -> PathBuf {
        self.started.set(self.started.get() + 1);
        self.files.path().join(format!("script-{}", self.started.get()))
    }
}
