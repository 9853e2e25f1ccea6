//! The document of `eclusa-edge`: pools, conditions, listeners with routes.

use super::condition::Conditions;
use super::layers::{self, Opened, PoolSpans};
use super::listener::{manner, networks, plain};
use super::overlap::Taken;
use super::route::{Pools, Routed};
use super::{dashboard, endpoint, general, http, observe, places, pool, route, tls};
use crate::diagnostic::Diagnostic;
use crate::plan::{
    Endpoint, EndpointAddress, ListenAddress, Listener, Peek, Plan, Pool, Probe, Program, Route,
};
use crate::reader::{Got, Reader};
use crate::reference::table as keys;
use crate::values;
use eclusa_policy::condition::Condition;
use ipnet::IpNet;
use std::collections::HashSet;
use std::sync::Arc;

pub(super) fn plan(top: &Reader<'_>) -> Plan {
    let general = general::read(top);
    let within = networks(top, &keys::UPSTREAMS_WITHIN);
    let conditions = Conditions::read(top);
    let mut taken = Taken::default();
    let observe = observe::read(top, &mut taken);
    let dashboard = dashboard::read(top, &mut taken);
    // Listeners first take their addresses, so that endpoints can be compared with them.
    let readers = top.named(&keys::LISTENERS, &keys::LISTENER);
    let addresses: Vec<_> = readers.iter().map(|(_, reader)| listen(reader, &mut taken)).collect();
    let (names, written) = pools(top, within, &taken);
    let names = Pools::new(names);
    let (errors, counters) = (http::errors(top), places::counters(top));
    let listeners: Vec<_> = readers
        .iter()
        .zip(addresses)
        .map(|((name, reader), addresses)| {
            let routes = route::read(reader, &names, &conditions);
            listener(name, reader, addresses, routes, (&conditions, &written))
        })
        .collect();
    if listeners.is_empty() && !top.has(&keys::LISTENERS) {
        top.report.absent(
            top.span,
            "no listener: there is nothing to do",
            "at least one `[listener.NAME]`, and a pool for it",
            "add `[listener.NAME]` with `listen` and `pool`, and `[pool.NAME]` with `endpoints`",
        );
    }
    if !top.report.has_errors() {
        names.report_unused(top.report);
        conditions.report_unused(top.report);
        conditions.places.report_uncounted(top);
    }
    Plan {
        program: Program::Edge,
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
        pools: written.pools,
        errors,
        counters,
        lists: Vec::new(),
    }
}

/// The pools, and where each has what not every listener can use.
struct Written {
    pools: Vec<Arc<Pool>>,
    spans: Vec<PoolSpans>,
}

fn pools(
    top: &Reader<'_>,
    within: Option<Vec<Got<IpNet>>>,
    taken: &Taken,
) -> (Vec<Got<Box<str>>>, Written) {
    let bound: Option<Arc<[IpNet]>> =
        within.as_ref().map(|networks| networks.iter().map(|network| network.value).collect());
    let (mut names, mut pools, mut spans) = (Vec::new(), Vec::new(), Vec::new());
    for (name, reader) in top.named(&keys::POOLS, &keys::POOL_SECTION) {
        let policy = pool::policy(&reader);
        let written = endpoint::read(&reader, &keys::ENDPOINTS, true);
        if let Some(within) = &within {
            endpoint::check_within(top.report, &written, within);
        }
        taken.check_endpoints(top.report, &written, 0);
        let endpoints = endpoint::of_pool(top.report, &written, 0);
        pool::check_queue(&reader, &written);
        if policy.replay.is_some() {
            check_replay(&reader, &endpoints);
        }
        pools.push(policy.pool(&name.value, endpoints, bound.clone()));
        names.push(name);
        spans.push(PoolSpans::of(&reader));
    }
    (names, Written { pools, spans })
}

/// A replay needs somebody to replay to.
fn check_replay(reader: &Reader<'_>, endpoints: &[Endpoint]) {
    if let [Endpoint { address: EndpointAddress::Socket(_), .. }] = endpoints
        && let Some(span) = reader.key_span(&keys::REPLAY)
    {
        reader.report.warning(
            span,
            "`replay` needs a second endpoint, and the pool has one",
            "a pool of at least two endpoints",
            "add an endpoint, or remove `replay`",
        );
    }
}

fn listen(reader: &Reader<'_>, taken: &mut Taken) -> Vec<ListenAddress> {
    let addresses = reader.texts(&keys::LISTEN, values::listen);
    let addresses = addresses.map(|got| got.value).unwrap_or_default();
    for address in &addresses {
        taken.take(reader.report, address.value, address.span);
    }
    plain(addresses).into_iter().map(|address| ListenAddress { address, optional: false }).collect()
}

