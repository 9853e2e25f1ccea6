//! The running program, keeper and engine: what it tells an operator, and what a crash finds.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use common::{Edge, PATIENCE, UNPROBED};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::process::Scratch;
use eclusa_testkit::wait::wait_until;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

const BROKEN: &str = "nonsense = true\n";

#[test]
fn an_engine_that_crashes_while_the_file_is_broken_is_back_with_what_was_in_force() {
    let mut edge = Edge::start(UNPROBED);
    let weight = |edge: &Edge| edge.ask(&["status"])["pools"][0]["endpoints"][0]["weight"].clone();
    let first = edge.engine(1);
    edge.carries();
    assert_eq!(edge.ask(&["status"])["file_refused"], Value::Null);
    edge.write(&edge.right(2, UNPROBED));
    assert_eq!(edge.say(&["reload"]).0, Some(0));
    edge.write(BROKEN);
    Edge::signal("-KILL", first);
    let second = edge.engine(2);
    edge.carries();
    let told = edge.events("last_good_config");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["message"].as_str().unwrap().contains("nonsense"), "{told:?}");
    assert!(edge.ask(&["status"])["file_refused"].as_str().unwrap().contains("nonsense"));
    assert_eq!(weight(&edge), 2, "the last one, not the first");
    let (_, page, _) = edge.say(&["status"]);
    assert!(page.contains("NOT the file's"), "{page}");
    assert!(edge.metrics().contains("\neclusa_config_last_good 1\n"));
    assert_eq!(edge.say(&["reload"]).0, Some(1), "it is still refused");
    Edge::signal("-KILL", second);
    let third = edge.engine(3);
    edge.carries();
    edge.write(&edge.right(3, UNPROBED));
    assert_eq!(edge.say(&["reload"]).0, Some(0));
    assert_eq!(edge.ask(&["status"])["file_refused"], Value::Null);
    assert_eq!(weight(&edge), 3);
    assert!(edge.metrics().contains("\neclusa_config_last_good 0\n"));
    Edge::signal("-KILL", third);
    edge.engine(4);
    assert_eq!(edge.events("last_good_config").len(), 2, "the file is right again");
    // The start of the whole service knows the file alone.
    Edge::signal("-TERM", edge.keeper.as_ref().unwrap().id().into());
    assert_eq!(edge.ended(), Some(0));
    edge.write(BROKEN);
    edge.run();
    assert_eq!(edge.ended(), Some(2));
}

#[test]
fn an_engine_that_cannot_start_with_the_file_is_back_with_what_was_in_force() {
    let edge = Edge::start(UNPROBED);
    let first = edge.engine(1);
    let foreign = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = foreign.local_addr().unwrap().to_string();
    let right = edge.right(1, UNPROBED);
    edge.write(&right.replace(&edge.address.to_string(), &taken));
    assert_eq!(edge.say(&["reload"]).0, Some(1), "somebody else listens there");
    Edge::signal("-KILL", first);
    let second = edge.engine(2);
    edge.carries();
    let told = edge.events("last_good_config");
    assert!(told[0]["message"].as_str().unwrap().contains("could not start with it"), "{told:?}");
    assert!(edge.ask(&["status"])["file_refused"].is_string());
    // The next one tries the file again.
    drop(foreign);
    edge.write(&right);
    Edge::signal("-KILL", second);
    edge.engine(3);
    edge.carries();
    assert_eq!(edge.events("last_good_config").len(), 1);
    assert_eq!(edge.ask(&["status"])["file_refused"], Value::Null);
}

#[test]
fn sessions_that_are_being_set_up_are_listed_and_closed() {
    let edge = Edge::start(UNPROBED);
    edge.engine(1);
    let mut silent = TcpStream::connect(edge.address).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut spoke = TcpStream::connect(edge.address).unwrap();
    spoke.write_all(b"x").unwrap();
    spoke.read_exact(&mut [0]).unwrap();
    let list = |more: &[&str]| edge.ask(&[&["session", "list"], more].concat());
    wait_until(PATIENCE, "both sessions", || list(&[])["matching"] == 2);
    let listed = list(&[]);
    let one = |step: &str| {
        let sessions = listed["sessions"].as_array().unwrap();
        sessions.iter().find(|one| one["step"] == step).unwrap_or_else(|| panic!("{listed}"))
    };
    let (setup, data) = (one("setup"), one("data"));
    assert_eq!(setup["client"], silent.local_addr().unwrap().to_string());
    assert_eq!((&setup["listener"], &setup["pool"]), (&"web".into(), &Value::Null));
    assert_eq!(data["client"], spoke.local_addr().unwrap().to_string());
    let of_pool = list(&["--pool", "web"]);
    assert_eq!(
        (&of_pool["matching"], &of_pool["sessions"][0]["step"]),
        (&1.into(), &"data".into())
    );
    let id = setup["id"].as_str().unwrap();
    assert_eq!(edge.ask(&["session", "show", id])["step"], "setup");
    assert_eq!(edge.ask(&["session", "close", id])["closed"], 1);
    assert!(matches!(silent.read(&mut [0]), Ok(0) | Err(_)));
    wait_until(PATIENCE, "its end", || list(&[])["matching"] == 1);
    spoke.write_all(b"y").unwrap();
    spoke.read_exact(&mut [0]).unwrap();
}

#[test]
fn certificates_that_probes_use_are_told_with_file_names_and_end() {
    let (ca, directory) = (Ca::new(), Scratch::new("probe").unwrap());
    let leaf = ca.leaf(&["probe.test"]).write(directory.path(), "probe").unwrap();
    let bundle = directory.write("ca.crt", ca.pem()).unwrap();
    let path = |path: &std::path::Path| path.display().to_string();
    let (certificate, key) = (path(&leaf.certificate), path(&leaf.key));
    let probe = format!(
        "[pool.web.probe]\nkind = \"tls\"\nserver_name = \"web.test\"\nca = \"{}\"\n\
         certificate = \"{certificate}\"\nkey = \"{key}\"\n",
        path(&bundle)
    );
    let edge = Edge::start(&probe);
    edge.engine(1);
    let status = edge.ask(&["status"]);
    let told = |file: &str| {
        let all = status["certificates"].as_array().unwrap();
        let found = all.iter().find(|one| one["path"] == file);
        found.unwrap_or_else(|| panic!("{file} is not in {status}")).clone()
    };
    let names = told(&certificate)["names"].to_string();
    assert!(names.contains("probe.test"), "{names}");
    for file in [&certificate, &path(&bundle)] {
        assert!(told(file)["not_after"].as_str().unwrap() > status["at"].as_str().unwrap());
    }
    let (_, page, _) = edge.say(&["status"]);
    let row = page.lines().find(|line| line.contains(&certificate)).unwrap();
    assert!(row.contains("ends in") && row.contains("probe.test"), "{page}");
}
