//! How the body of a response ends by what was asked, limits, and what follows a head.

use crate::oracle::{How, read};
use crate::{request, response};
use eclusa_wire::http1::{Asked, Body, Head, Lenient, Limits, Parsed, Parser, Reason};

const HEAD: Asked = Asked { head: true, connect: false, upgrade: false };
const CONNECT: Asked = Asked { head: false, connect: true, upgrade: false };
const UPGRADE: Asked = Asked { head: false, connect: false, upgrade: true };

#[test]
fn responses_end_by_what_was_asked() {
    // RFC 9112, section 6.3, one to eight.
    for (asked, wire, body, declared) in [
        (HEAD, "200 OK\r\nContent-Length: 5", Body::None, Some(5)),
        (HEAD, "200 OK\r\nTransfer-Encoding: chunked", Body::None, None),
        (HEAD, "404 Not Found", Body::None, None),
        (CONNECT, "200 OK", Body::None, None),
        (CONNECT, "200 OK\r\nContent-Length: 5", Body::None, None),
        (CONNECT, "299 OK\r\nTransfer-Encoding: chunked", Body::None, None),
        (CONNECT, "407 No\r\nContent-Length: 5", Body::Length(5), None),
        (CONNECT, "502 No", Body::UntilClose, None),
        (UPGRADE, "101 Switching Protocols", Body::None, None),
        (UPGRADE, "200 OK\r\nContent-Length: 5", Body::Length(5), None),
        (Asked::default(), "304 Not Modified\r\nContent-Length: 5", Body::None, Some(5)),
        (Asked::default(), "200 OK\r\nTransfer-Encoding: chunked", Body::Chunked, None),
        (Asked::default(), "200 OK", Body::UntilClose, None),
    ] {
        let head = response(&format!("HTTP/1.1 {wire}\r\n\r\n"), asked);
        assert_eq!((head.body(), head.declared_length()), (body, declared), "{asked:?} {wire}");
        assert_eq!(head.is_kept_alive(), body != Body::UntilClose);
    }
    for (asked, wire) in [
        (HEAD, "204 No Content\r\nContent-Length: 5"),
        (CONNECT, "100 Continue\r\nTransfer-Encoding: chunked"),
    ] {
        let how = How { asked: Some(asked), lenient: Lenient::NONE };
        let (parsed, _) = read(format!("HTTP/1.1 {wire}\r\n\r\n").as_bytes(), how);
        assert_eq!(parsed, Parsed::Refused(Reason::UnexpectedBody));
    }
}

#[test]
fn what_was_asked_comes_from_the_request() {
    for (wire, asked) in [
        ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", HEAD),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", CONNECT),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Asked::default()),
    ] {
        assert_eq!(Asked::by(&request(wire), false), asked);
    }
}

