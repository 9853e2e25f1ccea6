//! Outside clients through `eclusa-edge` to the virtual addresses of two nginx, by server name.

use e2e::plain::try_connect;
use e2e::product::{PATIENCE, Product, Program};
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::client::{Target, who_answers};
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use eclusa_testkit::process::{Peer, Scratch};
use eclusa_testkit::wait::wait_until;
use std::net::SocketAddr;

/// Listener 443 without PROXY headers, 8443 with.
const CONFIG: &str = r#"
upstreams_within = ["10.0.0.0/22"]

[listener.plain]
listen = ["192.168.1.2:443"]
[[listener.plain.route]]
server_name = ["shop.test"]
pool = "shop"
[[listener.plain.route]]
server_name = ["*.wiki.test"]
pool = "wiki"

[listener.proxied]
listen = ["192.168.1.2:8443"]
[[listener.proxied.route]]
server_name = ["shop.test"]
pool = "shop-proxied"
[[listener.proxied.route]]
server_name = ["*.wiki.test"]
pool = "wiki-proxied"

[pool.shop]
endpoints = ["10.0.1.100:443"]
[pool.wiki]
endpoints = ["10.0.1.101:443"]
[pool.shop-proxied]
endpoints = ["10.0.1.100:8443"]
send_proxy = "v2"
[pool.wiki-proxied]
endpoints = ["10.0.1.101:8443"]
send_proxy = { version = 2, alpn = true, authority = true, unique_id = true, crc32c = true }
"#;

const NAMES: [(&str, &str); 2] = [("shop.test", "shop"), ("en.wiki.test", "wiki")];

/// nginx on a virtual address: 443, and 8443 behind a PROXY header.
fn nginx(cluster: &Cluster, files: &Scratch, ca: &Ca, vip: &str, name: &str, says: &str) -> Peer {
    let leaf = ca.leaf(&[name]).write(files.path(), says).unwrap();
    let (certificate, key) = (leaf.certificate.display(), leaf.key.display());
    let config = format!(
        "events {{}}\nhttp {{\n\
         log_format who '$remote_addr $realip_remote_addr $server_port $ssl_server_name';\n\
         access_log {{directory}}/access.log who;\n\
         set_real_ip_from 10.0.0.9; real_ip_header proxy_protocol;\n\
         server {{ listen {vip}:443 ssl; listen {vip}:8443 ssl proxy_protocol;\n\
         ssl_certificate {certificate}; ssl_certificate_key {key};\n\
         location / {{ return 200 '{says}'; }} }} }}\n"
    );
    let worker = cluster.host("worker1");
    let peer = Peer::nginx(Some(&worker), &config, &[443, 8443]).unwrap();
    // The other nginx listens on the same ports: that this one does as well must be tried.
    let address = format!("{vip}:8443").parse().unwrap();
    wait_until(PATIENCE, vip, || try_connect(&worker, address, PATIENCE).is_ok());
    peer
}

#[test]
fn clients_reach_nginx_by_server_name() {
    if skipped("clients_reach_nginx_by_server_name") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let (ca, files) = (Ca::new(), Scratch::new("certificates").unwrap());
    let shop = nginx(&cluster, &files, &ca, "10.0.1.100", "shop.test", "shop");
    let wiki = nginx(&cluster, &files, &ca, "10.0.1.101", "en.wiki.test", "wiki");
    let edge = Program::Edge.start(Some(&cluster.host("edge")), CONFIG);
    let each = size(250, 5);
    let mut wrong = Vec::new();
    let mut asked = 0;
    for port in [443, 8443] {
        let address = SocketAddr::from(([192, 168, 1, 2], port));
        for client in ["outside1", "outside2"] {
            let answers = cluster.host(client).enter(|| {
                let all = NAMES.iter().flat_map(|name| std::iter::repeat_n(*name, each));
                let ask = |(name, says): (&str, &str)| {
                    let who = who_answers(&Target::new(address, name, &ca), "/", PATIENCE);
                    let right = who.as_ref().is_ok_and(|who| who.status == 200 && who.body == says);
                    (!right).then(|| format!("{name}:{port} from {client}: {who:?}"))
                };
                all.map(ask).collect::<Vec<_>>()
            });
            asked += answers.len();
            wrong.extend(answers.into_iter().flatten());
        }
    }
    Item::new("2.2 outside clients by SNI to two VIPs with nginx")
        .bound("each name reaches its nginx, PROXY v2 off and on; 0 failed")
        .n(asked)
        .record(wrong.is_empty(), wrong_of(asked, &wrong));
    for (peer, name) in [(&shop, "shop.test"), (&wiki, "en.wiki.test")] {
        true_client_in_the_log(peer, name, each);
    }
    let record = edge.wait_sessions(asked, "records", |_| true);
    let named = record.iter().all(|record| {
        let client = record["client"].as_str().unwrap_or_default();
        client.starts_with("203.0.113.1") && record["sni"].is_string() && record["letters"] == "--"
    });
    assert!(named, "records name client and SNI and end with `--`: {:?}", record.first());
    strangers_are_closed(&cluster, &edge, &ca);
}

/// Behind PROXY v2 nginx logs the client, without it the edge.
fn true_client_in_the_log(nginx: &Peer, name: &str, each: usize) {
    let lines = || nginx.file("access.log").lines().map(str::to_owned).collect::<Vec<_>>();
    wait_until(PATIENCE, "nginx's log", || lines().len() >= 4 * each);
    let lines = lines();
    let count = |line: &str| lines.iter().filter(|found| *found == line).count();
    let wanted = [
        (format!("10.0.0.9 10.0.0.9 443 {name}"), 2 * each),
        (format!("203.0.113.11 10.0.0.9 8443 {name}"), each),
        (format!("203.0.113.12 10.0.0.9 8443 {name}"), each),
    ];
    let right = lines.len() == 4 * each && wanted.iter().all(|(line, n)| count(line) == *n);
    let figure = format!("{} of {} lines are right", lines.len(), 4 * each);
    let figure = if right { figure } else { format!("unexpected lines: {lines:?}") };
    Item::new(format!("2.2.1 the true client in nginx's log, {name}"))
        .bound("203.0.113.11/12 with PROXY v2, the edge's 10.0.0.9 without")
        .n(lines.len())
        .record(right, figure);
}

/// A name that no route takes, and none at all.
fn strangers_are_closed(cluster: &Cluster, edge: &Product, ca: &Ca) {
    let address: SocketAddr = "192.168.1.2:443".parse().unwrap();
    let mut reasons = Vec::new();
    for name in ["unknown.test", "wiki.test", "192.168.1.2"] {
        let target = Target::new(address, name, ca);
        let who = cluster.host("outside1").enter(|| who_answers(&target, "/", PATIENCE));
        assert!(who.is_err(), "{name}: {who:?}");
        let record = edge.wait_sessions(1, name, |record| {
            record["step"] == "route"
                && match record["sni"].as_str() {
                    Some(sni) => sni == name,
                    None => name == "192.168.1.2",
                }
        });
        let right = record[0]["letters"] == "PR" && record[0].get("pool").is_none();
        assert!(right, "{}", record[0]);
        reasons.push(record[0]["reason"].as_str().unwrap_or_default().to_owned());
    }
    Item::new("2.2.2 unknown name, no SNI")
        .bound("closed, `PR` at step route")
        .n(reasons.len())
        .record(reasons.len() == 3, format!("closed: {}", reasons.join("; ")));
}
