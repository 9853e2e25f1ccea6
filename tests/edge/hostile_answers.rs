//! Answers that two clients could read differently: 502, and the endpoint's connection is dropped.

use crate::bed::Bed;
use crate::clients::{self, ERROR};
use crate::corpus::{hostile_answers, odd_answers, share};
use crate::table::Row;
use e2e::product::PATIENCE;
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::try_until;
use std::net::Shutdown;

/// What comes behind every hostile answer, and must never be taken for one.
const SMUGGLED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled";

#[test]
fn hostile_answers_reach_nobody() {
    const TEST: &str = "hostile_answers_reach_nobody";
    if skipped(TEST) {
        return;
    }
    let bed = Bed::without_nginx("");
    let rows = hostile_answers();
    assert!(rows.len() >= 60, "{} rows", rows.len());
    let (mut wrong, mut heard) = (Vec::new(), Vec::new());
    for (number, row) in rows.iter().enumerate() {
        // The first half of the rows with another answer behind them.
        let behind = if number % 2 == 0 { SMUGGLED } else { b"" };
        let bytes = answer(&bed, &[&row.bytes, behind].concat(), false);
        if let Some(why) = is_told(row, &bytes) {
            wrong.push(format!("{}: {why}", row.name));
        }
        heard.push((row, bytes));
        let path = format!("/good-{number}");
        match bed.connect().get("app.test", &path) {
            Ok(reply) if reply.status == 200 && reply.text() == path => {}
            other => wrong.push(format!("after {}: {other:?}", row.name)),
        }
    }
    wrong.extend(dropped(&bed));
    Item::new("5.2.7 hostile answers")
        .bound(
            "502, or cut where the head was right; the connection dropped, the next answer right",
        )
        .n(rows.len())
        .record(wrong.is_empty(), wrong_of(rows.len(), &wrong));
    told_alike(&bed, TEST, heard);
}

