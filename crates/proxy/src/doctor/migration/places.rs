//! Where on a host something may have to do with HAProxy: the one table of places.

/// How comments of a file begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comments {
    /// `#`
    Hash,
    /// `#` and `;`: units of systemd, and what looks like them.
    Unit,
    /// `#` and `!`: keepalived.
    Bang,
    /// `#` and `//`: apt, polkit.
    Slashes,
    /// There are none: XML, JSON.
    None,
}

/// Which files count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Those that may be run: scripts of a directory that is run as a whole.
    Run,
    /// Those whose name ends so.
    End(&'static [&'static str]),
    /// Those that are called so.
    Named(&'static [&'static str]),
}

/// A file, or a directory with what is in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The check of the table that tells what is found here.
    pub(super) check: &'static str,
    /// `~` stands for the home of root.
    pub(super) path: &'static str,
    /// How deep it is looked into; 0: it is a file.
    pub(super) depth: usize,
    pub(super) which: Which,
    pub(super) comments: Comments,
    /// Scripts that it names are looked into, too.
    pub(super) follow: bool,
}

const fn file(check: &'static str, path: &'static str) -> Place {
    let (which, comments) = (Which::All, Comments::Hash);
    Place { check, path, depth: 0, which, comments, follow: false }
}

const fn folder(check: &'static str, path: &'static str, depth: usize) -> Place {
    Place { depth, ..file(check, path) }
}

impl Place {
    const fn of(self, which: Which) -> Self {
        Self { which, ..self }
    }

    const fn like(self, comments: Comments) -> Self {
        Self { comments, ..self }
    }

    const fn follow(self) -> Self {
        Self { follow: true, ..self }
    }
}

const UNITS: Which =
    Which::End(&[".service", ".timer", ".path", ".socket", ".target", ".mount", ".conf"]);
const YAML: Which = Which::End(&[".yml", ".yaml", ".json", ".j2", ".fact", ".sh", ".ini", ".cfg"]);
const COMPOSE: Which =
    Which::Named(&["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"]);

const RENEWAL: &str = "haproxy-renewal";
const CRON: &str = "haproxy-cron";
const STARTED: &str = "haproxy-units";
const WATCHDOGS: &str = "haproxy-watchdogs";
const CONTAINERS: &str = "haproxy-containers";
/// Checks of an address that moves.
pub(super) const FAILOVER: &str = "haproxy-failover";
const SYSLOG: &str = "haproxy-syslog";
const LOGROTATE: &str = "haproxy-logrotate";
/// Who reads its socket, its table or its log.
pub(super) const READERS: &str = "haproxy-readers";
const MANAGED: &str = "haproxy-managed";
const RIGHTS: &str = "haproxy-rights";
const UPGRADES: &str = "haproxy-upgrades";

