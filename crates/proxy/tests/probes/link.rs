//! Our own link: a host whose cable is out has no evidence against anybody.

use crate::common::Balancer;
use crate::common::probed::{LIMIT, http, is_reset};
use eclusa_config::plan::{Pool, Probe, Program, TlsProbe};
use eclusa_policy::verdict::{Outcome, Settings, Verdict, VoidCause};
use eclusa_testkit::apiserver::{ApiServer, Settings as Master};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::netns::{Cluster, Network, Shape, skipped};
use eclusa_testkit::wait_until;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

const VOID: Outcome = Outcome::Void(VoidCause::NoRoute);

/// The last `count` results of every endpoint.
fn last(balancer: &Balancer, count: usize) -> Vec<Vec<Outcome>> {
    let endpoints = balancer.engine().status().pools[0].endpoints();
    let of = |history: Arc<eclusa_policy::verdict::History>| {
        history.iter().rev().take(count).map(|entry| entry.outcome).collect()
    };
    endpoints.iter().map(|endpoint| of(endpoint.results())).collect()
}

fn verdicts(balancer: &Balancer) -> Vec<Verdict> {
    let endpoints = balancer.engine().status().pools[0].endpoints();
    endpoints.iter().map(|endpoint| endpoint.report().verdict).collect()
}

#[test]
fn a_pulled_cable_of_our_own_is_no_evidence() {
    if skipped("a_pulled_cable_of_our_own_is_no_evidence") {
        return;
    }
    let cluster = Cluster::new(Shape { workers: 1, ..Shape::default() }).unwrap();
    let ca = Ca::new();
    let start = |host: &eclusa_testkit::netns::Host| {
        let settings = Master::new(host.name(), &ca.leaf(&["kubernetes"]));
        host.enter(|| ApiServer::start(host.at(6443), settings)).unwrap()
    };
    let masters: Vec<_> = cluster.masters().map(start).collect();
    let addresses: Vec<SocketAddr> = masters.iter().map(ApiServer::address).collect();
    let lb = cluster.host("lb");
    let balancer = lb.enter(|| {
        Balancer::start(&addresses, |plan| {
            plan.program = Program::Apiserver;
            let probe = Probe::Http(http(Some(&TlsProbe::default())));
            // A hold that is over soon: with it the brake of correlation would give up.
            let judge = Settings { hold: Duration::from_secs(2), ..Settings::apiserver() };
            plan.pools[0] = Arc::new(Pool { probe, judge, ..(*plan.pools[0]).clone() });
        })
    });
    wait_until(LIMIT, "all up", || verdicts(&balancer).iter().all(|v| *v == Verdict::Up));
    let standing: Vec<TcpStream> = lb.enter(|| (0..6).map(|_| balancer.connect()).collect());
    balancer.wait_for_sessions(6);

    lb.cable_out(Network::Cluster).unwrap();
    let void = || {
        assert_eq!(verdicts(&balancer), [Verdict::Up; 3], "{:?}", last(&balancer, 20));
        let results = last(&balancer, 6);
        results.iter().all(|results| results.len() == 6 && results.iter().all(|r| *r == VOID))
    };
    wait_until(Duration::from_secs(20), "six void results in a row of each", void);
    wait_until(LIMIT, "the log", || !balancer.events("void").is_empty());

    lb.cable_in(Network::Cluster).unwrap();
    let good = || last(&balancer, 1).iter().all(|results| results == &[Outcome::Good]);
    wait_until(LIMIT, "good results of each", good);
    assert_eq!(verdicts(&balancer), [Verdict::Up; 3]);
    assert!(!standing.iter().any(is_reset));
    assert!(balancer.events("resets").is_empty());
    let told = balancer.events("verdict");
    assert_eq!(told.len(), 3, "each came up, and that is all: {told:#?}");
    let void = balancer.events("void");
    assert_eq!(void.len(), 1, "{void:#?}");
    assert_eq!(void[0]["cause"], VoidCause::NoRoute.words());
}

#[test]
fn a_silent_endpoint_is_silent_while_our_link_is_up() {
    if skipped("a_silent_endpoint_is_silent_while_our_link_is_up") {
        return;
    }
    let cluster = Cluster::new(Shape { workers: 1, ..Shape::default() }).unwrap();
    let masters: Vec<_> = cluster.masters().cloned().collect();
    let ca = Ca::new();
    let start = |host: &eclusa_testkit::netns::Host| {
        let settings = Master::new(host.name(), &ca.leaf(&["kubernetes"]));
        host.enter(|| ApiServer::start(host.at(6443), settings)).unwrap()
    };
    let servers: Vec<_> = masters.iter().map(start).collect();
    let addresses: Vec<SocketAddr> = servers.iter().map(ApiServer::address).collect();
    let balancer = cluster.host("lb").enter(|| {
        Balancer::start(&addresses, |plan| {
            let probe = Probe::Http(http(Some(&TlsProbe::default())));
            let judge = Settings::apiserver();
            plan.pools[0] = Arc::new(Pool { probe, judge, ..(*plan.pools[0]).clone() });
        })
    });
    wait_until(LIMIT, "all up", || verdicts(&balancer).iter().all(|v| *v == Verdict::Up));
    masters[1].cable_out(Network::Cluster).unwrap();
    let expected = [Verdict::Up, Verdict::Dead, Verdict::Up];
    wait_until(LIMIT, "the verdict", || verdicts(&balancer) == expected);
    assert!(!last(&balancer, 20)[1].contains(&VOID), "{:?}", last(&balancer, 20));
}
