//! The kernel, who listens, files.

use super::*;

#[test]
fn settings_of_the_kernel_are_held_against_the_file() {
    use Severity::{Advice, Error, Warning};
    let cases: [(&str, &str, &str, Severity, &[&str]); 10] = [
        (
            "accept-queue",
            "net.core.somaxconn",
            "128",
            Warning,
            &["128", "4096", "net.core.somaxconn = 4096"],
        ),
        (
            "syn-backlog",
            "net.ipv4.tcp_max_syn_backlog",
            "256",
            Advice,
            &["256", "tcp_max_syn_backlog = 4096"],
        ),
        ("pipe-pages", "fs.pipe-user-pages-soft", "1024", Advice, &["16 pipes", "= 16384"]),
        ("conntrack", "net.netfilter.nf_conntrack_count", "200000", Warning, &["76 %", "= 524288"]),
        ("conntrack", "net.netfilter.nf_conntrack_count", "262144", Error, &["100 %"]),
        ("untouched", "net.ipv4.ip_nonlocal_bind", "1", Advice, &["ip_nonlocal_bind=0"]),
        ("untouched", "net.ipv4.tcp_tw_reuse", "1", Advice, &["tcp_tw_reuse=2"]),
        ("untouched", "net.ipv4.tcp_fin_timeout", "10", Advice, &["tcp_fin_timeout=60"]),
        (
            "ip-forward",
            "net.ipv4.ip_forward",
            "1",
            Error,
            &["2 networks", "net.ipv4.ip_forward = 0"],
        ),
        ("rp-filter", "net.ipv4.conf.all.rp_filter", "1", Advice, &["dmz", "rp_filter = 2"]),
    ];
    for (check, name, value, severity, words) in cases {
        let finding = told(Program::Edge, EDGE, check, |facts| sysctl(facts, name, value));
        has(&finding, severity, words);
    }
    // With a way out over both legs it is no advice any more.
    let finding = told(Program::Edge, EDGE, "rp-filter", |facts| {
        sysctl(facts, "net.ipv4.conf.all.rp_filter", "1");
        facts.host.default_routes = 2;
    });
    has(&finding, Warning, &["2 default routes"]);
    // One leg alone cannot be gone round.
    let finding = told(Program::Edge, EDGE, "ip-forward", |facts| {
        sysctl(facts, "net.ipv6.conf.all.forwarding", "1");
        facts.host.networks.pop();
    });
    has(&finding, Warning, &["net.ipv6.conf.all.forwarding = 0"]);
}

#[test]
fn the_settings_are_those_of_the_book() {
    let read = |path: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        std::fs::read_to_string(path).unwrap()
    };
    let settings = read("systemd/eclusa.sysctl");
    let set = settings.lines().filter_map(|line| line.strip_prefix('#')?.split_once(" = "));
    let named: Vec<_> =
        set.map(|(name, _)| name.to_owned()).filter(|it| it.contains('.')).collect();
    assert!(named.len() >= 5, "{named:?}");
    for name in &named {
        assert!(
            SYSCTLS.contains(&name.as_str()),
            "{name} of systemd/eclusa.sysctl is not looked at"
        );
    }
    let book = read("docs/tuning.md");
    for name in ["ip_nonlocal_bind", "tcp_tw_reuse", "tcp_fin_timeout", "rp_filter", "ip_forward"] {
        assert!(book.contains(name) && SYSCTLS.iter().any(|it| it.ends_with(name)), "{name}");
    }
}

#[test]
fn ports_and_descriptors_must_do_for_the_sessions() {
    let many = format!("sessions_max = 100000\n{EDGE}");
    let finding = told(Program::Edge, &many, "local-ports", |_| {});
    has(&finding, Severity::Advice, &["28232 sessions", "sessions_max = 100000", "10000 65535"]);
    let finding = told(Program::Edge, &many, "descriptors", |facts| {
        facts.service.descriptors = Some((65_536, "the unit".to_owned()));
    });
    has(&finding, Severity::Error, &["100000", "the unit has 65536", "LimitNOFILE="]);
    let finding = told(Program::Edge, &many, "conntrack", |facts| {
        sysctl(facts, "net.netfilter.nf_conntrack_max", "65536");
    });
    has(&finding, Severity::Advice, &["200000", "= 262144"]);
    // What is used now counts where the file says nothing.
    let finding = told(Program::Edge, EDGE, "local-ports", |facts| {
        let endpoint = endpoint("10.0.1.100:443", 25_000);
        status(facts).pools = vec![pool("web", "fine", vec![endpoint])];
    });
    has(&finding, Severity::Warning, &["25000 now", "88 %", "`source`"]);
    let finding = told(
        Program::Edge,
        &EDGE.replace(":443\"]\npool", ":40443\"]\npool"),
        "reserved-ports",
        |facts| {
            sysctl(facts, "net.ipv4.ip_local_reserved_ports", "50000-50010");
        },
    );
    has(&finding, Severity::Advice, &["ip_local_reserved_ports = 50000-50010,40443"]);
}

