//! Settings of the kernel and limits, against what the file needs. What they are for stands in
//! `docs/tuning.md`; those that can be set in `systemd/eclusa.sysctl`.

use super::set;
use crate::doctor::facts::{Facts, Host};
use crate::doctor::report::{Findings, Severity};
use crate::engine::sessions_possible;
use eclusa_config::diagnostic::counted;
use eclusa_config::plan::{Plan, Pool, Program};

const SOMAXCONN: &str = "net.core.somaxconn";
const SYN_BACKLOG: &str = "net.ipv4.tcp_max_syn_backlog";
pub(super) const PORT_RANGE: &str = "net.ipv4.ip_local_port_range";
const PIPE_PAGES: &str = "fs.pipe-user-pages-soft";
const CONNTRACK_MAX: &str = "net.netfilter.nf_conntrack_max";
const CONNTRACK_COUNT: &str = "net.netfilter.nf_conntrack_count";
const NONLOCAL_BIND: &str = "net.ipv4.ip_nonlocal_bind";
const TW_REUSE: &str = "net.ipv4.tcp_tw_reuse";
const FIN_TIMEOUT: &str = "net.ipv4.tcp_fin_timeout";
const RP_FILTER: &str = "net.ipv4.conf.all.rp_filter";
const FORWARD: &str = "net.ipv4.ip_forward";
const FORWARD_V6: &str = "net.ipv6.conf.all.forwarding";
pub(super) const RESERVED_PORTS: &str = "net.ipv4.ip_local_reserved_ports";
pub(super) const UNPRIVILEGED: &str = "net.ipv4.ip_unprivileged_port_start";

/// All settings that are read.
pub(crate) const SYSCTLS: [&str; 14] = [
    SOMAXCONN,
    SYN_BACKLOG,
    PORT_RANGE,
    PIPE_PAGES,
    CONNTRACK_MAX,
    CONNTRACK_COUNT,
    NONLOCAL_BIND,
    TW_REUSE,
    FIN_TIMEOUT,
    RP_FILTER,
    FORWARD,
    FORWARD_V6,
    RESERVED_PORTS,
    UNPRIVILEGED,
];

/// What the kernel allows the pipes of one user as it comes.
const PIPE_PAGES_USUAL: u64 = 16_384;
/// Pages of one pipe.
const PIPE_PAGES_EACH: u64 = 64;
/// What `tcp_fin_timeout` is as the kernel comes, in seconds.
const FIN_TIMEOUT_USUAL: u64 = 60;
/// A table or a range that is fuller than so many percent is told.
const FULL_PERCENT: u64 = 70;
/// And from here on it is bad.
const TOO_FULL_PERCENT: u64 = 90;

pub(super) fn judge(facts: &Facts, out: &mut Findings) {
    let (host, plan) = (&facts.host, &facts.plan);
    descriptors(facts, out);
    queues(host, plan, out);
    local_ports(facts, out);
    pipes(host, out);
    conntrack(host, plan, out);
    untouched(host, out);
    rp_filter(host, out);
    if facts.program == Program::Edge {
        forwarding(host, out);
    }
}

fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}

fn descriptors(facts: &Facts, out: &mut Findings) {
    let check = "descriptors";
    let Some((limit, from)) = &facts.service.descriptors else {
        return out.skip(check, "neither a running service nor its unit says its limit");
    };
    let (by_default, possible) = sessions_possible(&facts.plan, *limit);
    match facts.plan.sessions_max {
        Some(wanted) if wanted > possible => {
            // Two each, and what is nobody's.
            let needed = *limit + 2 * (wanted - possible) as u64;
            let remedy = format!(
                "systemctl edit {}: [Service] LimitNOFILE={needed}; then restart it",
                facts.program.name()
            );
            let found = format!(
                "sessions_max = {wanted} needs {needed} descriptors, {from} has {limit}: \
                 {possible} sessions"
            );
            out.tell(check, Severity::Error, found, remedy);
        }
        Some(wanted) => out.fine(check, format!("{limit} ({from}), enough for {wanted} sessions")),
        None => out.fine(check, format!("{limit} ({from}): {by_default} sessions")),
    }
}

/// The longest accept queue that the file asks for.
fn backlog(plan: &Plan) -> u64 {
    plan.listeners.iter().map(|listener| u64::from(listener.backlog)).max().unwrap_or(0)
}

