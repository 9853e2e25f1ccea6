//! The protocol: lines in, requests or what is wrong with them out.

use super::*;
use crate::admin::protocol::{COMMANDS, REPLY_MAX, parse, reply_line};
use proptest::prelude::*;
use serde_json::{Value, json};

fn wrong(line: &str) -> String {
    parse(line.as_bytes()).request.unwrap_err()
}

fn right(line: &str) -> Request {
    parse(line.as_bytes()).request.unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// One of each, with everything in it.
fn each() -> Vec<Request> {
    [of_traffic(), of_configuration(), of_drills()].concat()
}

fn of_drills() -> Vec<Request> {
    let (pool, endpoint) = ("apiserver".to_owned(), "10.0.0.12".to_owned());
    let reason = Some("rehearsal".to_owned());
    vec![
        Request::DrillStart(DrillStart {
            pool,
            endpoint,
            fault: Fault::Slow,
            for_seconds: 60,
            delay_ms: Some(10_000),
            reason: reason.clone(),
        }),
        Request::DrillStop(DrillStop { reason }),
        Request::DrillShow(DrillShow {}),
    ]
}

fn of_configuration() -> Vec<Request> {
    let (pool, endpoint) = ("apiserver".to_owned(), "10.0.0.12".to_owned());
    let reason = Some("new kernel: „6.12“".to_owned());
    vec![
        Request::Reload(Reload { force: true, confirm_seconds: Some(60), reason: reason.clone() }),
        Request::Confirm(Confirm { reason: reason.clone() }),
        Request::Rollback(Rollback { force: true, reason: reason.clone() }),
        Request::EndpointAdd(EndpointAdd {
            pool: pool.clone(),
            endpoints: vec!["10.0.0.14".to_owned(), "m.test:6443=five".to_owned()],
            weight: Some(2),
            reason: None,
        }),
        Request::EndpointRemove(EndpointRemove { pool, endpoint, reason: None, force: true }),
        Request::Events(Events {
            follow: true,
            since: Some(Moment::from_unix(1_795_582_800)),
            kinds: vec!["verdict".to_owned(), "admin".to_owned()],
            limit: 7,
        }),
        Request::Save(Save {}),
    ]
}

fn of_traffic() -> Vec<Request> {
    let (pool, endpoint) = ("apiserver".to_owned(), "10.0.0.12".to_owned());
    let (some_pool, some_endpoint) = (Some(pool.clone()), Some(endpoint.clone()));
    let client = Some("10.0.0.0/22".parse().unwrap());
    let (for_seconds, reason) = (Some(7_200), Some("new kernel: „6.12“".to_owned()));
    vec![
        Request::Status(StatusOf { pool: some_pool.clone() }),
        Request::SessionList(SessionList {
            pool: some_pool.clone(),
            endpoint: some_endpoint.clone(),
            client,
            limit: 7,
            sort: Sort::Bytes,
        }),
        Request::SessionShow(SessionShow { session: "00ff-7".to_owned() }),
        Request::SessionClose(SessionClose { sessions: vec!["7-1".to_owned()], ..<_>::default() }),
        Request::SessionClose(SessionClose {
            sessions: Vec::new(),
            pool: some_pool,
            endpoint: some_endpoint,
            client,
        }),
        Request::EndpointSet(EndpointSet {
            pool: pool.clone(),
            endpoint: endpoint.clone(),
            admin: AdminState::Maint,
            for_seconds,
            reason: reason.clone(),
            force: true,
        }),
        Request::EndpointWeight(EndpointWeight {
            pool: pool.clone(),
            endpoint: endpoint.clone(),
            weight: 256,
            for_seconds,
            reason,
        }),
        Request::EndpointReset(EndpointReset { pool, endpoint }),
        Request::Plan(PlanOf {
            file: Some("/etc/eclusa/edge.toml".to_owned()),
            text: Some("# a\n[listener.web]\n\u{1b}".to_owned()),
        }),
        Request::Explain(Box::new(Explain {
            from: "2001:db8::7".parse().unwrap(),
            listener: Some("web".to_owned()),
            port: Some(443),
            sni: Some("a.test".to_owned()),
            host: Some("a.test:80".to_owned()),
            path: Some("/x?y=\"".to_owned()),
            method: Some("PUT".to_owned()),
            headers: vec!["X-A: 1".to_owned()],
            cookies: vec!["k=v".to_owned()],
        })),
        Request::Errors(Errors {}),
    ]
}

#[test]
fn every_request_survives_its_line() {
    for request in each() {
        let line = request.to_line(7).unwrap();
        let (line, end) = line.split_at(line.len() - 1);
        assert_eq!(end, b"\n");
        assert!(!line.contains(&b'\n'));
        let parsed = parse(line);
        assert_eq!(parsed.id, 7);
        assert_eq!(parsed.request.unwrap(), request);
        let question = ["status", "session list", "session show", "plan", "explain", "errors"];
        let question = question.into_iter().chain(["events", "save", "drill show"]);
        let asks = question.into_iter().any(|words| request.words().starts_with(words));
        assert_eq!(request.changes(), !asks, "{}", request.words());
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    assert_eq!(right("{\"v\":1,\"command\":\"reload\"}"), Request::Reload(Reload::default()));
    let list = SessionList { limit: 100, ..SessionList::default() };
    assert_eq!(right(" {\"command\":\"session list\",\"v\":1}\r"), Request::SessionList(list));
    let set = "{\"v\":1,\"command\":\"endpoint set\",\"pool\":\"a\",\"endpoint\":\"b\",\"admin\":\"drain\"}";
    let Request::EndpointSet(set) = right(set) else { panic!() };
    assert_eq!((set.for_seconds, set.reason, set.force), (None, None, false));
}

#[test]
fn mistakes_say_what_is_expected() {
    let form = "wanted a line such as {\"v\":1,\"id\":1,\"command\":\"status\"}";
    for (line, told) in [
        ("", form),
        ("reload", form),
        ("GET / HTTP/1.1", form),
        ("[1]", "no object; wanted"),
        ("{\"command\":\"status\"}", "`v` is missing: this program speaks version 1"),
        ("{\"v\":2,\"command\":\"status\"}", "version 2: this program speaks version 1"),
        ("{\"v\":\"1\",\"command\":\"status\"}", "`v` must be the number 1"),
        ("{\"v\":1}", "`command` is missing: one of reload, status"),
        ("{\"v\":1,\"command\":7}", "`command` must be a text"),
        ("{\"v\":1,\"command\":\"staus\"}", "no command `staus`: did you mean `status`?"),
        ("{\"v\":1,\"command\":\"session-list\"}", "did you mean `session list`?"),
        ("{\"v\":1,\"command\":\"explode\"}", "no command `explode`: one of reload"),
        ("{\"v\":1,\"id\":[],\"command\":\"status\"}", "`id` must be a number, or a text"),
        ("{\"v\":1,\"command\":\"reload\",\"forse\":true}", "reload: unknown field `forse`"),
        ("{\"v\":1,\"command\":\"reload\",\"force\":1}", "reload: invalid type: integer `1`"),
        ("{\"v\":1,\"command\":\"endpoint reset\",\"pool\":\"a\"}", "missing field `endpoint`"),
        ("{\"v\":1,\"command\":\"session list\",\"limit\":0}", "`limit` is 0; it must be from 1"),
        ("{\"v\":1,\"command\":\"session list\",\"client\":\"x\"}", "`x` is no address and no"),
        ("{\"v\":1,\"command\":\"session close\"}", "which sessions?"),
        (
            "{\"v\":1,\"command\":\"session close\",\"sessions\":[\"1\"],\"pool\":\"a\"}",
            "which sessions?",
        ),
        ("{\"v\":1,\"command\":\"session show\",\"session\":\"a b\"}", "`a b` cannot be a name"),
    ] {
        let error = wrong(line);
        assert!(error.contains(told), "{line}: {error}");
    }
    assert!(parse(b"{\"v\":1,\"x\":\"\xff\"}").request.unwrap_err().starts_with("not UTF-8 after"));
}

#[test]
fn orders_have_bounds() {
    let weight = |fields: &str| {
        let head = "{\"v\":1,\"command\":\"endpoint weight\",\"pool\":\"a\",\"endpoint\":\"b\"";
        parse(format!("{head},{fields}}}").as_bytes()).request
    };
    weight("\"weight\":1").unwrap();
    weight("\"weight\":256,\"for_seconds\":31622400").unwrap();
    for fields in [
        "\"weight\":0".to_owned(),
        "\"weight\":257".to_owned(),
        "\"weight\":1,\"for_seconds\":0".to_owned(),
        "\"weight\":1,\"for_seconds\":31622401".to_owned(),
        "\"weight\":1,\"reason\":\"two\\nlines\"".to_owned(),
        "\"weight\":1,\"reason\":\"\\u001b[2J\"".to_owned(),
        format!("\"weight\":1,\"reason\":\"{}\"", "x".repeat(201)),
    ] {
        weight(&fields).unwrap_err();
    }
    weight(&format!("\"weight\":1,\"reason\":\"{}\"", "ö".repeat(200))).unwrap();
}

/// What a client sends does not come back as lines or control characters of ours.
#[test]
fn messages_are_one_line() {
    let long = format!("{{\"v\":1,\"command\":\"{}\"}}", "y".repeat(10_000));
    for line in [
        "{\"v\":1,\"command\":\"a\\u001b[2J\\nb\"}",
        "{\"v\":1,\"command\":\"reload\",\"\\u001b\\n\":1}",
        "{\"v\":1,\"command\":\"session show\",\"session\":\"\\u001b\\n\"}",
        "{\"v\":1,\"command\":\"session list\",\"sort\":\"\\u001b\\n\"}",
        &long,
    ] {
        let error = wrong(line);
        assert!(!error.contains(char::is_control), "{error:?}");
        assert!(error.len() < 1_000, "{error}");
    }
}

#[test]
fn networks_of_clients() {
    let network = |text: &str| text.parse::<ClientNetwork>();
    let v4 = network("10.0.0.7/22").unwrap();
    assert_eq!(v4.to_string(), "10.0.0.0/22");
    assert!(v4.contains("::ffff:10.0.3.9".parse().unwrap()));
    assert!(!v4.contains("10.0.4.1".parse().unwrap()));
    assert_eq!(network("::ffff:10.0.0.1").unwrap().to_string(), "10.0.0.1");
    assert_eq!(network("fd00::1").unwrap().to_string(), "fd00::1");
    network("10.0.0").unwrap_err();
}

#[test]
fn a_reply_that_is_too_long_says_so() {
    let session = |size: usize| Session { step: "x".repeat(size), ..super::session("1") };
    let reply = |size| Reply::done(Data::Session(Box::new(session(size))));
    let fits = reply_line(&json!(1), &reply(REPLY_MAX - 1_000));
    assert!(fits.len() > REPLY_MAX - 1_000 && fits.len() <= REPLY_MAX);
    let line = reply_line(&json!("a"), &reply(REPLY_MAX));
    assert!(line.ends_with(b"\n"));
    let answer: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!((&answer["id"], &answer["code"]), (&json!("a"), &json!(1)));
    assert!(answer["messages"][0].as_str().unwrap().contains("more than 4 MiB"), "{answer}");
}

/// A line that begins like a request and goes wrong somewhere.
fn almost() -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<Vec<u8>> = each().iter().map(|request| request.to_line(1).unwrap()).collect();
    let at = (any::<prop::sample::Index>(), any::<u8>());
    let changes = prop::collection::vec(at, 0..4);
    (prop::sample::select(lines), changes, any::<prop::sample::Index>()).prop_map(
        |(mut line, changes, cut)| {
            for (at, byte) in changes {
                let at = at.index(line.len());
                line[at] = byte;
            }
            line.truncate(cut.index(line.len() + 1));
            line
        },
    )
}

/// Any value under any key of a request.
fn fields() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        prop::collection::vec(any::<u8>().prop_map(Value::from), 0..3).prop_map(Value::from),
    ];
    let keys = ["v", "id", "command", "pool", "endpoint", "admin", "weight", "for_seconds"];
    let keys =
        keys.into_iter().chain(["reason", "force", "session", "sessions", "client", "limit"]);
    let keys = keys.chain(["file", "text", "from", "port", "host", "path", "headers"]);
    let keys = prop::sample::select(keys.chain(["sort"]).collect::<Vec<_>>());
    let command = prop::sample::select(COMMANDS.to_vec());
    (command, prop::collection::vec((keys, leaf), 0..6)).prop_map(|(command, fields)| {
        let mut line = json!({ "v": 1, "command": command });
        for (key, value) in fields {
            line[key] = value;
        }
        line.to_string().into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_parser_panic(line in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&line);
    }

    #[test]
    fn whatever_is_let_through_is_within_its_bounds(line in prop_oneof![almost(), fields()]) {
        match parse(&line).request {
            Ok(request) => {
                prop_assert_eq!(request.check(), Ok(()));
                prop_assert!(!request.words().contains(char::is_control));
                let again = request.to_line(1).unwrap();
                prop_assert_eq!(parse(again.trim_ascii_end()).request.unwrap(), request);
            }
            Err(message) => {
                prop_assert!(!message.contains(char::is_control), "{:?}", message);
                prop_assert!(message.len() < 2_000);
            }
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = "[".repeat(60_000);
    wrong(&format!("{{\"v\":1,\"command\":\"status\",\"x\":{deep}"));
}
