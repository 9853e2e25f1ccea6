//! The false-alarm table: trouble that is no master's fault, or none at all. Nothing is cut.

use crate::bed::{Bed, Place, Setup};
use crate::bound::Bound::{self, NoOtherFalls, ScoreZero};
use crate::row::{Acted, Row};
use crate::seen::{Marks, Victims};
use crate::table;
use e2e::proof::size;
use eclusa_testkit::netns::{Direction, Network};
use eclusa_testkit::process::Signal;
use eclusa_testkit::wait::wait_until;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[test]
fn false_alarm_table() {
    table::run("false_alarm_table", "3.2", ROWS);
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const NOBODY: Victims = Victims { names: &[], verdict: &[] };
const NOTHING: &[Bound] = &[ScoreZero, NoOtherFalls];

const ROW: Row = Row {
    key: "",
    name: "",
    quick: false,
    ours_only: false,
    long: false,
    setup: Setup::DEFAULT,
    act: etcd_stalls,
    victims: NOBODY,
    bounds: NOTHING,
};

/// Patience for what takes long without being anybody's failure.
const PATIENT: Setup = Setup { deadline: s(15), ..Setup::DEFAULT };

const ROWS: &[Row] = &[
    Row { key: "etcd-stalls", name: "etcd stands still for 5 s", act: etcd_stalls, ..ROW },
    Row { key: "one-slow", name: "one master slow", quick: true, act: one_slow, ..ROW },
    Row { key: "all-slow", name: "all three slow", act: all_slow, setup: PATIENT, ..ROW },
    Row {
        key: "starved",
        name: "one master starved of CPU (0.1 s of 1.6 s)",
        act: starved,
        setup: PATIENT,
        ..ROW
    },
    Row {
        key: "lb-stopped",
        name: "the balancer stopped for 5 s",
        quick: true,
        act: stopped,
        ..ROW
    },
    Row {
        key: "lb-busy",
        name: "the balancer stopped for 5 s, four busy loops beside",
        act: stopped_and_busy,
        setup: PATIENT,
        ..ROW
    },
    Row {
        key: "lb-hiccups",
        name: "freezes that begin in the midst of probes (0.9 s of 1.2 s)",
        act: hiccups,
        setup: PATIENT,
        ..ROW
    },
    Row { key: "loss-2", name: "2 % packet loss", act: lose_2, setup: PATIENT, ..ROW },
    Row { key: "loss-5", name: "5 % packet loss", act: lose_5, setup: PATIENT, ..ROW },
    Row {
        key: "descriptors",
        name: "descriptors exhausted for 8 s",
        act: descriptors,
        setup: PATIENT,
        ..ROW
    },
    Row {
        key: "leg-down",
        name: "its own cluster leg down for 3 s",
        act: leg_down,
        setup: Setup { place: Place::Edge, ..PATIENT },
        ..ROW
    },
    Row {
        key: "paused",
        name: "a client stops reading 28 MB for 40 s",
        long: true,
        act: paused_reader,
        ..ROW
    },
    Row {
        key: "graceful",
        name: "a master ends gracefully and returns; watches served 12 s longer",
        setup: Setup { shutdown_delay: s(3), watch_grace: s(12), ..Setup::DEFAULT },
        act: graceful,
        victims: Victims { names: &["master1"], verdict: &["draining", "dead", "DOWN"] },
        bounds: &[ScoreZero, NoOtherFalls],
        ..ROW
    },
    Row {
        key: "renewed",
        name: "a certificate renewed by a restart",
        setup: Setup { shutdown_delay: s(3), watch_grace: s(1), ..Setup::DEFAULT },
        act: graceful,
        victims: Victims { names: &["master1"], verdict: &["draining", "dead", "DOWN"] },
        bounds: &[ScoreZero, NoOtherFalls],
        ..ROW
    },
    Row {
        key: "dns-dead",
        name: "DNS dead: one of four names does not resolve",
        ours_only: true,
        setup: Setup { file: FOUR_NAMES, ..Setup::DEFAULT },
        act: nothing,
        ..ROW
    },
    Row {
        key: "disk-full",
        name: "the log's disk full",
        ours_only: true,
        setup: Setup { file: "log = { target = \"/dev/full\" }\n", ..Setup::DEFAULT },
        act: nothing,
        ..ROW
    },
];

const FOUR_NAMES: &str =
    "masters = [\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.13\", \"master4.invalid\"]\n";

/// All answers after something has happened.
const REST: Duration = s(4);

fn during(
    bed: &mut Bed,
    time: Duration,
    begin: impl FnOnce(&mut Bed),
    end: impl FnOnce(&mut Bed),
) -> Acted {
    let (begun, _) = bed.inject(begin);
    bed.watch(time);
    end(bed);
    bed.watch(REST);
    // What was under way when it began may not fail either.
    Marks::new((begun, begun)).into()
}

fn tell_all(bed: &mut Bed, lines: &[&str]) {
    for master in bed.running() {
        for line in lines {
            master.command(line).unwrap();
        }
    }
}

fn etcd_stalls(bed: &mut Bed) -> Acted {
    let lines = ["answer 2s", "health 2500ms", "readyz 500", "livez 500"];
    during(bed, s(5), |bed| tell_all(bed, &lines), |bed| tell_all(bed, &["heal"]))
}

const SLOW: [&str; 2] = ["every-byte 1500ms", "health 3s"];

fn one_slow(bed: &mut Bed) -> Acted {
    let begin = |bed: &mut Bed| {
        SLOW.iter().for_each(|line| drop(bed.master(0).command(line).unwrap()));
    };
    during(bed, size(s(12), s(7)), begin, |bed| drop(bed.master(0).command("heal").unwrap()))
}

fn all_slow(bed: &mut Bed) -> Acted {
    during(bed, s(12), |bed| tell_all(bed, &SLOW), |bed| tell_all(bed, &["heal"]))
}

fn starved(bed: &mut Bed) -> Acted {
    let (begun, _) = bed.inject(|_| ());
    while begun.elapsed() < s(12) {
        bed.master(0).freeze().unwrap();
        bed.watch(ms(1500));
        bed.master(0).thaw().unwrap();
        bed.watch(ms(100));
    }
    bed.watch(REST);
    Marks::new((begun, begun)).into()
}

fn stopped(bed: &mut Bed) -> Acted {
    let stop = |bed: &mut Bed| bed.candidate.signal(Signal::STOP);
    during(bed, s(5), stop, |bed| bed.candidate.signal(Signal::CONT))
}

fn stopped_and_busy(bed: &mut Bed) -> Acted {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let acted = stopped(bed);
        over.store(true, Relaxed);
        acted
    })
}

