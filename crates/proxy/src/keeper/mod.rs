//! The keeper: the main process of the service. It owns the listening sockets, starts the engine and
//! starts it again when it crashes, opens the files that only root may read, and talks to systemd.
//! It reads nothing from the network.
//!
//! ```text
//! systemd ─ signals, stored sockets → keeper ─ spawn, signals, sockets, files → engine
//!         ← READY, STATUS, WATCHDOG ─        ← asks (`message`), over its standard input ─
//! ```
//!
//! One thread, no reactor: it waits in poll(2) for a signal, a question of the engine, or the time to
//! start one again. If the keeper dies the engine sees the end of its channel and stops in order;
//! systemd then starts both anew, with the sockets from its store.

mod backoff;
mod binder;
mod client;
mod instance;
mod listed;
mod message;
mod opens;
mod process;
mod remembered;
mod requests;
mod signals;
mod sockets;
mod store;
mod systemd;
mod tell;

pub use client::Client;
pub(crate) use instance::run_directory;
pub use instance::{InstanceError, InstanceLock};
pub(crate) use message::NotTheFile;
pub use sockets::{Sockets, Wanted};

use backoff::Backoff;
use binder::Binder;
use eclusa_config::Diagnostics;
use eclusa_config::plan::Program;
use eclusa_sys::limits::raise_descriptors;
use listed::Listed;
use process::{Heard, Process, in_words};
use remembered::Remembered;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use signals::Signals;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use store::Store;
use systemd::Systemd;
use tell::Line;

/// Exit code: stopped in order.
const STOPPED: u8 = 0;
/// Exit code: could not do its work.
const FAILED: u8 = 1;
/// How long an engine that is started again may take until it is ready, before the keeper no longer
/// tells the watchdog that all is well.
const STARTING: Duration = Duration::from_secs(30);
/// Messages that are heard in a row before signals have their turn.
const MESSAGES_PER_TURN: usize = 64;

/// Why a keeper could not even begin.
#[derive(Debug)]
pub enum KeeperError {
    /// The configuration is wrong.
    Config(Diagnostics),
    /// The system says so.
    Io(&'static str, io::Error),
}

/// Keeps engines running on a configuration file until a signal ends it; returns the exit code.
///
/// # Errors
/// Nothing was started.
pub fn keep(program: Program, file: &Path) -> Result<u8, KeeperError> {
    // Before anything else: a signal that comes meanwhile must not be lost.
    let signals = Signals::new().map_err(|error| KeeperError::Io("cannot take signals", error))?;
    let (listed, plan) = Listed::read(program, file).map_err(KeeperError::Config)?;
    // For its own sockets, and inherited by the engine.
    let _ = raise_descriptors();
    let (systemd, trouble) = Systemd::new();
    let mut store = Store::new(Binder::new(program.name(), plan.run_directory));
    let mut stored = systemd::stored();
    let kept = remembered::take(&mut stored);
    store.take_over(stored, &systemd);
    let mut keeper = Keeper {
        program,
        file: file.to_owned(),
        listed,
        systemd,
        store,
        engine: None,
        start_at: Some(Instant::now()),
        backoff: Backoff::default(),
        was_ready: false,
        start_failed: false,
        stopping: false,
        crashes: 0,
        refused: None,
        remembered: None,
        recalled: false,
        exit: None,
    };
    if let Some(message) = trouble {
        keeper.tell(Line::new("warning", message));
    }
    if keeper.store.len() > 0 {
        let kept = keeper.store.len();
        let message = format!("{kept} listening sockets kept from the last run");
        keeper.tell(Line::new("sockets_kept", message).about("sockets", kept));
    }
    keeper.recall(kept);
    Ok(keeper.run(signals))
}

struct Keeper {
    program: Program,
    file: PathBuf,
    listed: Listed,
    systemd: Systemd,
    store: Store,
    engine: Option<Process>,
    /// When an engine is to be started; `None` while one runs.
    start_at: Option<Instant>,
    backoff: Backoff,
    /// One engine was ready since the keeper began.
    was_ready: bool,
    /// The last engine could not start, though nothing was wrong with the file as such.
    start_failed: bool,
    /// A stop was asked for.
    stopping: bool,
    /// Engines that ended without being asked to.
    crashes: u64,
    /// When a refusal was last told in the log.
    refused: Option<Instant>,
    /// What the manager keeps for the next start.
    remembered: Option<Remembered>,
    /// What was in force before this keeper began is to go on, and no engine is ready with it yet.
    recalled: bool,
    /// The end.
    exit: Option<u8>,
}

impl Keeper {
    fn run(&mut self, mut signals: Signals) -> u8 {
        loop {
            if self.start_at.is_some_and(|at| at <= Instant::now()) {
                self.start();
            }
            if self.exit.is_none() {
                self.wait(&signals);
            }
            for signal in signals.come() {
                self.signalled(signal);
            }
            self.hear();
            self.look_after();
            if let Some(code) = self.exit {
                return code;
            }
        }
    }

