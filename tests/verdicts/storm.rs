//! A reconnect storm: 500 watches on a master that falls silent.

use crate::bed::{Bed, Setup};
use crate::candidate::{Change, Kind};
use crate::table;
use e2e::proof::{Item, size};
use eclusa_testkit::background::raise_file_limit;
use eclusa_testkit::client::{Outcome, Target, WatchSettings, Watcher, who_answers};
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::{pause, try_until, wait_until};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn reconnect_storm() {
    if skipped("reconnect_storm") {
        return;
    }
    let _turn = table::TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = raise_file_limit();
    let wanted = size(500, 150);
    let storms: Vec<Storm> = (0..table::runs()).map(|_| storm(wanted)).collect();
    record(&storms, wanted);
}

/// What one storm was like; times in seconds.
#[derive(Debug)]
struct Storm {
    noticed: Option<f64>,
    resets: usize,
    /// After the verdict, until the first and the last reset.
    first: f64,
    last: f64,
    /// The longest `/readyz` of a survivor.
    slowest: f64,
    /// Verdicts of others that are not `up`.
    others: Vec<String>,
}

fn storm(wanted: usize) -> Storm {
    let mut bed = Bed::start(Kind::Ours, &Setup::DEFAULT);
    let watchers = on_master1(&mut bed, wanted);
    let over = AtomicBool::new(false);
    let (slowest, frozen) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask_survivors(&bed, &over));
        let frozen = freeze(&bed);
        let moved = |watcher: &Watcher| {
            let last = watcher.report().sessions.pop();
            last.is_some_and(|it| it.events > 0 && it.master.as_deref() != Some("master1"))
        };
        // Late ones show as such: nothing panics while somebody is asking.
        let _ = try_until(LIMIT, "all watches on others", || {
            watchers.iter().all(|(_, watcher)| moved(watcher))
        });
        pause(Duration::from_secs(2));
        over.store(true, Relaxed);
        (asking.join().unwrap(), frozen)
    });
    let storm = measure(&bed, &watchers, frozen, slowest);
    println!("  {storm:?}");
    storm
}

/// Opens watches while no other master takes any.
fn on_master1(bed: &mut Bed, wanted: usize) -> Vec<(Instant, Watcher)> {
    let others = [Bed::name(1), Bed::name(2)];
    for index in [1, 2] {
        bed.master(index).command("refuse on").unwrap();
    }
    wait_until(LIMIT, "two masters that are not up", || {
        let changes = bed.candidate.changes();
        others.iter().all(|master| {
            let last = changes.iter().rev().find(|change| &change.master == master);
            last.is_some_and(|last| last.verdict != "up")
        })
    });
    // Rare events: their bytes are not what is measured.
    let settings = WatchSettings { path: "/watch?rate=0.2".into(), ..WatchSettings::default() };
    let watchers: Vec<_> = (0..wanted)
        .map(|number| {
            let host = bed.cluster.host(&format!("worker{}", number % 3 + 1));
            let watcher = host.enter(|| Watcher::start(&bed.target, settings.clone())).unwrap();
            (Instant::now() - watcher.now(), watcher)
        })
        .collect();
    wait_until(LIMIT, "all watches", || {
        watchers.iter().all(|(_, watcher)| watcher.report().events() > 0)
    });
    for index in [1, 2] {
        bed.master(index).command("refuse off").unwrap();
    }
    bed.candidate.wait_up(&others);
    watchers
}

/// SIGSTOP without `&mut`: the survivors are being asked meanwhile.
fn freeze(bed: &Bed) -> Instant {
    let now = Instant::now();
    let mut kill = std::process::Command::new("kill");
    kill.args(["-STOP", &bed.pid(0).to_string()]);
    assert!(kill.status().unwrap().success(), "kill -STOP");
    now
}

/// The longest `/readyz` of master2 and master3, asked directly.
fn ask_survivors(bed: &Bed, over: &AtomicBool) -> Duration {
    let worker = bed.cluster.host("worker1");
    let targets = [1, 2].map(|index| Target::new(bed.host(index).at(6443), "kubernetes", bed.ca()));
    let mut slowest = Duration::ZERO;
    while !over.load(Relaxed) {
        for target in &targets {
            let begun = Instant::now();
            let answer = worker.enter(|| who_answers(target, "/readyz", LIMIT)).unwrap();
            assert_eq!(answer.status, 200);
            slowest = slowest.max(begun.elapsed());
        }
        pause(Duration::from_millis(50));
    }
    slowest
}

fn measure(
    bed: &Bed,
    watchers: &[(Instant, Watcher)],
    frozen: Instant,
    slowest: Duration,
) -> Storm {
    let changes: Vec<Change> =
        bed.candidate.changes().into_iter().filter(|change| change.at >= frozen).collect();
    let dead = changes.iter().find(|it| it.master == "master1" && it.verdict == "dead");
    let verdict = dead.map(|change| change.at);
    let mut cuts: Vec<Instant> = watchers
        .iter()
        .flat_map(|(zero, watcher)| {
            let sessions = watcher.report().sessions;
            let ends = sessions.into_iter().filter(|session| session.events > 0);
            let ends = ends.filter_map(|session| session.end);
            let cut = ends.filter(|(_, how)| *how != Outcome::Ok);
            cut.map(|(at, _)| *zero + at).collect::<Vec<_>>()
        })
        .filter(|at| *at >= frozen)
        .collect();
    cuts.sort_unstable();
    let after = |at: Option<&Instant>| {
        let verdict = verdict.unwrap_or(frozen);
        at.map_or(f64::INFINITY, |at| at.saturating_duration_since(verdict).as_secs_f64())
    };
    let others = changes.iter().filter(|it| it.master != "master1" && it.verdict != "up");
    Storm {
        noticed: verdict.map(|at| (at - frozen).as_secs_f64()),
        resets: cuts.len(),
        first: after(cuts.first()),
        last: after(cuts.last()),
        slowest: slowest.as_secs_f64(),
        others: others.map(ToString::to_string).collect(),
    }
}

fn record(storms: &[Storm], watches: usize) {
    let good = |storm: &Storm| {
        storm.noticed.is_some_and(|after| after <= 3.1)
            && storm.resets == watches
            && storm.first <= 0.3
            && storm.last <= 2.3
            && storm.others.is_empty()
    };
    let worst = |value: fn(&Storm) -> f64| storms.iter().map(value).fold(0.0, f64::max);
    let resets: Vec<_> = storms.iter().map(|storm| storm.resets).collect();
    let others: Vec<_> = storms.iter().flat_map(|storm| &storm.others).collect();
    let slowest = worst(|storm| storm.slowest) * 1e3;
    Item::new(format!("3.3 reconnect storm: {watches} watches on a master that falls silent"))
        .bound(
            "dead within 3.1 s; each watch reset once, the first within 0.2 s of the verdict, the \
             last within 2 s (and 0.1 and 0.3 s to see it); nobody else suspect",
        )
        .n(storms.len())
        .worst(format!("{slowest:.0} ms for /readyz of a survivor"))
        .record(
            storms.iter().all(good),
            format!(
                "dead after {:.2} s; {resets:?} resets, the first {:.2} s after the verdict, the \
                 last {:.2} s; survivors' longest /readyz {slowest:.0} ms; others: {others:?}",
                worst(|storm| storm.noticed.unwrap_or(f64::INFINITY)),
                worst(|storm| storm.first),
                worst(|storm| storm.last),
            ),
        );
}
