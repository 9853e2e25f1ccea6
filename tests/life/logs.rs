//! The log, seen from outside: files that are moved away, syslogs and a journal behind the
//! confinement of the shipped unit.

use e2e::plain::{connect, exchange};
use e2e::product::{PATIENCE, Program};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::{Scratch, Signal, binary};
use eclusa_testkit::wait::{free_port, wait_for, wait_until};
use serde_json::Value;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

/// A cluster with an echo behind the edge.
pub(super) fn stage() -> (Cluster, Endpoint) {
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let address = "10.0.1.100:9000".parse().unwrap();
    let echo = cluster.host("worker1").enter(|| Endpoint::start(address, Kind::Echo)).unwrap();
    (cluster, echo)
}

/// Three ways in.
pub(super) const POOLS: &str = "
[listener.web]
listen = [\"192.168.1.2:9000\"]
pool = \"web\"
[listener.gone]
listen = [\"192.168.1.2:9001\"]
pool = \"gone\"
[listener.denied]
listen = [\"192.168.1.2:9002\"]
pool = \"web\"
allow = [\"10.9.9.0/24\"]
[pool.web]
endpoints = [{ address = \"10.0.1.100:9000\", name = \"ingress1\" }]
probe = { kind = \"none\" }
[pool.gone]
endpoints = [{ address = \"10.0.1.100:9\", name = \"nobody\" }]
probe = { kind = \"none\" }
";

/// A directory that the unit's user may write to.
fn writable() -> Scratch {
    let scratch = Scratch::new("logs").unwrap();
    std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o777)).unwrap();
    scratch
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn one_session(client: &Host) -> String {
    let stream = connect(client, SocketAddr::from(([192, 168, 1, 2], 9000)));
    let from = stream.local_addr().unwrap().to_string();
    assert_eq!(exchange(&stream, b"hello, echo").unwrap(), b"hello, echo");
    from
}

#[test]
fn sigusr1_opens_the_file_anew() {
    if skipped("sigusr1_opens_the_file_anew") {
        return;
    }
    let (cluster, _echo) = stage();
    let (edge, client) = (cluster.host("edge"), cluster.host("outside1"));
    let scratch = writable();
    let path = scratch.path().join("eclusa.log");
    let log = format!("[log]\ntarget = {path:?}\nevents = {{ target = \"stderr\" }}\n");
    let mut product = Program::Edge.start(Some(&edge), &format!("{log}{POOLS}"));
    let told = |path: &Path, from: &str| read(path).iter().any(|line| line["client"] == from);
    let mut before = Vec::new();
    for turn in 0..3 {
        let from = one_session(&client);
        wait_until(PATIENCE, "the record", || told(&path, &from));
        let moved = scratch.path().join(format!("eclusa.log.{turn}"));
        std::fs::rename(&path, &moved).unwrap();
        product.signal(Signal::USR1).unwrap();
        wait_until(PATIENCE, "the new file", || path.exists());
        before.push((moved, from));
    }
    let from = one_session(&client);
    wait_until(PATIENCE, "the record", || told(&path, &from));
    for (moved, from) in before {
        assert!(told(&moved, &from), "{}", moved.display());
        assert!(!told(&path, &from));
    }
}

#[test]
fn a_confined_engine_reaches_syslogs_and_the_journal() {
    if skipped("a_confined_engine_reaches_syslogs_and_the_journal") {
        return;
    }
    let (cluster, _echo) = stage();
    let (edge, client) = (cluster.host("edge"), cluster.host("outside1"));
    let scratch = writable();
    let bind = |name: &str| {
        let path = scratch.path().join(name);
        let socket = UnixDatagram::bind(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        (socket, path)
    };
    let ((local, local_path), (journal, journal_path)) = (bind("log"), bind("journal"));
    let tcp = edge.enter(|| TcpListener::bind("127.0.0.1:5601")).unwrap();
    let udp = edge.enter(|| UdpSocket::bind("127.0.0.1:5514")).unwrap();
    udp.set_read_timeout(Some(PATIENCE)).unwrap();
    let log = format!(
        "[log]\ntarget = [\"unix:{}\", \"journal:{}\", \"tcp:127.0.0.1:5601\", \"udp:127.0.0.1:5514\"]\n\
         events = {{ target = \"stderr\" }}\n",
        local_path.display(),
        journal_path.display()
    );
    let _product = Program::Edge.start(Some(&edge), &format!("{log}{POOLS}"));
    let from = one_session(&client);
    let (stream, _) = tcp.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut frame = Vec::new();
    BufReader::new(stream).read_until(b'}', &mut frame).unwrap();
    let datagram = |receive: &dyn Fn(&mut [u8]) -> io::Result<usize>| {
        let mut buffer = [0; 65_536];
        let length = receive(&mut buffer).unwrap();
        buffer[..length].to_vec()
    };
    let client = format!("\"client\":\"{from}\"");
    for (name, message) in [
        ("unix", datagram(&|buffer| local.recv(buffer))),
        ("journal", datagram(&|buffer| journal.recv(buffer))),
        ("udp", datagram(&|buffer| udp.recv(buffer))),
        ("tcp", frame),
    ] {
        let message = String::from_utf8(message).unwrap();
        assert!(message.contains(&client), "{name}: {message}");
    }
}

/// What the first lines look like when `$JOURNAL_STREAM` is this, to a shell whose standard error is
/// the program's.
fn first_line(journal_stream: &str) -> String {
    let scratch = Scratch::new("stderr").unwrap();
    let path = scratch.path().join("stderr");
    let program = binary("eclusa-apiserver").unwrap();
    let script = format!(
        "export XDG_RUNTIME_DIR={} JOURNAL_STREAM={journal_stream}
         exec {} run --no-keeper --listen 127.0.0.1:{} --master 127.0.0.1:9",
        scratch.path().display(),
        program.display(),
        free_port()
    );
    let stderr = std::fs::File::create(&path).unwrap();
    let mut shell = Command::new("sh").args(["-c", &script]).stderr(stderr).spawn().unwrap();
    let line = wait_for(PATIENCE, "the event `listening`", || {
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines().find(|line| line.contains("\"listening\"")).map(str::to_owned)
    });
    shell.kill().unwrap();
    shell.wait().unwrap();
    line
}

#[test]
fn lines_for_the_journal_begin_with_how_grave_they_are() {
    let under_systemd = first_line("$(stat -L -c %d:%i /proc/self/fd/2)");
    assert!(under_systemd.starts_with("<5>{\"ts\":"), "{under_systemd}");
    // Standard error was sent elsewhere since: the journal reads another stream.
    let elsewhere = first_line("1:1");
    assert!(elsewhere.starts_with("{\"ts\":"), "{elsewhere}");
}
