//! Endpoints that are known by name: what becomes of their verdicts when the name no longer
//! resolves, and of endpoints that it no longer has.

use crate::common::Balancer;
use crate::common::probed::{LIMIT, http, is_reset};
use crate::dns::Names;
use eclusa_config::plan::{Endpoint, EndpointAddress, Pool, Probe, Program, TlsProbe};
use eclusa_policy::verdict::{Reason, Settings, Verdict};
use eclusa_proxy::pool::Endpoint as Standing;
use eclusa_testkit::apiserver::{ApiServer, Settings as Master};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use eclusa_testkit::wait_until;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "masters.example";

/// Masters behind one name, and a balancer that resolves it five times a second.
struct Bed {
    // Before the namespaces: what runs in them has to end first.
    balancer: Balancer,
    masters: Vec<ApiServer>,
    names: Names,
    cluster: Cluster,
}

impl Bed {
    /// `named`: how many of three masters the name has at first.
    fn new(named: usize) -> Self {
        let cluster = Cluster::new(Shape { workers: 1, ..Shape::default() }).unwrap();
        let ca = Ca::new();
        let start = |host: &eclusa_testkit::netns::Host| {
            let settings = Master::new(host.name(), &ca.leaf(&["kubernetes"]));
            host.enter(|| ApiServer::start(host.at(6443), settings)).unwrap()
        };
        let masters: Vec<_> = cluster.masters().map(start).collect();
        let lb = cluster.host("lb");
        let names = Names::serve(&lb, NAME);
        let bed = |balancer| Self { balancer, masters, names, cluster };
        let start = || {
            Balancer::start(&[], |plan| {
                plan.program = Program::Apiserver;
                plan.pools[0] = Arc::new(Pool {
                    endpoints: [NAME, "never.example"].map(endpoint).to_vec(),
                    probe: Probe::Http(http(Some(&TlsProbe::default()))),
                    judge: Settings { slow_start: Duration::ZERO, ..Settings::apiserver() },
                    resolve_interval: Duration::from_millis(200),
                    ..(*plan.pools[0]).clone()
                });
            })
        };
        let bed = bed(lb.enter(start));
        bed.name_has(&(0..named).collect::<Vec<_>>());
        wait_until(LIMIT, "the verdicts", || {
            let verdicts = bed.verdicts();
            verdicts.len() == named && verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Up)
        });
        bed
    }

    fn name_has(&self, masters: &[usize]) {
        self.names.set(Some(&masters.iter().map(|index| self.ip(*index)).collect::<Vec<_>>()));
    }

    fn ip(&self, master: usize) -> Ipv4Addr {
        self.cluster.host(&format!("master{}", master + 1)).address()
    }

    fn verdicts(&self) -> Vec<(SocketAddr, Verdict)> {
        let endpoints = self.balancer.engine().status().pools[0].endpoints();
        endpoints.iter().map(|one| (one.address(), one.report().verdict)).collect()
    }

    fn wait_for(&self, master: usize, verdict: Verdict, reason: Reason) {
        let address = self.masters[master].address();
        let seen = || {
            let endpoints = self.balancer.engine().status().pools[0].endpoints();
            let one = endpoints.iter().find(|one| one.address() == address);
            let report = one.map(|one| one.report());
            report.is_some_and(|report| (report.verdict, report.reason) == (verdict, reason))
        };
        wait_until(LIMIT, &format!("{verdict:?} of master {master} for {reason:?}"), seen);
    }

    fn health(&self, master: usize) -> u64 {
        self.masters[master].counters().health
    }

    /// Waits until the master was asked a few times more.
    fn wait_for_probes(&self, master: usize) {
        let before = self.health(master);
        let what = format!("probes of master {master}");
        wait_until(LIMIT, &what, || self.health(master) >= before + 6);
    }

    fn connect(&self, sessions: u32) -> Vec<TcpStream> {
        let connect = || (0..sessions).map(|_| self.balancer.connect()).collect();
        self.cluster.host("lb").enter(connect)
    }

    /// What was told of a host name.
    fn told(&self, host: &str) -> Vec<String> {
        let events = self.balancer.events("resolve").into_iter();
        let own = events.filter(|event| event["host"] == host);
        own.map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn endpoint(host: &str) -> Endpoint {
    Endpoint {
        name: host.into(),
        address: EndpointAddress::Name { host: host.into(), port: 6443 },
        weight: 1,
        backup: false,
        sessions_max: None,
    }
}

/// The sessions that stand on each.
fn sessions(endpoints: &[Arc<Standing>]) -> Vec<u32> {
    endpoints.iter().map(|one| one.sessions()).collect()
}

/// Waits until so many sessions have their endpoint: a session counts as one from its accept on, a
/// moment before it is given one.
fn wait_for_leases(endpoints: &[Arc<Standing>], wanted: u32) {
    wait_until(LIMIT, "the leases", || sessions(endpoints).iter().sum::<u32>() == wanted);
}

#[test]
fn a_name_that_no_longer_resolves_keeps_its_addresses_probed_and_used() {
    if skipped("a_name_that_no_longer_resolves_keeps_its_addresses_probed_and_used") {
        return;
    }
    let bed = Bed::new(2);
    bed.names.set(None);
    for master in [0, 1] {
        bed.wait_for(master, Verdict::Unresolved, Reason::Unresolved);
        bed.wait_for_probes(master);
    }
    let mut standing = bed.connect(4);
    let endpoints = bed.balancer.engine().status().pools[0].endpoints();
    wait_for_leases(&endpoints, 4);
    assert!(endpoints.iter().all(|one| one.sessions() == 2), "new sessions go to both");
    // What its probes show stands above it.
    bed.masters[0].fault(|faults| faults.readyz = Some(500));
    bed.wait_for(0, Verdict::Draining, Reason::NotReady(500));
    standing.extend(bed.connect(2));
    wait_for_leases(&endpoints, 6);
    assert_eq!(endpoints[1].sessions(), 4, "new sessions go to the other");
    bed.masters[0].heal();
    bed.wait_for(0, Verdict::Unresolved, Reason::Unresolved);

    let asked = bed.names.asked();
    wait_until(LIMIT, "more rounds", || bed.names.asked() >= asked + 10);
    let told = bed.told(NAME);
    let last = told.last().unwrap();
    assert!(last.ends_with("its last known addresses are kept"), "{told:?}");
    let failures = told.iter().filter(|line| line.contains("last known")).count();
    assert_eq!(failures, 1, "{told:?}");

    bed.name_has(&[0, 1]);
    for master in [0, 1] {
        bed.wait_for(master, Verdict::Up, Reason::Answers);
    }
    let now = || bed.told(NAME).last().is_some_and(|line| line.ends_with("it resolves now"));
    wait_until(LIMIT, "the log", now);
    assert!(!standing.iter().any(is_reset));
    // The one that never resolved was told once, and made no other noise.
    let never = bed.told("never.example");
    assert_eq!(never.len(), 1, "{never:?}");
    assert!(never[0].ends_with("it has no address yet"), "{never:?}");
}

#[test]
fn a_removed_endpoint_is_probed_while_it_has_sessions() {
    if skipped("a_removed_endpoint_is_probed_while_it_has_sessions") {
        return;
    }
    let bed = Bed::new(3);
    let mut standing = bed.connect(9);
    // All three, those that are removed below included.
    let endpoints = bed.balancer.engine().status().pools[0].endpoints();
    wait_for_leases(&endpoints, 9);
    bed.name_has(&[0]);
    wait_until(LIMIT, "two to be removed", || bed.verdicts().len() == 1);
    for master in [1, 2] {
        bed.wait_for_probes(master);
    }
    let more = bed.connect(3);
    wait_for_leases(&endpoints, 12);
    assert_eq!(sessions(&endpoints), [6, 3, 3], "new sessions go to the one that is left");
    assert!(!standing.iter().chain(&more).any(is_reset));

    // It falls silent: its sessions are reset, though it is nobody's endpoint any more.
    bed.masters[1].fault(|faults| faults.silent = true);
    wait_until(LIMIT, "the resets", || {
        standing.retain(|stream| !is_reset(stream));
        standing.len() <= 6
    });
    bed.balancer.wait_for_sessions(9);
    assert!(!standing.iter().chain(&more).any(is_reset), "those of the others go on");
    let dead = |event: &serde_json::Value| {
        event["verdict"] == "dead" && event["address"] == bed.masters[1].address().to_string()
    };
    wait_until(LIMIT, "the log", || bed.balancer.events("verdict").iter().any(dead));

    // Without sessions it is forgotten, and its probes end.
    drop(standing);
    drop(more);
    bed.balancer.wait_for_sessions(0);
    wait_until(LIMIT, "the probes' connections to end", || bed.masters[2].counters().open == 0);
    let before = [bed.health(1), bed.health(2)];
    bed.wait_for_probes(0);
    assert_eq!([bed.health(1), bed.health(2)], before);
}
