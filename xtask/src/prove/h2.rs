//! The topic `h2`: HTTP/2, gRPC and WebSocket at the edge, and floods beside HAProxy, nginx and Envoy.

use super::grid::Grid;
use super::work::Work;
use super::{Step, Topic};

/// What the names of the tests contain that are of this topic and not of `edge`.
pub const TESTS: &[&str] = &["h2::", "floods::", "handshakes::", "grpc::", "autobahn::", "soak::"];

/// Layer 7 at the edge, second half.
pub const H2: Topic = Topic {
    name: "h2",
    about: "The edge speaks HTTP/2 on both sides, carries gRPC and WebSockets as if it were not there, \
            forwards nothing that a translation could make ambiguous, and floods on one listener are \
            not felt on another.",
    grids: &[Grid {
        number: "4",
        title: "Floods",
        about: "Two attackers, each a process of one thread with an address of its own, at full speed \
                for 5 s on the same two cores; 16 others ask for something at another listener with \
                another endpoint, 40 times a second in all, half of them on new connections, each with \
                a deadline of 2 s. Each balancer is started anew for each row, on two threads, with a \
                log of every request and the limits that one gives it at an edge. *memory*: the most \
                that all its processes have held. *connections*: those the attackers have made; *cut*: \
                those that were ended on them; *refused*: attempts that failed.",
        short: "requests of others that failed / their p99 / memory at most",
        who: &["ours", "HAProxy", "nginx", "Envoy"],
    }],
    steps: &[
        Step {
            name: "tests",
            title: "HTTP/2 by the standard, and translated to HTTP/1.1",
            work: edge_tests(&["h2::", "handshakes::"], 3600),
        },
        Step {
            name: "autobahn",
            title: "Autobahn's cases of WebSocket",
            work: edge_tests(&["autobahn::"], 1800),
        },
        Step { name: "grpc", title: "gRPC", work: edge_tests(&["grpc::"], 3600) },
        Step { name: "floods", title: "Floods", work: edge_tests(&["floods::"], 2 * 3600) },
        Step {
            name: "h2-tls",
            title: "CPU of HTTP/2 over TLS to HTTP/1.1",
            work: Work::Bench {
                load: "h2-tls/8",
                item: "5.1",
                peer: Some("haproxy-tuned"),
                most: 1.25,
            },
        },
        Step {
            name: "h2c",
            title: "CPU of HTTP/2 without TLS to HTTP/1.1",
            work: Work::Bench {
                load: "h2c/8",
                item: "5.2",
                peer: Some("haproxy-tuned"),
                most: 1.25,
            },
        },
        Step {
            name: "fuzz",
            title: "Fuzz targets",
            work: Work::Fuzz { item: "6.3", targets: &["frames", "grpc"], seconds: 120 },
        },
        Step {
            name: "soak",
            title: "Everything at once for five minutes",
            work: edge_tests(&["soak::"], 1800),
        },
    ],
};

/// Those tests of the edge.
const fn edge_tests(only: &'static [&'static str], seconds: u64) -> Work {
    Work::Tests { package: "e2e", targets: &["edge"], only, skip: &[], seconds }
}