fn listener(
    name: &Got<Box<str>>,
    reader: &Reader<'_>,
    addresses: Vec<ListenAddress>,
    routes: Vec<Routed>,
    (conditions, written): (&Conditions<'_>, &Written),
) -> Listener {
    let tls = tls::terminate(reader, http::is_spoken(reader));
    let spoken = http::read(reader, tls.as_ref(), conditions);
    let http = spoken.as_ref().map(|spoken| &spoken.http);
    let opened = Opened { tls: tls.as_ref(), http, has_tls: reader.has(&keys::TLS) };
    let rules = spoken.iter().flat_map(|spoken| spoken.rules.iter().zip(&spoken.http.rules));
    layers::check(reader, opened, &routes, rules.map(|(span, rule)| (*span, &rule.when)));
    let pools = &written.pools;
    layers::check_pools((reader, &name.value), opened, &routes, (pools, &written.spans));
    let peek = match (opened.has_tls, http) {
        (true, _) => Peek::Tls,
        (false, Some(_)) => Peek::None,
        (false, None) => peek(reader, &routes, pools),
    };
    check_ports(reader, &addresses, &routes);
    let manner = manner(reader);
    Listener {
        name: name.value.clone().into(),
        addresses,
        peek,
        preamble_timeout: manner.preamble_timeout,
        proxy_from: manner.proxy_from,
        access: manner.access,
        tls,
        http: spoken.map(|spoken| spoken.http),
        routes: routes
            .into_iter()
            .map(|Routed { when, target, .. }| Route { when, target })
            .collect(),
        idle_timeout: manner.idle_timeout,
        half_closed_timeout: manner.half_closed_timeout,
        dead_peer: manner.dead_peer,
        backlog: manner.backlog,
    }
}

/// What the listener waits for. Where nothing is written: the ClientHello, if something asks for
/// what it says or a pool's endpoints are known to speak TLS.
fn peek(reader: &Reader<'_>, routes: &[Routed], pools: &[Arc<Pool>]) -> Peek {
    let used = || {
        let pools = |routed: &'_ Routed| -> Vec<_> {
            routed.target.pools().filter_map(|index| pools.get(index)).collect()
        };
        routes.iter().flat_map(move |routed| pools(routed).into_iter().map(move |p| (routed, p)))
    };
    let asks = routes.iter().find(|routed| routed.when.needs_hello());
    let replays = used().find(|(_, pool)| pool.replay.is_some());
    let sends = used().find(|(_, pool)| {
        pool.send_proxy.is_some_and(|proxy| proxy.tlvs.alpn || proxy.tlvs.authority)
    });
    let Some(Got { value, span, .. }) = reader.choice(&keys::PEEK) else {
        let wanted = asks.is_some() || replays.is_some() || sends.is_some();
        let tls = wanted || used().any(|(_, pool)| speaks_tls(&pool.probe));
        return if tls { Peek::Tls } else { Peek::None };
    };
    if value == "tls" {
        return Peek::Tls;
    }
    let tell = |diagnostic: Diagnostic, routed: &Routed| {
        reader.report.push(diagnostic.with_related(routed.span, "the route"));
    };
    let remedy = "write `peek = \"tls\"`, or leave `peek` out";
    if let Some(routed) = asks {
        let message = "a route asks for `server_name`, which nobody knows without a ClientHello";
        let expected = "`peek = \"tls\"`, or routes without `server_name`";
        tell(Diagnostic::error(span, message, expected, remedy), routed);
    }
    if let Some((routed, pool)) = replays {
        let message = format!(
            "the pool `{}` has `replay = true`, and without waiting for the ClientHello there is \
             nothing to replay",
            pool.name
        );
        let expected = "`peek = \"tls\"`, or a pool without `replay`";
        tell(Diagnostic::error(span, &message, expected, remedy), routed);
    }
    if let Some((routed, pool)) = sends {
        let message = format!(
            "the pool `{}` sends `alpn` or `authority`, which nobody knows without a ClientHello",
            pool.name
        );
        let expected = "`peek = \"tls\"`, or a pool without these fields";
        tell(Diagnostic::warning(span, &message, expected, remedy), routed);
    }
    Peek::None
}

fn speaks_tls(probe: &Probe) -> bool {
    probe.tls().is_some()
}

/// Tells of routes that ask for ports on which nobody listens.
fn check_ports(reader: &Reader<'_>, addresses: &[ListenAddress], routes: &[Routed]) {
    // Behind a proxy the destination is what its header says.
    if reader.has(&keys::PROXY_FROM) || addresses.is_empty() {
        return;
    }
    let listened: HashSet<u16> = addresses.iter().map(|one| one.address.port()).collect();
    for routed in routes {
        let parts = match &routed.when {
            Condition::All(parts) => parts.as_slice(),
            other => std::slice::from_ref(other),
        };
        for part in parts {
            let Condition::Port(ports) = part else { continue };
            for port in ports.iter().filter(|port| !listened.contains(port)) {
                reader.report.warning(
                    routed.span,
                    &format!("the listener does not listen on port {port}"),
                    "a port of the listener's addresses",
                    "correct the port, or add an address with it to `listen`",
                );
            }
        }
    }
}