#[test]
fn protocols_are_listed_where_they_count() {
    let head = request(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\nUpgrade: a/1\r\n\r\n",
    );
    let protocols: Vec<_> = head.upgrade_protocols().collect();
    assert_eq!(protocols, [&b"h2c"[..], b"websocket", b"a/1"]);
    let head = request("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(head.upgrade_protocols().count(), 0);
    let wire = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nframes";
    let head = response(wire, UPGRADE);
    assert!(head.is_upgrade());
    assert_eq!(head.rest(), b"frames");
}

#[test]
fn requests_follow_each_other() {
    let mut head = Head::new();
    let first = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let second = "\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
    head.buffer().extend_from_slice(format!("{first}hello{second}").as_bytes());
    let parser = || Parser::request(Limits::default(), Lenient::NONE);
    assert_eq!(parser().parse(&mut head), Parsed::Complete(first.len()));
    head.use_rest(5);
    assert_eq!(head.rest(), second.as_bytes());
    head.recycle();
    assert_eq!(parser().parse(&mut head), Parsed::Complete(second.len()));
    assert_eq!((head.target(), head.authority()), (&b"/2"[..], &b"b"[..]));
    head.use_rest(usize::MAX);
    head.recycle();
    assert!(head.buffer().is_empty());
}

#[test]
fn a_long_rest_that_is_used_up_takes_no_room() {
    let mut head = Head::new();
    let wire = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    head.buffer().extend_from_slice(wire.as_bytes());
    head.buffer().extend_from_slice(&[b'a'; 16_000]);
    let mut parser = Parser::request(Limits::default(), Lenient::NONE);
    assert_eq!(parser.parse(&mut head), Parsed::Complete(wire.len()));
    head.use_rest(15_999);
    assert_eq!(head.rest(), b"a");
    head.use_rest(1);
    head.hold_little();
    assert!(head.buffer().capacity() < 1_000, "{}", head.buffer().capacity());
    assert_eq!((head.rest(), head.target(), head.host()), (&b""[..], &b"/1"[..], &b"a"[..]));
    // What comes later is its rest all the same.
    head.buffer().extend_from_slice(b"bc");
    head.use_rest(1);
    assert_eq!(head.rest(), b"c");
    head.recycle();
    assert_eq!(head.buffer(), b"c");
}

#[test]
fn an_idle_connection_is_not_a_slow_one() {
    let mut head = Head::new();
    let mut parser = Parser::request(Limits::default(), Lenient::NONE);
    for (bytes, is_idle) in [("", true), ("\r", true), ("\n", true), ("G", false), ("ET ", false)] {
        head.buffer().extend_from_slice(bytes.as_bytes());
        assert_eq!(parser.parse(&mut head), Parsed::NeedMore);
        assert_eq!(parser.is_idle(), is_idle, "after {bytes:?}");
    }
}

#[test]
fn limits_are_exact() {
    let line = "GET /aaaa HTTP/1.1\r\n";
    let rest = "Host: a\r\nX: y\r\n\r\n";
    let wire = format!("{line}{rest}");
    let parse = |limits, wire: &str| {
        let mut head = Head::new();
        head.buffer().extend_from_slice(wire.as_bytes());
        Parser::request(limits, Lenient::NONE).parse(&mut head)
    };
    let whole = Parsed::Complete(wire.len());
    assert_eq!(parse(Limits::new(line.len(), wire.len(), 2), &wire), whole);
    for (limits, reason) in [
        (Limits::new(line.len() - 1, wire.len(), 2), Reason::StartLineTooLong),
        (Limits::new(line.len(), wire.len() - 1, 2), Reason::HeadTooLarge),
        (Limits::new(line.len(), wire.len(), 1), Reason::TooManyFields),
    ] {
        assert_eq!(parse(limits, &wire), Parsed::Refused(reason));
    }
    // The empty line before a request is not the request's.
    let limits = Limits::new(line.len(), 1000, 2);
    assert_eq!(parse(limits, &format!("\r\n{wire}")), Parsed::Complete(2 + wire.len()));
    // The body does not count.
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n";
    let limits = Limits::new(post.len(), post.len(), 2);
    assert_eq!(parse(limits, &format!("{post}{}", "x".repeat(900))), Parsed::Complete(post.len()));
}

#[test]
fn slow_heads_cost_no_more_than_their_length() {
    // One byte at a time: a rescan of what was read would look at 500 million bytes here.
    let wire = format!(
        "GET http://a.example/{} HTTP/1.1\r\nHost: a.example\r\n{}: {}\r\nX:{}\r\n\r\n",
        "a".repeat(8000),
        "n".repeat(200),
        "v".repeat(20_000),
        " ".repeat(3000),
    );
    let mut head = Head::new();
    let mut parser = Parser::request(Limits::default(), Lenient::NONE);
    for byte in wire.bytes() {
        let before = parser.position();
        assert_eq!(before.min(head.buffer().len()), before);
        head.buffer().push(byte);
        let parsed = parser.parse(&mut head);
        let length = head.buffer().len();
        // What is looked at again is a few bytes at most.
        match parsed {
            Parsed::NeedMore => assert!(length - parser.position() <= 10, "at {length}"),
            other => assert_eq!(other, Parsed::Complete(wire.len())),
        }
    }
}
