//! HTTP/2 towards endpoints: few connections for all clients, nothing lost when endpoints leave.

use super::client::{Client, read, read_body, request, run, send_all, wait};
use super::endpoint::Endpoint;
use crate::bed::{Bed, PLAIN};
use e2e::product::PATIENCE;
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::wait_for;
use h2::Reason;
use h2::ext::Protocol;
use http::{HeaderMap, HeaderValue, Method};
use hyper::body::Bytes;
use serde_json::Value;
use std::sync::atomic::Ordering;

/// What `/two` asks for goes to an endpoint that speaks HTTP/2.
pub(super) const MORE: &str = r#"
[pool.two]
endpoints = ["10.0.1.107:80"]
probe = { kind = "none" }
http = { version = "2" }
[[listener.plain.route]]
path_prefix = "/two"
pool = "two"
[[listener.plain.route]]
path = ["/refused", "/hang"]
pool = "two"
"#;

pub(super) const ENDPOINT: &str = "10.0.1.107:80";

#[test]
fn requests_of_all_clients_share_few_connections() {
    if skipped("requests_of_all_clients_share_few_connections") {
        return;
    }
    let bed = Bed::without_nginx(MORE);
    let endpoint = Endpoint::start(&bed.worker(), ENDPOINT, usize::MAX);
    let mut old = bed.connect();
    for number in 0..20 {
        let reply = old.get("app.test", &format!("/two/{number}")).unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (200, "0"));
    }
    run(async {
        for _ in 0..3 {
            let mut client = Client::open(&bed.client, PLAIN).await;
            let mut begun = Vec::new();
            for number in 0..30 {
                let asked = request(Method::POST, &format!("/two/{number}"));
                let (response, mut up) = client.begin(asked, false).await.unwrap();
                send_all(&mut up, &vec![b'x'; number * 1_000], false).await;
                let mut trailers = HeaderMap::new();
                trailers.insert("x-checked", HeaderValue::from_static("yes"));
                up.send_trailers(trailers).unwrap();
                begun.push(response);
            }
            for (number, response) in begun.into_iter().enumerate() {
                let answer = read(response).await.unwrap();
                assert_eq!(answer.body, (number * 1_000).to_string().as_bytes());
                assert_eq!(answer.trailers["x-trailers"], "1", "trailers go both ways");
            }
        }
        // Whoever gives a request up gives it up there, too.
        let mut client = Client::open(&bed.client, PLAIN).await;
        let (response, mut up) = client.begin(request(Method::GET, "/hang"), true).await.unwrap();
        wait(|| endpoint.count("/hang") == 1).await;
        up.send_reset(Reason::CANCEL);
        drop((response, up));
        let sender = client.send.clone();
        wait(|| !endpoint.seen.resets.lock().unwrap().is_empty()).await;
        drop(sender);
    });
    assert_eq!(*endpoint.seen.resets.lock().unwrap(), [Reason::CANCEL]);
    // Two workers; one connection has room for all that came.
    let connections = endpoint.seen.connections.load(Ordering::Relaxed);
    assert!(connections <= 2, "{connections}");
    let seen = endpoint.seen.requests.lock().unwrap();
    assert!(seen[0].starts_with("GET http://app.test/two/0 "), "{}", seen[0]);
}

#[test]
fn what_an_endpoint_has_not_begun_goes_again() {
    if skipped("what_an_endpoint_has_not_begun_goes_again") {
        return;
    }
    let bed = Bed::without_nginx(MORE);
    let endpoint = Endpoint::start(&bed.worker(), ENDPOINT, 5);
    let mut old = bed.connect();
    assert_eq!(old.get("app.test", "/two/warm").unwrap().status, 200);
    run(async {
        let mut client = Client::open(&bed.client, PLAIN).await;
        // No method that may be sent twice; nothing was done.
        let (response, _) = client.begin(request(Method::POST, "/two/first"), true).await.unwrap();
        assert_eq!(read(response).await.unwrap().status, 200);
        let (response, _) = client.begin(request(Method::POST, "/refused"), true).await.unwrap();
        assert_eq!(read(response).await.unwrap().status, 200);
        // The endpoint leaves every five requests, with some on their way.
        for round in 0..10 {
            let mut begun = Vec::new();
            for number in 0..8 {
                let asked = request(Method::POST, &format!("/two/{round}/{number}"));
                begun.push(client.begin(asked, true).await.unwrap().0);
            }
            for response in begun {
                assert_eq!(read(response).await.unwrap().status, 200);
            }
        }
    });
    assert_eq!(endpoint.count("/refused"), 2);
    for round in 0..10 {
        for number in 0..8 {
            let path = format!("/two/{round}/{number} ");
            assert_eq!(endpoint.count(&path), 1, "{path} is done once");
        }
    }
}

