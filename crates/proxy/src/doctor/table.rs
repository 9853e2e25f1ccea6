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
    /// When it is made.
    pub group: Group,
}

/// When a check is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Always.
    Usual,
    /// With `--migration`.
    Migration,
}

const fn check(name: &'static str, looks: &'static str, effect: &'static str) -> Check {
    Check { name, looks, effect, group: Group::Usual }
}

const fn migration(name: &'static str, looks: &'static str, effect: &'static str) -> Check {
    Check { name, looks, effect, group: Group::Migration }
}

/// All checks, in the order in which they are told.
pub static CHECKS: [Check; 41] = [
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
    migration(
        "haproxy-service",
        "HAProxy's unit and processes: masked or not, and what runs all the same; a unit's file where the mask would be; its drop-ins",
        "it starts at the next boot, or at an upgrade of its package, and takes the addresses",
    ),
    migration(
        "haproxy-renewal",
        "certificates: hooks and commands of certbot, acme.sh, dehydrated, acmetool, lego, certmonger",
        "the hook fails once HAProxy is masked, and what stands behind it in the same script is not done",
    ),
    migration(
        "haproxy-cron",
        "cron: `/etc/crontab`, `cron.d`, `cron.daily` and its like, tables of users, incron; and the scripts that they run",
        "the job fails once HAProxy is masked",
    ),
    migration(
        "haproxy-units",
        "units, timers and drop-ins of systemd, `init.d`, `rc.local`, hooks of the network, udev, cloud-init: what starts HAProxy, orders it, or depends on it",
        "what is ordered fails once HAProxy is masked",
    ),
    migration(
        "haproxy-watchdogs",
        "monit, supervisor, runit: what looks after HAProxy",
        "it takes HAProxy for failed, and tries to start it again and again",
    ),
    migration(
        "haproxy-containers",
        "static pods of kubelet, containers of Docker, quadlets, compose files: HAProxy from an image",
        "HAProxy comes back although its unit is masked, and takes a part of the connections, or all",
    ),
    migration(
        "haproxy-failover",
        "keepalived, Pacemaker, ucarp: checks that look for HAProxy or go through the balancer, and the scripts behind them",
        "the check fails when HAProxy is gone, or when no endpoint answers: this host lets go of the shared address",
    ),
    migration(
        "haproxy-syslog",
        "rsyslog, syslog-ng: the socket in HAProxy's chroot, and rules for its lines",
        "nothing arrives there any more; whoever reads that file sees silence",
    ),
    migration(
        "haproxy-logrotate",
        "logrotate: HAProxy's log, and what is run after it was rotated",
        "the order after a rotation fails once HAProxy is masked",
    ),
    migration(
        "haproxy-readers",
        "who reads its socket, its CSV or its log: telegraf, Zabbix, Prometheus exporters, Datadog, collectd, munin, Nagios, log shippers, fail2ban; members of its group; who is connected to its socket now",
        "it sees nothing any more, and tells nobody, or wakes somebody for nothing",
    ),
    migration(
        "haproxy-managed",
        "Ansible (facts, playbooks, `ansible-pull`), Puppet, Salt, Chef: what manages this host and knows HAProxy",
        "the next run installs, enables, unmasks or restarts HAProxy, or fails at it",
    ),
    migration(
        "haproxy-rights",
        "sudo, doas, polkit: who may order HAProxy",
        "who may reload HAProxy may do nothing to the service here, and the old right stays",
    ),
    migration(
        "haproxy-upgrades",
        "apt, unattended-upgrades, needrestart: what was said of HAProxy and would have to be said of the service here",
        "an upgrade or a restart comes at an hour at which HAProxy's did not",
    ),
    migration(
        "haproxy-files",
        "files that the configuration names: of HAProxy's user or group, or in its directories",
        "`apt purge haproxy` removes the user and the group: their numbers may go to somebody else, who then reads these files",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;
    use std::path::Path;

    const BEGIN: &str = "<!-- written by a test of the doctor, from its table -->\n";
    const MIGRATION: &str = "<!-- written by the same test: --migration -->\n";
    const END: &str = "<!-- end -->\n";

    fn render(wanted: Group) -> String {
        let mut text =
            String::from("| check | looks at | if something is wrong |\n|---|---|---|\n");
        for Check { name, looks, effect, group } in &CHECKS {
            if *group == wanted {
                let _ = writeln!(text, "| `{name}` | {looks} | {effect} |");
            }
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
        for (begin, group) in [(BEGIN, Group::Usual), (MIGRATION, Group::Migration)] {
            let page = std::fs::read_to_string(&path).unwrap();
            let (before, rest) = page.split_once(begin).unwrap();
            let (table, after) = rest.split_once(END).unwrap();
            if std::env::var_os("BLESS").is_some() {
                let text = format!("{before}{begin}{}{END}{after}", render(group));
                std::fs::write(&path, text).unwrap();
                continue;
            }
            assert_eq!(table, render(group), "BLESS=1 cargo test -p eclusa-proxy doctor");
        }
    }
}
