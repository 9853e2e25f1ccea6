//! A day of an operator, from the command line alone: no client notices.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use common::{Edge, PATIENCE, echoes};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::wait::{wait_for, wait_until};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

const PROBED: &str = "probe = { kind = \"tcp\", interval = \"1s\" }";

/// Clients come one after another until the end; how many were served, and how many were not.
fn clients(address: SocketAddr, over: &AtomicBool) -> (u32, u32) {
    let served = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"?")?;
        stream.read_exact(&mut [0])
    };
    let (mut good, mut bad) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        match served() {
            Ok(()) => good += 1,
            Err(_) => bad += 1,
        }
    }
    (good, bad)
}

/// Ends the clients, however the test ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn endpoint_of(edge: &Edge, name: &str) -> Value {
    let status = edge.ask(&["status"]);
    let endpoints = status["pools"][0]["endpoints"].as_array().unwrap();
    endpoints.iter().find(|it| it["name"] == name).cloned().unwrap_or_default()
}

fn done(edge: &Edge, words: &[&str]) -> String {
    let (code, out, err) = edge.say(words);
    assert_eq!(code, Some(0), "{words:?}: {out}{err}");
    out
}

#[test]
fn a_day_of_an_operator_costs_no_client_anything() {
    let edge = Edge::start(PROBED);
    edge.engine(1);
    let start = || Endpoint::start("127.0.0.1:0".parse().unwrap(), Kind::Echo).unwrap();
    let others = [start(), start()];
    let (address, over) = (edge.address, AtomicBool::new(false));
    let (good, bad) = std::thread::scope(|scope| {
        let clients = scope.spawn(|| clients(address, &over));
        let end = Over(&over);
        two_more(&edge, &others);
        one_drains(&edge);
        a_change_goes_back(&edge);
        one_is_slow(&edge);
        drop(end);
        clients.join().unwrap()
    });
    assert!(good > 50 && bad == 0, "{good} served, {bad} not");
    let told = edge.ask(&["events", "--kind", "admin"])["events"].as_array().unwrap().len();
    assert_eq!(told, 4, "each order is told with who gave it");
}

fn two_more(edge: &Edge, others: &[Endpoint; 2]) {
    let [two, three] = others.each_ref().map(|it| it.address().to_string());
    done(edge, &["endpoint", "add", "web", &format!("{two}=two"), &format!("{three}=three")]);
    for name in ["two", "three"] {
        wait_until(PATIENCE, name, || endpoint_of(edge, name)["verdict"] == "up");
    }
}

fn one_drains(edge: &Edge) {
    let mut held: Vec<_> = (0..12).map(|_| TcpStream::connect(edge.address).unwrap()).collect();
    held.iter_mut().for_each(echoes);
    let standing = || edge.ask(&["session", "list", "--endpoint", "two"])["matching"].clone();
    assert!(standing().as_u64().unwrap() > 0);
    done(edge, &["endpoint", "drain", "web/two", "--for", "1h", "--reason", "kernel"]);
    held.iter_mut().for_each(echoes);
    let (picked, _) = (endpoint_of(edge, "two"), edge.carries());
    assert_eq!(picked["admin"]["state"], "drain");
    drop(held);
    wait_until(PATIENCE, "sessions to leave", || standing() == 0);
    done(edge, &["endpoint", "ready", "web/two"]);
}

fn a_change_goes_back(edge: &Edge) {
    let own = edge.echo.address().to_string();
    edge.write(&edge.right(7, PROBED));
    let plan = edge.ask(&["plan"]);
    let items = plan["items"].as_array().unwrap();
    let changed = |item: &&Value| item["of"] == format!("endpoint web/{own}");
    assert_eq!(items.iter().find(changed).unwrap()["action"], "changed", "{plan}");
    done(edge, &["reload", "--confirm", "1s"]);
    wait_until(PATIENCE, "the way back", || edge.ask(&["status"])["gone_back"].is_string());
    assert_eq!(endpoint_of(edge, &own)["weight"], 1);
    assert_eq!(endpoint_of(edge, "three")["verdict"], "up", "what was added stays");
    edge.write(&edge.right(1, PROBED));
}

/// A client that says nothing more: the list of sessions and `explain` tell where it is.
fn one_is_slow(edge: &Edge) {
    let mut slow = TcpStream::connect(edge.address).unwrap();
    echoes(&mut slow);
    let own = slow.local_addr().unwrap().to_string();
    let list = || edge.ask(&["session", "list", "--sort", "idle", "--client", "127.0.0.1"]);
    let first = || Some(list()["sessions"][0].clone()).filter(|it| it["client"] == json!(own));
    let session = wait_for(PATIENCE, "the idlest", first);
    let explained = edge.ask(&["explain", "--from", "127.0.0.1"]);
    let candidates = explained["pools"][0]["endpoints"].as_array().unwrap();
    let its = |it: &&Value| it["name"] == session["endpoint"];
    assert_eq!(candidates.iter().find(its).unwrap()["position"], "candidate", "{explained}");
    echoes(&mut slow);
}
