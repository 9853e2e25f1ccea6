//! Reloads under load: no exchange on a kept connection fails, no WebSocket is cut.

use crate::bed::{Bed, PLAIN};
use crate::reply::Wire;
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::netns::skipped;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Something that a reload changes, and changes back.
const MORE: &str = r#"
[[listener.plain.rule]]
set_header = { "X-Reloaded" = "yes" }
[pool.added]
endpoints = ["10.0.1.105:80"]
probe = { kind = "none" }
"#;

#[test]
fn no_exchange_fails_while_the_configuration_changes() {
    if skipped("no_exchange_fails_while_the_configuration_changes") {
        return;
    }
    let bed = Bed::without_nginx("");
    let reloads = size(100, 20);
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut socket = bed.connect();
    let upgrade = "GET /socket HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\n\r\n";
    socket.say(upgrade.as_bytes()).unwrap();
    assert_eq!(socket.head().unwrap().status, 101);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (bed, over, asked) = (&bed, &over, &asked);
                scope.spawn(move || keep_asking(bed, client, over, asked))
            })
            .collect();
        for number in 0..reloads {
            let before = asked.load(Ordering::Relaxed);
            bed.reload(if number % 2 == 0 { MORE } else { "" });
            // Each configuration serves for a while.
            eclusa_testkit::wait::wait_until(e2e::product::PATIENCE, "load", || {
                asked.load(Ordering::Relaxed) >= before + 40
                    || clients.iter().any(|c| c.is_finished())
            });
        }
        over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let asked = asked.into_inner();
    Item::new("5.5 exchanges on kept connections, POST included, while the configuration changes")
        .bound("0 failed")
        .n(asked)
        .note(format!("{reloads} reloads"))
        .record(failed.is_empty(), wrong_of(asked, &failed));
    socket.say(b"still here").unwrap();
    assert_eq!(socket.exactly(10).unwrap(), b"still here", "the WebSocket lives on");
    let generation = bed.exchanges().len();
    assert!(generation > 0, "there are records");
}

/// GET and POST by turns on one connection; what went wrong.
fn keep_asking(bed: &Bed, client: usize, over: &AtomicBool, asked: &AtomicUsize) -> Vec<String> {
    let mut failed = Vec::new();
    let mut wire = Wire::open(&bed.client, PLAIN).unwrap();
    let mut number = 0;
    while !over.load(Ordering::Relaxed) && failed.len() < 5 {
        number += 1;
        let path = format!("/{client}/{number}");
        let reply = if number % 2 == 0 {
            wire.get("app.test", &path)
        } else {
            wire.post("app.test", &path, path.as_bytes())
        };
        asked.fetch_add(1, Ordering::Relaxed);
        match reply {
            Ok(reply) if reply.status == 200 && reply.text() == path && !reply.is_last() => {}
            other => {
                failed.push(format!("{path}: {other:?}"));
                wire = Wire::open(&bed.client, PLAIN).unwrap();
            }
        }
    }
    failed
}
