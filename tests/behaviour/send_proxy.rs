//! What endpoints learn by PROXY headers: read by a parser that shares no code with the product.

use e2e::plain::{connect, exchange};
use e2e::product::{PATIENCE, Program};
use e2e::proof::{Item, wrong_of};
use eclusa_testkit::ca::client_hello;
use eclusa_testkit::endpoint::{Endpoint, Kind, Recorded};
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use eclusa_testkit::proxy_header::UNIQUE_ID;
use serde_json::Value;
use std::fmt::Write;

/// `send_proxy` of a pool, and the versions and fields that the endpoint must see.
const FORMS: [(&str, u8, bool); 3] = [
    ("\"v1\"", 1, false),
    ("\"v2\"", 2, false),
    ("{ version = 2, alpn = true, authority = true, unique_id = true, crc32c = true }", 2, true),
];

fn config() -> String {
    let mut config = String::new();
    for (number, (form, ..)) in FORMS.iter().enumerate() {
        let _ = write!(
            config,
            "[listener.l{number}]\nlisten = [\"192.168.1.2:{0}\", \"[::1]:{0}\"]\npeek = \"tls\"\n\
             pool = \"p{number}\"\n[pool.p{number}]\nendpoints = [\"10.0.1.100:{0}\"]\n\
             probe = {{ kind = \"none\" }}\nsend_proxy = {form}\n",
            9000 + number
        );
    }
    config
}

/// Whether the header says what the record says, in the form that was asked for.
fn is_right(
    seen: &Recorded,
    hello: &[u8],
    record: &Value,
    (_, version, tlvs): (&str, u8, bool),
) -> bool {
    let Some(header) = &seen.header else { return false };
    let says = |address: Option<std::net::SocketAddr>, key: &str| {
        address.is_some_and(|address| record[key] == address.to_string().as_str())
    };
    let id = header.tlv(UNIQUE_ID).map(String::from_utf8_lossy);
    let fields = match tlvs {
        true => {
            header.alpn() == Some("h2")
                && header.authority() == Some("shop.test")
                && id.is_some_and(|id| record["id"] == *id)
                && header.has_crc
        }
        false => header.tlvs.is_empty() && !header.has_crc,
    };
    header.version == version
        && !header.local
        && says(header.source, "client")
        && says(header.destination, "local")
        && fields
        && seen.first == hello
        && seen.malformed.is_none()
}

#[test]
fn endpoints_learn_the_client_by_proxy_headers() {
    if skipped("endpoints_learn_the_client_by_proxy_headers") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let edge = Program::Edge.start(Some(&cluster.host("edge")), &config());
    let hello = client_hello("shop.test", &["h2", "http/1.1"]);
    let mut wrong = Vec::new();
    for (port, form) in (9000..).zip(FORMS) {
        let at = format!("10.0.1.100:{port}").parse().unwrap();
        let endpoint =
            cluster.host("worker1").enter(|| Endpoint::start(at, Kind::Recorder)).unwrap();
        let ways = [("outside1", format!("192.168.1.2:{port}")), ("edge", format!("[::1]:{port}"))];
        for (number, (from, to)) in ways.into_iter().enumerate() {
            let stream = connect(&cluster.host(from), to.parse().unwrap());
            let client = stream.local_addr().unwrap();
            let heard = exchange(&stream, &hello).unwrap();
            let record = edge.session_of(client, &format!("l{}", port - 9000));
            let seen = &endpoint.wait_recorded(number + 1, PATIENCE)[number];
            if heard != hello || !is_right(seen, &hello, &record, form) {
                wrong.push(format!("{} to {to}: {:?}, {record}", form.0, seen.header));
            }
        }
    }
    let n = FORMS.len() * 2;
    Item::new("2.2.3 PROXY v1, v2, and v2 with ALPN, authority, unique id, CRC32C")
        .bound("client, address and fields as in the record, over v4 and v6; then the hello")
        .n(n)
        .record(wrong.is_empty(), wrong_of(n, &wrong));
}
