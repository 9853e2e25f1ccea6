//! One engine: a child process and the channel to it.

use super::message::{Answer, Ask, MESSAGE_MAX};
use super::systemd::ENVIRONMENT;
use eclusa_config::plan::Program;
use eclusa_sys::channel::{self, Received};
use rustix::process::{Pid, Signal, kill_process};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Instant;

/// This very program, even when its file has been replaced meanwhile: engine and keeper are always
/// of one version.
const OURSELVES: &str = "/proc/self/exe";

/// A running engine.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    channel: OwnedFd,
    /// The engine's end of the channel is closed.
    closed: bool,
    pub(super) started: Instant,
    /// The engine has said hello.
    pub(super) greeted: bool,
    /// Since when it takes connections.
    pub(super) ready: Option<Instant>,
}

/// What came over the channel.
#[derive(Debug)]
pub(super) enum Heard {
    Ask(Ask),
    /// Nothing more for now.
    Nothing,
    /// What no engine of ours says.
    Nonsense(String),
}

impl Process {
    /// Starts an engine on a configuration file. Its standard input is the channel: it needs no
    /// number to be agreed on, and no code between fork and exec.
    pub(super) fn start(program: Program, file: &Path) -> io::Result<Self> {
        let (ours, theirs) = channel::pair()?;
        let mut command = Command::new(OURSELVES);
        command.arg0(program.name()).arg("engine").arg("-c").arg(file).stdin(theirs);
        for variable in ENVIRONMENT {
            command.env_remove(variable);
        }
        let child = command.spawn()?;
        let (started, closed, greeted) = (Instant::now(), false, false);
        Ok(Self { child, channel: ours, closed, started, greeted, ready: None })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// To be watched for being readable; nothing when the engine has closed its end.
    pub(super) fn channel(&self) -> Option<BorrowedFd<'_>> {
        (!self.closed).then(|| self.channel.as_fd())
    }

    /// How it ended; `None` while it runs.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends it a signal. The process is ours and not yet waited for: its id is nobody else's.
    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // Fails only when it has ended, and that shows.
        let _ = pid.map(|pid| kill_process(pid, signal));
    }

    /// The next thing that it has said.
    pub(super) fn hear(&mut self) -> Heard {
        match channel::receive(self.channel.as_fd(), MESSAGE_MAX, false) {
            Ok(None) => {
                // The process is about to end, which shows by itself.
                self.closed = true;
                Heard::Nothing
            }
            Ok(Some(Received { bytes, .. })) => match serde_json::from_slice(&bytes) {
                Ok(ask) => Heard::Ask(ask),
                Err(error) => Heard::Nonsense(error.to_string()),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
            Err(error) => Heard::Nonsense(error.to_string()),
        }
    }

    /// Answers it. An engine waits for its answer, so there is always room for one.
    ///
    /// # Errors
    /// It does not read, or is gone.
    pub(super) fn answer(&self, answer: &Answer, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(answer)?;
        channel::send(self.channel.as_fd(), &bytes, descriptors, false)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It sees the end of its channel and stops in order; an engine that has ended is reaped.
        let _ = self.child.try_wait();
    }
}

/// How a process ended, in words.
pub(super) fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (_, Some(signal)) => match NAMES.iter().find(|(known, _)| known.as_raw() == signal) {
            Some((_, name)) => format!("was ended by {name}"),
            None => format!("was ended by signal {signal}"),
        },
        _ => "ended".to_owned(),
    }
}

/// The signals that end programs.
const NAMES: [(Signal, &str); 9] = [
    (Signal::KILL, "SIGKILL"),
    (Signal::SEGV, "SIGSEGV"),
    (Signal::BUS, "SIGBUS"),
    (Signal::ABORT, "SIGABRT"),
    (Signal::ILL, "SIGILL"),
    (Signal::FPE, "SIGFPE"),
    (Signal::TRAP, "SIGTRAP"),
    (Signal::SYS, "SIGSYS"),
    (Signal::TERM, "SIGTERM"),
];