/// What the client hears of an answer of the endpoint's, to the end of its connection.
fn answer(bed: &Bed, bytes: &[u8], ends: bool) -> Vec<u8> {
    let path = bed.recorder.will_answer(bytes, ends);
    let mut wire = bed.connect();
    wire.say(format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n\r\n").as_bytes()).unwrap();
    // An answer that is cut may have reset the connection by then.
    let _ = wire.stream().shutdown(Shutdown::Write);
    wire.hear_to_end().unwrap().0
}

/// Its body, not its head, is what is wrong with it.
fn breaks_in_its_body(row: &Row) -> bool {
    ["chunk_", "trailer"].iter().any(|word| row.expected.starts_with(word))
}

/// What is wrong with what the client has heard: there must be one answer, of 502, or one that is
/// cut where its head was right.
fn is_told(row: &Row, bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut statuses =
        text.match_indices("HTTP/1.1 ").filter_map(|(at, _)| text.get(at + 9..at + 12));
    let right = match (statuses.next(), statuses.next()) {
        (Some("502"), None) => true,
        (Some("200"), None) => breaks_in_its_body(row),
        (None, None) => breaks_in_its_body(row) && bytes.is_empty(),
        _ => false,
    };
    (!right || text.contains("smuggled")).then(|| format!("{text:?}"))
}

/// Connections that gave a hostile answer: closed, and never asked again.
fn dropped(bed: &Bed) -> Vec<String> {
    let kept = std::thread::available_parallelism().map_or(1, usize::from);
    let closed = try_until(PATIENCE, "their end", || bed.recorder.open() <= kept);
    let mut wrong: Vec<_> = closed.err().map(|error| error.to_string()).into_iter().collect();
    for bytes in bed.recorder.seen() {
        let text = String::from_utf8_lossy(&bytes);
        let last = text.rfind("GET /scripted/").and_then(|at| text[at..].split_once("\r\n\r\n"));
        if last.is_some_and(|(_, behind)| !behind.is_empty())
            || text.matches("/scripted/").count() > 1
        {
            wrong.push(format!("asked again: {text:?}"));
        }
    }
    wrong
}

/// Every client reads the same, and what was cut is an error to each.
fn told_alike(bed: &Bed, test: &str, heard: Vec<(&Row, Vec<u8>)>) {
    let answers = heard.len();
    let mut distinct: Vec<Vec<u8>> = heard.into_iter().map(|(_, bytes)| bytes).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let told = clients::read(&bed.worker(), test, &distinct);
    let mut wrong: Vec<_> = clients::differing(&told, distinct.len())
        .into_iter()
        .map(|(number, said)| format!("{said:?} of {}", distinct[number].escape_ascii()))
        .collect();
    for (number, bytes) in distinct.iter().enumerate() {
        let said = &told[0].1[number];
        let cut = bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 200");
        if cut != (said == ERROR) {
            wrong.push(format!("{said} of {}", bytes.escape_ascii()));
        }
    }
    Item::new("5.2.8 what a client is told of hostile answers")
        .bound("all clients read the same; an answer that was cut is whole to none")
        .n(distinct.len())
        .note(format!("what {answers} answers have become; {} clients", told.len()))
        .record(wrong.is_empty(), wrong_of(distinct.len(), &wrong));
}

#[test]
fn odd_answers_pass_and_are_read_alike() {
    const TEST: &str = "odd_answers_pass_and_are_read_alike";
    if skipped(TEST) {
        return;
    }
    let bed = Bed::without_nginx("");
    let rows = odd_answers();
    let (mut wrong, mut heard) = (Vec::new(), Vec::new());
    for row in &rows {
        let interim = row.expected.starts_with('1');
        let last: &[u8] =
            if interim { b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" } else { b"" };
        let ends = row.expected.contains("UntilClose");
        let bytes = answer(&bed, &[&row.bytes, last].concat(), ends);
        let status = if interim { "200" } else { &row.expected[..3] };
        let text = String::from_utf8_lossy(&bytes);
        let statuses = text.match_indices("HTTP/1.1 ").map(|(at, _)| &text[at + 9..at + 12]);
        if statuses.filter(|found| !found.starts_with('1')).ne([status]) {
            wrong.push(format!("{}: {text:?}", row.name));
        }
        heard.push((row, status, bytes));
    }
    let answers: Vec<_> = heard.iter().map(|(_, _, bytes)| bytes.clone()).collect();
    let told = clients::read(&bed.worker(), TEST, &answers);
    for (number, said) in clients::differing(&told, answers.len()) {
        if heard[number].0.name != FIELDS_OF_103 {
            wrong.push(format!("{}: {said:?}", heard[number].0.name));
        }
    }
    for (number, (row, status, _)) in heard.iter().enumerate() {
        if !told[0].1[number].starts_with(status) {
            wrong.push(format!("{}: {}", row.name, told[0].1[number]));
        }
    }
    Item::new("5.2.9 odd and valid answers")
        .bound("each passes, and all clients read the same")
        .n(rows.len())
        .note(format!("{} clients; Python's takes 103 for the answer", told.len()))
        .record(wrong.is_empty(), wrong_of(rows.len(), &wrong));
}

/// Python's client takes no interim answer but 100; whoever asks the endpoint itself with it fares no
/// better.
const FIELDS_OF_103: &str = "103 with fields";

/// The instrument sees what is ambiguous: the same hostile answers, with nothing of ours between.
#[test]
fn raw_hostile_answers_are_read_in_several_ways() {
    const TEST: &str = "raw_hostile_answers_are_read_in_several_ways";
    if skipped(TEST) {
        return;
    }
    let bed = Bed::without_nginx("");
    let answers: Vec<_> = share(hostile_answers(), 3).into_iter().map(|row| row.bytes).collect();
    let told = clients::read(&bed.worker(), TEST, &answers);
    let different = clients::differing(&told, answers.len()).len();
    Item::new("5.2.10 hostile answers as they are, as a control of the clients")
        .bound("the clients read them differently")
        .n(answers.len())
        .record(different > size(20, 5), format!("{different} read differently"));
}
