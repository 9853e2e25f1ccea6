//! Nodes through `eclusa-apiserver` to the masters.

use e2e::product::{PATIENCE, Product, Program};
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::apiserver::{ApiServer, Settings};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::client::{Client, Summary, Target};
use eclusa_testkit::netns::{Cluster, Host, LB_VIP, Shape, skipped};
use eclusa_testkit::wait::wait_until;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// The file that the README shows.
const ONE_LINE: &str = include_str!("../../config/apiserver-minimal.toml");
/// Nodes of the cluster have more than one client: kubelet, kube-proxy, the network's agent...
const KUBELETS: usize = 4;
/// Requests a second of each client.
const RATE: f64 = 50.0;
/// Percent of all answers that each of three masters gives at least. Short sessions go to where
/// there are fewest, lasting ones included: their own shares may be anything.
const SHARE: u64 = 20;

fn masters(cluster: &Cluster, ca: &Ca) -> Vec<ApiServer> {
    let start = |host: &Host| {
        let settings = Settings::new(host.name(), &ca.leaf(&["kubernetes"]));
        host.enter(|| ApiServer::start(host.at(6443), settings)).unwrap()
    };
    cluster.masters().map(start).collect()
}

/// Clients on all workers; what they have recorded when so many requests have ended.
fn requests(cluster: &Cluster, target: &Target, wanted: usize) -> (Summary, Summary) {
    let deadline = Duration::from_secs(5);
    let (mut lasting, mut singles) = (Vec::new(), Vec::new());
    for worker in cluster.hosts().iter().filter(|host| host.name().starts_with("worker")) {
        for _ in 0..KUBELETS {
            lasting.push(worker.enter(|| Client::kubelet(target, RATE, deadline)).unwrap());
        }
        singles.push(worker.enter(|| Client::singles(target, RATE, deadline)).unwrap());
    }
    let ended =
        || lasting.iter().chain(&singles).map(|client| client.records().len()).sum::<usize>();
    wait_until(Duration::from_secs(300), "requests", || ended() >= wanted);
    let sum = |clients: Vec<Client>| {
        let records: Vec<_> = clients.iter().flat_map(Client::records).collect();
        Summary::of(&records)
    };
    (sum(lasting), sum(singles))
}

#[test]
fn kubelets_reach_all_masters_by_the_one_line_file() {
    if skipped("kubelets_reach_all_masters_by_the_one_line_file") {
        return;
    }
    let cluster = Cluster::new(Shape::default()).unwrap();
    let ca = Ca::new();
    let masters = masters(&cluster, &ca);
    let lb = Program::Apiserver.start(Some(&cluster.host("lb")), ONE_LINE);
    let target = Target::new((LB_VIP, 6443).into(), "kubernetes", &ca);
    let (lasting, singles) = requests(&cluster, &target, size(30_000, 800));
    let all = lasting.requests + singles.requests;
    let failed = lasting.failed + singles.failed;
    let mut by_master = lasting.by_master.clone();
    for (master, count) in &singles.by_master {
        *by_master.entry(master.clone()).or_default() += count;
    }
    let share = by_master.values().min().copied().unwrap_or_default() * 100 / all.max(1);
    let passed = failed == 0 && by_master.len() == masters.len() && share >= SHARE;
    let slowest = lasting.slowest.max(singles.slowest);
    let figure = format!("{failed} of {all} failed; answers by master: {by_master:?}");
    Item::new("2.1 kubelets through eclusa-apiserver, one-line file")
        .bound(format!("0 failed, no master below {SHARE} % of the answers"))
        .n(all)
        .worst(format!("{} ms", slowest.as_millis()))
        .median(format!("{:.1} ms", singles.median.as_secs_f64() * 1e3))
        .record(passed, figure);
    let sessions = usize::try_from(singles.requests).unwrap() + 3 * KUBELETS;
    records_tell_all(&cluster, &lb, sessions);
}

/// The log has a record for each session, and each names client, endpoint, name and end.
fn records_tell_all(cluster: &Cluster, lb: &Product, at_least: usize) {
    let records = lb.wait_sessions(at_least, "records of all sessions", |_| true);
    let of = |prefix: &str, port: &str| -> HashSet<String> {
        let hosts = cluster.hosts().iter().filter(|host| host.name().starts_with(prefix));
        hosts.map(|host| format!("{}{port}", host.address())).collect()
    };
    let (clients, endpoints) = (of("worker", ""), of("master", ":6443"));
    let mut letters = BTreeMap::<String, usize>::new();
    let mut wrong = Vec::new();
    for record in &records {
        let client = record["client"].as_str().and_then(|client| client.rsplit_once(':'));
        let right = client.is_some_and(|(ip, _)| clients.contains(ip))
            && record["endpoint"].as_str().is_some_and(|endpoint| endpoints.contains(endpoint))
            && record["sni"] == "kubernetes"
            && record["local"] == "10.0.0.5:6443"
            && record["bytes"]["up"].as_u64() > Some(0)
            && record["bytes"]["down"].as_u64() > Some(0)
            && record["tcp"]["client"]["rtt_us"].is_u64();
        if !right {
            wrong.push(record.to_string());
        }
        *letters.entry(record["letters"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    let clean = letters.get("--").copied().unwrap_or_default();
    // Clients that were in the midst of a request when the test ended them.
    let cut = letters.get("CD").copied().unwrap_or_default();
    let most = 3 * (KUBELETS + 1);
    Item::new("2.1.1 its log")
        .bound(format!(
            "each record names client, endpoint, SNI; all `--` but {most} cut by the test"
        ))
        .n(records.len())
        .record(
            wrong.is_empty() && clean + cut == records.len() && cut <= most,
            format!("{}; letters {letters:?}", wrong_of(records.len(), &wrong)),
        );
}

#[test]
fn a_run_from_options_serves() {
    if skipped("a_run_from_options_serves") {
        return;
    }
    let cluster = Cluster::new(Shape::default()).unwrap();
    let ca = Ca::new();
    let _masters = masters(&cluster, &ca);
    let arguments = [
        "run",
        "--listen",
        "10.0.0.10:6443",
        "--master",
        "10.0.0.11",
        "--master",
        "10.0.0.12:6443",
    ];
    let runner = Program::Apiserver.runner(Some(&cluster.host("lb"))).args(arguments);
    let mut lb = Product::from(runner.start().unwrap());
    lb.wait_ready();
    let target = Target::new("10.0.0.10:6443".parse().unwrap(), "kubernetes", &ca);
    let worker = cluster.host("worker2");
    let who = worker.enter(|| eclusa_testkit::client::who_answers(&target, "/readyz", PATIENCE));
    let who = who.unwrap();
    let right = who.status == 200 && ["master1", "master2"].contains(&who.master.as_str());
    Item::new("2.1.2 run --listen --master")
        .bound("a master of the command line answers")
        .record(right, format!("{} answered {}", who.master, who.status));
}
