//! The false-alarm table: trouble that is no master's fault, or none at all. Nothing is cut.

use crate::bed::{Own, Place, Setup};
use crate::bound::Bound::{self, AllServe, NoOtherFalls, ScoreZero};
use crate::row::Row;
use crate::seen::Victims;
use crate::table;
use crate::trouble::{
    all_slow, clock_steps, descriptors, etcd_stalls, graceful, hiccups, leg_down, lose_2, lose_5,
    names_silent, nothing, one_slow, paused_reader, starved, stopped, stopped_and_busy,
};
use std::time::Duration;

#[test]
fn false_alarm_table() {
    table::run("false_alarm_table", "3.2", ROWS);
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const NOBODY: Victims = Victims { names: &[], verdict: &[] };
const NOTHING: &[Bound] = &[ScoreZero, NoOtherFalls];

const ROW: Row = Row {
    key: "",
    name: "",
    quick: false,
    ours_only: false,
    alone: false,
    seconds: 20,
    setup: Setup::DEFAULT,
    act: etcd_stalls,
    victims: NOBODY,
    bounds: NOTHING,
};

/// Patience for what takes long without being anybody's failure.
const PATIENT: Setup = Setup { deadline: s(15), ..Setup::DEFAULT };

const ROWS: &[Row] = &[
    Row {
        key: "etcd-stalls",
        name: "etcd stands still for 5 s",
        act: etcd_stalls,
        seconds: 13,
        ..ROW
    },
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
        seconds: 13,
        quick: true,
        act: stopped,
        ..ROW
    },
    Row {
        key: "lb-busy",
        name: "the balancer stopped for 5 s, four busy loops beside",
        alone: true,
        seconds: 13,
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
    Row { key: "loss-2", name: "2 % packet loss", act: lose_2, setup: PATIENT, seconds: 23, ..ROW },
    Row { key: "loss-5", name: "5 % packet loss", act: lose_5, setup: PATIENT, seconds: 23, ..ROW },
    Row {
        key: "descriptors",
        name: "descriptors exhausted for 8 s",
        seconds: 16,
        act: descriptors,
        setup: PATIENT,
        ..ROW
    },
    Row {
        key: "leg-down",
        name: "its own cluster leg down for 3 s",
        seconds: 11,
        act: leg_down,
        setup: Setup { place: Place::Edge, ..PATIENT },
        ..ROW
    },
    Row {
        key: "paused",
        name: "a client stops reading 28 MB for 40 s",
        seconds: 47,
        act: paused_reader,
        ..ROW
    },
    Row {
        key: "graceful",
        name: "a master ends gracefully and returns; watches served 12 s longer",
        seconds: 28,
        setup: Setup { shutdown_delay: s(3), watch_grace: s(12), ..Setup::DEFAULT },
        act: graceful,
        victims: Victims { names: &["master1"], verdict: &["draining", "dead", "DOWN"] },
        bounds: &[ScoreZero, NoOtherFalls],
        ..ROW
    },
    Row {
        key: "renewed",
        name: "a certificate renewed by a restart",
        seconds: 18,
        setup: Setup { shutdown_delay: s(3), watch_grace: s(1), ..Setup::DEFAULT },
        act: graceful,
        victims: Victims { names: &["master1"], verdict: &["draining", "dead", "DOWN"] },
        bounds: &[ScoreZero, NoOtherFalls],
        ..ROW
    },
    Row {
        key: "dns-dead",
        name: "DNS dead: the masters' names no longer resolve, and one never has",
        seconds: 16,
        ours_only: true,
        setup: Setup { file: NAMES, own: Own::Names, ..Setup::DEFAULT },
        act: names_silent,
        ..ROW
    },
    Row {
        key: "disk-full",
        name: "the log's disk full",
        seconds: 16,
        ours_only: true,
        setup: Setup { file: "log = { target = \"/dev/full\" }\n", ..Setup::DEFAULT },
        act: nothing,
        // Its log is lost, and the verdicts with it: who gets sessions tells.
        bounds: &[ScoreZero, AllServe(3)],
        ..ROW
    },
    Row {
        key: "clock",
        name: "the clock stepped by an hour, ahead and back",
        seconds: 18,
        ours_only: true,
        // Confined, the engine could not read the file that sets its clock.
        setup: Setup { own: Own::Clock, file: "confine = \"off\"\n", ..Setup::DEFAULT },
        act: clock_steps,
        ..ROW
    },
];

const NAMES: &str = "masters = [\"master1.test\", \"master2.test\", \"master3.test\", \
                     \"master4.test\"]\nresolve_interval = \"1s\"\n";
