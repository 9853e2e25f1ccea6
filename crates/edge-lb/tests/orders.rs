//! What an operator puts in force, takes back, follows and saves, on the running program.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use common::{Edge, PATIENCE, PROGRAM, UNPROBED};
use eclusa_testkit::wait::{wait_for, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

/// What the endpoint of the edge weighs, and what the status says of the configuration.
fn standing(edge: &Edge) -> (u64, Value, Value) {
    let status = edge.ask(&["status"]);
    let weight = status["pools"][0]["endpoints"][0]["weight"].as_u64().unwrap();
    (weight, status["unconfirmed"].clone(), status["gone_back"].clone())
}

fn weight(edge: &Edge) -> u64 {
    standing(edge).0
}

/// The last event of this kind whose field says this.
fn told(edge: &Edge, kind: &str, field: &str, says: impl Into<Value>) -> Value {
    let says = says.into();
    let find = || edge.events(kind).into_iter().rfind(|event| event[field] == says);
    wait_for(PATIENCE, "an event in the log", find)
}

#[test]
fn a_reload_that_nobody_confirms_goes_back_whatever_the_file_says() {
    let edge = Edge::start(UNPROBED);
    edge.engine(1);
    let mut session = TcpStream::connect(edge.address).unwrap();
    edge.carries();
    // An order that the trial ends, and an address that only the trial has.
    assert_eq!(edge.say(&["endpoint", "weight", &edge.name(), "9"]).0, Some(0));
    let extra = format!("127.0.0.1:{}", eclusa_testkit::free_port());
    let two = format!("[\"{}\", \"{extra}\"]", edge.address);
    let trial = edge.right(2, UNPROBED).replace(&format!("[\"{}\"]", edge.address), &two);
    edge.write(&trial);
    let (code, out, err) = edge.say(&["reload", "--confirm", "1h", "--reason", "new port"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("unless you say: eclusa-edge confirm"), "{out}");
    let (now, unconfirmed, _) = standing(&edge);
    assert_eq!((now, &unconfirmed["by"]), (2, &json!("root")));
    TcpStream::connect(&extra).unwrap();
    assert!(edge.metrics().contains("\neclusa_config_unconfirmed 1\n"));
    // Neither a command nor a signal gets in between; the file is broken meanwhile.
    let (code, _, err) = edge.say(&["reload", "--force"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("waits for its confirmation until"), "{err}");
    edge.write("nonsense\n");
    Edge::signal("-HUP", edge.keeper.as_ref().unwrap().id().into());
    assert_eq!(told(&edge, "admin", "from", "SIGHUP")["outcome"], "failed");
    assert_eq!(edge.say(&["rollback"]).0, Some(0));
    edge.write(&trial);
    assert_eq!(edge.say(&["reload", "--confirm", "1s"]).0, Some(0));
    edge.write("nonsense\n");
    let lapsed = "nobody confirmed within 1s what root reloaded";
    let told = told(&edge, "gone_back", "cause", lapsed);
    assert_eq!(told["file_differs"], true, "{told}");
    assert_eq!(standing(&edge).2, lapsed);
    assert_eq!(weight(&edge), 9, "the order that the trial had ended is in force again");
    wait_until(PATIENCE, "its end", || TcpStream::connect(&extra).is_err());
    assert!(edge.say(&["status"]).1.contains("NOT the file's: gone back"));
    let metrics = edge.metrics();
    for line in [
        "eclusa_config_gone_back 1",
        "eclusa_config_unconfirmed 0",
        "eclusa_rollbacks_total{why=\"unconfirmed\"} 1",
    ] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line}");
    }
    assert!(edge.say(&["confirm"]).2.contains("nothing waits for a confirmation"));
    common::echoes(&mut session);
    // The right file ends it.
    edge.write(&edge.right(3, UNPROBED));
    assert_eq!(edge.say(&["reload"]).0, Some(0));
    let (now, unconfirmed, gone_back) = standing(&edge);
    assert_eq!((now, unconfirmed, gone_back), (3, Value::Null, Value::Null));
    assert!(edge.metrics().contains("\neclusa_config_gone_back 0\n"));
}

#[test]
fn what_is_on_trial_does_not_outlive_its_engine_and_what_is_confirmed_does() {
    let edge = Edge::start(UNPROBED);
    let first = edge.engine(1);
    edge.write(&edge.right(2, UNPROBED));
    assert_eq!(edge.say(&["reload", "--confirm", "1h"]).0, Some(0));
    assert_eq!(weight(&edge), 2);
    Edge::signal("-KILL", first);
    let second = edge.engine(2);
    edge.carries();
    let (now, unconfirmed, gone_back) = standing(&edge);
    assert_eq!((now, unconfirmed), (1, Value::Null), "the crash may have been its doing");
    assert!(gone_back.as_str().unwrap().contains("before somebody confirmed"), "{gone_back}");
    // One that cannot be put in force is not on trial, and what was gone back from stays away.
    let foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = foreign.local_addr().unwrap().to_string();
    let right = edge.right(2, UNPROBED);
    edge.write(&right.replace(&edge.address.to_string(), &taken));
    assert_eq!(edge.say(&["reload", "--confirm", "1h"]).0, Some(1));
    edge.write(&right);
    // And it does not come by itself with the one after that.
    Edge::signal("-KILL", second);
    let third = edge.engine(3);
    assert_eq!(weight(&edge), 1);
    assert!(edge.metrics().contains("\neclusa_config_gone_back 1\n"));
    assert_eq!(edge.say(&["reload", "--confirm", "1h"]).0, Some(0));
    // The file is changed once more before somebody confirms what is in force.
    edge.write(&edge.right(7, UNPROBED));
    let (code, out, _) = edge.say(&["confirm", "--reason", "good"]);
    assert_eq!((code, out.as_str()), (Some(0), "confirmed: the configuration in force stays\n"));
    let told = told(&edge, "admin", "command", "confirm: good");
    let of = |key: &str| told[key].as_str().unwrap().to_owned();
    assert_eq!((of("reason"), of("after")), ("good".into(), "confirmed".into()));
    assert!(of("before").starts_with("unconfirmed, until "), "{told}");
    assert_eq!((of("from"), of("outcome")), ("admin socket".into(), "done".into()));
    edge.write("nonsense\n");
    Edge::signal("-KILL", third);
    edge.engine(4);
    assert_eq!(weight(&edge), 2, "confirmed, and in force in the next one too");
}

#[test]
fn a_rollback_goes_one_step_back_and_leaves_the_file() {
    let edge = Edge::start(UNPROBED);
    let first = edge.engine(1);
    let (code, _, err) = edge.say(&["rollback"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("nothing to go back to"), "{err}");
    let file = edge.right(2, UNPROBED);
    edge.write(&file);
    assert_eq!(edge.say(&["reload"]).0, Some(0));
    let (code, out, err) = edge.say(&["rollback", "--reason", "errors in the shop"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("root ordered it") && out.contains("correct it, and reload"), "{out}");
    assert_eq!((weight(&edge), edge.text()), (1, file.clone()));
    assert!(edge.metrics().contains("\neclusa_rollbacks_total{why=\"ordered\"} 1\n"));
    assert_eq!(edge.say(&["rollback"]).0, Some(1), "once more would be the way forth");
    // A crash changes nothing of it; the engine after a crash knows the way as well.
    Edge::signal("-KILL", first);
    let second = edge.engine(2);
    assert_eq!((weight(&edge), standing(&edge).2.is_null()), (1, false));
    assert_eq!(edge.say(&["reload"]).0, Some(0));
    assert_eq!((weight(&edge), standing(&edge).2), (2, Value::Null));
    Edge::signal("-KILL", second);
    edge.engine(3);
    assert_eq!(weight(&edge), 2);
    assert_eq!(edge.say(&["rollback"]).0, Some(0));
    assert_eq!(weight(&edge), 1);
    // The guard is the reload's: what was before has not the endpoint that serves now.
    let other = eclusa_testkit::endpoint::Endpoint::start(
        "127.0.0.1:0".parse().unwrap(),
        eclusa_testkit::endpoint::Kind::Echo,
    );
    let other = other.unwrap();
    let here = edge.echo.address().to_string();
    edge.write(&file.replace(&here, &other.address().to_string()));
    assert_eq!(edge.say(&["reload"]).0, Some(3));
    assert_eq!(edge.say(&["reload", "--force", "--confirm", "1h"]).0, Some(0));
    let (code, _, err) = edge.say(&["rollback"]);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("rollback --force"), "{err}");
    assert!(!standing(&edge).1.is_null(), "it still waits");
    assert_eq!(edge.say(&["rollback", "--force"]).0, Some(0));
    assert_eq!((weight(&edge), standing(&edge).1), (1, Value::Null));
    edge.carries();
}

#[test]
fn events_are_kept_and_followed() {
    let edge = Edge::start(UNPROBED);
    let engine = edge.engine(1);
    let kinds = |words: &[&str]| {
        let table = edge.ask(&[&["events"], words].concat());
        let events = table["events"].as_array().unwrap().iter();
        events.map(|event| event["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = kinds(&[]);
    assert!(all.contains(&"ready".to_owned()) && all.contains(&"listening".to_owned()), "{all:?}");
    assert_eq!(kinds(&["--kind", "ready"]), ["ready"]);
    assert_eq!(kinds(&["--since", "9999-01-01T00:00:00Z"]), [""; 0]);
    let mut following = Command::new(PROGRAM)
        .args(["events", "--follow", "--json", "--kind", "admin", "--limit", "0", "--socket"])
        .arg(edge.scratch.path().join("edge.sock"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let followers = || edge.metrics().contains("\neclusa_events_followers 1\n");
    wait_until(PATIENCE, "the follower", followers);
    let drain = ["endpoint", "drain", &edge.name(), "--force", "--reason", "new disk"];
    assert_eq!(edge.say(&drain).0, Some(0));
    let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let whole = json!({
        "event": "admin", "severity": "notice", "outcome": "done", "from": "admin socket",
        "uid": 0, "user": "root", "before": "ready", "after": "drain", "reason": "new disk",
        "command": format!("endpoint drain {} --force: new disk", edge.name()),
    });
    for (key, value) in whole.as_object().unwrap() {
        assert_eq!(&line[key], value, "{key} in {line}");
    }
    assert!(line["pid"].as_u64().is_some() || line.get("pid").is_none(), "{line}");
    let (_, page, _) = edge.say(&["events", "--kind", "admin"]);
    assert!(page.contains("endpoint drain") && page.contains("notice"), "{page}");
    Edge::signal("-KILL", engine);
    assert!(lines.next().is_none());
    assert_eq!(following.wait().unwrap().code(), Some(1), "the program is gone");
}

#[test]
fn what_was_ordered_is_saved_as_its_caller() {
    let edge = Edge::start(UNPROBED);
    edge.engine(1);
    let (code, _, err) = edge.say(&["save"]);
    assert_eq!((code, err.as_str()), (Some(0), "nothing to save\n"));
    let before = format!("# Ours.\n{}# The end.\n", edge.right(1, UNPROBED));
    edge.write(&before);
    assert_eq!(edge.say(&["reload"]).0, Some(0));
    assert_eq!(edge.say(&["endpoint", "weight", &edge.name(), "5"]).0, Some(0));
    assert_eq!(edge.say(&["endpoint", "drain", &edge.name(), "--force"]).0, Some(0));
    let (code, out, err) = edge.say(&["save", "--dry-run"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("-endpoints") && out.contains("+endpoints"), "{out}");
    assert!(err.contains("drain: a file cannot say it") && err.contains("--dry-run"), "{err}");
    assert_eq!(edge.text(), before);
    let file = edge.scratch.path().join("edge.toml");
    let mode = fs::metadata(&file).unwrap().mode();
    let saved = edge.ask(&["save"]);
    assert_eq!((&saved["written"], &saved["orders"].as_array().unwrap().len()), (&true.into(), &1));
    assert_eq!(edge.text(), before.replace("weight = 1", "weight = 5"));
    assert_eq!(fs::metadata(&file).unwrap().mode(), mode);
    // It is no longer what is in force, until it is reloaded: then the file says what was ordered.
    let (code, _, err) = edge.say(&["save"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("is not what is in force"), "{err}");
    let (_, out, _) = edge.say(&["reload"]);
    assert!(out.contains("ended, for the file says weight 5 now"), "{out}");
    assert_eq!(
        (weight(&edge), edge.ask(&["status"])["overrides"].as_array().unwrap().len()),
        (5, 1)
    );
    assert_eq!(edge.say(&["save"]).2.lines().last(), Some("nothing to save"));
}

/// Where new sessions go, by the counts of the endpoints.
fn picks(edge: &Edge, name: &str) -> bool {
    let status = edge.ask(&["status"]);
    let endpoints = status["pools"][0]["endpoints"].as_array().unwrap();
    endpoints.iter().any(|endpoint| endpoint["name"] == name && endpoint["verdict"] == "up")
}

#[test]
fn endpoints_come_and_go_by_order_until_the_file_says_the_same() {
    let probed = "probe = { kind = \"tcp\", interval = \"1s\" }";
    let edge = Edge::start(probed);
    let first = edge.engine(1);
    let local = "127.0.0.1:0".parse().unwrap();
    let kind = eclusa_testkit::endpoint::Kind::Echo;
    let other = eclusa_testkit::endpoint::Endpoint::start(local, kind).unwrap();
    let address = other.address().to_string();
    let before = edge.right(1, probed);
    // The last one is not removed by mistake; nonsense is told as of a file.
    let (code, _, err) = edge.say(&["endpoint", "remove", &edge.name()]);
    assert_eq!(code, Some(3), "{err}");
    let own = edge.echo.address().to_string();
    for (wrong, told) in [
        (own.as_str(), "lists it already"),
        ("127.0.0.1", "has no port"),
        (&format!("{own}=again"), "the same address"),
    ] {
        let (code, _, err) = edge.say(&["endpoint", "add", "web", wrong]);
        assert_eq!(code, Some(2), "{wrong}: {err}");
        assert!(err.contains(told), "{wrong}: {err}");
    }
    assert_eq!(edge.ask(&["status"])["generation"], 1, "nothing has changed");
    let new = format!("{address}=new");
    let (code, out, err) = edge.say(&["endpoint", "add", "web", &new, "--weight", "4"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("web/new: added; on probation"), "{out}");
    wait_until(PATIENCE, "its probes", || picks(&edge, "new"));
    let (code, out, err) = edge.say(&["endpoint", "remove", &edge.name(), "--reason", "old"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("removed; no sessions stand on it"), "{out}");
    let listed = || {
        let status = edge.ask(&["status"]);
        let endpoints = status["pools"][0]["endpoints"].as_array().unwrap().clone();
        let names = endpoints.iter().map(|it| it["name"].as_str().unwrap().to_owned());
        (names.collect::<Vec<_>>(), status["overrides"].as_array().unwrap().len())
    };
    assert_eq!(listed(), (vec!["new".to_owned()], 2));
    edge.carries();
    // The same after a reload of the same file, which is `in force`, and in the next engine.
    assert_eq!(edge.say(&["reload"]).0, Some(0));
    assert_eq!(listed(), (vec!["new".to_owned()], 2));
    assert_eq!(edge.ask(&["plan"])["changes"], false);
    Edge::signal("-KILL", first);
    edge.engine(2);
    assert_eq!(listed(), (vec!["new".to_owned()], 2));
    wait_until(PATIENCE, "its probes", || picks(&edge, "new"));
    edge.carries();
    let saved = edge.ask(&["save"]);
    assert_eq!((&saved["written"], &saved["left_out"]), (&json!(true), &json!([])), "{saved}");
    let old = format!("{{ address = \"{own}\", weight = 1 }}");
    let entry = format!("{{ address = \"{address}\", name = \"new\", weight = 4 }}");
    assert_eq!(edge.text(), before.replace(&old, &entry));
    let (code, out, err) = edge.say(&["reload"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("for the file lists it already"), "{out}");
    assert_eq!(listed(), (vec!["new".to_owned()], 0), "the file says it");
}
