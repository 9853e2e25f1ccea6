//! The topic `speed`: the bench that anyone can run, its guard, and how far the data path reaches on it.

use super::benched::Measure;
use super::measured::{Against, Bar};
use super::work::Work;
use super::{Step, Topic};

/// What a unit of work costs beside HAProxy, nginx and Envoy.
pub const SPEED: Topic = Topic {
    name: "speed",
    about: "Anyone can measure ours beside HAProxy, nginx and Envoy on their own host; a change that makes a \
            unit of work dearer does not pass unnoticed; and ours is meant to take less than the best of \
            them, by how much each row says.",
    grids: &[],
    steps: &[
        Step {
            name: "quick",
            title: "The whole bench for a moment",
            work: Work::Measure(Measure::Quick { item: "1", seconds: 600 }),
        },
        row(
            "tcp-bulk",
            "TCP in bulk, 16 streams and one",
            &[
                best("2.1.1", "tcp-bulk-down/16", 0.85),
                best("2.1.2", "tcp-bulk-down/1", 0.85),
                best("2.1.3", "tcp-bulk-up/16", 0.85),
                best("2.1.4", "tcp-bulk-up/1", 0.85),
            ],
        ),
        row(
            "tcp-ping-pong",
            "Small messages by TCP, one connection and 100",
            &[best("2.2.1", "tcp-ping-pong/1", 0.97), best("2.2.2", "tcp-ping-pong/100", 0.97)],
        ),
        row(
            "tcp-connect-close",
            "Short connections",
            &[best("2.3.1", "tcp-connect-close/32", 0.97)],
        ),
        row(
            "http-small",
            "Small requests, bare and dressed",
            &[best("2.4.1", "http-small/64/bare", 0.92), best("2.4.2", "http-small/64", 0.85)],
        ),
        row(
            "http-fields",
            "20 header fields each way, dressed and bare",
            &[best("2.5.1", "http-fields/64", 0.85), best("2.5.2", "http-fields/64/bare", 0.85)],
        ),
        row(
            "http-fresh",
            "A connection for each request, dressed and bare",
            &[best("2.6.1", "http-fresh/32", 0.95), best("2.6.2", "http-fresh/32/bare", 0.95)],
        ),
        row(
            "http-64k",
            "Answers of 64 KiB, dressed and bare",
            &[best("2.7.1", "http-64k/64", 0.75), best("2.7.2", "http-64k/64/bare", 0.75)],
        ),
        row(
            "http-1m",
            "Answers of 1 MiB, dressed and bare",
            &[best("2.8.1", "http-1m/16", 0.95), best("2.8.2", "http-1m/16/bare", 0.95)],
        ),
        row(
            "https-handshake",
            "Full TLS handshakes, P-256 and RSA-2048",
            &[
                Bar { against: Against::OpenSsl, ..best("2.9.1", "https-handshake/32", 0.55) },
                Bar {
                    against: Against::Peer("envoy"),
                    ..best("2.9.2", "https-handshake/32", 0.85)
                },
                Bar { against: Against::OpenSsl, ..best("2.9.3", "https-handshake-rsa/32", 0.80) },
                Bar {
                    against: Against::Peer("envoy"),
                    ..best("2.9.4", "https-handshake-rsa/32", 0.60)
                },
            ],
        ),
        row(
            "https-small",
            "Small requests over TLS, dressed and bare",
            &[best("2.10.1", "https-small/64", 0.85), best("2.10.2", "https-small/64/bare", 0.85)],
        ),
        row(
            "https-1m",
            "Answers of 1 MiB over TLS, dressed and bare",
            &[best("2.11.1", "https-1m/16", 0.75), best("2.11.2", "https-1m/16/bare", 0.75)],
        ),
        row(
            "h2",
            "HTTP/2 over TLS and without, to HTTP/1.1",
            &[
                Bar { against: Against::Haproxy, ..best("2.12.1", "h2-tls/8", 1.1) },
                Bar { against: Against::Haproxy, ..best("2.12.2", "h2c/8", 1.1) },
            ],
        ),
        Step {
            name: "idle",
            title: "Memory of sessions at rest after traffic",
            work: Work::Measure(Measure::AtRest(&[
                ("2.13.1", "tcp-idle/5000", 1.5),
                ("2.13.2", "http-idle/5000", 1.0),
                ("2.13.3", "https-idle/5000", 10.0),
            ])),
        },
        Step {
            name: "p99",
            title: "Latency at 70 % of the slowest one's rate",
            work: Work::Measure(Measure::Tails {
                item: "2.14",
                loads: &[
                    "tcp-ping-pong/100",
                    "tcp-connect-close/32",
                    "http-small/64",
                    "http-64k/64",
                    "https-small/64",
                    "https-handshake/32",
                    "h2-tls/8",
                    "grpc-unary/8",
                    "http-websocket/100",
                ],
            }),
        },
        Step {
            name: "flat",
            title: "From one endpoint and route to 10,000",
            work: Work::Measure(Measure::Flat {
                item: "2.15",
                loads: &["tcp-endpoints/32", "http-routes/64"],
                most: 1.05,
            }),
        },
        Step {
            name: "workers",
            title: "From one worker to two",
            work: Work::Measure(Measure::Workers { item: "2.16", most: 1.05 }),
        },
        Step {
            name: "guard",
            title: "The guard, and a slowdown that it must notice",
            work: Work::Measure(Measure::Guard { items: ["3.1", "3.2"] }),
        },
    ],
};

/// A row of processor time.
const fn row(name: &'static str, title: &'static str, bars: &'static [Bar]) -> Step {
    Step { name, title, work: Work::Measure(Measure::Bars(bars)) }
}

/// Beside the best peer.
const fn best(item: &'static str, load: &'static str, most: f64) -> Bar {
    Bar { load, item, against: Against::Best, most }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn items_have_numbers_of_their_own_and_loads_exist() {
        let mut items = BTreeSet::new();
        for step in SPEED.steps {
            let Work::Measure(Measure::Bars(bars)) = &step.work else { continue };
            for bar in *bars {
                assert!(items.insert(bar.item), "{}", bar.item);
                let case = bar.load.split('/').next().unwrap_or_default();
                let folder = crate::tree::root().join("benches/cases").join(case);
                assert!(folder.is_dir(), "{case}");
            }
        }
        assert_eq!(items.len(), 27);
    }
}
