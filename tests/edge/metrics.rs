//! Figures of TLS and HTTP after known traffic.

use crate::bed::{Bed, PLAIN};
use crate::figures::{OBSERVED, page, value, wait_for};
use crate::recorder::path_of;
use crate::reply::Wire;
use eclusa_testkit::netns::skipped;

/// All of them.
const FAMILIES: [&str; 12] = [
    "eclusa_listener_tls_handshakes_total",
    "eclusa_listener_exchanges_total",
    "eclusa_listener_requests_refused_total",
    "eclusa_listener_logins_total",
    "eclusa_listener_over_limit_total",
    "eclusa_listener_limit_clients_forgotten_total",
    "eclusa_pool_exchanges_total",
    "eclusa_pool_answer_seconds",
    "eclusa_pool_retries_total",
    "eclusa_pool_reused_total",
    "eclusa_pool_answers_refused_total",
    "eclusa_worker_idle_connections",
];

/// Exchanges of every kind: the test knows how many of each.
fn traffic(bed: &Bed) {
    // Seven on one connection, three over TLS, each with a connection of its own.
    let mut wire = bed.connect();
    for number in 0..7 {
        assert_eq!(wire.get("app.test", &format!("/{number}")).unwrap().status, 200);
    }
    for _ in 0..3 {
        assert_eq!(bed.curl(&["https://app.test/tls"]).as_deref(), Ok("/tls"));
    }
    // One that no endpoint sees, one that is no HTTP, one whose answer is none, one that is cut.
    assert_eq!(wire.get("app.test", "/gone-by-connect").unwrap().status, 200);
    wire.say(b"CONNECT app.test:443 HTTP/1.1\r\nHost: app.test:443\r\n\r\n").unwrap();
    assert_eq!(wire.reply().unwrap().status, 405);
    let mut wrong = bed.connect();
    wrong.say(b"GET / HTTP/1.1\r\nHost: app.test\r\nnocolon\r\n\r\n").unwrap();
    assert_eq!(wrong.reply().unwrap().status, 400);
    let garbage = path_of(b"HTTP/1.1 200 OK\r\nnocolon\r\n\r\n");
    assert_eq!(bed.connect().get("app.test", &garbage).unwrap().status, 502);
    assert!(bed.connect().get("app.test", "/cut").is_err());
    // Plain HTTP where TLS is spoken.
    let mut plain = Wire::open(&bed.client, (PLAIN.ip(), 443).into()).unwrap();
    plain.say(b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").unwrap();
    plain.hear_to_end().unwrap();
}

#[test]
fn figures_after_known_traffic_are_exact() {
    if skipped("figures_after_known_traffic_are_exact") {
        return;
    }
    let bed = Bed::without_nginx(OBSERVED);
    let before = page(&bed);
    assert!(FAMILIES.iter().all(|name| before.contains(&format!("# TYPE {name} "))), "{before}");
    traffic(&bed);
    let exchanges = "eclusa_listener_exchanges_total";
    wait_for(&bed, &format!("{exchanges}{{listener=\"plain\",status=\"2xx\"}}"), 9.0);
    wait_for(&bed, &format!("{exchanges}{{listener=\"secure\",status=\"2xx\"}}"), 3.0);
    let handshakes = "eclusa_listener_tls_handshakes_total{listener=\"secure\"";
    // It is counted once the client has had the time to read why.
    wait_for(&bed, &format!("{handshakes},outcome=\"not_tls\"}}"), 1.0);
    let page = page(&bed);
    let done = value(&page, &format!("{handshakes},outcome=\"full\"}}"))
        + value(&page, &format!("{handshakes},outcome=\"resumed\"}}"));
    let ended = "eclusa_pool_exchanges_total{pool=\"recorder\"";
    let exact = [
        (format!("{exchanges}{{listener=\"plain\",status=\"4xx\"}}"), 2),
        (format!("{exchanges}{{listener=\"plain\",status=\"5xx\"}}"), 1),
        (
            "eclusa_listener_requests_refused_total{listener=\"plain\",reason=\"no_colon\"}".into(),
            1,
        ),
        ("eclusa_listener_requests_refused_total".into(), 1),
        ("eclusa_pool_answers_refused_total{pool=\"recorder\",reason=\"no_colon\"}".into(), 1),
        ("eclusa_pool_answers_refused_total".into(), 1),
        (format!("{ended},ended_by=\"endpoint\",step=\"data\",how=\"clean\"}}"), 11),
        (format!("{ended},ended_by=\"endpoint\",step=\"data\",how=\"abort\"}}"), 1),
        (format!("{ended},ended_by=\"endpoint\",step=\"answer\",how=\"abort\"}}"), 1),
        ("eclusa_pool_answer_seconds_count{pool=\"recorder\"}".into(), 12),
        ("eclusa_listener_over_limit_total".into(), 0),
    ];
    for (sample, wanted) in exact {
        let found = value(&page, &sample);
        assert!((found - f64::from(wanted)).abs() < 0.5, "{sample}: {found}, not {wanted}");
    }
    assert!((done - 3.0).abs() < 0.5, "{done} handshakes");
    assert!(value(&page, "eclusa_pool_reused_total{pool=\"recorder\"}") >= 7.0, "kept connections");
    assert!(value(&page, "eclusa_worker_idle_connections") >= 1.0, "one is at rest");
    let down = value(&page, "eclusa_listener_bytes_total{listener=\"plain\",direction=\"down\"}");
    assert!(down > 500.0, "exchanges count, too: {down}");
    // A kept connection that ends without an answer is no fault of anybody's: a fresh one is tried.
    let retries = "eclusa_pool_retries_total{pool=\"recorder\"}";
    let before = value(&page, retries);
    let mut retried = bed.connect();
    assert_eq!(retried.get("app.test", "/kept").unwrap().status, 200);
    assert_eq!(retried.get("app.test", "/empty").unwrap().status, 502);
    wait_for(&bed, retries, before + 1.0);
}
