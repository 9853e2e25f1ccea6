//! The topic `migrate`: the day on which HAProxy goes.

use super::checks::{Check, Counted};
use super::work::Work;
use super::{Step, Topic};

/// What the names of the tests of target `life` contain that are of this topic and not of `life`.
pub const TESTS: &[&str] = &["compare::", "migration::", "observe::"];

/// And what those contain that would be of `operate`, too.
pub const DOCTOR: &[&str] = &["doctor::migration::"];

/// Coming from HAProxy.
pub const MIGRATE: Topic = Topic {
    name: "migrate",
    about: "A host goes from HAProxy to Eclusa and back, and no new session fails: every line of haproxy.cfg is accounted \
            for, both are compared on real traffic, ours looks on, takes a share, takes all, and only then HAProxy stops.",
    grids: &[],
    steps: &[
        Step {
            name: "table",
            title: "41 real files: what is carried over of each",
            work: import(&[Check {
                item: "1.1 configurations of 41 real files, by the programs' own check",
                bound: "each passes it; complete: 95 % of `api` and `both`, 85 % of `edge`; every other line with \
                            its reason",
                filter: "all_real_files",
                environment: &[],
                seconds: 60,
                counted: Counted::Table,
                least: 41,
            }]),
        },
        Step {
            name: "live",
            title: "`import --check-live`: HAProxy and ours side by side",
            work: life(&["compare::"], 2 * 3600),
        },
        Step {
            name: "observe",
            title: "`observe` beside HAProxy",
            work: life(&["observe::"], 1800),
        },
        Step {
            name: "canary",
            title: "`canary`: shares of new connections",
            work: life(&["migration::canary::"], 3600),
        },
        Step {
            name: "runbook",
            title: "The runbook, with keepalived on two hosts",
            work: life(&["migration::runbook::"], 2 * 3600),
        },
        Step {
            name: "doctor",
            title: "`doctor --migration` on a host on which everything knows HAProxy",
            work: life(&["doctor::migration::"], 600),
        },
        Step {
            name: "golden",
            title: "Reports, and what nobody should write",
            work: import(&[
                Check {
                    item: "4.1 golden reports of each kind of line",
                    bound: "all as they are kept",
                    filter: "lines_of_every_kind",
                    environment: &[],
                    seconds: 60,
                    counted: Counted::Tests,
                    least: 1,
                },
                Check {
                    item: "4.2 words of the importer's tables with a golden line that shows what the table says",
                    bound: "every word, and what 41 real files ask and do",
                    filter: "coverage::",
                    environment: &[],
                    seconds: 60,
                    counted: Counted::Tests,
                    least: 2,
                },
                Check {
                    item: "4.3 files that HAProxy refuses, which HAProxy itself confirms",
                    bound: "the report names each line, and the rest is carried over",
                    filter: "files_that_haproxy_refuses",
                    environment: &[],
                    seconds: 60,
                    counted: Counted::Tests,
                    least: 1,
                },
                Check {
                    item: "4.4 rubbish",
                    bound: "a report of each line",
                    filter: "rubbish",
                    environment: &[],
                    seconds: 60,
                    counted: Counted::Tests,
                    least: 1,
                },
                Check {
                    item: "4.5 parts of real files",
                    bound: "a report of each line",
                    filter: "parts_of_files",
                    environment: &[],
                    seconds: 60,
                    counted: Counted::Tests,
                    least: 1,
                },
                Check {
                    item: "4.6 what leads to itself, and what grows with each step",
                    bound: "an end, and a report of each line",
                    filter: "circles_end",
                    environment: &[],
                    seconds: 60,
                    counted: Counted::Tests,
                    least: 1,
                },
                Check {
                    item: "4.7 100,000 lines",
                    bound: "imported and told under 2 s, as the test measures",
                    filter: "a_hundred_thousand_lines",
                    environment: &[],
                    seconds: 20,
                    counted: Counted::Said(" lines: "),
                    least: 1,
                },
            ]),
        },
        Step {
            name: "fuzz",
            title: "Fuzzing the importer",
            work: Work::Fuzz { item: "4.8", targets: &["haproxy"], seconds: 120 },
        },
    ],
};

/// Tests of the importer.
const fn import(checks: &'static [Check]) -> Work {
    Work::Checks { package: "eclusa-haproxy-import", targets: &[], checks }
}

/// Those tests of what lives as a service.
const fn life(only: &'static [&'static str], seconds: u64) -> Work {
    Work::Tests { package: "e2e", targets: &["life"], only, skip: &[], seconds }
}
