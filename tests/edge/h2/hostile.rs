//! Requests of HTTP/2 that could be made to say something else in HTTP/1: none reaches an endpoint, and none
//! spoils the connection for the next request. What is odd and right passes, and means the same there.

use super::heard::{Heard, requests};
use super::peers::peers;
use super::run::run;
use super::script::{Case, cases};
use crate::bed::{Bed, PLAIN};
use crate::hostile::{good_request, next_is_right, since, told};
use crate::readers::{Readers, Readings, is_ambiguous};
use crate::recorder::Recorder;
use crate::table::unescape;
use e2e::plain::try_connect;
use e2e::product::PATIENCE;
use e2e::proof::{Item, full, size, wrong_of};
use eclusa_testkit::http2::{Client, Seen, name_of_code};
use eclusa_testkit::netns::{Host, skipped};
use eclusa_testkit::wait::try_until;
use std::net::SocketAddr;

const HOSTILE: &str = include_str!("cases/hostile.txt");
const ODD: &str = include_str!("cases/odd.txt");

/// Where a request goes whose head is right and whose body is not.
const BROKEN: &[u8] = b"/broken";

#[test]
fn what_is_ambiguous_in_http2_is_refused_and_poisons_nothing() {
    const TEST: &str = "what_is_ambiguous_in_http2_is_refused_and_poisons_nothing";
    if skipped(TEST) {
        return;
    }
    let bed = Bed::without_nginx("");
    let all = cases(HOSTILE, "http");
    assert!(all.len() >= 150, "{} cases", all.len());
    let mut cases: Vec<_> = all.into_iter().step_by(size(1, 3)).collect();
    // What the endpoint may get of the others may come late, and would be taken for the next one's.
    cases.sort_by_key(|case| !case.is_never_forwarded());
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        wrong.extend(told_of(case, refused((&bed.client, PLAIN), &bed.recorder, case)));
        let next = next_is_right(&bed, number);
        wrong.extend(next.map(|why| format!("after {}: {why}", case.name)));
    }
    let seen = bed.recorder.seen();
    let mut good = 0;
    for connection in &seen {
        match good_ones(connection, &mut wrong) {
            Ok(count) => good += count,
            Err(why) => wrong.push(why),
        }
    }
    if good != cases.len() {
        wrong.push(format!("{good} good requests have come, not {}", cases.len()));
    }
    wrong.iter().for_each(|wrong| println!("{wrong}"));
    Item::new("1.2 hostile requests by HTTP/2")
        .bound("each refused; 0 forwarded ambiguously, 0 connections poisoned")
        .n(cases.len())
        .note("behind each a good request of another client over the same kept connections, and one of its own")
        .record(wrong.is_empty(), wrong_of(cases.len(), &wrong));
    same_to_all(&bed, TEST, &seen);
    if full() {
        beside(&bed);
    }
}

/// The same requests through nginx and HAProxy; figures, no bounds.
fn beside(bed: &Bed) {
    let host = bed.worker();
    for (name, peer, address) in peers(&host) {
        let way = (&host, address);
        let hostile = cases(HOSTILE, "http");
        let forwarded: Vec<_> = hostile
            .iter()
            .filter_map(|case| told_of(case, refused(way, &bed.recorder, case)))
            .collect();
        let odd = cases(ODD, "http");
        let refused = odd.iter().filter_map(|case| told_of(case, passed(way, &bed.recorder, case)));
        let refused: Vec<_> = refused.collect();
        forwarded.iter().chain(&refused).for_each(|why| println!("{name}: {why}"));
        Item::new(format!("1.2.4 the same requests through {name}"))
            .bound("none: for comparison")
            .n(hostile.len() + odd.len())
            .record(
                true,
                format!(
                    "{} of {} hostile ones not refused, {} of {} valid ones refused or changed",
                    forwarded.len(),
                    hostile.len(),
                    refused.len(),
                    odd.len()
                ),
            );
        drop(peer);
    }
}

/// All readers read the same on every connection that was not cut.
fn same_to_all(bed: &Bed, test: &str, seen: &[Vec<u8>]) {
    let whole = |connection: &&Vec<u8>| matches!(requests(connection), Ok((_, false)));
    let streams: Vec<_> = seen.iter().filter(whole).take(size(usize::MAX, 2)).collect();
    let readers = Readers::start(&bed.worker(), test);
    let mut wrong = Vec::new();
    for connection in &streams {
        let count = requests(connection).map_or(0, |(requests, _)| requests.len());
        let readings = readers.read(&[connection], count);
        let all = readings.iter().all(|(_, reading)| reading.requests.len() == count);
        if is_ambiguous(&readings) || !all {
            wrong.push(told(&readings, connection));
        }
    }
    Item::new("1.2.1 connections that the endpoint has got beside hostile requests")
        .bound("all readers read the same")
        .n(streams.len())
        .note(format!("{} readers", readers.count()))
        .record(wrong.is_empty(), wrong_of(streams.len(), &wrong));
}

