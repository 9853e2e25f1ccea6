//! What passes: requests and answers, bodies and trailers, from HTTP/2 to HTTP/1.

use super::client::{Client, read, read_body, request, run, send_all};
use crate::bed::{Bed, PLAIN};
use eclusa_testkit::netns::skipped;
use h2::client::Builder;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;

#[test]
fn curl_gets_what_nginx_says_over_both_kinds_of_http2() {
    if skipped("curl_gets_what_nginx_says_over_both_kinds_of_http2") {
        return;
    }
    let bed = Bed::start();
    let ways = [
        ("--http2-prior-knowledge", "http://shop.test/who", "http"),
        ("--http2", "https://shop.test/who", "http"),
        ("--http2", "https://tls.test/who", "https"),
        ("--http2", "https://proxied.test/who", "http"),
    ];
    for (how, url, scheme) in ways {
        let version = ["-w", " %{http_version} %{http_code}"];
        let said = bed.curl(&[how, version[0], version[1], url]).unwrap();
        let host = url.split('/').nth(2).unwrap();
        assert!(said.ends_with(&format!("{scheme} {host} 2 200")), "{how} {url}: {said}");
    }
    let record = bed.exchange_for("/who");
    assert_eq!(record["version"], "HTTP/2.0", "{record}");
    let said = bed.curl(&["--http2", "-d", "some body", "https://app.test/length"]).unwrap();
    assert_eq!(said, "9");
    let said = bed.curl(&["--http1.1", "-w", "%{http_version}", "https://shop.test/who"]).unwrap();
    assert!(said.ends_with("1.1"), "{said}");
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    if skipped("bodies_and_trailers_pass_both_ways") {
        return;
    }
    let bed = Bed::without_nginx("");
    let scripted = bed.recorder.will_answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n\
          4\r\nbody\r\n0\r\ngrpc-status: 0\r\nx-sum: abc\r\n\r\n",
        false,
    );
    let long: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    run(async {
        let mut client = Client::open(&bed.client, PLAIN).await;
        // Many windows long, both ways.
        let (response, mut up) =
            client.begin(request(Method::PUT, "/length"), false).await.unwrap();
        send_all(&mut up, &long, true).await;
        assert_eq!(read(response).await.unwrap().body, long.len().to_string().as_bytes());
        let answer = client.get("/big").await.unwrap();
        assert_eq!(answer.body.len(), 32 << 20);
        assert!(answer.body.iter().all(|byte| *byte == b'b'));
        let (response, _) = client.begin(request(Method::HEAD, "/any"), true).await.unwrap();
        let answer = read(response).await.unwrap();
        assert_eq!(answer.fields["content-length"], "9");
        assert!(answer.body.is_empty());
        // Answers of our own are whole ones.
        let (response, _) =
            client.begin(request(Method::from_bytes(b"CONNECT").unwrap(), ""), true).await.unwrap();
        assert_eq!(read(response).await.unwrap().status, 405);
        let (response, mut up) =
            client.begin(request(Method::POST, &scripted), false).await.unwrap();
        send_all(&mut up, b"of the client", false).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checked", HeaderValue::from_static("yes"));
        up.send_trailers(trailers).unwrap();
        let answer = read(response).await.unwrap();
        assert_eq!((answer.status, &*answer.body), (200, &b"body"[..]));
        assert_eq!(answer.trailers["grpc-status"], "0");
        assert_eq!(answer.trailers["x-sum"], "abc");
    });
    let seen = bed.recorder.seen().concat();
    let seen = String::from_utf8_lossy(&seen);
    let first = format!("POST {scripted} HTTP/1.1\r\nHost: app.test\r\n");
    assert!(seen.contains(&first), "{:?}", &seen[seen.len() - 500..]);
    let body =
        "\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nof the client\r\n0\r\nx-checked: yes\r\n\r\n";
    assert!(seen.contains(body), "{:?}", &seen[seen.len() - 500..]);
    let record = bed.exchange_for("/length");
    assert_eq!(record["bytes"]["up"], json!(long.len()), "{record}");
}

#[test]
fn crumbs_of_a_cookie_go_on_as_one_and_interim_answers_come() {
    if skipped("crumbs_of_a_cookie_go_on_as_one_and_interim_answers_come") {
        return;
    }
    let bed = Bed::without_nginx("");
    let scripted = bed.recorder.will_answer(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        false,
    );
    run(async {
        let mut client = Client::open(&bed.client, PLAIN).await;
        let mut asked = request(Method::GET, &scripted);
        for crumb in ["a=1", "b=2", "c=3"] {
            asked.headers_mut().append("cookie", HeaderValue::from_static(crumb));
        }
        let (mut response, _) = client.begin(asked, true).await.unwrap();
        let interim = std::future::poll_fn(|context| response.poll_informational(context)).await;
        let interim = interim.unwrap().unwrap();
        assert_eq!(interim.status(), 103);
        assert_eq!(interim.headers()["link"], "</a.css>");
        assert_eq!(read(response).await.unwrap().status, 204);
    });
    let seen = String::from_utf8(bed.recorder.seen().concat()).unwrap();
    assert!(seen.contains("\r\ncookie: a=1; b=2; c=3\r\n"), "{seen}");
}

#[test]
fn an_end_needs_no_window() {
    if skipped("an_end_needs_no_window") {
        return;
    }
    let bed = Bed::without_nginx("");
    run(async {
        let mut settings = Builder::new();
        settings.initial_window_size(0);
        let mut client = Client::open_as(&bed.client, PLAIN, &settings).await;
        let (response, _) = client.begin(request(Method::GET, "/end-later"), true).await.unwrap();
        let mut body = response.await.unwrap().into_body();
        bed.recorder.go_on();
        let (bytes, trailers) = read_body(&mut body).await.unwrap();
        assert_eq!((bytes.len(), &trailers["x-last"]), (0, &HeaderValue::from_static("yes")));
    });
}