    fn tell(&self, line: Line) {
        line.about("keeper", std::process::id()).write();
    }

    fn start(&mut self) {
        self.start_at = None;
        match Process::start(self.program, &self.file) {
            Ok(engine) => self.engine = Some(engine),
            Err(error) => {
                self.tell(Line::new("warning", format!("cannot start the engine: {error}")));
                self.again(None, Some(FAILED));
            }
        }
    }

    /// Waits for a signal, a message, or the next thing to do.
    fn wait(&self, signals: &Signals) {
        let channel = self.engine.iter().filter_map(Process::channel);
        let watch = |descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN);
        let mut watched: Vec<_> = signals.watched().chain(channel).map(watch).collect();
        let next = [self.start_at, self.systemd.pet_at()].into_iter().flatten().min();
        let limit = next.map(|at| at.saturating_duration_since(Instant::now()));
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        // Interrupted by a signal: then there is something to read.
        let _ = poll(&mut watched, limit.as_ref());
    }

    fn signalled(&mut self, signal: Signal) {
        if signal == Signal::CHILD {
            return; // `look_after` looks.
        }
        if signal == Signal::TERM || signal == Signal::INT {
            if !self.stopping {
                self.systemd.stopping(None);
            }
            self.stopping = true;
            if self.engine.is_none() {
                self.exit = Some(STOPPED);
            }
        }
        if let Some(engine) = &self.engine {
            engine.signal(signal);
        }
    }

    /// Hears what the engine has to say.
    fn hear(&mut self) {
        for _ in 0..MESSAGES_PER_TURN {
            let Some(engine) = &mut self.engine else { return };
            match engine.hear() {
                Heard::Nothing => return,
                Heard::Ask(ask) => match self.obey(ask) {
                    // It asked, and is gone: that shows by itself.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                    Err(error) => self.give_up(&error.to_string()),
                    Ok(()) => {}
                },
                Heard::Nonsense(what) => self.give_up(&what),
            }
        }
    }

    /// Ends an engine that does not keep to the protocol.
    fn give_up(&mut self, why: &str) {
        let Some(engine) = &self.engine else { return };
        let message = format!("the engine does not keep to the protocol and is ended: {why}");
        self.tell(Line::new("warning", message).about("pid", engine.id()));
        engine.signal(Signal::KILL);
    }

    /// Notices the engine's end; tells the watchdog that all is well while no engine can.
    fn look_after(&mut self) {
        if let Some(status) = self.engine.as_mut().and_then(Process::ended) {
            // What it said last.
            self.hear();
            self.ended(status);
        }
        let pet = self.systemd.pet_at().is_some_and(|at| at <= Instant::now());
        let starting = self
            .engine
            .as_ref()
            .is_none_or(|engine| engine.ready.is_none() && engine.started.elapsed() < STARTING);
        // A stop has a time limit of its own, and nobody beats any more.
        if pet && (starting || self.stopping) {
            self.systemd.pet();
        }
    }

    fn ended(&mut self, status: ExitStatus) {
        let Some(engine) = self.engine.take() else { return };
        self.store.take_back();
        let code = status.code().map(|code| u8::try_from(code).unwrap_or(FAILED));
        if self.stopping {
            let asked = [Signal::TERM, Signal::INT].map(Signal::as_raw);
            // A signal that came before the engine was there to take it.
            let early = status.signal().is_some_and(|signal| asked.contains(&signal));
            self.exit = Some(code.unwrap_or(if early { STOPPED } else { FAILED }));
            return;
        }
        if code == Some(STOPPED) {
            self.exit = code;
            return;
        }
        if self.recalled {
            self.give_up_recalled();
            self.start_at = Some(Instant::now());
            return;
        }
        self.crashes += 1;
        self.start_failed = engine.ready.is_none() && code == Some(FAILED);
        let words = in_words(status);
        let mut event = Line::new("engine_ended", format!("the engine {words}"))
            .about("pid", engine.id())
            .about("crashes", self.crashes);
        event = match (status.code(), status.signal()) {
            (Some(code), _) => event.about("exit_code", code),
            (_, signal) => event.about("signal", signal),
        };
        let ready = engine.ready.map(|ready| ready.elapsed());
        if let Some(pause) = self.again(ready, code) {
            event =
                event.about("again_in_ms", u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
            self.systemd
                .status(&format!("the engine {words}; started again, crash {}", self.crashes));
            self.tell(event);
        } else if code.is_none() {
            self.tell(event);
        }
    }

    /// Has another engine started, after a pause that is returned; or ends the keeper with `code`
    /// where none was ever ready: it has told why, and would fail again.
    fn again(&mut self, ready: Option<Duration>, code: Option<u8>) -> Option<Duration> {
        if !self.was_ready
            && let Some(code) = code
        {
            self.exit = Some(code);
            return None;
        }
        let pause = self.backoff.after(ready);
        self.start_at = Some(Instant::now() + pause);
        Some(pause)
    }
}
