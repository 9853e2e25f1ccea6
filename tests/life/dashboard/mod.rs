//! The dashboard of the real program, as its unit runs it: the page, what comes live, who is let in,
//! and who is not waited for. What a browser makes of it is in `shows`, for proofs.

mod browser;
mod shows;

use e2e::ask::{get, sample};
use e2e::plain::{connect, hear};
use e2e::product::{PATIENCE, Product, Program};
use e2e::proof::{Item, full};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::{Scratch, binary};
use eclusa_testkit::wait::wait_until;
use serde_json::{Value, json};
use socket2::SockRef;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

const PAGE: ([u8; 4], u16) = ([127, 0, 0, 1], 9901);
const OBSERVED: ([u8; 4], u16) = ([127, 0, 0, 1], 9644);
const TOKEN: &str = "3b1e0c7f5a9d4e62";
const ONE: &str = "10.0.1.100:9000";
const TWO: &str = "10.0.1.101:9000";
/// After which a client that takes nothing is cut (`dashboard/serve.rs`), and some more.
const CUT_WITHIN: Duration = Duration::from_secs(25);

struct Bed {
    edge: Product,
    host: Host,
    client: Host,
    endpoints: Vec<Endpoint>,
    _token: Scratch,
    _cluster: Cluster,
}

/// An answer: its status and all that came.
struct Answer {
    status: u16,
    text: String,
}

impl Bed {
    fn start() -> Self {
        let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
        let start = |address: &str| {
            let address = address.parse().unwrap();
            cluster.host("worker1").enter(|| Endpoint::start(address, Kind::Echo)).unwrap()
        };
        let endpoints = vec![start(ONE), start(TWO)];
        let token = Scratch::new("token").unwrap();
        let file = token.write("token", &format!("{TOKEN}\n")).unwrap();
        // Root's alone: the engine cannot read it, its keeper can.
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let host = cluster.host("edge");
        let config = format!(
            "workers = 2\nobserve = {{ listen = \"127.0.0.1:9644\" }}\n\
             dashboard = {{ listen = \"127.0.0.1:9901\", token_file = {file:?}, viewers_max = 2 }}\n\
             [listener.web]\nlisten = [\"192.168.1.2:9000\"]\npool = \"web\"\npeek = \"none\"\n\
             [pool.web]\nprobe = {{ kind = \"tcp\" }}\nendpoints = [\"{ONE}\", \"{TWO}\"]\n"
        );
        let edge = Program::Edge.start(Some(&host), &config);
        let client = cluster.host("outside1");
        Self { edge, host, client, endpoints, _token: token, _cluster: cluster }
    }

    /// Sends a request with these lines in its head, and hears the answer to its end.
    fn ask(&self, first: &str, head: &[&str], body: &str) -> Answer {
        let mut stream = connect(&self.host, PAGE.into());
        let mut text = format!("{first} HTTP/1.1\r\nConnection: close\r\n");
        if !head.iter().any(|line| line.starts_with("Host:")) {
            text.push_str("Host: 127.0.0.1:9901\r\n");
        }
        for line in head {
            text.push_str(&format!("{line}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(text.as_bytes()).unwrap();
        let text = String::from_utf8(hear(&stream).unwrap()).unwrap();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, text }
    }

    /// Sends an order for the first endpoint, with these lines in its head.
    fn order(&self, wanted: &str, head: &[&str]) -> Answer {
        self.order_for(ONE, wanted, head)
    }

    fn order_for(&self, endpoint: &str, wanted: &str, head: &[&str]) -> Answer {
        let order = json!({ "pool": "web", "endpoint": endpoint, "admin": wanted });
        let body = order.to_string();
        let head = [head, &["Content-Type: application/json"]].concat();
        self.ask("POST /api/order", &head, &body)
    }

    fn look(&self) -> Live {
        let mut stream = connect(&self.host, PAGE.into());
        stream.write_all(b"GET /live HTTP/1.1\r\nHost: localhost:9901\r\n\r\n").unwrap();
        Live(BufReader::new(stream))
    }

    /// The admin state of the first endpoint, as `status` tells it.
    fn wanted(&self) -> String {
        let mut command = Command::new(binary("eclusa-edge").unwrap());
        command
            .args(["status", "--json", "--socket"])
            .arg(self.edge.run_directory().join("edge.sock"));
        let status: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        let endpoints = status["pools"][0]["endpoints"].as_array().unwrap();
        let one = endpoints.iter().find(|endpoint| endpoint["name"] == ONE).unwrap();
        one["admin"]["state"].as_str().unwrap().to_owned()
    }

    fn refused(&self, reason: &str) -> f64 {
        let page = get(&self.host, OBSERVED.into(), "/metrics").body;
        let name = format!("eclusa_dashboard_refused_total{{reason=\"{reason}\"}}");
        sample(&page, &name).unwrap_or_else(|| panic!("no {name}"))
    }
}

/// What comes live.
struct Live(BufReader<TcpStream>);

impl Live {
    /// The next event's kind and data.
    fn next(&mut self) -> (String, Value) {
        let (mut kind, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).expect("an event in time") > 0, "it has ended");
            if let Some(name) = line.strip_prefix("event: ") {
                kind = name.trim_end().to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (kind, serde_json::from_str(data).unwrap());
            }
        }
    }

