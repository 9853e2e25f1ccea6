//! Which endpoint an exchange goes to: by a hash, by a cookie; and that each needs a place there.

use super::bed::Bed;
use super::candidate::ours;
use super::clients::Clients;
use super::endpoint::Mode;
use crate::bed::PLAIN;
use crate::reply::{Reply, Wire};
use e2e::product::{PATIENCE, Product, Program};
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::netns::skipped;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Our edge before the endpoints of a bed; `more` are keys of the pool.
fn start(bed: &Bed, more: &str) -> Product {
    Program::Edge.start(Some(&bed.host("edge")), &ours(&bed.addresses, more))
}

/// A GET of `path` with these fields, over a connection of its own.
fn get(bed: &Bed, path: &str, fields: &str) -> Reply {
    let mut wire = Wire::open(&bed.host("outside1"), PLAIN).unwrap();
    wire.say(format!("GET {path} HTTP/1.1\r\nHost: web.test\r\n{fields}\r\n").as_bytes()).unwrap();
    wire.reply().unwrap()
}

fn endpoint_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.field("from").unwrap().to_owned()
}

#[test]
fn a_hash_brings_what_is_alike_to_one_endpoint() {
    if skipped("a_hash_brings_what_is_alike_to_one_endpoint") {
        return;
    }
    let bed = Bed::new();
    let (values, times) = (size(60, 15), size(10, 3));
    let mut wrong = Vec::new();
    for by in ["header:X-User", "cookie:session", "path"] {
        let edge = start(&bed, &format!("http = {{ hash = \"{by}\" }}"));
        let mut at: HashMap<usize, HashSet<String>> = HashMap::new();
        for _ in 0..times {
            for value in 0..values {
                let fields = match by {
                    "path" => String::new(),
                    "header:X-User" => format!("X-User: user{value}\r\n"),
                    _ => format!("Cookie: a=b; session=user{value}\r\n"),
                };
                let path = if by == "path" { format!("/{value}") } else { "/".to_owned() };
                at.entry(value).or_default().insert(endpoint_of(&get(&bed, &path, &fields)));
            }
        }
        let moved = at.iter().filter(|(_, endpoints)| endpoints.len() != 1);
        wrong.extend(moved.map(|(value, endpoints)| format!("{by} {value}: {endpoints:?}")));
        let used: HashSet<_> = at.values().flatten().collect();
        assert_eq!(used.len(), 3, "{by}: {used:?}");
        drop(edge);
    }
    let n = 3 * values * times;
    Item::new("5.3.11 hash by header, cookie and path")
        .bound("the same value always comes to the same endpoint, and all are used")
        .n(n)
        .record(wrong.is_empty(), wrong_of(n, &wrong));
}

#[test]
fn a_sticky_cookie_brings_clients_back_as_long_as_their_endpoint_lives() {
    if skipped("a_sticky_cookie_brings_clients_back_as_long_as_their_endpoint_lives") {
        return;
    }
    let bed = Bed::new();
    let edge = start(&bed, "http = { sticky = \"place\" }");
    let cookie_of = |reply: &Reply| -> Option<String> {
        let set = reply.field("set-cookie")?;
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
        Some(set.split(';').next().unwrap_or_default().to_owned())
    };
    let mut known = HashMap::new();
    for _ in 0..size(60, 9) {
        let first = get(&bed, "/", "");
        let cookie = cookie_of(&first).expect("a cookie for who has none");
        assert!(!cookie.contains("10.") && cookie.len() < 40, "nothing is told: {cookie}");
        assert_eq!(first.field("cache-control"), Some("private"), "no cache gives it to others");
        let back = get(&bed, "/", &format!("Cookie: a=b; {cookie}\r\n"));
        assert_eq!(endpoint_of(&back), endpoint_of(&first));
        assert_eq!(cookie_of(&back), None, "it has it already");
        assert_eq!(back.field("cache-control"), None);
        known.insert(endpoint_of(&first), cookie);
    }
    assert_eq!(known.len(), 3, "{known:?}");
    let made_up = get(&bed, "/", "Cookie: place=AAAAAAAAAAAAAAAA\r\n");
    assert!(cookie_of(&made_up).is_some_and(|cookie| known.values().any(|known| *known == cookie)));
    let (address, cookie) = (bed.addresses[0].to_string(), &known[&bed.addresses[0].to_string()]);
    bed.endpoints[0].set(Mode::Killed);
    let fields = format!("Cookie: {cookie}\r\n");
    let moved = get(&bed, "/", &fields);
    let now = endpoint_of(&moved);
    assert_ne!(now, address);
    assert_eq!(cookie_of(&moved).as_ref(), known.get(&now), "it is told of its new place");
    bed.endpoints[0].set(Mode::Well);
    eclusa_testkit::wait::wait_until(PATIENCE, "the endpoint to be used again", || {
        endpoint_of(&get(&bed, "/", &fields)) == address
    });
    drop(edge);
}

#[test]
fn an_exchange_waits_for_a_place_and_a_connection_at_rest_holds_none() {
    if skipped("an_exchange_waits_for_a_place_and_a_connection_at_rest_holds_none") {
        return;
    }
    let bed = Bed::new();
    let more = "endpoint_sessions_max = 1\nqueue = 100\nqueue_timeout = \"20s\"\n";
    let edge = start(&bed, more);
    // Eight clients that keep their connections share three places.
    let mut clients = Clients::new(&bed.host("outside1"), PLAIN);
    let count = size(400, 80);
    let felt = clients.run_at("/late", count, Duration::ZERO);
    let most: Vec<_> = bed.endpoints.iter().map(super::endpoint::Faulty::most_at_once).collect();
    Item::new("5.3.12 eight clients on kept connections, three endpoints of one place each")
        .bound(
            "0 failed, never two exchanges at once on an endpoint, every exchange waited its turn",
        )
        .n(count)
        .record(
            felt.failed.is_empty() && most == [1, 1, 1] && edge.exchanges_waited() > 0,
            format!("{felt}; at once: {most:?}"),
        );
    // All eight rest now, and so do their connections to the endpoints: there is room for others.
    let (before, quick) = (bed.asked(), Duration::from_secs(5));
    let mut others = Clients::new(&bed.host("outside2"), PLAIN);
    let felt = others.run(24, Duration::ZERO);
    assert!(felt.failed.is_empty() && felt.worst() < quick, "{felt}");
    assert_eq!(bed.asked().iter().sum::<usize>() - before.iter().sum::<usize>(), 24);
}

trait Waited {
    /// Exchanges that waited for a place, as their records say.
    fn exchanges_waited(&self) -> usize;
}

impl Waited for Product {
    fn exchanges_waited(&self) -> usize {
        let events = self.events();
        events.iter().filter(|event| event["ms"]["queue"].as_f64() > Some(0.0)).count()
    }
}
