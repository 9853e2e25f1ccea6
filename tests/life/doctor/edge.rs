//! The edge: PROXY headers, a foreign listener, forwarding, an apiserver in reach, certificates.

use super::{Report, offline};
use e2e::product::Program;
use e2e::proof::Item;
use eclusa_testkit::ca::Ca;
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use eclusa_testkit::process::{Peer, Scratch};
use std::net::TcpListener;
use std::time::{Duration, SystemTime};

/// Two listeners of one HAProxy: one wants a PROXY header, one does not know what that is.
const HAPROXY: &str = "global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 5s\n  \
    timeout client 5s\n  timeout server 5s\nlisten wants\n  bind 10.0.1.101:80 accept-proxy\n  \
    http-request return status 200\nlisten plain\n  bind 10.0.1.102:80\n  http-request return status 200\n";

/// Each of the two as it is, and as it is not.
fn config(certificates: &str) -> String {
    let pool = |name: &str, keys: &str| {
        format!("[pool.{name}]\nprobe = {{ kind = \"http\", path = \"/healthz\" }}\n{keys}\n")
    };
    let wants = "endpoints = [\"10.0.1.101:80\"]";
    let plain = "endpoints = [\"10.0.1.102:80\"]";
    format!(
        "workers = 1\n[listener.web]\nlisten = [\"192.168.1.2:443\"]\npool = \"right\"\nhttp = true\n\
         tls = {{ certificates = [\"{certificates}\"] }}\n\
         [[listener.web.route]]\nhost = [\"old.test\", \"new.test\"]\npool = \"right\"\n\
         [listener.b]\nlisten = [\"192.168.1.2:8001\"]\npool = \"right-too\"\n\
         [listener.c]\nlisten = [\"192.168.1.2:8002\"]\npool = \"lacks\"\n\
         [listener.d]\nlisten = [\"192.168.1.2:8003\"]\npool = \"surplus\"\n{}{}{}{}",
        pool("right", plain),
        pool("right-too", &format!("{wants}\nsend_proxy = \"v1\"")),
        pool("lacks", wants),
        pool("surplus", &format!("{plain}\nsend_proxy = \"v2\"")),
    )
}

#[test]
fn what_is_wrong_at_an_edge_is_told() {
    if skipped("what_is_wrong_at_an_edge_is_told") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 1, workers: 1, ..Shape::default() }).unwrap();
    let (edge, worker, master) =
        (cluster.host("edge"), cluster.host("worker1"), cluster.host("master1"));
    let _endpoints = Peer::haproxy(Some(&worker), HAPROXY, &[80]).unwrap();
    let _apiserver = master.enter(|| TcpListener::bind("10.0.0.11:6443")).unwrap();
    let scratch = Scratch::new("doctor").unwrap();
    let day = Duration::from_secs(86_400);
    let ended = Ca::new().leaf_of(&["old.test"], SystemTime::now() - day);
    let files = ended.write(scratch.path(), "old").unwrap();
    let config = config(&files.certificate.display().to_string());
    let product = Program::Edge.start(Some(&edge), &config);
    edge.run("sysctl", &["-q", "-w", "net.ipv4.ip_forward=1"]).unwrap();
    let socket = product.run_directory().join("edge.sock");
    let options = ["--socket", socket.to_str().unwrap(), "--apiserver", "10.0.0.11"];
    let file = product.config().unwrap();
    let report = Report::on(&edge, "eclusa-edge", file, &options);
    assert_eq!(report.code, Some(1), "{:#}", report.report);
    report.one(
        "proxy-header",
        "error",
        &["lacks/10.0.1.101:80", "wants a PROXY header", "send_proxy = \\\"v2\\\""],
    );
    report.one("proxy-header", "error", &["surplus/10.0.1.102:80", "understands no header"]);
    let mismatches = report.told("proxy-header", &[]);
    report.one("ip-forward", "error", &["2 networks", "net.ipv4.ip_forward = 0"]);
    report.one("apiserver-reach", "warning", &["10.0.0.11", "drop-in"]);
    report.one("certificates", "error", &["listener web", "old.test", "expired"]);
    report.one("certificates", "warning", &["a route asks for new.test"]);
    report.one("secrets", "warning", &["old.key", "chmod 0600"]);
    assert!(report.told("listeners", &[]).is_empty(), "{:#}", report.report);
    assert!(report.told("service", &[]).is_empty(), "{:#}", report.report);
    Item::new("8.1 doctor asks both ways, with a PROXY header and without")
        .bound("of two right and two wrong pools the two wrong ones, with the remedy")
        .n(4)
        .note("real listeners: HAProxy with accept-proxy and without")
        .record(mismatches.len() == 2, format!("{} of 4 told", mismatches.len()));
}

#[test]
fn a_foreign_listener_and_a_broken_key_are_told_before_a_start() {
    if skipped("a_foreign_listener_and_a_broken_key_are_told_before_a_start") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let edge = cluster.host("edge");
    let taken = "global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  \
                 timeout server 5s\nlisten x\n  bind 0.0.0.0:443\n  http-request return status 200\n";
    let mut haproxy = Peer::haproxy(Some(&edge), taken, &[443]).unwrap();
    let pid = haproxy.running().pid();
    let scratch = Scratch::new("doctor").unwrap();
    let ca = Ca::new();
    let (one, other) = (ca.leaf(&["a.test"]), ca.leaf(&["b.test"]));
    let files = one.write(scratch.path(), "a").unwrap();
    std::fs::write(&files.key, &other.key_pem).unwrap();
    let text = format!(
        "[listener.web]\nlisten = [\"192.168.1.2:443\"]\npool = \"web\"\nhttp = true\n\
         tls = {{ certificates = [{:?}] }}\n[pool.web]\nendpoints = [\"10.0.1.100:80\"]\n",
        files.certificate
    );
    let report = offline(&edge, "eclusa-edge", &text);
    assert_eq!(report.code, Some(1), "{:#}", report.report);
    let who = format!("haproxy, pid {pid}");
    report.one("listeners", "error", &["listener web: 192.168.1.2:443", &who, "0.0.0.0:443"]);
    report.one("certificates", "error", &["does not fit"]);
    report.one("service", "error", &["does not answer", "systemctl start eclusa-edge"]);
    let skipped: Vec<_> = report.report["skipped"].as_array().unwrap().iter().collect();
    assert!(skipped.iter().any(|it| it["check"] == "proxy-header" && it["why"] == "--offline"));
    // For people, and with a file that is none.
    let file = e2e::product::ConfigFile::new(&text);
    let run = |words: &[&str]| {
        let mut command = edge.command(eclusa_testkit::process::binary("eclusa-edge").unwrap());
        let output = command.arg("doctor").args(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, _) = run(&["--offline", "-c", file.path().to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(
        out.contains(&format!("ERROR listeners: listener web: 192.168.1.2:443: {who}")),
        "{out}"
    );
    assert!(out.contains("\n  remedy  stop it (ps -fp"), "{out}");
    let (code, _, err) = run(&["-c", "/nowhere.toml"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("/nowhere.toml: error: cannot be read"), "{err}");
    let (code, out, _) = run(&["--list"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("apiserver-reach") && out.contains("rp-filter"), "{out}");
}
