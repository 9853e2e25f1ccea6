//! A day of an operator in the cluster, from the command line alone: a master is drained, rebooted and
//! returned, two join, routes are changed on trial, a slow client is found out, a certificate is renewed. No
//! client notices.

mod edge;
mod masters;

use e2e::product::{Product, Program};
use e2e::proof::{Item, full, size, wrong_of};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::client::{Client, Outcome, Summary, Watcher};
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use eclusa_testkit::process::binary;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// How long clients wait for an answer.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long the operator waits for what must come of an order.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that runs, and whoever orders it.
struct Hand {
    product: Product,
    program: Program,
}

impl Hand {
    /// Exit code, standard output and standard error of a command.
    fn say(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let name = self.program.name();
        let short = name.trim_start_matches("eclusa-");
        let mut command = Command::new(binary(name).unwrap());
        command.args(words);
        // A file is checked whether the program runs or not.
        if words[0] != "check" {
            command.arg("--socket");
            command.arg(self.product.run_directory().join(format!("{short}.sock")));
        }
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    #[track_caller]
    fn done(&self, words: &[&str]) -> String {
        let (code, out, err) = self.say(words);
        assert_eq!(code, Some(0), "{words:?}: {out}{err}");
        out
    }

    #[track_caller]
    fn ask(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[words, &["--json"]].concat())).unwrap()
    }

    /// What `status` says of an endpoint.
    fn endpoint(&self, pool: &str, name: &str) -> Value {
        let status = self.ask(&["status", pool]);
        let endpoints = status["pools"][0]["endpoints"].as_array().unwrap();
        endpoints.iter().find(|it| it["name"] == name).cloned().unwrap_or_default()
    }

    /// Sessions that stand on an endpoint.
    fn standing(&self, name: &str) -> u64 {
        let list = self.ask(&["session", "list", "--endpoint", name, "--limit", "1"]);
        list["matching"].as_u64().unwrap()
    }

    fn write(&self, text: &str) {
        std::fs::write(self.product.config().unwrap(), text).unwrap();
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.product.config().unwrap()).unwrap()
    }
}

/// Operations of clients, and those that failed.
#[derive(Default)]
struct Operations {
    count: usize,
    failed: Vec<String>,
    slowest: Duration,
}

impl Operations {
    fn requests(&mut self, who: &str, client: Client) {
        let Summary { requests, failed, outcomes, slowest, .. } = client.stop();
        self.count += usize::try_from(requests).unwrap();
        self.slowest = self.slowest.max(slowest);
        self.failed.extend((failed > 0).then(|| format!("{who}: {outcomes:?}")));
    }

    /// A watch that ends in good order is begun anew; one that is cut, or lacks events, has failed.
    fn watch(&mut self, watcher: &Watcher) {
        let report = watcher.report();
        self.count += report.sessions.len();
        let bad = |end: &Option<(Duration, Outcome)>| {
            end.as_ref().is_some_and(|(_, outcome)| *outcome != Outcome::Ok)
        };
        let cut = report.sessions.iter().filter(|session| bad(&session.end));
        self.failed.extend(cut.map(|session| format!("a watch: {session:?}")));
        let missing = report.missing();
        self.failed.extend((missing > 0).then(|| format!("a watch misses {missing} events")));
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.failed.extend(other.failed);
        self.slowest = self.slowest.max(other.slowest);
    }
}

#[test]
fn a_day_of_an_operator_costs_no_client_anything() {
    if skipped("a_day_of_an_operator_costs_no_client_anything") {
        return;
    }
    let days = size(5, 1);
    let mut all = Operations::default();
    let (mut reboots, mut waits) = (masters::Seen::default(), edge::Seen::default());
    for _ in 0..days {
        let shape = Shape { masters: 5, workers: 2, ..Shape::default() };
        let (cluster, ca) = (Cluster::new(shape).unwrap(), Ca::new());
        if full() {
            all.add(masters::day(&cluster, &ca, &mut reboots));
            all.add(edge::day(&cluster, &ca, &mut waits));
            continue;
        }
        // Two operators at once: every day has no time to lose.
        let (one, other) = std::thread::scope(|scope| {
            let inside = scope.spawn(|| masters::day(&cluster, &ca, &mut reboots));
            let outside = edge::day(&cluster, &ca, &mut waits);
            (inside.join().unwrap(), outside)
        });
        all.add(one);
        all.add(other);
    }
    reboots.record(days);
    waits.record(days);
    Item::new("1.6 operations of clients during all of it")
        .bound("0 failed: requests over lasting and new connections, watches")
        .n(all.count)
        .worst(format!("the slowest took {} ms", all.slowest.as_millis()))
        .record(all.failed.is_empty(), wrong_of(all.count, &all.failed));
}

/// The longest of some times, in words.
fn worst(times: &[Duration]) -> String {
    format!("{} ms", times.iter().max().map_or(0, Duration::as_millis))
}
