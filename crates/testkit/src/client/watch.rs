//! A client that watches: one endless answer, begun anew whenever it is cut.

use super::connect::{self, Driver, Progress, Target, header};
use super::record::{Failed, Outcome, Step};
use crate::background::Background;
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Response};
use serde::Serialize;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// After a failed dial.
const PAUSE: Duration = Duration::from_millis(20);
/// Sessions that are kept at most.
const KEPT: usize = 100_000;
/// A line longer than this is no event of a fake apiserver.
const LINE: usize = 1024 * 1024;

/// How a [`Watcher`] watches.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// What it asks for.
    pub path: String,
    /// Over HTTP/2, as client-go does; else HTTP/1.1.
    pub http2: bool,
    /// How long a connection may take until its answer begins.
    pub deadline: Duration,
    /// After so long without any byte it takes the connection for dead; client-go needs
    /// 30 + 15 s.
    pub silence: Duration,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            path: "/watch?rate=10".into(),
            http2: true,
            deadline: Duration::from_secs(5),
            silence: Duration::from_secs(45),
        }
    }
}

/// One watch, from the dial to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WatchedSession {
    /// When it was dialed, since the watcher's start.
    pub at: Duration,
    /// Who answers (`x-master`), once that is known.
    pub master: Option<String>,
    /// When the first event came.
    pub first_event: Option<Duration>,
    /// When the last event came.
    pub last_event: Option<Duration>,
    /// Events it has brought.
    pub events: u64,
    /// Events that are missing between the first and the last: bytes were lost.
    pub missing: u64,
    /// When and how it ended ([`Outcome::Ok`]: the answer ended in good order); `None`: it stands.
    pub end: Option<(Duration, Outcome)>,
}

/// What a [`Watcher`] has seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WatchReport {
    /// Its sessions, failed dials among them, in their order.
    pub sessions: Vec<WatchedSession>,
    /// The longest time between two events, whether on one session or not.
    pub longest_silence: Duration,
}

impl WatchReport {
    /// Events of all sessions.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.sessions.iter().map(|session| session.events).sum()
    }

    /// Events missing within the sessions.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.sessions.iter().map(|session| session.missing).sum()
    }

    /// Sessions that have brought events and ended, with the time until events came again.
    #[must_use]
    pub fn cuts(&self) -> Vec<(&WatchedSession, Option<Duration>)> {
        let back = |after: usize, cut: Duration| {
            let later = self.sessions[after + 1..].iter().find_map(|session| session.first_event);
            later.map(|first| first.saturating_sub(cut))
        };
        let sessions = self.sessions.iter().enumerate();
        sessions
            .filter_map(|(index, session)| {
                let (when, _) = session.end.as_ref().filter(|_| session.events > 0)?;
                Some((session, back(index, *when)))
            })
            .collect()
    }
}

/// A client that watches until this is dropped.
#[derive(Debug)]
pub struct Watcher {
    state: Arc<State>,
    _thread: Background,
}

#[derive(Debug)]
struct State {
    start: Instant,
    report: Mutex<WatchReport>,
}

impl Watcher {
    /// Starts it in the network namespace of this thread.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start(target: &Target, settings: WatchSettings) -> io::Result<Self> {
        let state = Arc::new(State { start: Instant::now(), report: Mutex::default() });
        let (target, for_thread) = (target.clone(), Arc::clone(&state));
        let ((), thread) =
            Background::start("watcher", move || Ok(((), run(target, settings, for_thread))))?;
        Ok(Self { state, _thread: thread })
    }

    /// Time since its start.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.state.start.elapsed()
    }

    /// What it has seen so far.
    #[must_use]
    pub fn report(&self) -> WatchReport {
        self.state.report().clone()
    }

    /// Blocks until `events` more have come.
    ///
    /// # Panics
    /// When they have not within `limit`.
    #[track_caller]
    pub fn wait_for_more(&self, events: u64, limit: Duration) {
        let goal = self.state.report().events() + events;
        crate::wait_until(limit, &format!("{events} more events"), || {
            self.state.report().events() >= goal
        });
    }
}

