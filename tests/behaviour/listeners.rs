//! Where `eclusa-edge` listens, and which address it connects from.

use e2e::plain::{connect, echoes, try_connect};
use e2e::product::{PATIENCE, Program};
use e2e::proof::{Item, size};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Network, Shape, skipped};
use eclusa_testkit::wait::wait_for;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const SMALL: Shape =
    Shape { masters: 0, workers: 1, congestion: eclusa_testkit::netns::Congestion::Reno };

fn endpoint(cluster: &Cluster, kind: Kind) -> Endpoint {
    let address = "10.0.1.100:80".parse().unwrap();
    cluster.host("worker1").enter(|| Endpoint::start(address, kind)).unwrap()
}

#[test]
fn v6_and_v4_stand_side_by_side() {
    if skipped("v6_and_v4_stand_side_by_side") {
        return;
    }
    let cluster = Cluster::new(SMALL).unwrap();
    let _echo = endpoint(&cluster, Kind::Echo);
    let host = cluster.host("edge");
    let config = "[listener.both]\nlisten = [\"0.0.0.0:8080\", \"[::]:8080\", \"[::1]:8081\"]\n\
                  pool = \"web\"\n[pool.web]\nendpoints = [\"10.0.1.100:80\"]\n";
    let edge = Program::Edge.start(Some(&host), config);
    let mut right = 0;
    let addresses = ["[::1]:8080", "[::1]:8081", "127.0.0.1:8080", "192.168.1.2:8080"];
    for to in addresses {
        let stream = connect(&host, to.parse().unwrap());
        let client = stream.local_addr().unwrap();
        let echoed = echoes(&stream, b"hello");
        drop(stream);
        let record = edge.session_of(client, "both");
        right += usize::from(echoed && record["local"] == to && record["letters"] == "--");
    }
    Item::new("2.4.1 listeners on v4 and v6")
        .bound("served on each; the log names the address of the client's own family")
        .n(addresses.len())
        .record(right == addresses.len(), format!("{right} of {} served", addresses.len()));
}

#[test]
fn a_virtual_address_that_comes_later_is_served_at_once() {
    if skipped("a_virtual_address_that_comes_later_is_served_at_once") {
        return;
    }
    let cluster = Cluster::new(SMALL).unwrap();
    let _echo = endpoint(&cluster, Kind::Echo);
    let (host, client) = (cluster.host("edge"), cluster.host("router"));
    let config = "[listener.vip]\nlisten = [\"192.168.1.50:8080\"]\npool = \"web\"\n\
                  [pool.web]\nendpoints = [\"10.0.1.100:80\"]\n";
    let edge = Program::Edge.start(Some(&host), config);
    let vip: SocketAddr = "192.168.1.50:8080".parse().unwrap();
    let short = Duration::from_millis(100);
    let times = size(5, 1);
    let mut slowest = Duration::ZERO;
    let mut right = 0;
    for _ in 0..times {
        let before = try_connect(&client, vip, short);
        host.run("ip", &["addr", "add", "192.168.1.50/32", "dev", "dmz"]).unwrap();
        // Without ARP's memory of the failed try.
        let _ = client.run("ip", &["neigh", "flush", "dev", "dmz"]);
        let begun = std::time::Instant::now();
        let stream = wait_for(PATIENCE, "a connection to the new address", || {
            try_connect(&client, vip, short).ok()
        });
        let served = echoes(&stream, b"here");
        slowest = slowest.max(begun.elapsed());
        host.run("ip", &["addr", "del", "192.168.1.50/32", "dev", "dmz"]).unwrap();
        let _ = client.run("ip", &["neigh", "flush", "dev", "dmz"]);
        right += usize::from(before.is_err() && served);
    }
    assert!(edge.events().iter().all(|event| event["event"] != "warning"), "no cause to warn");
    Item::new("2.4.2 a VIP that is not here yet")
        .bound("the start succeeds; served as soon as the address is there")
        .n(times)
        .worst(format!("{} ms", slowest.as_millis()))
        .record(right == times, format!("{right} of {times} served after `ip addr add`"));
}

#[test]
fn endpoints_see_the_source_addresses_of_the_pool() {
    if skipped("endpoints_see_the_source_addresses_of_the_pool") {
        return;
    }
    let cluster = Cluster::new(SMALL).unwrap();
    let recorder = endpoint(&cluster, Kind::Recorder);
    let host = cluster.host("edge");
    let device = Network::Cluster.name();
    for address in ["10.0.0.60/22", "10.0.0.61/22"] {
        host.run("ip", &["addr", "add", address, "dev", device]).unwrap();
    }
    let config = "workers = 2\n[listener.web]\nlisten = [\"192.168.1.2:80\"]\npool = \"web\"\n\
                  [pool.web]\nendpoints = [\"10.0.1.100:80\"]\nprobe = { kind = \"none\" }\n\
                  source = [\"10.0.0.60\", \"10.0.0.61\"]\n";
    let _edge = Program::Edge.start(Some(&host), config);
    let sessions = size(400, 60);
    for _ in 0..sessions {
        let stream = connect(&cluster.host("outside1"), "192.168.1.2:80".parse().unwrap());
        assert!(echoes(&stream, b"from where?"));
    }
    let mut seen = BTreeMap::<String, usize>::new();
    for recorded in recorder.wait_recorded(sessions, PATIENCE) {
        *seen.entry(recorded.peer.ip().to_string()).or_default() += 1;
    }
    // The first address of each try is a random one.
    let least = sessions / 4;
    let right = seen.keys().eq(["10.0.0.60", "10.0.0.61"]) && seen.values().all(|n| *n >= least);
    Item::new("2.4.3 `source` of a pool")
        .bound("only these addresses, each at least 25 %")
        .n(sessions)
        .record(right, format!("{seen:?}"));
}
