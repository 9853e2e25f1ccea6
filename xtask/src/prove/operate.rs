//! The topic `operate`: what an operator installs, sees, asks and does.
//!
//! Packages, what knows HAProxy, the dashboard and `doctor` are proved so far; the other rows of its issue join with
//! what they are about.

use super::work::Work;
use super::{Step, Topic};

/// Operating.
pub const OPERATE: Topic = Topic {
    name: "operate",
    about: "Operators install, see, ask, plan and act without fear. So far this page has packages, \
            compatibility, the dashboard and `doctor`; the rows about commands and `explain` are not there yet.",
    grids: &[],
    steps: &[
        Step {
            name: "packages",
            title: "Debian packages in a clean Debian 12 with its systemd",
            work: Work::Packages,
        },
        Step {
            name: "compat",
            title: "Public clients of HAProxy's socket, table and exporter",
            work: Work::Tests {
                package: "e2e",
                targets: &["life"],
                only: &["compat::"],
                skip: &[],
                seconds: 600,
            },
        },
        Step {
            name: "dashboard",
            title: "The dashboard, in a real Chromium (`ECLUSA_CHROMIUM`, `ECLUSA_AXE`)",
            work: Work::Tests {
                package: "e2e",
                targets: &["life"],
                only: &["dashboard::"],
                skip: &[],
                seconds: 900,
            },
        },
        Step {
            name: "doctor",
            title: "`doctor` against hosts and endpoints that are not in order; a bundle without secrets",
            work: Work::Tests {
                package: "e2e",
                targets: &["life"],
                only: &["doctor::"],
                skip: &[],
                seconds: 600,
            },
        },
    ],
};
