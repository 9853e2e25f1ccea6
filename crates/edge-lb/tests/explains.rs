//! `explain` and `plan` against the running program: what they say is what traffic and a reload do.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_testkit::explained::{told, told_by};
use eclusa_testkit::free_port;
use eclusa_testkit::process::Scratch;
use eclusa_testkit::wait::{wait_for, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_eclusa-edge");
const PATIENCE: Duration = Duration::from_secs(30);

/// An endpoint that answers every request with its name; ends with the test's process.
fn endpoint(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream, name));
        }
    });
    address
}

fn answer(stream: TcpStream, name: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line == "\r\n" {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", name.len());
            (&stream).write_all(format!("{head}{name}").as_bytes())?;
        }
    }
}

struct Edge {
    program: Child,
    scratch: Scratch,
    web: SocketAddr,
    raw: SocketAddr,
    pools: [SocketAddr; 3],
}

impl Edge {
    fn start() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let scratch = Scratch::new("explains").unwrap();
        let pools = ["one", "two", "three"].map(endpoint);
        let (web, raw) = (local(free_port()), local(free_port()));
        let text = config(&scratch, (web, raw), &pools);
        let file = scratch.write("edge.toml", &text).unwrap();
        let log = File::create(scratch.path().join("log")).unwrap();
        let program = Command::new(PROGRAM)
            .args(["run", "--no-keeper", "-c"])
            .arg(file)
            .env("STATE_DIRECTORY", scratch.path())
            .stderr(log)
            .spawn()
            .unwrap();
        let edge = Self { program, scratch, web, raw, pools };
        wait_until(PATIENCE, "it is ready", || !edge.events("ready").is_empty());
        edge
    }

    fn text(&self) -> String {
        config(&self.scratch, (self.web, self.raw), &self.pools)
    }

    fn write(&self, text: &str) -> PathBuf {
        self.scratch.write("edge.toml", text).unwrap()
    }

    fn log(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.scratch.path().join("log")).unwrap();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn events(&self, kind: &str) -> Vec<Value> {
        self.log().into_iter().filter(|line| line["event"] == kind).collect()
    }

    /// Exit code, standard output and standard error of a command.
    fn say(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(PROGRAM);
        command.args(words);
        if !words.contains(&"-c") {
            command.arg("--socket").arg(self.scratch.path().join("edge.sock"));
        }
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// The same of `--json`.
    fn ask(&self, code: i32, words: &[&str]) -> Value {
        let (said, out, err) = self.say(&[words, &["--json"]].concat());
        assert_eq!(said, Some(code), "{words:?}: {out}{err}");
        serde_json::from_str(&out).unwrap()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// Clients are named by PROXY headers, so that they can come from anywhere.
fn config(scratch: &Scratch, (web, raw): (SocketAddr, SocketAddr), pools: &[SocketAddr]) -> String {
    let directory = scratch.path().display();
    let [one, two, three] = pools else { panic!() };
    format!(
        r#"
workers = 2
run_directory = "{directory}"

[condition.partner]
any = [{{ source = "198.51.100.0/24" }}, {{ header = {{ X-Partner = "yes" }} }}]

[listener.web]
listen = ["{web}"]
http = true
proxy_from = ["127.0.0.1"]
deny = ["192.0.2.0/24"]
[[listener.web.rule]]
when = {{ path_prefix = "/admin", not = {{ source = "10.0.0.0/8" }} }}
deny = true
[[listener.web.rule]]
path = "/old"
redirect = {{ path = "/new" }}
[[listener.web.route]]
when = {{ all = [{{ host = "shop.test" }}, {{ named = "partner" }}] }}
pool = "two"
[[listener.web.route]]
host = "shop.test"
path_prefix = "/api"
split = {{ one = 1, three = 1 }}
[[listener.web.route]]
host = "*.test"
pool = "one"

[listener.raw]
listen = ["{raw}"]
proxy_from = ["127.0.0.1"]
[[listener.raw.route]]
source = "10.0.0.0/8"
pool = "two"
[[listener.raw.route]]
source = "198.51.100.0/24"
pool = "three"

[pool.one]
endpoints = ["{one}"]
probe = {{ kind = "none" }}
[pool.two]
endpoints = ["{two}"]
probe = {{ kind = "none" }}
[pool.three]
endpoints = ["{three}"]
probe = {{ kind = "none" }}

[[expect]]
from = "203.0.113.7"
host = "a.test"
path = "/"
pool = "one"
"#
    )
}

/// What came of a request: the name of the pool, the status, or nothing.
fn went(at: SocketAddr, from: &str, request: &str) -> String {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let header = format!("PROXY TCP4 {from} 192.0.2.1 50000 80\r\n");
    told_by(stream, &format!("{header}{request}"))
}

#[test]
fn explain_says_where_real_requests_go() {
    let edge = Edge::start();
    let socket = UnixStream::connect(edge.scratch.path().join("edge.sock")).unwrap();
    let mut answers = BufReader::new(socket.try_clone().unwrap()).lines();
    let mut explain = |mut question: Value| -> Value {
        question["v"] = json!(1);
        question["command"] = json!("explain");
        (&socket).write_all(format!("{question}\n").as_bytes()).unwrap();
        let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["outcome"], "done", "{answer}");
        answer["data"].clone()
    };
    let froms = ["10.0.0.7", "198.51.100.7", "203.0.113.7", "192.0.2.7"];
    let hosts = ["shop.test", "Shop.Test", "a.test", "other"];
    let paths = ["/", "/api/x", "//api/./y", "/%61dmin", "/old", "/new?a=1"];
    let mut came = BTreeSet::new();
    let mut count = 0;
    for (number, from) in froms.iter().enumerate() {
        for (index, (host, path)) in hosts.iter().flat_map(|h| paths.map(|p| (h, p))).enumerate() {
            let partner = if (index + number) % 3 == 0 { "yes" } else { "no" };
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Partner: {partner}\r\n\r\n");
            let question = json!({
                "from": from, "listener": "web", "host": host, "path": path,
                "headers": [format!("X-Partner: {partner}")],
            });
            let explained = explain(question);
            let went = went(edge.web, from, &request);
            assert!(
                told(&explained).contains(&went),
                "{from} {host} {path}: {went}\n{explained:#}"
            );
            came.insert(went);
            count += 1;
        }
        let explained = explain(json!({ "from": from, "port": edge.raw.port() }));
        let went = went(edge.raw, from, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(told(&explained), BTreeSet::from([went.clone()]), "{explained:#}");
        count += 1;
    }
    assert_eq!(count, 100);
    let all = ["302", "403", "404", "closed", "one", "three", "two"];
    assert_eq!(came.iter().map(String::as_str).collect::<Vec<_>>(), all);
    // The records of the log say the same as the answers.
    let records = || edge.log().iter().filter(|line| line["pool"] == "two").count();
    wait_for(PATIENCE, "records", || (records() > 0).then_some(()));
}

#[test]
fn explain_tells_why_and_what_is_missing() {
    let edge = Edge::start();
    let shop = ["explain", "--from", "203.0.113.7", "--host", "shop.test", "--path", "/x"];
    let (code, page, err) = edge.say(&shop);
    assert_eq!(code, Some(0), "{err}");
    for line in [
        "partner",
        "there is no x-partner",
        "the path is /x",
        "the client is 203.0.113.7",
        "pool one: ",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    let next = |report: &Value| report["pools"][0]["next"].clone();
    assert_eq!(next(&edge.ask(0, &shop)), json!(edge.pools[0].to_string()));
    let name = format!("one/{}", edge.pools[0]);
    edge.ask(0, &["endpoint", "drain", &name, "--force"]);
    let drained = edge.ask(0, &shop);
    assert_eq!(next(&drained), Value::Null);
    assert_eq!(drained["pools"][0]["endpoints"][0]["position"], "out");
    assert_eq!(drained["pools"][0]["endpoints"][0]["admin"], "drain");
    let file = edge.scratch.path().join("edge.toml").display().to_string();
    let (file, none): (&str, &[&str]) = (&file, &[]);
    let by_file: &[&str] = &["--offline", "-c", file];
    let offline = edge.ask(0, &[&shop[..], by_file].concat());
    assert_eq!(next(&offline), json!(edge.pools[0].to_string()), "by the file it is up");
    for (words, missing) in [
        (&["--path", "/x"][..], "the host is missing"),
        (&["--host", "shop.test"], "the path is missing"),
        (&["--listener", "wep"], "did you mean web?"),
        (&["--listener", "web"], "the host and the path are missing"),
        (&[], "which listener? web"),
        (&["--host", "shop.test", "--path", "x"], "does not begin with `/`"),
        (&["--host", "shop.test", "--path", "/", "--header", "X"], "has no `:`"),
        (&["--listener", "raw", "--host", "a", "--path", "/"], "speaks no HTTP"),
    ] {
        for more in [none, by_file] {
            let words = [&["explain", "--from", "203.0.113.7"][..], words, more].concat();
            let (code, out, err) = edge.say(&words);
            assert_eq!((code, &*out), (Some(2), ""), "{words:?}: {err}");
            assert!(err.contains(missing), "{words:?}: {err}");
        }
    }
    assert_eq!(edge.say(&["explain", "--host", "a", "--path", "/"]).0, Some(2), "without --from");
}

/// The action and the details of an item of a plan.
fn item(plan: &Value, of: &str) -> (String, String) {
    let items = plan["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["of"] == of);
    let item = item.unwrap_or_else(|| panic!("no {of}: {plan:#}"));
    (item["action"].as_str().unwrap().to_owned(), item["details"].to_string())
}

#[test]
fn a_plan_is_what_the_reload_does() {
    let edge = Edge::start();
    let nothing = edge.ask(0, &["plan"]);
    assert_eq!((&nothing["changes"], &nothing["own"]), (&json!(false), &json!(true)));
    assert_eq!(item(&nothing, "listener web").0, "kept");
    // A session that stands on an endpoint that goes.
    let mut held = TcpStream::connect(edge.raw).unwrap();
    held.write_all(b"PROXY TCP4 10.0.0.7 192.0.2.1 50000 80\r\nGET / HTTP/1.1\r\n\r\n").unwrap();
    held.read_exact(&mut [0; 9]).unwrap();
    let old = edge.pools[1].to_string();
    let text = edge.text();
    let other = text.replace(&format!("[\"{old}\"]"), "[\"127.0.0.2:9\", \"127.0.0.3:9\"]");
    let other = other.replace("X-Partner = \"yes\"", "X-Partner = \"oh yes\"");
    let file = edge.write(&format!("allow_shrink = true\n{other}")).display().to_string();
    let plan = edge.ask(0, &["plan", "-c", &file]);
    assert_eq!((&plan["changes"], &plan["own"]), (&json!(true), &json!(true)));
    assert_eq!(item(&plan, "listener web"), ("changed".into(), "[\"routes changed\"]".into()));
    let (action, details) = item(&plan, &format!("endpoint two/{old}"));
    assert!(action == "gone" && details.contains("those that stand drain"), "{plan:#}");
    assert_eq!(item(&plan, "endpoint two/127.0.0.2:9").0, "new");
    let items = plan["items"].as_array().unwrap();
    let gone = items.iter().find(|item| item["of"] == format!("endpoint two/{old}")).unwrap();
    assert_eq!(gone["sessions"], 1);
    assert!(edge.say(&["plan"]).1.contains("1 session"), "for people, too");
    // Nothing has happened; with the guard it would be refused, and says so.
    assert_eq!(edge.ask(0, &["status"])["generation"], 1);
    edge.write(&other);
    let refused = edge.ask(3, &["plan"]);
    assert!(refused["refused"].to_string().contains("pool two would lose 1 of 1"), "{refused:#}");
    assert_eq!(edge.say(&["reload"]).0, Some(3));
    let reloaded = edge.ask(0, &["reload", "--force"]);
    let changes = reloaded["changes"].to_string();
    assert!(changes.contains("routes changed") && changes.contains("127.0.0.2:9"), "{changes}");
    assert_eq!(edge.ask(0, &["plan"])["changes"], false);
    // A file elsewhere is read by whoever asks.
    let elsewhere = edge.scratch.write("other.toml", &text).unwrap().display().to_string();
    let sent = edge.ask(3, &["plan", "-c", &elsewhere]);
    assert_eq!(sent["own"], false);
    assert_eq!(item(&sent, "endpoint two/127.0.0.2:9").0, "gone");
}

#[test]
fn what_is_broken_is_told_as_check_tells_it() {
    let edge = Edge::start();
    let text = edge.text();
    let broken =
        text.replace("pool = \"one\"\n\n[listener.raw]", "pool = \"two\"\n\n[listener.raw]");
    assert_ne!(broken, text);
    let file = edge.write(&broken).display().to_string();
    let wanted = "expected the pool `one`, but route 3 of listener web takes it to the pool `two`";
    let (checked, _, by_check) = edge.say(&["check", "-c", &file]);
    assert!(checked == Some(2) && by_check.contains(wanted), "{by_check}");
    let (planned, _, by_plan) = edge.say(&["plan"]);
    assert_eq!((planned, &by_plan), (Some(2), &by_check));
    let (code, _, said) = edge.say(&["reload"]);
    assert!(code == Some(1) && said.contains(wanted), "{said}");
    let event = || edge.events("reload_refused").into_iter().next();
    let event = wait_for(PATIENCE, "the event", event);
    assert!(event["message"].to_string().contains("expected the pool"), "{event}");
    assert_eq!(edge.ask(0, &["status"])["generation"], 1);
    // Nonsense elsewhere, too.
    let nonsense = edge.scratch.write("other.toml", &format!("nonsense = 1\n{text}")).unwrap();
    let nonsense = nonsense.display().to_string();
    let (code, out, err) = edge.say(&["plan", "-c", &nonsense]);
    assert!(code == Some(2) && out.is_empty() && err.contains("unknown key `nonsense`"), "{err}");
}
