//! systemd and a service that is restarted, killed, frozen, while clients keep coming.

use super::stage::{CONFIG, EDGE, RATE, Stage};
use e2e::product::PATIENCE;
use e2e::proof::{Item, median, size, wrong_of};
use eclusa_testkit::client::Summary;
use eclusa_testkit::process::Signal;
use eclusa_testkit::wait::{pause, wait_until};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Requests that are answered between two disturbances.
const REQUESTS: usize = 50;
/// In place of the unit's 30 s, by a drop-in.
const WATCHDOG: Duration = Duration::from_secs(2);
/// What the start and its check may take on a busy machine.
const START: Duration = Duration::from_secs(3);
/// How long systemd waits before it starts a service again (`RestartSec=`).
const PAUSE: Duration = Duration::from_secs(1);

/// Disturbs the edge `n` times while clients keep coming; yields how long each took, and what became
/// of the clients.
fn under_load(stage: &Stage, n: usize, mut disturb: impl FnMut()) -> (Vec<Duration>, Summary) {
    let client = stage.clients();
    let mut times = Vec::new();
    for _ in 0..n {
        let begun = Instant::now();
        disturb();
        let took = begun.elapsed();
        times.push(took);
        // Those who have waited meanwhile, and some more.
        let waited = (took.as_secs_f64() * RATE) as usize;
        client.wait_for_more(waited + REQUESTS, PATIENCE);
    }
    (times, client.stop())
}

/// Nobody was refused, and nobody waited in vain: at most cut, having been accepted by an engine that
/// was killed.
fn only_cut(summary: &Summary) -> bool {
    summary.outcomes.keys().all(|how| ["ok", "reset", "closed"].contains(&how.as_str()))
}

fn item(name: &str, times: &[Duration], summary: &Summary) -> (Item, String) {
    let milliseconds = |time: Duration| format!("{} ms", time.as_millis());
    let item = Item::new(name)
        .n(times.len())
        .worst(milliseconds(times.iter().max().copied().unwrap_or_default()))
        .median(milliseconds(median(times).unwrap_or_default()));
    let slowest = summary.slowest.as_millis();
    (item, format!("{:?}, the slowest after {slowest} ms", summary.outcomes))
}

/// Waits until systemd has started the service once more than `before`, and it is ready.
#[track_caller]
fn wait_restarted(stage: &Stage, before: usize) {
    wait_until(PATIENCE, "a restart by systemd", || {
        stage.restarts() == before + 1 && stage.is_running(EDGE)
    });
}

#[test]
fn what_systemd_restarts_refuses_nobody() {
    let Some(stage) = Stage::new("what_systemd_restarts_refuses_nobody") else { return };
    stage.start_edge();
    let (times, summary) = under_load(&stage, size(10, 2), || {
        let said = stage.booted.systemctl(&["restart", EDGE]);
        assert_eq!(said.code, Some(0), "{said:?}");
    });
    let (restarted, told) = item("3c.7 systemctl restart under load", &times, &summary);
    restarted
        .bound("0 failed: the sockets lie in systemd's store (FileDescriptorStoreMax=)")
        .note("time of `systemctl restart`; 100 requests/s, each on a new connection")
        .record(summary.failed == 0, told);

    let keeper = stage.keeper(EDGE);
    let (times, summary) = under_load(&stage, size(10, 2), || {
        let engine = stage.engine(EDGE);
        stage.booted.signal(engine, Signal::KILL).unwrap();
        wait_until(PATIENCE, "another engine", || {
            stage.booted.engine_pid(EDGE).is_some_and(|pid| pid != engine)
        });
    });
    let stays = stage.keeper(EDGE) == keeper && stage.restarts() == 0 && stage.is_running(EDGE);
    let (killed, told) = item("3c.8 the engine killed (SIGKILL) under systemd", &times, &summary);
    killed
        .bound("0 refused, the service stays active with the same main process")
        .note("time until the next engine runs")
        .record(only_cut(&summary) && stays, format!("{told}; stays active: {stays}"));

    let (times, summary) = under_load(&stage, size(5, 1), || {
        let before = stage.restarts();
        stage.booted.signal(stage.keeper(EDGE), Signal::KILL).unwrap();
        wait_restarted(&stage, before);
    });
    let (killed, told) = item("3c.9 the keeper killed (SIGKILL) under systemd", &times, &summary);
    killed
        .bound("0 refused, restarted by systemd")
        .note(format!("time until it is active again; RestartSec= is {PAUSE:?} of it"))
        .record(only_cut(&summary) && stage.restarts() == times.len(), told);
}

