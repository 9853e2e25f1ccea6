//! `explain` agrees with where traffic really goes: random sites put in force in the real program by reloads,
//! random requests and sessions over real sockets, each asked about before it is sent.

use e2e::plain::try_connect;
use e2e::product::{PATIENCE, Product, Program};
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::ca::{Ca, Leaf};
use eclusa_testkit::explained::{is_end, told, told_by};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::{Scratch, binary};
use eclusa_testkit::random::{Asks, HOSTS, LISTENERS, POOLS, Place, site};
use eclusa_testkit::tls::{ClientConfig, TlsClient};
use fastrand::Rng;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;

/// The edge with its clients and endpoints.
struct Bed {
    edge: Product,
    client: Host,
    place: Place,
    trust: Arc<ClientConfig>,
    _certificates: Scratch,
    _cluster: Cluster,
}

/// An endpoint that answers every request with its name, over TLS or without as its clients like; ends with the
/// test's process.
fn endpoint(host: &Host, address: SocketAddr, name: &'static str, leaf: &Leaf) {
    let listener = host.enter(|| TcpListener::bind(address)).unwrap();
    let config = leaf.server(&["http/1.1"]);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            // A client that goes is no trouble.
            std::thread::spawn(move || drop(serve(stream, name, config)));
        }
    });
}

fn serve(stream: TcpStream, name: &str, config: Arc<ServerConfig>) -> io::Result<()> {
    let mut first = [0];
    if stream.peek(&mut first)? == 1 && first[0] == 0x16 {
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        return answer(StreamOwned::new(session, stream), name);
    }
    answer(stream, name)
}

fn answer(stream: impl Read + Write, name: &str) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line == "\r\n" {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", name.len());
            stream.get_mut().write_all(format!("{head}{name}").as_bytes())?;
            stream.get_mut().flush()?;
        }
    }
}

impl Bed {
    fn start(rng: &mut Rng) -> Self {
        let shape = Shape { masters: 0, workers: 1, ..Shape::default() };
        let (cluster, ca) = (Cluster::new(shape).unwrap(), Ca::new());
        let (worker, leaf) = (cluster.host("worker1"), ca.leaf(&HOSTS));
        let pools = [100, 101, 102].map(|last| SocketAddr::from(([10, 0, 1, last], 80)));
        for (address, name) in pools.into_iter().zip(POOLS) {
            endpoint(&worker, address, name, &leaf);
        }
        let certificates = Scratch::new("agreement").unwrap();
        let both = format!("{}{}", leaf.pem, leaf.key_pem);
        let file = certificates.write("site.pem", &both).unwrap();
        let place = Place {
            listeners: [80, 443, 8443].map(|port| SocketAddr::from(([192, 168, 1, 2], port))),
            pools,
            certificates: file.display().to_string(),
            // Clients are named by PROXY headers, so that they can come from anywhere.
            listener: "proxy_from = [\"203.0.113.0/24\"]".to_owned(),
            pool: "probe = { kind = \"none\" }".to_owned(),
            head: "workers = 2\nallow_shrink = true\n".to_owned(),
        };
        let edge = Program::Edge.start(Some(&cluster.host("edge")), &site(rng, &place));
        let client = cluster.host("outside1");
        let trust = ca.client(&["http/1.1"]);
        Self { edge, client, place, trust, _certificates: certificates, _cluster: cluster }
    }

    /// Puts another site in force.
    fn change(&self, rng: &mut Rng) {
        fs::write(self.edge.config().unwrap(), site(rng, &self.place)).unwrap();
        let mut command = Command::new(binary("eclusa-edge").unwrap());
        command.args(["reload", "--force", "--socket"]);
        let output = command.arg(self.edge.run_directory().join("edge.sock")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Somebody who asks `explain` one question after the other.
    fn asker(&self) -> impl FnMut(&Asks) -> Value {
        let socket = UnixStream::connect(self.edge.run_directory().join("edge.sock")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answers = BufReader::new(socket.try_clone().unwrap()).lines();
        move |asks| {
            let pairs = |pairs: &[(String, String)], between: &str| -> Vec<String> {
                pairs.iter().map(|(name, value)| format!("{name}{between}{value}")).collect()
            };
            let mut question = json!({
                "v": 1, "command": "explain", "from": asks.from, "listener": asks.listener,
                "headers": pairs(&asks.headers, ": "), "cookies": pairs(&asks.cookies, "="),
            });
            let fields = [
                ("sni", &asks.server_name),
                ("host", &asks.host),
                ("path", &asks.path),
                ("method", &asks.method),
            ];
            for (name, value) in fields {
                if let Some(value) = value {
                    question[name] = json!(value);
                }
            }
            (&socket).write_all(format!("{question}\n").as_bytes()).unwrap();
            let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
            assert_eq!(answer["outcome"], "done", "{asks:?}: {answer}");
            answer["data"].clone()
        }
    }

    /// What really came of it: the name of a pool, a status, or `closed`.
    fn went(&self, asks: &Asks) -> String {
        let index = LISTENERS.iter().position(|name| *name == asks.listener).unwrap();
        let address = self.place.listeners[index];
        let mut stream = try_connect(&self.client, address, PATIENCE).unwrap();
        let (family, own) =
            if asks.from.is_ipv4() { ("TCP4", "192.168.1.2") } else { ("TCP6", "::1") };
        let header = format!("PROXY {family} {} {own} 50000 {}\r\n", asks.from, address.port());
        stream.write_all(header.as_bytes()).unwrap();
        let wire =
            if asks.wire.is_empty() { "GET / HTTP/1.1\r\nHost: x\r\n\r\n" } else { &asks.wire };
        if asks.listener == "http" {
            return told_by(stream, wire);
        }
        // An address is no server name, and is not sent as one.
        let name = asks.sent_name().unwrap_or_else(|| "127.0.0.1".to_owned());
        match TlsClient::connect(stream, &self.trust, &name) {
            Ok(stream) => told_by(stream, wire),
            Err(error) if is_end(&error) => "closed".to_owned(),
            Err(error) => format!("{error}"),
        }
    }
}

#[test]
fn explain_says_where_random_requests_and_sessions_really_go() {
    if skipped("explain_says_where_random_requests_and_sessions_really_go") {
        return;
    }
    let mut rng = Rng::with_seed(7);
    let bed = Bed::start(&mut rng);
    let (sites, each) = size((100, 100), (4, 30));
    let mut explain = bed.asker();
    let (mut wrong, mut came) = (Vec::new(), BTreeMap::<String, usize>::new());
    for number in 0..sites {
        if number > 0 {
            bed.change(&mut rng);
        }
        for number in 0..each {
            let asks = Asks::random(&mut rng, LISTENERS[number % LISTENERS.len()]);
            let explained = explain(&asks);
            let went = bed.went(&asks);
            if !told(&explained).contains(&went) {
                wrong.push(format!("{asks:?}: it went to {went}: {explained}"));
            }
            *came.entry(went).or_default() += 1;
        }
    }
    let count = sites * each;
    // Random must not mean: always the same.
    let kinds = POOLS.iter().copied().chain(["closed", "404", "403"]);
    let missing: Vec<_> = kinds.filter(|kind| !came.contains_key(*kind)).collect();
    Item::new("3.1 `explain` and where random requests and sessions really went")
        .bound("each went where `explain` had said, at listeners for HTTP, HTTPS and TLS by name")
        .n(count)
        .note(format!("{sites} random sites, put in force by reloads; what came: {came:?}"))
        .record(
            wrong.is_empty() && missing.is_empty(),
            format!("{}; missing: {missing:?}", wrong_of(count, &wrong)),
        );
}
