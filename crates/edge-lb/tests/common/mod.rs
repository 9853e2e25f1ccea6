//! A running edge, keeper and engine, before an echo.

#![allow(dead_code, reason = "each test uses some of it")]
#![allow(missing_docs, reason = "the names say it")]
#![allow(unreachable_pub, reason = "a module of several tests")]

use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::free_port;
use eclusa_testkit::process::Scratch;
use eclusa_testkit::wait::wait_for;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Output};
use std::time::Duration;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_eclusa-edge");
pub const PATIENCE: Duration = Duration::from_secs(30);

/// An edge with its directory, before an echo.
pub struct Edge {
    pub keeper: Option<Child>,
    pub scratch: Scratch,
    pub address: SocketAddr,
    pub observe: SocketAddr,
    pub echo: Endpoint,
}

impl Edge {
    /// `pool`: further lines of its pool.
    pub fn start(pool: &str) -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let echo = Endpoint::start(local(0), Kind::Echo).unwrap();
        let (address, observe) = (local(free_port()), local(free_port()));
        let scratch = Scratch::new("running").unwrap();
        let mut edge = Self { keeper: None, scratch, address, observe, echo };
        edge.write(&edge.right(1, pool));
        edge.run();
        edge
    }

    /// A right file.
    pub fn right(&self, weight: u16, pool: &str) -> String {
        let (directory, endpoint) = (self.scratch.path().display(), self.echo.address());
        format!(
            "workers = 1\nstop_deadline = \"1s\"\nrun_directory = \"{directory}\"\n\
             [observe]\nlisten = [\"{}\"]\n\
             [listener.web]\nlisten = [\"{}\"]\npool = \"web\"\npeek = \"tls\"\n\
             preamble_timeout = \"1m\"\n\
             [pool.web]\nendpoints = [{{ address = \"{endpoint}\", weight = {weight} }}]\n{pool}\n",
            self.observe, self.address
        )
    }

    pub fn write(&self, text: &str) {
        self.scratch.write("edge.toml", text).unwrap();
    }

    pub fn run(&mut self) {
        let directory = self.scratch.path();
        let log = File::options().create(true).append(true).open(directory.join("log")).unwrap();
        let child = Command::new(PROGRAM)
            .args(["run", "-c"])
            .arg(directory.join("edge.toml"))
            .env("STATE_DIRECTORY", directory)
            .stderr(log)
            .spawn();
        self.keeper = Some(child.unwrap());
    }

    /// The exit code of the keeper.
    pub fn ended(&mut self) -> Option<i32> {
        self.keeper.take().unwrap().wait().unwrap().code()
    }

    /// The events of a kind in the log.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        let log = fs::read_to_string(self.scratch.path().join("log")).unwrap();
        let lines = log.lines().filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(|line: &Value| line["event"] == kind).collect()
    }

    /// The process of the `count`th engine, once it is ready.
    pub fn engine(&self, count: usize) -> u64 {
        // It answers commands a moment after it carries traffic.
        let answers = || self.events("admin_socket").len() >= count;
        let ready = || self.events("ready").into_iter().nth(count - 1).filter(|_| answers());
        wait_for(PATIENCE, "an engine", ready)["pid"].as_u64().unwrap()
    }

    pub fn signal(signal: &str, pid: u64) {
        let done = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Exit code, standard output and standard error of a command. The socket is named: a broken file
    /// says no more where it is.
    pub fn say(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let socket = self.scratch.path().join("edge.sock");
        let said = Command::new(PROGRAM).args(words).arg("--socket").arg(socket).output().unwrap();
        let Output { status, stdout, stderr } = said;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }

    pub fn ask(&self, words: &[&str]) -> Value {
        let (code, out, err) = self.say(&[words, &["--json"]].concat());
        assert_eq!(code, Some(0), "{err}");
        serde_json::from_str(&out).unwrap()
    }

    pub fn carries(&self) {
        echoes(&mut TcpStream::connect(self.address).unwrap());
    }

    /// Its endpoint, as commands call it.
    pub fn name(&self) -> String {
        format!("web/{}", self.echo.address())
    }

    /// What the file says.
    pub fn text(&self) -> String {
        fs::read_to_string(self.scratch.path().join("edge.toml")).unwrap()
    }

    pub fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.observe).unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            // The engine sees the end of its keeper.
            let _ = keeper.kill();
            let _ = keeper.wait();
        }
    }
}

pub const UNPROBED: &str = "probe = { kind = \"none\" }";

/// A byte goes there and comes back.
pub fn echoes(session: &mut TcpStream) {
    session.set_read_timeout(Some(PATIENCE)).unwrap();
    session.write_all(b"x").unwrap();
    session.read_exact(&mut [0]).unwrap();
}
