//! The topic `edge`: TLS and HTTP/1.1 at the edge, beside HAProxy and nginx.

use super::work::Work;
use super::{Step, Topic};

/// Layer 7 at the edge, first half.
pub const EDGE: Topic = Topic {
    name: "edge",
    about: "The edge terminates TLS and carries HTTP/1.1 to real ingress controllers, forwards nothing \
            that two readers could read differently, and keeps serving through faults, slow clients, \
            renewals and reloads.",
    grids: &[],
    steps: &[
        Step {
            name: "tests",
            title: "The real program before real nginx in the cluster of namespaces",
            work: Work::Tests { package: "e2e", targets: &["edge"], seconds: 2 * 3600 },
        },
        Step {
            name: "fuzz",
            title: "Fuzz targets",
            work: Work::Fuzz {
                item: "7",
                targets: &["request", "response", "chunks", "route", "condition"],
                seconds: 60,
            },
        },
    ],
};
