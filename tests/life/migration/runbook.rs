//! The runbook on two hosts that share an address by keepalived: import, observe, canary, switch, and the way back.
//! Clients are at it all the time.

use super::clients::{Clients, Told};
use super::keepalived::{Files, Keepalived};
use super::said;
use e2e::client::missing;
use e2e::product::{PATIENCE, Product, Program};
use e2e::proof::{Item, full, size, wrong_of};
use eclusa_testkit::apiserver::{ApiServer, Settings};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::client::{Client, Target};
use eclusa_testkit::netns::{Cluster, Host, LB_VIP, Shape, skipped};
use eclusa_testkit::process::{Peer, Scratch, Signal, binary};
use eclusa_testkit::wait::wait_until;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// As in kubeadm's guide for two balancers, with room for watches.
const HAPROXY: &str = "\
global
    stats socket {directory}/admin.sock
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend apiserver
    bind *:6443
    default_backend apiserverbackend
backend apiserverbackend
    option httpchk GET /healthz
    http-check expect status 200
    balance roundrobin
    default-server inter 1s fall 3 rise 2 check check-ssl verify none
    server master1 10.0.0.11:6443
    server master2 10.0.0.12:6443
    server master3 10.0.0.13:6443
";
/// Where connections are taken from.
const TAKE: &str = "10.0.0.5:6443";
/// HAProxy's end and its clients' news of it lie no further apart.
const CUT: Duration = Duration::from_secs(2);

/// A host that balances.
struct Balancer {
    host: Host,
    keepalived: Keepalived,
    haproxy: Option<Peer>,
    /// From the step on in which it is started.
    ours: Option<Product>,
}

impl Balancer {
    fn start(host: Host, priority: u8, peer: Ipv4Addr) -> Self {
        let haproxy = start_haproxy(&host);
        let files = Files::new(priority, host.address(), peer);
        Self {
            keepalived: Keepalived::start(&host, files),
            host,
            haproxy: Some(haproxy),
            ours: None,
        }
    }

    fn ours(&self) -> &Product {
        self.ours.as_ref().unwrap()
    }

    /// A command on this host, of the program that runs.
    fn say(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = self.host.command(binary("eclusa-apiserver").unwrap());
        let ours = self.ours();
        command.args(words).arg("--socket").arg(ours.run_directory().join("apiserver.sock"));
        if words[0] == "canary" {
            command.arg("-c").arg(ours.config().unwrap());
        }
        said(&mut command)
    }

    #[track_caller]
    fn done(&self, words: &[&str]) -> String {
        let (code, text) = self.say(words);
        assert_eq!(code, Some(0), "{}: {words:?}: {text}", self.host.name());
        text
    }

    fn canary(&self) -> Value {
        let all: Value = serde_json::from_str(&self.done(&["canary", "--json"])).unwrap();
        all["canaries"][0].clone()
    }

    fn moved(&self) -> u64 {
        self.canary()["moved"].as_u64().unwrap()
    }

    /// Sets a share; the other host may have the address.
    #[track_caller]
    fn move_share(&self, share: &str) {
        self.done(&["canary", share, "--take", TAKE, "--vip"]);
    }

    /// Changes where ours listens, and reloads.
    #[track_caller]
    fn listen(&self, from: &str, to: &str) {
        let file = self.ours().config().unwrap();
        let text = once(&std::fs::read_to_string(file).unwrap(), from, to);
        std::fs::write(file, text).unwrap();
        self.done(&["reload"]);
    }

    fn stop_haproxy(&mut self) {
        let mut haproxy = self.haproxy.take().unwrap();
        haproxy.running().signal(Signal::TERM).unwrap();
        haproxy.running().wait_exit(PATIENCE);
    }

    /// Sessions of HAProxy's clients, by its own count.
    fn sessions_of_haproxy(&self) -> usize {
        let haproxy = self.haproxy.as_ref().unwrap();
        let mut socket = UnixStream::connect(haproxy.directory().join("admin.sock")).unwrap();
        socket.write_all(b"show stat\n").unwrap();
        let mut table = String::new();
        socket.read_to_string(&mut table).unwrap();
        let line = table.lines().find(|line| line.starts_with("apiserver,FRONTEND,")).unwrap();
        line.split(',').nth(4).unwrap().parse().unwrap()
    }
}

