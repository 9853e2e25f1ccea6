//! What has to do with HAProxy: planted trees in which each check finds what it is for, and one in which none
//! finds anything.

use super::*;
use crate::doctor::migration::tests::planted;
use crate::doctor::migration::{self, Haproxy};
use eclusa_testkit::process::Scratch;
use std::fs;
use std::os::unix::fs::symlink;

/// A file of a planted tree: its path and text. What begins with `#!` may be run.
type Planted = (&'static str, &'static str);

/// What the migration checks tell of a host with these files, and otherwise in order.
fn findings(program: Program, scratch: &Scratch, change: impl FnOnce(&mut Facts)) -> Findings {
    let mut facts = facts(program, if program == Program::Edge { EDGE } else { MASTERS });
    let ports = listener_ports(&facts.plan);
    let mut found = migration::look(scratch.path(), &ports).unwrap();
    found.running =
        Some(Haproxy { processes: Vec::new(), systemd: None, connected: Ok(Vec::new()) });
    facts.migration = Some(found);
    change(&mut facts);
    judge(&facts)
}

/// The findings of a check that are no `ok`, on the masters' balancer.
fn bad(files: &[Planted], check: &str) -> Vec<Finding> {
    let found = findings(Program::Apiserver, &planted(files), |_| {});
    let told = found.of(check).into_iter().filter(|it| it.severity != Severity::Ok).cloned();
    told.collect()
}

/// The one finding of a check in such a tree: how bad, and words that it has.
#[track_caller]
fn one(files: &[Planted], check: &str, severity: Severity, words: &[&str]) {
    let told = bad(files, check);
    assert_eq!(told.len(), 1, "{check}: {told:#?}");
    assert!(!told[0].effect.is_empty() && !told[0].remedy.is_empty(), "{:?}", told[0]);
    has(&told[0], severity, words);
}

