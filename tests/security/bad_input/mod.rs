//! Bad input: every case has a defined end, and the log tells it.

mod hello;
mod proxy;

use e2e::plain::{connect, hear};
use e2e::product::{Product, Program, matches};
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::ca::client_hello;
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Shape, skipped};
use eclusa_testkit::wait::pause;
use serde_json::Value;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

/// Listeners: by name only; whatever comes; without a look; behind the proxy on outside2.
const CONFIG: &str = r#"
[listener.by-name]
listen = ["192.168.1.2:443"]
preamble_timeout = "3s"
[[listener.by-name.route]]
server_name = ["good.test"]
pool = "web"

[listener.any]
listen = ["192.168.1.2:444"]
preamble_timeout = "3s"
peek = "tls"
pool = "web"

[listener.blind]
listen = ["192.168.1.2:80"]
peek = "none"
pool = "web"

[listener.proxied]
listen = ["192.168.1.2:445"]
preamble_timeout = "3s"
proxy_from = ["203.0.113.12"]
[[listener.proxied.route]]
server_name = ["good.test"]
pool = "web"

[pool.web]
endpoints = ["10.0.1.100:443"]
"#;

/// Ports of the listeners above.
const BY_NAME: u16 = 443;
const ANY: u16 = 444;
const BLIND: u16 = 80;
const PROXIED: u16 = 445;

/// One client, and what must become of it.
struct Case {
    name: &'static str,
    /// The host that it runs on.
    from: &'static str,
    port: u16,
    says: Vec<Says>,
    /// What comes back: the endpoint echoes; empty: closed without a byte.
    hears: Vec<u8>,
    /// What the session's record must say ([`matches`]).
    record: Value,
}

/// A thing that a client does.
#[derive(Clone)]
enum Says {
    Bytes(Vec<u8>),
    /// Each byte in a packet of its own.
    Bytewise(Vec<u8>),
    Fin,
    /// Ends with a reset, and hears nothing.
    Reset,
}

/// The ClientHello of a client that wants `good.test`; always the same.
fn good_hello() -> Vec<u8> {
    static HELLO: LazyLock<Vec<u8>> =
        LazyLock::new(|| client_hello("good.test", &["h2", "http/1.1"]));
    HELLO.clone()
}

impl Says {
    fn to(&self, mut stream: &TcpStream) {
        // A client that is refused in the middle of its words fails to say the rest; what it
        // hears tells.
        match self {
            Self::Bytes(bytes) => drop(stream.write_all(bytes)),
            Self::Bytewise(bytes) => {
                for byte in bytes {
                    if stream.write_all(&[*byte]).is_err() {
                        break;
                    }
                    // The subject is bytes that come one at a time.
                    pause(Duration::from_micros(300));
                }
            }
            Self::Fin => drop(stream.shutdown(Shutdown::Write)),
            Self::Reset => {}
        }
    }
}

impl Case {
    /// The name of its listener.
    fn listener(&self) -> &'static str {
        match self.port {
            BY_NAME => "by-name",
            ANY => "any",
            BLIND => "blind",
            _ => "proxied",
        }
    }

    /// Whether it ended as it should; else in words how it did.
    fn run(&self, cluster: &Cluster, edge: &Product) -> Result<(), String> {
        let address = SocketAddr::from(([192, 168, 1, 2], self.port));
        let stream = connect(&cluster.host(self.from), address);
        let client = stream.local_addr().map_err(|error| error.to_string())?;
        self.says.iter().for_each(|says| says.to(&stream));
        let heard = if self.says.iter().any(|says| matches!(says, Says::Reset)) {
            reset(stream);
            Vec::new()
        } else {
            let heard = hear(&stream).map_err(|error| format!("{}: no end: {error}", self.name))?;
            drop(stream);
            heard
        };
        let record = edge.session_of(client, self.listener());
        if heard != self.hears {
            let (heard, wanted) = (heard.len(), self.hears.len());
            return Err(format!("{}: heard {heard} bytes, not {wanted}: {record}", self.name));
        }
        if !matches(&record, &self.record) {
            return Err(format!("{}: {record}, not {}", self.name, self.record));
        }
        Ok(())
    }
}

/// Makes the close a reset.
fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).expect("a socket option");
}

#[test]
fn bad_input_has_a_defined_and_logged_end() {
    if skipped("bad_input_has_a_defined_and_logged_end") {
        return;
    }
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let address = "10.0.1.100:443".parse().unwrap();
    let _web = cluster.host("worker1").enter(|| Endpoint::start(address, Kind::Echo)).unwrap();
    let cases: Vec<Case> = [hello::cases(), proxy::cases()].into_iter().flatten().collect();
    let times = size(10, 1);
    let mut wrong: Vec<String> = Vec::new();
    for _ in 0..times {
        // A fresh one for each round: ports of clients come again, and would find old records.
        let mut edge = Program::Edge.start(Some(&cluster.host("edge")), CONFIG);
        // All at once: a case that waits for a deadline holds up no other.
        let ended: Vec<_> = std::thread::scope(|scope| {
            let (cluster, edge) = (&cluster, &edge);
            let run = |case| scope.spawn(move || Case::run(case, cluster, edge));
            let running: Vec<_> = cases.iter().map(run).collect();
            running.into_iter().map(|case| case.join().unwrap()).collect()
        });
        wrong.extend(ended.into_iter().filter_map(Result::err));
        assert!(edge.exit_status().is_none(), "it runs on");
    }
    let n = cases.len() * times;
    wrong.iter().for_each(|wrong| println!("{wrong}"));
    let names = cases.iter().map(|case| case.name).collect::<Vec<_>>().join("; ");
    Item::new(format!("Bad input: {} cases", cases.len()))
        .bound("each ends as defined, with a record that says so; the program runs on")
        .n(n)
        .note(names)
        .record(wrong.is_empty(), wrong_of(n, &wrong));
}
