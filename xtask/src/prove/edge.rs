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
            work: Work::Tests {
                package: "e2e",
                targets: &["edge"],
                only: &[],
                skip: &[super::h2::TESTS],
                seconds: 2 * 3600,
            },
        },
        Step {
            name: "http-small",
            title: "CPU of small requests",
            work: Work::Bench { load: "http-small/64", item: "6.1", peer: None, most: 0.95 },
        },
        Step {
            name: "http-fields",
            title: "CPU of 20 header fields each way",
            work: Work::Bench { load: "http-fields/64", item: "6.2", peer: None, most: 0.95 },
        },
        Step {
            name: "http-fresh",
            title: "CPU of a connection per request",
            work: Work::Bench { load: "http-fresh/32", item: "6.3", peer: None, most: 1.0 },
        },
        Step {
            name: "http-64k",
            title: "CPU of answers of 64 KiB",
            work: Work::Bench { load: "http-64k/64", item: "6.4", peer: None, most: 0.85 },
        },
        Step {
            name: "http-1m",
            title: "CPU of answers of 1 MiB",
            work: Work::Bench { load: "http-1m/16", item: "6.5", peer: None, most: 1.0 },
        },
        Step {
            name: "https-handshake",
            title: "CPU of full TLS handshakes",
            work: Work::Bench { load: "https-handshake/32", item: "6.6", peer: None, most: 0.6 },
        },
        Step {
            name: "https-small",
            title: "CPU of small requests over TLS",
            work: Work::Bench { load: "https-small/64", item: "6.7", peer: None, most: 0.95 },
        },
        Step {
            name: "https-1m",
            title: "CPU of answers of 1 MiB over TLS",
            work: Work::Bench { load: "https-1m/16", item: "6.8", peer: None, most: 0.65 },
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
