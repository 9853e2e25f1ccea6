//! Lists in files: hosts and networks that routes ask, changed while the edge runs.

use crate::recorder::Recorder;
use crate::reply::Wire;
use e2e::plain::{exchange, try_connect};
use e2e::product::{ConfigFile, PATIENCE, Product, Program};
use e2e::proof::{Item, size};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::{Scratch, Signal};
use eclusa_testkit::wait::{wait_for, wait_until};
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PLAIN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 2)), 80);
const CARRIED: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 2)), 7000);

/// Requests for hosts of the list are passed on, others find no route; TCP likewise by the client's
/// network.
const CONFIG: &str = r#"
[observe]
listen = ["127.0.0.1:9100"]
[listener.plain]
listen = ["192.168.1.2:80"]
http = true
[[listener.plain.route]]
host = ["always.test", "@{hosts}"]
pool = "recorder"
[listener.carried]
listen = ["192.168.1.2:7000"]
peek = "none"
[[listener.carried.route]]
source = ["@{networks}"]
pool = "echo"
[pool.recorder]
endpoints = ["10.0.1.105:80"]
probe = { kind = "none" }
[pool.echo]
endpoints = ["10.0.1.100:7000"]
probe = { kind = "none" }
"#;

/// The edge with its lists, which only root may read.
struct Stage {
    edge: Product,
    _file: ConfigFile,
    hosts: PathBuf,
    networks: PathBuf,
    _scratch: Scratch,
    _recorder: Recorder,
    _echo: Endpoint,
    client: Host,
    cluster: Cluster,
}

fn write(path: &Path, text: &str) {
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).unwrap();
    fs::set_permissions(&fresh, Permissions::from_mode(0o600)).unwrap();
    fs::rename(fresh, path).unwrap();
}

impl Stage {
    fn start() -> Self {
        let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
        let worker = cluster.host("worker1");
        let recorder = Recorder::start(&worker, "10.0.1.105:80");
        let start = || Endpoint::start("10.0.1.100:7000".parse().unwrap(), Kind::Echo);
        let echo = worker.enter(start).unwrap();
        let scratch = Scratch::new("lists").unwrap();
        fs::set_permissions(scratch.path(), Permissions::from_mode(0o700)).unwrap();
        let (hosts, networks) = (scratch.path().join("hosts"), scratch.path().join("networks"));
        write(&hosts, "# those of today\na.test\n*.b.test\n");
        write(&networks, "203.0.113.0/24\n");
        let config = CONFIG.replace("{hosts}", &hosts.display().to_string());
        let file = ConfigFile::new(&config.replace("{networks}", &networks.display().to_string()));
        let runner = Program::Edge.runner(Some(&cluster.host("edge"))).args(["run", "-c"]);
        let mut edge = Product::from(runner.args([file.path()]).start().unwrap());
        edge.wait_ready();
        let client = cluster.host("outside1");
        Self {
            edge,
            _file: file,
            hosts,
            networks,
            _scratch: scratch,
            _recorder: recorder,
            _echo: echo,
            client,
            cluster,
        }
    }

    /// What a request for `host` is answered by.
    fn status(&self, host: &str) -> u16 {
        Wire::open(&self.client, PLAIN).and_then(|mut wire| wire.get(host, "/")).unwrap().status
    }

    /// Whether a TCP session is carried.
    fn carries(&self) -> bool {
        let stream = try_connect(&self.client, CARRIED, PATIENCE).unwrap();
        exchange(&stream, b"anybody?").is_ok_and(|heard| heard == b"anybody?")
    }

    fn wait_for_event(&self, kind: &str, words: &str) {
        wait_for(PATIENCE, &format!("{kind}: {words}"), || {
            let events = self.edge.events();
            events.into_iter().find(|event| {
                event["event"] == kind
                    && event["message"].as_str().is_some_and(|said| said.contains(words))
            })
        });
    }

    fn metrics(&self) -> String {
        let edge = self.cluster.host("edge");
        e2e::ask::get(&edge, "127.0.0.1:9100".parse().unwrap(), "/metrics").body
    }
}

#[test]
fn lists_are_taken_as_they_change_and_never_with_a_mistake() {
    if skipped("lists_are_taken_as_they_change_and_never_with_a_mistake") {
        return;
    }
    let mut stage = Stage::start();
    for (host, status) in
        [("always.test", 200), ("a.test", 200), ("x.b.test", 200), ("b.test", 404), ("c.test", 404)]
    {
        assert_eq!(stage.status(host), status, "{host}");
    }
    assert!(stage.carries());
    let mut worst = Duration::ZERO;
    let changes = size(20, 2);
    for number in 0..changes {
        let (host, other) =
            if number % 2 == 0 { ("c.test", "a.test") } else { ("a.test", "c.test") };
        write(&stage.hosts, &format!("{host}\n"));
        let took = wait_until(PATIENCE, host, || stage.status(host) == 200);
        worst = worst.max(took);
        assert_eq!(stage.status(other), 404, "the old list is gone whole");
    }
    write(&stage.networks, "198.51.100.0/24\n");
    worst = worst.max(wait_until(PATIENCE, "no route", || !stage.carries()));
    Item::new("5.5.4 lists of hosts and networks in files that change")
        .bound("in force within 2 s, whole, by routes of HTTP and of TCP; readable by root alone")
        .n(changes + 1)
        .worst(format!("{} ms", worst.as_millis()))
        .record(worst <= Duration::from_secs(2), "all in force");
    // A mistake changes nothing, and is told with its line and what to do.
    write(&stage.networks, "203.0.113.0/24\n\n203.0.113.9/24\n");
    stage.wait_for_event(
        "list_refused",
        "stays as it was, with 1 entries: line 3: `203.0.113.9/24` has host bits set: write",
    );
    assert!(!stage.carries());
    let networks = stage.networks.display().to_string();
    let sample = |name: &str, of: &str, value: u32| {
        format!("eclusa_list_{name}{{file=\"{networks}\",of=\"{of}\"}} {value}\n")
    };
    let page = stage.metrics();
    assert!(page.contains(&sample("refused", "source", 1)), "{page}");
    assert!(page.contains(&sample("entries", "source", 1)), "{page}");
    // A reload with it is refused, and names the line.
    stage.edge.signal(Signal::HUP).unwrap();
    stage.wait_for_event("reload_refused", "line 3: `203.0.113.9/24` has host bits set");
    assert!(!stage.carries());
    write(&stage.networks, "203.0.113.0/24\n203.0.114.0/24\n");
    wait_until(PATIENCE, "a route again", || stage.carries());
    stage.wait_for_event("list", "was read again: 2 entries, 1 before");
    wait_until(PATIENCE, "no complaint", || {
        stage.metrics().contains(&sample("refused", "source", 0))
    });
    // What a reload has read goes on being watched.
    stage.edge.signal(Signal::HUP).unwrap();
    stage.wait_for_event("reloaded", "reloaded");
    write(&stage.networks, "198.51.100.0/24\n");
    wait_until(PATIENCE, "no route", || !stage.carries());
}
