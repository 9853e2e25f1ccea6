//! Clients that mean no good, or are broken.

use super::*;
use eclusa_testkit::wait::wait_until;
use std::time::Instant;

const CLIENTS: usize = 16;

fn quick() -> Patience {
    let short = Duration::from_millis(300);
    Patience { line: short, stalled: short, ..Patience::default() }
}

fn first_message(answer: &serde_json::Value) -> &str {
    answer["messages"][0].as_str().unwrap()
}

#[test]
fn rubbish_is_answered_and_the_connection_stays() {
    let running = Running::new(Patience::default());
    let mut client = running.client();
    for rubbish in [&b"hello"[..], b"\xff\xfe\x00", b"{}", b"{\"v\":9,\"command\":\"status\"}", b""]
    {
        let answer = client.ask(rubbish);
        assert_eq!((&answer["outcome"], &answer["code"]), (&"wrong".into(), &2.into()), "{answer}");
        assert_eq!(answer["v"], 1);
    }
    assert!(client.is_served());
    assert_eq!(client.ask(STATUS)["id"], "s");
    assert_eq!(running.seen.lock().unwrap().requests.len(), 2);
}

#[test]
fn whoever_sends_nothing_but_rubbish_is_let_go() {
    let running = Running::new(Patience::default());
    let mut client = running.client();
    client.send("x\n".repeat(8));
    let mut answers = 0;
    while client.next().is_some() {
        answers += 1;
    }
    assert_eq!(answers, 8);
    assert!(running.client().is_served());
}

#[test]
fn a_huge_line_is_refused_unread() {
    let running = Running::new(Patience::default());
    for size in [(64 << 10) + 1, 1 << 20] {
        let mut client = running.client();
        // It does not read all of it, so writing may fail.
        let _ = client.stream.write_all(&vec![b'x'; size]);
        let answer = client.next().expect("an answer");
        assert!(first_message(&answer).contains("more than 64 KiB"), "{answer}");
        assert!(client.next().is_none());
    }
    let mut client = running.client();
    let spaces = " ".repeat((64 << 10) - STATUS.len());
    assert_eq!(client.ask(format!("{spaces}{STATUS}"))["outcome"], "done", "just as long");
}

#[test]
fn lines_may_come_in_pieces_or_together() {
    let running = Running::new(Patience::default());
    let mut client = running.client();
    client.send(format!("{STATUS}\n{STATUS}\n").repeat(20));
    for _ in 0..40 {
        assert_eq!(client.next().unwrap()["outcome"], "done");
    }
    for byte in STATUS.bytes() {
        client.send([byte]);
    }
    // The last line needs no end.
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.next().unwrap()["outcome"], "done");
    assert!(client.next().is_none());
}

#[test]
fn half_a_line_is_not_waited_for() {
    let running = Running::new(quick());
    let mut client = running.client();
    let began = Instant::now();
    client.send("{\"v\":1,");
    let answer = client.next().expect("it is told");
    assert!(first_message(&answer).contains("half a line"), "{answer}");
    assert!(client.next().is_none());
    assert!(began.elapsed() >= quick().line);
}

#[test]
fn whoever_asks_nothing_is_let_go() {
    let running = Running::new(Patience { idle: Duration::from_millis(200), ..<_>::default() });
    let mut silent = running.client();
    assert!(silent.next().is_none());
}

/// The drip of a byte in time for each write does not last for ever, either.
#[test]
fn a_client_that_stops_reading_holds_nothing_up() {
    let running = Running::sized(quick(), 3 << 20);
    let show = "{\"v\":1,\"command\":\"session show\",\"session\":\"7-1\"}\n";
    let mut stalled: Vec<_> = (0..CLIENTS - 1).map(|_| running.client()).collect();
    for client in &mut stalled {
        client.send(show);
    }
    let mut other = running.client();
    assert!(other.is_served(), "while fifteen do not read");
    drop(other);
    // All places are free again when the stalled ones are let go, though they are still connected.
    wait_until(LONG, "sixteen places", || {
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| running.client()).collect();
        clients.iter_mut().all(|client| {
            let _ = client.stream.write_all(format!("{STATUS}\n").as_bytes());
            client.next().is_some_and(|answer| answer["outcome"] == "done")
        })
    });
    let mut reader = running.client();
    reader.send(show);
    let whole = reader.next().unwrap();
    assert_eq!(whole["data"]["step"].as_str().unwrap().len(), 3 << 20);
}

