//! A second instance, or a foreign program, on the address: the start is refused and says by whom.

use e2e::product::{ConfigFile, PATIENCE, Product, Program};
use e2e::proof::Item;
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::{Peer, Runner, binary};
use std::path::Path;

const CONFIG: &str = r#"
[listener.web]
listen = ["192.168.1.2:443"]
pool = "web"
[pool.web]
endpoints = ["10.0.1.100:443"]
"#;

/// What a refused start says; it ends with 1 and has not listened.
fn refused(runner: Runner) -> String {
    let mut second = runner.start().unwrap();
    let status = second.wait_exit(PATIENCE);
    assert_eq!(status.code(), Some(1), "{}", second.last_words());
    assert!(second.events().iter().all(|event| event["event"] != "listening"));
    second.stderr_lines().join("\n")
}

fn second(host: &Host, file: &ConfigFile, run_directory: Option<&Path>) -> Runner {
    let runner = Program::Edge.runner(Some(host)).args(["run", "-c"]).args([file.path()]);
    match run_directory {
        Some(path) => runner.run_directory(path),
        None => runner,
    }
}

#[test]
fn a_second_instance_is_refused_with_the_pid_of_the_first() {
    if skipped("a_second_instance_is_refused_with_the_pid_of_the_first") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let host = cluster.host("edge");
    let mut first = Program::Edge.start(Some(&host), CONFIG);
    let file = ConfigFile::new(CONFIG);
    let wanted = format!("192.168.1.2:443 is taken by eclusa-edge, pid {}", first.pid());
    let by_lock = refused(second(&host, &file, Some(first.run_directory())));
    // One that does not share the directory of locks finds the listener itself.
    let by_listener = refused(second(&host, &file, None));
    let everywhere = ConfigFile::new(&CONFIG.replace("192.168.1.2", "0.0.0.0"));
    let by_wildcard = refused(second(&host, &everywhere, None));
    let pid = format!("pid {}", first.pid());
    let right = by_lock.contains(&wanted)
        && by_listener.contains(&wanted)
        && by_wildcard.contains("0.0.0.0:443 is taken by eclusa-edge, ")
        && by_wildcard.contains(&pid);
    Item::new("5.2 a second instance")
        .bound("refused with exit code 1 and the pid of the first")
        .n(3)
        .note("beside it, with other locks, and on all addresses")
        .record(right, format!("`{by_lock}`, and as well: `{by_listener}`, `{by_wildcard}`"));
    // The address is free again as soon as the first has ended, however it did.
    let run_directory = first.run_directory().to_owned();
    first.kill();
    let mut next = Product::from(second(&host, &file, Some(&run_directory)).start().unwrap());
    // The directory went away with the first, or is there: either must do.
    next.wait_ready();
}

#[test]
fn a_foreign_listener_is_named() {
    if skipped("a_foreign_listener_is_named") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let host = cluster.host("edge");
    let config = "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 5s\n  \
        timeout client 5s\n  timeout server 5s\nlisten x\n  bind 192.168.1.2:443\n  \
        server n 10.0.1.100:443\n";
    let mut haproxy = Peer::haproxy(Some(&host), config, &[443]).unwrap();
    let pid = haproxy.running().pid();
    let file = ConfigFile::new(CONFIG);
    // The service's user may not look into processes of root, and says so; root sees the name.
    let as_service = refused(second(&host, &file, None));
    let program = binary("eclusa-edge").unwrap();
    let as_root = refused(Runner::new(program).host(&host).args(["run", "-c"]).args([file.path()]));
    let remedy = "192.168.1.2:443 is taken by a program that this user cannot see \
                  (as root: ss -ltnp 'sport = 443')";
    let named = format!("192.168.1.2:443 is taken by haproxy, pid {pid}");
    Item::new("5.3 a foreign listener (HAProxy) on the address")
        .bound("refused with its name and pid, as far as the user may see them")
        .n(2)
        .note("as the unit's user: that it cannot see whose it is, and the command that shows it")
        .record(
            as_service.contains(remedy) && as_root.contains(&named),
            format!("as root: `{as_root}`; as the service: `{as_service}`"),
        );
}
