//! The end: SIGTERM gives every kept connection a last answer.

use crate::bed::{Bed, PLAIN};
use crate::reply::Wire;
use e2e::product::PATIENCE;
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::wait_until;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn sigterm_ends_kept_connections_with_a_last_answer() {
    if skipped("sigterm_ends_kept_connections_with_a_last_answer") {
        return;
    }
    let mut bed = Bed::without_nginx("");
    let clients = size(50, 10);
    let mut idle = bed.connect();
    assert_eq!(idle.get("app.test", "/idle").unwrap().text(), "/idle");
    let asked = AtomicUsize::new(0);
    let (wrong, last) = std::thread::scope(|scope| {
        let (bed, asked) = (&bed, &asked);
        let threads: Vec<_> =
            (0..clients).map(|_| scope.spawn(move || until_the_last(bed, asked))).collect();
        wait_until(PATIENCE, "load", || asked.load(Ordering::Relaxed) > 10 * clients);
        let pid = bed.edge.pid().to_string();
        bed.client.run("kill", &["-TERM", &pid]).unwrap();
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let wrong: Vec<_> = ended.iter().filter_map(|ended| ended.clone().err()).collect();
        (wrong, ended.len())
    });
    Item::new("5.5.1 kept connections when the service stops")
        .bound("each gets a last answer that says so; 0 failed")
        .n(last)
        .record(wrong.is_empty(), wrong_of(last, &wrong));
    assert_eq!(idle.hear_to_end().unwrap(), (Vec::new(), false), "the idle one is closed in order");
    assert_eq!(bed.edge.wait_exit(2 * PATIENCE).code(), Some(0));
}

/// Asks until an answer says that it is the last.
fn until_the_last(bed: &Bed, asked: &AtomicUsize) -> Result<(), String> {
    let mut wire = Wire::open(&bed.client, PLAIN).map_err(|error| error.to_string())?;
    loop {
        let reply = wire.get("app.test", "/again").map_err(|error| error.to_string())?;
        asked.fetch_add(1, Ordering::Relaxed);
        if reply.status != 200 {
            return Err(format!("{reply:?}"));
        }
        if reply.is_last() {
            return Ok(());
        }
    }
}
