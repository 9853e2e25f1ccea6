//! WebSockets and server-sent events by every way: nothing is held back, and the application sees
//! who the client is.

use crate::bed::Bed;
use crate::shows::WAYS;
use e2e::client::missing;
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::try_until;

#[test]
fn web_sockets_and_events_go_every_way() {
    const TEST: &str = "web_sockets_and_events_go_every_way";
    if skipped(TEST) || missing(TEST, "python3") {
        return;
    }
    let bed = Bed::start();
    let (ca, length) = (bed.ca.display().to_string(), size(1 << 20, 70_000).to_string());
    let script = include_str!("streams/streams.py");
    let mut wrong = Vec::new();
    for (way, url, seen) in WAYS {
        let said = bed.run("python3", &["-c", script, url, &ca, &length]);
        if said.as_deref() != Ok("ws ok\nevents ok\n") {
            wrong.push(format!("{way}: {said:?}"));
        }
        // `$remote_addr $http_x_forwarded_for $scheme $host`, as the application's log has them.
        let words: Vec<_> = seen.split(' ').collect();
        for path in ["/socket", "/stream"] {
            let is_it = |line: &str| {
                let found: Vec<_> = line.split(' ').collect();
                // nginx writes `-` for nothing.
                let same = |at: usize, word: &str| {
                    found.get(at) == Some(&if word.is_empty() { "-" } else { word })
                };
                same(0, words[0]) && same(3, words[1]) && same(5, words[3]) && same(6, path)
            };
            let logged = try_until(e2e::product::PATIENCE, "a line of nginx's log", || {
                bed.nginx_log().lines().any(is_it)
            });
            wrong.extend(logged.err().map(|_| format!("{way}: {path}: {}", bed.nginx_log())));
        }
    }
    Item::new("5.1.2 a WebSocket and server-sent events by every way")
        .bound("every byte and every event in time; the application sees the true client where PROXY or HTTP tells it")
        .n(2 * WAYS.len())
        .record(wrong.is_empty(), wrong_of(2 * WAYS.len(), &wrong));
}
