//! Who listens where, and whether the service may.

use super::kernel::{PORT_RANGE, RESERVED_PORTS, UNPRIVILEGED, port_range};
use super::set;
use crate::doctor::facts::Facts;
use crate::doctor::report::{Findings, Severity};
use crate::listening::Holder;
use eclusa_config::plan::{Plan, Program};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Bytes of a process' name that the kernel keeps (`TASK_COMM_LEN` of `linux/sched.h`, less its end).
const COMM: usize = 15;

pub(super) fn judge(facts: &Facts, out: &mut Findings) {
    listeners(facts, out);
    low_ports(facts, out);
    addresses(facts, out);
    reserved_ports(facts, out);
}

/// Every address that the file says, with the key that says it.
pub(crate) fn wanted(plan: &Plan) -> Vec<(String, SocketAddr)> {
    let listeners = plan.listeners.iter().flat_map(|listener| {
        let of = format!("listener {}", listener.name);
        listener.addresses.iter().map(move |listen| (of.clone(), listen.address))
    });
    let observe = plan.observe.listen.iter().map(|at| ("observe.listen".to_owned(), *at));
    let dashboard = plan.dashboard.listen.iter().map(|at| ("dashboard.listen".to_owned(), *at));
    listeners.chain(observe).chain(dashboard).collect()
}

/// The ports of listeners alone.
pub(crate) fn listener_ports(plan: &Plan) -> Vec<u16> {
    let addresses = plan.listeners.iter().flat_map(|listener| &listener.addresses);
    let ports: BTreeSet<u16> = addresses.map(|listen| listen.address.port()).collect();
    ports.into_iter().collect()
}

/// Whether a process is the service: by the name that it calls itself.
pub(crate) fn is_ours(program: Program, holder: &Holder) -> bool {
    let name = program.name();
    holder.name == name.get(..COMM).unwrap_or(name) || holder.name == name
}

fn listeners(facts: &Facts, out: &mut Findings) {
    let before = (out.findings.len(), out.skipped.len());
    for (of, address) in wanted(&facts.plan) {
        listener(facts, &of, address, out);
    }
    if (out.findings.len(), out.skipped.len()) == before {
        let count = wanted(&facts.plan).len();
        let who = if facts.service.runs { "the service listens" } else { "nobody is in the way" };
        let addresses = if count == 1 { "address" } else { "addresses" };
        out.fine("listeners", format!("{count} {addresses}: {who}"));
    }
}

/// Rows of the kernel's table in the way of an address: ours or foreign.
fn listener(facts: &Facts, of: &str, address: SocketAddr, out: &mut Findings) {
    let check = "listeners";
    let host = &facts.host;
    let taken = host.taken.contains(&address);
    // Whether a listener on all v6 addresses takes v4 as well stands in no table; trying it tells.
    let meets = |at: SocketAddr| taken || at.is_ipv4() == address.is_ipv4();
    let rows = host.listening.iter().filter(|(row, _)| row.is_in_the_way(address));
    let rows: Vec<_> = rows.filter(|(row, _)| meets(row.address)).collect();
    let (mut ours, mut unseen) = (false, false);
    for (row, holders) in &rows {
        if holders.is_empty() {
            unseen = true;
        } else if holders.iter().any(|holder| is_ours(facts.program, holder)) {
            ours = true;
        } else {
            let who: Vec<_> = holders.iter().map(ToString::to_string).collect();
            let found =
                format!("{of}: {address}: {} listens on {}", who.join(" and "), row.address);
            let pid = holders.first().map_or(0, |holder| holder.pid);
            let remedy = format!(
                "stop it (ps -fp {pid}; systemctl status {pid}), or let {of} listen elsewhere"
            );
            out.tell(check, Severity::Error, found, remedy);
        }
    }
    if unseen && !host.sees_all {
        return out.skip(check, "whose listeners these are only root sees: run it as root");
    }
    if facts.service.runs && !ours && !is_optional(facts, address) && host.sees_all {
        let found = format!("{of}: {address}: the service runs and does not listen there");
        let remedy = format!("{} plan; then {0} reload", facts.program.name());
        out.tell_that(check, Severity::Error, found, "nobody can connect there", remedy);
    }
}

