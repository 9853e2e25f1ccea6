//! `doctor --migration` on a host on which everything knows HAProxy: files in the places where they are, in a
//! mount namespace of the program's own.

use super::Report;
use e2e::proof::Item;
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use eclusa_testkit::process::{Scratch, binary};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A line that must be told: its check, file, text, and the line's number.
const PLANTED: [(&str, &str, &str, usize); 11] = [
    (
        "haproxy-renewal",
        "etc/letsencrypt/renewal-hooks/deploy/lb",
        "#!/bin/sh\nsystemctl reload haproxy\n",
        2,
    ),
    ("haproxy-cron", "etc/cron.d/lb", "# at night\n0 4 * * * root systemctl restart haproxy\n", 2),
    (
        "haproxy-units",
        "etc/systemd/system/x.service.d/a.conf",
        "[Unit]\nRequires=haproxy.service\n",
        2,
    ),
    ("haproxy-watchdogs", "etc/monit/conf.d/lb", "check process haproxy with pidfile /x\n", 1),
    ("haproxy-containers", "etc/kubernetes/manifests/lb.yaml", "image: haproxy:2.6\n", 1),
    ("haproxy-failover", "etc/keepalived/keepalived.conf", "script \"killall -0 haproxy\"\n", 1),
    (
        "haproxy-syslog",
        "etc/rsyslog.d/49-haproxy.conf",
        "$AddUnixListenSocket /var/lib/haproxy/x\n",
        1,
    ),
    (
        "haproxy-logrotate",
        "etc/logrotate.d/lb",
        "postrotate\n service haproxy reload\nendscript\n",
        2,
    ),
    (
        "haproxy-readers",
        "etc/telegraf/telegraf.d/lb.conf",
        "[[inputs.haproxy]]\npassword = \"s3cr3t-qz\"\n",
        1,
    ),
    ("haproxy-managed", "etc/ansible/facts.d/lb.fact", "{\"lb\": \"haproxy\"}\n", 1),
    (
        "haproxy-rights",
        "etc/sudoers.d/lb",
        "%ops ALL=(root) /usr/bin/systemctl reload haproxy\n",
        1,
    ),
];

/// Writes all of it below `root`, with users and a group.
fn plant(root: &Path) {
    for (_, path, text, _) in PLANTED {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "haproxy:x:113:zabbix\n").unwrap();
}

#[test]
fn what_knows_haproxy_is_told_with_file_and_line() {
    if skipped("what_knows_haproxy_is_told_with_file_and_line") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let host = cluster.host("lb");
    let scratch = Scratch::new("doctor-migration").unwrap();
    plant(scratch.path());
    let config =
        "masters = [\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.13\"]\nlisten = [\"10.0.0.10\"]\n";
    let own = scratch.write("own.toml", config).unwrap();
    // The whole /etc is another one for this process alone.
    let script = "mount --make-rprivate / && mount --bind \"$1/etc\" /etc && shift && exec \"$@\"";
    let run = |options: &[&str]| {
        let mut command = host.command("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(scratch.path());
        command.arg(binary("eclusa-apiserver").unwrap());
        command.args(["doctor", "--json", "--offline", "-c"]).arg(&own).args(options);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
        });
        (Report { code: output.status.code(), report }, text)
    };
    let (report, text) = run(&["--migration"]);
    assert_eq!(report.code, Some(1), "{text}");
    let is_told = |(check, path, _, line): &(&str, &str, &str, usize)| {
        let told = report.told(check, &[&format!("/{path}:{line}: ")]);
        matches!(&told[..], [one] if one["remedy"].as_str().is_some_and(|it| !it.is_empty()))
    };
    let missing: Vec<_> = PLANTED.iter().filter(|planted| !is_told(planted)).collect();
    assert!(missing.is_empty(), "{missing:#?}\n{text}");
    report.one("haproxy-readers", "warning", &["in the group haproxy: zabbix"]);
    assert!(!text.contains("s3cr3t-qz"), "{text}");
    // Without the flag nobody looks.
    let (report, text) = run(&[]);
    assert!(!text.contains("haproxy-"), "{:#}", report.report);
    Item::new("3.10 doctor --migration on a host on which everything knows HAProxy")
        .bound("each planted line told with its file, number and remedy, and no secret of them")
        .n(PLANTED.len())
        .record(
            missing.is_empty(),
            format!("{} of {} told", PLANTED.len() - missing.len(), PLANTED.len()),
        );
}
