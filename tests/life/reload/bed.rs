//! The edge in its cluster, its endpoints, and who asks there.

use super::broken::{self, Broken, TAKEN};
use super::file::{File, GUEST, MOVING, NODES, TIGHT};
use super::orders::{Orders, say};
use e2e::load::{Load, Timed};
use e2e::product::{PATIENCE, Product, Program};
use eclusa_testkit::apiserver::{MasterProcess, Settings};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::client::{Client, Target};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Host, Shape};
use eclusa_testkit::process::Scratch;
use eclusa_testkit::wait::wait_until;
use serde_json::Value;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// How long clients wait for an answer: longer than a machine stands still that does other things
/// beside this. How long they did wait is told.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// Requests a second of each of the clients of the moving listener.
const MOVING_RATE: f64 = 10.0;

/// Clients of the listener whose pool changes: each host has one that makes new connections and one
/// on a lasting one.
pub struct Moving {
    pub singles: [Timed<Client>; 2],
    pub lasting: [Timed<Client>; 2],
}

impl Moving {
    fn start(hosts: &[Host; 2], target: &Target) -> Self {
        let timed = |client: Client| Timed { zero: Instant::now() - client.now(), client };
        let singles = hosts.each_ref().map(|host| {
            let start = || Client::singles(target, MOVING_RATE, DEADLINE);
            timed(host.enter(start).unwrap())
        });
        let lasting = hosts.each_ref().map(|host| {
            let start = || Client::kubelet(target, MOVING_RATE, DEADLINE);
            timed(host.enter(start).unwrap())
        });
        Self { singles, lasting }
    }
}

/// What an engine holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub descriptors: usize,
    pub threads: usize,
}

impl Held {
    pub fn by(edge: &Product) -> Self {
        let threads = std::fs::read_dir(format!("/proc/{}/task", edge.engine_pid()));
        Self { descriptors: edge.descriptors().unwrap(), threads: threads.unwrap().count() }
    }
}

/// Whether all endpoints are up: by then all of it runs.
fn are_up(edge: &Product) -> bool {
    let (_, told) = say(edge, &["status", "--json"]);
    let status: Value = serde_json::from_str(&told).unwrap_or_default();
    let pools = status["pools"].as_array().into_iter().flatten();
    let mut endpoints = pools.flat_map(|pool| pool["endpoints"].as_array().into_iter().flatten());
    status["pools"].is_array() && endpoints.all(|endpoint| endpoint["verdict"] == "up")
}

/// The edge in its cluster, its endpoints, and who asks there.
pub struct Bed {
    pub load: Load,
    pub moving: Moving,
    pub edge: Product,
    pub orders: Orders,
    pub clients: [Host; 2],
    pub file: File,
    pub broken: Vec<Broken>,
    /// What the engine held before anybody came.
    pub before: Held,
    /// Has an address that a broken file wants.
    _foreign: TcpListener,
    _endpoints: Vec<Endpoint>,
    _masters: Vec<MasterProcess>,
    _scratch: Scratch,
    pub cluster: Cluster,
}

impl Bed {
    pub fn start() -> Self {
        let cluster = Cluster::new(Shape { masters: 4, workers: 1, ..Shape::default() }).unwrap();
        let (ca, scratch) = (Ca::new(), Scratch::new("reload").unwrap());
        let masters = cluster.masters().map(|host| {
            let (names, settings) = (["kubernetes", host.name()], Settings::plain(host.name()));
            MasterProcess::start(Some(host), host.at(NODES), &ca, &names, &settings).unwrap()
        });
        let masters: Vec<_> = masters.collect();
        let worker = cluster.host("worker1");
        let places = [([10, 0, 1, 100], TIGHT), ([10, 0, 1, 100], GUEST), ([10, 0, 1, 101], GUEST)];
        let start = |at: ([u8; 4], u16)| worker.enter(|| Endpoint::start(at.into(), Kind::Echo));
        let endpoints = places.map(|at| start(at).unwrap()).into();
        let host = cluster.host("edge");
        let foreign = host.enter(|| TcpListener::bind(host.at(TAKEN))).unwrap();
        let file = File { ca: scratch.write("ca.pem", ca.pem()).unwrap() };
        let edge = Program::Edge.start(Some(&host), &file.text(0));
        wait_until(PATIENCE, "all endpoints to be up", || are_up(&edge));
        let (orders, before) = (Orders::new(&edge), Held::by(&edge));
        let clients = ["outside1", "outside2"].map(|name| cluster.host(name));
        let target = |port: u16| Target::new(host.at(port), "kubernetes", &ca);
        let load = Load::start(&clients, &target(NODES), DEADLINE);
        let moving = Moving::start(&clients, &target(MOVING));
        let broken = broken::all(&scratch, &ca);
        let (_foreign, _endpoints, _masters, _scratch) = (foreign, endpoints, masters, scratch);
        let bed = Self {
            load,
            moving,
            edge,
            orders,
            clients,
            file,
            broken,
            before,
            _foreign,
            _endpoints,
            _masters,
            _scratch,
            cluster,
        };
        bed.load.wait_flowing();
        bed
    }
}
