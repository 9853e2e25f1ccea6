//! HAProxy's layout of a session's record, read by a parser of HAProxy's logs that others wrote, beside
//! lines of HAProxy itself.

use super::logs::{POOLS, stage};
use e2e::plain::{connect, echoes, exchange};
use e2e::product::{PATIENCE, Program};
use e2e::proof::{Item, wrong_of};
use e2e::python;
use eclusa_testkit::netns::{Host, skipped};
use eclusa_testkit::process::Peer;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::ops::RangeInclusive;
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// A public parser of logs with patterns for HAProxy's (PyPI, pygrok 1.0.0): a line on standard input,
/// an object or `null` on standard output.
const PARSE: &str = "\
import json, sys, warnings
warnings.simplefilter('ignore')
from pygrok import Grok
grok = Grok('^%{HAPROXYTCP}$')
for line in sys.stdin:
    print(json.dumps(grok.match(line.rstrip('\\n'))))
";

fn parse(lines: &[String]) -> Vec<Value> {
    let mut python = python::here();
    python.args(["-W", "ignore", "-c", PARSE]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child.stdin.take().unwrap().write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The same two ways through HAProxy.
const HAPROXY: &str = "
global
    log 127.0.0.1:5515 format rfc3164 local0
    log-send-hostname edge
defaults
    mode tcp
    log global
    option tcplog
    timeout connect 2s
    timeout client 20s
    timeout server 20s
    retries 1
frontend web
    bind 192.168.1.2:9100
    default_backend web
frontend gone
    bind 192.168.1.2:9101
    default_backend gone
backend web
    server ingress1 10.0.1.100:9000
backend gone
    server nobody 10.0.1.100:9
";

/// The messages of a syslog, without their priorities.
struct Syslog(UdpSocket);

impl Syslog {
    fn at(host: &Host, port: u16) -> Self {
        let socket = host.enter(|| UdpSocket::bind(("127.0.0.1", port))).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// The next message with `wanted` in it.
    fn next(&self, wanted: &str) -> String {
        let mut buffer = [0; 65_536];
        loop {
            let length = self.0.recv(&mut buffer).unwrap_or_else(|e| panic!("{wanted}: {e}"));
            let text = std::str::from_utf8(&buffer[..length]).unwrap().trim_end();
            if text.contains(wanted) {
                let message = text.strip_prefix("<134>").unwrap_or_else(|| panic!("{text}"));
                return message.to_owned();
            }
        }
    }
}

/// Says hello and hears to the end, which may be a reset at once; returns from where.
fn say_hello(host: &Host, to: SocketAddr) -> SocketAddr {
    host.enter(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // Bound before it connects: the port is known whatever becomes of it.
        socket.bind(&SocketAddr::from((host.address(), 0)).into()).unwrap();
        let from = socket.local_addr().unwrap().as_socket().unwrap();
        if socket.connect(&to.into()).is_ok() {
            let stream = TcpStream::from(socket);
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let _ = exchange(&stream, b"hello, echo");
        }
        from
    })
}

/// What is wrong with a field.
fn differs(parsed: &Value, field: &str, expected: &str) -> Option<String> {
    (parsed[field] != expected).then(|| format!("{field}: {} for {expected}", parsed[field]))
}

fn number(parsed: &Value, field: &str) -> i64 {
    parsed[field].as_str().and_then(|text| text.parse().ok()).unwrap_or(i64::MIN)
}

/// What a line must say.
struct Expected {
    listener: &'static str,
    endpoint: &'static str,
    bytes: &'static str,
    letters: &'static str,
    /// Tw and Tc.
    timers: [RangeInclusive<i64>; 2],
    /// actconn, feconn, beconn, srv_conn: the session that is told of counts itself in the first
    /// two; the lease of the last one may have been given back just after it was told.
    sessions: [RangeInclusive<i64>; 4],
}

/// Ours to each listener, then HAProxy's. One session stays at our `web` meanwhile.
const EXPECTED: [Expected; 5] = [
    Expected { sessions: [2..=3, 2..=2, 1..=2, 1..=2], ..WELL },
    Expected { timers: [0..=0, -1..=-1], ..REFUSED },
    Expected {
        listener: "denied",
        endpoint: "<NOSRV>",
        letters: "PR",
        timers: [-1..=-1, -1..=-1],
        ..REFUSED
    },
    WELL,
    REFUSED,
];
const WELL: Expected = Expected {
    listener: "web",
    endpoint: "ingress1",
    bytes: "11",
    letters: "--",
    timers: [0..=5_000, 0..=5_000],
    sessions: [1..=2, 1..=1, 0..=1, 0..=1],
};
const REFUSED: Expected = Expected {
    listener: "gone",
    endpoint: "nobody",
    bytes: "0",
    letters: "SC",
    timers: [0..=5_000, -1..=-1],
    sessions: [1..=3, 1..=1, 0..=1, 0..=1],
};

impl Expected {
    fn wrong(&self, parsed: &Value) -> Vec<String> {
        let texts = [
            ("program", "haproxy"),
            ("frontend_name", self.listener),
            // Of the same name here; before a route HAProxy's is the frontend's.
            ("backend_name", self.listener),
            ("server_name", self.endpoint),
            ("bytes_read", self.bytes),
            ("termination_state", self.letters),
            ("srv_queue", "0"),
            ("backend_queue", "0"),
        ];
        let [queue, dial] = &self.timers;
        let [all, listener, pool, endpoint] = &self.sessions;
        let numbers = [
            ("time_queue", queue),
            ("time_backend_connect", dial),
            ("time_duration", &(0..=10_000)),
            ("actconn", all),
            ("feconn", listener),
            ("beconn", pool),
            ("srvconn", endpoint),
            // With a sign where another endpoint was tried; who tried how often is not the subject.
            ("retries", &(0..=5)),
        ];
        let texts = texts.into_iter().filter_map(|(field, text)| differs(parsed, field, text));
        let numbers =
            numbers.into_iter().filter(|(field, range)| !range.contains(&number(parsed, field)));
        texts
            .chain(
                numbers
                    .map(|(field, range)| format!("{field}: {} not in {range:?}", parsed[field])),
            )
            .collect()
    }
}

#[test]
fn haproxys_layout_is_read_by_a_parser_of_haproxys_logs() {
    let test = "haproxys_layout_is_read_by_a_parser_of_haproxys_logs";
    if skipped(test) || python::missing(test, &["pygrok"]) {
        return;
    }
    let (cluster, _echo) = stage();
    let (edge, client) = (cluster.host("edge"), cluster.host("outside1"));
    let (ours, theirs) = (Syslog::at(&edge, 5514), Syslog::at(&edge, 5515));
    let log = "[log]\ntarget = \"udp:127.0.0.1:5514\"\nformat = \"tcplog\"\nsyslog = \"rfc3164\"\n\
               facility = \"local0\"\ntag = \"haproxy\"\nevents = { target = \"stderr\", format = \"json\" }\n";
    let product = Program::Edge.start(Some(&edge), &format!("{log}{POOLS}"));
    let _haproxy = Peer::haproxy(Some(&edge), HAPROXY, &[9100, 9101]).unwrap();
    // One session that stays while the others are told of.
    let staying = connect(&client, SocketAddr::from(([192, 168, 1, 2], 9000)));
    assert!(echoes(&staying, b"I stay"));
    let began = SystemTime::now();
    let (mut lines, mut clients) = (Vec::new(), Vec::new());
    for (port, syslog) in
        [(9000, &ours), (9001, &ours), (9002, &ours), (9100, &theirs), (9101, &theirs)]
    {
        let from = say_hello(&client, SocketAddr::from(([192, 168, 1, 2], port)));
        lines.push(syslog.next(&format!("{from} [")));
        clients.push(from);
    }
    let parsed = parse(&lines);
    let mut wrong = Vec::new();
    for (index, (parsed, expected)) in parsed.iter().zip(EXPECTED).enumerate() {
        let mut differ = expected.wrong(parsed);
        let client = clients[index];
        differ.extend(differs(parsed, "client_ip", &client.ip().to_string()));
        differ.extend(differs(parsed, "client_port", &client.port().to_string()));
        if !dated(parsed, began) {
            differ.push(format!("accept_date: {}", parsed["accept_date"]));
        }
        wrong.extend(differ.iter().map(|field| format!("{}: {field}", lines[index])));
    }
    // Both have the same fields.
    for (ours, theirs) in [(0, 3), (1, 4)] {
        let names = |at: usize| -> Vec<String> {
            let fields = parsed[at].as_object().expect("it parses").iter();
            fields.filter(|(_, value)| !value.is_null()).map(|(name, _)| name.clone()).collect()
        };
        if names(ours) != names(theirs) {
            wrong.push(format!("{:?} for {:?}", names(ours), names(theirs)));
        }
    }
    drop((staying, product));
    Item::new("7 tcplog, read by pygrok's HAPROXYTCP beside lines of HAProxy")
        .bound("every field of five lines right, ours and HAProxy's with the same fields")
        .n(lines.len())
        .record(wrong.is_empty(), wrong_of(lines.len(), &wrong));
}

/// Whether the accept date is that of the test, to the second, in the zone of this host.
fn dated(parsed: &Value, began: SystemTime) -> bool {
    let seconds = began.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let day_and_time = |seconds: u64| {
        let mut date = Command::new("date");
        let output =
            date.env("LC_ALL", "C").args(["-d", &format!("@{seconds}"), "+%d/%b/%Y:%H:%M:%S"]);
        String::from_utf8(output.output().unwrap().stdout).unwrap().trim_end().to_owned()
    };
    let date = parsed["accept_date"].as_str().unwrap_or("");
    (seconds..seconds + 10).any(|seconds| date.starts_with(&format!("{}.", day_and_time(seconds))))
}