    /// Hears events until one says this of the endpoint, and returns how long that took.
    fn hear(&mut self, endpoint: &str, field: &str, value: &str) -> Duration {
        let (key, began) = (format!("{endpoint} {endpoint}"), Instant::now());
        while self.next().1["pools"]["web"]["endpoints"][&key][field] != value {
            assert!(began.elapsed() < PATIENCE, "{endpoint}: no {field} {value}");
        }
        began.elapsed()
    }
}

#[test]
fn the_page_lives_and_takes_orders_from_those_who_may() {
    const TEST: &str = "the_page_lives_and_takes_orders_from_those_who_may";
    if skipped(TEST) {
        return;
    }
    let mut bed = Bed::start();
    let page = bed.ask("GET /", &[], "");
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(
        page.text.contains("script-src 'self'") && page.text.contains("<main>"),
        "{}",
        page.text
    );
    let mut live = bed.look();
    let (kind, all) = live.next();
    assert_eq!((&*kind, &all["program"]), ("all", &"eclusa-edge".into()), "{all}");
    assert_eq!(all["listeners"]["web"]["routes"][0]["to"][0]["pool"], "web", "{all}");
    // Who may not.
    let token = format!("Authorization: Bearer {TOKEN}");
    let refused = [
        ("another site's page", bed.order("drain", &[&token, "Origin: http://evil.test"]), 403),
        (
            "the same, by its own word",
            bed.order("drain", &[&token, "Sec-Fetch-Site: cross-site"]),
            403,
        ),
        ("a rebound name", bed.order("drain", &[&token, "Host: evil.test:9901"]), 403),
        ("no token", bed.order("drain", &[]), 401),
        ("a wrong one", bed.order("drain", &["Authorization: Bearer 3b1e0c7f5a9d4e63"]), 401),
        ("a form's type", bed.ask("POST /api/order", &[&token], "{}"), 415),
    ];
    for (who, answer, status) in &refused {
        assert_eq!(answer.status, *status, "{who}: {}", answer.text);
    }
    assert_eq!(bed.wanted(), "ready");
    // Who may; the page hears of it as everybody does.
    let drained = bed.order("drain", &[&token, "Origin: http://127.0.0.1:9901"]);
    assert_eq!(drained.status, 200, "{}", drained.text);
    assert_eq!(bed.wanted(), "drain");
    // The guard holds here as well.
    let last = bed.order_for(TWO, "drain", &[&token]);
    assert_eq!(last.status, 409, "{}", last.text);
    assert!(last.text.contains("would be left without an endpoint"), "{}", last.text);
    assert_eq!(bed.order("ready", &[&token]).status, 200);
    // An endpoint dies; a client hurries the probe.
    bed.endpoints.truncate(1);
    drop(connect(&bed.client, ([192, 168, 1, 2], 9000).into()));
    let took = live.hear(TWO, "verdict", "dead");
    let well = bed.order("drain", &[&token]);
    assert_eq!(well.status, 409, "the last that is well: {}", well.text);
    assert!(well.text.contains("without an endpoint that is well"), "{}", well.text);
    // One more may look, and no third.
    let mut second = bed.look();
    assert_eq!(second.next().0, "all");
    assert_eq!(bed.ask("GET /live", &[], "").status, 503);
    assert_eq!([bed.refused("host"), bed.refused("viewers")], [1.0, 1.0]);
    let log = bed.edge.stderr_lines().join("\n");
    assert!(log.contains("drain") && log.contains("dashboard, 127.0.0.1"), "{log}");
    assert!(!log.contains(TOKEN), "the token is in the log");
    if full() {
        Item::new("2.1 from the death of an endpoint to the event of the dashboard")
            .bound("under 5 s; orders of other sites, other names and without the token refused")
            .n(refused.len())
            .record(took < Duration::from_secs(5), format!("{:.1} s", took.as_secs_f64()));
        slow_clients_are_cut(&bed);
    }
}

/// One asks for much and reads nothing of it, one says half a request: both are cut, and others are
/// served meanwhile.
fn slow_clients_are_cut(bed: &Bed) {
    let mut deaf = connect(&bed.host, PAGE.into());
    SockRef::from(&deaf).set_recv_buffer_size(4096).unwrap();
    deaf.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let began = Instant::now();
    while deaf.write_all(b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n").is_ok() {
        assert!(began.elapsed() < CUT_WITHIN, "it takes requests for ever");
    }
    let mut half = connect(&bed.host, PAGE.into());
    half.set_read_timeout(Some(CUT_WITHIN)).unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost:").unwrap();
    assert_eq!(bed.ask("GET /", &[], "").status, 200, "others are served");
    wait_until(CUT_WITHIN, "the deaf one is cut", || bed.refused("slow") >= 1.0);
    let deaf_for = began.elapsed();
    let heard = hear(&half).unwrap();
    let passed = deaf_for < CUT_WITHIN && !heard.starts_with(b"HTTP/1.1 200");
    Item::new("2.2 clients of the dashboard that read nothing, or say half a request")
        .bound(format!("cut within {} s, others served meanwhile", CUT_WITHIN.as_secs()))
        .n(2)
        .record(passed, format!("cut after {:.0} s", deaf_for.as_secs_f64()));
}

/// Where the page is for a browser on the same host.
fn address() -> String {
    format!("http://{}/", SocketAddr::from(PAGE))
}
