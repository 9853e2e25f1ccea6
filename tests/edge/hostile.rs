//! Requests that two readers could read differently: none reaches an endpoint, and none spoils the
//! connection for the next request.

use crate::bed::Bed;
use e2e::product::PATIENCE;
use e2e::proof::{Item, wrong_of};
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::try_until;

/// What comes behind every hostile request, and must never be taken for one.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n";

/// Heads that are refused: nothing of them reaches an endpoint.
const HEADS: &[&str] = &[
    // Two framings, or none that is clear.
    "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5, 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: +5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: -5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0x5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length:\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5a\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 18446744073709551617\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: app.test\r\nContent_Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello",
    // Lines.
    "GET / HTTP/1.1\nHost: app.test\n\n",
    "GET / HTTP/1.1\r\nHost: app.test\nX: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: app.test\r\nX: a\rY: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: app.test\r\nX: a\r\n b\r\n\r\n",
    "GET / HTTP/1.1\r\n Host: app.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: app.test\r\nX: a\0b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: app.test\r\nX: a\x01b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: app.test\r\nno colon\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: app.test\r\n: nothing\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: app.test\r\nX Y: a\r\n\r\n",
    // Host and target.
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: app.test\r\nHost: app.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: app.test, other.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: app.test@other.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: app.test/path\r\n\r\n",
    "GET http://other.test/ HTTP/1.1\r\nHost: app.test\r\n\r\n",
    "GET http://user@app.test/ HTTP/1.1\r\nHost: app.test\r\n\r\n",
    "GET /#fragment HTTP/1.1\r\nHost: app.test\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: app.test\r\n\r\n",
    "GET relative HTTP/1.1\r\nHost: app.test\r\n\r\n",
    "GET * HTTP/1.1\r\nHost: app.test\r\n\r\n",
    // The request line.
    "GET  / HTTP/1.1\r\nHost: app.test\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: app.test\r\n\r\n",
    "GET\t/\tHTTP/1.1\r\nHost: app.test\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: app.test\r\n\r\n",
    "GET / HTTP/1.2\r\nHost: app.test\r\n\r\n",
    "GET / http/1.1\r\nHost: app.test\r\n\r\n",
    "GET / HTTP/01.1\r\nHost: app.test\r\n\r\n",
    "GET /\r\n\r\n",
    "get / HTTP/1.1\r\nHost: app.test\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT app.test:443 HTTP/1.1\r\nHost: app.test:443\r\n\r\n",
    "TRACE / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: app.test\r\nExpect: 200-ok\r\nContent-Length: 5\r\n\r\nhello",
    "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close;\r\n\r\n",
];

/// Bodies that turn out wrong on their way: what has been sent on is never completed.
const BODIES: &[&str] = &[
    "5\r\nhelloX\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "8000000000000000\r\nhello\r\n0\r\n\r\n",
    "\r\nhello\r\n0\r\n\r\n",
    "5;a=\"b\r\nhello\r\n0\r\n\r\n",
    "5;\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
    "5\r\nhello\r\n0\r\nHost: other.test\r\n\r\n",
    "5\r\nhello\r\n0\r\n X: a\r\n\r\n",
    "5\r\nhello\r\n0\r\nX : a\r\n\r\n",
];

#[test]
fn what_is_ambiguous_is_refused_and_poisons_nothing() {
    if skipped("what_is_ambiguous_is_refused_and_poisons_nothing") {
        return;
    }
    let bed = Bed::without_nginx("");
    let mut wrong = Vec::new();
    for (number, head) in HEADS.iter().enumerate() {
        let before = bed.recorder.bytes();
        if let Err(why) = refused(&bed, head) {
            wrong.push(format!("{head:?}: {why}"));
        }
        if bed.recorder.bytes() != before {
            wrong.push(format!("{head:?}: something was forwarded"));
        }
        wrong.extend(next_is_right(&bed, number).map(|why| format!("after {head:?}: {why}")));
    }
    for (number, body) in BODIES.iter().enumerate() {
        let head = "POST /chunks HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        if let Err(why) = refused(&bed, &format!("{head}{body}")) {
            wrong.push(format!("{body:?}: {why}"));
        }
        wrong
            .extend(next_is_right(&bed, 1000 + number).map(|why| format!("after {body:?}: {why}")));
    }
    for connection in bed.recorder.seen() {
        let text = String::from_utf8_lossy(&connection);
        let begun = text.matches("POST /chunks").count();
        let whole = text.matches("\r\n0\r\n\r\n").count();
        // One that was begun is the last of its connection, and never completed.
        let last = text.rfind("HTTP/1.1\r\n").map(|at| text[..at].ends_with("/chunks "));
        if text.contains("smuggled")
            || whole > 0
            || begun > 1
            || (begun == 1) != (last == Some(true))
        {
            wrong.push(format!("an endpoint has got {text:?}"));
        }
    }
    let all = HEADS.len() + BODIES.len();
    Item::new("5.2 hostile requests")
        .bound("each answered with 4xx or 5xx and closed; 0 forwarded, 0 connections poisoned")
        .n(all)
        .record(wrong.is_empty(), wrong_of(all, &wrong));
}

/// Says a request with another behind it: there must be one answer at most, and the end.
fn refused(bed: &Bed, request: &str) -> Result<(), String> {
    let mut wire = bed.connect();
    // The connection may be closed before all is said.
    let _ = wire.say(format!("{request}{SMUGGLED}").as_bytes());
    let _ = wire.stream().shutdown(std::net::Shutdown::Write);
    let (bytes, _) = wire.hear_to_end().map_err(|error| format!("no end: {error}"))?;
    let text = String::from_utf8_lossy(&bytes);
    let status = text.split(' ').nth(1).unwrap_or_default();
    let answers = text.matches("HTTP/1.1 ").count();
    if answers == 1 && (status.starts_with('4') || status.starts_with('5')) {
        return Ok(());
    }
    Err(format!("{text:?}"))
}

/// A good request gets its own answer, and reaches the endpoint byte by byte as it must.
fn next_is_right(bed: &Bed, number: usize) -> Option<String> {
    let path = format!("/good-{number}");
    let reply = bed.connect().get("app.test", &path);
    match reply {
        Ok(reply) if reply.status == 200 && reply.text() == path => {}
        other => return Some(format!("{other:?}")),
    }
    let wanted = format!(
        "GET {path} HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 203.0.113.11\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Port: 80\r\n\r\n"
    );
    let seen = try_until(PATIENCE, "the good request", || {
        let found =
            |bytes: &Vec<u8>| bytes.windows(wanted.len()).any(|part| part == wanted.as_bytes());
        bed.recorder.seen().iter().any(found)
    });
    seen.err().map(|_| format!("the endpoint did not get {wanted:?}"))
}
