//! Each finding, from facts that are made up: that it is told, how bad it is, and that its remedy can be typed;
//! and that nothing is told of a host in order.

mod endpoints;
mod host;
mod migration;
mod service;

use super::*;
use crate::admin::{AdminStatus, EndpointStatus, LastReload, Moment, PoolStatus, StatusReport};
use crate::admin::{UnconfirmedStatus, WorkerStatus};
use crate::doctor::facts::{
    Answer, Asked, Host, NamedFile, Network, Service, Step, Told, UnitState, Who,
};
use crate::doctor::report::{Finding, Severity};
use crate::doctor::table::{CHECKS, Group};
use crate::doctor::unit::Unit;
use crate::layer7::{Examined, Look};
use crate::listening::{Holder, Listening};
use crate::probe::Seen;
use eclusa_config::Mode;
use eclusa_config::plan::Program;
use eclusa_sys::clock::ClockState;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;
/// Now, in seconds since 1970.
const NOW: i64 = 1_796_000_000;

const MASTERS: &str =
    "masters = [\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.13\"]\nlisten = [\"10.0.0.10\"]\n";
const EDGE: &str = "[listener.web]\nlisten = [\"192.168.1.2:443\"]\npool = \"web\"\n[pool.web]\n\
                    endpoints = [\"10.0.1.100:443\"]\n";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs())
}

/// A host in order with a service in order that has this file.
fn facts(program: Program, text: &str) -> Facts {
    let loaded = eclusa_config::parse(program, "a.toml", text, Mode::Offline);
    let plan = loaded.unwrap_or_else(|errors| panic!("{errors}")).plan;
    let holder =
        Holder { name: program.name()[..program.name().len().min(15)].to_owned(), pid: 12 };
    let listening = wanted(&plan).into_iter().enumerate();
    let listening = listening.map(|(inode, (_, address))| {
        (Listening { address, inode: inode as u64 }, vec![holder.clone()])
    });
    let listening = listening.collect();
    let asked = plan.pools.iter().flat_map(|pool| {
        let pool_name = pool.name.clone();
        pool.endpoints
            .iter()
            .map(move |endpoint| asked(&pool_name, &endpoint.name, &endpoint.address.to_string()))
    });
    let asked = asked.collect();
    Facts {
        program,
        file: PathBuf::from("/etc/eclusa/a.toml"),
        now: now(),
        told: Vec::new(),
        host: Host { listening, ..host(program) },
        service: service(program),
        files: Vec::new(),
        examined: Vec::new(),
        network: Some(Network {
            asked,
            apiservers: vec![("10.0.0.11".parse().unwrap(), false)],
            ..Network::default()
        }),
        names: Vec::new(),
        migration: None,
        plan,
    }
}

fn host(program: Program) -> Host {
    let sysctls = [
        ("net.core.somaxconn", "4096"),
        ("net.ipv4.tcp_max_syn_backlog", "4096"),
        ("net.ipv4.ip_local_port_range", "32768\t60999"),
        ("fs.pipe-user-pages-soft", "16384"),
        ("net.netfilter.nf_conntrack_max", "262144"),
        ("net.netfilter.nf_conntrack_count", "1000"),
        ("net.ipv4.ip_nonlocal_bind", "0"),
        ("net.ipv4.tcp_tw_reuse", "2"),
        ("net.ipv4.tcp_fin_timeout", "60"),
        ("net.ipv4.conf.all.rp_filter", "0"),
        ("net.ipv4.ip_forward", "0"),
        ("net.ipv6.conf.all.forwarding", "0"),
        ("net.ipv4.ip_local_reserved_ports", ""),
        ("net.ipv4.ip_unprivileged_port_start", "1024"),
    ];
    assert_eq!(sysctls.map(|(name, _)| name), SYSCTLS);
    let networks: &[(&str, u8)] = match program {
        Program::Apiserver => &[("127.0.0.1", 8), ("10.0.0.10", 22)],
        Program::Edge => &[("127.0.0.1", 8), ("192.168.1.2", 24), ("10.0.0.9", 22)],
    };
    Host {
        sysctls: sysctls.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        networks: networks.iter().map(|(ip, bits)| (ip.parse().unwrap(), *bits)).collect(),
        rp_filters: vec![("dmz".into(), 0), ("cluster".into(), 2)],
        default_routes: 1,
        clock: Some(ClockState { synchronised: true, error_max: Duration::from_millis(5) }),
        sees_all: true,
        ..Host::default()
    }
}