#[test]
fn a_foreign_listener_is_named_and_ours_is_missed() {
    let foreign = |address: &str| {
        let holder = Holder { name: "haproxy".to_owned(), pid: 4711 };
        (Listening { address: address.parse().unwrap(), inode: 99 }, vec![holder])
    };
    let finding = told(Program::Edge, EDGE, "listeners", |facts| {
        facts.host.listening.push(foreign("0.0.0.0:443"));
    });
    has(
        &finding,
        Severity::Error,
        &["listener web", "haproxy, pid 4711", "0.0.0.0:443", "ps -fp 4711"],
    );
    // Of the other family it is in the way only if trying says so.
    let mut facts_of = facts(Program::Edge, EDGE);
    facts_of.host.listening.push(foreign("[::]:443"));
    assert_eq!(judge(&facts_of).only("listeners").severity, Severity::Ok);
    facts_of.host.taken.push("192.168.1.2:443".parse().unwrap());
    assert_eq!(judge(&facts_of).only("listeners").severity, Severity::Error);
    let finding = told(Program::Edge, EDGE, "listeners", |facts| facts.host.listening.clear());
    has(&finding, Severity::Error, &["does not listen", "eclusa-edge reload"]);
    // Who sees no processes of others accuses nobody.
    let mut unseen = facts(Program::Edge, EDGE);
    unseen.host.sees_all = false;
    unseen.host.listening[0].1.clear();
    let found = judge(&unseen);
    assert!(found.skipped.iter().any(|it| it.check == "listeners"), "{found:#?}");
    assert_eq!(found.worst(), Severity::Ok);
}

#[test]
fn low_ports_need_a_capability_and_virtual_addresses_none() {
    let finding = told(Program::Edge, EDGE, "low-ports", |facts| {
        facts.service.who.as_mut().unwrap().binds_all = false;
    });
    has(&finding, Severity::Error, &["443", "CAP_NET_BIND_SERVICE"]);
    let finding = told(Program::Edge, EDGE, "addresses", |facts| {
        facts.host.networks.retain(|(ip, _)| ip.to_string() != "192.168.1.2");
    });
    has(&finding, Severity::Advice, &["192.168.1.2", "keepalived"]);
}

fn file(path: &str, mode: u32, is_secret: bool) -> NamedFile {
    let step =
        |path: &Path, mode| Step { path: path.to_owned(), uid: 0, gid: 0, mode, has_acl: false };
    let path = PathBuf::from(path);
    let above = step(path.parent().unwrap(), 0o755);
    NamedFile { steps: Ok(vec![above, step(&path, mode)]), is_secret, path }
}

