//! Clients of others by HTTP/2, over TLS and by prior knowledge: curl, nghttp, h2load, Python's h2 and httpx,
//! Node and Go.

use crate::bed::Bed;
use crate::recorder::path_of;
use e2e::client::missing;
use e2e::proof::{Item, size, wrong_of};
use eclusa_testkit::netns::{Host, skipped};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

/// How a client comes: a name, and the beginning of its URLs.
const WAYS: [(&str, &str); 2] =
    [("TLS", "https://app.test"), ("prior knowledge", "http://app.test")];

/// The folder with `h2` and `httpx`, where Python does not find them by itself.
const PYTHON: &str = "ECLUSA_PYTHON";

/// What comes with trailers.
const WITH_TRAILERS: &[u8] =
    b"HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n\
    3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n";

#[test]
fn clients_of_others_work_by_http2() {
    const TEST: &str = "clients_of_others_work_by_http2";
    if skipped(TEST) {
        return;
    }
    let bed = Bed::without_nginx("");
    let task = Task::new(&bed);
    let scripts = scripts(TEST);
    let programs: [(&str, Asks); 3] = [("curl", curl), ("nghttp", nghttp), ("h2load", h2load)];
    let programs: Vec<_> = programs.into_iter().filter(|(name, _)| !missing(TEST, name)).collect();
    let (mut asked, mut wrong) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let (bed, task) = (&bed, &task);
        let mut threads = Vec::new();
        for (way, url) in WAYS {
            for script in scripts.iter().filter(|script| script.is_for(url)) {
                let thread = scope.spawn(move || script.run(bed, url, task));
                threads.push((format!("{} by {way}", script.name), thread));
            }
            for (name, ask) in &programs {
                threads
                    .push((format!("{name} by {way}"), scope.spawn(move || ask(bed, url, task))));
            }
        }
        for (name, thread) in threads {
            wrong.extend(thread.join().unwrap().err().map(|why| format!("{name}: {why}")));
            asked.push(name);
        }
    });
    let heard: Vec<u8> = bed.recorder.seen().concat();
    let heard = String::from_utf8_lossy(&heard).to_ascii_lowercase();
    for script in scripts.iter().filter(|script| script.name != "httpx") {
        let trailer = format!("\r\nx-up: {}\r\n\r\n", script.name.to_ascii_lowercase());
        if !heard.contains(&trailer) {
            wrong.push(format!("{}: its trailer has not come", script.name));
        }
    }
    wrong.iter().for_each(|wrong| println!("{wrong}"));
    Item::new("1.3 clients of others by HTTP/2")
        .bound("GET, POST, 32 MiB (2 in short), trailers both ways, 20 streams at once: every byte right")
        .n(asked.len())
        .note(asked.join(", "))
        .record(wrong.is_empty(), wrong_of(asked.len(), &wrong));
}

/// Has a program do it all.
type Asks = fn(&Bed, &str, &Task) -> Result<(), String>;

/// What all clients are to do.
struct Task {
    /// Length of the body that goes up.
    up: usize,
    /// Length of the large body that comes down.
    down: usize,
    /// Its path.
    large: String,
    /// The path of an answer with trailers.
    trailers: String,
    /// Files with the body that goes up, and with a small one.
    body: String,
    small: String,
}

impl Task {
    fn new(bed: &Bed) -> Self {
        let down = size(32 << 20, 2 << 20);
        let head =
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {down}\r\n\r\n");
        let answer = [head.into_bytes(), vec![b'b'; down]].concat();
        let large = bed.recorder.will_answer(&answer, true);
        let up = size(5_000_000, 300_000);
        let file = |name: &str, length| {
            let file = bed.edge.scratch().path().join(name);
            std::fs::write(&file, vec![b'b'; length]).unwrap();
            file.display().to_string()
        };
        let (body, small) = (file("body", up), file("small", 3));
        Self { up, down, large, trailers: path_of(WITH_TRAILERS), body, small }
    }

