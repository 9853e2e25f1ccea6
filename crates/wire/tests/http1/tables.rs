//! The tables: hostile messages with the reason that refuses them, odd ones that pass, and what can
//! be allowed.

use crate::oracle::{self, How, read};
use crate::table::rows;
use eclusa_wire::http1::{
    Asked, Body, Chunked, Head, Leniency, Lenient, Limits, Parsed, Reason, Trailers,
};
use std::collections::BTreeSet;

const REQUESTS: &str = include_str!("hostile_requests.txt");
const RESPONSES: &str = include_str!("hostile_responses.txt");
const ODD: &str = include_str!("odd.txt");
const LENIENT: &str = include_str!("lenient.txt");

/// Reads a message, head and body. `Err`: the word of the reason.
fn message(bytes: &[u8], how: How) -> Result<Head, &'static str> {
    let (parsed, mut head) = read(bytes, how);
    match parsed {
        Parsed::NeedMore => return Err("needs more"),
        Parsed::Refused(reason) => return Err(reason.word()),
        Parsed::Complete(_) => {}
    }
    if head.body() == Body::Chunked {
        let mut chunked = Chunked::new(Limits::default(), how.lenient);
        let mut trailers = Trailers::default();
        loop {
            let decoded =
                chunked.decode(head.rest(), &mut trailers).map_err(|reason| reason.word())?;
            head.use_rest(decoded.used);
            match (decoded.ended, head.rest()) {
                (true, _) => break,
                (false, []) => return Err("needs more"),
                (false, _) => {}
            }
        }
    }
    Ok(head)
}

fn strict(is_request: bool) -> How {
    let asked = (!is_request).then(Asked::default);
    How { asked, lenient: Lenient::NONE }
}

/// Each row is refused for its reason, with every leniency that is not about that reason too.
fn refused(table: &'static str, is_request: bool, at_least: usize) -> BTreeSet<&'static str> {
    let rows = rows(table);
    assert!(rows.len() >= at_least, "{} rows", rows.len());
    let mut wrong = Vec::new();
    let mut words = BTreeSet::new();
    for row in &rows {
        println!("{}", row.name);
        let found =
            message(&row.bytes, strict(is_request)).map(|_| "passes").unwrap_or_else(|word| word);
        if found != row.expected {
            wrong.push(format!("{}: {found}, not {}", row.name, row.expected));
        }
        words.insert(found);
        if is_request {
            oracle::check_request(&row.bytes);
        } else {
            oracle::check_response(&row.bytes);
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    words
}

#[test]
fn hostile_requests_are_refused() {
    let words = refused(REQUESTS, true, 250);
    // What only responses, only HTTP/2 and only asking can meet.
    let others = [
        Reason::StatusLine,
        Reason::StatusRange,
        Reason::UpgradeUnasked,
        Reason::ConnectionField,
        Reason::ValueBlank,
    ];
    let known = Reason::ALL.iter().filter(|reason| !others.contains(reason));
    let missing: Vec<_> = known.filter(|reason| !words.contains(reason.word())).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}

#[test]
fn hostile_responses_are_refused() {
    refused(RESPONSES, false, 60);
}

/// Nothing that is about lengths, hosts or the end of a message can be allowed.
#[test]
fn leniency_is_not_about_boundaries() {
    let allowed = [
        "target_byte",
        "target_non_ascii",
        "target_percent",
        "empty_lines",
        "control",
        "host_malformed",
        "status_line",
        "status_range",
    ];
    for (table, is_request) in [(REQUESTS, true), (RESPONSES, false)] {
        for row in rows(table) {
            let how = How { lenient: Lenient::all(), ..strict(is_request) };
            let found = message(&row.bytes, how).map(|_| "passes").unwrap_or_else(|word| word);
            let expected = row.expected.as_str();
            // A host with odd characters is still no host of a URI's.
            let is_host = expected == "target_authority" && found == "host_mismatch";
            let fits = found == expected || allowed.contains(&expected) || is_host;
            assert!(fits, "{}: {found}", row.name);
        }
    }
}

#[test]
fn what_is_odd_passes() {
    let rows = rows(ODD);
    assert!(rows.len() >= 60, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        println!("{}", row.name);
        let is_request = !row.expected.as_bytes()[0].is_ascii_digit();
        let mut how = strict(is_request);
        if row.expected.ends_with("upgrade") && !is_request {
            how.asked = Some(Asked { upgrade: true, ..Asked::default() });
        }
        let found = message(&row.bytes, how).map_or_else(str::to_owned, |head| summary(&head));
        if found != row.expected {
            wrong.push(format!("{}: {found}, not {}", row.name, row.expected));
        }
        if is_request {
            oracle::check_request(&row.bytes);
        } else {
            oracle::check_response(&row.bytes);
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn summary(head: &Head) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut words = match head.status() {
        0 => vec![text(head.method()), text(head.authority()), text(head.target())],
        status => vec![status.to_string()],
    };
    words.push(format!("{:?}", head.body()));
    if let Some(length) = head.declared_length() {
        words.push(format!("declared({length})"));
    }
    let flags = [
        (!head.is_kept_alive(), "close"),
        (head.expects_continue(), "expect"),
        (head.is_upgrade(), "upgrade"),
    ];
    words.extend(flags.iter().filter(|(is, _)| *is).map(|(_, word)| (*word).to_owned()));
    words.join(" ")
}

#[test]
fn what_is_allowed_passes_and_only_then() {
    let mut seen = Vec::new();
    for row in rows(LENIENT) {
        let (name, reason) = row.expected.split_once(' ').unwrap();
        let leniency = Leniency::from_name(name).unwrap();
        let is_request = !row.bytes.starts_with(b"HTTP/");
        let how = strict(is_request);
        assert_eq!(message(&row.bytes, how).err(), Some(reason), "{}", row.name);
        let others = Lenient::all().without(leniency);
        let found = message(&row.bytes, How { lenient: others, ..how }).err();
        assert_eq!(found, Some(reason), "{}", row.name);
        let lenient = Lenient::NONE.with(leniency);
        assert!(message(&row.bytes, How { lenient, ..how }).is_ok(), "{}", row.name);
        seen.push(leniency);
    }
    assert!(Leniency::ALL.iter().all(|leniency| seen.contains(leniency)), "{seen:?}");
}