fn start_haproxy(host: &Host) -> Peer {
    Peer::haproxy(Some(host), HAPROXY, &[6443]).unwrap()
}

/// Changes the one place where `from` stands.
#[track_caller]
fn once(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "`{from}` in: {text}");
    text.replace(from, to)
}

/// The configuration that `import` writes, and what it puts in the place of keepalived's check.
fn import(keepalived: &Path) -> (String, String) {
    let scratch = Scratch::new("migration").unwrap();
    // Both hosts have one file system here, and would have one such socket.
    let cfg = once(HAPROXY, "    stats socket {directory}/admin.sock\n", "");
    let cfg = scratch.write("haproxy.cfg", &cfg).unwrap();
    let out = scratch.path().join("apiserver.toml");
    let mut command = Command::new(binary("eclusa-apiserver").unwrap());
    command.arg("import").arg(&cfg).arg("-o").arg(&out);
    command.args(["--report", "json", "--keepalived"]).arg(keepalived);
    let (code, report) = said(&mut command);
    assert_eq!(code, Some(0), "{report}");
    let report: Value = serde_json::from_str(&report).unwrap();
    let found = report["keepalived"]["found"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    (std::fs::read_to_string(out).unwrap(), found[0]["instead"].as_str().unwrap().to_owned())
}

/// What the operator writes into it: the port beside HAProxy's, and where the hosts ask each other.
fn edited(imported: &str, own: Ipv4Addr, other: Ipv4Addr) -> String {
    let text = once(imported, "listen = [\"0.0.0.0\"]", "listen = [\"0.0.0.0:16443\"]");
    let both = format!("listen = [\"127.0.0.1:9643\", \"{own}:9643\"]");
    let text = once(&text, "listen = [\"127.0.0.1:9643\"]", &both);
    once(&text, "#peer = \"http://OTHER-HOST:9643\"", &format!("peer = \"http://{other}:9643\""))
}

/// Looks on beside HAProxy, without a listener.
fn observe(balancer: &Balancer, config: &str) {
    let scratch = Scratch::new("observe").unwrap();
    let file = scratch.write("apiserver.toml", config).unwrap();
    let socket = balancer.haproxy.as_ref().unwrap().directory().join("admin.sock");
    let mut command = balancer.host.command(binary("eclusa-apiserver").unwrap());
    command.args(["observe", "--json", "--for", size("10s", "2s"), "-c"]).arg(file);
    command.arg("--haproxy").arg(socket);
    let (code, text) = said(&mut command);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("\"summary\""), "{text}");
}

/// Two hosts and what stands behind them.
struct Site {
    /// First the one that holds the address.
    balancers: [Balancer; 2],
    _masters: Vec<ApiServer>,
    ca: Ca,
    cluster: Cluster,
}

impl Site {
    fn new() -> Self {
        let (cluster, ca) = (Cluster::new(Shape::default()).unwrap(), Ca::new());
        let master = |host: &Host| {
            let leaf = ca.leaf(&["kubernetes", host.name(), &host.address().to_string()]);
            host.enter(|| ApiServer::start(host.at(6443), Settings::new(host.name(), &leaf)))
                .unwrap()
        };
        let masters = cluster.masters().map(master).collect();
        let [one, two] = [cluster.host("lb"), cluster.host("worker3")];
        // It is keepalived's from now on.
        one.run("ip", &["addr", "del", &format!("{LB_VIP}/32"), "dev", "cluster"]).unwrap();
        let [own, other] = [one.address(), two.address()];
        let mut first = Balancer::start(one, 110, other);
        first.keepalived.wait_for_address();
        let second = Balancer::start(two, 100, own);
        Self { balancers: [first, second], _masters: masters, ca, cluster }
    }
}

/// What a migration showed.
struct Shown {
    told: Told,
    /// HAProxy's end on the host with the address, and how many sessions it had then.
    stop: (Instant, usize),
    /// Moved by each share.
    moved: Vec<String>,
    states: [Vec<String>; 2],
    checks_failed: bool,
}

