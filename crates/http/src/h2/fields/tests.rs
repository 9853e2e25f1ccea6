//! Heads of HTTP/2 and what becomes of them.

use super::*;
use eclusa_wire::http1::{Framing, Leniency, write_request};

/// The head of a request of this method, address and fields, or why there is none.
fn head(method: &str, uri: &str, fields: &[(&str, &str)], ends: bool) -> Result<Head, Reason> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    filled(&request.body(()).unwrap(), ends)
}

fn filled(request: &Request<()>, ends: bool) -> Result<Head, Reason> {
    let mut head = Head::new();
    to_head(&mut head, request, ends, (&Limits::default(), Lenient::NONE))?;
    Ok(head)
}

/// The same as HTTP/1 writes it.
fn written(method: &str, uri: &str, fields: &[(&str, &str)], ends: bool) -> String {
    let head = head(method, uri, fields, ends).unwrap();
    let mut bytes = Vec::new();
    write_request(&head, &Framing::of(&head), &mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn requests_become_those_of_http1() {
    assert_eq!(
        written("GET", "https://A.test:8443/p?q=1", &[("accept", "*/*"), ("te", "trailers")], true),
        "GET /p?q=1 HTTP/1.1\r\nHost: A.test:8443\r\naccept: */*\r\n\r\n"
    );
    // The authority may stand in `host` alone, and in both.
    for uri in ["/", "http://a.test/"] {
        assert_eq!(
            written("GET", uri, &[("host", "a.test")], true),
            "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
        );
    }
    let chunked = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(written("POST", "http://a.test/", &[], false), chunked);
    let length = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(written("POST", "http://a.test/", &[("content-length", "5")], false), length);
    assert_eq!(
        written("GET", "http://a.test/", &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")], true),
        "GET / HTTP/1.1\r\nHost: a.test\r\nx: y\r\ncookie: a=1; b=2\r\n\r\n"
    );
    let mut all = Request::new(());
    *all.method_mut() = Method::OPTIONS;
    *all.uri_mut() = "*".parse().unwrap();
    all.headers_mut().insert("host", HeaderValue::from_static("a.test"));
    assert_eq!(filled(&all, true).unwrap().target(), b"*");
}

#[test]
fn what_is_ambiguous_is_refused() {
    type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], Reason);
    let cases: [Case; 13] = [
        ("GET", "http://a.test/", &[("host", "b.test")], Reason::HostMismatch),
        ("GET", "/", &[("host", "a.test"), ("host", "a.test")], Reason::HostDoubled),
        ("GET", "/", &[], Reason::HostMissing),
        ("GET", "http://eve@a.test/", &[], Reason::TargetUserinfo),
        ("get", "http://a.test/", &[], Reason::MethodCase),
        ("GET", "http://a.test/%zz", &[], Reason::TargetPercent),
        ("GET", "http://a.test/\"", &[], Reason::TargetByte),
        ("GET", "ftp://a.test/", &[], Reason::TargetScheme),
        ("GET", "http://a.test/", &[("transfer-encoding", "chunked")], Reason::ConnectionField),
        ("GET", "http://a.test/", &[("connection", "close")], Reason::ConnectionField),
        ("GET", "http://a.test/", &[("content_length", "5")], Reason::NameLookAlike),
        ("GET", "http://a.test/", &[("content-length", "+5")], Reason::LengthMalformed),
        ("TRACE", "http://a.test/", &[("content-length", "5")], Reason::UnexpectedBody),
    ];
    for (method, uri, fields, reason) in cases {
        let refused = head(method, uri, fields, true).err();
        assert_eq!(refused, Some(reason), "{method} {uri} {fields:?}");
    }
}

#[test]
fn an_extended_connect_is_the_upgrade_of_http1() {
    let mut request = Request::new(());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = "https://a.test/chat".parse().unwrap();
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    request.headers_mut().insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("theirs"));
    let head = filled(&request, false).unwrap();
    assert_eq!((head.method(), head.path(), head.body()), (&b"GET"[..], &b"/chat"[..], Body::None));
    assert_eq!(head.upgrade_protocols().collect::<Vec<_>>(), [b"websocket"]);
    assert_eq!(head.all(b"sec-websocket-key").count(), 1);
    assert_ne!(head.first(b"sec-websocket-key"), Some(&b"theirs"[..]));
    request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
    assert_eq!(filled(&request, false).err(), Some(Reason::UnexpectedBody));
}

#[test]
fn a_plain_connect_has_an_authority_alone() {
    let mut request = Request::new(());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = "a.test:443".parse().unwrap();
    let head = filled(&request, false).unwrap();
    assert_eq!((head.target(), head.authority()), (&b""[..], &b"a.test:443"[..]));
    assert_eq!(head.body(), Body::None);
}

#[test]
fn responses_lose_what_belongs_to_a_connection() {
    let mut head = Head::new();
    *head.buffer() = b"HTTP/1.1 200 OK\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
                       Set-Cookie: a=1\r\nX-Other: o\r\nSet-Cookie: b=2\r\nContent-Length: 4\r\n\r\n"
        .to_vec();
    let lenient = Lenient::NONE.with(Leniency::ValueControl);
    let asked = eclusa_wire::http1::Asked::default();
    let mut parser = eclusa_wire::http1::Parser::response(asked, Limits::default(), lenient);
    assert!(matches!(parser.parse(&mut head), eclusa_wire::http1::Parsed::Complete(_)));
    head.set(b"X-Other", b"edited").unwrap();
    let response = of_response(&head, head.body());
    assert_eq!(response.status(), 200);
    let fields: Vec<_> =
        response.headers().iter().map(|(name, value)| (name.as_str(), value)).collect();
    let wanted = [
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-other", "edited"),
        ("content-length", "4"),
    ];
    assert_eq!(
        fields,
        wanted.map(|(name, value)| (name, &*Box::leak(Box::new(HeaderValue::from_static(value)))))
    );
}

#[test]
fn trailers_keep_the_rules_of_http1() {
    let mut fields = HeaderMap::new();
    fields.insert("grpc-status", HeaderValue::from_static("0"));
    let trailers = to_trailers(Some(&fields), &Limits::default()).unwrap();
    assert_eq!(of_trailers(&trailers), fields);
    for name in ["content-length", "host", "authorization", "transfer-encoding", "set-cookie"] {
        let mut fields = HeaderMap::new();
        fields.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        let refused = to_trailers(Some(&fields), &Limits::default()).err();
        assert_eq!(refused, Some(Reason::TrailerForbidden), "{name}");
    }
    assert!(to_trailers(None, &Limits::default()).unwrap().is_empty());
}