fn is_optional(facts: &Facts, address: SocketAddr) -> bool {
    let mut all = facts.plan.listeners.iter().flat_map(|listener| &listener.addresses);
    all.any(|listen| listen.address == address && listen.optional)
}

fn low_ports(facts: &Facts, out: &mut Findings) {
    let check = "low-ports";
    let first = facts.host.number(UNPRIVILEGED).unwrap_or(1024);
    let low = |(_, address): &(String, SocketAddr)| u64::from(address.port()) < first;
    let ports: BTreeSet<u16> =
        wanted(&facts.plan).into_iter().filter(low).map(|(_, address)| address.port()).collect();
    if ports.is_empty() {
        return out.fine(check, format!("no port is below {first}"));
    }
    let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
    let ports = ports.join(", ");
    let Some(who) = &facts.service.who else {
        return out.skip(check, "as whom the service runs is not known: no service, no unit");
    };
    if who.uid == 0 || who.binds_all {
        return out.fine(check, format!("{} may listen on {ports}", who.name));
    }
    let remedy = format!(
        "systemctl edit {}: [Service] AmbientCapabilities=CAP_NET_BIND_SERVICE and \
         CapabilityBoundingSet=CAP_NET_BIND_SERVICE; then restart it",
        facts.program.name()
    );
    let found = format!("{} may not listen on {ports} (below {first})", who.name);
    out.tell(check, Severity::Error, found, remedy);
}

fn addresses(facts: &Facts, out: &mut Findings) {
    let check = "addresses";
    let mut elsewhere = BTreeSet::new();
    for (_, address) in wanted(&facts.plan) {
        let ip = address.ip();
        if !ip.is_unspecified() && !ip.is_loopback() && !facts.host.has(ip) {
            elsewhere.insert(ip);
        }
    }
    if elsewhere.is_empty() {
        return out.fine(check, "all addresses are this host's");
    }
    let list: Vec<_> = elsewhere.iter().map(ToString::to_string).collect();
    let remedy = "nothing, where keepalived or the like moves it here; else correct the address: ip \
                  -brief address";
    let found = format!("{} on no interface of this host", list.join(", "));
    out.tell(check, Severity::Advice, found, remedy);
}

fn reserved_ports(facts: &Facts, out: &mut Findings) {
    let check = "reserved-ports";
    let Some((first, last)) = port_range(&facts.host) else {
        return out.skip(check, format!("{PORT_RANGE} cannot be read"));
    };
    let reserved = facts.host.sysctls.get(RESERVED_PORTS).map_or("", String::as_str);
    let inside: BTreeSet<u16> = wanted(&facts.plan)
        .into_iter()
        .map(|(_, address)| address.port())
        .filter(|port| (first..=last).contains(&u64::from(*port)) && !holds(reserved, *port))
        .collect();
    if inside.is_empty() {
        return out.fine(check, format!("no port of ours lies in {first} to {last} unreserved"));
    }
    let ports: Vec<_> = inside.iter().map(ToString::to_string).collect();
    let ports = ports.join(",");
    let all = if reserved.is_empty() { ports.clone() } else { format!("{reserved},{ports}") };
    let found = format!("{ports} in {PORT_RANGE} = {first} {last}");
    out.tell(check, Severity::Advice, found, set(&format!("{RESERVED_PORTS} = {all}")));
}

/// Whether a list such as `1-3,7` has the port.
fn holds(list: &str, port: u16) -> bool {
    list.split(',').any(|part| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u16>().ok();
        matches!((number(from), number(to)), (Some(from), Some(to)) if (from..=to).contains(&port))
    })
}