    /// What each script says if all is right.
    fn wanted(&self) -> String {
        let Self { up, down, .. } = self;
        format!(
            "get 2 200 /hello\npost 200 {up}\nbig {down} {down}\ntrailers abc 1\nparallel 20\nupward 3\n"
        )
    }
}

/// A client that is a program of ours over a library of others.
struct Script {
    name: &'static str,
    command: Vec<String>,
    /// It does not speak HTTP/2 without TLS.
    only_tls: bool,
}

impl Script {
    fn is_for(&self, url: &str) -> bool {
        !self.only_tls || url.starts_with("https:")
    }

    fn run(&self, bed: &Bed, url: &str, task: &Task) -> Result<(), String> {
        let (ca, length) = (bed.ca.display().to_string(), task.up.to_string());
        let mut command = at(&bed.client, &self.command[0]);
        command.args(&self.command[1..]).args([url, &ca, &length, &task.trailers, &task.large]);
        let said = output(command)?;
        holds("it says something else", said == task.wanted(), &said)
    }
}

/// A program at the client, which finds the modules of Python.
fn at(host: &Host, program: &str) -> Command {
    let mut command = host.command(program);
    if let Some(folder) = std::env::var_os(PYTHON) {
        command.env("PYTHONPATH", folder);
    }
    command
}