/// A host as packages leave it, which knows nothing of HAProxy, or knows it in comments and copies alone.
const CLEAN: &[Planted] = &[
    ("/etc/crontab", "# systemctl reload haproxy\n17 * * * * root run-parts /etc/cron.hourly\n"),
    (
        "/etc/cron.d/e2scrub_all",
        "30 3 * * 0 root test -e /run/systemd/system || /sbin/e2scrub_all\n",
    ),
    ("/etc/cron.daily/logrotate", "#!/bin/sh\n/usr/sbin/logrotate /etc/logrotate.conf\n"),
    (
        "/etc/cron.d/haproxy.dpkg-old",
        "@reboot root /usr/sbin/haproxy -f /etc/haproxy/haproxy.cfg\n",
    ),
    ("/etc/letsencrypt/renewal/a.conf", "[renewalparams]\nauthenticator = webroot\n"),
    ("/etc/letsencrypt/renewal-hooks/deploy/off", "systemctl reload haproxy\n"),
    (
        "/etc/keepalived/keepalived.conf",
        "vrrp_script ours {\n  script \"/usr/bin/curl -fs http://127.0.0.1:9643/vip\" ! not haproxy\n}\n",
    ),
    ("/etc/keepalived/keepalived.conf.sample", "script \"killall -0 haproxy\"\n"),
    (
        "/etc/systemd/system/other.service",
        "[Service]\n# Requires=haproxy.service\nExecStart=/opt/x\n",
    ),
    ("/etc/monit/monitrc", "set daemon 120\n# check process haproxy\n"),
    ("/etc/monit/conf-available/haproxy", "check process haproxy\n"),
    ("/etc/rsyslog.conf", "*.* /var/log/syslog\n"),
    ("/etc/rsyslog.d/49-haproxy.conf.disabled", ":programname, startswith, \"haproxy\" /x\n"),
    ("/etc/logrotate.d/eclusa-apiserver", "/var/log/eclusa/*.log {\n daily\n}\n"),
    ("/etc/telegraf/telegraf.conf", "# [[inputs.haproxy]]\n[[inputs.cpu]]\n"),
    ("/etc/ansible/hosts", "[web]\na.test\n"),
    ("/etc/sudoers", "root ALL=(ALL:ALL) ALL\n"),
    (
        "/etc/apt/apt.conf.d/50unattended-upgrades",
        "//  \"haproxy\";\nUnattended-Upgrade::x \"y\";\n",
    ),
    ("/etc/kubernetes/manifests/etcd.yaml", "kind: Pod\nimage: registry.test/etcd:3\n"),
    ("/etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
    ("/etc/group", "root:x:0:\n"),
];

#[test]
fn nothing_is_found_in_a_clean_tree() {
    for program in [Program::Apiserver, Program::Edge] {
        let found = findings(program, &planted(CLEAN), |_| {});
        assert_eq!(found.worst(), Severity::Ok, "{found:#?}");
        assert_eq!(found.skipped, [], "{found:#?}");
        for check in CHECKS.iter().filter(|check| check.group == Group::Migration) {
            assert_eq!(found.only(check.name).severity, Severity::Ok);
        }
        assert!(found.only("haproxy-cron").found.contains("3 files read"), "{found:#?}");
    }
}

#[test]
fn hooks_of_renewals_are_found() {
    let check = "haproxy-renewal";
    let hook = "#!/bin/sh\nset -e\ncat a b > c\nsystemctl reload haproxy\n";
    let place = "/etc/letsencrypt/renewal-hooks/deploy/haproxy.sh:4: systemctl reload haproxy";
    let remedy = "takes what is renewed by itself";
    let hook = [("/etc/letsencrypt/renewal-hooks/deploy/haproxy.sh", hook)];
    one(&hook, check, Severity::Warning, &[place, remedy, "the hook fails"]);
    for (path, text, words) in [
        (
            "/etc/letsencrypt/renewal/a.conf",
            "post_hook = service haproxy start\n",
            "a.conf:1: service haproxy start",
        ),
        (
            "/etc/letsencrypt/cli.ini",
            "\ndeploy-hook = systemctl restart haproxy\n",
            "cli.ini:2: systemctl restart",
        ),
        (
            concat!("/root", "/.acme.sh/a/a.conf"),
            "Le_ReloadCmd='__ACME_BASE64__START_c3lzdGVtY3RsIHJlbG9hZCBoYXByb3h5__ACME_BASE64__END_'\n",
            "a.conf:1: systemctl reload haproxy",
        ),
        ("/etc/dehydrated/hook.sh", "#!/bin/sh\nsystemctl reload haproxy\n", "hook.sh:2: "),
        (
            "/var/lib/certmonger/requests/1",
            "post_certsave_command=systemctl reload haproxy\n",
            "requests/1:1: ",
        ),
    ] {
        one(&[(path, text)], check, Severity::Warning, &[words, remedy]);
    }
}

#[test]
fn cron_is_found() {
    let check = "haproxy-cron";
    for (path, text, words) in [
        (
            "/etc/crontab",
            "0 4 * * * root systemctl restart haproxy\n",
            "/etc/crontab:1: systemctl restart",
        ),
        (
            "/etc/cron.d/x",
            "A=b\n0 4 * * * root service haproxy reload\n",
            "/etc/cron.d/x:2: service haproxy reload",
        ),
        ("/etc/cron.weekly/x", "#!/bin/sh\nkillall -HUP haproxy\n", "x:2: a signal"),
        (
            "/var/spool/cron/crontabs/ops",
            "@daily /etc/init.d/haproxy restart\n",
            "crontab -e -u ops",
        ),
        ("/var/spool/cron/root", "@daily systemctl reload haproxy\n", "crontab -e -u root"),
    ] {
        one(
            &[(path, text)],
            check,
            Severity::Warning,
            &[words, "let it speak of eclusa-apiserver"],
        );
    }
    let starts =
        [("/etc/cron.d/boot", "@reboot root /usr/sbin/haproxy -D -f /etc/haproxy/haproxy.cfg\n")];
    one(&starts, check, Severity::Error, &["boot:1: runs haproxy itself", "comes back"]);
    let script = [
        ("/etc/cron.d/x", "0 4 * * * root /usr/local/sbin/night.sh\n"),
        ("/usr/local/sbin/night.sh", "#!/bin/bash\n\nsystemctl unmask haproxy\n"),
    ];
    let words = ["/usr/local/sbin/night.sh:3: systemctl unmask haproxy (run by /etc/cron.d/x:1)"];
    one(&script, check, Severity::Error, &words);
}

#[test]
fn units_that_order_or_need_it_are_found() {
    let check = "haproxy-units";
    let needs = (
        "/etc/systemd/system/keepalived.service.d/after.conf",
        "[Unit]\nBindsTo=haproxy.service\n",
    );
    let words = [
        "after.conf:2: BindsTo=haproxy.service",
        "systemctl edit --full keepalived.service",
        "eclusa-apiserver.service",
    ];
    one(&[needs], check, Severity::Error, &words);
    let own = (
        "/etc/systemd/system/lb.service",
        "[Service]\nExecStart=/opt/haproxy/sbin/haproxy -Ws -f /x\n",
    );
    one(&[own], check, Severity::Error, &["lb.service:2", "systemctl mask --now lb.service"]);
    let timer = [
        ("/etc/systemd/system/night.timer", "[Timer]\nOnCalendar=daily\n"),
        ("/etc/systemd/system/night.service", "[Service]\nExecStart=-/usr/local/bin/night\n"),
        ("/usr/local/bin/night", "#!/bin/sh\nsystemctl restart haproxy\n"),
    ];
    one(
        &timer,
        check,
        Severity::Warning,
        &["/usr/local/bin/night:2", "(run by /etc/systemd/system/night.service:2)"],
    );
    let after = ("/etc/systemd/system/x.service", "[Unit]\nAfter=haproxy.service\n");
    one(&[after], check, Severity::Advice, &["x.service:2: names HAProxy"]);
    let boot = ("/etc/rc.local", "#!/bin/sh\n/etc/init.d/haproxy start\n");
    one(&[boot], check, Severity::Warning, &["/etc/rc.local:2", "take that out"]);
}

#[test]
fn what_looks_after_it_is_found() {
    let check = "haproxy-watchdogs";
    let monit = "check process haproxy with pidfile /run/haproxy.pid\n  start program = \"/bin/systemctl start haproxy\"\n";
    let told = bad(&[("/etc/monit/conf.d/haproxy", monit)], check);
    assert_eq!(told.len(), 2, "{told:#?}");
    has(&told[0], Severity::Warning, &["conf.d/haproxy:1: process haproxy", "monit reload"]);
    has(
        &told[1],
        Severity::Warning,
        &["conf.d/haproxy:2: systemctl start haproxy", "again and again"],
    );
    let supervisor =
        [("/etc/supervisor/conf.d/lb.conf", "[program:lb]\ncommand=/usr/sbin/haproxy -W -f /x\n")];
    one(&supervisor, check, Severity::Error, &["lb.conf:2: runs haproxy itself", "supervisorctl"]);
}

#[test]
fn containers_of_it_are_found() {
    let check = "haproxy-containers";
    for (path, text, words) in [
        (
            "/etc/kubernetes/manifests/haproxy.yaml",
            "kind: Pod\n  - image: haproxy:2.6\n",
            "mv /etc/kubernetes/manifests/haproxy.yaml",
        ),
        (
            "/var/lib/docker/containers/0123456789abcdef/config.v2.json",
            "{\"Config\":{\"Image\":\"haproxy:2.6\"}}",
            "docker stop 0123456789ab",
        ),
        (
            "/etc/containers/systemd/lb.container",
            "[Container]\nImage=docker.io/haproxy\n",
            "systemctl daemon-reload",
        ),
        (
            "/opt/lb/compose.yaml",
            "services:\n  lb:\n    image: haproxy:lts\n",
            "docker compose -f /opt/lb/compose.yaml",
        ),
    ] {
        one(&[(path, text)], check, Severity::Error, &[words, "comes back although"]);
    }
}

#[test]
fn checks_of_a_shared_address_are_found() {
    let check = "haproxy-failover";
    let remedy = "eclusa-apiserver import /etc/haproxy/haproxy.cfg --keepalived";
    for (text, words) in [
        (
            "vrrp_script a {\n  script \"killall -0 haproxy\"\n}\n",
            "keepalived.conf:2: killall -0 haproxy",
        ),
        ("vrrp_script a {\n  script \"pidof haproxy\"\n}\n", "keepalived.conf:2: pidof haproxy"),
        ("vrrp_track_process a {\n  process haproxy\n}\n", "keepalived.conf:2: process haproxy"),
        (
            "script \"/usr/bin/curl -k https://127.0.0.1:6443/healthz\"\n",
            "keepalived.conf:1: curl asks port 6443",
        ),
        (
            "notify_master \"/usr/bin/systemctl start haproxy\"\n",
            "keepalived.conf:1: systemctl start haproxy",
        ),
    ] {
        one(
            &[("/etc/keepalived/keepalived.conf", text)],
            check,
            Severity::Error,
            &[words, remedy, "lets go"],
        );
    }
    // As kubeadm's page has it: the port is in a variable.
    let kubeadm = "#!/bin/sh\nPORT=6443\ncurl -sfk --max-time 2 https://localhost:${PORT}/healthz || exit 1\n";
    let script = [
        ("/etc/keepalived/keepalived.conf", "script \"/usr/local/bin/check.sh\"\n"),
        ("/usr/local/bin/check.sh", kubeadm),
    ];
    one(
        &script,
        check,
        Severity::Error,
        &["check.sh:3: curl asks a port of the balancer", "run by"],
    );
    let cib = [(
        "/var/lib/pacemaker/cib/cib.xml",
        "<primitive id=\"x\" class=\"systemd\" type=\"haproxy\"/>\n",
    )];
    one(&cib, check, Severity::Error, &["cib.xml:1: a resource that is HAProxy", "crm_resource"]);
}

#[test]
fn logs_and_their_rotation_are_found() {
    let rsyslog = "# Create an additional socket in haproxy's chroot\n$AddUnixListenSocket /var/lib/haproxy/dev/log\n\n\
                   :programname, startswith, \"haproxy\" {\n  /var/log/haproxy.log\n  stop\n}\n";
    let told = bad(&[("/etc/rsyslog.d/49-haproxy.conf", rsyslog)], "haproxy-syslog");
    assert!(!told.is_empty() && told.iter().all(|it| it.severity == Severity::Advice), "{told:#?}");
    has(
        &told[0],
        Severity::Advice,
        &["49-haproxy.conf:5: reads or writes its log", "docs/logs.md"],
    );
    let check = "haproxy-logrotate";
    let packaged = [("/etc/logrotate.d/haproxy", "/var/log/haproxy.log {\n  missingok\n}\n")];
    one(&packaged, check, Severity::Advice, &["haproxy:1", "/etc/logrotate.d/eclusa-apiserver"]);
    let order = [(
        "/etc/logrotate.d/lb",
        "/var/log/lb.log {\n postrotate\n  service haproxy reload\n endscript\n}\n",
    )];
    one(&order, check, Severity::Warning, &["lb:3: service haproxy reload", "after a rotation"]);
}

#[test]
fn readers_are_found() {
    let check = "haproxy-readers";
    for (path, text, place) in [
        (
            "/etc/telegraf/telegraf.d/lb.conf",
            "[[inputs.haproxy]]\n  servers = [\"x\"]\n",
            "lb.conf:1",
        ),
        (
            "/etc/zabbix/zabbix_agentd.d/lb.conf",
            "UserParameter=lb,curl -s 'http://u:pw@127.0.0.1:1936/stats;csv'\n",
            "lb.conf:1",
        ),
        (
            "/etc/default/prometheus-haproxy-exporter",
            "ARGS=\"--haproxy.scrape-uri=unix:/run/haproxy/admin.sock\"\n",
            "exporter:1: reads its socket",
        ),
        (
            "/etc/datadog-agent/conf.d/haproxy.d/conf.yaml",
            "instances:\n  - url: http://localhost/haproxy?stats\n",
            "conf.yaml:2",
        ),
        (
            "/etc/munin/plugins/haproxy_ng",
            "#!/bin/sh\nsocket=/run/haproxy/admin.sock\n",
            "haproxy_ng:2",
        ),
        (
            "/etc/filebeat/filebeat.yml",
            "paths:\n  - /var/log/haproxy.log\n",
            "filebeat.yml:2: reads or writes its log",
        ),
        ("/etc/fail2ban/jail.d/lb.conf", "[haproxy-http-auth]\nenabled = true\n", "lb.conf:1"),
    ] {
        one(&[(path, text)], check, Severity::Warning, &[place, "docs/haproxy-compat.md"]);
    }
    let group = [("/etc/group", "haproxy:x:113:telegraf,zabbix\n")];
    one(&group, check, Severity::Warning, &["telegraf, zabbix", "[haproxy_socket] group"]);
    let found = findings(Program::Apiserver, &planted(&[]), |facts| {
        let running = facts.migration.as_mut().unwrap().running.as_mut().unwrap();
        running.connected = Ok(vec!["telegraf, pid 812".into()]);
    });
    has(found.only(check), Severity::Warning, &["telegraf, pid 812 is connected"]);
}

#[test]
fn who_manages_the_host_who_may_order_and_what_waits_for_upgrades_is_found() {
    let check = "haproxy-managed";
    for (path, text, place) in [
        ("/etc/ansible/facts.d/lb.fact", "{\"balancer\": \"haproxy\"}\n", "lb.fact:1"),
        (
            "/etc/ansible/roles/lb/handlers/main.yml",
            "- name: restart\n  service: name=haproxy state=restarted\n",
            "main.yml:2: service: name=haproxy state=restarted",
        ),
        (
            concat!("/root", "/.ansible/pull/site.yml"),
            "- apt:\n    name: haproxy\n",
            "site.yml:2: names HAProxy",
        ),
        (
            "/etc/puppetlabs/code/environments/p/manifests/lb.pp",
            "service { 'haproxy': ensure => running }\n",
            "lb.pp:1",
        ),
    ] {
        one(
            &[(path, text)],
            check,
            Severity::Warning,
            &[place, "keep the mask: systemctl mask --now haproxy"],
        );
    }
    let sudo =
        [("/etc/sudoers.d/ops", "%ops ALL=(root) NOPASSWD: /usr/bin/systemctl reload haproxy\n")];
    one(
        &sudo,
        "haproxy-rights",
        Severity::Advice,
        &["ops:1: systemctl reload haproxy", "visudo -f"],
    );
    let check = "haproxy-upgrades";
    let restarts =
        [("/etc/needrestart/conf.d/lb.conf", "$nrconf{override_rc}{qr(^haproxy)} = 0;\n")];
    one(&restarts, check, Severity::Advice, &["lb.conf:1", "qr(^eclusa-)"]);
    let held = [(
        "/etc/apt/apt.conf.d/50x",
        "Unattended-Upgrade::Package-Blacklist {\n  \"haproxy\";\n};\n",
    )];
    one(&held, check, Severity::Advice, &["50x:2", "say the same of eclusa-apiserver"]);
}

#[test]
fn the_unit_and_its_processes_are_judged() {
    let check = "haproxy-service";
    let packaged =
        ("/lib/systemd/system/haproxy.service", "[Service]\nExecStart=/usr/sbin/haproxy -Ws\n");
    let running = |facts: &mut Facts| {
        let running = facts.migration.as_mut().unwrap().running.as_mut().unwrap();
        let holder = Holder { name: "haproxy".into(), pid: 77 };
        running.processes = vec![(holder, "docker-1.scope".into())];
    };
    // It runs and serves: the switch comes later.
    let tree = planted(&[packaged]);
    let found = findings(Program::Edge, &tree, running);
    has(found.only(check), Severity::Advice, &["it runs", "systemctl mask --now haproxy"]);
    // Stopped, not masked, and the service here runs.
    let wants = tree.path().join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).unwrap();
    symlink("/lib/systemd/system/haproxy.service", wants.join("haproxy.service")).unwrap();
    let found = findings(Program::Edge, &tree, |_| {});
    has(found.only(check), Severity::Warning, &["does not run, and starts with the host"]);
    // Masked: fine, unless it runs all the same.
    symlink("/dev/null", tree.path().join("etc/systemd/system/haproxy.service")).unwrap();
    let found = findings(Program::Edge, &tree, |_| {});
    has(found.only(check), Severity::Ok, &["masked by /etc/systemd/system/haproxy.service"]);
    let found = findings(Program::Edge, &tree, running);
    let words = ["haproxy, pid 77 runs, although", "of docker-1.scope", "systemctl status 77"];
    has(found.only(check), Severity::Error, &words);
    // Until the next boot.
    let tree = planted(&[packaged]);
    fs::create_dir_all(tree.path().join("run/systemd/system")).unwrap();
    symlink("/dev/null", tree.path().join("run/systemd/system/haproxy.service")).unwrap();
    let found = findings(Program::Edge, &tree, |_| {});
    has(found.only(check), Severity::Warning, &["until the next boot"]);
    // A unit that somebody has written, and drop-ins.
    let own = ("/etc/systemd/system/haproxy.service", "[Service]\n");
    let drop_in =
        ("/etc/systemd/system/haproxy.service.d/limit.conf", "[Service]\nLimitNOFILE=9\n");
    let found = findings(Program::Edge, &planted(&[own, drop_in]), running);
    let told = found.of(check);
    assert_eq!(told.len(), 3, "{told:#?}");
    let words = |words: &str| told.iter().any(|it| format!("{it:?}").contains(words));
    assert!(words("where the mask would be") && words("mv /etc/systemd/system/haproxy.service "));
    assert!(words("limit.conf") && words("systemctl edit eclusa-edge"));
}

