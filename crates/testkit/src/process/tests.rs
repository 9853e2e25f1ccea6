//! Programs run as their units say, and the peers from Debian.

use super::unit::Unit;
use super::*;
use crate::netns::{Cluster, Shape, skipped};
use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

const TEXT: &str = "[Unit]\nDescription=x\nUser=not-this\n[Service]\nUser=eclusa\n# User=root\n\
    Environment=A=1 \"B=two words\"\nEnvironment='C=3'\n\
    CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_NET_RAW\n\
    AmbientCapabilities=CAP_SYS_ADMIN\nAmbientCapabilities=\n\
    AmbientCapabilities = CAP_NET_BIND_SERVICE\n\
    ExecStart=/usr/bin/x run \\\n  -c y\n\
    NoNewPrivileges=yes\nLimitNOFILE=500:1000\nRuntimeDirectory=eclusa\n";

fn unit(text: &str) -> Unit {
    Unit::parse(Path::new("x.service"), text).unwrap()
}

#[test]
fn a_unit_says_how_to_start() {
    let unit = unit(TEXT);
    let words = |list: &[&str]| Some(list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
    assert_eq!(unit.capabilities("AmbientCapabilities").unwrap(), words(&["net_bind_service"]));
    let bounding = unit.capabilities("CapabilityBoundingSet").unwrap();
    assert_eq!(bounding, words(&["net_bind_service", "net_raw"]));
    assert_eq!(unit.capabilities("OtherCapabilities").unwrap(), None);
    assert_eq!(unit.descriptors(), Some((1000, None)));
    assert_eq!(unit.last("ExecStart"), Some("/usr/bin/x run  -c y"));
    assert!(unit.switch("NoNewPrivileges") && !unit.switch("PrivateTmp"));
    let environment = unit.environment();
    let pairs: Vec<_> = environment.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(pairs, [("A", "1"), ("B", "two words"), ("C", "3")]);
}

#[test]
fn an_empty_list_of_capabilities_is_not_the_lack_of_one() {
    let unit = unit("[Service]\nCapabilityBoundingSet=\n");
    assert_eq!(unit.capabilities("CapabilityBoundingSet").unwrap(), Some(vec![]));
}

#[test]
fn the_unit_s_user_or_a_stranger() {
    const USERS: &str = "root:x:0:0::/:/bin/sh\neclusa:x:991:990::/:/bin/false\n";
    let identity = unit(TEXT).identity_among(USERS, "");
    assert_eq!((identity.ids, identity.note), ((991, 990), None));
    let grouped = unit(&TEXT.replace("User=eclusa", "User=eclusa\nGroup=proxy"));
    assert_eq!(grouped.identity_among(USERS, "proxy:x:13:\n").ids, (991, 13));
    let stranger = unit(TEXT).identity_among("", "");
    assert_eq!(stranger.ids, (61184, 61184));
    assert!(stranger.note.unwrap().contains("`eclusa` does not exist here"));
}

#[test]
fn what_is_no_unit_is_refused_with_its_place() {
    let error = Unit::parse(Path::new("x.service"), "[Service]\n\nnonsense\n").unwrap_err();
    assert_eq!(error.to_string(), "x.service:3: `nonsense` is neither [Section] nor Key=");
    let error = unit("[Service]\nAmbientCapabilities=~CAP_CHOWN\n");
    assert!(error.capabilities("AmbientCapabilities").is_err());
}

#[test]
fn a_program_runs_as_its_unit_says() {
    if skipped("a_program_runs_as_its_unit_says") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 1, workers: 1, ..Shape::default() }).unwrap();
    let host = cluster.host("master1");
    let edge = Unit::shipped("eclusa-edge").unwrap();
    let script = "echo started in $RUNTIME_DIRECTORY; ulimit -n; touch $RUNTIME_DIRECTORY/lock \
        && echo locked; exec 2>&1; touch /run/never; ip -o addr show dev cluster; exec sleep 60";
    let runner = Runner::new("sh").unit(&edge).host(&host).args(["-c", script]);
    let mut running = runner.start().unwrap();
    let address = running.wait_for_line(LIMIT, "its address", |line| line.contains("inet "));
    assert!(address.contains("10.0.0.11/22"), "{address}");
    let said = running.stderr_lines().join("\n");
    assert!(said.contains("locked") && said.contains("/run/never"), "{said}");
    let uid = edge.identity().ids.0.to_string();
    let status = |field: &str| running.status(field).unwrap();
    assert!(status("Uid").split_whitespace().all(|id| id == uid), "{}", status("Uid"));
    // CAP_NET_BIND_SERVICE is number 10, CAP_DAC_READ_SEARCH 2.
    const BOTH: &str = "0000000000000404";
    for field in ["CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"] {
        assert_eq!(status(field), BOTH, "{field}");
    }
    assert_eq!((status("NoNewPrivs").as_str(), status("Groups").as_str()), ("1", ""));
    let (limit, _) = edge.descriptors().unwrap();
    assert!(said.contains(&format!("\n{limit}\n")), "{said}");
    assert!(running.memory().unwrap().resident > 100_000);
    assert!(running.cpu_time().unwrap() > Duration::ZERO);
    assert!(running.descriptors().unwrap() >= 3);
    running.signal(Signal::TERM).unwrap();
    assert!(!running.wait_exit(LIMIT).success());
    assert!(running.signal(Signal::TERM).is_err(), "the dead hear nothing");
    assert!(running.memory().is_err());
}