/// All places, in the order of the checks.
pub(super) const PLACES: &[Place] = &[
    folder(RENEWAL, "/etc/letsencrypt/renewal-hooks", 2).of(Which::Run).follow(),
    folder(RENEWAL, "/etc/letsencrypt/renewal", 1).of(Which::End(&[".conf"])).follow(),
    file(RENEWAL, "/etc/letsencrypt/cli.ini").follow(),
    file(RENEWAL, "~/.config/letsencrypt/cli.ini").follow(),
    folder(RENEWAL, "~/.acme.sh", 2).of(Which::End(&[".conf"])).follow(),
    folder(RENEWAL, "/etc/acme.sh", 2).of(Which::End(&[".conf"])).follow(),
    folder(RENEWAL, "/etc/dehydrated", 2).follow(),
    folder(RENEWAL, "/etc/acme", 2).follow(),
    file(RENEWAL, "/etc/default/acme-reload"),
    folder(RENEWAL, "/etc/lego", 2).follow(),
    folder(RENEWAL, "/var/lib/certmonger/requests", 1).follow(),
    file(CRON, "/etc/crontab").follow(),
    file(CRON, "/etc/anacrontab").follow(),
    folder(CRON, "/etc/cron.d", 1).follow(),
    folder(CRON, "/etc/cron.hourly", 1).of(Which::Run).follow(),
    folder(CRON, "/etc/cron.daily", 1).of(Which::Run).follow(),
    folder(CRON, "/etc/cron.weekly", 1).of(Which::Run).follow(),
    folder(CRON, "/etc/cron.monthly", 1).of(Which::Run).follow(),
    folder(CRON, "/var/spool/cron/crontabs", 1).follow(),
    folder(CRON, "/var/spool/cron", 1).follow(),
    folder(CRON, "/etc/incron.d", 1).follow(),
    folder(CRON, "/var/spool/incron", 1).follow(),
    folder(STARTED, "/etc/systemd/system", 2).of(UNITS).like(Comments::Unit).follow(),
    folder(STARTED, "/run/systemd/system", 2).of(UNITS).like(Comments::Unit).follow(),
    folder(STARTED, "/usr/local/lib/systemd/system", 2).of(UNITS).like(Comments::Unit).follow(),
    folder(STARTED, "/usr/lib/systemd/system", 2).of(UNITS).like(Comments::Unit),
    folder(STARTED, "/lib/systemd/system", 2).of(UNITS).like(Comments::Unit),
    folder(STARTED, "/etc/systemd/user", 2).of(UNITS).like(Comments::Unit).follow(),
    folder(STARTED, "~/.config/systemd/user", 2).of(UNITS).like(Comments::Unit).follow(),
    file(STARTED, "/etc/rc.local").of(Which::Run).follow(),
    folder(STARTED, "/etc/init.d", 1).of(Which::Run).follow(),
    file(STARTED, "/etc/network/interfaces").follow(),
    folder(STARTED, "/etc/network/interfaces.d", 1).follow(),
    folder(STARTED, "/etc/network/if-up.d", 1).of(Which::Run).follow(),
    folder(STARTED, "/etc/network/if-down.d", 1).of(Which::Run).follow(),
    folder(STARTED, "/etc/networkd-dispatcher", 2).of(Which::Run).follow(),
    folder(STARTED, "/etc/NetworkManager/dispatcher.d", 2).of(Which::Run).follow(),
    folder(STARTED, "/etc/dhcp", 2).follow(),
    folder(STARTED, "/etc/udev/rules.d", 1).follow(),
    folder(STARTED, "/var/lib/cloud/scripts/per-boot", 1).of(Which::Run).follow(),
    folder(STARTED, "/etc/cloud", 2).of(Which::End(&[".cfg"])),
    file(WATCHDOGS, "/etc/monitrc").follow(),
    file(WATCHDOGS, "/etc/monit.conf").follow(),
    folder(WATCHDOGS, "/etc/monit", 3).follow(),
    folder(WATCHDOGS, "/etc/monit.d", 1).follow(),
    file(WATCHDOGS, "/etc/supervisord.conf").like(Comments::Unit).follow(),
    folder(WATCHDOGS, "/etc/supervisord.d", 1).like(Comments::Unit).follow(),
    folder(WATCHDOGS, "/etc/supervisor", 2).like(Comments::Unit).follow(),
    folder(WATCHDOGS, "/etc/sv", 3).of(Which::Run).follow(),
    folder(WATCHDOGS, "/etc/service", 3).of(Which::Run).follow(),
    folder(WATCHDOGS, "/service", 3).of(Which::Run).follow(),
    folder(CONTAINERS, "/etc/kubernetes/manifests", 1),
    folder(CONTAINERS, "/etc/containers/systemd", 2).like(Comments::Unit),
    folder(CONTAINERS, "/var/lib/docker/containers", 2)
        .of(Which::Named(&["config.v2.json"]))
        .like(Comments::None),
    folder(CONTAINERS, "/opt", 2).of(COMPOSE),
    folder(CONTAINERS, "/srv", 2).of(COMPOSE),
    folder(CONTAINERS, "~", 2).of(COMPOSE),
    folder(FAILOVER, "/etc/keepalived", 2).like(Comments::Bang).follow(),
    file(FAILOVER, "/var/lib/pacemaker/cib/cib.xml").like(Comments::None),
    folder(FAILOVER, "/etc/ucarp", 1).follow(),
    folder(FAILOVER, "/etc/ha.d", 2).follow(),
    file(SYSLOG, "/etc/rsyslog.conf"),
    folder(SYSLOG, "/etc/rsyslog.d", 1).of(Which::End(&[".conf"])),
    folder(SYSLOG, "/etc/syslog-ng", 2).of(Which::End(&[".conf"])),
    file(SYSLOG, "/etc/syslog.conf"),
    file(LOGROTATE, "/etc/logrotate.conf").follow(),
    folder(LOGROTATE, "/etc/logrotate.d", 1).follow(),
    folder(READERS, "/etc/telegraf", 2).of(Which::End(&[".conf"])).follow(),
    folder(READERS, "/etc/zabbix", 3).follow(),
    file(READERS, "/etc/default/prometheus-haproxy-exporter"),
    file(READERS, "/etc/default/haproxy_exporter"),
    file(READERS, "/etc/default/haproxy-exporter"),
    folder(READERS, "/etc/prometheus", 2),
    folder(READERS, "/etc/datadog-agent/conf.d", 2),
    folder(READERS, "/etc/dd-agent/conf.d", 1),
    folder(READERS, "/etc/collectd", 2).follow(),
    folder(READERS, "/etc/munin", 2),
    folder(READERS, "/etc/nagios", 3).follow(),
    folder(READERS, "/etc/nrpe.d", 1).follow(),
    folder(READERS, "/etc/icinga2", 4),
    folder(READERS, "/usr/lib/check_mk_agent", 2).follow(),
    folder(READERS, "/etc/check_mk", 1),
    folder(READERS, "/etc/netdata", 2),
    folder(READERS, "/etc/newrelic-infra", 2),
    folder(READERS, "/etc/sensu", 3).like(Comments::None),
    folder(READERS, "/etc/snmp", 2).follow(),
    folder(READERS, "/etc/metricbeat", 2),
    folder(READERS, "/etc/filebeat", 2),
    folder(READERS, "/etc/promtail", 1),
    folder(READERS, "/etc/grafana-agent", 1),
    file(READERS, "/etc/grafana-agent.yaml"),
    folder(READERS, "/etc/alloy", 2).like(Comments::Slashes),
    folder(READERS, "/etc/otelcol-contrib", 1),
    folder(READERS, "/etc/vector", 2),
    folder(READERS, "/etc/fluent-bit", 2),
    folder(READERS, "/etc/fluent", 2),
    folder(READERS, "/etc/td-agent", 2),
    folder(READERS, "/etc/logstash", 2),
    // The filters and jails that come with it are off until these say otherwise.
    file(READERS, "/etc/fail2ban/jail.local").like(Comments::Unit),
    folder(READERS, "/etc/fail2ban/jail.d", 1).like(Comments::Unit),
    folder(MANAGED, "/etc/ansible", 6).of(YAML),
    folder(MANAGED, "~/.ansible/pull", 6).of(YAML),
    folder(MANAGED, "/var/lib/ansible", 6).of(YAML),
    folder(MANAGED, "/etc/puppet", 6).of(Which::End(&[".pp", ".yaml"])),
    folder(MANAGED, "/etc/puppetlabs/code", 7).of(Which::End(&[".pp", ".yaml"])),
    folder(MANAGED, "/srv/salt", 5).of(Which::End(&[".sls", ".jinja"])),
    folder(MANAGED, "/srv/pillar", 4).of(Which::End(&[".sls"])),
    folder(MANAGED, "/etc/salt", 2),
    folder(MANAGED, "/etc/chef", 3),
    file(RIGHTS, "/etc/sudoers"),
    folder(RIGHTS, "/etc/sudoers.d", 1),
    file(RIGHTS, "/etc/doas.conf"),
    folder(RIGHTS, "/etc/polkit-1/rules.d", 1).like(Comments::Slashes),
    file(UPGRADES, "/etc/apt/apt.conf").like(Comments::Slashes),
    folder(UPGRADES, "/etc/apt/apt.conf.d", 1).like(Comments::Slashes),
    file(UPGRADES, "/etc/apt/preferences"),
    folder(UPGRADES, "/etc/apt/preferences.d", 1),
    folder(UPGRADES, "/etc/needrestart", 2),
    file(UPGRADES, "/usr/sbin/policy-rc.d").follow(),
];