fn queues(host: &Host, plan: &Plan, out: &mut Findings) {
    let wanted = backlog(plan);
    for (check, name, severity) in [
        ("accept-queue", SOMAXCONN, Severity::Warning),
        ("syn-backlog", SYN_BACKLOG, Severity::Advice),
    ] {
        match host.number(name) {
            None => out.skip(check, format!("this kernel, or this namespace, has no {name}")),
            Some(value) if value < wanted => {
                let found = format!("{name} = {value}, and `backlog` is {wanted}");
                out.tell(check, severity, found, set(&format!("{name} = {wanted}")));
            }
            Some(value) => out.fine(check, format!("{name} = {value}, `backlog` is {wanted}")),
        }
    }
}

/// The first and the last port of the range.
pub(super) fn port_range(host: &Host) -> Option<(u64, u64)> {
    let mut words = host.sysctls.get(PORT_RANGE)?.split_ascii_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

fn local_ports(facts: &Facts, out: &mut Findings) {
    let check = "local-ports";
    let Some((first, last)) = port_range(&facts.host) else {
        return out.skip(check, format!("{PORT_RANGE} cannot be read"));
    };
    let ports = last.saturating_sub(first) + 1;
    let wider = set(&format!("{PORT_RANGE} = 10000 65535"));
    let before = out.findings.len();
    // Each endpoint may have to take all when the others are gone.
    let narrow = facts.plan.pools.iter().find(|pool| {
        let room = ports * pool.source.len().max(1) as u64;
        facts.plan.sessions_max.is_some_and(|wanted| wanted as u64 > room)
    });
    if let (Some(pool), Some(wanted)) = (narrow, facts.plan.sessions_max) {
        let found = format!("{}; sessions_max = {wanted}", room_of(pool, (first, last)));
        let remedy = format!("give [pool.{}] `source` with more addresses, or: {wider}", pool.name);
        out.tell(check, Severity::Advice, found, remedy);
    }
    for pool in &facts.plan.pools {
        let Ok(status) = &facts.service.status else { continue };
        let running = status.pools.iter().filter(|it| it.name == *pool.name);
        let most = running.flat_map(|it| &it.endpoints).max_by_key(|it| it.sessions);
        let Some(most) = most else { continue };
        let used = percent(most.sessions, ports * pool.source.len().max(1) as u64);
        if used >= FULL_PERCENT {
            let of = room_of(pool, (first, last));
            let found = format!("{of}; {} has {} now ({used} %)", most.name, most.sessions);
            let remedy =
                format!("give [pool.{}] `source` with more addresses, or: {wider}", pool.name);
            let bad = used >= TOO_FULL_PERCENT;
            out.tell(check, if bad { Severity::Error } else { Severity::Warning }, found, remedy);
        }
    }
    if out.findings.len() == before {
        out.fine(check, format!("{PORT_RANGE} = {first} {last}: {ports} for each source address"));
    }
}

/// How many sessions there can be with one endpoint of a pool, in words.
fn room_of(pool: &Pool, (first, last): (u64, u64)) -> String {
    let sources = pool.source.len().max(1);
    let room = (last.saturating_sub(first) + 1) * sources as u64;
    let addresses = if sources == 1 { "address" } else { "addresses" };
    format!(
        "{PORT_RANGE} = {first} {last}, pool {} has {sources} source {addresses}: {room} sessions to an \
         endpoint",
        pool.name
    )
}

fn pipes(host: &Host, out: &mut Findings) {
    let check = "pipe-pages";
    match host.number(PIPE_PAGES) {
        None => out.skip(check, format!("{PIPE_PAGES} cannot be read")),
        // 0: no bound.
        Some(pages) if pages != 0 && pages < PIPE_PAGES_USUAL => {
            let found = format!("{PIPE_PAGES} = {pages}: {} pipes", pages / PIPE_PAGES_EACH);
            let remedy = set(&format!("{PIPE_PAGES} = {PIPE_PAGES_USUAL}"));
            out.tell(check, Severity::Advice, found, remedy);
        }
        Some(pages) => out.fine(check, format!("{PIPE_PAGES} = {pages}")),
    }
}

fn conntrack(host: &Host, plan: &Plan, out: &mut Findings) {
    let check = "conntrack";
    let Some(most) = host.number(CONNTRACK_MAX) else {
        return out.fine(check, "connections are not tracked here");
    };
    let count = host.number(CONNTRACK_COUNT).unwrap_or(0);
    let used = percent(count, most);
    let wanted = plan.sessions_max.map(|sessions| 2 * sessions as u64);
    let found = format!("{CONNTRACK_MAX} = {most}, {count} entries now ({used} %)");
    let remedy = |most: u64| set(&format!("{CONNTRACK_MAX} = {most}"));
    if used >= FULL_PERCENT {
        let bad = used >= TOO_FULL_PERCENT;
        let severity = if bad { Severity::Error } else { Severity::Warning };
        out.tell(check, severity, found, remedy(most.saturating_mul(2)));
    } else if let Some(wanted) = wanted.filter(|wanted| *wanted > most) {
        let found = format!("{found}; sessions_max takes {wanted}");
        out.tell(check, Severity::Advice, found, remedy(wanted.next_power_of_two()));
    } else {
        out.fine(check, found);
    }
}

fn untouched(host: &Host, out: &mut Findings) {
    let check = "untouched";
    let mut told = false;
    let mut tell = |name: &str, value: u64, usual: u64| {
        told = true;
        let found = format!("{name} = {value}");
        let remedy = format!(
            "take it out of /etc/sysctl.d unless another program needs it; until then: sysctl -w \
             {name}={usual}"
        );
        out.tell(check, Severity::Advice, found, remedy);
    };
    if let Some(value) = host.number(NONLOCAL_BIND).filter(|value| *value != 0) {
        tell(NONLOCAL_BIND, value, 0);
    }
    // 2 is the kernel's: on the loopback alone.
    if let Some(value) = host.number(TW_REUSE).filter(|value| *value == 1) {
        tell(TW_REUSE, value, 2);
    }
    if let Some(value) = host.number(FIN_TIMEOUT).filter(|value| *value < FIN_TIMEOUT_USUAL) {
        tell(FIN_TIMEOUT, value, FIN_TIMEOUT_USUAL);
    }
    if !told {
        out.fine(check, "ip_nonlocal_bind, tcp_tw_reuse and tcp_fin_timeout are the kernel's");
    }
}

/// The networks of this host that it has a leg in.
fn leg_count(host: &Host) -> usize {
    let network = |(address, bits): &(std::net::IpAddr, u8)| {
        Some(ipnet::IpNet::new(*address, *bits).ok()?.trunc())
    };
    // A virtual address is no leg.
    let legs = host.legs().filter(|(address, bits)| address.is_ipv4() && *bits < 32);
    let mut networks: Vec<_> = legs.filter_map(network).collect();
    networks.sort();
    networks.dedup();
    networks.len()
}

fn rp_filter(host: &Host, out: &mut Findings) {
    let check = "rp-filter";
    let all = host.number(RP_FILTER).unwrap_or(0);
    // What holds for an interface is the larger of the two (ip-sysctl).
    let strict = host.rp_filters.iter().filter(|(_, own)| u64::from(*own).max(all) == 1);
    let strict: Vec<_> = strict.map(|(name, _)| name.as_str()).collect();
    let legs = leg_count(host);
    if legs < 2 || strict.is_empty() {
        let how = if strict.is_empty() { "not strict" } else { "strict" };
        return out.fine(check, format!("{how}, in {}", counted(legs, "network")));
    }
    let routes = host.default_routes;
    let found = format!(
        "strict on {}; this host is in {legs} networks and has {routes} default {}",
        strict.join(", "),
        if routes == 1 { "route" } else { "routes" }
    );
    let severity = if routes > 1 { Severity::Warning } else { Severity::Advice };
    out.tell(check, severity, found, set(&format!("{RP_FILTER} = 2")));
}

fn forwarding(host: &Host, out: &mut Findings) {
    let check = "ip-forward";
    let on: Vec<_> = [FORWARD, FORWARD_V6]
        .into_iter()
        .filter(|name| host.number(name).is_some_and(|value| value != 0))
        .collect();
    if on.is_empty() {
        return out.fine(check, "this host forwards no packets");
    }
    let legs = leg_count(host);
    let severity = if legs > 1 { Severity::Error } else { Severity::Warning };
    let found = format!("{} = 1; this host is in {}", on.join(" = 1, "), counted(legs, "network"));
    let lines: Vec<_> = on.iter().map(|name| set(&format!("{name} = 0"))).collect();
    out.tell(check, severity, found, lines.join(" && "));
}
