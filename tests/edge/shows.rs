//! Outside clients through the edge to real nginx: plain, TLS, TLS to the virtual address, passthrough,
//! WebSocket, server-sent events; who the client is.

use crate::bed::{Bed, PLAIN};
use crate::reply::Wire;
use e2e::client::missing;
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::netns::skipped;
use std::path::Path;
use std::process::Command;

/// The address of the clients.
const CLIENT: &str = "203.0.113.11";

/// How an application is asked, and what it must have seen: `$remote_addr $http_x_forwarded_for $scheme
/// $host`.
pub(crate) const WAYS: [(&str, &str, &str); 11] = [
    ("plain HTTP", "http://shop.test/who", "10.0.0.9 203.0.113.11 http shop.test"),
    ("TLS termination", "https://shop.test/who", "10.0.0.9 203.0.113.11 http shop.test"),
    ("plain, PROXY", "http://proxied.test/who", "203.0.113.11 203.0.113.11 http proxied.test"),
    ("TLS, PROXY", "https://proxied.test/who", "203.0.113.11 203.0.113.11 http proxied.test"),
    ("plain, TLS to the VIP", "http://tls.test/who", "10.0.0.9 203.0.113.11 https tls.test"),
    ("TLS, TLS to the VIP", "https://tls.test/who", "10.0.0.9 203.0.113.11 https tls.test"),
    (
        "plain, TLS to the VIP, PROXY",
        "http://tlsproxied.test/who",
        "203.0.113.11 203.0.113.11 https tlsproxied.test",
    ),
    (
        "TLS, TLS to the VIP, PROXY",
        "https://tlsproxied.test/who",
        "203.0.113.11 203.0.113.11 https tlsproxied.test",
    ),
    ("SNI passthrough", "https://raw.test/who", "10.0.0.9  https raw.test"),
    (
        "SNI passthrough, PROXY",
        "https://rawproxied.test/who",
        "203.0.113.11  https rawproxied.test",
    ),
    ("TLS to TCP", "https://app.test:8443/who", "10.0.0.9  http app.test"),
];

const PYTHON: &str = r#"
import http.client, ssl, sys
url, ca, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
scheme, _, host, path = url.split("/", 3)
context = ssl.create_default_context(cafile=ca)
class Tls(http.client.HTTPSConnection):
    def connect(self):
        http.client.HTTPConnection.connect(self)
        self.sock = context.wrap_socket(self.sock, server_hostname=host)
host, _, other = host.partition(":")
kind, port = (Tls, int(other or 443)) if scheme == "https:" else (http.client.HTTPConnection, 80)
connection = kind("192.168.1.2", port, timeout=20)
for _ in range(times):
    connection.request("GET", "/" + path, headers={"Host": host})
    answer = connection.getresponse()
    print(answer.status, answer.read().decode())
"#;

const NODE: &str = r#"
const [url, ca, times] = process.argv.slice(1);
const u = new URL(url), lib = require(u.protocol === "https:" ? "https" : "http");
const agent = new lib.Agent({ keepAlive: true, maxSockets: 1 });
const options = { host: "192.168.1.2", port: u.port || undefined, path: u.pathname, servername: u.hostname, agent,
  headers: { Host: u.hostname }, ca: require("fs").readFileSync(ca) };
function ask(left) {
  if (left === 0) return agent.destroy();
  lib.get(options, (answer) => {
    let text = ""; answer.on("data", (part) => text += part);
    answer.on("end", () => { console.log(answer.statusCode, text); ask(left - 1); });
  }).on("error", (error) => { console.log("error", error.message); process.exit(1); });
}
ask(Number(times));
"#;