fn migrate(site: &mut Site) -> Shown {
    let mut clients = Clients::start(&site.cluster, &site.ca);
    let (imported, check) = import(&site.balancers[0].keepalived.config());
    let [own, other] = [0, 1].map(|it| site.balancers[it].host.address());
    let files = [edited(&imported, own, other), edited(&imported, other, own)];
    for (balancer, file) in site.balancers.iter_mut().zip(&files) {
        observe(balancer, file);
        balancer.ours = Some(Program::Apiserver.start(Some(&balancer.host), file));
        let up = || balancer.done(&["status"]).contains("3/3 ready");
        wait_until(PATIENCE, "three masters", up);
        // The check of keepalived asks ours from now on, whoever carries the traffic.
        balancer.keepalived.check_by(&check);
    }
    let moved = canary(site, &mut clients);
    assert_eq!(clients.cut(), 0, "watches that stand stay where they are");
    let stop = switch(site, &mut clients);
    back(site, &mut clients);
    let states = [0, 1].map(|it| site.balancers[it].keepalived.states());
    let checks_failed = site.balancers.iter().any(|it| it.keepalived.has_failed());
    Shown { told: clients.stop(), stop, moved, states, checks_failed }
}

/// More and more, once undone in between.
fn canary(site: &Site, clients: &mut Clients) -> Vec<String> {
    let [first, second] = &site.balancers;
    let mut moved = Vec::new();
    for (share, least) in [("5%", size(20, 1)), ("50%", size(500, 10)), ("100%", size(500, 10))] {
        [second, first].iter().for_each(|it| it.move_share(share));
        wait_until(PATIENCE * 2, "moved connections", || first.moved() >= least);
        let now = first.canary();
        moved.push(format!("{share}: {} of {}", now["moved"], now["new_connections"]));
        if share == "50%" {
            // Watches of both; then all of it back, and forth again.
            clients.watch(size(12, 4));
            first.done(&["canary", "off"]);
            clients.wait_for_more(size(50, 3));
        }
    }
    let second = second.canary();
    assert_eq!((&second["new_connections"], &second["share_percent"]), (&0.into(), &100.0.into()));
    moved
}

/// HAProxy goes, first where nobody is; at 100% no new connection needs it.
fn switch(site: &mut Site, clients: &mut Clients) -> (Instant, usize) {
    let mut stop = (Instant::now(), 0);
    for number in [1, 0] {
        let balancer = &mut site.balancers[number];
        stop = (Instant::now(), balancer.sessions_of_haproxy());
        balancer.stop_haproxy();
        clients.wait_for_more(size(50, 3));
        balancer.listen(
            "listen = [\"0.0.0.0:16443\"]",
            "listen = [\"0.0.0.0:6443\", \"0.0.0.0:16443\"]",
        );
        balancer.done(&["canary", "off"]);
        clients.wait_for_more(size(50, 3));
    }
    clients.watch(size(12, 2));
    stop
}

/// The same way back: new connections go to ours by its other port until HAProxy has its own again.
fn back(site: &mut Site, clients: &mut Clients) {
    for number in [1, 0] {
        let balancer = &mut site.balancers[number];
        balancer.move_share("100%");
        balancer.listen(
            "listen = [\"0.0.0.0:6443\", \"0.0.0.0:16443\"]",
            "listen = [\"0.0.0.0:16443\"]",
        );
        clients.wait_for_more(size(50, 3));
        balancer.haproxy = Some(start_haproxy(&balancer.host));
        balancer.done(&["canary", "off"]);
        clients.wait_for_more(size(50, 3));
    }
}

/// keepalived ends on the first host: whoever has the address moves connections, and nobody said anything again.
/// How many came then, how many failed, and how many were moved.
fn address_moves(site: &mut Site) -> [u64; 3] {
    let [first, second] = &mut site.balancers;
    [&*second, &*first].iter().for_each(|it| it.move_share("100%"));
    first.keepalived.stop();
    second.keepalived.wait_for_address();
    let target = Target::new((LB_VIP, 6443).into(), "kubernetes", &site.ca);
    let start = || Client::singles(&target, 50.0, PATIENCE);
    let client = site.cluster.host("worker2").enter(start).unwrap();
    client.wait_for_more(50, PATIENCE);
    let sum = client.stop();
    [sum.requests, sum.failed, second.moved()]
}

