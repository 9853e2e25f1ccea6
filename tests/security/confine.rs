//! What the engine does without: capabilities, files, system calls. What it may not open itself comes
//! from the keeper, if the configuration names it.

use e2e::product::{ConfigFile, PATIENCE, Product, Program};
use e2e::proof::Item;
use eclusa_testkit::ca::Ca;
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use eclusa_testkit::process::{Scratch, Signal};
use eclusa_testkit::wait::wait_until;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

/// Behind TLS, remembers what it was asked.
struct Web {
    endpoint: Endpoint,
}

impl Web {
    /// Listens on the virtual address, with a certificate of `ca`.
    fn start(cluster: &Cluster, ca: &Ca) -> Self {
        let address = "10.0.1.100:443".parse().unwrap();
        let start = || Endpoint::start_tls(address, Kind::Recorder, &ca.leaf(&["shop.test"]));
        Self { endpoint: cluster.host("worker1").enter(start).unwrap() }
    }

    /// Waits for a request with this token.
    #[track_caller]
    fn wait_for(&self, token: &str) {
        let wanted = format!("authorization: bearer {token}\r\n");
        let seen = || {
            let asked = self.endpoint.recorded();
            let mut heads = asked.iter().map(|one| String::from_utf8_lossy(&one.first));
            heads.any(|head| head.to_ascii_lowercase().contains(&wanted))
        };
        wait_until(PATIENCE, &format!("the token `{token}`"), seen);
    }
}

/// A directory as certbot keeps it: for root alone, with links from `live` to `archive`.
struct Secrets {
    scratch: Scratch,
    ca: PathBuf,
    /// The link.
    token: PathBuf,
}

impl Secrets {
    fn new(ca: &Ca, text: &str) -> Self {
        let scratch = Scratch::new("secrets").unwrap();
        for directory in ["live/shop.test", "archive/shop.test"] {
            fs::create_dir_all(scratch.path().join(directory)).unwrap();
        }
        let token = scratch.path().join("live/shop.test/token");
        let secrets = Self { ca: scratch.path().join("live/shop.test/ca.pem"), scratch, token };
        fs::write(&secrets.ca, ca.pem()).unwrap();
        secrets.renew(1, text);
        for directory in ["live", "archive"] {
            let path = secrets.scratch.path().join(directory);
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        secrets
    }

    /// A new file, then the link to it in place of the old link.
    fn renew(&self, number: u32, text: &str) {
        let file = self.scratch.path().join(format!("archive/shop.test/token{number}"));
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let fresh = self.token.with_extension("new");
        symlink(format!("../../archive/shop.test/token{number}"), &fresh).unwrap();
        fs::rename(fresh, &self.token).unwrap();
    }
}

/// With a probe that shows the token; without secrets it only connects.
fn config(secrets: Option<&Secrets>) -> String {
    let probe = secrets.map(|Secrets { ca, token, .. }| {
        format!(
            "probe = {{ kind = \"https\", path = \"/\", interval = \"100ms\", server_name = \
             \"shop.test\", ca = \"{}\", token_file = \"{}\" }}\n",
            ca.display(),
            token.display()
        )
    });
    format!(
        "[listener.web]\nlisten = [\"192.168.1.2:443\"]\npool = \"web\"\n[pool.web]\n\
         endpoints = [\"10.0.1.100:443\"]\n{}",
        probe.unwrap_or_default()
    )
}

#[test]
fn a_file_that_only_root_may_read_comes_through_the_keeper() {
    if skipped("a_file_that_only_root_may_read_comes_through_the_keeper") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let ca = Ca::new();
    let web = Web::start(&cluster, &ca);
    let secrets = Secrets::new(&ca, "first");
    let file = ConfigFile::new(&config(Some(&secrets)));
    let runner = Program::Edge.runner(Some(&cluster.host("edge")));
    let mut edge = Product::from(runner.args(["run", "-c"]).args([file.path()]).start().unwrap());
    edge.wait_ready();
    web.wait_for("first");
    secrets.renew(2, "second");
    web.wait_for("second");
    // A file that is changed and not yet in force takes nothing away from what is.
    fs::write(file.path(), config(None)).unwrap();
    secrets.renew(3, "third");
    web.wait_for("third");
    fs::write(file.path(), config(Some(&secrets))).unwrap();
    edge.signal(Signal::HUP).unwrap();
    edge.wait_for_event(PATIENCE, "a reload", |event| event["event"] == "reloaded");
    secrets.renew(4, "fourth");
    web.wait_for("fourth");
    Item::new("4a certbot's layout, 0700 of root, with an unprivileged engine")
        .bound("read, and read again after each renewal, after a reload and before one")
        .n(4)
        .record(true, "four tokens shown");
}

/// A field of the status of each thread of a process.
fn of_threads(pid: u32, field: &str) -> BTreeSet<String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let status = threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
    let value = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
        line.map(|value| value.trim().to_owned())
    };
    status.filter_map(value).collect()
}

fn only(value: &str) -> BTreeSet<String> {
    BTreeSet::from([value.to_owned()])
}

const NOTHING: &str = "0000000000000000";

#[test]
fn no_thread_of_the_engine_has_more_than_it_needs() {
    if skipped("no_thread_of_the_engine_has_more_than_it_needs") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let host = cluster.host("edge");
    let mut edge = Program::Edge.start(Some(&host), &config(None));
    let words =
        edge.wait_for_event(PATIENCE, "what holds it", |event| event["event"] == "confined");
    let engine = edge.engine_pid();
    assert_ne!(of_threads(edge.pid(), "CapEff"), only(NOTHING), "the keeper needs some");
    let held = ["CapEff", "CapPrm", "CapInh", "CapAmb"]
        .iter()
        .all(|field| of_threads(engine, field) == only(NOTHING));
    let filters = of_threads(engine, "Seccomp") == only("2");
    let no_more = of_threads(engine, "NoNewPrivs") == only("1");
    let message = words["message"].as_str().unwrap_or_default();
    Item::new("4b the engine's confinement")
        .bound("every thread: no capability, a seccomp filter, no new privileges")
        .record(held && filters && no_more, format!("the log: `{message}`"));
}

#[test]
fn confinement_can_be_loosened() {
    if skipped("confinement_can_be_loosened") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let host = cluster.host("edge");
    for (confine, seccomp, words) in [("log", "2", "logged"), ("off", "0", "by nothing")] {
        let text = format!("confine = \"{confine}\"\n{}", config(None));
        let mut edge = Program::Edge.start(Some(&host), &text);
        let told = edge.wait_for_event(PATIENCE, confine, |event| event["event"] == "confined");
        assert!(told["message"].as_str().unwrap().contains(words), "{told}");
        assert_eq!(of_threads(edge.engine_pid(), "Seccomp"), only(seccomp), "{confine}");
    }
}

#[test]
fn one_process_is_confined_as_well() {
    if skipped("one_process_is_confined_as_well") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let file = ConfigFile::new(&config(None));
    let runner = Program::Edge.runner(Some(&cluster.host("edge")));
    let runner = runner.args(["run", "--no-keeper", "-c"]).args([file.path()]);
    let mut edge = Product::from(runner.start().unwrap());
    // Port 443 is bound after it was confined.
    edge.wait_ready();
    assert_eq!(edge.engine_pid(), edge.pid());
    // CAP_NET_BIND_SERVICE, number 10.
    assert_eq!(of_threads(edge.pid(), "CapEff"), only("0000000000000400"));
    assert_eq!(of_threads(edge.pid(), "Seccomp"), only("2"));
}