#[test]
fn files_that_are_haproxys_are_told() {
    let check = "haproxy-files";
    let tree = planted(&[
        ("/etc/passwd", "haproxy:x:107:113::/var/lib/haproxy:/x\n"),
        ("/etc/group", "haproxy:x:113:\n"),
    ]);
    let file = |path: &str, uid, gid| NamedFile {
        path: path.into(),
        is_secret: true,
        steps: Ok(vec![Step { path: path.into(), uid, gid, mode: 0o640, has_acl: false }]),
    };
    let told = |files: Vec<NamedFile>| {
        let found = findings(Program::Edge, &tree, |facts| facts.files = files);
        found.only(check).clone()
    };
    let of_group = told(vec![file("/etc/ssl/private/a.pem", 0, 113)]);
    let words =
        ["belongs to the group haproxy", "chown root:eclusa /etc/ssl/private/a.pem && chmod 0640"];
    has(&of_group, Severity::Warning, &words);
    let of_user = told(vec![file("/etc/ssl/private/a.pem", 107, 0)]);
    has(&of_user, Severity::Warning, &["belongs to the user haproxy"]);
    let beside = told(vec![file("/etc/haproxy/certs/a.pem", 0, 0)]);
    has(&beside, Severity::Advice, &["names /etc/haproxy/certs/a.pem", "/etc/eclusa"]);
    assert_eq!(told(vec![file("/etc/ssl/private/a.pem", 0, 0)]).severity, Severity::Ok);
}

