//! The document of `eclusa-apiserver`: masters and their ports. Each port becomes a listener and a
//! pool.

use super::listener::{Manner, manner};
use super::overlap::Taken;
use super::{dashboard, endpoint, general, observe, pool};
use crate::diagnostic::Diagnostic;
use crate::document::Span;
use crate::plan::{ListenAddress, Listener, Peek, Plan, Program, Route};
use crate::reader::{Got, Reader};
use crate::reference::table as keys;
use crate::values::{self, Host, ListenHost};
use eclusa_policy::condition::Condition;
use eclusa_policy::route::Target;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Sessions of the API that say nothing for this long are normal.
const SHORT_IDLE: Duration = Duration::from_secs(300);

pub(super) fn plan(top: &Reader<'_>) -> Plan {
    let general = general::read(top);
    let ports = ports(top);
    let masters = endpoint::read(top, &keys::MASTERS, false);
    check_own_ports(top, &masters, &ports);
    check_count(top, &masters);
    let manner = manner(top);
    check_idle(top, &manner);
    let policy = pool::policy(top);
    pool::check_queue(top, &masters);
    let hosts = top.texts(&keys::LISTEN_HOSTS, values::listen_host);
    let hosts = hosts.map(|got| got.value).unwrap_or_default();
    let mut taken = Taken::default();
    let observe = observe::read(top, &mut taken);
    let dashboard = dashboard::read(top, &mut taken);
    let (mut listeners, mut pools) = (Vec::new(), Vec::new());
    for (index, port) in ports.iter().enumerate() {
        let name = match index {
            0 => "apiserver".to_owned(),
            _ => format!("apiserver-{}", port.value),
        };
        let addresses = addresses(top, &hosts, port.value, ports.len() == 1, &mut taken);
        listeners.push(listener(&name, addresses, &manner, index));
        let endpoints = if index == 0 {
            endpoint::of_pool(top.report, &masters, port.value)
        } else {
            // What is wrong with them has been told once.
            masters.iter().map(|master| master.with_port(port.value)).collect()
        };
        pools.push(policy.pool(&name, endpoints, None));
    }
    for port in &ports {
        taken.check_endpoints(top.report, &masters, port.value);
    }
    Plan {
        program: Program::Apiserver,
        workers: general.workers,
        sessions_max: general.sessions_max,
        run_directory: general.run_directory,
        stop_deadline: general.stop_deadline,
        lame_duck: general.lame_duck,
        allow_shrink: general.allow_shrink,
        confine: general.confine,
        admin: general.admin,
        haproxy_socket: general.haproxy_socket,
        log: general.log,
        observe,
        dashboard,
        listeners,
        pools,
        errors: Vec::new(),
        counters: Vec::new(),
        lists: Vec::new(),
    }
}

fn ports(top: &Reader<'_>) -> Vec<Got<u16>> {
    let written = top.integers(&keys::PORTS).map(|got| got.value).unwrap_or_default();
    let mut seen: HashMap<u16, Span> = HashMap::new();
    let mut ports = Vec::new();
    for got in written {
        let Ok(port) = u16::try_from(got.value) else { continue };
        if let Some(first) = seen.insert(port, got.span) {
            top.report.push(
                Diagnostic::error(
                    got.span,
                    &format!("port {port} is there twice"),
                    "each port once",
                    "remove one of the two",
                )
                .with_related(first, "the first"),
            );
            continue;
        }
        ports.push(got.map(|_| port));
    }
    ports
}

fn check_own_ports(top: &Reader<'_>, masters: &[endpoint::Written], ports: &[Got<u16>]) {
    if ports.len() < 2 {
        return;
    }
    for master in masters.iter().filter(|master| master.at.port.is_some()) {
        top.report.push(
            Diagnostic::error(
                master.span,
                "a port of its own, and several `ports`: nobody can tell which it stands for",
                "masters without ports, or one entry in `ports`",
                "remove the port from the master",
            )
            .with_related(ports.first().map_or(top.span, |port| port.span), "`ports`"),
        );
    }
}

/// etcd decides by majority; the number of masters says what may fail.
fn check_count(top: &Reader<'_>, masters: &[endpoint::Written]) {
    let Some(span) = top.key_span(&keys::MASTERS) else { return };
    let count = masters.len();
    let named = masters.iter().any(|master| matches!(master.at.host, Host::Name(_)));
    if count == 1 && !named {
        top.report.warning(
            span,
            "one master: nothing takes its place when it fails",
            "three masters, or five",
            "add the other masters, if there are any",
        );
    } else if count > 0 && count.is_multiple_of(2) {
        let quorum = count / 2 + 1;
        top.report.warning(
            span,
            &format!(
                "{count} masters: etcd needs {quorum} of {count} to agree, so {count} bear no more \
                 failures ({}) than {} would",
                count - quorum,
                count - 1
            ),
            "an odd number of masters",
            "add a master or remove one, unless this is a step on the way",
        );
    }
}

fn check_idle(top: &Reader<'_>, manner: &Manner) {
    let Some(span) = top.key_span(&keys::IDLE_TIMEOUT) else { return };
    if manner.idle_timeout.is_some_and(|idle| idle < SHORT_IDLE) {
        top.report.warning(
            span,
            "a short `idle_timeout` cuts `kubectl exec`, `kubectl logs -f` and quiet watches",
            "\"never\", or at least \"5m\"",
            "remove it: peers that have vanished are found by `dead_peer`",
        );
    }
}

fn addresses(
    top: &Reader<'_>,
    hosts: &[Got<ListenHost>],
    port: u16,
    single: bool,
    taken: &mut Taken,
) -> Vec<ListenAddress> {
    let mut addresses = Vec::new();
    for host in hosts {
        if host.value.port.is_some() && !single {
            top.report.error(
                host.span,
                "an address with a port, and several `ports`",
                "addresses without ports, or one entry in `ports`",
                "remove the port from the address",
            );
            continue;
        }
        let address = SocketAddr::new(host.value.address, host.value.port.unwrap_or(port));
        taken.take(top.report, address, host.span);
        let unspecified_v6 = matches!(address.ip(), IpAddr::V6(ip) if ip.is_unspecified());
        addresses.push(ListenAddress { address, optional: !host.written && unspecified_v6 });
    }
    addresses
}

fn listener(name: &str, addresses: Vec<ListenAddress>, manner: &Manner, pool: usize) -> Listener {
    let manner = manner.clone();
    Listener {
        name: name.into(),
        addresses,
        peek: Peek::Tls,
        preamble_timeout: manner.preamble_timeout,
        proxy_from: manner.proxy_from,
        access: manner.access,
        tls: None,
        http: None,
        routes: vec![Route { when: Condition::Always, target: Target::Pool(pool) }],
        idle_timeout: manner.idle_timeout,
        half_closed_timeout: manner.half_closed_timeout,
        dead_peer: manner.dead_peer,
        backlog: manner.backlog,
    }
}
