//! The operator's commands against the real program, as its unit runs it: reload, status, sessions,
//! endpoints.

use e2e::plain::{connect, echoes};
use e2e::product::{PATIENCE, Product, Program};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::{Signal, binary};
use eclusa_testkit::wait::wait_until;
use serde_json::Value;
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::process::Command;

/// A file with these endpoints.
fn config(endpoints: &[&str]) -> String {
    format!(
        "workers = 2\n\
         [listener.web]\nlisten = [\"192.168.1.2:9000\"]\npool = \"web\"\n\
         [pool.web]\nprobe = {{ kind = \"none\" }}\nendpoints = {endpoints:?}\n"
    )
}

const ONE: &str = "10.0.1.100:9000";
const TWO: &str = "10.0.1.101:9000";

struct Bed {
    edge: Product,
    client: Host,
    _endpoints: Vec<Endpoint>,
    _cluster: Cluster,
}

/// What a command said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Bed {
    fn start() -> Self {
        let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
        let start = |address: &str| {
            let address = address.parse().unwrap();
            cluster.host("worker1").enter(|| Endpoint::start(address, Kind::Echo)).unwrap()
        };
        let endpoints = vec![start(ONE), start(TWO)];
        let edge = Program::Edge.start(Some(&cluster.host("edge")), &config(&[ONE, TWO]));
        let client = cluster.host("outside1");
        Self { edge, client, _endpoints: endpoints, _cluster: cluster }
    }

    fn connect(&self) -> std::net::TcpStream {
        connect(&self.client, SocketAddr::from(([192, 168, 1, 2], 9000)))
    }

    fn write(&self, text: &str) {
        std::fs::write(self.edge.config().unwrap(), text).unwrap();
    }

    /// Runs a command of the program against its socket.
    fn say(&self, words: &[&str]) -> Said {
        let mut command = Command::new(binary("eclusa-edge").unwrap());
        command.args(words).arg("--socket").arg(self.edge.run_directory().join("edge.sock"));
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The data of a command's answer.
    fn ask(&self, words: &[&str]) -> Value {
        let said = self.say(&[words, &["--json"]].concat());
        assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
        serde_json::from_str(&said.out).unwrap()
    }

    /// Where new sessions go.
    fn goes_to(&self) -> String {
        let stream = self.connect();
        assert!(echoes(&stream, b"?"));
        let from = stream.local_addr().unwrap();
        drop(stream);
        self.edge.session_of(from, "web")["endpoint"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_changed_file_is_taken_and_a_wrong_one_refused() {
    if skipped("a_changed_file_is_taken_and_a_wrong_one_refused") {
        return;
    }
    let bed = Bed::start();
    let standing = bed.connect();
    assert!(echoes(&standing, b"I stay"));
    bed.write(&config(&[TWO]));
    let said = bed.say(&["reload"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let expected = format!("pool web: endpoint {ONE} removed");
    assert!(said.out.contains(&expected), "{}", said.out);
    assert!((0..4).all(|_| bed.goes_to() == TWO));
    // A mistake: where, what, and nothing has changed.
    bed.write("[listener.web]\nlisten = [\"192.168.1.2:9000\"]\npol = \"web\"\n");
    let said = bed.say(&["reload"]);
    assert_eq!(said.code, Some(1));
    let told = format!("{}{}", said.out, said.err);
    assert!(
        told.contains(":3:1: error: unknown key `pol`") && told.contains("did you mean"),
        "{told}"
    );
    // A file that has shrunk is refused by the guard, with another code, unless it is forced.
    bed.write(&config(&["10.0.1.109:9000"]));
    let said = bed.say(&["reload"]);
    let told = format!("{}{}", said.out, said.err);
    assert_eq!(said.code, Some(3), "{told}");
    assert!(told.contains("pool web would lose 1 of 1 endpoints that are up"), "{told}");
    let status = bed.ask(&["status"]);
    assert_eq!(
        (&status["generation"], &status["last_reload"]["succeeded"]),
        (&2.into(), &false.into())
    );
    assert_eq!(bed.say(&["reload", "--force"]).code, Some(0));
    assert!(echoes(&standing, b"still here"), "the session outlives its endpoint and two reloads");
}

#[test]
fn sighup_reloads() {
    if skipped("sighup_reloads") {
        return;
    }
    let mut bed = Bed::start();
    bed.write(&config(&[ONE]));
    bed.edge.signal(Signal::HUP).unwrap();
    bed.edge.wait_for_line(PATIENCE, "the reload", |line| line.contains("\"event\":\"reloaded\""));
    assert!((0..4).all(|_| bed.goes_to() == ONE));
    bed.write("listener = 5\n");
    bed.edge.signal(Signal::HUP).unwrap();
    let refused =
        |line: &str| line.contains("\"event\":\"reload_refused\"") && line.contains("`listener`");
    bed.edge.wait_for_line(PATIENCE, "the refusal", refused);
    assert!((0..2).all(|_| bed.goes_to() == ONE));
}

#[test]
fn endpoints_are_drained_weighed_and_brought_back() {
    if skipped("endpoints_are_drained_weighed_and_brought_back") {
        return;
    }
    let bed = Bed::start();
    let standing = [bed.connect(), bed.connect()];
    assert!(standing.iter().all(|stream| echoes(stream, b"I stay")));
    let name = format!("web/{ONE}");
    let drained = bed.say(&["endpoint", "drain", &name, "--for", "2h", "--reason", "new disk"]);
    assert_eq!(drained.code, Some(0), "{}{}", drained.out, drained.err);
    assert!((0..4).all(|_| bed.goes_to() == TWO), "no new sessions");
    assert!(standing.iter().all(|stream| echoes(stream, b"still here")));
    // The last one is not taken away by mistake.
    let last = bed.say(&["endpoint", "maint", &format!("web/{TWO}")]);
    assert_eq!(last.code, Some(3), "{}{}", last.out, last.err);
    // It outlives a reload that leaves the endpoint as it was, and a restart of the engine.
    bed.write(&config(&[TWO, ONE]));
    assert_eq!(bed.say(&["reload"]).code, Some(0));
    let status = bed.ask(&["status"]);
    let orders = status["overrides"].as_array().unwrap();
    assert_eq!(orders.len(), 1, "{status}");
    assert_eq!((&orders[0]["order"], &orders[0]["reason"]), (&"drain".into(), &"new disk".into()));
    let endpoint = status["pools"][0]["endpoints"].as_array().unwrap();
    let endpoint = endpoint.iter().find(|endpoint| endpoint["name"] == ONE).unwrap();
    assert_eq!(endpoint["admin"]["state"], "drain");
    drop(standing);
    bed.edge.signal_engine(Signal::KILL).unwrap();
    let again = || bed.say(&["status"]).code == Some(0);
    wait_until(PATIENCE, "the next engine", again);
    assert!((0..4).all(|_| bed.goes_to() == TWO), "drained in the next engine, too");
    assert_eq!(bed.say(&["endpoint", "ready", &name]).code, Some(0));
    assert_eq!(bed.say(&["endpoint", "weight", &name, "3"]).code, Some(0));
    let to_one = (0..8).filter(|_| bed.goes_to() == ONE).count();
    assert!((5..=7).contains(&to_one), "three of four: {to_one} of 8");
    let wrong = bed.say(&["endpoint", "drain", "web/10.0.1.100:900"]);
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.err.contains("did you mean") || wrong.out.contains("did you mean"),
        "{}",
        wrong.err
    );
}

#[test]
fn sessions_are_listed_shown_and_closed() {
    if skipped("sessions_are_listed_shown_and_closed") {
        return;
    }
    let bed = Bed::start();
    let streams: Vec<_> = (0..4).map(|_| bed.connect()).collect();
    assert!(streams.iter().all(|stream| echoes(stream, b"12345")));
    let table = bed.ask(&["session", "list"]);
    assert_eq!(table["matching"], 4);
    let sessions = table["sessions"].as_array().unwrap();
    let of = |port: u16| {
        let is_it = |session: &&Value| {
            session["client"].as_str().unwrap().parse::<SocketAddr>().unwrap().port() == port
        };
        sessions.iter().find(is_it).unwrap()
    };
    let first = of(streams[0].local_addr().unwrap().port());
    assert_eq!((&first["bytes_up"], &first["bytes_down"]), (&5.into(), &5.into()), "{first}");
    assert_eq!((&first["pool"], &first["listener"]), (&"web".into(), &"web".into()));
    let id = first["id"].as_str().unwrap();
    assert_eq!(bed.ask(&["session", "show", id])["id"], id);
    let closed = bed.ask(&["session", "close", id]);
    assert_eq!(closed["closed"], 1);
    let ended = (&streams[0]).read(&mut [0]).unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::ConnectionReset);
    let record = bed.edge.session_of(streams[0].local_addr().unwrap(), "web");
    assert_eq!((&record["ended_by"], &record["letters"]), (&"operator".into(), &"KD".into()));
    assert!(streams[1..].iter().all(|stream| echoes(stream, b"67890")));
    assert_eq!(bed.say(&["session", "close", id]).code, Some(1), "it is no more");
    let of_one = bed.ask(&["session", "list", "--endpoint", ONE])["matching"].as_u64().unwrap();
    let closed = bed.ask(&["session", "close", "--endpoint", ONE]);
    assert_eq!(closed["closed"], of_one);
    bed.edge.wait_sessions(1 + usize::try_from(of_one).unwrap(), "records", |_| true);
    assert_eq!(bed.ask(&["session", "list"])["matching"], 3 - of_one);
}
