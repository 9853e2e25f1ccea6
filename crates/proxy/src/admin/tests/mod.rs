//! The admin socket as a whole: a real socket, served as in the engine, and what implements
//! [`Operate`] is the test's own.

mod commands;
mod drills;
mod followers;
mod hostile;
mod lines;
mod pages;
mod socket;

use super::drill::{DrillShow, DrillStop};
use super::request::{ClientNetwork, Confirm, Errors, Events, Save, SessionShow, StatusOf};
use super::*;
use crate::drill::Fault;
use crate::engine::reactor;
use crate::observe::Event;
use eclusa_config::plan::{Admin, Program};
use eclusa_testkit::process::Scratch;
use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

const PROGRAM: Program = Program::Apiserver;
/// Longer than anything here takes, on a busy machine too.
const LONG: Duration = Duration::from_secs(60);

/// What a test's program saw.
#[derive(Debug, Default)]
struct Seen {
    /// Requests, each with who asked.
    requests: Vec<(Request, Peer)>,
    /// Lines of the log.
    events: Vec<serde_json::Value>,
    /// Requests that change something and were worked on at the same time, at most.
    together: u32,
}

/// Answers with what it has.
struct Fixed {
    seen: Arc<Mutex<Seen>>,
    report: StatusReport,
    /// Bytes of text in the answer to `session show`.
    size: usize,
    /// Changing requests under way.
    under_way: Rc<Cell<u32>>,
    recent: Arc<Recent>,
}

impl Operate for Fixed {
    async fn perform(&self, request: Request, by: &Peer) -> Reply {
        self.seen.lock().unwrap().requests.push((request.clone(), by.clone()));
        if request.changes() {
            self.under_way.set(self.under_way.get() + 1);
            {
                let mut seen = self.seen.lock().unwrap();
                seen.together = seen.together.max(self.under_way.get());
            }
            // As a reload that waits for the workers.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            self.under_way.set(self.under_way.get() - 1);
        }
        match request {
            Request::Reload(Reload { force: false, .. }) => Reply::not_done(
                Outcome::Refused,
                "the file has 1 of 3 endpoints: --force if that is meant",
            ),
            Request::Reload(_) => Reply::done(Data::Reload(Box::default())).line("pool a: gone"),
            Request::Status(_) => Reply::done(Data::Status(Box::new(self.report.clone()))),
            Request::SessionList(_) => {
                let sessions = vec![session("7-1"), session("7-2")];
                Reply::done(Data::Sessions(Box::new(SessionTable { matching: 3, sessions })))
            }
            Request::SessionShow(show) if show.session == "7-9" => {
                Reply::not_done(Outcome::Failed, "no session 7-9: it has ended")
            }
            Request::SessionShow(_) => {
                let step = "x".repeat(self.size);
                Reply::done(Data::Session(Box::new(Session { step, ..session("7-1") })))
            }
            Request::SessionClose(_) => {
                Reply::done(Data::Closed(Box::default())).line("closed 2 sessions")
            }
            Request::EndpointSet(set) if set.pool != "apiserver" => {
                Reply::not_done(Outcome::Wrong, format!("no pool `{}`", set.pool))
            }
            Request::Events(of) => Reply::done(Data::Events(Box::new(of.of(&self.recent)))),
            _ => Reply::done(Data::None).line("apiserver/m1: as you say").changed("so", "other"),
        }
    }

    fn recent(&self) -> Option<Arc<Recent>> {
        Some(self.recent.clone())
    }
}

/// A program that runs, as far as its admin socket goes; ends when dropped.
struct Running {
    scratch: Scratch,
    seen: Arc<Mutex<Seen>>,
    recent: Arc<Recent>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn new(patience: Patience) -> Self {
        Self::sized(patience, 10)
    }

    /// One whose answer to `session show` has so many bytes of text.
    fn sized(patience: Patience, size: usize) -> Self {
        let scratch = Scratch::new("admin").unwrap();
        let admin = Admin::default();
        let (socket, warning) = Socket::open(&admin, PROGRAM, scratch.path()).unwrap();
        assert_eq!(warning, None);
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (end, ended) = oneshot::channel::<()>();
        let (ready, begun) = mpsc::channel();
        let shared = seen.clone();
        let recent: Arc<Recent> = Arc::default();
        let kept = recent.clone();
        let thread = std::thread::spawn(move || {
            reactor().unwrap().block_on(async move {
                let (under_way, report) = (Rc::default(), pages::report());
                let operate = Fixed { seen: shared.clone(), report, size, under_way, recent: kept };
                let tell = move |event: Event| {
                    let event = serde_json::to_value(event).unwrap();
                    shared.lock().unwrap().events.push(event);
                };
                let desk = Rc::new(Desk::new(operate, tell));
                let _serving = serve(socket, desk, patience).unwrap();
                ready.send(()).unwrap();
                let _ = ended.await;
            });
        });
        begun.recv().unwrap();
        Self { scratch, seen, recent, end: Some(end), thread: Some(thread) }
    }

    fn path(&self) -> PathBuf {
        self.scratch.path().join("apiserver.sock")
    }

    fn client(&self) -> Client {
        Client::new(&self.path())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.end.take());
        let joined = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || joined.is_none_or(|joined| joined.is_ok()));
    }
}

/// A client that writes what it likes.
struct Client {
    stream: UnixStream,
    read: BufReader<UnixStream>,
}

impl Client {
    fn new(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        let read = BufReader::new(stream.try_clone().unwrap());
        Self { stream, read }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// The next answer; `None`: the connection has ended.
    fn next(&mut self) -> Option<serde_json::Value> {
        let mut line = String::new();
        match self.read.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn ask(&mut self, line: impl AsRef<[u8]>) -> serde_json::Value {
        self.send(line);
        self.send("\n");
        self.next().expect("an answer")
    }

    fn is_served(&mut self) -> bool {
        self.ask(STATUS)["outcome"] == "done"
    }
}

const STATUS: &str = "{\"v\":1,\"id\":\"s\",\"command\":\"status\"}";

fn session(id: &str) -> Session {
    Session {
        id: id.to_owned(),
        listener: "apiserver".to_owned(),
        worker: 1,
        client: "10.0.0.21:40312".parse().unwrap(),
        pool: Some("apiserver".to_owned()),
        endpoint: Some("10.0.0.12".to_owned()),
        address: Some("10.0.0.12:6443".parse().unwrap()),
        server_name: Some("kubernetes.default".to_owned()),
        step: "data".to_owned(),
        began: Moment::from_unix(1_795_582_800),
        age_seconds: 7_260,
        idle_seconds: 4,
        bytes_up: 1_536,
        bytes_down: 5 << 30,
    }
}

/// A message that was refused.
pub(super) fn refused() -> RefusedMessage {
    RefusedMessage {
        number: 7,
        at: Moment::from_unix(1_795_582_800),
        message: "request".to_owned(),
        listener: "web".to_owned(),
        client: "203.0.113.7:40312".parse().unwrap(),
        pool: None,
        endpoint: None,
        part: "head".to_owned(),
        reason: "bare_lf".to_owned(),
        why: "an LF without CR".to_owned(),
        length: 41,
        offset: 39,
        from: 0,
        bytes: "GET /a HTTP/1.1\\r\\nHost: a.test\\r\\nX: \\x00\\ty\\\\z\\n\\n".to_owned(),
    }
}
