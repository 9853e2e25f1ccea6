//! The masters' balancer: four masters, each with something else.

use super::Report;
use e2e::product::Program;
use e2e::proof::Item;
use eclusa_testkit::apiserver::{ApiServer, Settings};
use eclusa_testkit::ca::{Ca, Leaf};
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use eclusa_testkit::process::Scratch;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

#[test]
fn what_is_wrong_with_masters_is_told() {
    if skipped("what_is_wrong_with_masters_is_told") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 4, workers: 1, ..Shape::default() }).unwrap();
    let (own, other) = (Ca::new(), Ca::new());
    let day = Duration::from_secs(86_400);
    let masters: [(Leaf, bool); 4] = [
        (own.leaf(&["kubernetes", "10.0.0.10"]), false),
        (own.leaf(&["kubernetes", "10.0.0.12"]), false),
        (own.leaf_until(&["kubernetes", "10.0.0.10"], SystemTime::now() - day), true),
        (other.leaf(&["kubernetes", "10.0.0.10"]), false),
    ];
    let start = |(number, (leaf, proxy)): (usize, &(Leaf, bool))| {
        let name = format!("master{}", number + 1);
        let host = cluster.host(&name);
        let settings = Settings { expect_proxy: *proxy, ..Settings::new(&name, leaf) };
        host.enter(|| ApiServer::start(host.at(6443), settings)).unwrap()
    };
    let _masters: Vec<_> = masters.iter().enumerate().map(start).collect();
    let scratch = Scratch::new("doctor").unwrap();
    let files = own.leaf(&["probe"]).write(scratch.path(), "probe").unwrap();
    let config = format!(
        "masters = [\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.13\", \"10.0.0.14\"]\nlisten = [\"10.0.0.10\"]\n\
         workers = 1\n[probe]\ncertificate = {:?}\nkey = {:?}\n",
        files.certificate, files.key
    );
    let lb = cluster.host("lb");
    let product = Program::Apiserver.start(Some(&lb), &config);
    // Somebody has renewed it, and left it to root alone.
    std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let socket = product.run_directory().join("apiserver.sock");
    let options = ["--socket", socket.to_str().unwrap()];
    let report = Report::on(&lb, "eclusa-apiserver", product.config().unwrap(), &options);
    assert_eq!(report.code, Some(1), "{:#}", report.report);
    report.one("configuration", "warning", &["4 masters", "bear no more failures"]);
    report.one(
        "cluster",
        "error",
        &["10.0.0.14:6443", "3 of 4 masters have another issuer", "endpoint drain"],
    );
    let check = "endpoint-certificates";
    report.one(check, "warning", &["10.0.0.12:6443", "10.0.0.10 not among its names", "certSANs"]);
    report.one(check, "error", &["10.0.0.13:6443", "expired at"]);
    report.one("proxy-header", "error", &["10.0.0.13:6443", "wants a PROXY header"]);
    report.one("files", "error", &["probe.key", "mode 0600", "chmod 0640"]);
    // All are on this machine; their `Date` was read, whichever way they were asked.
    let in_step = |finding: &serde_json::Value| {
        let found = "4 of 4 endpoints that answered tell the same time";
        finding["check"] == "clock" && finding["found"] == found
    };
    assert!(report.findings().any(in_step), "{:#}", report.report);
    let count = ["configuration", "cluster", check, "proxy-header", "files"]
        .map(|check| report.told(check, &[]).len());
    // A name that clients use in its place is in all of them.
    let named = Report::on(
        &lb,
        "eclusa-apiserver",
        product.config().unwrap(),
        &[&options[..], &["--name", "kubernetes"]].concat(),
    );
    assert!(named.told(check, &["not among"]).is_empty(), "{:#}", named.report);
    Item::new("8.2 doctor and four masters, of which each has something else")
        .bound("even number, another cluster's master, a certificate without the balancer's address, one that \
                has expired, a PROXY header that is missed, a key that the service may not read")
        .n(6)
        .record(count == [1, 1, 2, 1, 1], format!("{count:?} findings"));
}
