//! Real sockets, real files, and every byte that the network may send.

mod format;
mod rotation;
mod sampling;
mod stalls;
mod syslog;

use super::*;
use crate::observe::metrics::{ListenerCells, Metrics};
use crate::observe::{End, Hello, Opening, SessionId, Step, Who as Ended};
use crate::pool::Pool;
use eclusa_config::plan::{
    EventFormat, Facility, LogOutput, LogTarget, Program, SessionFormat, Syslog,
};
use eclusa_testkit::process::Scratch;
use std::path::PathBuf;

pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A directory of its own, and what is written there.
pub(super) fn scratch() -> (Scratch, PathBuf) {
    let scratch = Scratch::new("log").unwrap();
    let path = scratch.path().join("log");
    (scratch, path)
}

/// An output that takes everything.
pub(super) fn output(target: LogTarget, sessions: SessionFormat, events: EventFormat) -> LogOutput {
    let facility = Facility::from_name("local0").unwrap();
    LogOutput {
        target,
        syslog: Syslog::Rfc5424,
        sessions: Some((sessions, facility)),
        events: Some((events, facility)),
    }
}

pub(super) fn log(outputs: Vec<LogOutput>) -> Log {
    Log { outputs, sample: ALL_SESSIONS, tag: "eclusa-edge".into() }
}

pub(super) fn json_to(target: LogTarget) -> Log {
    log(vec![output(target, SessionFormat::Json, EventFormat::Json)])
}

/// A pool with one endpoint.
pub(super) fn pool() -> Arc<Pool> {
    let text = "[listener.web]\nlisten = [\"127.0.0.1:1\"]\npool = \"web\"\n[pool.web]\n\
                endpoints = [{ address = \"10.0.1.100:443\", name = \"ingress1\" }]\n";
    let loaded = eclusa_config::parse(Program::Edge, "t", text, eclusa_config::Mode::Offline);
    let metrics = Metrics::new(1, Program::Edge.name());
    Arc::new(Pool::new(loaded.unwrap().plan.pools[0].clone(), &metrics))
}

/// How a session was set up that went well.
pub(super) fn opening() -> Box<Opening> {
    let pool = pool();
    Box::new(Opening {
        id: SessionId { run: 7, number: 42 },
        listener: "https".into(),
        cells: Arc::new(ListenerCells::new(1)),
        client: "192.0.2.7:33313".parse().unwrap(),
        peer: None,
        local: "192.168.1.2:443".parse().unwrap(),
        hello: Hello::Complete,
        server_name: Some("shop.example.com".into()),
        alpn: None,
        endpoint: Some(pool.endpoints()[0].clone()),
        pool: Some(pool),
        tries: 1,
        replayed: false,
        accepted: Instant::now(),
        preamble: Duration::from_millis(1),
        queue: Duration::ZERO,
        dial: Duration::from_millis(2),
    })
}

/// And how it ended.
pub(super) fn record() -> Record {
    Record {
        total: Duration::from_millis(5007),
        bytes_up: 99,
        bytes_down: 212,
        end: Some(End::clean(Ended::Client)),
        ..Record::of(opening())
    }
}

/// One that did not get to an endpoint.
pub(super) fn denied() -> Record {
    let end = End::abort(Ended::Proxy, Step::Access, "denied: 192.0.2.0/24");
    let opening = Box::new(Opening { pool: None, endpoint: None, tries: 0, ..*opening() });
    Record { opening, end: Some(end), ..record() }
}

/// Numbered lines, told apart by `n`.
pub(super) fn numbered(n: usize) -> Event {
    Event::new("test", "a numbered line").about("n", n)
}

/// The numbers of the numbered lines among some JSON lines.
pub(super) fn numbers<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<usize> {
    let parse = |line: &str| -> serde_json::Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    let lines = lines.into_iter().map(parse);
    lines.filter_map(|line| Some(line.get("n")?.as_u64()? as usize)).collect()
}
