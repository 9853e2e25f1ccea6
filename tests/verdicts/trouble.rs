//! What happens in the rows of the false-alarm table.

use crate::bed::Bed;
use crate::clock;
use crate::row::Acted;
use crate::seen::Marks;
use e2e::proof::size;
use eclusa_testkit::netns::{Direction, Network};
use eclusa_testkit::process::Signal;
use eclusa_testkit::wait::{wait_for, wait_until};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

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

pub fn etcd_stalls(bed: &mut Bed) -> Acted {
    let lines = ["answer 2s", "health 2500ms", "readyz 500", "livez 500"];
    during(bed, s(5), |bed| tell_all(bed, &lines), |bed| tell_all(bed, &["heal"]))
}

const SLOW: [&str; 2] = ["every-byte 1500ms", "health 3s"];

pub fn one_slow(bed: &mut Bed) -> Acted {
    let begin = |bed: &mut Bed| {
        SLOW.iter().for_each(|line| drop(bed.master(0).command(line).unwrap()));
    };
    during(bed, size(s(12), s(7)), begin, |bed| drop(bed.master(0).command("heal").unwrap()))
}

pub fn all_slow(bed: &mut Bed) -> Acted {
    during(bed, s(12), |bed| tell_all(bed, &SLOW), |bed| tell_all(bed, &["heal"]))
}

pub fn starved(bed: &mut Bed) -> Acted {
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

pub fn stopped(bed: &mut Bed) -> Acted {
    let stop = |bed: &mut Bed| bed.candidate.signal(Signal::STOP);
    during(bed, s(5), stop, |bed| bed.candidate.signal(Signal::CONT))
}

pub fn stopped_and_busy(bed: &mut Bed) -> Acted {
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

/// So long that each freeze comes while some probe waits for its answer, and not too long for one.
const PROBE: &str = "health 400ms";

pub fn hiccups(bed: &mut Bed) -> Acted {
    let (begun, _) = bed.inject(|bed| tell_all(bed, &[PROBE]));
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

pub fn lose_2(bed: &mut Bed) -> Acted {
    lose(bed, 2)
}

pub fn lose_5(bed: &mut Bed) -> Acted {
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
pub fn descriptors(bed: &mut Bed) -> Acted {
    let pid = bed.candidate.pid();
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft = line.split_ascii_whitespace().nth(3).unwrap().to_owned();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let begin = |_: &mut Bed| limit_descriptors(pid, &format!("{open}:"));
    during(bed, s(8), begin, |_| limit_descriptors(pid, &format!("{soft}:")))
}

pub fn leg_down(bed: &mut Bed) -> Acted {
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

pub fn paused_reader(bed: &mut Bed) -> Acted {
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
    let how = || format!("the reader that paused, cut after {read} of {LARGE} bytes");
    bed.watch(s(1));
    Acted { cut: (read != LARGE).then(how), ..Marks::new((begun, begun)).into() }
}

pub fn graceful(bed: &mut Bed) -> Acted {
    let (begun, _) = bed.inject(|bed| bed.master(0).terminate().unwrap());
    wait_until(s(60), "the end of master1", || bed.master(0).process().exit_status().is_some());
    bed.start_master(0);
    bed.candidate.wait_up(&[Bed::name(0)]);
    bed.watch(REST);
    Marks::new((begun, begun)).into()
}

pub fn nothing(bed: &mut Bed) -> Acted {
    let begun = Instant::now();
    bed.watch(s(12));
    Marks::new((begun, begun)).into()
}

/// Names resolve, until nobody answers what asks for them.
pub fn names_silent(bed: &mut Bed) -> Acted {
    let (begun, _) = bed.inject(|bed| bed.names.iter().for_each(|names| names.fall_silent()));
    bed.watch(s(12));
    let asked = bed.names.as_ref().map_or(0, |names| names.unanswered());
    let events = bed.candidate.events();
    let kept = events.iter().filter(|event| {
        let words = event["message"].as_str().unwrap_or_default();
        event["event"] == "resolve" && words.ends_with("known addresses are kept")
    });
    let kept = kept.count();
    assert!(asked >= 3 && kept >= 3, "{asked} questions unanswered, {kept} names told");
    Marks::new((begun, begun)).into()
}

const HOUR: u32 = 3600;

/// Its wall clock goes an hour ahead at once, and then back.
pub fn clock_steps(bed: &mut Bed) -> Acted {
    let (begun, _) = bed.inject(|bed| bed.clock.iter().for_each(|clock| clock.step(HOUR)));
    bed.watch(clock::SEEN + s(5));
    let ahead = latest(bed);
    bed.clock.iter().for_each(|clock| clock.step(0));
    bed.watch(clock::SEEN + s(5));
    let back = latest(bed);
    assert!(ahead > s(HOUR.into()) - REST, "the clock went only {ahead:?} ahead");
    assert!(back < REST, "the clock did not come back: {back:?} ahead");
    Marks::new((begun, begun)).into()
}

/// How far the time of the last line of its log is ahead of ours.
fn latest(bed: &Bed) -> Duration {
    let time = wait_for(s(5), "a line of its log with a time", || {
        let events = bed.candidate.events();
        humantime::parse_rfc3339(events.last()?["ts"].as_str()?).ok()
    });
    time.duration_since(SystemTime::now()).unwrap_or_default()
}