impl State {
    /// A panic elsewhere has its own message: the report stays readable.
    fn report(&self) -> MutexGuard<'_, WatchReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) {
        let at = self.start.elapsed();
        let mut report = self.report();
        if report.sessions.len() >= KEPT {
            report.sessions.remove(0);
        }
        report.sessions.push(WatchedSession {
            at,
            master: None,
            first_event: None,
            last_event: None,
            events: 0,
            missing: 0,
            end: None,
        });
    }

    /// Changes the session that runs now.
    fn session(&self, change: impl FnOnce(&mut WatchedSession, Duration)) {
        let now = self.start.elapsed();
        if let Some(session) = self.report().sessions.last_mut() {
            change(session, now);
        }
    }

    fn event(&self, missing: u64) {
        let now = self.start.elapsed();
        let mut report = self.report();
        let last = report.sessions.iter().rev().find_map(|session| session.last_event);
        if let Some(last) = last {
            report.longest_silence = report.longest_silence.max(now.saturating_sub(last));
        }
        if let Some(session) = report.sessions.last_mut() {
            session.first_event.get_or_insert(now);
            session.last_event = Some(now);
            session.events += 1;
            session.missing += missing;
        }
    }
}

async fn run(target: Target, settings: WatchSettings, state: Arc<State>) {
    loop {
        state.begin();
        let outcome = watch(&target, &settings, &state).await;
        let mut fruitless = false;
        state.session(|session, now| {
            fruitless = session.events == 0;
            session.end = Some((now, outcome));
        });
        if fruitless {
            sleep(PAUSE).await;
        }
    }
}

async fn watch(target: &Target, settings: &WatchSettings, state: &State) -> Outcome {
    let progress = Progress::new();
    let begin = timeout(settings.deadline, begin(target, settings, &progress)).await;
    let (response, driver) = match begin.unwrap_or_else(|_| Err(progress.timeout())) {
        Ok(begun) => begun,
        Err(failed) => return failed.outcome,
    };
    state.session(|session, _| session.master = header(&response, "x-master"));
    if response.status().as_u16() >= 400 {
        return Outcome::Status(response.status().as_u16());
    }
    // It ends with the watch: dropping its body ends the stream, and nobody else has one.
    let driver = tokio::task::spawn_local(driver);
    let outcome = read_events(response.into_body(), settings.silence, state).await;
    driver.abort();
    outcome
}

async fn begin(
    target: &Target,
    settings: &WatchSettings,
    progress: &Progress,
) -> Result<(Response<Incoming>, Driver), Failed> {
    let request = target.request(Method::GET, &settings.path, Bytes::new())?;
    let failed = |error: hyper::Error| connect::of_hyper(&error, Step::Head);
    // The sender of requests has to outlive the answer: it travels with the driver.
    let (sent, driver): (_, Driver) = if settings.http2 {
        let (mut send, mut driver) = connect::http2(target, progress).await?;
        let sent = with_driver(send.send_request(request), &mut driver).await;
        (sent, Box::pin(keep(send, driver)))
    } else {
        let (mut send, mut driver) = connect::http1(target, progress).await?;
        let sent = with_driver(send.send_request(request), &mut driver).await;
        (sent, Box::pin(keep(send, driver)))
    };
    Ok((sent.map_err(failed)?, driver))
}

async fn keep<T>(sender: T, driver: Driver) -> Outcome {
    let _sender = sender;
    driver.await
}

/// Runs `work` and, beside it, the connection that it needs.
async fn with_driver<T>(work: impl Future<Output = T>, driver: &mut Driver) -> T {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => done,
        // The connection has ended, and `work` learns of it.
        outcome = &mut *driver => {
            *driver = Box::pin(std::future::ready(outcome));
            work.await
        }
    }
}

async fn read_events(mut body: Incoming, silence: Duration, state: &State) -> Outcome {
    let (mut line, mut last) = (Vec::new(), None);
    loop {
        let frame = match timeout(silence, body.frame()).await {
            Err(_) => return Outcome::Timeout,
            Ok(None) => return Outcome::Ok,
            Ok(Some(Err(error))) => return connect::of_hyper(&error, Step::Body).outcome,
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if !part.ends_with(b"\n") {
                continue;
            }
            let Some(number) = event_number(&line) else {
                return Outcome::Other(format!("no event: {}", line.escape_ascii()));
            };
            state.event(last.map_or(0, |last: u64| number.saturating_sub(last + 1)));
            last = Some(number);
            line.clear();
        }
        if line.len() > LINE {
            return Outcome::Other("an event that does not end".into());
        }
    }
}

fn event_number(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<serde_json::Value>(line).ok()?["n"].as_u64()
}