/// Go's client; `None`, told as skipped, where there is no Go.
fn go_client(test: &str) -> Option<String> {
    if missing(test, "go") {
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = folder.join("go-client").display().to_string();
    let mut command = Command::new("go");
    command.env("GO111MODULE", "off").env("GOCACHE", folder.join("go-cache"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/edge/shows/client.go");
    let output = command.args(["build", "-o", &program, source]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(program)
}

#[test]
fn every_way_leads_to_the_application_which_sees_the_client() {
    const TEST: &str = "every_way_leads_to_the_application_which_sees_the_client";
    if skipped(TEST) {
        return;
    }
    let bed = Bed::start();
    let each = size(50, 5);
    let (ca, times) = (bed.ca.display().to_string(), each.to_string());
    let scripts = [("Python", "python3", "-c", PYTHON), ("Node", "node", "-e", NODE)];
    let scripts: Vec<_> =
        scripts.into_iter().filter(|(_, program, ..)| !missing(TEST, program)).collect();
    let go = go_client(TEST);
    let mut wrong = Vec::new();
    let mut asked = 0;
    for (way, url, seen) in WAYS {
        let wanted = vec![format!("200 {seen}"); each];
        let urls = vec![url; each];
        let curl = [&["-w", " %{http_code}\n"], &urls[..]].concat();
        let curl = bed.curl(&curl).map(|said| {
            let lines = said.lines().filter_map(|line| line.rsplit_once(' '));
            lines.map(|(body, status)| format!("{status} {body}\n")).collect::<String>()
        });
        let mut clients = vec![("curl", curl)];
        clients.extend(scripts.iter().map(|(client, program, option, script)| {
            (*client, bed.run(program, &[option, script, url, &ca, &times]))
        }));
        clients.extend(go.iter().map(|go| ("Go", bed.run(go, &[url, &ca, &times]))));
        for (client, said) in clients {
            asked += each;
            match said {
                Ok(said) if said.lines().eq(&wanted) => {}
                other => wrong.push(format!("{client}, {way}: {other:?}")),
            }
        }
    }
    Item::new("5.1 applications through every way, by curl, Python, Node and Go")
        .bound("every answer is the application's, and names the true client")
        .n(asked)
        .record(wrong.is_empty(), wrong_of(asked, &wrong));
    let record = bed.exchange_for("/who");
    assert_eq!(record["letters"], "--", "{record}");
    assert!(record["client"].as_str().unwrap().starts_with(CLIENT), "{record}");
}

#[test]
fn a_client_cannot_claim_another_address() {
    if skipped("a_client_cannot_claim_another_address") {
        return;
    }
    let bed = Bed::start();
    let claims = ["X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 7.7.7.7", "Forwarded: for=6.6.6.6"];
    let claims = claims.iter().flat_map(|claim| ["-H", claim]);
    let said = bed.curl(&claims.chain(["http://shop.test/who"]).collect::<Vec<_>>());
    assert_eq!(said.as_deref(), Ok("10.0.0.9 203.0.113.11 http shop.test"));
}

#[test]
fn bodies_of_every_size_arrive_whole() {
    if skipped("bodies_of_every_size_arrive_whole") {
        return;
    }
    let bed = Bed::without_nginx("");
    let file = bed.edge.scratch().path().join("body");
    let mut wrong = Vec::new();
    let lengths = [0, 1, 16_384, 65_536, 65_537, 5_000_000, 8 << 20];
    for length in lengths {
        std::fs::write(&file, vec![b'b'; length]).unwrap();
        let data = format!("@{}", file.display());
        for url in ["http://app.test/length", "https://app.test/length"] {
            for more in
                [&[][..], &["-H", "Transfer-Encoding: chunked"], &["-H", "Expect: 100-continue"]]
            {
                let said = bed.curl(&[more, &["--data-binary", &data, url]].concat());
                if said.as_deref() != Ok(&length.to_string()) {
                    wrong.push(format!("{length} to {url} {more:?}: {said:?}"));
                }
            }
        }
    }
    Item::new("5.1.1 bodies by length, in chunks, with 100-continue")
        .bound("each arrives whole")
        .n(lengths.len() * 6)
        .record(wrong.is_empty(), wrong_of(lengths.len() * 6, &wrong));
    std::fs::write(&file, vec![b'b'; (8 << 20) + 1]).unwrap();
    let data = format!("@{}", file.display());
    for more in [&[][..], &["-H", "Transfer-Encoding: chunked"]] {
        let url = "http://app.test/length";
        let long = [more, &["-o", "/dev/null", "-w", "%{http_code}", "--data-binary", &data, url]];
        assert_eq!(bed.curl(&long.concat()).as_deref(), Ok("413"), "{more:?}");
    }
}

#[test]
fn events_come_one_by_one() {
    if skipped("events_come_one_by_one") {
        return;
    }
    for host in ["app.test", "shop.test"] {
        let bed = Bed::start();
        let mut wire = bed.connect();
        wire.say(format!("GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
        for number in 1..=3 {
            bed.recorder.go_on();
            if number == 1 {
                let head = wire.head().unwrap();
                assert_eq!(head.field("content-type"), Some("text/event-stream"));
            }
            // Nothing is held back: the next event is sent only after this one was read.
            let event = wire.chunk().unwrap().unwrap();
            assert_eq!(event, format!("data: {number}\n\n").as_bytes());
        }
        bed.recorder.go_on();
        assert_eq!(wire.chunk().unwrap(), None);
        assert_eq!(wire.get(host, "/after").unwrap().text(), "/after", "the connection is kept");
    }
}

#[test]
fn a_web_socket_is_carried_both_ways() {
    if skipped("a_web_socket_is_carried_both_ways") {
        return;
    }
    let bed = Bed::start();
    for host in ["app.test", "shop.test"] {
        let mut wire = bed.connect();
        let request = format!(
            "GET /socket HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        wire.say(request.as_bytes()).unwrap();
        let head = wire.head().unwrap();
        assert_eq!((head.status, head.field("upgrade")), (101, Some("websocket")));
        let frame = vec![b'f'; size(1 << 20, 100_000)];
        for _ in 0..3 {
            let (length, half) = (frame.len(), frame.clone());
            let writer = wire.stream().try_clone().unwrap();
            let sending =
                std::thread::spawn(move || std::io::Write::write_all(&mut &writer, &half));
            assert!(wire.exactly(length).unwrap() == frame);
            sending.join().unwrap().unwrap();
        }
        wire.stream().shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(wire.hear_to_end().unwrap(), (Vec::new(), false));
        let record = bed.exchange_for("/socket");
        assert_eq!(record["status"], 101);
    }
    let records = bed.edge.wait_sessions(2, "the WebSockets", |record| record["bytes"]["up"] != 0);
    assert!(records.iter().all(|record| record["letters"] == "--"), "{records:?}");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    if skipped("pipelined_requests_are_answered_in_order") {
        return;
    }
    let bed = Bed::without_nginx("");
    let mut wire = Wire::open(&bed.client, PLAIN).unwrap();
    let ask = |number| format!("GET /{number} HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let all: String = (0..200).map(ask).collect();
    wire.say(all.as_bytes()).unwrap();
    for number in 0..200 {
        assert_eq!(wire.reply().unwrap().text(), format!("/{number}"));
    }
}
