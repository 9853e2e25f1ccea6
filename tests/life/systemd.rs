//! What the service tells systemd, heard at a real notification socket.

use e2e::plain::try_connect;
use e2e::product::{ConfigFile, PATIENCE, Product, Program};
use e2e::proof::Item;
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use eclusa_testkit::process::{Manager, Signal};
use eclusa_testkit::wait::wait_until;
use std::io::ErrorKind;
use std::time::Duration;

const CONFIG: &str = r#"
workers = 2
stop_deadline = "1s"
[listener.web]
listen = ["192.168.1.2:443"]
pool = "web"
[pool.web]
endpoints = ["10.0.1.100:443"]
"#;

/// What the manager wants to hear of the service within.
const WATCHDOG: Duration = Duration::from_millis(600);

#[test]
fn the_service_tells_systemd_how_it_is() {
    if skipped("the_service_tells_systemd_how_it_is") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let manager = Manager::new().unwrap().watchdog(WATCHDOG);
    let file = ConfigFile::new(CONFIG);
    let runner = Program::Edge.runner(Some(&cluster.host("edge")));
    let runner = manager.runner(runner.args(["run", "-c"]).args([file.path()]));
    let mut edge = Product::from(runner.start().unwrap());
    let ready = manager.wait_for(PATIENCE, "READY=1");
    // Ready means that it listens. No endpoint serves here, so whoever comes is accepted, then reset.
    let to = "192.168.1.2:443".parse().unwrap();
    let came = try_connect(&cluster.host("outside1"), to, PATIENCE);
    let refused = came.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
    assert!(!refused, "it listens");
    let status = manager.wait_for(PATIENCE, "STATUS=");
    assert!(status.lines[0].contains("/1 endpoints ready, 0 sessions"), "{status:?}");
    let stored = manager.wait_for(PATIENCE, "FDSTORE=1");
    assert!(stored.at < ready.at, "stored before it is ready");
    assert_eq!(stored.lines, ["FDSTORE=1", "FDNAME=192.168.1.2_443-0", "FDPOLL=0"]);
    // The watchdog is petted in time, again and again, and by the engine: one that is frozen is not
    // covered up for.
    wait_until(PATIENCE, "ten times", || manager.with("WATCHDOG=1").len() >= 10);
    let pets = manager.with("WATCHDOG=1");
    let worst = pets.windows(2).map(|two| two[1].at - two[0].at).max().unwrap();
    assert!(worst < WATCHDOG, "{worst:?}");
    edge.signal(Signal::STOP).unwrap();
    wait_until(PATIENCE, "a silence", || {
        manager.with("WATCHDOG=1").last().unwrap().at.elapsed() > WATCHDOG
    });
    edge.signal(Signal::CONT).unwrap();
    edge.signal(Signal::TERM).unwrap();
    assert_eq!(edge.wait_exit(PATIENCE).code(), Some(0));
    let stopping = manager.wait_for(PATIENCE, "STOPPING=1");
    // It says how long it may take: the deadline of 1 s and what comes after.
    let more = manager.with("EXTEND_TIMEOUT_USEC=").len();
    let senders: Vec<_> = manager.notifications().iter().map(|one| one.pid).collect();
    let by_main = senders.iter().all(|sender| *sender == edge.pid());
    Item::new("3b notifications at a real socket")
        .bound(
            "READY after the listeners, STATUS, WATCHDOG in time and by the engine, STOPPING; all \
                from the main process",
        )
        .worst(format!("{} ms between two WATCHDOG of {}", worst.as_millis(), WATCHDOG.as_millis()))
        .record(
            by_main && more == 1 && stopping.at > ready.at,
            format!("{} notifications, {} of them WATCHDOG", senders.len(), pets.len()),
        );
}

#[test]
fn without_systemd_nothing_is_told_and_nothing_stored() {
    if skipped("without_systemd_nothing_is_told_and_nothing_stored") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    // A manager that is gone is as good as none.
    let file = ConfigFile::new(CONFIG);
    let runner = Program::Edge.runner(Some(&cluster.host("edge")));
    let runner = runner.args(["run", "-c"]).args([file.path()]).env("NOTIFY_SOCKET", "/nowhere");
    let mut edge = Product::from(runner.start().unwrap());
    edge.wait_ready();
    edge.signal(Signal::TERM).unwrap();
    assert_eq!(edge.wait_exit(PATIENCE).code(), Some(0));
}
