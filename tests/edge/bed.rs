//! The cluster with nginx and a recording endpoint on virtual addresses, and the edge before them.

use crate::recorder::Recorder;
use crate::reply::Wire;
use e2e::plain::try_connect;
use e2e::product::{PATIENCE, Product, Program};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::netns::{Cluster, Host, Shape};
use eclusa_testkit::process::{Peer, Scratch, binary};
use eclusa_testkit::tls::ClientConfig;
use eclusa_testkit::wait::wait_until;
use rustls::ServerConfig;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

/// Where the edge speaks plain HTTP.
pub(crate) const PLAIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 168, 1, 2)), 80);

/// The recording endpoint.
const RECORDER: &str = "10.0.1.105:80";

/// The edge's configuration; `{certificate}` and `{ca}` are filled in, `more` comes behind.
const CONFIG: &str = r#"
upstreams_within = ["10.0.0.0/22"]

[listener.plain]
listen = ["192.168.1.2:80"]
http = { head_timeout = "1s", body_timeout = "5s", body_max = "8MiB" }
pool = "recorder"
[[listener.plain.route]]
host = ["shop.test"]
pool = "shop"
[[listener.plain.route]]
host = ["proxied.test"]
pool = "shop-proxied"
[[listener.plain.route]]
host = ["tls.test"]
pool = "shop-tls"
[[listener.plain.route]]
host = ["tlsproxied.test"]
pool = "shop-tls-proxied"

[listener.secure]
listen = ["192.168.1.2:443"]
tls = { certificates = ["{certificate}"] }
http = { passthrough = ["raw.test", "rawproxied.test"] }
pool = "recorder"
[[listener.secure.route]]
server_name = ["raw.test"]
pool = "raw"
[[listener.secure.route]]
server_name = ["rawproxied.test"]
pool = "raw-proxied"
[[listener.secure.route]]
host = ["shop.test"]
pool = "shop"
[[listener.secure.route]]
host = ["proxied.test"]
pool = "shop-proxied"
[[listener.secure.route]]
host = ["tls.test"]
pool = "shop-tls"
[[listener.secure.route]]
host = ["tlsproxied.test"]
pool = "shop-tls-proxied"

[listener.carried]
listen = ["192.168.1.2:8443"]
tls = { certificates = ["{certificate}"] }
pool = "shop"

[pool.recorder]
endpoints = ["10.0.1.105:80"]
probe = { kind = "none" }
[pool.shop]
endpoints = ["10.0.1.100:80"]
[pool.shop-proxied]
endpoints = ["10.0.1.100:81"]
probe = { kind = "none" }
send_proxy = "v2"
[pool.shop-tls]
endpoints = ["10.0.1.100:443"]
tls = { ca = "{ca}", server_name = "tls.test" }
[pool.shop-tls-proxied]
endpoints = ["10.0.1.100:444"]
probe = { kind = "none" }
tls = { ca = "{ca}", server_name = "tls.test" }
send_proxy = "v2"
[pool.raw]
endpoints = ["10.0.1.100:443"]
[pool.raw-proxied]
endpoints = ["10.0.1.100:444"]
probe = { kind = "none" }
send_proxy = "v2"
"#;

/// Everything that runs. In the order in which it must end.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) edge: Product,
    pub(crate) recorder: Recorder,
    nginx: Option<Peer>,
    pub(crate) client: Host,
    pub(crate) ca: PathBuf,
    /// The edge's certificate with its key.
    pub(crate) certificate: PathBuf,
    server: Arc<ServerConfig>,
    authority: Ca,
    config: String,
    _files: Scratch,
    cluster: Cluster,
}

impl Bed {
    /// With nginx.
    pub(crate) fn start() -> Self {
        Self::with(true, "")
    }

    /// Without, for tests that need only the recorder; `more` comes behind the configuration.
    pub(crate) fn without_nginx(more: &str) -> Self {
        Self::with(false, more)
    }

    /// With nginx or without, and `more` behind the configuration.
    pub(crate) fn with(nginx: bool, more: &str) -> Self {
        let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
        let (ca, files) = (Ca::new(), Scratch::new("edge").unwrap());
        let names =
            ["shop.test", "proxied.test", "tls.test", "tlsproxied.test", "app.test", "grpc.test"];
        let leaf = ca.leaf(&names).write(files.path(), "edge").unwrap();
        let ca_file = files.write("ca.pem", ca.pem()).unwrap();
        let nginx = nginx.then(|| start_nginx(&cluster, &files, &ca));
        let recorder = Recorder::start(&cluster.host("worker1"), RECORDER);
        let fill = |text: &str| {
            text.replace("{certificate}", &leaf.both.display().to_string())
                .replace("{ca}", &ca_file.display().to_string())
        };
        let config = fill(&format!("{CONFIG}{more}"));
        let server = ca.leaf(&names).server(&[]);
        let edge = Program::Edge.start(Some(&cluster.host("edge")), &config);
        let client = cluster.host("outside1");
        let (authority, ca, certificate, _files) = (ca, ca_file, leaf.both, files);
        Self {
            edge,
            recorder,
            nginx,
            client,
            ca,
            certificate,
            server,
            authority,
            config,
            _files,
            cluster,
        }
    }

