//! Autobahn's cases of WebSocket by every way through the edge: each comes out as without it.

mod bed;

use bed::{Bed, WAYS, suite_missing};
use e2e::proof::{Item, full, size, wrong_of};
use e2e::python::missing;
use eclusa_testkit::netns::skipped;
use std::collections::BTreeMap;

/// What is asked: framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, and the case of
/// messages that are cut into many frames.
const CASES: [&str; 8] = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"];
const QUICK: [&str; 2] = ["1.1.*", "2.*"];
/// How many those are.
const ALL: usize = 247;
/// How often cases that came out differently are asked again.
const REPEATS: usize = 2;

/// What came of each case: how it went, how it was closed, and by which code.
type Results = BTreeMap<String, String>;

/// The cases that came out differently.
fn differing<'a>(directly: &'a Results, through: &Results) -> Vec<&'a str> {
    let differs = |(case, result): &(&'a String, &String)| through.get(*case) != Some(*result);
    directly.iter().filter(differs).map(|(case, _)| case.as_str()).collect()
}

#[test]
fn autobahns_cases_come_out_as_without_the_edge() {
    const TEST: &str = "autobahns_cases_come_out_as_without_the_edge";
    if skipped(TEST) || missing(TEST, &["h2"]) {
        return;
    }
    // It is of Python 2, which few machines have: in a proof it must be there.
    if let Some(reason) = suite_missing() {
        if full() {
            eprintln!("SKIPPED: {TEST}: {reason}");
        }
        return;
    }
    let bed = Bed::start();
    let cases = size(&CASES[..], &QUICK[..]);
    let directly: Results = bed.ask("directly", bed.directly(), cases);
    assert!(directly.len() >= size(ALL, 1), "{} cases", directly.len());
    let (mut wrong, mut n, mut again) = (Vec::new(), 0, 0);
    for way in WAYS.iter().filter(|way| full() || way.is_quick) {
        let mut through = bed.ask(way.name, way.url(), cases);
        n += directly.len();
        for _ in 0..REPEATS {
            let differing = differing(&directly, &through);
            if differing.is_empty() {
                break;
            }
            again += differing.len();
            through.extend(bed.ask(&format!("{} {again}", way.name), way.url(), &differing));
        }
        wrong.extend(differing(&directly, &through).into_iter().map(|case| {
            format!("{}, case {case}: {:?}, not {}", way.name, through.get(case), directly[case])
        }));
    }
    wrong.iter().for_each(|line| println!("{line}"));
    let well = directly.values().filter(|result| result.starts_with("OK")).count();
    Item::new(
        "1.4 Autobahn's cases 1 to 7 and 10 by every way: HTTP/1.1, HTTP/2, with TLS and without",
    )
    .bound("each as directly")
    .n(n)
    .note(format!("directly {well} of {} are OK, the others informational", directly.len()))
    .record(wrong.is_empty(), wrong_of(n, &wrong));
}
