//! The topic `verdicts`: what follows from faults, and what must not.

use super::work::Work;
use super::{Step, Topic};

/// Judging endpoints.
pub const VERDICTS: Topic = Topic {
    name: "verdicts",
    about: "Real faults of masters beside HAProxy with kubeadm's file and a tuned one, and events that \
            are no faults of theirs: who is cut, who fails, how soon it is known.",
    steps: &[Step {
        name: "tables",
        title: "The fault table and the table of false alarms",
        work: Work::Tests { package: "e2e", targets: &["verdicts"], seconds: 4 * 3600 },
    }],
};