    /// A host of the cluster.
    pub(crate) fn host(&self, name: &str) -> Host {
        self.cluster.host(name)
    }

    /// TLS for endpoints of the test's own.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// TLS for clients of the test's own, which offer these protocols.
    pub(crate) fn tls(&self, alpn: &[&str]) -> Arc<ClientConfig> {
        self.authority.client(alpn)
    }

    /// One more recording endpoint.
    pub(crate) fn another_recorder(&self, address: &str) -> Recorder {
        Recorder::start(&self.cluster.host("worker1"), address)
    }

    /// The host that the endpoints are on.
    pub(crate) fn worker(&self) -> Host {
        self.cluster.host("worker1")
    }

    /// A connection of an outside client.
    pub(crate) fn connect(&self) -> Wire {
        Wire::open(&self.client, PLAIN).unwrap()
    }

    /// Has the configuration with `more` behind it taken.
    pub(crate) fn reload(&self, more: &str) {
        self.reload_as(&format!("{}{more}", self.config));
    }

    /// Has this configuration taken.
    pub(crate) fn reload_as(&self, config: &str) {
        let socket = self.edge.run_directory().join("edge.sock");
        wait_until(PATIENCE, "the admin socket", || socket.exists());
        std::fs::write(self.edge.config().unwrap(), config).unwrap();
        let mut command = Command::new(binary("eclusa-edge").unwrap());
        command.args(["reload", "--force", "--socket"]);
        let output = command.arg(socket).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}; {}", self.edge.last_words());
    }

    /// The records of exchanges.
    pub(crate) fn exchanges(&self) -> Vec<Value> {
        let events = self.edge.events().into_iter();
        events.filter(|event| event["event"] == "exchange").collect()
    }

    /// The record of the exchange for `target`, once it is there.
    pub(crate) fn exchange_for(&self, target: &str) -> Value {
        eclusa_testkit::wait::wait_for(PATIENCE, &format!("the record of {target}"), || {
            self.exchanges().into_iter().rfind(|record| record["target"] == target)
        })
    }

    /// nginx's log: `$remote_addr $server_port $scheme $http_x_forwarded_for $http_x_forwarded_proto
    /// $host $request_uri`.
    pub(crate) fn nginx_log(&self) -> String {
        self.nginx.as_ref().map(|nginx| nginx.file("access.log")).unwrap_or_default()
    }

    /// What a program says that runs at the client.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        self.client.run(program, arguments).map_err(|error| error.to_string())
    }

    /// What curl prints, by a name of the edge.
    pub(crate) fn curl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut all = vec!["-sS".to_owned(), "--max-time".into(), "20".into()];
        all.extend(["--cacert".into(), self.ca.display().to_string()]);
        let tls = ["tls.test", "tlsproxied.test", "raw.test", "rawproxied.test"];
        for name in [&["shop.test", "proxied.test", "app.test"], &tls[..]].concat() {
            for port in [80, 443, 8443] {
                all.extend(["--resolve".into(), format!("{name}:{port}:192.168.1.2")]);
            }
        }
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self.run("curl", &all.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// nginx on a virtual address: 80, 81 behind a PROXY header, 443 with TLS, 444 with both. What it does not answer
/// itself it passes on to the recorder, as an ingress controller does.
fn start_nginx(cluster: &Cluster, files: &Scratch, ca: &Ca) -> Peer {
    let leaf =
        ca.leaf(&["tls.test", "raw.test", "rawproxied.test"]).write(files.path(), "nginx").unwrap();
    let (certificate, key) = (leaf.certificate.display(), leaf.key.display());
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String =
        temporary.iter().map(|kind| format!("{kind}_temp_path {{directory}}/{kind};\n")).collect();
    let vip = "10.0.1.100";
    let config = format!(
        "events {{ worker_connections 4096; }}\nhttp {{\n{temporary}\
         log_format who '$remote_addr $server_port $scheme $http_x_forwarded_for \
         $http_x_forwarded_proto $host $request_uri';\n\
         access_log {{directory}}/access.log who;\n\
         client_max_body_size 0;\n\
         map $http_upgrade $passed_on {{ default upgrade; '' ''; }}\n\
         server {{ listen {vip}:80; listen {vip}:443 ssl; listen {vip}:81 proxy_protocol;\n\
         listen {vip}:444 ssl proxy_protocol;\n\
         set_real_ip_from 10.0.0.9; real_ip_header proxy_protocol;\n\
         ssl_certificate {certificate}; ssl_certificate_key {key};\n\
         location /who {{ return 200 '$remote_addr $http_x_forwarded_for $scheme $host'; }}\n\
         location / {{ proxy_pass http://{RECORDER}; proxy_http_version 1.1;\n\
         proxy_buffering off; proxy_set_header Upgrade $http_upgrade;\n\
         proxy_set_header Connection $passed_on; }} }} }}\n"
    );
    let worker = cluster.host("worker1");
    let peer = Peer::nginx(Some(&worker), &config, &[80, 81, 443, 444]).unwrap();
    let address = format!("{vip}:81").parse().unwrap();
    wait_until(PATIENCE, vip, || try_connect(&worker, address, PATIENCE).is_ok());
    peer
}
