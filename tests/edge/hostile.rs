//! Requests that two readers could read differently: none reaches an endpoint, and none spoils the
//! connection for the next request. What is odd and right passes, and five servers read the same in
//! what is forwarded.

use crate::bed::Bed;
use crate::corpus::{allowed, hostile_requests, odd_requests, share};
use crate::readers::{Readers, Readings, differs, is_ambiguous};
use crate::recorder::Recorder;
use crate::reply::Wire;
use crate::table::Row;
use e2e::proof::{Item, full, wrong_of};
use eclusa_testkit::netns::skipped;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};

/// What comes behind every hostile request, and must never be taken for one.
pub(crate) const SMUGGLED: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";

/// Heads that are right, and refused all the same unless a listener asks for them.
const UNASKED: &[&str] = &[
    "CONNECT app.test:443 HTTP/1.1\r\nHost: app.test:443\r\n\r\n",
    "TRACE / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello",
];

/// The beginning of HTTP/2 (RFC 9113, section 3.4), and of a frame that ends it (section 6.8).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const GOAWAY: &str = "\0\0\u{8}\u{7}\0\0\0\0\0";

#[test]
fn what_is_ambiguous_is_refused_and_poisons_nothing() {
    const TEST: &str = "what_is_ambiguous_is_refused_and_poisons_nothing";
    if skipped(TEST) {
        return;
    }
    let bed = Bed::without_nginx("");
    let mut rows = share(hostile_requests(), 3);
    rows.extend(UNASKED.iter().map(|request| Row {
        expected: "unasked".into(),
        name: request,
        bytes: request.as_bytes().to_vec(),
    }));
    // What the endpoint gets of the others may come late, and would be taken for the next one's.
    rows.sort_by_key(breaks_in_its_body);
    let mut wrong = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let before = bed.recorder.bytes();
        if let Err(why) = refused(&bed, &row.bytes) {
            wrong.push(format!("{}: {why}", row.name));
        }
        if !breaks_in_its_body(row) && bed.recorder.bytes() != before {
            wrong.push(format!("{}: something was forwarded", row.name));
        }
        wrong.extend(next_is_right(&bed, number).map(|why| format!("after {}: {why}", row.name)));
    }
    let seen = bed.recorder.seen();
    let mut streams = Vec::new();
    for connection in &seen {
        match good_requests(connection, rows.len()) {
            Ok(count) => streams.push((connection, count)),
            Err(why) => wrong.push(why),
        }
    }
    let good: usize = streams.iter().map(|(_, count)| count).sum();
    if good != rows.len() {
        wrong.push(format!("{good} good requests have come, not {}", rows.len()));
    }
    // One that has a hostile body on it is never used again; all others are.
    let broken = rows.iter().filter(|row| breaks_in_its_body(row)).count();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    if seen.len() > broken + workers {
        wrong.push(format!("{} connections for {broken} broken bodies", seen.len()));
    }
    Item::new("5.2 hostile requests")
        .bound("each answered with 4xx or 5xx and closed; 0 forwarded, 0 connections poisoned")
        .n(rows.len())
        .note("behind each a good request of another client comes over the same kept connections")
        .record(wrong.is_empty(), wrong_of(rows.len(), &wrong));
    same_to_all(&Readers::start(&bed.worker(), TEST), &streams);
}

/// Every reader reads the good requests of a connection, and nothing else.
fn same_to_all(readers: &Readers, streams: &[(&Vec<u8>, usize)]) {
    let mut wrong = Vec::new();
    for (connection, good) in streams {
        let readings = readers.read(&[connection], *good);
        let read_all = readings.iter().all(|(_, reading)| reading.requests.len() == *good);
        if differs(&readings) || !read_all {
            wrong.push(told(&readings, connection));
        }
    }
    Item::new("5.2.2 connections that the endpoint has got beside hostile requests")
        .bound("all readers read the good requests, in their order, and no other")
        .n(streams.len())
        .note(format!("{} readers", readers.count()))
        .record(wrong.is_empty(), wrong_of(streams.len(), &wrong));
}

/// Whether its head is right, so that some of it has been sent on when its body turns out wrong.
fn breaks_in_its_body(row: &Row) -> bool {
    let is_word = |words: &[&str]| words.iter().any(|word| row.expected.starts_with(word));
    let end = row.bytes.windows(4).position(|four| four == b"\r\n\r\n");
    is_word(&["chunk_", "trailer"])
        || end.is_some_and(|end| {
            let head = String::from_utf8_lossy(&row.bytes[..end]).to_ascii_lowercase();
            row.bytes.len() > end + 4 && head.ends_with("\r\ntransfer-encoding: chunked")
        }) && !is_word(&["length", "coding", "chunked", "unexpected"])
}

/// Says a request with another behind it: there must be one answer at most, and the end.
fn refused(bed: &Bed, request: &[u8]) -> Result<(), String> {
    let text = said(&mut bed.connect(), &[request, SMUGGLED].concat())?;
    let status = text.split(' ').nth(1).unwrap_or_default();
    let answers = text.matches("HTTP/1.1 ").count();
    // The listener speaks HTTP/2 as well: what follows is no frame, and it goes away.
    if request.starts_with(PREFACE) && answers == 0 && text.contains(GOAWAY) {
        return Ok(());
    }
    if answers == 1 && (status.starts_with('4') || status.starts_with('5')) {
        return Ok(());
    }
    Err(format!("{text:?}"))
}