#[test]
fn the_whole_of_a_reply_has_a_deadline() {
    let patience = Patience { reply: Duration::from_millis(400), ..Patience::default() };
    let running = Running::sized(patience, 3 << 20);
    let mut client = running.client();
    client.send("{\"v\":1,\"command\":\"session show\",\"session\":\"7-1\"}\n");
    let mut got = 0;
    let mut piece = [0; 4096];
    let began = Instant::now();
    while let Ok(count @ 1..) = std::io::Read::read(&mut client.stream, &mut piece) {
        got += count;
        // A reader that is slow on purpose.
        eclusa_testkit::wait::pause(Duration::from_millis(5));
        assert!(began.elapsed() < LONG);
    }
    assert!(got < 3 << 20, "{got} bytes: all of it");
    assert!(running.client().is_served());
}

#[test]
fn of_two_hundred_clients_some_are_served_and_the_others_told() {
    let running = Running::new(Patience::default());
    let mut clients: Vec<_> = (0..200).map(|_| running.client()).collect();
    let mut served = Vec::new();
    let mut told = 0;
    for client in &mut clients {
        // Whoever was turned away cannot be written to.
        let _ = client.stream.write_all(format!("{STATUS}\n").as_bytes());
        let answer = client.next().expect("an answer");
        if answer["outcome"] == "done" {
            served.push(client);
        } else {
            assert!(first_message(&answer).contains("16 clients are here already"), "{answer}");
            assert_eq!(answer["code"], 1);
            assert!(client.next().is_none());
            told += 1;
        }
    }
    assert_eq!((served.len(), told), (CLIENTS, 200 - CLIENTS));
    assert!(served.iter_mut().all(|client| client.is_served()));
    drop(clients);
    wait_until(LONG, "a free place", || {
        let mut client = running.client();
        let _ = client.stream.write_all(format!("{STATUS}\n").as_bytes());
        client.next().is_some_and(|answer| answer["outcome"] == "done")
    });
}

#[test]
fn orders_come_one_after_another_and_are_logged_with_their_giver() {
    let running = Running::new(Patience::default());
    let order = "{\"v\":1,\"command\":\"endpoint set\",\"pool\":\"apiserver\",\"endpoint\":\"m1\",\
                 \"admin\":\"drain\",\"for_seconds\":7200,\"reason\":\"kernel\"}\n";
    let mut clients: Vec<_> = (0..8).map(|_| running.client()).collect();
    for client in &mut clients {
        client.send(order);
        client.send("{\"v\":1,\"command\":\"reload\"}\n");
    }
    for client in &mut clients {
        assert_eq!(client.next().unwrap()["outcome"], "done");
        assert_eq!(client.next().unwrap()["code"], 3);
        assert!(client.is_served());
    }
    let seen = running.seen.lock().unwrap();
    assert_eq!(seen.together, 1);
    // Questions leave no line.
    assert_eq!(seen.events.len(), 16);
    let event = seen.events.iter().find(|event| event["outcome"] == "done").unwrap();
    assert_eq!(event["event"], "admin");
    let words = "endpoint drain apiserver/m1 for 2h: kernel";
    assert_eq!(event["command"], words);
    let own = Peer::new(rustix::process::getuid().as_raw(), i32::try_from(std::process::id()).ok());
    assert_eq!(event["message"], format!("{words}, by {own}: done"));
    assert_eq!((&event["uid"], &event["pid"]), (&own.uid.into(), &std::process::id().into()));
    assert!(seen.requests.iter().all(|(_, by)| *by == own));
}

#[test]
fn an_order_is_carried_out_though_its_giver_has_gone() {
    let running = Running::new(Patience::default());
    let mut client = running.client();
    client.send("{\"v\":1,\"command\":\"reload\",\"force\":true}\n");
    drop(client);
    wait_until(LONG, "the line of the log", || !running.seen.lock().unwrap().events.is_empty());
    assert_eq!(running.seen.lock().unwrap().events[0]["outcome"], "done");
}
