//! Deadlines of gRPC calls, held for clients that do not hold them themselves; endpoints that fall silent.

use super::client::{Client, read, read_body, request, run, wait};
use super::endpoint::Endpoint;
use crate::bed::{Bed, PLAIN};
use eclusa_testkit::netns::skipped;
use h2::Reason;
use http::{Method, Request};
use serde_json::Value;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const MORE: &str = r#"
[pool.two]
endpoints = ["10.0.1.107:80"]
probe = { kind = "none" }
http = { version = "2", ping_after = "1s" }
[[listener.plain.route]]
path_prefix = "/"
pool = "two"
"#;

const ENDPOINT: &str = "10.0.1.107:80";

/// A call without messages.
fn call(path: &str, timeout: Option<&str>) -> Request<()> {
    let mut call = request(Method::POST, path);
    let fields = call.headers_mut();
    fields.insert("content-type", "application/grpc".parse().unwrap());
    fields.insert("te", "trailers".parse().unwrap());
    if let Some(timeout) = timeout {
        fields.insert("grpc-timeout", timeout.parse().unwrap());
    }
    call
}

#[test]
fn a_call_ends_with_its_deadline() {
    if skipped("a_call_ends_with_its_deadline") {
        return;
    }
    let bed = Bed::without_nginx(MORE);
    let endpoint = Endpoint::start(&bed.worker(), ENDPOINT, usize::MAX);
    run(async {
        let mut client = Client::open(&bed.client, PLAIN).await;
        let sender = client.send.clone();
        // Nothing was answered; the client could still send.
        let began = Instant::now();
        let (response, up) = client.begin(call("/hang", Some("300m")), false).await.unwrap();
        let answer = read(response).await.unwrap();
        let took = began.elapsed();
        drop(up);
        assert_eq!((answer.status, &answer.fields["grpc-status"]), (200, &"4".parse().unwrap()));
        assert_eq!(answer.fields["content-type"], "application/grpc");
        assert!((Duration::from_millis(300)..Duration::from_secs(2)).contains(&took), "{took:?}");
        // Something was.
        let (response, _) = client.begin(call("/begin", Some("300m")), true).await.unwrap();
        let (head, mut body) = response.await.unwrap().into_parts();
        assert_eq!(head.headers.get("grpc-status"), None);
        let (bytes, trailers) = read_body(&mut body).await.unwrap();
        assert_eq!((&*bytes, &trailers["grpc-status"]), (&b"begun"[..], &"4".parse().unwrap()));
        wait(|| endpoint.seen.resets.lock().unwrap().len() == 2).await;
        // No deadlines at all.
        for wrong in ["5", "5 S", "-5S", "999999999n"] {
            let (response, _) = client.begin(call("/wrong", Some(wrong)), true).await.unwrap();
            assert_eq!(read(response).await.unwrap().fields["grpc-status"], "13", "{wrong}");
        }
        for (path, timeout) in [("/far", Some("99999999H")), ("/left", Some("20S")), ("/no", None)]
        {
            let (response, _) = client.begin(call(path, timeout), true).await.unwrap();
            assert_eq!(read(response).await.unwrap().status, 200);
        }
        drop(sender);
    });
    assert_eq!(*endpoint.seen.resets.lock().unwrap(), [Reason::CANCEL; 2]);
    assert_eq!(endpoint.count("/wrong"), 0);
    assert_eq!(endpoint.count("\"99999999H\""), 1, "what is too far away passes as it came");
    let seen = endpoint.seen.requests.lock().unwrap().clone();
    let left = seen.iter().find(|request| request.contains("/left ")).unwrap();
    let left = left.split("\"grpc-timeout\": \"").nth(1).unwrap().split('u').next().unwrap();
    assert!((15_000_000..20_000_000).contains(&left.parse::<u64>().unwrap()), "{left}");
    for (path, status, letters, down) in [("/hang", 504, "cH", 0), ("/begin", 200, "cD", 5)] {
        let record = bed.exchange_for(path);
        let told = (&record["status"], &record["ended_by"], &record["letters"]);
        assert_eq!(told, (&status.into(), &"client".into(), &letters.into()), "{record}");
        assert_eq!(record["reason"], "the deadline of its call (`grpc-timeout`)");
        assert_eq!(
            (&record["endpoint"], &record["bytes"]["down"]),
            (&ENDPOINT.into(), &down.into())
        );
    }
    assert_eq!(bed.exchange_for("/wrong")["status"], 400);
    let mut verdicts = bed.edge.events();
    verdicts.retain(|event| event["event"] == "verdict" && event["pool"] == "two");
    assert_eq!(verdicts, Vec::<Value>::new(), "that is not held against the endpoint");
}

#[test]
fn an_endpoint_that_answers_no_ping_is_given_up() {
    if skipped("an_endpoint_that_answers_no_ping_is_given_up") {
        return;
    }
    let bed = Bed::without_nginx(MORE);
    let endpoint = Endpoint::start(&bed.worker(), ENDPOINT, usize::MAX);
    run(async {
        let mut client = Client::open(&bed.client, PLAIN).await;
        let began = Instant::now();
        let (calling, _) = client.begin(call("/hang", None), true).await.unwrap();
        wait(|| endpoint.count("/hang") == 1).await;
        // From here on it reads nothing of this connection, and answers nothing.
        let (asking, _) = client.begin(request(Method::GET, "/freeze"), true).await.unwrap();
        let asked = read(asking).await.unwrap();
        assert_eq!((asked.status, &*asked.body), (200, &b"0"[..]), "over another connection");
        let called = read(calling).await.unwrap();
        assert_eq!(called.fields["grpc-status"], "14", "a call that may have been begun");
        let took = began.elapsed();
        assert!((Duration::from_millis(1500)..Duration::from_secs(5)).contains(&took), "{took:?}");
    });
    assert_eq!(endpoint.seen.connections.load(Ordering::Relaxed), 2);
    let record = bed.exchange_for("/hang");
    assert_eq!(record["reason"], "the endpoint has answered no PING", "{record}");
}
