//! gRPC's health service as a probe, with the real thing at the endpoints: who says that it does not serve gets
//! no calls, and gets them again when it does.

use super::bed::{START, script};
use crate::h2::client::{Client, read, request, run};
use e2e::product::{PATIENCE, Product, Program};
use e2e::python::{Script, command, missing};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::Scratch;
use eclusa_testkit::wait::wait_until;
use http::Method;
use serde_json::Value;
use std::net::SocketAddr;

/// Who may say that it does not serve, in a pool with others that do.
const SUBJECT: &str = "10.0.1.106:50051";
/// The processes of the endpoints, by what they are, and their addresses.
const ENDPOINTS: [(&str, &str); 4] = [
    ("whole", SUBJECT),
    ("others", "10.0.1.106:50061,10.0.1.106:50062"),
    ("named", "10.0.1.106:50443"),
    ("without", "10.0.1.106:50052"),
];

const CONFIG: &str = r#"
upstreams_within = ["10.0.0.0/22"]
[listener.plain]
listen = ["192.168.1.2:80"]
http = true
pool = "whole"
[[listener.plain.route]]
path = ["/named"]
pool = "named"
[[listener.plain.route]]
path = ["/without"]
pool = "without"
[pool.whole]
endpoints = ["10.0.1.106:50051", "10.0.1.106:50061", "10.0.1.106:50062"]
http = { version = "2" }
slow_start = "0s"
probe = { kind = "grpc", interval = "100ms", fast_interval = "100ms", rise = 2 }
[pool.named]
endpoints = ["10.0.1.106:50443"]
http = { version = "2" }
tls = { ca = "{ca}", server_name = "grpc.test" }
[pool.named.probe]
kind = "grpcs"
interval = "100ms"
fast_interval = "100ms"
service = "shop.v1.Orders"
ca = "{ca}"
server_name = "grpc.test"
[pool.without]
endpoints = ["10.0.1.106:50052"]
http = { version = "2" }
probe = { kind = "grpc", interval = "100ms", fast_interval = "100ms" }
"#;

/// Waits until an endpoint of `pool` is `verdict`, after it was `before`; why, in words.
#[track_caller]
fn verdict(edge: &mut Product, pool: &str, (before, verdict): (&str, &str)) -> String {
    let what = format!("{pool} {verdict} after {before}");
    let is_it = |event: &Value| {
        (&event["event"], &event["pool"]) == (&"verdict".into(), &pool.into())
            && (&event["before"], &event["verdict"]) == (&before.into(), &verdict.into())
    };
    let event = edge.wait_for_event(PATIENCE, &what, is_it);
    event["message"].as_str().unwrap_or_default().to_owned()
}

/// Six calls, and how many of them went to [`SUBJECT`]; no endpoint knows the method (12, UNIMPLEMENTED).
fn calls(edge: &Product, client: &Host, path: &str) -> usize {
    run(async {
        let address: SocketAddr = "192.168.1.2:80".parse().unwrap();
        let mut client = Client::open(client, address).await;
        for _ in 0..6 {
            let mut asked = request(Method::POST, path);
            asked.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
            asked.headers_mut().insert("te", "trailers".parse().unwrap());
            let (response, _) = client.begin(asked, true).await.unwrap();
            let answer = read(response).await.unwrap();
            let told = answer.trailers.get("grpc-status");
            let told = told.or(answer.fields.get("grpc-status"));
            assert_eq!(told, Some(&"12".parse().unwrap()), "{path}: {:?}", answer.fields);
        }
    });
    let records = || {
        let mut records = edge.events();
        records.retain(|event| event["event"] == "exchange" && event["target"] == path);
        records
    };
    wait_until(PATIENCE, "the records", || records().len() == 6);
    records().iter().filter(|record| record["endpoint"] == SUBJECT).count()
}

#[test]
fn endpoints_that_say_so_get_no_calls() {
    const TEST: &str = "endpoints_that_say_so_get_no_calls";
    if skipped(TEST) || missing(TEST, &["grpc"]) {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let (ca, files) = (Ca::new(), Scratch::new("grpc-health").unwrap());
    let leaf = ca.leaf(&["grpc.test"]).write(files.path(), "grpc").unwrap();
    let ca = files.write("ca.pem", ca.pem()).unwrap();
    // Services and what they are: 1 is SERVING, 2 NOT_SERVING.
    let health = files.write("health", "=1\nshop.v1.Orders=1\n").unwrap();
    let good = files.write("good", "=1\n").unwrap();
    let now = |text: &str| {
        // At once: the endpoints must not read half of it.
        let new = files.write("health.new", text).unwrap();
        std::fs::rename(new, &health).unwrap();
    };
    let start = |(pool, address): &(&str, &str)| {
        let mut command = command(&cluster.host("worker1"), &script("server.py"));
        command.arg(address);
        if *pool == "named" {
            command.args([&leaf.certificate, &leaf.key]);
        }
        match *pool {
            "without" => {}
            "others" => drop(command.arg(format!("health={}", good.display()))),
            _ => drop(command.arg(format!("health={}", health.display()))),
        }
        Script::start(command, files.path().join(format!("{pool}.log")))
    };
    let endpoints = ENDPOINTS.each_ref().map(start);
    endpoints.iter().for_each(|endpoint| endpoint.wait_for(START, "ready"));
    let config = CONFIG.replace("{ca}", &ca.display().to_string());
    let mut edge = Program::Edge.start(Some(&cluster.host("edge")), &config);
    let client = cluster.host("outside1");
    let all_up = |event: &Value| event["pool"] == "whole" && event["before"] == "unknown";
    wait_until(PATIENCE, "three verdicts", || {
        edge.events().iter().filter(|it| all_up(it)).count() == 3
    });
    verdict(&mut edge, "named", ("unknown", "up"));
    let why = verdict(&mut edge, "without", ("unknown", "draining"));
    assert!(why.contains("it has no health service (grpc-status 12, UNIMPLEMENTED)"), "{why}");
    assert!(calls(&edge, &client, "/before") > 0);

    now("=2\nshop.v1.Other=1\n");
    let why = verdict(&mut edge, "whole", ("up", "draining"));
    assert!(why.ends_with("its health service answers NOT_SERVING"), "{why}");
    let why = verdict(&mut edge, "named", ("up", "draining"));
    assert!(why.contains("does not know the probe's `service` (grpc-status 5"), "{why}");
    assert_eq!(calls(&edge, &client, "/out"), 0);

    now("=1\nshop.v1.Orders=1\n");
    verdict(&mut edge, "whole", ("draining", "up"));
    verdict(&mut edge, "named", ("draining", "up"));
    assert!(calls(&edge, &client, "/back") > 0);
}
