//! How lines look, and that nothing from the network breaks one.

use super::*;
use crate::observe::log::format::Head;
use crate::observe::log::live::Moment;
use eclusa_sys::local_time::LocalTime;
use proptest::prelude::*;
use std::time::UNIX_EPOCH;

const HEADS: [Head; 6] =
    [Head::Plain, Head::Level, Head::Journal, Head::Rfc5424, Head::Rfc3164, Head::Rfc3164Local];

fn layout(head: Head, sessions: SessionFormat, events: EventFormat) -> Layout {
    let facility = Facility::from_name("local0").unwrap();
    let who = Who { host: "edge1".into(), tag: "eclusa-edge".into(), pid: 14387 };
    Layout { head, sessions: (sessions, facility), events: (events, facility), who }
}

fn written(layout: &Layout, line: Line<'_>) -> String {
    let mut out = Vec::new();
    layout.write(&mut out, at(), line, &mut Moment::default());
    String::from_utf8(out).expect("UTF-8")
}

/// 2026-02-06, a quarter past noon, in the zone of the host.
fn at() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_770_380_100_443)
}

/// The same as RFC 3164 has it.
fn shown(at: SystemTime) -> String {
    let LocalTime { day, hour, minute, second, .. } = LocalTime::of(at);
    format!("Feb {day:2} {hour:02}:{minute:02}:{second:02}")
}

#[test]
fn a_session_as_haproxy_writes_it() {
    let layout = layout(Head::Rfc3164, SessionFormat::Tcplog, EventFormat::Words);
    let accepted = LocalTime::of(at() - Duration::from_millis(5007));
    let LocalTime { day, hour, minute, second, millisecond, .. } = accepted;
    let date = format!("[{day:02}/Feb/2026:{hour:02}:{minute:02}:{second:02}.{millisecond:03}]");
    let head = format!("<134>{} edge1 eclusa-edge[14387]: ", shown(at()));
    let client = "[2001:db8::7]:9".parse().unwrap();
    let retried = Box::new(Opening { tries: 3, client, ..*opening() });
    let retried = Record { opening: retried, ..record() };
    let refused = End::abort(Ended::Endpoint, Step::Dial, "refused");
    let opened = Box::new(Opening { tries: 2, ..*opening() });
    let refused = Record { opening: opened, end: Some(refused), bytes_down: 0, ..record() };
    for (record, expected) in [
        (
            record(),
            format!("192.0.2.7:33313 {date} https web/ingress1 0/2/5007 212 -- 1/1/0/0/0 0/0"),
        ),
        (
            retried,
            format!("2001:db8::7:9 {date} https web/ingress1 0/2/5007 212 -- 1/1/0/0/+2 0/0"),
        ),
        (
            refused,
            format!("192.0.2.7:33313 {date} https web/ingress1 0/-1/5007 0 SC 1/1/0/0/+1 0/0"),
        ),
        (
            denied(),
            format!("192.0.2.7:33313 {date} https https/<NOSRV> -1/-1/5007 212 PR 1/1/0/0/0 0/0"),
        ),
    ] {
        assert_eq!(written(&layout, Line::Session(&record)), format!("{head}{expected}"));
    }
}

#[derive(Debug)]
struct Busy;

impl Live for Busy {
    fn sessions(&self) -> u64 {
        31
    }
}

#[test]
fn the_numbers_of_the_moment_are_told() {
    let busy: Arc<dyn Live> = Arc::new(Busy);
    let source = live::Source::new();
    source.set(Arc::downgrade(&busy)).unwrap();
    let layout = layout(Head::Rfc3164, SessionFormat::Tcplog, EventFormat::Words);
    let mut out = Vec::new();
    // Two more came in at the same listener.
    let record = record();
    record.cells.accepted(0);
    record.cells.accepted(0);
    layout.write(&mut out, at(), Line::Session(&record), &mut Moment::now(&source));
    assert!(String::from_utf8(out).unwrap().ends_with(" 31/3/0/0/0 0/0"));
}

#[test]
fn heads_are_as_their_readers_want_them() {
    let event = |severity| Event::new("ready", "up").severity(severity);
    let date = shown(at());
    for (head, expected) in [
        (Head::Plain, format!("{date} edge1 eclusa-edge[14387]: ready: up")),
        (Head::Level, "<4>ready: up".to_owned()),
        (
            Head::Rfc5424,
            "<132>1 2026-02-06T12:15:00.443Z edge1 eclusa-edge 14387 ready - ready: up".to_owned(),
        ),
        (Head::Rfc3164, format!("<132>{date} edge1 eclusa-edge[14387]: ready: up")),
        (Head::Rfc3164Local, format!("<132>{date} eclusa-edge[14387]: ready: up")),
        (
            Head::Journal,
            "PRIORITY=4\nSYSLOG_FACILITY=16\nSYSLOG_IDENTIFIER=eclusa-edge\nSYSLOG_PID=14387\n\
             MESSAGE=ready: up\nECLUSA_EVENT=ready\n"
                .to_owned(),
        ),
    ] {
        let layout = layout(head, SessionFormat::Json, EventFormat::Words);
        assert_eq!(written(&layout, Line::Event(&event(Severity::Warning))), expected);
    }
    let json = layout(Head::Plain, SessionFormat::Json, EventFormat::Json);
    let expected = r#"{"ts":"2026-02-06T12:15:00.443Z","event":"ready","message":"up"}"#;
    assert_eq!(written(&json, Line::Event(&event(Severity::Notice))), expected);
}