#[test]
fn what_could_not_be_read_is_said_and_many_files_are_counted() {
    let many: Vec<(String, String)> = (0..40)
        .map(|n| (format!("/etc/cron.d/x{n}"), "@daily root systemctl reload haproxy\n".to_owned()))
        .collect();
    let scratch = planted(&[]);
    for (path, text) in &many {
        let path = scratch.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let found = findings(Program::Edge, &scratch, |facts| {
        let unread =
            ("haproxy-cron", PathBuf::from("/var/spool/cron"), "Permission denied".to_owned());
        facts.migration.as_mut().unwrap().unread = vec![unread.clone(), unread];
    });
    let told = found.of("haproxy-cron");
    assert_eq!(told.len(), 31, "{told:#?}");
    assert!(told[30].found.contains("10 more files"), "{:?}", told[30]);
    let skipped = found.skipped.iter().find(|it| it.check == "haproxy-cron").unwrap();
    assert_eq!(skipped.why, "/var/spool/cron (and 1 more): Permission denied: run it as root");
}

#[test]
fn no_secret_of_a_file_is_told() {
    let secret = "hunter2-qz";
    let tree = planted(&[
        ("/etc/cron.d/x", "0 4 * * * root curl -u haproxy:hunter2-qz http://a/haproxy?stats;csv\n"),
        (
            "/etc/telegraf/telegraf.conf",
            "[[inputs.haproxy]]\n  password = \"haproxy hunter2-qz\"\n",
        ),
        ("/etc/default/haproxy-exporter", "haproxy=http://admin:hunter2-qz@h/;csv\n"),
        ("/opt/a/compose.yaml", "image: haproxy\nenvironment: HAPROXY_PASSWORD=hunter2-qz\n"),
        ("/etc/sudoers.d/x", "a ALL=NOPASSWD: systemctl reload haproxy hunter2-qz\n"),
    ]);
    let found = findings(Program::Edge, &tree, |_| {});
    assert!(
        found.findings.iter().filter(|it| it.severity != Severity::Ok).count() >= 5,
        "{found:#?}"
    );
    assert!(!format!("{found:?}").contains(secret), "{found:#?}");
}
