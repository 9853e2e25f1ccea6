//! `upstreams_within`: no typo and no DNS answer leads out of these networks.

use e2e::plain::{exchange, try_connect};
use e2e::product::{PATIENCE, Program};
use e2e::proof::Item;
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use std::io::ErrorKind;
use std::path::Path;

fn config(endpoints: &str) -> String {
    format!(
        "upstreams_within = [\"10.0.0.0/22\"]\n[listener.web]\nlisten = [\"192.168.1.2:80\"]\n\
         pool = \"web\"\n[pool.web]\nendpoints = [{endpoints}]\nresolve_interval = \"1s\"\n"
    )
}

#[test]
fn an_address_outside_is_refused_by_check() {
    let (output, path) =
        Program::Edge.check(&config("\"10.0.1.100:80\", \"10.0.4.1:80\""), &["--offline"]);
    let text = String::from_utf8(output.stderr).unwrap();
    let wanted = ":6:31: error: `10.0.4.1` lies outside `upstreams_within`";
    let code = output.status.code();
    Item::new("2.4.5 an endpoint outside of upstreams_within")
        .bound("check ends with 2 and shows the place")
        .record(
            code == Some(2) && text.contains(wanted),
            format!("{}: `{}`", output.status, first_line(&text, &path)),
        );
}

/// The first line, without the folder of the test.
fn first_line(text: &str, path: &Path) -> String {
    let folder = path.parent().map(|folder| format!("{}/", folder.display())).unwrap_or_default();
    text.lines().next().unwrap_or_default().replace(&folder, "")
}

/// `localhost` stands for any name whose answer leads elsewhere: a service listens there, and must
/// neither be probed nor dialled.
#[test]
fn a_name_that_leads_outside_is_never_dialled() {
    if skipped("a_name_that_leads_outside_is_never_dialled") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let host = cluster.host("edge");
    let listen = "127.0.0.1:9000".parse().unwrap();
    let secret = host.enter(|| Endpoint::start(listen, Kind::Echo)).unwrap();
    let mut edge = Program::Edge.start(Some(&host), &config("\"localhost:9000\""));
    let told = edge.wait_for_event(PATIENCE, "a word of the resolver", |event| {
        event["event"] == "resolve" && event["host"] == "localhost"
    });
    // The reset may come before the client knows that it was connected.
    let client = cluster.host("outside1");
    let heard = match try_connect(&client, "192.168.1.2:80".parse().unwrap(), PATIENCE) {
        Ok(stream) => exchange(&stream, b"let me in").unwrap(),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Vec::new(),
        Err(error) => panic!("{error}"),
    };
    let record = &edge.wait_sessions(1, "the refused session", |_| true)[0];
    let right = told["message"].as_str().unwrap_or_default().contains("not in `upstreams_within`")
        && heard.is_empty()
        && record["step"] == "dial"
        && record["letters"] == "SC"
        && secret.counters().accepted == 0;
    Item::new("2.4.6 a name that resolves outside of upstreams_within")
        .bound("told, never dialled or probed")
        .record(
            right,
            format!(
                "{}; {} connections outside; session {}",
                told["message"],
                secret.counters().accepted,
                record["letters"]
            ),
        );
}