/// What has gone wrong with a case, in words.
fn told_of<T>(case: &Case, found: Result<T, String>) -> Option<String> {
    found.err().map(|why| format!("{} {}: {why}", case.section, case.name))
}

/// Who is asked: the host that asks, and where.
type Way<'a> = (&'a Host, SocketAddr);

fn connect((host, address): Way<'_>) -> Result<Client, String> {
    let stream = try_connect(host, address, PATIENCE);
    stream.and_then(Client::plain).map_err(|error| error.to_string())
}

/// What has become of the stream 1.
fn fate(client: &mut Client) -> String {
    let is_decided = |seen: &Seen| {
        let stream = seen.streams.get(&1);
        seen.failure().is_some()
            || stream.is_some_and(|stream| stream.reset.is_some() || stream.head().is_some())
    };
    client.hear_until(PATIENCE, is_decided);
    let seen = client.seen();
    let stream = seen.streams.get(&1);
    if let Some(goaway) = seen.failure() {
        return format!("GOAWAY {}", name_of_code(goaway.code));
    }
    if let Some(code) = stream.and_then(|stream| stream.reset) {
        return format!("reset {}", name_of_code(code));
    }
    match stream.and_then(|stream| stream.head()) {
        Some(head) => head.status.to_string(),
        None if client.is_over() => "closed".into(),
        None => "nothing".into(),
    }
}

/// Says a case, which must be refused as it says.
fn refused(way: Way<'_>, recorder: &Recorder, case: &Case) -> Result<(), String> {
    let before = recorder.bytes();
    let mut client = connect(way)?;
    run(&mut client, &case.steps, "http")?;
    if case.expected == ["gone"] {
        return if client.round_trip(PATIENCE) { Ok(()) } else { Err("no answer to PING".into()) };
    }
    let fate = fate(&mut client);
    let is_clean = case.expected.contains(&"clean") && fate == "200";
    if !is_clean && (fate.starts_with(['1', '2', '3']) || fate == "nothing") {
        return Err(format!("it is not refused: {fate}, {}", client.seen().told_in_words()));
    }
    if case.is_never_forwarded() && recorder.bytes() != before {
        return Err("something was forwarded".into());
    }
    if client.seen().failure().is_none() && !client.is_over() {
        own_next_is_right(&mut client)?;
    }
    match client.seen().violations.first() {
        None => Ok(()),
        Some(violation) => Err(format!("the edge violates {violation}")),
    }
}

/// The connection goes on: another request of it gets its own answer.
fn own_next_is_right(client: &mut Client) -> Result<(), String> {
    const NUMBER: u32 = 1001;
    client.ask(NUMBER, "http", "app.test", "/clean");
    client.hear_until(PATIENCE, |seen| {
        seen.streams.get(&NUMBER).is_some_and(|stream| stream.ended || stream.reset.is_some())
    });
    let stream = client.seen().streams.get(&NUMBER);
    match stream {
        Some(stream) if stream.ended && stream.body == b"/clean" => Ok(()),
        _ => Err(format!("its next request: {}", client.seen().told_in_words())),
    }
}

/// How many good requests of other clients a connection holds, byte by byte. Beside them there may be those of
/// connections that went on, and such whose head was right; any other is `wrong`.
fn good_ones(connection: &[u8], wrong: &mut Vec<String>) -> Result<usize, String> {
    let (requests, cut) = requests(connection)?;
    let count = requests.len();
    let mut good = 0;
    for (at, heard) in requests.iter().enumerate() {
        let is_cut = cut && at + 1 == count;
        match &heard.target[..] {
            b"/clean" if !is_cut => {}
            BROKEN => {}
            // Cut before its target was there: only one whose head was right may be.
            b"" if is_cut => {}
            target => {
                let number =
                    target.strip_prefix(b"/good-").and_then(|digits| str::from_utf8(digits).ok());
                let number = number.and_then(|digits| digits.parse().ok());
                if number.is_none_or(|number| good_request(number).as_bytes() != heard.bytes) {
                    wrong.push(format!(
                        "an endpoint has got {:?}",
                        heard.bytes.escape_ascii().to_string()
                    ));
                    continue;
                }
                good += 1;
            }
        }
    }
    Ok(good)
}

