//! The fault table: something is wrong with a master, and nobody shall feel it.

use crate::bed::{Bed, Setup};
use crate::bound::Bound::{
    self, AnswerWithin, NoOtherFalls, NoneFails, NoneSlow, OnlyInFlight, Share, VerdictWithin,
    WatchesReset, WatchesUntouched,
};
use crate::row::{Acted, Row};
use crate::seen::{Marks, Victims};
use crate::table;
use e2e::proof::size;
use eclusa_testkit::client::{Outcome, who_answers};
use eclusa_testkit::netns::{Direction, Network};
use eclusa_testkit::wait::{wait_for, wait_until};
use std::time::{Duration, Instant};

#[test]
fn fault_table() {
    table::run("fault_table", "3.1", ROWS);
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const DEAD: Victims = Victims { names: &["master1"], verdict: &["dead", "DOWN"] };
const DRAINS: Victims = Victims { names: &["master1"], verdict: &["draining", "DOWN"] };
/// Of 2.5 s for silence under this traffic.
const SILENT: &[Bound] =
    &[NoneFails, NoneSlow, OnlyInFlight, VerdictWithin(2500), WatchesReset, NoOtherFalls];
/// What a slow start takes, and some.
const FULL_SPEED: Duration = s(63);

const ROW: Row = Row {
    key: "",
    name: "",
    quick: false,
    ours_only: false,
    alone: false,
    seconds: 20,
    setup: Setup::DEFAULT,
    act: killed,
    victims: DEAD,
    bounds: SILENT,
};

const ROWS: &[Row] = &[
    Row {
        key: "killed",
        name: "killed",
        seconds: 17,
        quick: true,
        act: killed,
        // The kernel ends the sessions of a process that is gone.
        bounds: &[NoneFails, NoneSlow, OnlyInFlight, NoOtherFalls],
        ..ROW
    },
    Row {
        key: "term-delay",
        name: "SIGTERM with a shutdown delay of 8 s",
        seconds: 17,
        quick: true,
        setup: Setup { shutdown_delay: s(8), ..Setup::DEFAULT },
        act: terminated_with_delay,
        victims: DRAINS,
        bounds: GRACEFUL,
        ..ROW
    },
    Row {
        key: "term",
        name: "SIGTERM without a delay",
        seconds: 14,
        act: terminated,
        victims: Victims { names: &["master1"], verdict: &["dead", "draining", "DOWN"] },
        bounds: &[NoneFails, NoneSlow, OnlyInFlight, WatchesUntouched, NoOtherFalls],
        ..ROW
    },
    Row { key: "frozen", name: "frozen", quick: true, act: frozen, ..ROW },
    Row {
        key: "frozen-unprobed",
        name: "frozen, probes switched off",
        seconds: 34,
        ours_only: true,
        setup: Setup { file: "probe = { kind = \"none\" }\n", ..Setup::DEFAULT },
        act: frozen_for_long,
        bounds: &[NoneFails],
        ..ROW
    },
    Row { key: "link-down", name: "interface down", act: link_down, ..ROW },
    Row { key: "cable-out", name: "cable out at the switch", act: cable_out, ..ROW },
    Row { key: "drop-both", name: "packets dropped both ways", act: drop_both, ..ROW },
    Row { key: "drop-in", name: "packets to it dropped", act: drop_in, ..ROW },
    Row { key: "drop-out", name: "packets from it dropped", act: drop_out, ..ROW },
    Row {
        key: "etcd-lost",
        name: "etcd lost behind fine TLS",
        seconds: 22,
        act: etcd_lost,
        victims: DRAINS,
        // 10 s after the verdict its sessions are reset.
        bounds: &[NoneFails, NoneSlow, OnlyInFlight, VerdictWithin(4000), NoOtherFalls],
        ..ROW
    },
    Row {
        key: "back",
        name: "a master comes back; the end is 63 s after that",
        seconds: 82,
        act: back,
        bounds: &[NoneFails, NoneSlow, OnlyInFlight, NoOtherFalls, Share("master1", 3)],
        ..ROW
    },
    Row {
        key: "five",
        name: "a fourth and fifth master start, serve, and end (all five in the file)",
        seconds: 24,
        setup: Setup { masters: 5, started: 5, shutdown_delay: s(2), ..Setup::DEFAULT },
        act: fourth_and_fifth,
        victims: Victims { names: &["master4", "master5"], verdict: &[] },
        bounds: &[NoneFails, NoneSlow, OnlyInFlight, WatchesUntouched, NoOtherFalls],
        ..ROW
    },
    Row {
        key: "all-down",
        name: "all killed and back after 5 s",
        seconds: 19,
        act: all_down,
        victims: ALL,
        bounds: &[NoneFails, NoneSlow, AnswerWithin(2.0)],
        ..ROW
    },
    Row {
        key: "cold",
        name: "power-up from cold in `kubeadm init`'s order",
        seconds: 18,
        setup: Setup { started: 0, ..Setup::DEFAULT },
        act: cold,
        victims: ALL,
        bounds: &[NoneFails, NoneSlow, AnswerWithin(2.0)],
        ..ROW
    },
];

const GRACEFUL: &[Bound] =
    &[NoneFails, NoneSlow, OnlyInFlight, VerdictWithin(1500), WatchesUntouched, NoOtherFalls];
const ALL: Victims =
    Victims { names: &["master1", "master2", "master3"], verdict: &["dead", "DOWN"] };

fn killed(bed: &mut Bed) -> Acted {
    let marks = bed.inject(|bed| bed.master(0).kill());
    bed.watch(size(s(13), s(4)));
    Marks::new(marks).into()
}

fn terminated_with_delay(bed: &mut Bed) -> Acted {
    let marks = bed.inject(|bed| bed.master(0).terminate().unwrap());
    bed.watch(size(s(13), s(10)));
    Marks::new(marks).into()
}

fn terminated(bed: &mut Bed) -> Acted {
    let marks = bed.inject(|bed| bed.master(0).terminate().unwrap());
    bed.watch(s(10));
    Marks::new(marks).into()
}

/// Peers take long to notice, and their clients long to fail.
fn suffer(bed: &mut Bed, fault: impl FnOnce(&mut Bed), heal: impl FnOnce(&mut Bed)) -> Acted {
    let marks = bed.inject(fault);
    bed.watch(size(s(13), s(6)));
    let mut marks = Marks::new(marks);
    marks.after = Some(Instant::now());
    heal(bed);
    bed.watch(s(3));
    marks.into()
}

fn frozen(bed: &mut Bed) -> Acted {
    suffer(bed, |bed| bed.master(0).freeze().unwrap(), |bed| bed.master(0).thaw().unwrap())
}

fn frozen_for_long(bed: &mut Bed) -> Acted {
    let marks = bed.inject(|bed| bed.master(0).freeze().unwrap());
    bed.watch(s(30));
    Marks::new(marks).into()
}

fn link_down(bed: &mut Bed) -> Acted {
    suffer(bed, |bed| bed.host(0).link_down().unwrap(), |bed| bed.host(0).link_up().unwrap())
}

fn cable_out(bed: &mut Bed) -> Acted {
    let out = |bed: &mut Bed| bed.host(0).cable_out(Network::Cluster).unwrap();
    suffer(bed, out, |bed| bed.host(0).cable_in(Network::Cluster).unwrap())
}

fn dropped(bed: &mut Bed, direction: Direction) -> Acted {
    let drop = |bed: &mut Bed| bed.host(0).drop_packets(direction).unwrap();
    suffer(bed, drop, |bed| bed.host(0).heal().unwrap())
}

fn drop_both(bed: &mut Bed) -> Acted {
    dropped(bed, Direction::Both)
}

fn drop_in(bed: &mut Bed) -> Acted {
    dropped(bed, Direction::In)
}

fn drop_out(bed: &mut Bed) -> Acted {
    dropped(bed, Direction::Out)
}

fn etcd_lost(bed: &mut Bed) -> Acted {
    let marks = bed.inject(|bed| {
        for line in ["health 2s", "readyz 500", "livez 500", "status 500"] {
            bed.master(0).command(line).unwrap();
        }
    });
    // In a proof until its sessions are reset.
    bed.watch(size(s(18), s(6)));
    Marks::new(marks).into()
}

fn back(bed: &mut Bed) -> Acted {
    let marks = bed.inject(|bed| bed.master(0).kill());
    bed.watch(s(6));
    bed.start_master(0);
    bed.candidate.wait_up(&[Bed::name(0)]);
    bed.watch(FULL_SPEED);
    Marks::new(marks).into()
}

fn fourth_and_fifth(bed: &mut Bed) -> Acted {
    // Refused until now, which is how an address without a master looks.
    for index in [3, 4] {
        bed.master(index).command("refuse on").unwrap();
    }
    bed.watch(s(4));
    let marks = bed.inject(|bed| {
        for index in [3, 4] {
            bed.master(index).command("refuse off").unwrap();
        }
    });
    bed.candidate.wait_up(&[Bed::name(3), Bed::name(4)]);
    bed.watch(s(6));
    let mut marks = Marks::new(marks);
    marks.after = Some(Instant::now());
    for index in [3, 4] {
        bed.master(index).terminate().unwrap();
    }
    bed.watch(s(8));
    marks.into()
}

/// From now until a new session begins that is answered.
fn first_answer(bed: &Bed, since: Instant) -> Duration {
    let worker = bed.cluster.host("worker1");
    let ask = || worker.enter(|| who_answers(&bed.target, "/version", s(5)));
    wait_for(s(30), "an answer", || ask().ok().filter(|who| who.status == 200));
    since.elapsed()
}

/// All new sessions that begin half a second after the first answer are judged.
const AFTER_FIRST: Duration = Duration::from_millis(500);

fn all_down(bed: &mut Bed) -> Acted {
    let marks = bed.inject(|bed| bed.running().for_each(|master| master.kill()));
    bed.watch(s(5));
    bed.start_master(0);
    let serves = Instant::now();
    let first = first_answer(bed, serves);
    bed.start_master(1);
    bed.start_master(2);
    bed.watch(s(8));
    let mut marks = Marks::new(marks);
    marks.judged = serves + first + AFTER_FIRST;
    Acted { first_answer: Some(first.as_secs_f64()), ..marks.into() }
}

fn cold(bed: &mut Bed) -> Acted {
    let begun = Instant::now();
    bed.watch(s(4));
    let refused = || {
        let records = bed.load.singles.iter().flat_map(|client| client.client.records());
        records.into_iter().any(|record| record.outcome != Outcome::Ok)
    };
    wait_until(s(5), "failures before there is a master", refused);
    bed.start_master(0);
    let serves = Instant::now();
    let first = first_answer(bed, serves);
    // The others join one by one.
    for index in [1, 2] {
        bed.watch(s(3));
        bed.start_master(index);
    }
    bed.candidate.wait_up(&[Bed::name(1), Bed::name(2)]);
    bed.watch(s(4));
    let mut marks = Marks::new((begun, begun));
    marks.judged = serves + first + AFTER_FIRST;
    Acted { first_answer: Some(first.as_secs_f64()), ..marks.into() }
}