#[test]
fn systemds_watchdog_ends_a_frozen_engine() {
    let Some(stage) = Stage::new("systemds_watchdog_ends_a_frozen_engine") else { return };
    let drop_in = format!("/etc/systemd/system/{EDGE}.d/watchdog.conf");
    stage.write(&drop_in, &format!("[Service]\nWatchdogSec={}\n", WATCHDOG.as_secs()));
    assert_eq!(stage.booted.systemctl(&["daemon-reload"]).code, Some(0));
    stage.start_edge();
    // One that is well is left alone.
    let client = stage.clients();
    pause(2 * WATCHDOG);
    let left_alone = stage.restarts() == 0 && client.stop().failed == 0;
    let (times, summary) = under_load(&stage, size(5, 1), || {
        let before = stage.restarts();
        stage.booted.signal(stage.engine(EDGE), Signal::STOP).unwrap();
        wait_restarted(&stage, before);
    });
    let journal = stage.booted.journal(EDGE);
    let found = journal.matches("Watchdog timeout (limit 2s)!").count();
    let limit = WATCHDOG + PAUSE + START;
    let in_time = times.iter().all(|time| *time < limit);
    let (frozen, told) = item("3c.10 the engine frozen (SIGSTOP) under systemd", &times, &summary);
    frozen
        .bound(format!("ended by the watchdog and restarted within {limit:?}, 0 refused"))
        .note(format!(
            "WatchdogSec={} by a drop-in, where the unit has 30; one that is well was left alone \
             for twice that",
            WATCHDOG.as_secs()
        ))
        .record(
            left_alone && in_time && found == times.len() && only_cut(&summary),
            format!("{found} watchdog timeouts; {told}"),
        );
}

#[test]
fn a_restart_takes_nothing_that_nobody_has_confirmed() {
    let Some(stage) = Stage::new("a_restart_takes_nothing_that_nobody_has_confirmed") else {
        return;
    };
    stage.start_edge();
    let said = |words: &[&str]| {
        let said = stage.booted.run(&[&["eclusa-edge"], words].concat());
        assert_eq!(said.code, Some(0), "{words:?}: {said:?}");
        said.text
    };
    let status = || serde_json::from_str::<Value>(&said(&["status", "--json"])).unwrap();
    let restart = || {
        let said = stage.booted.systemctl(&["restart", EDGE]);
        assert_eq!(said.code, Some(0), "{said:?}");
        status()
    };
    let names = |status: &Value| {
        let pools = status["pools"].as_array().unwrap().iter();
        pools.map(|pool| pool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let more = "[pool.more]\nendpoints = [\"10.0.1.101:443\"]\nprobe = { kind = \"none\" }\n\
                [[listener.web.route]]\nsource = \"192.0.2.0/24\"\npool = \"more\"\n";
    stage.write("/etc/eclusa/edge.toml", &format!("{CONFIG}{more}"));
    said(&["reload", "--confirm", "1h"]);
    assert_eq!(names(&status()), ["web", "more"]);
    let mut wrong = Vec::new();
    // Once while it waits for its confirmation, once when it has been gone back from.
    for _ in 0..2 {
        let status = restart();
        if names(&status) != ["web"] || !status["gone_back"].is_string() {
            wrong.push(format!("a restart: {:?}, {}", names(&status), status["gone_back"]));
        }
    }
    said(&["reload"]);
    let taken = restart();
    if names(&taken) != ["web", "more"] || taken["gone_back"].is_string() {
        wrong.push(format!("after a reload: {:?}, {}", names(&taken), taken["gone_back"]));
    }
    Item::new("3c.11 systemctl restart with a file that nobody has confirmed")
        .bound("what was in force before goes on, until a reload takes the file")
        .n(3)
        .record(wrong.is_empty(), wrong_of(3, &wrong));
}