#[test]
fn web_sockets_reach_endpoints_of_http2_by_every_version() {
    if skipped("web_sockets_reach_endpoints_of_http2_by_every_version") {
        return;
    }
    let bed = Bed::without_nginx(MORE);
    let _endpoint = Endpoint::start(&bed.worker(), ENDPOINT, usize::MAX);
    let mut old = bed.connect();
    // The key and the answer of RFC 6455, section 1.3.
    old.say(
        b"GET /two/socket HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\n\
          Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    .unwrap();
    let head = old.head().unwrap();
    assert_eq!(head.status, 101);
    assert_eq!(head.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(head.field("upgrade"), Some("websocket"));
    old.say(b"hello").unwrap();
    assert_eq!(old.exactly(5).unwrap(), b"hello");
    run(async {
        let mut client = Client::open(&bed.client, PLAIN).await;
        assert_eq!(client.get("/two/any").await.unwrap().status, 200);
        let mut asked = request(Method::CONNECT, "/two/socket");
        asked.extensions_mut().insert(Protocol::from_static("websocket"));
        let (response, mut up) = client.begin(asked, false).await.unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        send_all(&mut up, b"there and back", false).await;
        assert_eq!(body.data().await.unwrap().unwrap(), "there and back");
        body.flow_control().release_capacity(14).unwrap();
        up.send_data(Bytes::new(), true).unwrap();
        assert_eq!(read_body(&mut body).await.unwrap().0, b"");
    });
}

/// One connection with one request: the next waits for it to be over, and is told when that takes too long.
const NARROW: &str = r#"
[pool.narrow]
endpoints = ["10.0.1.107:80"]
probe = { kind = "none" }
http = { version = "2", connections = 1, streams = 1 }
dial = { timeout = "1s" }
[[listener.plain.route]]
path = ["/narrow", "/hang"]
pool = "narrow"
"#;

#[test]
fn where_all_connections_are_full_requests_wait_and_the_endpoint_is_not_blamed() {
    if skipped("where_all_connections_are_full_requests_wait_and_the_endpoint_is_not_blamed") {
        return;
    }
    let bed = Bed::without_nginx(NARROW);
    let endpoint = Endpoint::start(&bed.worker(), ENDPOINT, usize::MAX);
    run(async {
        let mut client = Client::open(&bed.client, PLAIN).await;
        let (hangs, mut up) = client.begin(request(Method::GET, "/hang"), true).await.unwrap();
        wait(|| endpoint.count("/hang") == 1).await;
        assert_eq!(client.get("/narrow").await.unwrap().status, 503);
        assert_eq!(endpoint.count("/narrow"), 0, "it was never asked");
        // With room again it is, at once: nothing was held against it.
        let (waits, _) = client.begin(request(Method::GET, "/narrow"), true).await.unwrap();
        up.send_reset(Reason::CANCEL);
        drop((hangs, up));
        assert_eq!(read(waits).await.unwrap().status, 200);
    });
    assert_eq!(endpoint.seen.connections.load(Ordering::Relaxed), 1);
}

/// One whose endpoint is probed.
const PROBED: &str = r#"
[pool.probed]
endpoints = ["10.0.1.107:80"]
probe = { kind = "http", path = "/health" }
http = { version = "2" }
[[listener.plain.route]]
path = ["/probed", "/reset"]
pool = "probed"
"#;

#[test]
fn streams_that_an_endpoint_resets_are_not_held_against_it() {
    if skipped("streams_that_an_endpoint_resets_are_not_held_against_it") {
        return;
    }
    let bed = Bed::without_nginx(PROBED);
    let endpoint = Endpoint::start(&bed.worker(), ENDPOINT, usize::MAX);
    let is_up = |event: &Value| event["pool"] == "probed" && event["verdict"] == "up";
    wait_for(PATIENCE, "up", || bed.edge.events().into_iter().find(is_up));
    let before = bed.edge.events().len();
    run(async {
        let mut client = Client::open(&bed.client, PLAIN).await;
        for _ in 0..5 {
            assert_eq!(client.get("/reset").await.unwrap().status, 502);
        }
        assert_eq!(client.get("/probed").await.unwrap().status, 200);
    });
    assert!(endpoint.count("/health") > 0, "it is asked in HTTP/2");
    assert_eq!(endpoint.count("/reset"), 5, "each is asked for once");
    // The next thing that is told of it is that it is gone.
    drop(endpoint);
    run(async {
        let mut client = Client::open(&bed.client, PLAIN).await;
        assert!(client.get("/probed").await.unwrap().status >= 502);
    });
    let is_ill = |event: &Value| {
        event["pool"] == "probed" && matches!(event["verdict"].as_str(), Some("suspect" | "dead"))
    };
    let first =
        wait_for(PATIENCE, "a verdict", || bed.edge.events().into_iter().skip(before).find(is_ill));
    assert_ne!(first["reason"], "no answer", "{first}");
}
