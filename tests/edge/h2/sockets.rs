//! WebSockets over streams (RFC 8441), to endpoints that speak HTTP/1.

use super::client::{Client, read, read_body, request, run, send_all};
use crate::bed::{Bed, PLAIN};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use data_encoding::BASE64;
use eclusa_testkit::netns::{Host, skipped};
use h2::ext::Protocol;
use http::{Method, Request};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

const ENDPOINT: &str = "10.0.1.106:80";

const MORE: &str = r#"
[pool.socket]
endpoints = ["10.0.1.106:80"]
probe = { kind = "none" }
[[listener.plain.route]]
path = ["/chat", "/lies"]
pool = "socket"
"#;

/// An endpoint that takes `count` WebSockets, and echoes what it hears on each until it ends. It answers the
/// key of a path `/lies` wrongly.
fn endpoint(host: &Host, count: usize) -> JoinHandle<Vec<String>> {
    let listener = host.enter(|| TcpListener::bind(ENDPOINT)).unwrap();
    std::thread::spawn(move || {
        let serve = |_| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
            }
            let key = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
            });
            let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
            let told = [key.unwrap().as_bytes(), guid.as_bytes()].concat();
            let mut accept = BASE64.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &told).as_ref());
            if head.starts_with("GET /lies ") {
                accept.make_ascii_uppercase();
            }
            write!(
                stream,
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
                 Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            .unwrap();
            let mut heard = vec![0; 4096];
            // An end that comes as a reset is one, too.
            while let Some(count) = reader.read(&mut heard).ok().filter(|count| *count > 0) {
                stream.write_all(&heard[..count]).unwrap();
            }
            head
        };
        (0..count).map(serve).collect()
    })
}

/// An extended CONNECT.
fn connect(path: &str, protocol: &'static str) -> Request<()> {
    let mut asked = request(Method::CONNECT, path);
    asked.extensions_mut().insert(Protocol::from_static(protocol));
    asked.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
    asked
}

#[test]
fn a_stream_becomes_a_web_socket_of_an_http1_endpoint() {
    if skipped("a_stream_becomes_a_web_socket_of_an_http1_endpoint") {
        return;
    }
    let bed = Bed::without_nginx(MORE);
    let endpoint = endpoint(&bed.worker(), 2);
    run(async {
        let mut client = Client::open(&bed.client, PLAIN).await;
        // The edge tells that it can (RFC 8441, section 3) with its settings, which come first.
        assert_eq!(client.get("/any").await.unwrap().status, 200);
        assert!(client.send.is_extended_connect_protocol_enabled());
        let (response, mut up) = client.begin(connect("/chat", "websocket"), false).await.unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        for name in ["sec-websocket-accept", "upgrade", "connection"] {
            assert!(!response.headers().contains_key(name), "{name}");
        }
        let mut body = response.into_body();
        for words in ["first", "second"] {
            send_all(&mut up, words.as_bytes(), false).await;
            let echoed = body.data().await.unwrap().unwrap();
            body.flow_control().release_capacity(echoed.len()).unwrap();
            assert_eq!(echoed, words);
        }
        up.send_data(hyper::body::Bytes::new(), true).unwrap();
        let (rest, _) = read_body(&mut body).await.unwrap();
        assert_eq!(rest, b"", "both halves end");
        // What is no WebSocket must not look like one.
        for (path, protocol, status) in
            [("/any", "websocket", 502), ("/lies", "websocket", 502), ("/any", "other", 501)]
        {
            let (response, _up) = client.begin(connect(path, protocol), false).await.unwrap();
            assert_eq!(read(response).await.unwrap().status, status, "{path} {protocol}");
        }
        assert_eq!(client.get("/after").await.unwrap().body, b"/after");
    });
    let heads = endpoint.join().unwrap();
    assert!(heads[0].starts_with("GET /chat HTTP/1.1\r\nHost: app.test\r\n"), "{heads:?}");
    let record = bed.exchange_for("/chat");
    assert_eq!((&record["status"], &record["ended_by"]), (&200.into(), &"client".into()));
    assert_eq!(record["bytes"]["up"], 11, "{record}");
}
