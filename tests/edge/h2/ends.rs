//! How streams and connections end: each exchange for itself, and none is lost when the edge leaves.

use super::client::{Client, read, read_body, request, reset_of, run, send_all, wait};
use crate::bed::{Bed, PLAIN};
use e2e::plain::try_connect;
use e2e::product::PATIENCE;
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::wait_until;
use h2::Reason;
use http::Method;
use std::io::{Read, Write};

#[test]
fn a_stream_that_breaks_ends_its_exchange_alone() {
    if skipped("a_stream_that_breaks_ends_its_exchange_alone") {
        return;
    }
    let bed = Bed::without_nginx("");
    run(async {
        let mut client = Client::open(&bed.client, PLAIN).await;
        // The client gives one up while another is under way.
        let (hanging, mut up) = client.begin(request(Method::GET, "/hang"), true).await.unwrap();
        wait(|| bed.recorder.open() == 1).await;
        up.send_reset(Reason::CANCEL);
        assert!(hanging.await.is_err());
        drop(up);
        assert_eq!(client.get("/next").await.unwrap().body, b"/next");
        let given_up = bed.exchange_for("/hang");
        assert_eq!((&given_up["ended_by"], &given_up["status"]), (&"client".into(), &0.into()));
        // Endpoints that break off are told from those that end: a part of an answer is never whole.
        for path in ["/cut", "/cut-chunks"] {
            let error = client.get(path).await.unwrap_err();
            assert_eq!(reset_of(&error), Some(Reason::INTERNAL_ERROR), "{path}: {error}");
            assert_eq!(bed.exchange_for(path)["ended_by"], "endpoint");
        }
        assert_eq!(client.get("/empty").await.unwrap().status, 502);
        assert_eq!(client.get("/last").await.unwrap().body, b"last");
        // A client that is refused midway hears why, and may go on.
        let (response, mut up) =
            client.begin(request(Method::POST, "/early"), false).await.unwrap();
        send_all(&mut up, &[0; 300_000], false).await;
        drop(up);
        // The endpoint resets its connection behind the 413, and that may overtake it.
        let status = read(response).await.unwrap().status;
        assert!(matches!(status, 413 | 502), "{status}");
        assert_eq!(client.get("/after").await.unwrap().body, b"/after");
        client.end().await.unwrap();
    });
}

#[test]
fn a_client_that_only_says_hello_is_told_why_it_is_left() {
    if skipped("a_client_that_only_says_hello_is_told_why_it_is_left") {
        return;
    }
    let bed = Bed::without_nginx("");
    let mut stream = try_connect(&bed.client, PLAIN, PATIENCE).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    // Its settings: none.
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    // GOAWAY of stream 0, with NO_ERROR, is the last frame: eight bytes behind its head.
    let last = &said[said.len() - 17..];
    assert_eq!(last[..9], [0, 0, 8, 7, 0, 0, 0, 0, 0], "{said:?}");
    assert_eq!(last[13..], [0; 4], "{said:?}");
    let is_told = |event: &serde_json::Value| {
        event["event"] == "session" && event["reason"] == "no request within 1s"
    };
    wait_until(PATIENCE, "its record", || bed.edge.events().iter().any(is_told));
}

#[test]
fn a_listener_that_goes_says_goodbye_and_finishes_what_is_under_way() {
    if skipped("a_listener_that_goes_says_goodbye_and_finishes_what_is_under_way") {
        return;
    }
    let bed = Bed::without_nginx("");
    let config = std::fs::read_to_string(bed.edge.config().unwrap()).unwrap();
    run(async {
        let mut client = Client::open(&bed.client, PLAIN).await;
        let mut idle = Client::open(&bed.client, PLAIN).await;
        assert_eq!(idle.get("/idle").await.unwrap().status, 200);
        let (response, _) = client.begin(request(Method::GET, "/events"), true).await.unwrap();
        let mut body = response.await.unwrap().into_body();
        bed.reload_as(
            &config.replace("listen = [\"192.168.1.2:80\"]", "listen = [\"192.168.1.2:81\"]"),
        );
        // It is told by GOAWAY, and closed in good order.
        idle.is_ended().await.unwrap();
        assert!(idle.send.clone().ready().await.is_err());
        for _ in 0..4 {
            bed.recorder.go_on();
        }
        let (bytes, _) = read_body(&mut body).await.unwrap();
        assert_eq!(bytes, b"data: 1\n\ndata: 2\n\ndata: 3\n\n");
        client.is_ended().await.unwrap();
    });
}

#[test]
fn a_service_that_stops_finishes_streams_first() {
    if skipped("a_service_that_stops_finishes_streams_first") {
        return;
    }
    let mut bed = Bed::without_nginx("");
    run(async {
        let mut client = Client::open(&bed.client, PLAIN).await;
        let (response, _) = client.begin(request(Method::GET, "/events"), true).await.unwrap();
        let mut body = response.await.unwrap().into_body();
        bed.client.run("kill", &["-TERM", &bed.edge.pid().to_string()]).unwrap();
        for _ in 0..4 {
            bed.recorder.go_on();
        }
        let (bytes, _) = read_body(&mut body).await.unwrap();
        assert_eq!(bytes, b"data: 1\n\ndata: 2\n\ndata: 3\n\n");
        client.is_ended().await.unwrap();
    });
    assert_eq!(bed.edge.wait_exit(2 * PATIENCE).code(), Some(0));
}
