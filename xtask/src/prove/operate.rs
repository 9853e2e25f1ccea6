//! The topic `operate`: what an operator installs, sees, asks and does.

use super::work::Work;
use super::{Step, Topic};

/// What the names of the tests of target `life` contain that are of this topic and not of `life`.
pub const TESTS: &[&str] =
    &["agreement::", "compat::", "dashboard::", "day::", "doctor::", "drill::"];

/// Operating.
pub const OPERATE: Topic = Topic {
    name: "operate",
    about: "Operators install, see, ask why, plan and act without fear: a day's work from the command line \
            costs no client anything, `explain` says where traffic goes, and a clean host balances its masters \
            after four commands.",
    grids: &[],
    steps: &[
        Step {
            name: "day",
            title: "A day of an operator, and drills, in the cluster of namespaces",
            work: life(&["day::", "drill::"], 1800),
        },
        Step {
            name: "dashboard",
            title: "The dashboard, in a real Chromium (`ECLUSA_CHROMIUM`, `ECLUSA_AXE`)",
            work: life(&["dashboard::"], 900),
        },
        Step {
            name: "explain",
            title: "`explain` and what traffic really does",
            work: life(&["agreement::"], 1800),
        },
        Step {
            name: "compat",
            title: "Public clients of HAProxy's socket, table and exporter",
            work: life(&["compat::"], 600),
        },
        Step {
            name: "packages",
            title: "Debian packages in a clean Debian 12 with its systemd",
            work: Work::Packages,
        },
        Step {
            name: "clean-root",
            title: "From `apt install` to a balanced apiserver on a clean Debian 12",
            work: Work::Start,
        },
        Step {
            name: "doctor",
            title: "`doctor` against hosts and endpoints that are not in order; a bundle without secrets",
            work: life(&["doctor::"], 600),
        },
    ],
};

/// Those tests of what lives as a service.
const fn life(only: &'static [&'static str], seconds: u64) -> Work {
    Work::Tests {
        package: "e2e",
        targets: &["life"],
        only,
        skip: &[super::migrate::DOCTOR],
        seconds,
    }
}
