//! Edits of a head, and what `Connection` takes away.

use crate::{request, text};
use eclusa_wire::http1::{EditError, Framing, Head, write_request};

fn written(head: &Head) -> String {
    let mut out = Vec::new();
    write_request(head, &Framing::of(head), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn edits_are_seen_and_written() {
    let mut head = request(
        "GET /old?a=b HTTP/1.1\r\nHost: old.example\r\nX-A: 1\r\nAccept: */*\r\nx-a: 2\r\nX-B: 3\r\n\r\n",
    );
    let before = written(&head);
    head.set(b"X-A", b"4").unwrap();
    head.add(b"X-B", b"5").unwrap();
    assert_eq!(head.remove(b"accept"), 1);
    assert_eq!(head.remove(b"accept"), 0);
    head.set_target(b"/new?c").unwrap();
    head.set_authority(b"new.example:8080").unwrap();
    assert_eq!(head.first(b"x-a"), Some(&b"4"[..]));
    assert_eq!(head.all(b"x-b").collect::<Vec<_>>(), [&b"3"[..], b"5"]);
    assert_eq!(head.first(b"accept"), None);
    assert_eq!((head.path(), head.query()), (&b"/new"[..], Some(&b"c"[..])));
    assert_eq!((head.host(), head.port()), (&b"new.example"[..], Some(8080)));
    let after =
        "GET /new?c HTTP/1.1\r\nHost: new.example:8080\r\nX-B: 3\r\nX-A: 4\r\nX-B: 5\r\n\r\n";
    assert_eq!(written(&head), after);
    head.set(b"x-b", b"").unwrap();
    assert_eq!(head.all(b"X-B").collect::<Vec<_>>(), [b""]);
    head.undo_edits();
    assert_eq!(written(&head), before);
}

#[test]
fn edits_cannot_break_the_message() {
    let mut head = request("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
    let before = written(&head);
    for name in
        ["Host", "content-length", "Transfer-Encoding", "Connection", "TE", "Upgrade", "Keep-Alive"]
    {
        assert_eq!(head.set(name.as_bytes(), b"a"), Err(EditError::Owned), "{name}");
        assert_eq!(head.add(name.as_bytes(), b"a"), Err(EditError::Owned), "{name}");
        assert_eq!(head.remove(name.as_bytes()), 0, "{name}");
    }
    for name in ["", "a b", "a:", "a\r\n", "\u{e9}", "a\0"] {
        assert_eq!(head.set(name.as_bytes(), b"a"), Err(EditError::Name), "{name:?}");
    }
    for value in ["a\r\nb: c", "a\nb", "a\rb", "a\0b", " a", "a\t", "\x7f"] {
        assert_eq!(head.set(b"X", value.as_bytes()), Err(EditError::Value), "{value:?}");
    }
    for target in ["", "*", "a", "http://a/", "/a b", "/a#b", "/a\r\nX: y", "/\0"] {
        assert_eq!(head.set_target(target.as_bytes()), Err(EditError::Target), "{target:?}");
    }
    for authority in ["", "a b", "a:0", "u@a", "a/b", "a\r\nb"] {
        assert_eq!(head.set_authority(authority.as_bytes()), Err(EditError::Authority));
    }
    assert_eq!(written(&head), before);
    let large = vec![b'a'; 1 << 20];
    assert_eq!(head.set(b"X", &large), Err(EditError::TooMuch));
    assert_eq!(written(&head), before);
}

#[test]
fn edits_are_bounded() {
    let mut head = request("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let count = (0..10_000).take_while(|_| head.add(b"X", b"y").is_ok()).count();
    assert!((1000..10_000).contains(&count), "{count}");
}

#[test]
fn fields_of_the_connection_stay_on_it() {
    // RFC 9110, section 7.6.1.
    let head = request(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Secret , x-two\r\nX-Secret: 1\r\nX-Kept: 2\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: a\r\nTE: trailers, gzip\r\nUpgrade: b\r\n\
         HTTP2-Settings: c\r\nX-TWO: 3\r\nX-Secret: 4\r\nTrailer: d\r\n\r\n",
    );
    assert_eq!(text(head.forwarded()), ["X-Kept: 2", "Trailer: d"]);
    assert!(head.takes_trailers() && !head.is_kept_alive());
    // Rules still see what came.
    assert_eq!(head.first(b"x-secret"), Some(&b"1"[..]));
    assert_eq!(head.fields().count(), 12);
}

#[test]
fn connection_takes_nothing_away_that_all_need() {
    let fields = [
        "Cookie: a",
        "Authorization: b",
        "X-Forwarded-For: c",
        "Forwarded: d",
        "Content-Type: e",
        "Cache-Control: f",
        "X-Real-IP: g",
        "Via: h",
    ];
    let names: Vec<_> = fields.iter().map(|field| field.split(':').next().unwrap()).collect();
    let head = request(&format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\nConnection: {}, Host, Content-Length\r\n\r\n",
        fields.join("\r\n"),
        names.join(", "),
    ));
    assert_eq!(text(head.forwarded()), fields);
    assert_eq!(head.authority(), b"a");
}

#[test]
fn connection_does_not_reach_what_rules_set() {
    let mut head =
        request("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-User\r\nX-User: forged\r\n\r\n");
    head.set(b"X-User", b"true").unwrap();
    assert_eq!(text(head.forwarded()), ["X-User: true"]);
}

#[test]
fn http10_expects_nothing() {
    let wire = "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    assert_eq!(text(request(wire).forwarded()), Vec::<String>::new());
    assert_eq!(text(request(&wire.replace("1.0", "1.1")).forwarded()), ["Expect: 100-continue"]);
}
