//! Masters as processes in the namespace cluster, and clients on its hosts that see them die.

use eclusa_testkit::apiserver::{MasterProcess, Settings};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::client::{Client, Outcome, Target, WatchSettings, Watcher, who_answers};
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use eclusa_testkit::wait_until;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn clients_on_a_worker_see_masters_freeze_and_die() {
    if skipped("clients_on_a_worker_see_masters_freeze_and_die") {
        return;
    }
    let cluster = Cluster::new(Shape::default()).unwrap();
    let (ca, worker) = (Ca::new(), cluster.host("worker1"));
    let mut masters: Vec<(Target, MasterProcess)> = cluster
        .masters()
        .map(|host| {
            let settings = Settings::plain(host.name());
            let names = ["kubernetes", host.name()];
            let address = host.at(6443);
            let master = MasterProcess::start(Some(host), address, &ca, &names, &settings).unwrap();
            (Target::new(address, "kubernetes", &ca), master)
        })
        .collect();
    assert_eq!(masters.len(), 3);
    for (number, (target, _)) in masters.iter().enumerate() {
        let who = worker.enter(|| who_answers(target, "/readyz", LIMIT)).unwrap();
        assert_eq!(who.master, format!("master{}", number + 1));
        assert!(who.client.starts_with(&worker.address().to_string()), "{}", who.client);
    }

    let (target, master) = &mut masters[0];
    let deadline = Duration::from_millis(300);
    let kubelet = worker.enter(|| Client::kubelet(target, 50.0, deadline)).unwrap();
    kubelet.wait_for_more(10, LIMIT);
    master.freeze().unwrap();
    wait_until(LIMIT, "timeouts", || kubelet.summary().outcomes.contains_key("timeout"));
    master.thaw().unwrap();
    let back = kubelet.now();
    wait_until(LIMIT, "answers", || kubelet.summary_since(back).by_master.contains_key("master1"));

    let (target, master) = &mut masters[1];
    let watcher = worker.enter(|| Watcher::start(target, WatchSettings::default())).unwrap();
    watcher.wait_for_more(3, LIMIT);
    master.kill();
    wait_until(LIMIT, "the cut", || watcher.report().cuts().len() == 1);
    wait_until(LIMIT, "a refusal", || {
        let report = watcher.report();
        report.sessions.iter().any(|one| matches!(one.end, Some((_, Outcome::Refused))))
    });
    assert!(master.command("faults").is_err(), "nobody is there to answer");

    let (target, master) = &mut masters[2];
    master.command("readyz 500").unwrap();
    assert_eq!(worker.enter(|| who_answers(target, "/readyz", LIMIT)).unwrap().status, 500);
    master.terminate().unwrap();
    assert!(master.process().wait_exit(LIMIT).success());
}