#[test]
fn files_must_be_readable_for_whom_the_service_opens_them_as() {
    let probed =
        format!("{MASTERS}[probe]\nca = \"/etc/eclusa/ca.crt\"\nserver_name = \"kubernetes\"\n");
    let finding = told(Program::Apiserver, &probed, "files", |facts| {
        facts.files = vec![file("/etc/eclusa/ca.crt", 0o600, false)];
    });
    has(
        &finding,
        Severity::Error,
        &["/etc/eclusa/ca.crt", "user eclusa", "mode 0600", "chmod 0644"],
    );
    // The keeper of the edge reads what only root may: unless a drop-in has taken that away.
    let mut edge = facts(Program::Edge, EDGE);
    edge.files = vec![file("/etc/letsencrypt/live/privkey.pem", 0o600, true)];
    assert_eq!(judge(&edge).only("files").severity, Severity::Ok);
    edge.service.who.as_mut().unwrap().reads_all = false;
    has(judge(&edge).only("files"), Severity::Error, &["CAP_DAC_READ_SEARCH", "setfacl"]);
    // A directory on the way; a list that says more than the bits; what the unit hides; what is not there.
    let finding = told(Program::Apiserver, MASTERS, "files", |facts| {
        let mut one = file("/srv/keys/a.pem", 0o644, false);
        one.steps.as_mut().unwrap()[0].mode = 0o700;
        facts.files = vec![one];
    });
    has(&finding, Severity::Error, &["(at /srv/keys)", "u:eclusa:x /srv/keys"]);
    let mut listed = facts(Program::Apiserver, MASTERS);
    listed.files = vec![file("/etc/eclusa/a.pem", 0o600, false)];
    listed.files[0].steps.as_mut().unwrap()[1].has_acl = true;
    assert_eq!(judge(&listed).only("files").severity, Severity::Ok);
    let finding = told(Program::Edge, EDGE, "files", |facts| {
        facts.files = vec![file("/run/user/1000/shop.pem", 0o644, false)];
    });
    has(&finding, Severity::Error, &["ProtectHome=", "/etc/eclusa"]);
    let finding = told(Program::Edge, EDGE, "files", |facts| {
        let steps = Err("No such file or directory".to_owned());
        facts.files = vec![NamedFile { path: "/etc/eclusa/a.pem".into(), is_secret: false, steps }];
    });
    has(&finding, Severity::Error, &["No such file", "ls -l /etc/eclusa/a.pem"]);
}

#[test]
fn owner_group_and_others_count_in_that_order() {
    let who = Who { uid: 10, groups: vec![20], ..Who::default() };
    let step = |uid, gid, mode| Step { path: "/a".into(), uid, gid, mode, has_acl: false };
    let reads = |step: Step| files::may_pass(&who, &step, true);
    assert!(reads(step(10, 0, 0o400)) && !reads(step(10, 20, 0o044)));
    assert!(reads(step(0, 20, 0o040)) && !reads(step(0, 20, 0o404)));
    assert!(reads(step(0, 0, 0o004)) && !reads(step(0, 0, 0o440)));
    assert!(files::may_pass(&who, &step(0, 0, 0o001), false));
    assert!(!files::may_pass(&who, &step(0, 0, 0o004), false));
}

#[test]
fn secrets_are_nobody_elses_to_read() {
    let finding = told(Program::Edge, EDGE, "secrets", |facts| {
        facts.files =
            vec![file("/etc/eclusa/a.key", 0o644, true), file("/etc/eclusa/a.pem", 0o644, false)];
    });
    has(&finding, Severity::Warning, &["/etc/eclusa/a.key", "mode 0644", "chmod 0600"]);
    // Behind a closed directory nobody comes to it.
    let mut closed = facts(Program::Edge, EDGE);
    closed.files = vec![file("/etc/eclusa/a.key", 0o644, true)];
    closed.files[0].steps.as_mut().unwrap()[0].mode = 0o700;
    assert_eq!(judge(&closed).only("secrets").severity, Severity::Ok);
}

#[test]
fn certificates_of_listeners_are_told_with_their_dates() {
    let day = |days: i64| now() + Duration::from_secs((days * DAY).unsigned_abs());
    let read = |not_before, not_after, issuer: Option<&str>, links| Look::Read {
        names: "shop.test".to_owned(),
        not_before,
        not_after,
        issuer: issuer.map(str::to_owned),
        links,
    };
    let past = now() - Duration::from_secs(3600);
    let wrong =
        Look::Wrong { what: "the key does not fit".into(), remedy: "give the other".into() };
    let cases: [(Look, Severity, &[&str]); 6] = [
        (wrong, Severity::Error, &["the key does not fit", "give the other"]),
        (read(past, past, None, 2), Severity::Error, &["expired at", "shop.test", "certbot renew"]),
        (read(day(1), day(90), None, 2), Severity::Error, &["not valid before"]),
        (read(past, day(7), None, 2), Severity::Warning, &["ends at"]),
        (read(past, day(20), None, 2), Severity::Advice, &["ends at"]),
        (
            read(past, day(90), Some("CN=Middle"), 1),
            Severity::Advice,
            &["CN=Middle", "fullchain.pem"],
        ),
    ];
    for (look, severity, words) in cases {
        let finding = told(Program::Edge, EDGE, "certificates", |facts| {
            let file = PathBuf::from("/etc/eclusa/shop.pem");
            facts.examined = vec![Examined { listener: "web".into(), file, look }];
        });
        has(&finding, severity, words);
        assert!(finding.found.contains("listener web: /etc/eclusa/shop.pem"), "{}", finding.found);
    }
}