fn hiccups(bed: &mut Bed) -> Acted {
    let (begun, _) = bed.inject(|_| ());
    while begun.elapsed() < s(12) {
        bed.candidate.signal(Signal::STOP);
        bed.watch(ms(900));
        bed.candidate.signal(Signal::CONT);
        bed.watch(ms(300));
    }
    bed.watch(REST);
    Marks::new((begun, begun)).into()
}

fn lose(bed: &mut Bed, percent: u8) -> Acted {
    let host = bed.candidate_host();
    let begin = |_: &mut Bed| host.lose_packets(Direction::Both, percent).unwrap();
    during(bed, s(15), begin, |_| host.heal().unwrap())
}

fn lose_2(bed: &mut Bed) -> Acted {
    lose(bed, 2)
}

fn lose_5(bed: &mut Bed) -> Acted {
    lose(bed, 5)
}

/// Sets how many descriptors a process may have, as its own user: even root may need a capability
/// for that of another.
fn limit_descriptors(pid: u32, most: &str) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let id = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_ascii_whitespace().next().unwrap().to_owned()
    };
    let mut prlimit = Command::new("setpriv");
    prlimit.args([format!("--reuid={}", id("Uid:")), format!("--regid={}", id("Gid:"))]);
    prlimit.args(["--clear-groups", "prlimit"]);
    prlimit.arg(format!("--pid={pid}")).arg(format!("--nofile={most}"));
    assert!(prlimit.status().unwrap().success(), "prlimit");
}

/// The candidate can open no descriptor more than it has.
fn descriptors(bed: &mut Bed) -> Acted {
    let pid = bed.candidate.pid();
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft = line.split_ascii_whitespace().nth(3).unwrap().to_owned();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let begin = |_: &mut Bed| limit_descriptors(pid, &format!("{open}:"));
    during(bed, s(8), begin, |_| limit_descriptors(pid, &format!("{soft}:")))
}

fn leg_down(bed: &mut Bed) -> Acted {
    let host = bed.candidate_host();
    let begin = |_: &mut Bed| host.leg_down(Network::Cluster).unwrap();
    during(bed, s(3), begin, |_| host.leg_up(Network::Cluster).unwrap())
}

/// Bytes of the answer that is not read.
const LARGE: u64 = 28_000_000;
const PAUSE: Duration = s(40);

fn signal(child: &Child, name: &str) {
    let mut kill = Command::new("kill");
    kill.args([&format!("-{name}"), &child.id().to_string()]);
    assert!(kill.status().unwrap().success(), "kill -{name}");
}

fn paused_reader(bed: &mut Bed) -> Acted {
    let mut curl = bed.cluster.host("worker1").command("curl");
    let url = format!("https://{}/blob?bytes={LARGE}", bed.target.address);
    curl.args(["-sk", "--http1.1", "--limit-rate", "2M", "-o", "/dev/null", "-w"]);
    curl.args(["%{size_download}", &url]).stdout(Stdio::piped());
    let (begun, _) = bed.inject(|_| ());
    let child = curl.spawn().unwrap();
    // It has read some megabytes by then.
    bed.watch(s(2));
    signal(&child, "STOP");
    bed.watch(PAUSE);
    signal(&child, "CONT");
    let output = child.wait_with_output().unwrap();
    let read: u64 = String::from_utf8_lossy(&output.stdout).parse().unwrap_or_default();
    assert!(read == LARGE, "{read} of {LARGE} bytes were read: {:?}", output.status);
    bed.watch(s(1));
    Marks::new((begun, begun)).into()
}

fn graceful(bed: &mut Bed) -> Acted {
    let (begun, _) = bed.inject(|bed| bed.master(0).terminate().unwrap());
    wait_until(s(60), "the end of master1", || bed.master(0).process().exit_status().is_some());
    bed.start_master(0);
    bed.candidate.wait_up(&[Bed::name(0)]);
    bed.watch(REST);
    Marks::new((begun, begun)).into()
}

fn nothing(bed: &mut Bed) -> Acted {
    let begun = Instant::now();
    bed.watch(s(12));
    Marks::new((begun, begun)).into()
}
