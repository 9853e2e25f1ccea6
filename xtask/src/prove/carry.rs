//! The topic `carry`: TCP sessions from accept to finish record, beside HAProxy and nginx.

use super::benched::Measure;
use super::work::Work;
use super::{Step, Topic};

/// Carrying traffic.
pub const CARRY: Topic = Topic {
    name: "carry",
    about: "Both programs build and start from short files, and carry real TCP to real TLS endpoints \
            without losing a byte, at a cost that stands beside HAProxy's and nginx's.",
    grids: &[],
    steps: &[
        Step {
            name: "demo",
            title: "One command shows it",
            work: Work::Program {
                item: "1.1 eclusa-demo",
                bound: "ends well by itself",
                arguments: &["run", "--release", "--bin", "eclusa-demo", "--", "--for", "20s"],
                seconds: 900,
            },
        },
        Step {
            name: "ci",
            title: "A fresh clone, tested",
            work: Work::FreshClone {
                all: ("1.2 .ci/run on a fresh clone", 25 * 60),
                tests: ("1.3 cargo test in it", 8 * 60),
            },
        },
        Step {
            name: "tests",
            title: "The real programs in the cluster of namespaces",
            work: Work::Tests {
                package: "e2e",
                targets: &["behaviour", "failure", "security"],
                only: &[],
                skip: &[],
                seconds: 2 * 3600,
            },
        },
        Step {
            name: "idle",
            title: "Memory of idle sessions",
            work: Work::Measure(Measure::Idle {
                item: "4",
                sessions: 10_000,
                fewer: 5_000,
                most_kibibytes: 2.0,
            }),
        },
        Step {
            name: "bulk-down",
            title: "CPU of bulk, down",
            work: Work::Bench {
                load: "tcp-bulk-down/16",
                item: "6.1",
                peer: Some("haproxy-tuned"),
                most: 0.9,
            },
        },
        Step {
            name: "bulk-up",
            title: "CPU of bulk, up",
            work: Work::Bench {
                load: "tcp-bulk-up/16",
                item: "6.2",
                peer: Some("haproxy-tuned"),
                most: 0.9,
            },
        },
        Step {
            name: "ping-pong",
            title: "CPU of small messages",
            work: Work::Bench { load: "tcp-ping-pong/100", item: "6.3", peer: None, most: 1.0 },
        },
        Step {
            name: "connect-close",
            title: "CPU of short connections",
            work: Work::Bench { load: "tcp-connect-close/32", item: "6.4", peer: None, most: 1.05 },
        },
        Step {
            name: "fuzz",
            title: "Fuzz targets",
            work: Work::Fuzz {
                item: "7",
                targets: &["proxy", "client_hello", "config"],
                seconds: 60,
            },
        },
    ],
};
