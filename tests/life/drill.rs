//! Drills before masters that know nothing of them: what a real fault would do is done, and told.

use e2e::product::{PATIENCE, Product, Program};
use e2e::proof::{Item, full, size};
use eclusa_testkit::apiserver::{ApiServer, Settings};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::client::{Client, Target, WatchSettings, Watcher};
use eclusa_testkit::netns::{Cluster, LB_VIP, Shape, skipped};
use eclusa_testkit::process::binary;
use eclusa_testkit::wait::wait_until;
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const FILE: &str = "masters = [\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.13\"]\nworkers = 2\n\
                    [admin]\ndrills = true\n";
const DRILLED: &str = "apiserver/10.0.0.12";
const DEADLINE: Duration = Duration::from_secs(20);

/// Masters, the balancer, and who asks; in the order in which they end.
struct Bed {
    singles: Client,
    watchers: Vec<Watcher>,
    balancer: Product,
    masters: Vec<ApiServer>,
    _cluster: Cluster,
}

impl Bed {
    fn start() -> Self {
        let shape = Shape { masters: 3, workers: 1, ..Shape::default() };
        let (cluster, ca) = (Cluster::new(shape).unwrap(), Ca::new());
        let master = |host: &eclusa_testkit::netns::Host| {
            let leaf = ca.leaf(&["kubernetes", host.name()]);
            let settings = Settings::new(host.name(), &leaf);
            host.enter(|| ApiServer::start(host.at(6443), settings)).unwrap()
        };
        let masters = cluster.masters().map(master).collect();
        let balancer = Program::Apiserver.start(Some(&cluster.host("lb")), FILE);
        let worker = cluster.host("worker1");
        let target = Target::new((LB_VIP, 6443).into(), "kubernetes", &ca);
        let watch = |_| {
            let settings = WatchSettings { deadline: DEADLINE, ..WatchSettings::default() };
            worker.enter(|| Watcher::start(&target, settings)).unwrap()
        };
        let up = || {
            let status = ask(&balancer, &["status"]);
            let all = status["pools"][0]["endpoints"].as_array().unwrap();
            all.iter().all(|it| it["verdict"] == "up")
        };
        wait_until(PATIENCE, "three masters that are up", up);
        let watchers: Vec<_> = (0..9).map(watch).collect();
        let singles = worker.enter(|| Client::singles(&target, 40.0, DEADLINE)).unwrap();
        let mut bed = Self { singles, watchers, balancer, masters, _cluster: cluster };
        bed.wait_for_events();
        assert!(bed.watches("master2") > 0, "two random choices leave no master without a watch");
        // A master with more watches than any other gets no single connection either.
        while ["master1", "master3"].iter().all(|it| bed.watches(it) < bed.watches("master2")) {
            assert!(bed.watchers.len() < 20, "of two random ones the one with fewer is taken");
            bed.watchers.push(watch(0));
            bed.wait_for_events();
        }
        bed
    }

    fn ask(&self, words: &[&str]) -> Value {
        ask(&self.balancer, words)
    }

    fn verdict(&self) -> Value {
        let status = self.ask(&["status"]);
        status["pools"][0]["endpoints"][1]["verdict"].clone()
    }

    /// A drill, and the command that waits for its end.
    fn drill(&self, words: &[&str]) -> Child {
        let mut command = command(&self.balancer, &[&["drill"], words].concat());
        let child = command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        wait_until(PATIENCE, "the drill", || self.ask(&["status"])["drill"].is_object());
        child.unwrap()
    }

    fn wait_for_events(&self) {
        let flow = || self.watchers.iter().all(|watcher| watcher.report().events() > 1);
        wait_until(PATIENCE, "events for all", flow);
    }

    /// Watches that stand on a master.
    fn watches(&self, name: &str) -> usize {
        let last = |it: &Watcher| it.report().sessions.last().and_then(|it| it.master.clone());
        self.watchers.iter().filter(|it| last(it).as_deref() == Some(name)).count()
    }

    /// Watches that ended.
    fn cuts(&self) -> usize {
        self.watchers.iter().map(|watcher| watcher.report().cuts().len()).sum()
    }
}

fn command(balancer: &Product, words: &[&str]) -> Command {
    let mut command = Command::new(binary("eclusa-apiserver").unwrap());
    let socket = balancer.run_directory().join("apiserver.sock");
    command.args(words).arg("--socket").arg(socket);
    command
}

