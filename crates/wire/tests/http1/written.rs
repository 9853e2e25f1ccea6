//! Heads as they are written.

use crate::{request, response};
use eclusa_wire::http1::{Asked, Body, Framing, Head, Persist, write_request, write_response};

fn written(head: &Head, framing: &Framing<'_>) -> String {
    let mut out = b"before".to_vec();
    match head.status() {
        0 => write_request(head, framing, &mut out),
        _ => write_response(head, framing, &mut out),
    }
    String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
}

#[test]
fn what_is_written_is_canonical() {
    for (from, to) in [
        (
            "GET http://A.example?b HTTP/1.1\r\nX:1\r\nhost: a.example:80\r\nx-Y:\t 2 \r\nZ: 3\r\n\r\n",
            "GET /?b HTTP/1.1\r\nHost: A.example\r\nX: 1\r\nx-Y: 2\r\nZ: 3\r\n\r\n",
        ),
        (
            "\r\nPOST /a HTTP/1.1\r\nA: 1\r\nB: 2\r\nCONTENT-LENGTH:  007\r\nC: 3\r\nHost: a:\r\nD:\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: \r\nContent-Length: 7\r\n\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:\tCHUNKED\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        ),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        (
            "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        ),
    ] {
        let head = request(from);
        assert_eq!(written(&head, &Framing::of(&head)), to);
    }
}

#[test]
fn responses_are_written_canonically() {
    for (asked, from, to) in [
        (
            Asked::default(),
            "HTTP/1.0 200 Fine \r\nA:1\r\ncontent-length: 05\r\nConnection: keep-alive\r\n\r\n",
            "HTTP/1.1 200 Fine \r\nA: 1\r\nContent-Length: 5\r\n\r\n",
        ),
        (
            Asked { head: true, ..Asked::default() },
            "HTTP/1.1 200 \r\nContent-Length: 18446744073709551\r\n\r\n",
            "HTTP/1.1 200 \r\nContent-Length: 18446744073709551\r\n\r\n",
        ),
        (
            Asked::default(),
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        ),
        (
            Asked::default(),
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nVary: a\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nVary: a\r\n\r\n",
        ),
        (Asked::default(), "HTTP/1.1 599 x\r\n\r\n", "HTTP/1.1 599 x\r\n\r\n"),
    ] {
        let head = response(from, asked);
        assert_eq!(written(&head, &Framing::of(&head)), to);
    }
}

#[test]
fn the_exchange_says_what_becomes_of_the_connection() {
    let head =
        request("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    let plain = Framing::of(&head);
    for (framing, end) in [
        (Framing { persist: Persist::Close, ..plain }, "Connection: close\r\n\r\n"),
        (Framing { persist: Persist::KeepAlive, ..plain }, "Connection: keep-alive\r\n\r\n"),
        (
            Framing { upgrade: Some(b"websocket"), ..plain },
            "Upgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        ),
        (Framing { te_trailers: true, ..plain }, "TE: trailers\r\nConnection: TE\r\n\r\n"),
        (
            Framing { te_trailers: true, persist: Persist::Close, ..plain },
            "TE: trailers\r\nConnection: close, TE\r\n\r\n",
        ),
        (
            Framing { body: Body::Length(u64::MAX), ..plain },
            "Content-Length: 18446744073709551615\r\n\r\n",
        ),
        (Framing { body: Body::Chunked, ..plain }, "Transfer-Encoding: chunked\r\n\r\n"),
    ] {
        let start = "GET / HTTP/1.1\r\nHost: a\r\n";
        assert_eq!(written(&head, &framing), format!("{start}{end}"));
    }
}
