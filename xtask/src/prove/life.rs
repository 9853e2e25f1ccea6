//! The topic `life`: the programs as services that are reloaded, killed, restarted and watched.

use super::work::Work;
use super::{Step, Topic};

/// Living as a service.
pub const LIFE: Topic = Topic {
    name: "life",
    about: "Both programs live as services that one can trust: a reload, a crash and a restart lose \
            nobody, a stuck worker is replaced, and what they tell costs next to nothing.",
    grids: &[],
    steps: &[
        Step {
            name: "tests",
            title: "The real programs as their units start them",
            work: Work::Tests {
                package: "e2e",
                targets: &["life"],
                only: &[],
                skip: &[super::migrate::TESTS, super::operate::TESTS],
                seconds: 3600,
            },
        },
        Step {
            name: "confined",
            title: "Confined, with files that only root may read",
            work: Work::Tests {
                package: "e2e",
                targets: &["security"],
                only: &[],
                skip: &[],
                seconds: 600,
            },
        },
        Step {
            name: "ping-pong",
            title: "CPU of logs and metrics, small messages",
            work: Work::Bench {
                load: "tcp-observed-ping-pong/100",
                item: "5a.1 logs, metrics and 20 routes:",
                peer: Some("eclusa-bare"),
                most: 1.03,
            },
        },
        Step {
            name: "connect-close",
            title: "CPU of logs and metrics, short connections",
            work: Work::Bench {
                load: "tcp-observed-connect-close/32",
                item: "5a.2 logs, metrics and 20 routes:",
                peer: Some("haproxy-tuned"),
                most: 1.05,
            },
        },
    ],
};
