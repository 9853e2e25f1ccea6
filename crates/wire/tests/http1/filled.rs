//! Heads that do not come as HTTP/1.

use crate::text;
use eclusa_wire::http1::{
    Body, Framing, Head, Lenient, Limits, Reason, Scheme, Trailers, Version, write_request,
    write_response,
};

const STRICT: Lenient = Lenient::NONE;

fn begun(authority: &str) -> Head {
    let mut head = Head::new();
    let begun =
        head.begin_request(b"GET", Some(Scheme::Https), authority.as_bytes(), b"/a?b", STRICT);
    begun.unwrap();
    head
}

fn append(head: &mut Head, name: &str, value: &str) -> Result<(), Reason> {
    head.append(name.as_bytes(), value.as_bytes(), &Limits::default(), STRICT)
}

#[test]
fn a_filled_request_is_like_one_that_was_read() {
    let mut head = begun("a.example:8443");
    append(&mut head, "accept", "*/*").unwrap();
    append(&mut head, "content-length", "5").unwrap();
    append(&mut head, "te", "trailers").unwrap();
    append(&mut head, "x-empty", "").unwrap();
    append(&mut head, "host", "A.example:8443").unwrap();
    assert_eq!(
        (head.method(), head.path(), head.query()),
        (&b"GET"[..], &b"/a"[..], Some(&b"b"[..]))
    );
    assert_eq!((head.host(), head.port()), (&b"a.example"[..], Some(8443)));
    assert_eq!((head.scheme(), head.version()), (Some(Scheme::Https), Version::Http2));
    assert_eq!(head.body(), Body::Length(5));
    assert!(head.takes_trailers() && head.is_kept_alive());
    assert_eq!(text(head.forwarded()), ["accept: */*", "x-empty: "]);
    head.set(b"X-Forwarded-For", b"10.0.0.1").unwrap();
    let mut out = Vec::new();
    write_request(&head, &Framing::of(&head), &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "GET /a?b HTTP/1.1\r\nHost: a.example:8443\r\naccept: */*\r\nx-empty: \r\n\
         X-Forwarded-For: 10.0.0.1\r\nContent-Length: 5\r\n\r\n"
    );
    head.set_body(Body::Chunked);
    assert_eq!(head.body(), Body::Chunked);
}

#[test]
fn host_stands_in_for_the_authority() {
    let mut head = begun("");
    append(&mut head, "x", "y").unwrap();
    assert_eq!(append(&mut head, "host", " b.example:1"), Err(Reason::ValueBlank));
    append(&mut head, "Host", "b.example:1").unwrap();
    assert_eq!((head.authority(), head.host()), (&b"b.example:1"[..], &b"b.example"[..]));
    assert_eq!(append(&mut head, "host", "b.example:1"), Err(Reason::HostDoubled));
}

#[test]
fn what_is_filled_in_is_checked() {
    for (name, value, reason) in [
        ("connection", "close", Reason::ConnectionField),
        ("transfer-encoding", "chunked", Reason::ConnectionField),
        ("keep-alive", "a", Reason::ConnectionField),
        ("proxy-connection", "a", Reason::ConnectionField),
        ("upgrade", "websocket", Reason::ConnectionField),
        ("te", "gzip", Reason::ConnectionField),
        ("content-length", "5, 5", Reason::LengthMalformed),
        ("content-length", "", Reason::LengthMalformed),
        ("content-length", "+5", Reason::LengthMalformed),
        ("content-length", "9223372036854775808", Reason::LengthTooLarge),
        ("content_length", "5", Reason::NameLookAlike),
        ("host", "b.example", Reason::HostMismatch),
        ("host", "a.example:1", Reason::HostMismatch),
        ("host", "", Reason::HostMalformed),
        ("expect", "x", Reason::ExpectUnknown),
        ("a b", "c", Reason::NameByte),
        ("", "c", Reason::NameByte),
        ("a", "b\r\nc", Reason::BareCr),
        ("a", "b\nc", Reason::BareLf),
        ("a", "b\0c", Reason::Nul),
        ("a", "b\x01c", Reason::Control),
    ] {
        let mut head = begun("a.example");
        assert_eq!(append(&mut head, name, value), Err(reason), "{name}: {value}");
        assert_eq!(head.fields().count(), 0);
    }
    let mut head = begun("a.example");
    append(&mut head, "content-length", "5").unwrap();
    assert_eq!(append(&mut head, "content-length", "5"), Err(Reason::LengthDoubled));
    assert_eq!(append(&mut head, &"n".repeat(257), "a"), Err(Reason::NameTooLong));
    assert_eq!(append(&mut head, "a", &"v".repeat(40_000)), Err(Reason::HeadTooLarge));
    (0..99).for_each(|_| append(&mut head, "a", "b").unwrap());
    assert_eq!(append(&mut head, "a", "b"), Err(Reason::TooManyFields));
}

