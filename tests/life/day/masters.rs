//! Before the masters: one is drained, rebooted, returned; two join.

use super::{DEADLINE, Hand, Operations, PATIENCE, worst};
use e2e::product::Program;
use e2e::proof::{Item, median, size};
use eclusa_testkit::apiserver::{ApiServer, Settings};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::client::{Client, Target, WatchSettings, Watcher};
use eclusa_testkit::netns::{Cluster, LB_VIP};
use eclusa_testkit::wait::{wait_for, wait_until};
use serde_json::json;
use std::time::{Duration, Instant};

const FILE: &str = "# the masters of this site\n\
                    masters = [\n  \"10.0.0.11\",\n  \"10.0.0.12\",   # the old rack\n  \"10.0.0.13\",\n]\n\
                    workers = 2\n";
/// The master that is rebooted, by the name that commands have.
const OLD: &str = "10.0.0.12";
const NEW: [&str; 2] = ["10.0.0.14", "10.0.0.15"];

/// What the operator saw.
#[derive(Default)]
pub(super) struct Seen {
    /// Sessions that stood on the master when it was drained.
    standing: Vec<u64>,
    /// From its end until the last of them had left.
    left: Vec<Duration>,
    /// From the order until it took sessions again.
    returned: Vec<Duration>,
    /// From the order until both had sessions.
    joined: Vec<Duration>,
}

impl Seen {
    pub(super) fn record(&self, n: usize) {
        let Self { standing, left, returned, joined } = self;
        let middle =
            |times: &[Duration]| format!("{} ms", median(times).unwrap_or_default().as_millis());
        Item::new("1.1 a master drained, rebooted, and returned")
            .bound("no new session while drained; all leave; it has sessions again")
            .n(n)
            .worst(format!(
                "{} until the last had left, {} until it had one again",
                worst(left),
                worst(returned)
            ))
            .median(format!("{}, {}", middle(left), middle(returned)))
            .record(
                left.len() == n && returned.len() == n,
                format!("{standing:?} sessions left it"),
            );
        Item::new("1.2 two masters added, and saved into the file")
            .bound("both take sessions; the file has them, its comments, and no order is left")
            .n(n)
            .worst(format!("{} from the order", worst(joined)))
            .median(middle(joined))
            .record(joined.len() == n, format!("{} of {n} days", joined.len()));
    }
}

/// Those who ask.
struct Load {
    nodes: Vec<Client>,
    singles: Vec<Client>,
    watchers: Vec<Watcher>,
}

impl Load {
    fn start(cluster: &Cluster, ca: &Ca) -> Self {
        let target = Target::new((LB_VIP, 6443).into(), "kubernetes", ca);
        let hosts = [cluster.host("worker1"), cluster.host("worker2")];
        let node =
            |n: usize| hosts[n % 2].enter(|| Client::kubelet(&target, 5.0, DEADLINE)).unwrap();
        let single = |n: usize| {
            let rate = size(25.0, 10.0);
            hosts[n % 2].enter(|| Client::singles(&target, rate, DEADLINE)).unwrap()
        };
        let watcher = |n: usize| {
            let settings = WatchSettings { deadline: DEADLINE, ..WatchSettings::default() };
            hosts[n % 2].enter(|| Watcher::start(&target, settings)).unwrap()
        };
        Self {
            nodes: (0..6).map(node).collect(),
            singles: (0..2).map(single).collect(),
            watchers: (0..size(12, 6)).map(watcher).collect(),
        }
    }

    fn ended(self) -> Operations {
        let mut all = Operations::default();
        self.nodes.into_iter().for_each(|client| all.requests("a node", client));
        self.singles.into_iter().for_each(|client| all.requests("a new connection", client));
        self.watchers.iter().for_each(|watcher| all.watch(watcher));
        all
    }
}

fn start(cluster: &Cluster, ca: &Ca, index: u8) -> ApiServer {
    let host = cluster.host(&format!("master{index}"));
    let leaf = ca.leaf(&["kubernetes", host.name(), &host.address().to_string(), "10.0.0.5"]);
    let watch_grace = size(Duration::from_secs(2), Duration::from_millis(200));
    let settings = Settings { watch_grace, ..Settings::new(host.name(), &leaf) };
    host.enter(|| ApiServer::start(host.at(6443), settings)).unwrap()
}