/// Says it all and the end, and hears to the end.
pub(crate) fn said(wire: &mut Wire, bytes: &[u8]) -> Result<String, String> {
    // The connection may be closed before all is said.
    let _ = wire.say(bytes);
    let _ = wire.stream().shutdown(Shutdown::Write);
    let (bytes, _) = wire.hear_to_end().map_err(|error| format!("no end: {error}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the endpoint must get of the good request with this number, byte by byte.
pub(crate) fn good_request(number: usize) -> String {
    format!(
        "GET /good-{number} HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 203.0.113.11\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Port: 80\r\n\r\n"
    )
}

/// A good request gets its own answer, and reaches the endpoint byte by byte as it must.
pub(crate) fn next_is_right(bed: &Bed, number: usize) -> Option<String> {
    let path = format!("/good-{number}");
    let reply = bed.connect().get("app.test", &path);
    match reply {
        Ok(reply) if reply.status == 200 && reply.text() == path => {}
        other => return Some(format!("{other:?}")),
    }
    let wanted = good_request(number);
    let found = |bytes: &Vec<u8>| bytes.windows(wanted.len()).any(|part| part == wanted.as_bytes());
    (!bed.recorder.seen().iter().any(found)).then(|| format!("the endpoint did not get {wanted:?}"))
}

/// How many good requests, byte by byte, a connection consists of. A request may stand behind them
/// that was begun and never completed, since its body was hostile.
fn good_requests(connection: &[u8], up_to: usize) -> Result<usize, String> {
    let mut rest = connection;
    let mut count = 0;
    while let Some(number) = number_of(rest).filter(|number| *number < up_to) {
        let good = good_request(number);
        rest = rest.strip_prefix(good.as_bytes()).ok_or_else(|| is_no_good(rest))?;
        count += 1;
    }
    let begun = String::from_utf8_lossy(rest);
    let is_begun = begun.is_empty()
        || begun.starts_with("POST / HTTP/1.1\r\nHost: a.example\r\n")
            && begun.matches("HTTP/1.1").count() == 1
            && !begun.contains("\r\n0\r\n");
    if is_begun { Ok(count) } else { Err(is_no_good(rest)) }
}

fn number_of(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"GET /good-")?;
    let end = rest.iter().position(|byte| *byte == b' ')?;
    str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

fn is_no_good(rest: &[u8]) -> String {
    format!("an endpoint has got {:?}", rest.escape_ascii().to_string())
}

/// Readings in words, the bytes behind them.
pub(crate) fn told(readings: &Readings, bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(600)];
    format!("{readings:?} of {}", bytes.escape_ascii())
}

#[test]
fn what_is_odd_passes_and_is_forwarded_clearly() {
    const TEST: &str = "what_is_odd_passes_and_is_forwarded_clearly";
    if skipped(TEST) {
        return;
    }
    let bed = Bed::without_nginx("");
    let readers = Readers::start(&bed.worker(), TEST);
    let rows = odd_requests();
    let passing: Vec<_> = rows.iter().filter(|row| !is_limited(row)).collect();
    assert!(passing.len() >= 100, "{} rows", passing.len());
    let (mut wrong, mut ambiguous, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
    let mut read = 0;
    for (number, row) in passing.iter().enumerate() {
        let before: Vec<_> = bed.recorder.seen().iter().map(Vec::len).collect();
        match said(&mut bed.connect(), &row.bytes) {
            Ok(text) if passed(&text) => {}
            other => wrong.push(format!("{}: {other:?}", row.name)),
        }
        let forwarded = since(&bed.recorder, &before);
        wrong.extend(next_is_right(&bed, number).map(|why| format!("after {}: {why}", row.name)));
        // The readers take their time: each day a share of the requests.
        let is_read = full() || number % 6 == 0;
        for bytes in forwarded.iter().filter(|_| is_read) {
            let readings = readers.read(&[bytes, good_request(number).as_bytes()], 2);
            read += 1;
            if is_ambiguous(&readings) {
                ambiguous.push(format!("{}: {}", row.name, told(&readings, bytes)));
            }
            refusals.extend(unexplained(&readings, row.name));
        }
    }
    Item::new("5.2.3 odd and valid requests")
        .bound("each gets its own answer, 0 refused")
        .n(passing.len())
        .record(wrong.is_empty(), wrong_of(passing.len(), &wrong));
    let expected = passing.len().div_ceil(if full() { 1 } else { 6 });
    assert_eq!(read, expected, "each was forwarded once");
    Item::new("5.2.4 odd requests as they were forwarded")
        .bound("no two readers read another number, boundary or target; a refusal is explained")
        .n(read)
        .note(explanations())
        .record(
            ambiguous.is_empty() && refusals.is_empty(),
            format!("ambiguous: {}; not explained: {refusals:?}", wrong_of(read, &ambiguous)),
        );
}

/// What a limit or a rule of the bed's listener refuses, although the codec takes it: CONNECT and
/// requests without a host pass only where they are allowed.
fn is_limited(row: &Row) -> bool {
    row.expected.starts_with("CONNECT") || [WITHOUT_HOST, "the largest length"].contains(&row.name)
}

const WITHOUT_HOST: &str = "HTTP/1.0 without Host";

/// One answer of 200 behind interim ones.
fn passed(text: &str) -> bool {
    let mut statuses = text.match_indices("HTTP/1.1 ").map(|(at, _)| &text[at + 9..at + 12]);
    statuses.find(|status| !status.starts_with('1')) == Some("200") && statuses.next().is_none()
}

/// What the recorder has got since its connections had got so much, connection by connection.
pub(crate) fn since(recorder: &Recorder, before: &[usize]) -> Vec<Vec<u8>> {
    let seen = recorder.seen().into_iter().enumerate();
    let new = seen.map(|(at, bytes)| bytes[before.get(at).copied().unwrap_or(0)..].to_vec());
    new.filter(|bytes| !bytes.is_empty()).collect()
}

/// What a reader refuses although it is right, and why. Nobody is misled by that.
const REFUSALS: &[(&str, &[&str], &str)] = &[
    (
        "Node",
        &["the method BREW", "the method notify", "the method X!", "a method of 32 bytes"],
        "Node knows a list of methods and takes no other",
    ),
    (
        "nginx",
        &["the method notify", "the method X!"],
        "nginx takes capital letters, _ and - for a method",
    ),
    ("nginx", &["a target with encoded bytes"], "nginx takes no encoded NUL in a path"),
    ("nginx", &["OPTIONS for all"], "nginx does not know the target *"),
    ("HAProxy", &["WebSocket"], "HAProxy takes no WebSocket without its key"),
    ("HAProxy", &["a name of 256 bytes"], "HAProxy takes no longer name than 255 bytes"),
];

fn explanations() -> String {
    REFUSALS.iter().map(|(.., why)| *why).collect::<Vec<_>>().join("; ")
}

/// Readers that refuse what another reads, without a reason that is known.
fn unexplained(readings: &Readings, row: &str) -> Vec<String> {
    let most = readings.iter().map(|(_, reading)| reading.requests.len()).max().unwrap_or(0);
    let refuse = readings.iter().filter(|(_, reading)| reading.requests.len() < most);
    let known = |reader: &str| {
        REFUSALS.iter().any(|(name, rows, _)| {
            *name == reader && rows.iter().any(|known| row.starts_with(known))
        })
    };
    let found = refuse.filter(|(reader, _)| !known(reader));
    found.map(|(reader, reading)| format!("{reader}: {row}: {reading:?}")).collect()
}

/// A listener and a pool that allow all that can be allowed.
const LENIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 168, 1, 2)), 81);

