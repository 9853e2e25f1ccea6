//! systemd on a host of the cluster, with the shipped units, traffic through the edge, and what the
//! kernel says of the processes.

use e2e::product::PATIENCE;
use e2e::proof::full;
use eclusa_testkit::apiserver::{ApiServer, Settings};
use eclusa_testkit::client::{Client, Target, who_answers};
use eclusa_testkit::netns::{Cluster, Shape};
use eclusa_testkit::process::Booted;
use eclusa_testkit::wait::wait_for;
use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

pub const EDGE: &str = "eclusa-edge.service";
pub const APISERVER: &str = "eclusa-apiserver.service";

/// Below 1024: the keeper needs its capability.
pub const WEB: ([u8; 4], u16) = ([192, 168, 1, 2], 443);
pub const CONFIG: &str = r#"
workers = 2
stop_deadline = "1s"
[listener.web]
listen = ["192.168.1.2:443"]
pool = "web"
[pool.web]
endpoints = ["10.0.1.100:443"]
probe = { kind = "none" }
"#;

/// Requests a second, each on a connection of its own.
pub const RATE: f64 = 100.0;
/// What a client waits for an answer: longer than any restart.
const DEADLINE: Duration = Duration::from_secs(20);

/// A cluster with systemd on its edge and an endpoint behind it.
pub struct Stage {
    // Before the cluster: a namespace lives as long as a process is in it.
    pub booted: Booted,
    _endpoint: ApiServer,
    cluster: Cluster,
}

impl Stage {
    /// `None` where systemd cannot be booted. A proof counts that as skipped; every day it is told
    /// and not counted, for CI lets nothing be skipped and its machine may not be able to.
    pub fn new(test: &str) -> Option<Self> {
        let told = |reason: &String| {
            let word = if full() { "SKIPPED" } else { "left out" };
            // Past the test harness, which would swallow it.
            let _ = writeln!(std::io::stderr(), "{word}: {test}: no systemd here: {reason}");
        };
        Self::boot().inspect_err(told).ok()
    }

    fn boot() -> Result<Self, String> {
        Booted::possible()?;
        let shape = Shape { masters: 0, workers: 1, ..Shape::default() };
        let cluster = Cluster::new(shape).expect("a cluster");
        let address = SocketAddr::from(([10, 0, 1, 100], 443));
        let start = || ApiServer::start(address, Settings::plain("web"));
        let endpoint = cluster.host("worker1").enter(start).expect("an endpoint");
        let booted = Booted::boot(&cluster.host("edge"), &["eclusa-edge", "eclusa-apiserver"])?;
        Ok(Self { booted, _endpoint: endpoint, cluster })
    }

    pub fn write(&self, path: &str, text: &str) {
        self.booted.write(path, text).expect("a file");
    }

    /// Starts the edge with [`CONFIG`].
    #[track_caller]
    pub fn start_edge(&self) {
        self.write("/etc/eclusa/edge.toml", CONFIG);
        let said = self.booted.systemctl(&["start", EDGE]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }

    /// Whether one request through the edge is answered.
    pub fn answers(&self, to: impl Into<SocketAddr>) -> bool {
        let target = Target::plain(to.into());
        let ask = || who_answers(&target, "/version", PATIENCE);
        self.cluster.host("outside1").enter(ask).is_ok_and(|who| who.status == 200)
    }

    /// Clients that come again and again, and are being served.
    #[track_caller]
    pub fn clients(&self) -> Client {
        let start = || Client::singles(&Target::plain(WEB.into()), RATE, DEADLINE);
        let client = self.cluster.host("outside1").enter(start).expect("a client");
        client.wait_for_more(20, PATIENCE);
        client
    }

    #[track_caller]
    pub fn keeper(&self, unit: &str) -> u32 {
        wait_for(PATIENCE, "a keeper", || self.booted.main_pid(unit))
    }

    #[track_caller]
    pub fn engine(&self, unit: &str) -> u32 {
        wait_for(PATIENCE, "an engine", || self.booted.engine_pid(unit))
    }

    /// How often systemd has started the edge by itself.
    #[track_caller]
    pub fn restarts(&self) -> usize {
        self.booted.property(EDGE, "NRestarts").parse().expect("a number")
    }

    #[track_caller]
    pub fn is_running(&self, unit: &str) -> bool {
        let state = ["ActiveState", "SubState"].map(|name| self.booted.property(unit, name));
        state == ["active", "running"]
    }
}

/// Fields of `/proc/PID/status`.
pub fn status(pid: u32) -> HashMap<String, String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
}

/// The mounts that a process may write to (proc(5), mountinfo: fifth field the place, sixth the
/// options).
pub fn writable(pid: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("it runs");
    let fields = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let writable = fields.filter(|fields| fields[5].split(',').any(|option| option == "rw"));
    let mut places: Vec<_> = writable.map(|fields| fields[4].to_owned()).collect();
    places.sort();
    places
}