pub(super) fn day(cluster: &Cluster, ca: &Ca, seen: &mut Seen) -> Operations {
    let mut masters: Vec<_> = (1..=3).map(|index| start(cluster, ca, index)).collect();
    let product = Program::Apiserver.start(Some(&cluster.host("lb")), FILE);
    let hand = Hand { product, program: Program::Apiserver };
    for name in ["10.0.0.11", OLD, "10.0.0.13"] {
        wait_until(PATIENCE, name, || hand.endpoint("apiserver", name)["verdict"] == "up");
    }
    let load = Load::start(cluster, ca);
    let flow = || load.watchers.iter().all(|watcher| watcher.report().events() > 2);
    wait_until(PATIENCE, "events for all", flow);
    wait_until(PATIENCE, "sessions on the old rack", || hand.standing(OLD) > 0);

    // Drained: those that stand stay, nobody new comes.
    let order = format!("apiserver/{OLD}");
    hand.done(&["endpoint", "drain", &order, "--for", "2h", "--reason", "kernel"]);
    let standing = hand.standing(OLD);
    seen.standing.push(standing);
    let answered = |clients: &[Client]| {
        let name = |it: &Client| it.summary().by_master.get("master2").copied().unwrap_or(0);
        clients.iter().map(name).sum::<u64>()
    };
    load.singles[0].wait_for_more(1, PATIENCE);
    let before = answered(&load.singles);
    load.singles.iter().for_each(|client| client.wait_for_more(size(50, 5), PATIENCE));
    assert_eq!(answered(&load.singles), before, "no new connection comes to it");
    assert!(hand.standing(OLD) <= standing);

    // Rebooted: it ends in good order, and they leave.
    let ends = Instant::now();
    masters[1].terminate();
    wait_until(PATIENCE, "all to leave", || hand.standing(OLD) == 0);
    seen.left.push(ends.elapsed());
    masters[1].wait_stopped(PATIENCE);
    drop(masters.remove(1));
    masters.insert(1, start(cluster, ca, 2));
    wait_until(PATIENCE, "it is up", || hand.endpoint("apiserver", OLD)["verdict"] == "up");
    let ordered = Instant::now();
    hand.done(&["endpoint", "ready", &order]);
    wait_for(PATIENCE, "answers of it", || (answered(&load.singles) > before).then_some(()));
    seen.returned.push(ordered.elapsed());
    assert_eq!(hand.ask(&["status"])["overrides"], json!([]));

    two_join(&hand, cluster, ca, seen, &mut masters, &load);
    load.ended()
}

fn two_join(
    hand: &Hand,
    cluster: &Cluster,
    ca: &Ca,
    seen: &mut Seen,
    masters: &mut Vec<ApiServer>,
    load: &Load,
) {
    masters.extend([4, 5].map(|index| start(cluster, ca, index)));
    let ordered = Instant::now();
    let words = ["endpoint", "add", "apiserver", NEW[0], NEW[1], "--reason", "two more"];
    hand.done(&words);
    let asked = |name: &str| {
        let of = |client: &Client| client.summary().by_master.contains_key(name);
        load.singles.iter().any(of)
    };
    for name in ["master4", "master5"] {
        wait_until(PATIENCE, &format!("answers of {name}"), || asked(name));
    }
    seen.joined.push(ordered.elapsed());
    hand.done(&["save"]);
    assert!(hand.text().contains("# the old rack"), "{}", hand.text());
    hand.done(&["plan"]);
    hand.done(&["reload"]);
    let status = hand.ask(&["status"]);
    let names = status["pools"][0]["endpoints"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["10.0.0.11", OLD, "10.0.0.13", NEW[0], NEW[1]]);
    assert_eq!(
        (&status["overrides"], &status["pools"][0]["quorum"]),
        (&json!([]), &json!("5/5 ready, can lose 2"))
    );
}
