//! An echo server of Autobahn's own, bridges to HTTP/2 on both sides, and the edge between them.

use super::Results;
use e2e::product::{Product, Program};
use e2e::python::{Script, command};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::netns::{Cluster, Host, Shape};
use eclusa_testkit::process::Scratch;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The directory of Autobahn's packages (`pip install --target`, of a Python 2).
const SUITE: &str = "ECLUSA_AUTOBAHN";
/// The Python 2 that they are for; without it `python2`.
const PYTHON: &str = "ECLUSA_PYTHON2";
/// How long a script may take to start, and all cases by one way.
const START: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(240);
/// The echo server, and the bridge from HTTP/2 to it.
const ECHO: &str = "10.0.0.21:9001";
const ECHO_H2: &str = "10.0.0.21:9002";

const CONFIG: &str = r#"
upstreams_within = ["10.0.0.0/22"]
[listener.plain]
listen = ["192.168.1.2:80"]
http = true
pool = "echo"
[listener.secure]
listen = ["192.168.1.2:443"]
tls = { certificates = ["{certificate}"] }
http = true
pool = "echo"
{h2}
[pool.echo]
endpoints = ["10.0.0.21:9001"]
probe = { kind = "none" }
"#;

const H2: &str = r#"
[listener.plain-h2]
listen = ["192.168.1.2:81"]
http = true
pool = "echo-h2"
[pool.echo-h2]
endpoints = ["10.0.0.21:9002"]
probe = { kind = "none" }
http = { version = "2" }
"#;

/// How WebSockets come to the edge and leave it.
pub(super) struct Way {
    pub(super) name: &'static str,
    /// Whether it is tried every day.
    pub(super) is_quick: bool,
    url: &'static str,
    /// Listens on this machine and asks the edge by HTTP/2: the port, whom it asks, whether by TLS.
    bridge: Option<(&'static str, &'static str, bool)>,
}

/// All of them.
pub(super) const WAYS: [Way; 6] = [
    Way { name: "HTTP/1.1 to HTTP/1.1", is_quick: true, url: "ws://192.168.1.2:80", bridge: None },
    Way {
        name: "TLS, HTTP/1.1 to HTTP/1.1",
        is_quick: false,
        url: "wss://192.168.1.2:443",
        bridge: None,
    },
    Way { name: "HTTP/1.1 to HTTP/2", is_quick: false, url: "ws://192.168.1.2:81", bridge: None },
    Way {
        name: "HTTP/2 to HTTP/1.1",
        is_quick: false,
        url: "ws://127.0.0.1:9080",
        bridge: Some(("127.0.0.1:9080", "192.168.1.2:80", false)),
    },
    Way {
        name: "TLS, HTTP/2 to HTTP/1.1",
        is_quick: true,
        url: "ws://127.0.0.1:9443",
        bridge: Some(("127.0.0.1:9443", "192.168.1.2:443", true)),
    },
    Way {
        name: "HTTP/2 to HTTP/2",
        is_quick: true,
        url: "ws://127.0.0.1:9081",
        bridge: Some(("127.0.0.1:9081", "192.168.1.2:81", false)),
    },
];

impl Way {
    pub(super) fn url(&self) -> (&str, &str) {
        ("outside1", self.url)
    }
}

/// Why Autobahn's suite cannot be asked.
pub(super) fn suite_missing() -> Option<String> {
    let import = "import site, sys; site.addsitedir(sys.argv[1]); import autobahntestsuite.fuzzing";
    let mut look = Command::new(python2());
    look.args(["-c", import]).arg(std::env::var_os(SUITE).unwrap_or_default());
    look.stdout(Stdio::null()).stderr(Stdio::null());
    let is_there = look.status().is_ok_and(|status| status.success());
    (!is_there).then(|| format!("no Python 2 with autobahntestsuite: {PYTHON}, {SUITE}"))
}

fn python2() -> std::ffi::OsString {
    std::env::var_os(PYTHON).unwrap_or_else(|| "python2".into())
}

/// A script beside this file.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("edge/autobahn").join(name)
}

/// A command of the suite.
fn suite(host: &Host, words: &[&str]) -> Command {
    let mut command = host.command(python2());
    command.arg(script("suite.py")).arg(std::env::var_os(SUITE).unwrap_or_default()).args(words);
    command
}

/// Everything that runs, in the order in which it must end.
pub(super) struct Bed {
    _edge: Product,
    _scripts: Vec<Script>,
    files: Scratch,
    cluster: Cluster,
}

impl Bed {
    pub(super) fn start() -> Self {
        let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
        let (ca, files) = (Ca::new(), Scratch::new("autobahn").unwrap());
        let leaf = ca.leaf(&["shop.test"]).write(files.path(), "edge").unwrap();
        let ca = files.write("ca.pem", ca.pem()).unwrap();
        let config =
            CONFIG.replace("{certificate}", &leaf.both.display().to_string()).replace("{h2}", H2);
        let edge = Program::Edge.start(Some(&cluster.host("edge")), &config);
        let (worker, outside) = (cluster.host("worker1"), cluster.host("outside1"));
        let log = |name: &str| files.path().join(format!("{}.log", name.replace([' ', '/'], "-")));
        let bridge = |host: &Host, words: &[&str]| {
            let mut command = command(host, &script("bridge.py"));
            command.args(words);
            Script::start(command, log(words[1]))
        };
        let mut scripts = vec![Script::start(suite(&worker, &["serve", "9001"]), log("echo"))];
        scripts.push(bridge(&worker, &["down", ECHO_H2, ECHO]));
        let ca = ca.display().to_string();
        for (listen, target, is_tls) in WAYS.iter().filter_map(|way| way.bridge) {
            scripts.push(bridge(&outside, &["up", listen, target, if is_tls { &ca } else { "-" }]));
        }
        scripts.iter().for_each(|script| script.wait_for(START, "ready"));
        Self { _edge: edge, _scripts: scripts, files, cluster }
    }

    /// Where the echo server is asked without the edge.
    pub(super) fn directly(&self) -> (&str, &str) {
        ("worker1", "ws://10.0.0.21:9001")
    }

    /// Asks all `cases` there.
    pub(super) fn ask(&self, name: &str, (host, url): (&str, &str), cases: &[&str]) -> Results {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let results = self.files.path().join(&name);
        let spec = json!({
            "outdir": results, "servers": [{ "agent": name, "url": url }], "cases": cases,
            "exclude-cases": [], "exclude-agent-cases": {},
        });
        let spec = self.files.write(&format!("{name}.json"), &spec.to_string()).unwrap();
        let command = suite(&self.cluster.host(host), &["ask", &spec.display().to_string()]);
        let log = self.files.path().join(format!("{name}.asked"));
        let said = Script::start(command, log).finish(LIMIT);
        let index = std::fs::read_to_string(results.join("index.json"));
        let index = index.unwrap_or_else(|error| panic!("{error}; the suite said: {said}"));
        let index: Value = serde_json::from_str(&index).unwrap();
        let cases = index[&name].as_object().into_iter().flatten();
        cases
            .map(|(case, found)| {
                let of = |key: &str| found[key].to_string().replace('"', "");
                let result = ["behavior", "behaviorClose", "remoteCloseCode"].map(of).join(" ");
                (case.clone(), result)
            })
            .collect()
    }
}
