//! What is answered to which path.

use super::*;
use crate::client::who_answers_http2;
use crate::stream::{Checksum, Stream};
use serde_json::Value;
use std::time::Instant;

fn json(who: &Who) -> Value {
    serde_json::from_str(&who.body).unwrap()
}

#[test]
fn health_endpoints_say_ok_and_more_when_asked() {
    let bed = Bed::new(|_| {});
    for path in ["/readyz", "/livez", "/healthz"] {
        let who = bed.get(path).unwrap();
        assert_eq!((who.status, who.body.as_str(), who.master.as_str()), (200, "ok", "m1"));
        let verbose = bed.get(&format!("{path}?verbose")).unwrap().body;
        assert!(verbose.ends_with(&format!("{} check passed\n", &path[1..])), "{verbose}");
    }
    assert_eq!(bed.master.counters().health, 6);
}

#[test]
fn every_other_path_names_the_master_over_both_protocols() {
    let bed = Bed::new(|_| {});
    assert_eq!(json(&bed.get("/version").unwrap())["gitVersion"], "v1.36.0");
    let who = bed.get("/api/v1/nodes").unwrap();
    assert_eq!((who.status, json(&who)["master"].as_str()), (200, Some("m1")));
    assert!(who.client.starts_with("127.0.0.1:"), "{}", who.client);
    let who = who_answers_http2(&bed.target(), "/apis/apps/v1", LIMIT).unwrap();
    assert_eq!((who.status, json(&who)["path"].as_str()), (200, Some("/apis/apps/v1")));
    assert_eq!(bed.get("/slow?ms=soon").unwrap().status, 400);
    assert_eq!(bed.master.counters().requests, 4);
}

#[test]
fn plain_http_needs_no_tls() {
    let master = ApiServer::start(LOCAL.into(), Settings::plain("p1")).unwrap();
    let target = Target::plain(master.address());
    assert_eq!(who_answers(&target, "/readyz", LIMIT).unwrap().master, "p1");
    assert_eq!(who_answers_http2(&target, "/readyz", LIMIT).unwrap().master, "p1");
}

#[test]
fn a_post_gets_201_and_an_upload_its_checksum() {
    let bed = Bed::new(|_| {});
    let post = b"POST /api/v1/events HTTP/1.1\r\nHost: k\r\nContent-Length: 2\r\n\
        Connection: close\r\n\r\n{}";
    let answer = talk(bed.raw(), post);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let body = Stream::new(6).bytes(0, 300_000);
    let mut request = b"POST /upload HTTP/1.1\r\nHost: k\r\nContent-Length: 300000\r\n\
        Connection: close\r\n\r\n"
        .to_vec();
    request.extend(&body);
    let answer = talk(bed.raw(), &request);
    let (_, document) = answer.split_once("\r\n\r\n").unwrap();
    let document: Value = serde_json::from_str(document).unwrap();
    assert_eq!(document["bytes"], 300_000);
    assert_eq!(document["checksum"], Checksum::of(&body));
}

#[test]
fn a_blob_is_the_stream_of_its_seed() {
    let bed = Bed::new(|_| {});
    let mut raw = bed.raw();
    raw.write_all(
        b"GET /blob?bytes=200001&seed=3 HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n",
    )
    .unwrap();
    let mut answer = Vec::new();
    raw.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(String::from_utf8_lossy(&answer[..end]).contains("content-length: 200001"));
    assert_eq!(Stream::new(3).check(0, &answer[end..]), Ok(()));
    assert_eq!(answer.len() - end, 200_001);
}

#[test]
fn a_slow_answer_takes_its_time() {
    let bed = Bed::new(|_| {});
    let begun = Instant::now();
    assert_eq!(bed.get("/slow?ms=150").unwrap().status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[test]
fn a_watch_brings_numbered_events_at_its_rate() {
    let bed = Bed::new(|_| {});
    let begun = Instant::now();
    let who = bed.get("/watch?rate=100&events=21&pad=50").unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(195), "{:?}", begun.elapsed());
    let events: Vec<Value> =
        who.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = events.iter().map(|event| event["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..21).collect::<Vec<u64>>());
    assert_eq!(
        (events[0]["master"].as_str(), &events[0]["pad"]),
        (Some("m1"), &Value::from("x".repeat(50)))
    );
    let who = who_answers_http2(&bed.target(), "/api/v1/pods?watch=true&events=2&rate=1000", LIMIT);
    assert_eq!(who.unwrap().body.lines().count(), 2);
}

#[test]
fn the_proxy_header_names_the_client() {
    let bed = Bed::new(|settings| {
        settings.expect_proxy = true;
        settings.certificate = None;
    });
    let request = b"GET /api HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n";
    let tcp = || TcpStream::connect(bed.master.address()).unwrap();
    let with = [b"PROXY TCP4 192.168.1.50 10.0.1.100 40000 443\r\n", &request[..]].concat();
    let answer = talk(tcp(), &with);
    assert!(answer.contains("x-client: 192.168.1.50:40000"), "{answer}");
    let mut without = tcp();
    without.write_all(request).unwrap();
    let mut nothing = [0; 1];
    // FIN or, for the bytes it has not read, RST.
    assert!(!without.read(&mut nothing).is_ok_and(|read| read > 0));
    assert_eq!(bed.master.counters().requests, 1);
}

#[test]
fn a_client_can_begin_with_a_proxy_header_and_choose_its_address() {
    let bed = Bed::new(|settings| settings.expect_proxy = true);
    let (source, destination) = ("[fd00::5]:7".parse().unwrap(), "[fd00::1]:6443".parse().unwrap());
    let header = crate::proxy_header::write_v2(source, destination, &[], true);
    let who = who_answers(&bed.target().begin_with(&header), "/api", LIMIT).unwrap();
    assert_eq!(who.client, "[fd00::5]:7");
    let bed = Bed::new(|_| {});
    let who = who_answers(&bed.target().from([127, 0, 0, 9].into()), "/api", LIMIT).unwrap();
    assert!(who.client.starts_with("127.0.0.9:"), "{}", who.client);
}