#[test]
fn what_is_odd_in_http2_passes_and_means_the_same() {
    const TEST: &str = "what_is_odd_in_http2_passes_and_means_the_same";
    if skipped(TEST) {
        return;
    }
    let bed = Bed::without_nginx("");
    let readers = Readers::start(&bed.worker(), TEST);
    let cases = cases(ODD, "http");
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let (mut wrong, mut ambiguous, mut read) = (Vec::new(), Vec::new(), 0);
    for (number, case) in cases.iter().enumerate() {
        let name = format!("{} {}", case.section, case.name);
        match passed((&bed.client, PLAIN), &bed.recorder, case) {
            Err(why) => wrong.push(format!("{name}: {why}")),
            // The readers take their time: each day a share of the requests.
            Ok(bytes) if number % size(1, 12) == 0 => {
                let good = good_request(number);
                let readings = readers.read(&[&bytes, good.as_bytes()], 2);
                read += 1;
                if is_ambiguous(&readings) {
                    ambiguous.push(format!("{name}: {}", told(&readings, &bytes)));
                }
                ambiguous.extend(unexplained(&readings, case.name));
            }
            Ok(_) => {}
        }
        wrong.extend(next_is_right(&bed, number).map(|why| format!("after {name}: {why}")));
    }
    wrong.iter().chain(&ambiguous).for_each(|wrong| println!("{wrong}"));
    Item::new("1.2.2 odd and valid requests by HTTP/2")
        .bound("each gets its own answer, and reaches the endpoint as it was meant; 0 refused")
        .n(cases.len())
        .record(wrong.is_empty(), wrong_of(cases.len(), &wrong));
    Item::new("1.2.3 odd requests as they were forwarded")
        .bound("no two readers read another number, boundary or target; a refusal is explained")
        .n(read)
        .note(REFUSALS.map(|(.., why)| why).join("; "))
        .record(ambiguous.is_empty() && (read > 0 || !full()), wrong_of(read, &ambiguous));
}

/// Says a case, which must be answered; what the endpoint has got of it.
fn passed(way: Way<'_>, recorder: &Recorder, case: &Case) -> Result<Vec<u8>, String> {
    let before: Vec<_> = recorder.seen().iter().map(Vec::len).collect();
    let mut client = connect(way)?;
    run(&mut client, &case.steps, "http")?;
    let fate = fate(&mut client);
    if fate != "200" {
        return Err(format!("{fate}, {}", client.seen().told_in_words()));
    }
    // All that was sent has come: an answer may have come before a trailer.
    let mut all = Vec::new();
    let _ = try_until(PATIENCE, "the whole request", || {
        all = since(recorder, &before);
        all.iter().all(|bytes| matches!(requests(bytes), Ok((_, false)) | Err(_)))
    });
    let [bytes] = &all[..] else {
        return Err(format!("{} connections have got something", all.len()));
    };
    let (requests, _) = requests(bytes)?;
    let [heard] = &requests[..] else { return Err(format!("{} requests", requests.len())) };
    case.expected.iter().try_for_each(|line| is_as_wanted(heard, line))?;
    own_next_is_right(&mut client)?;
    match client.seen().violations.first() {
        None => Ok(bytes.clone()),
        Some(violation) => Err(format!("the edge violates {violation}")),
    }
}

/// Checks one line of what is expected.
fn is_as_wanted(heard: &Heard, line: &str) -> Result<(), String> {
    let fields = heard.fields.iter().chain(&heard.trailers);
    let fits = match line.split_once(' ') {
        Some(("passed", wanted)) => {
            let found =
                format!("{} {} {}", heard.method, heard.target.escape_ascii(), heard.body.len());
            let wanted = unescape(wanted);
            found == wanted.escape_ascii().to_string()
        }
        Some(("+", wanted)) => {
            let (name, value) = wanted.split_once(": ").unwrap();
            let value = unescape(value);
            fields.into_iter().any(|field| field.0.eq_ignore_ascii_case(name) && field.1 == value)
        }
        Some(("only", wanted)) => {
            let (name, value) = wanted.split_once(": ").unwrap();
            let found: Vec<_> = fields.into_iter().filter(|(found, _)| found == name).collect();
            found.len() == 1 && found[0].1 == value.as_bytes()
        }
        Some(("-", name)) => fields.into_iter().all(|(found, _)| found != name),
        _ => panic!("no expectation: {line}"),
    };
    if fits { Ok(()) } else { Err(format!("not {line:?}: {}", heard.bytes.escape_ascii())) }
}

/// What a reader refuses although it is right, by the beginning of a case's name, and why.
const REFUSALS: [(&str, &[&str], &str); 3] = [
    (
        "Node",
        &["the method: BREW", "the method: notify", "the method: X!", "the method: A"],
        "Node knows a list of methods and takes no other",
    ),
    (
        "nginx",
        &[
            "the method: notify",
            "the method: X!",
            "the path: /%00",
            "the path: /%2f..%2f",
            "OPTIONS *",
        ],
        "nginx takes capital letters for a method, no encoded NUL, no way above the root and no target *",
    ),
    ("HAProxy", &["a name of 255 bytes"], "HAProxy takes no name as long as that"),
];

/// Readers that refuse what another reads, without a reason that is known.
fn unexplained(readings: &Readings, case: &str) -> Vec<String> {
    let most = readings.iter().map(|(_, reading)| reading.requests.len()).max().unwrap_or(0);
    let refuse = readings.iter().filter(|(_, reading)| reading.requests.len() < most);
    let known = |reader: &str| {
        REFUSALS.iter().any(|(name, cases, _)| {
            *name == reader && cases.iter().any(|known| case.starts_with(known))
        })
    };
    let found = refuse.filter(|(reader, _)| !known(reader));
    found.map(|(reader, reading)| format!("{reader}: {case}: {reading:?}")).collect()
}
