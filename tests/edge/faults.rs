//! Endpoints and clients that misbehave: who is told what, and that nothing hangs.

use crate::bed::{Bed, PLAIN};
use crate::recorder::path_of;
use crate::reply::Wire;
use e2e::bed::reset;
use e2e::product::PATIENCE;
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::wait_until;
use std::time::{Duration, Instant};

/// Answers that nobody can rely on.
const ANSWERS: &[&str] = &[
    "hello\r\n\r\n",
    "HTTP/1.1 99 Low\r\n\r\n",
    "HTTP/1.1 600 High\r\n\r\n",
    "HTTP/1.1 20 Short\r\n\r\n",
    "HTTP/1.1 2000 Long\r\n\r\n",
    "HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/1.1\t200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nab",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
];

#[test]
fn answers_that_nobody_can_rely_on_become_502() {
    if skipped("answers_that_nobody_can_rely_on_become_502") {
        return;
    }
    let bed = Bed::without_nginx("");
    let mut wrong = Vec::new();
    let mut wire = bed.connect();
    for answer in ANSWERS {
        let path = path_of(answer.as_bytes());
        let mut reply = wire.get("app.test", &path);
        if reply.as_ref().is_ok_and(|reply| reply.status == 100) {
            reply = wire.reply();
        }
        if !reply.as_ref().is_ok_and(|reply| reply.status == 502) {
            wrong.push(format!("{answer:?}: {reply:?}"));
            wire = bed.connect();
        }
        let next = wire.get("app.test", "/next");
        if !next.as_ref().is_ok_and(|reply| reply.text() == "/next") {
            wrong.push(format!("after {answer:?}: {next:?}"));
            wire = bed.connect();
        }
    }
    Item::new("5.2.1 hostile answers")
        .bound("502, the endpoint's connection dropped, the next exchange right")
        .n(ANSWERS.len())
        .record(wrong.is_empty(), wrong_of(ANSWERS.len(), &wrong));
}

#[test]
fn an_answer_cut_midway_ends_the_clients_connection() {
    if skipped("an_answer_cut_midway_ends_the_clients_connection") {
        return;
    }
    let bed = Bed::without_nginx("");
    for path in ["/cut", "/cut-chunks"] {
        let mut wire = bed.connect();
        wire.say(format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n\r\n").as_bytes()).unwrap();
        let (bytes, _) = wire.hear_to_end().unwrap();
        assert!(!bytes.ends_with(b"0\r\n\r\n"), "no end is made up: {bytes:?}");
        let record = bed.exchange_for(path);
        assert_eq!(record["letters"], "SD", "{record}");
        // Without chunks and without a length there is nothing but a reset to tell by.
        let mut old = bed.connect();
        old.say(format!("GET {path} HTTP/1.0\r\nHost: app.test\r\n\r\n").as_bytes()).unwrap();
        assert!(old.hear_to_end().unwrap().1, "{path}: a reset");
    }
}

#[test]
fn errors_say_whose_they_are() {
    if skipped("errors_say_whose_they_are") {
        return;
    }
    let more = "[[listener.plain.route]]\nhost = [\"hang.test\"]\npool = \"hanging\"\n\
                [pool.hanging]\nendpoints = [\"10.0.1.105:80\"]\nprobe = { kind = \"none\" }\n\
                http = { response_timeout = \"2s\" }\n\
                [[listener.plain.route]]\nhost = [\"dead.test\"]\npool = \"dead\"\n\
                [pool.dead]\nendpoints = [\"10.0.1.106:80\"]\nprobe = { kind = \"none\" }\n";
    let bed = Bed::without_nginx(more);
    for (host, path, status, letters) in [
        ("app.test", "/empty", 502, "SH"),
        ("hang.test", "/hang", 504, "sH"),
        ("dead.test", "/dead", 502, "SC"),
    ] {
        let reply = bed.connect().get(host, path).unwrap();
        assert_eq!(reply.status, status, "{path}: {reply:?}");
        let record = bed.exchange_for(path);
        assert_eq!((&record["letters"], &record["status"]), (&letters.into(), &status.into()));
    }
    // Of one endpoint there is no other to try, and one that closes in silence is not asked again.
    let asked = bed.recorder.seen().iter().filter(|bytes| bytes.starts_with(b"GET /empty")).count();
    assert_eq!(asked, 1);
}

#[test]
fn an_endpoint_that_closes_between_exchanges_costs_none() {
    if skipped("an_endpoint_that_closes_between_exchanges_costs_none") {
        return;
    }
    let bed = Bed::without_nginx("");
    let times = size(500, 50);
    let mut wire = bed.connect();
    let failed = (0..times).flat_map(|_| {
        let paths = ["/last", "/next"];
        paths.map(|path| (path, wire.get("app.test", path)))
    });
    let failed = failed.filter(|(_, reply)| !reply.as_ref().is_ok_and(|reply| reply.status == 200));
    let failed: Vec<_> = failed.map(|failed| format!("{failed:?}")).collect();
    Item::new("5.3.13 endpoints that close a kept connection")
        .bound("0 of the exchanges after it failed")
        .n(2 * times)
        .record(failed.is_empty(), wrong_of(2 * times, &failed));
}

#[test]
fn a_request_goes_to_another_endpoint_only_where_that_is_safe() {
    if skipped("a_request_goes_to_another_endpoint_only_where_that_is_safe") {
        return;
    }
    let pair = "[[listener.plain.route]]\nhost = [\"pair.test\"]\npool = \"pair\"\n[pool.pair]\n\
                endpoints = [\"10.0.1.105:80\", \"10.0.1.105:81\"]\nprobe = { kind = \"none\" }\n";
    let bed = Bed::without_nginx(pair);
    let other = bed.another_recorder("10.0.1.105:81");
    let asked = |what: &str| {
        let of = |recorder: &crate::recorder::Recorder| {
            let seen = recorder.seen();
            seen.iter().map(|bytes| String::from_utf8_lossy(bytes).matches(what).count()).sum()
        };
        let each: [usize; 2] = [of(&bed.recorder), of(&other)];
        each
    };
    let mut wire = bed.connect();
    assert_eq!(wire.get("pair.test", "/empty").unwrap().status, 502);
    assert_eq!(asked("GET /empty"), [1, 1], "each is asked once, and no more is tried");
    assert_eq!(wire.post("pair.test", "/empty", b"").unwrap().status, 502);
    assert_eq!(wire.post("pair.test", "/empty", b"body").unwrap().status, 502);
    assert_eq!(asked("POST /empty").iter().sum::<usize>(), 2, "a POST is never sent twice");
    assert!(bed.connect().get("pair.test", "/cut").is_err());
    assert_eq!(asked("GET /cut").iter().sum::<usize>(), 1, "nor what was answered in part");
}

#[test]
fn an_answer_before_the_body_is_sent_arrives() {
    if skipped("an_answer_before_the_body_is_sent_arrives") {
        return;
    }
    let bed = Bed::without_nginx("");
    let mut wire = bed.connect();
    let length = 4 << 20;
    let head =
        format!("POST /early HTTP/1.1\r\nHost: app.test\r\nContent-Length: {length}\r\n\r\n");
    wire.say(head.as_bytes()).unwrap();
    let writer = wire.stream().try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        // It is not read to its end.
        let _ = std::io::Write::write_all(&mut &writer, &vec![b'b'; length]);
    });
    let reply = wire.reply().unwrap();
    assert_eq!((reply.status, reply.text(), reply.is_last()), (413, "no".into(), true));
    sending.join().unwrap();
}

