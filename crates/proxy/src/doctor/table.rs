//! The one table of checks: `docs/doctor.md` is printed from it, and each finding takes from it what it
//! does to the service.

/// A check.
#[derive(Debug)]
pub struct Check {
    /// What it is called.
    pub name: &'static str,
    /// What it looks at, and what it takes for wrong.
    pub looks: &'static str,
    /// What it does to the service if something is.
    pub effect: &'static str,
}

const fn check(name: &'static str, looks: &'static str, effect: &'static str) -> Check {
    Check { name, looks, effect }
}

/// All checks, in the order in which they are told.
pub static CHECKS: [Check; 27] = [
    check(
        "configuration",
        "the file: what `check` would say of it, warnings too, such as an even number of masters",
        "an error: the next start or reload refuses it; a warning: it is taken, and may not do what was meant",
    ),
    check(
        "service",
        "whether the program runs and answers on its admin socket; workers that do not move; a stop under way",
        "nobody is served, or nobody can look and order",
    ),
    check(
        "unit",
        "where systemd is: state of the unit, restarts, drop-ins that are not loaded yet",
        "the next start does something else than this one did, or there is none",
    ),
    check(
        "reload",
        "the last reload was refused; one awaits confirmation; what is in force is not the file's",
        "what is in force is not what the file says",
    ),
    check(
        "pools",
        "pools of the running program that nobody can serve, or that are in panic",
        "sessions for this pool fail",
    ),
    check(
        "listeners",
        "each address of the file: who listens there, from `/proc/net/tcp`",
        "connections go to the other program, all or a part of them, or the next start is refused",
    ),
    check(
        "low-ports",
        "ports below `net.ipv4.ip_unprivileged_port_start` that the service's user may not listen on",
        "the start fails: permission denied",
    ),
    check(
        "addresses",
        "addresses to listen on that no interface of this host has",
        "none: they are listened on all the same, and serve as soon as they come (a VIP of keepalived)",
    ),
    check(
        "descriptors",
        "`RLIMIT_NOFILE` of the service against `sessions_max`: two descriptors for a session",
        "fewer sessions than the file wants; further clients wait in the kernel's queue",
    ),
    check(
        "accept-queue",
        "`net.core.somaxconn` against `backlog`",
        "in a burst of connections the kernel drops SYNs: clients wait a second or three",
    ),
    check(
        "syn-backlog",
        "`net.ipv4.tcp_max_syn_backlog` against `backlog`",
        "SYN cookies take over sooner, which cost options of TCP and nothing else",
    ),
    check(
        "local-ports",
        "`net.ipv4.ip_local_port_range`, times source addresses, against the sessions on one endpoint",
        "at the end of the ports new sessions to that endpoint fail (letters that begin with R)",
    ),
    check(
        "reserved-ports",
        "ports of listeners inside of that range and not in `net.ipv4.ip_local_reserved_ports`",
        "while the service does not run an outgoing connection may take such a port, and the next start is refused",
    ),
    check(
        "pipe-pages",
        "`fs.pipe-user-pages-soft`: memory for pipes of large transfers",
        "large transfers are copied, which costs processor time alone",
    ),
    check(
        "conntrack",
        "entries of the connection tracking against `net.netfilter.nf_conntrack_max`: a session takes two",
        "packets of new connections are dropped, for everybody on this host",
    ),
    check(
        "untouched",
        "`ip_nonlocal_bind`, `tcp_tw_reuse`, `tcp_fin_timeout`: settings that are better left as the kernel has them",
        "none that is good: addresses that are not here are bound without them, and TIME_WAIT is no shortage",
    ),
    check(
        "rp-filter",
        "strict reverse-path filter on a host with several legs",
        "answers and requests that do not take the same leg are dropped without a word",
    ),
    check(
        "ip-forward",
        "the edge: whether this host forwards packets",
        "whoever is in the DMZ may get past the balancer, into the networks behind this host",
    ),
    check(
        "files",
        "every file that the configuration names, and the directories on the way: readable for whom the service opens them as",
        "the next start or reload is refused, or a renewal is not taken",
    ),
    check(
        "secrets",
        "private keys, tokens and passwords that everybody on this host may read",
        "every user of this host can be the service",
    ),
    check(
        "certificates",
        "certificates of listeners: dates, key, order and end of the chain, names",
        "clients refuse the connection",
    ),
    check(
        "endpoints",
        "every endpoint, asked as traffic asks it, within 2 s",
        "sessions go to the others, or fail where there is none",
    ),
    check(
        "proxy-header",
        "every endpoint, asked with a PROXY header and without: which of the two it understands, against `send_proxy`",
        "every session to this endpoint fails, or it takes the balancer for the client",
    ),
    check(
        "endpoint-certificates",
        "certificates that masters show: dates, and whether the balancer's address, or `--name`, stands in them",
        "clients that verify refuse the master: x509: certificate is valid for ..., not ...",
    ),
    check(
        "cluster",
        "masters: who issued the certificate of each",
        "clients meet another cluster behind this address now and then",
    ),
    check(
        "clock",
        "the clock of this host: kept right by somebody, and the same as endpoints say in `Date`",
        "certificates and tokens seem expired or not valid yet; logs of two hosts cannot be laid side by side",
    ),
    check(
        "apiserver-reach",
        "the edge: whether port 6443 can be reached from here at endpoints, neighbours and `--apiserver` addresses",
        "who takes this host over can talk to the Kubernetes API: the firewall does not keep the DMZ from it",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;
    use std::path::Path;

    const BEGIN: &str = "<!-- written by a test of the doctor, from its table -->\n";
    const END: &str = "<!-- end -->\n";

    fn render() -> String {
        let mut text =
            String::from("| check | looks at | if something is wrong |\n|---|---|---|\n");
        for Check { name, looks, effect } in &CHECKS {
            let _ = writeln!(text, "| `{name}` | {looks} | {effect} |");
        }
        text
    }

    #[test]
    fn names_are_unique_and_nothing_is_left_empty() {
        for (index, one) in CHECKS.iter().enumerate() {
            assert!(CHECKS.iter().skip(index + 1).all(|other| other.name != one.name), "{one:?}");
            assert!(!one.looks.is_empty() && !one.effect.is_empty(), "{one:?}");
            assert!(!one.looks.contains('|') && !one.effect.contains('|'), "{one:?}");
        }
    }

    #[test]
    fn the_book_has_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/doctor.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (table, after) = rest.split_once(END).unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", render())).unwrap();
            return;
        }
        assert_eq!(table, render(), "BLESS=1 cargo test -p eclusa-proxy doctor");
    }
}