/// Endings of copies that nobody reads.
const COPIES: [&str; 14] = [
    "~",
    ".bak",
    ".orig",
    ".old",
    ".save",
    ".swp",
    ".dpkg-old",
    ".dpkg-dist",
    ".dpkg-new",
    ".rpmsave",
    ".rpmnew",
    ".sample",
    ".example",
    ".disabled",
];

/// HAProxy's own, which goes with it.
const OWN: [&str; 2] = ["haproxy.service", "haproxy.service.d"];

impl Place {
    /// Whether a file of this name counts; `runs`: it may be run.
    pub(super) fn wants(&self, name: &str, runs: bool) -> bool {
        let is_copy = COPIES.iter().any(|end| name.ends_with(end));
        let is_own = OWN.contains(&name) || self.path == "/etc/init.d" && name == "haproxy";
        !is_copy
            && !is_own
            && match self.which {
                Which::All => true,
                Which::Run => runs,
                Which::End(ends) => ends.iter().any(|end| name.ends_with(end)),
                Which::Named(names) => names.contains(&name),
            }
    }

    /// Whether a directory of this name is looked into.
    pub(super) fn enters(&self, name: &str) -> bool {
        // Links to units that are looked at anyhow; configurations that are at hand and not in force.
        let aside = name.ends_with(".wants") || name.ends_with(".requires");
        let in_hand = ["conf-available", "sites-available", ".git"].contains(&name);
        !aside && !in_hand && !OWN.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::table::{CHECKS, Group};

    #[test]
    fn every_place_belongs_to_a_check_and_stands_once() {
        for (index, place) in PLACES.iter().enumerate() {
            let known = CHECKS.iter().find(|check| check.name == place.check);
            assert!(known.is_some_and(|check| check.group == Group::Migration), "{place:?}");
            assert!(place.path.starts_with(['/', '~']) && !place.path.ends_with('/'), "{place:?}");
            let again = PLACES.iter().skip(index + 1).any(|other| other.path == place.path);
            assert!(!again, "{place:?}");
        }
    }

    #[test]
    fn copies_and_what_is_not_in_force_are_left_out() {
        let of = |path: &str| *PLACES.iter().find(|place| place.path == path).unwrap();
        let cron = of("/etc/cron.d");
        assert!(cron.wants("reload", false));
        for copy in ["reload~", "reload.dpkg-old", "reload.bak", "reload.disabled"] {
            assert!(!cron.wants(copy, false), "{copy}");
        }
        assert!(!of("/etc/cron.daily").wants("x", false) && of("/etc/cron.daily").wants("x", true));
        let units = of("/etc/systemd/system");
        assert!(units.wants("other.service", false) && !units.wants("haproxy.service", false));
        assert!(!units.enters("multi-user.target.wants") && units.enters("keepalived.service.d"));
        assert!(!of("/etc/monit").enters("conf-available") && of("/etc/monit").enters("conf.d"));
    }
}