/// All runs together.
#[derive(Default)]
struct Sum {
    requests: u64,
    failed: Vec<String>,
    slowest: Duration,
    watches: usize,
    /// Watches that HAProxy's end cut, and those that something else did.
    by_haproxy: usize,
    cut: Vec<String>,
    asked: u32,
    lost: Vec<String>,
    ping: Duration,
    moved: Vec<String>,
}

impl Sum {
    fn add(&mut self, shown: &Shown) {
        let Shown { told, stop: (stop, of_haproxy), moved, states, checks_failed } = shown;
        self.requests += told.requests;
        self.failed.extend(told.failed.iter().cloned());
        self.slowest = self.slowest.max(told.slowest);
        let mut by_haproxy = 0;
        for watch in &told.watches {
            let (cuts, dials) = (watch.cuts(), watch.failed_dials());
            let of_stop = |cut: &&Instant| (*stop..*stop + CUT).contains(*cut);
            by_haproxy += cuts.iter().filter(of_stop).count();
            let others = cuts.iter().filter(|cut| !of_stop(cut));
            self.cut.extend(
                others.map(|cut| {
                    format!("a watch {:?} from HAProxy's end", cut.duration_since(*stop))
                }),
            );
            self.failed.extend((dials > 0).then(|| format!("{dials} watches could not begin")));
            self.cut.extend(
                (watch.missing() > 0).then(|| format!("{} events missing", watch.missing())),
            );
        }
        // All that were there, and none that was not.
        let fine = (size(12, 4)..=*of_haproxy).contains(&by_haproxy);
        self.cut.extend(
            (!fine)
                .then(|| format!("HAProxy had {of_haproxy} sessions, and {by_haproxy} were cut")),
        );
        self.by_haproxy += by_haproxy;
        self.watches += told.watches.len();
        self.asked += told.ping.asked;
        self.ping = self.ping.max(told.ping.slowest);
        self.lost.extend((told.ping.lost > 0).then(|| format!("{} pings lost", told.ping.lost)));
        let states_fine = states[0] == ["BACKUP", "MASTER"] && states[1] == ["BACKUP"];
        self.lost.extend((!states_fine).then(|| format!("keepalived went through {states:?}")));
        self.lost.extend(checks_failed.then(|| "a check of keepalived failed".to_owned()));
        self.moved.extend(moved.iter().cloned());
    }

    fn record(self, runs: usize) {
        Item::new(
            "3.1 new connections, requests and watches, through import, canary, switch and back",
        )
        .bound("0 failed")
        .n(self.requests)
        .worst(format!("{} ms", self.slowest.as_millis()))
        .note(format!(
            "{runs} migrations of two hosts; moved of new connections: {}",
            self.moved.join(", ")
        ))
        .record(self.failed.is_empty(), wrong_of(self.requests as usize, &self.failed));
        Item::new("3.2 watches that stand")
            .bound("cut by HAProxy's own end alone, and no event missing")
            .n(self.watches)
            .note(format!("{} stood on HAProxy when it was stopped", self.by_haproxy))
            .record(self.cut.is_empty(), wrong_of(self.watches, &self.cut));
        Item::new("3.3 the address that keepalived holds")
            .bound("every ping answered, keepalived stays in its state, its check never fails")
            .n(self.asked)
            .worst(format!("{} ms", self.ping.as_millis()))
            .record(self.lost.is_empty(), wrong_of(self.asked as usize, &self.lost));
    }
}

#[test]
fn from_haproxy_and_back_nobody_notices() {
    let test = "from_haproxy_and_back_nobody_notices";
    if skipped(test) || ["haproxy", "keepalived", "curl"].iter().any(|it| missing(test, it)) {
        return;
    }
    let runs = size(5, 1);
    let (mut all, mut after) = (Sum::default(), [0; 3]);
    for _ in 0..runs {
        let mut site = Site::new();
        let shown = migrate(&mut site);
        all.add(&shown);
        if full() {
            let [requests, failed, moved] = address_moves(&mut site);
            after[0] += requests;
            after[1] += failed;
            // One that has been moved may not have been answered yet.
            after[2] += moved.min(requests);
        }
    }
    all.record(runs);
    if full() {
        let [requests, failed, moved] = after;
        Item::new("3.4 the address on the other host, where a canary of 100% stood before it came")
            .bound("0 failed, all are moved")
            .n(requests)
            .record(failed == 0 && moved == requests, format!("{failed} failed, {moved} moved"));
    }
}