#[test]
fn pseudo_headers_are_checked() {
    for (method, authority, target, reason) in [
        ("", "a", "/", Reason::MethodMalformed),
        ("G T", "a", "/", Reason::MethodMalformed),
        ("GET", "u@a", "/", Reason::TargetUserinfo),
        ("GET", "a b", "/", Reason::TargetAuthority),
        ("GET", "a", "", Reason::TargetForm),
        ("GET", "a", "*", Reason::TargetForm),
        ("GET", "a", "http://a/", Reason::TargetForm),
        ("GET", "a", "/a b", Reason::TargetByte),
        ("GET", "a", "/a#b", Reason::TargetFragment),
        ("GET", "a", "/a\r\nX: y", Reason::RequestLine),
        ("GET", "a", "/%2", Reason::TargetPercent),
    ] {
        let mut head = Head::new();
        let begun = head.begin_request(
            method.as_bytes(),
            None,
            authority.as_bytes(),
            target.as_bytes(),
            STRICT,
        );
        assert_eq!(begun, Err(reason), "{method} {authority} {target}");
    }
    for (method, target) in [("CONNECT", ""), ("OPTIONS", "*"), ("get", "/")] {
        let begun =
            Head::new().begin_request(method.as_bytes(), None, b"a:1", target.as_bytes(), STRICT);
        assert_eq!(begun.is_ok(), method != "get", "{method}");
    }
}

#[test]
fn answers_of_our_own() {
    let mut head = Head::new();
    assert_eq!(head.begin_response(Version::Http11, 99), Err(Reason::StatusRange));
    head.begin_response(Version::Http11, 503).unwrap();
    append(&mut head, "Content-Type", "text/plain").unwrap();
    head.set_body(Body::Length(12));
    let mut out = Vec::new();
    write_response(&head, &Framing::of(&head), &mut out);
    let expected = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn trailers_are_checked_too() {
    let limits = Limits::new(100, 100, 2);
    let mut trailers = Trailers::default();
    for (name, value, reason) in [
        ("content-length", "5", Reason::TrailerForbidden),
        ("set-cookie", "a", Reason::TrailerForbidden),
        ("a b", "c", Reason::NameByte),
        ("a", "b\r\nc", Reason::BareCr),
        ("a", &"v".repeat(100), Reason::TrailersTooLarge),
    ] {
        assert_eq!(
            trailers.append(name.as_bytes(), value.as_bytes(), &limits),
            Err(reason),
            "{name}"
        );
    }
    assert!(trailers.is_empty());
    trailers.append(b"grpc-status", b"0", &limits).unwrap();
    trailers.append(b"grpc-message", b"", &limits).unwrap();
    assert_eq!(trailers.append(b"a", b"b", &limits), Err(Reason::TooManyFields));
    assert_eq!(text(trailers.fields()), ["grpc-status: 0", "grpc-message: "]);
    trailers.clear();
    assert!(trailers.is_empty());
}