#[test]
fn what_the_manager_has_in_store_is_descriptor_3_of_the_next_start() {
    let file = std::fs::File::open("/proc/self/comm").unwrap();
    let script = "echo $LISTEN_FDS $LISTEN_FDNAMES; test $LISTEN_PID = $$ && cat <&4 && echo end";
    let stored = ["first", "second"]
        .map(|name| (name.to_owned(), std::sync::Arc::new(file.try_clone().unwrap().into())));
    let runner = Runner::new("/bin/sh").args(["-c", script]).descriptors(stored.to_vec());
    let mut running = runner.start().unwrap();
    running.wait_for_line(LIMIT, "the end", |line| line == "end");
    assert_eq!(running.stderr_lines()[0], "2 first:second");
}

#[test]
fn a_program_has_files_and_functions_of_its_own() {
    if skipped("a_program_has_files_and_functions_of_its_own") {
        return;
    }
    let scratch = Scratch::new("own").unwrap();
    let hosts = scratch.write("hosts", "only here\n").unwrap();
    let name = scratch.write("name", "nobody\n").unwrap();
    // A library that is none is told of by the program's loader alone.
    let mut running = Runner::new("/bin/cat")
        .args(["/etc/hosts", "/etc/passwd"])
        .in_place_of("/etc/hosts", hosts)
        .in_place_of("/etc/passwd", name)
        .preload("/no/such/library.so")
        .start()
        .unwrap();
    running.wait_exit(LIMIT);
    let lines = running.stderr_lines();
    assert_eq!(lines[lines.len() - 2..], ["only here", "nobody"], "{lines:?}");
    let told = lines.iter().filter(|line| line.contains("/no/such/library.so"));
    assert_eq!(told.count(), 1, "{lines:?}");
    assert!(!std::fs::read_to_string("/etc/hosts").unwrap().contains("only here"));
}

#[test]
fn a_dropped_process_is_gone_with_its_children_and_files() {
    let script = "echo '{\"event\":\"x\",\"n\":7}'; echo words; sleep 60 & echo child $!; wait";
    let mut running = Runner::new("/bin/sh").args(["-c", script]).start().unwrap();
    let line = running.wait_for_line(LIMIT, "the child", |line| line.starts_with("child "));
    assert_eq!(running.wait_for_event(LIMIT, "an event", |e| e["event"] == "x")["n"], 7);
    let child = line.strip_prefix("child ").unwrap().to_owned();
    let (pid, log) = (running.pid(), running.log().to_owned());
    drop(running);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!log.exists());
    wait_dead(&child);
}

/// Waits until a process that is not our child has ended. Whoever adopted it reaps it.
fn wait_dead(pid: &str) {
    crate::wait_until(LIMIT, "the process's end", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
}

#[test]
#[ignore = "a part of the next one, which kills it"]
fn starts_a_process_and_waits_to_be_killed() {
    // As the unit's user where possible: a change of user must not lose the wish to die.
    let unit = Unit::shipped("eclusa-edge").unwrap();
    let runner = Runner::new("/bin/sh").unit(&unit).args(["-c", "echo up; exec sleep 60"]);
    // The thread that started it is gone, and it lives.
    let mut running = std::thread::spawn(move || runner.start().unwrap()).join().unwrap();
    running.wait_for_line(LIMIT, "its start", |line| line == "up");
    println!("pid {}", running.pid());
    std::thread::park();
}

#[test]
fn a_killed_test_leaves_no_process() {
    let mut test = std::process::Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "process::tests::starts_a_process_and_waits_to_be_killed"]);
    test.args(["--ignored", "--nocapture"]).stdout(std::process::Stdio::piped());
    let mut test = test.spawn().unwrap();
    let mut lines = std::io::BufReader::new(test.stdout.take().unwrap()).lines();
    let pid = lines.find_map(|line| Some(line.unwrap().split_once("pid ")?.1.to_owned()));
    let pid = pid.expect("the other test says which process it has started");
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    test.kill().unwrap();
    test.wait().unwrap();
    wait_dead(&pid);
}

