//! The topic `operate`: what an operator installs, sees, asks and does.
//!
//! Only the packages are proved so far; the other rows of its issue join with what they are about.

use super::work::Work;
use super::{Step, Topic};

/// Operating.
pub const OPERATE: Topic = Topic {
    name: "operate",
    about: "Operators install, see, ask, plan and act without fear. So far this page has the packages \
            alone; the rows about commands, dashboard, `explain` and compatibility are not there yet.",
    grids: &[],
    steps: &[Step {
        name: "packages",
        title: "Debian packages in a clean Debian 12 with its systemd",
        work: Work::Packages,
    }],
};