fn output(mut command: Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Those whose program is here; of the others `test` says that they are left out.
fn scripts(test: &str) -> Vec<Script> {
    let mut scripts = Vec::new();
    for (name, module, source) in [
        ("h2", "h2", include_str!("clients/h2_client.py")),
        ("httpx", "httpx, h2", include_str!("clients/httpx_client.py")),
    ] {
        if missing(test, "python3") || without_module(test, module) {
            continue;
        }
        let command = ["python3", "-c", source].map(ToOwned::to_owned).to_vec();
        scripts.push(Script { name, command, only_tls: false });
    }
    if !missing(test, "node") {
        let source = include_str!("clients/client.js");
        let command = ["node", "-e", source].map(ToOwned::to_owned).to_vec();
        scripts.push(Script { name: "Node", command, only_tls: false });
    }
    if !missing(test, "go") {
        scripts.push(Script { name: "Go", command: vec![go()], only_tls: true });
    }
    scripts
}

fn without_module(test: &str, modules: &str) -> bool {
    let mut python = Command::new("python3");
    if let Some(folder) = std::env::var_os(PYTHON) {
        python.env("PYTHONPATH", folder);
    }
    let found = python.args(["-c", &format!("import {modules}")]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return false;
    }
    // Past the harness, which would swallow it.
    let _ =
        writeln!(io::stderr(), "SKIPPED: {test}: no python3 with {modules} (pip install h2 httpx)");
    true
}

/// Builds Go's client.
fn go() -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = folder.join("go-h2-client").display().to_string();
    let mut command = Command::new("go");
    command.env("GO111MODULE", "off").env("GOCACHE", folder.join("go-cache"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/edge/h2/clients/client.go");
    command.args(["build", "-o", &program, source]);
    output(command).unwrap();
    program
}

fn holds(what: &str, holds: bool, said: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{what}: {said:?}")) }
}

fn curl(bed: &Bed, url: &str, task: &Task) -> Result<(), String> {
    let version = if url.starts_with("https:") { "--http2" } else { "--http2-prior-knowledge" };
    let ask = |more: &[&str]| bed.curl(&[&[version, "--max-time", "120"][..], more].concat());
    let said = ask(&["-w", " %{http_version} %{http_code}", &format!("{url}/hello")])?;
    holds("GET", said == "/hello 2 200", &said)?;
    let data = format!("@{}", task.body);
    let said = ask(&["-w", " %{http_version}", "--data-binary", &data, &format!("{url}/length")])?;
    holds("POST", said == format!("{} 2", task.up), &said)?;
    let file = bed.edge.scratch().path().join(format!("curl-big-{version}"));
    ask(&["-o", &file.display().to_string(), &format!("{url}{}", task.large)])?;
    let big = std::fs::read(&file).map_err(|error| error.to_string())?;
    let is_right = big.len() == task.down && big.iter().all(|byte| *byte == b'b');
    holds("a large answer", is_right, &format!("{} bytes", big.len()))?;
    let said = ask(&["-D", "-", &format!("{url}{}", task.trailers)])?;
    holds("trailers", said.contains("abc") && said.contains("x-sum: 1"), &said)?;
    // By prior knowledge curl 7.88 fails at the second transfer of a connection, before nginx too.
    if version != "--http2" {
        return Ok(());
    }
    let (urls, to) = (format!("{url}/parallel-[0-19]"), bed.edge.scratch().path().join("curl-#1"));
    let to_file = to.display().to_string();
    let at_once = ["--parallel", "--parallel-max", "20", "-o", &to_file, "-w"];
    let said = ask(&[&at_once[..], &["%{http_version}:%{num_connects}\n", &urls]].concat())?;
    let right = (0..20).filter(|number| {
        let file = to.with_file_name(format!("curl-{number}"));
        std::fs::read_to_string(file).is_ok_and(|body| body == format!("/parallel-{number}"))
    });
    let connections = said.lines().filter(|line| *line == "2:1").count();
    let kept = said.lines().filter(|line| *line == "2:0").count();
    holds("20 of one connection", (right.count(), connections, kept) == (20, 1, 19), &said)
}

/// The address instead of the name, which nghttp and h2load would have to look up.
fn by_address(url: &str) -> String {
    url.replace("app.test", "192.168.1.2")
}

const AUTHORITY: &str = ":authority: app.test";

fn nghttp(bed: &Bed, url: &str, task: &Task) -> Result<(), String> {
    let url = by_address(url);
    let ask = |more: &[&str], path: &str| {
        let mut command = at(&bed.client, "nghttp");
        command.args(["-H", AUTHORITY]).args(more).arg(format!("{url}{path}"));
        output(command)
    };
    let said = ask(&[], "/hello")?;
    holds("GET", said == "/hello", &said)?;
    let said = ask(&["--data", &task.body], "/length")?;
    holds("POST", said == task.up.to_string(), &said)?;
    let said = ask(&[], &task.large)?;
    let is_right = said.len() == task.down && said.bytes().all(|byte| byte == b'b');
    holds("a large answer", is_right, &format!("{} bytes", said.len()))?;
    let said = ask(&["-v"], &task.trailers)?;
    holds("trailers", said.contains("x-sum: 1"), &said)?;
    let said = ask(&["--data", &task.small, "--trailer", "x-up: nghttp"], "/length")?;
    holds("trailers up", said == "3", &said)?;
    let said = ask(&["-m", "20"], "/parallel")?;
    holds("20 at once", said == "/parallel".repeat(20), &said)
}

fn h2load(bed: &Bed, url: &str, task: &Task) -> Result<(), String> {
    let url = by_address(url);
    let count = size(2000, 200);
    for (requests, path, data) in
        [(count, "/hello", None), (20, "/length", Some(&task.body)), (2, task.large.as_str(), None)]
    {
        let mut command = at(&bed.client, "h2load");
        command.args(["-n", &requests.to_string(), "-c", "2", "-m", "20", "-H", AUTHORITY]);
        if let Some(data) = data {
            command.args(["-d", data]);
        }
        command.arg(format!("{url}{path}"));
        let said = output(command)?;
        let all = format!("{requests} done, {requests} succeeded, 0 failed, 0 errored, 0 timeout");
        let statuses = format!("status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx");
        holds(path, said.contains(&all) && said.contains(&statuses), &said)?;
    }
    Ok(())
}
