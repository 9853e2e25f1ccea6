//! The cluster of namespaces: who reaches whom, faults, and what is left behind.

use super::*;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(5);

/// A listener of `host` whose connections get the host's name and are closed.
fn greet(host: &Host, address: SocketAddr) -> TcpListener {
    let name = host.name().to_owned();
    host.enter(move || {
        let listener = TcpListener::bind(address).unwrap();
        let ours = listener.try_clone().unwrap();
        std::thread::spawn(move || {
            for stream in ours.incoming() {
                let Ok(mut stream) = stream else { return };
                let peer = stream.peer_addr().unwrap().ip();
                // The client may have gone.
                let _ = io::Write::write_all(&mut stream, format!("{name} to {peer}").as_bytes());
            }
        });
        listener
    })
}

fn ask(from: &Host, address: SocketAddr, limit: Duration) -> io::Result<String> {
    from.enter(move || {
        let mut stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_read_timeout(Some(limit))?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    })
}

#[test]
fn everybody_reaches_whom_the_picture_shows() {
    if skipped("everybody_reaches_whom_the_picture_shows") {
        return;
    }
    let start = Instant::now();
    let cluster = Cluster::new(Shape::default()).unwrap();
    eprintln!("built in {:?}", start.elapsed());
    for (host, from, address, answer) in [
        ("edge", "outside2", "192.168.1.2:443", "edge to 203.0.113.12"),
        ("edge", "worker1", "10.0.0.9:80", "edge to 10.0.0.21"),
        ("worker1", "edge", "10.0.1.110:443", "worker1 to 10.0.0.9"),
        ("lb", "worker3", "10.0.0.5:6443", "lb to 10.0.0.23"),
        ("master3", "lb", "10.0.0.13:6443", "master3 to 10.0.0.10"),
        ("master1", "master1", "[::1]:6443", "master1 to ::1"),
    ] {
        let address: SocketAddr = address.parse().unwrap();
        let _listener = greet(&cluster.host(host), address);
        assert_eq!(ask(&cluster.host(from), address, LONG).unwrap(), answer);
    }
    // There is no way from outside into the cluster but through the edge.
    let _listener = greet(&cluster.host("worker1"), "10.0.1.100:443".parse().unwrap());
    let outside = cluster.host("outside1");
    assert!(ask(&outside, "10.0.1.100:443".parse().unwrap(), SHORT).is_err());
    let file = cluster.host("lb").namespace_file().to_owned();
    assert!(file.exists());
    drop(cluster);
    assert!(!file.exists(), "{} is left", file.display());
}

#[test]
fn a_virtual_address_moves_and_everybody_knows() {
    if skipped("a_virtual_address_moves_and_everybody_knows") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, ..Shape::default() }).unwrap();
    let vip = Ipv4Addr::new(10, 0, 1, 100);
    let edge = cluster.host("edge");
    let any = (Ipv4Addr::UNSPECIFIED, 443).into();
    let _listeners = ["worker1", "worker2"].map(|name| greet(&cluster.host(name), any));
    assert_eq!(ask(&edge, (vip, 443).into(), LONG).unwrap(), "worker1 to 10.0.0.9");
    cluster.move_vip(vip, "worker2").unwrap();
    // Less than the second after which a lost SYN would be repeated: the edge was told.
    let quick = Duration::from_millis(900);
    assert_eq!(ask(&edge, (vip, 443).into(), quick).unwrap(), "worker2 to 10.0.0.9");
    let other = Ipv4Addr::new(10, 0, 1, 101);
    assert_eq!(ask(&edge, (other, 443).into(), quick).unwrap(), "worker1 to 10.0.0.9");
}

#[test]
fn faults_begin_and_end() {
    if skipped("faults_begin_and_end") {
        return;
    }
    let shape = Shape { masters: 1, workers: 1, congestion: Congestion::Cubic };
    let cluster = Cluster::new(shape).unwrap();
    let (master, worker) = (cluster.host("master1"), cluster.host("worker1"));
    let address = master.at(6443);
    let _listener = greet(&master, address);
    let works = || ask(&worker, address, LONG).is_ok_and(|text| text == "master1 to 10.0.0.21");
    let fails = |kind: ErrorKind| {
        let error = ask(&worker, address, SHORT).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    };
    assert!(works());
    for direction in [Direction::In, Direction::Out, Direction::Both] {
        master.drop_packets(direction).unwrap();
        fails(ErrorKind::TimedOut);
        assert!(ask(&master, address, LONG).is_ok(), "its loopback works");
        master.heal().unwrap();
        assert!(works());
    }
    master.drop_port(Direction::In, 6443).unwrap();
    fails(ErrorKind::TimedOut);
    master.lose_packets(Direction::In, 0).unwrap();
    assert!(works(), "a new fault ends the old one");
    master.heal().unwrap();
    master.heal().unwrap();
    worker.link_down().unwrap();
    fails(ErrorKind::NetworkUnreachable);
    worker.link_up().unwrap();
    assert!(works());
    master.cable_out(Network::Cluster).unwrap();
    fails(ErrorKind::TimedOut);
    master.cable_in(Network::Cluster).unwrap();
    assert!(works());
    let outside = cluster.host("outside1");
    outside.link_down().unwrap();
    outside.link_up().unwrap();
    let _edge = greet(&cluster.host("edge"), "192.168.1.2:80".parse().unwrap());
    assert!(ask(&outside, "192.168.1.2:80".parse().unwrap(), LONG).is_ok(), "the route is back");
    let shown = master.run("sysctl", &["-n", "net.ipv4.tcp_congestion_control"]).unwrap();
    assert_eq!(shown.trim(), "cubic");
}

#[test]
fn what_a_dead_process_left_is_swept() {
    if skipped("what_a_dead_process_left_is_swept") {
        return;
    }
    // A process that has certainly ended.
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let name = format!("eclusa-{}-0-leftover", child.id());
    ip::run(&format!("netns add {name}\n")).unwrap();
    names::sweep_now();
    assert!(!Path::new(names::DIRECTORY).join(&name).exists(), "{name} is left");
}

#[test]
fn wrong_wishes_are_answered_in_words() {
    if skipped("wrong_wishes_are_answered_in_words") {
        return;
    }
    let shape = Shape { masters: 9, ..Shape::default() };
    assert!(Cluster::new(shape).unwrap_err().to_string().contains("at most 7 masters"));
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let error = cluster.host("edge").run("ip", &["link", "set", "wlan9", "up"]).unwrap_err();
    assert!(error.to_string().contains("wlan9"), "{error}");
    let asked = std::panic::catch_unwind(|| cluster.host("master1"));
    let panic = asked.unwrap_err().downcast::<String>().unwrap();
    assert!(panic.contains("no host is called master1; there are: worker1, lb"), "{panic}");
}