#[test]
fn what_is_allowed_passes_and_only_there() {
    if skipped("what_is_allowed_passes_and_only_there") {
        return;
    }
    let rows = allowed();
    let (answers, requests): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.bytes.starts_with(b"HTTP/"));
    let names = |rows: &[Row]| {
        let mut names: Vec<_> = rows.iter().map(|row| name_of(row).to_owned()).collect();
        names.dedup();
        names
    };
    let bed = Bed::without_nginx(&format!(
        "[listener.lenient]\nlisten = [\"{LENIENT}\"]\npool = \"lenient\"\nhttp.allow = {:?}\n\
         [pool.lenient]\nendpoints = [\"10.0.1.105:80\"]\nprobe = {{ kind = \"none\" }}\n\
         http.allow = {:?}\n",
        names(&requests),
        names(&answers)
    ));
    let mut wrong = Vec::new();
    let without_host = odd_requests().into_iter().filter(|row| row.name == WITHOUT_HOST);
    for row in requests.into_iter().chain(without_host) {
        let before = bed.recorder.bytes();
        match refused(&bed, &row.bytes) {
            Ok(()) if bed.recorder.bytes() == before => {}
            other => wrong.push(format!("{}, not allowed: {other:?}", row.name)),
        }
        match said(&mut lenient(&bed), &row.bytes) {
            Ok(text) if passed(&text) => {}
            other => wrong.push(format!("{}, allowed: {other:?}", row.name)),
        }
    }
    for row in answers {
        let path = bed.recorder.will_answer(&row.bytes, false);
        let request = format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n\r\n");
        for (to, allowed) in [(bed.connect(), false), (lenient(&bed), true)] {
            let (mut wire, request) = (to, request.as_bytes());
            let text = said(&mut wire, request).unwrap_or_else(|error| error);
            let status = if allowed { &row.bytes[..12] } else { b"HTTP/1.1 502" };
            if !text.as_bytes().starts_with(status) {
                wrong.push(format!("{}, allowed: {allowed}: {text:?}", row.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn lenient(bed: &Bed) -> Wire {
    Wire::open(&bed.client, LENIENT).unwrap()
}

/// The first word of what a row expects: the name that allows it.
fn name_of(row: &Row) -> &str {
    row.expected.split(' ').next().unwrap_or_default()
}
