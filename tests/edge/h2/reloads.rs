//! Reloads under a load of HTTP/2: no exchange fails.

use super::client::{Client, run};
use crate::bed::{Bed, PLAIN};
use e2e::product::PATIENCE;
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::wait_until;
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
fn no_stream_fails_while_the_configuration_changes() {
    if skipped("no_stream_fails_while_the_configuration_changes") {
        return;
    }
    let bed = Bed::without_nginx("");
    let reloads = size(100, 10);
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failed: Vec<String> = std::thread::scope(|scope| {
        let (bed, over, asked) = (&bed, &over, &asked);
        let clients: Vec<_> = (0..3)
            .map(|number| scope.spawn(move || run(keep_asking(bed, number, over, asked))))
            .collect();
        for number in 0..reloads {
            let before = asked.load(Ordering::Relaxed);
            bed.reload(if number % 2 == 0 { MORE } else { "" });
            wait_until(PATIENCE, "load", || {
                asked.load(Ordering::Relaxed) >= before + 60
                    || clients.iter().any(|client| client.is_finished())
            });
        }
        over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let asked = asked.into_inner();
    Item::new("6.1 exchanges on HTTP/2 connections while the configuration changes")
        .bound("0 failed")
        .n(asked)
        .note(format!("{reloads} reloads; three clients with ten streams at once each"))
        .record(failed.is_empty(), wrong_of(asked, &failed));
}

/// Asks on ten streams of one connection at once until it is told to stop; what has failed.
async fn keep_asking(
    bed: &Bed,
    number: usize,
    over: &AtomicBool,
    asked: &AtomicUsize,
) -> Vec<String> {
    let mut client = Client::open(&bed.client, PLAIN).await;
    let mut failed = Vec::new();
    for round in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let mut begun = Vec::new();
        for stream in 0..10 {
            let path = format!("/{number}/{round}/{stream}");
            let asked = super::client::request(http::Method::GET, &path);
            begun.push((path, client.begin(asked, true).await));
        }
        for (path, begun) in begun {
            let answer = match begun {
                Ok((response, _)) => super::client::read(response).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) if answer.body == path.as_bytes() => {}
                other => failed.push(format!("{path}: {other:?}")),
            }
            asked.fetch_add(1, Ordering::Relaxed);
        }
        if !failed.is_empty() {
            break;
        }
    }
    failed
}