#[test]
fn gravity_follows_what_happened() {
    let of = |event: Event| Severity::of_event(&event);
    let event = |kind| Event::new(kind, "");
    assert_eq!(of(event("panic").about("panic", true)), Severity::Critical);
    assert_eq!(of(event("panic").about("panic", false)), Severity::Notice);
    assert_eq!(of(event("correlated").about("correlated", true)), Severity::Critical);
    assert_eq!(of(event("verdict").about("verdict", "dead")), Severity::Warning);
    assert_eq!(of(event("verdict").about("verdict", "up")), Severity::Notice);
    assert_eq!(of(event("limit")), Severity::Warning);
    assert_eq!(of(event("ready")), Severity::Notice);
    assert_eq!(Severity::of_session(&record()), Severity::Info);
    let short = End::shortage(Step::Dial, "no port is left");
    let short = Record { end: Some(short), ..record() };
    assert_eq!(Severity::of_session(&short), Severity::Warning);
}

#[test]
fn what_is_too_long_is_cut_or_told_short() {
    let long = "x".repeat(100_000);
    let mut event = Event::new("resolve", &*long).about("addresses", vec![&*long; 500]);
    let json = layout(Head::Plain, SessionFormat::Json, EventFormat::Json);
    // 32 texts of 1,024 bytes are still too long: the event is told without them.
    let text = written(&json, Line::Event(&event));
    assert!(text.contains("too long to be written") && text.contains("resolve"), "{text}");
    event = Event::new("resolve", &*long).about("host", &*long);
    let text = written(&json, Line::Event(&event));
    assert!((2048..2200).contains(&text.len()), "{}", text.len());
}

/// The fields of an entry of the journal, by the simple form of its protocol.
fn entry(text: &str) -> Vec<(&str, &str)> {
    let text = text.strip_suffix('\n').expect("the last field ends");
    text.split('\n').map(|line| line.split_once('=').expect("NAME=value")).collect()
}

/// What ends a line for somebody, steers a terminal or turns the text around.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}')
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_client_breaks_a_line(
        name in any::<Option<String>>(),
        alpn in any::<Option<Vec<u8>>>(),
        reason in "(\\PC|\\pC|[\n\r\u{0}-\u{1f}\u{7f}-\u{9f}\u{2028}\u{2029}\u{202e}\"\\\\<>=\\[\\]]){0,40}",
        well in any::<bool>(),
    ) {
        let end = if well {
            End::clean(Ended::Client)
        } else {
            End::abort(Ended::Client, Step::Data, reason.clone())
        };
        let opening = Opening {
            server_name: name.clone().map(Into::into),
            alpn: alpn.map(Into::into),
            ..*opening()
        };
        let record = Record { opening: Box::new(opening), end: Some(end), ..record() };
        let event = Event::new("resolve", &*reason).about("host", &*reason).about("n", 1);
        let lines = [Line::Session(&record), Line::Event(&event)];
        let formats = [
            (SessionFormat::Json, EventFormat::Json),
            (SessionFormat::Tcplog, EventFormat::Words),
        ];
        for (head, (sessions, events)) in HEADS.into_iter().flat_map(|h| formats.map(|f| (h, f))) {
            let layout = layout(head, sessions, events);
            for line in lines {
                let text = written(&layout, line);
                let parts = if head == Head::Journal {
                    let fields = entry(&text);
                    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
                    prop_assert_eq!(names[4], "MESSAGE");
                    let named = |name: &&str| name.starts_with("ECLUSA_");
                    prop_assert!(names[5..].iter().all(named), "{:?}", names);
                    fields.into_iter().map(|(_, value)| value.to_owned()).collect()
                } else {
                    vec![text]
                };
                for part in parts {
                    prop_assert!(!part.contains(is_unsafe), "{:?}", part);
                }
            }
        }
        let json = layout(Head::Plain, SessionFormat::Json, EventFormat::Json);
        let session: serde_json::Value = serde_json::from_str(&written(&json, lines[0])).unwrap();
        let event: serde_json::Value = serde_json::from_str(&written(&json, lines[1])).unwrap();
        prop_assert_eq!(session.get("sni").and_then(|sni| sni.as_str()), name.as_deref());
        prop_assert_eq!(event["message"].as_str(), Some(&*reason));
    }
}