fn service(program: Program) -> Service {
    let status = StatusReport {
        program: program.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: 12,
        generation: 1,
        at: Moment::from_unix(NOW.unsigned_abs()),
        uptime_seconds: 100,
        stopping: false,
        last_reload: None,
        file_refused: None,
        gone_back: None,
        unconfirmed: None,
        workers: vec![WorkerStatus { alive: true, sessions: 3 }],
        listeners: Vec::new(),
        pools: Vec::new(),
        certificates: Vec::new(),
        overrides: Vec::new(),
        drill: None,
    };
    Service {
        status: Ok(Box::new(status)),
        runs: true,
        descriptors: Some((524_288, "process 12".to_owned())),
        who: Some(Who {
            name: "user eclusa".to_owned(),
            uid: 990,
            groups: vec![990],
            reads_all: program == Program::Edge,
            binds_all: program == Program::Edge,
        }),
        unit: Some(Unit { hides_home: true, own_tmp: true, ..Unit::default() }),
        systemd: Some(UnitState {
            load: "loaded".into(),
            active: "active".into(),
            sub: "running".into(),
            file: "enabled".into(),
            ..UnitState::default()
        }),
    }
}

fn asked(pool: &str, name: &str, address: &str) -> Asked {
    Asked {
        pool: pool.into(),
        name: name.into(),
        address: address.parse().unwrap(),
        send_proxy: None,
        without: Answer::Understood("TLS".into()),
        with: Answer::Closed,
        certificate: Some(seen("cluster-ca", "aa")),
        clock_ahead: Some(-400),
    }
}

fn seen(issuer: &str, key: &str) -> Seen {
    Seen {
        subject: "CN=kube-apiserver".into(),
        issuer: format!("CN={issuer}"),
        authority: Some(key.repeat(20)),
        dns_names: vec!["kubernetes".into(), "*.k8s.test".into()],
        addresses: vec!["10.0.0.10".parse().unwrap()],
        not_before: NOW - 10 * DAY,
        not_after: NOW + 300 * DAY,
    }
}

/// The one thing that a check tells of facts that are in order but for `change`.
#[track_caller]
fn told(program: Program, text: &str, check: &str, change: impl FnOnce(&mut Facts)) -> Finding {
    let mut facts = facts(program, text);
    change(&mut facts);
    let found = judge(&facts);
    let bad: Vec<_> =
        found.of(check).into_iter().filter(|it| it.severity != Severity::Ok).collect();
    assert_eq!(bad.len(), 1, "{check}: {found:#?}");
    assert!(!bad[0].effect.is_empty() && !bad[0].remedy.is_empty(), "{:?}", bad[0]);
    bad[0].clone()
}

#[track_caller]
fn has(finding: &Finding, severity: Severity, words: &[&str]) {
    let text = format!("{} | {} | {}", finding.found, finding.effect, finding.remedy);
    assert_eq!(finding.severity, severity, "{text}");
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}

fn sysctl(facts: &mut Facts, name: &str, value: &str) {
    facts.host.sysctls.insert(name.to_owned(), value.to_owned());
}

fn status(facts: &mut Facts) -> &mut StatusReport {
    facts.service.status.as_mut().unwrap()
}

fn endpoint(name: &str, sessions: u64) -> EndpointStatus {
    EndpointStatus {
        name: name.to_owned(),
        address: "10.0.1.100:443".parse().unwrap(),
        verdict: "dead".to_owned(),
        why: "refused".to_owned(),
        since: Moment::from_unix(0),
        blind: false,
        correlated: false,
        admin: AdminStatus::default(),
        weight: 1,
        file_weight: None,
        backup: false,
        sessions,
        failures: 0,
        results: String::new(),
    }
}

fn pool(name: &str, availability: &str, endpoints: Vec<EndpointStatus>) -> PoolStatus {
    let (name, availability) = (name.to_owned(), availability.to_owned());
    PoolStatus { name, availability, correlated: false, quorum: None, queued: 0, endpoints }
}

fn first(facts: &mut Facts) -> &mut Asked {
    &mut facts.network.as_mut().unwrap().asked[0]
}

#[test]
fn nothing_is_told_of_a_host_in_order() {
    for (program, text) in [(Program::Apiserver, MASTERS), (Program::Edge, EDGE)] {
        let found = judge(&facts(program, text));
        assert_eq!(found.worst(), Severity::Ok, "{found:#?}");
        assert_eq!(found.skipped, [], "{found:#?}");
        // Each check has its say, and none but those of the table.
        for check in &CHECKS {
            let edge_alone = ["ip-forward", "apiserver-reach"].contains(&check.name);
            let masters_alone = check.name == "cluster";
            let silent = match program {
                Program::Apiserver => edge_alone,
                Program::Edge => masters_alone,
            };
            let silent = silent || check.group == Group::Migration;
            assert_eq!(found.of(check.name).is_empty(), silent, "{}: {found:#?}", check.name);
        }
    }
}

#[test]
fn offline_nobody_is_asked_and_that_is_said() {
    let mut alone = facts(Program::Edge, EDGE);
    alone.network = None;
    let found = judge(&alone);
    assert_eq!(found.worst(), Severity::Ok);
    for check in ["endpoints", "proxy-header", "endpoint-certificates", "apiserver-reach"] {
        assert!(found.skipped.iter().any(|it| it.check == check), "{check}");
    }
}