#[track_caller]
fn ask(balancer: &Product, words: &[&str]) -> Value {
    let output = command(balancer, words).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn report(child: Child) -> Value {
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The verdicts of a report, one after the other.
fn verdicts(report: &Value) -> Vec<&str> {
    let all = report["verdicts"].as_array().unwrap().iter();
    all.map(|it| it["verdict"].as_str().unwrap()).collect()
}

#[test]
fn a_frozen_master_is_found_dead_and_its_watches_come_back_elsewhere() {
    if skipped("a_frozen_master_is_found_dead_and_its_watches_come_back_elsewhere") {
        return;
    }
    let bed = Bed::start();
    let began = bed.singles.now();
    let drill =
        bed.drill(&["freeze", DRILLED, "--for", size("20s", "60s"), "--reason", "rehearsal"]);
    // Those that were on their way have come.
    bed.singles.wait_for_more(4, PATIENCE);
    let asked = bed.masters[1].counters().connections;
    wait_until(PATIENCE, "the verdict", || bed.verdict() == "dead");
    wait_until(PATIENCE, "its watches to be reset", || {
        bed.ask(&["session", "list", "--endpoint", "10.0.0.12"])["matching"] == 0
    });
    assert_eq!(bed.masters[1].counters().connections, asked, "nobody has asked the master");
    let back = || {
        let flows = |it: &Watcher| it.report().sessions.last().is_some_and(|it| it.events > 0);
        bed.watchers.iter().all(flows) && bed.watches("master2") == 0
    };
    wait_until(PATIENCE, "all watches elsewhere", back);
    if !full() {
        bed.ask(&["drill", "stop"]);
    }
    let report = report(drill);
    let connections = &report["connections"];
    let met = connections["met"].as_u64().unwrap();
    let singles = bed.singles.summary_since(began);
    let longest = bed.watchers.iter().map(|it| it.report().longest_silence).max().unwrap();
    let told = verdicts(&report);
    let right = singles.failed == 0
        && met > 0
        && connections["failed"] == 0
        && report["of_pool"]["unserved"] == 0
        && told.first() == Some(&"up")
        && told.contains(&"dead")
        && report["of_pool"]["broken"].as_u64().is_some_and(|n| n > 0)
        && report["standing"][0].as_u64().is_some_and(|n| n > 0)
        && bed.cuts() > 0;
    Item::new("1.7 drill: a master frozen under new connections and watches")
        .bound("as by a real fault: dead, its watches reset and back; 0 new connections fail; told")
        .n(singles.requests)
        .worst(format!(
            "{} ms without an event, {} ms for a connection",
            longest.as_millis(),
            connections["slowest_ms"]
        ))
        .note(format!(
            "{}: {} on, {} cut; {met} connections met it",
            told.join(", "),
            report["standing"][0],
            bed.cuts()
        ))
        .record(right, format!("{} of {} failed; {report}", singles.failed, singles.requests));
}

#[test]
fn a_master_that_refuses_in_a_drill_keeps_what_stands_on_it() {
    if skipped("a_master_that_refuses_in_a_drill_keeps_what_stands_on_it") {
        return;
    }
    let bed = Bed::start();
    let began = bed.singles.now();
    let drill = bed.drill(&["refuse", DRILLED, "--for", size("20s", "60s")]);
    wait_until(PATIENCE, "the verdict", || bed.verdict() == "dead");
    let refused = command(&bed.balancer, &["endpoint", "drain", "apiserver/10.0.0.11"]).output();
    assert_eq!(refused.unwrap().status.code(), Some(3), "what is in a drill counts for nobody");
    bed.singles.wait_for_more(20, PATIENCE);
    bed.ask(&["drill", "stop"]);
    let report = report(drill);
    wait_until(PATIENCE, "up again", || bed.verdict() == "up");
    let singles = bed.singles.summary_since(began);
    let right = singles.failed == 0 && bed.cuts() == 0 && report["connections"]["failed"] == 0;
    Item::new("1.8 drill: a master refuses")
        .bound("dead, 0 connections fail, what stands goes on; up again afterwards")
        .n(singles.requests)
        .record(right, format!("{} failed, {} watches cut; {report}", singles.failed, bed.cuts()));
}
