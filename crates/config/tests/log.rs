//! What the keys of the log mean.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::plan::{
    EventFormat, Facility, Log, LogOutput, LogTarget, Program, SessionFormat, Syslog,
};
use eclusa_config::{Mode, parse};

fn log(text: &str) -> Log {
    let text = format!("masters = [\"10.0.0.11\"]\n{text}");
    parse(Program::Apiserver, "log", &text, Mode::Offline).unwrap().plan.log
}

fn facility(name: &str) -> Facility {
    Facility::from_name(name).unwrap()
}

#[test]
fn the_short_form_takes_both_to_one_target() {
    for text in ["", "log = { target = \"stderr\" }", "[log]\nsessions = true"] {
        let daemon = facility("daemon");
        let output = LogOutput {
            target: LogTarget::Stderr,
            syslog: Syslog::Rfc5424,
            sessions: Some((SessionFormat::Json, daemon)),
            events: Some((EventFormat::Json, daemon)),
        };
        let expected =
            Log { outputs: vec![output], sample: 1_000_000, tag: "eclusa-apiserver".into() };
        assert_eq!(log(text), expected, "{text}");
    }
    let quiet = log("log = { target = \"/var/log/e.log\", sessions = false }");
    assert!(!quiet.sessions());
    assert_eq!(quiet.files().count(), 1);
    assert!(quiet.outputs[0].events.is_some());
}

#[test]
fn sessions_and_events_go_their_own_ways() {
    let log = log(
        "log = { target = [\"udp:10.0.3.7:514\", \"unix:/dev/log\"], format = \"tcplog\", \
                   sample = 0.25, facility = \"local0\", tag = \"haproxy\", \
                   events = { target = [\"unix:/dev/log\", \"journal\"], facility = \"local1\" } }",
    );
    let sessions = Some((SessionFormat::Tcplog, facility("local0")));
    let events = Some((EventFormat::Words, facility("local1")));
    let expected = [
        ("unix:/dev/log", Syslog::Rfc3164, sessions, events),
        ("journal", Syslog::Rfc5424, None, events),
        ("udp:10.0.3.7:514", Syslog::Rfc5424, sessions, None),
    ];
    let outputs = log.outputs.iter();
    let found: Vec<_> = outputs
        .map(|output| (output.target.to_string(), output.syslog, output.sessions, output.events))
        .collect();
    let expected = expected.map(|(target, a, b, c)| (target.to_owned(), a, b, c));
    assert_eq!(found, expected);
    assert_eq!((log.sample, &*log.tag), (250_000, "haproxy"));
}

#[test]
fn targets_are_shown_as_they_are_written() {
    let written =
        ["stderr", "journal", "journal:/run/systemd/journal.audit/socket", "/var/log/eclusa/log"];
    for target in written.into_iter().chain(["unix:/dev/log", "tcp:[2001:db8::7]:601"]) {
        let log = log(&format!("log = {{ target = \"{target}\" }}"));
        assert_eq!(log.outputs[0].target.to_string(), target);
    }
}
