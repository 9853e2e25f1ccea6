//! A worker that is stuck shows. In a file of its own: the worker's thread is found by its name.

mod common;

use common::Balancer;
use common::ask::get;
use eclusa_testkit::wait::{wait_for, wait_until};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(15);

/// strace, holding a thread in a system call.
struct Held(Child);

impl Held {
    /// Delays each epoll_wait of the thread by 30 s.
    fn new(thread: &str) -> Self {
        let held = Command::new("strace")
            .args(["-q", "-o", "/dev/null", "-p", thread])
            .args(["-e", "inject=epoll_wait,epoll_pwait:delay_enter=30s"])
            .stdin(Stdio::null())
            .spawn();
        Self(held.expect("strace is there, and may trace"))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A thread gives itself its name when it first runs.
fn thread_named(name: &str) -> Option<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("proc").flatten();
    let named = tasks
        .map(|task| task.path())
        .find(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name));
    named.and_then(|task| Some(task.file_name()?.to_str()?.to_owned()))
}

#[test]
fn a_stuck_worker_is_noticed_within_three_seconds() {
    let asked = common::ask::free_address();
    let balancer = Balancer::start(&[common::echo_after_eof()], |plan| {
        plan.workers = Some(2);
        plan.observe.listen = vec![asked];
    });
    assert_eq!(get(asked, "/livez").status, 200);
    let thread = wait_for(LIMIT, "the worker's thread", || thread_named("worker-1"));
    let began = Instant::now();
    let held = Held::new(&thread);
    wait_until(LIMIT, "a stuck worker", || get(asked, "/livez").status == 503);
    let took = began.elapsed();
    assert!(took > Duration::from_secs(1), "{took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}: 2 s, and strace's own start");
    assert_eq!(get(asked, "/livez").body, "without a sign of life for 2s: worker 1\n");
    let heartbeats = balancer.engine().heartbeats();
    assert!(heartbeats.age(0).unwrap() < Duration::from_secs(1));
    assert_eq!(heartbeats.older_than(Duration::from_secs(2)).collect::<Vec<_>>(), [1]);
    drop(held);
    wait_until(LIMIT, "the worker goes on", || get(asked, "/livez").status == 200);
}