#[test]
fn slow_clients_are_cut_at_their_deadlines() {
    if skipped("slow_clients_are_cut_at_their_deadlines") {
        return;
    }
    let bed = Bed::without_nginx("");
    let post = "POST /slow-body HTTP/1.1\r\nHost: app.test\r\nContent-Length: 10\r\n\r\nabc";
    for (said, status, after) in
        [("GET /slow-head HTTP/1.1\r\nHo", "408", 1), ("", "", 1), (post, "408", 5)]
    {
        let begun = Instant::now();
        let mut wire = bed.connect();
        wire.say(said.as_bytes()).unwrap();
        let (bytes, _) = wire.hear_to_end().unwrap();
        let took = begun.elapsed();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.split(' ').nth(1).unwrap_or_default(), status, "{said:?}: {text}");
        let in_time = (after..after + 4).contains(&took.as_secs());
        assert!(in_time, "{said:?}: {took:?}, due after {after} s");
    }
    // One byte now and then does not help a head.
    let begun = Instant::now();
    let mut wire = bed.connect();
    let dribbled = (0..1000).find(|_| {
        eclusa_testkit::wait::pause(Duration::from_millis(50));
        wire.say(b"G").is_err()
    });
    assert!(dribbled.is_some() && begun.elapsed() < Duration::from_secs(10), "{dribbled:?}");
}

#[test]
fn a_client_that_leaves_while_the_endpoint_thinks_is_noticed() {
    if skipped("a_client_that_leaves_while_the_endpoint_thinks_is_noticed") {
        return;
    }
    let bed = Bed::without_nginx("");
    for (head, body) in [("GET /hang HTTP/1.1", ""), ("POST /hang HTTP/1.1", "0123456789")] {
        // Whatever comes by every few seconds would notice it as well: it is the leaving that must wake.
        let noticed = (0..3).any(|_| leaves(&bed, head, body) < Duration::from_secs(2));
        assert!(noticed, "{head}: not noticed at once");
    }
}

/// How long it takes until the edge has noticed that a client left.
fn leaves(bed: &Bed, head: &str, body: &str) -> Duration {
    let records = bed.exchanges().len();
    let before = bed.recorder.bytes();
    let mut wire = bed.connect();
    let length = body.len();
    let said = format!("{head}\r\nHost: app.test\r\nContent-Length: {length}\r\n\r\n");
    wire.say(said.as_bytes()).unwrap();
    wait_until(PATIENCE, "the head", || bed.recorder.bytes() > before);
    let before = bed.recorder.bytes();
    // In a read of its own, which it fills: nothing then says that there is nothing left to read.
    wire.say(body.as_bytes()).unwrap();
    wait_until(PATIENCE, "the body", || bed.recorder.bytes() >= before + length);
    reset(wire.stream().try_clone().unwrap());
    drop(wire);
    let took =
        wait_until(PATIENCE, "the record of the exchange", || bed.exchanges().len() > records);
    let record = bed.exchange_for("/hang");
    assert_eq!(record["letters"], "CH", "{head}: {record}");
    took
}

#[test]
fn a_client_that_reads_nothing_is_cut() {
    if skipped("a_client_that_reads_nothing_is_cut") {
        return;
    }
    let bed = Bed::without_nginx("");
    let mut wire = Wire::open(&bed.client, PLAIN).unwrap();
    wire.say(b"GET /big HTTP/1.1\r\nHost: app.test\r\n\r\n").unwrap();
    let record = bed.exchange_for("/big");
    assert_eq!(record["letters"], "cD", "{record}");
    assert!(bed.edge.memory().unwrap().resident < 60 << 20, "nothing is piled up");
    assert!(wire.hear_to_end().unwrap().0.len() < 32 << 20);
}