#[test]
fn directories_of_the_dead_are_swept() {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let left = std::env::temp_dir().join(format!("eclusa-{}-0-left", child.id()));
    std::fs::create_dir(&left).unwrap();
    let ours = Scratch::new("ours").unwrap();
    super::scratch::sweep();
    assert!(!left.exists() && ours.path().exists());
}

#[test]
fn a_process_that_ends_instead_is_told_with_its_last_words() {
    let waited = std::panic::catch_unwind(|| {
        let script = "echo cannot go on; exit 3";
        let mut running = Runner::new("/bin/sh").args(["-c", script]).start().unwrap();
        running.wait_for_line(LIMIT, "readiness", |line| line.contains("ready"));
    });
    let message = waited.unwrap_err().downcast::<String>().unwrap();
    for part in ["sh ended without readiness", "cannot go on"] {
        assert!(message.contains(part), "{message}");
    }
    let error = Runner::new("/bin/none-such").start().unwrap().wait_exit(LIMIT);
    assert!(!error.success());
}

#[test]
fn a_binary_that_is_not_built_is_told_with_the_remedy() {
    let error = binary("eclusa-none").unwrap_err();
    assert!(error.contains("eclusa-none") && error.contains("cargo build --workspace"), "{error}");
}

#[test]
fn nginx_behind_haproxy_in_the_cluster() {
    if skipped("nginx_behind_haproxy_in_the_cluster") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let (worker, lb) = (cluster.host("worker1"), cluster.host("lb"));
    let nginx = "events {}\nhttp { access_log {directory}/access.log;\n\
        server { listen 10.0.1.100:80; location / { return 200 \"hello\\n\"; } } }\n";
    let nginx = match Peer::nginx(Some(&worker), nginx, &[80]) {
        Err(PeerError::Missing(reason)) => return skip(&reason),
        other => other.unwrap(),
    };
    let haproxy = "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 5s\n  \
        timeout client 5s\n  timeout server 5s\nlisten x\n  bind 10.0.0.5:80\n  \
        server n 10.0.1.100:80\n";
    let haproxy = match Peer::haproxy(Some(&lb), haproxy, &[80]) {
        Err(PeerError::Missing(reason)) => return skip(&reason),
        other => other.unwrap(),
    };
    let answer = cluster.host("outside1").enter(|| TcpStream::connect("10.0.0.5:80").is_ok());
    assert!(!answer, "outside is outside");
    let answer = worker.enter(|| {
        let mut stream = TcpStream::connect("10.0.0.5:80").unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    assert!(answer.contains("200 OK") && answer.ends_with("hello\n"), "{answer}");
    crate::wait_until(LIMIT, "the access log", || !nginx.file("access.log").is_empty());
    assert!(nginx.file("access.log").starts_with("10.0.0.10 "), "{}", nginx.file("access.log"));
    let directory = haproxy.directory().to_owned();
    drop(haproxy);
    assert!(!directory.exists());
}

#[test]
fn a_peer_with_a_bad_configuration_says_why() {
    match Peer::haproxy(None, "nonsense\n", &[80]) {
        Err(PeerError::Missing(reason)) => skip(&reason),
        Err(error) => assert!(error.to_string().contains("nonsense"), "{error}"),
        Ok(_) => panic!("it runs"),
    }
}

#[test]
fn psql_reaches_a_throw_away_database() {
    if skipped("psql_reaches_a_throw_away_database") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let worker = cluster.host("worker1");
    let _postgres = match Peer::postgres(Some(&worker), 5432, "") {
        Err(PeerError::Missing(reason)) => return skip(&reason),
        other => other.unwrap(),
    };
    let url = "postgresql://postgres@10.0.1.101/postgres";
    let answer = cluster.host("edge").run("psql", &[url, "-Atc", "select 6 * 7"]).unwrap();
    assert_eq!(answer.trim(), "42");
}

fn skip(reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}
