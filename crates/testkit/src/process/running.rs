//! A process that was started, and what can be asked of it.

use super::Scratch;
use super::meter::{self, Memory};
use crate::wait::{TimedOut, try_until};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

/// A child process with all it has forked; dropping it kills and reaps.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
    run_directory: PathBuf,
    notes: Vec<String>,
    exited: Option<ExitStatus>,
    // After the child: its files go when it is gone.
    scratch: Scratch,
}

impl Running {
    pub(super) fn new(
        name: String,
        child: Child,
        log: PathBuf,
        run_directory: PathBuf,
        scratch: Scratch,
        notes: Vec<String>,
    ) -> Self {
        Self { name, child, log, run_directory, notes, exited: None, scratch }
    }

    /// Its process id; of a service with a keeper, the keeper's.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process that carries the traffic: the keeper's engine; without a keeper, the process
    /// itself. Another one after each crash.
    #[must_use]
    pub fn engine_pid(&self) -> u32 {
        meter::engine_of(self.pid()).unwrap_or_else(|| self.pid())
    }

    /// The program's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where this start differs from what the unit says: another user, a lower limit.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The file that takes what it says, both outputs; gone with this handle.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its `$RUNTIME_DIRECTORY`.
    #[must_use]
    pub fn run_directory(&self) -> &Path {
        &self.run_directory
    }

    /// A directory of this run, for more files; it belongs to the test's user.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The complete lines it has said so far, on both outputs.
    #[must_use]
    pub fn stderr_lines(&self) -> Vec<String> {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().map(str::to_owned).collect()
    }

    /// The lines of its log that are JSON objects: events and session records.
    #[must_use]
    pub fn events(&self) -> Vec<serde_json::Value> {
        let lines = self.stderr_lines();
        let objects = lines.iter().filter(|line| line.starts_with('{'));
        objects.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The records of ended sessions.
    #[must_use]
    pub fn sessions(&self) -> Vec<serde_json::Value> {
        self.events().into_iter().filter(|event| event["event"] == "session").collect()
    }

    /// Waits for a line that `wanted` takes, from the first it has ever said on.
    ///
    /// # Panics
    /// When there is none within `limit` or the process ends without it: with its last words.
    #[track_caller]
    pub fn wait_for_line(
        &mut self,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        self.wait_in_log(limit, what, |running| {
            running.stderr_lines().into_iter().find(|line| wanted(line))
        })
    }

    /// Waits for an event or session record that `wanted` takes.
    ///
    /// # Panics
    /// As [`Self::wait_for_line`].
    #[track_caller]
    pub fn wait_for_event(
        &mut self,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        self.wait_in_log(limit, what, |running| running.events().into_iter().find(&wanted))
    }

    /// Waits until it listens on TCP port `port` in its namespace.
    ///
    /// # Panics
    /// As [`Self::wait_for_line`].
    #[track_caller]
    pub fn wait_listening(&mut self, limit: Duration, port: u16) {
        let what = format!("a listener on port {port}");
        self.wait_in_log(limit, &what, |running| meter::listens(running.pid(), port).then_some(()));
    }

    #[track_caller]
    fn wait_in_log<T>(
        &mut self,
        limit: Duration,
        what: &str,
        look: impl Fn(&Self) -> Option<T>,
    ) -> T {
        let mut found = None;
        let mut gone = false;
        let waited = try_until(limit, what, || {
            // In this order: what a process says before its end is in the log by then.
            gone = self.exit_status().is_some();
            found = look(self);
            found.is_some() || gone
        });
        match (found, waited) {
            (Some(found), _) => found,
            (None, Ok(_)) => panic!("{} ended without {what}; {}", self.name, self.last_words()),
            (None, Err(error)) => panic!("{}: {error}; {}", self.name, self.last_words()),
        }
    }

    /// The end of its log, for messages.
    #[must_use]
    pub fn last_words(&self) -> String {
        const LINES: usize = 20;
        let lines = self.stderr_lines();
        let last = lines[lines.len().saturating_sub(LINES)..].join("\n  ");
        format!("exit {:?}, its last words:\n  {last}", self.exited)
    }

    /// Sends a signal to the process; SIGSTOP and SIGCONT to the one that carries the traffic.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.exit_status().is_some() {
            return Err(io::Error::other(format!("{} has ended", self.name)));
        }
        if [Signal::STOP, Signal::CONT].contains(&signal) {
            return self.signal_engine(signal);
        }
        let pid = self.process_id().ok_or_else(|| io::Error::other("no process id"))?;
        Ok(kill_process(pid, signal)?)
    }

    /// Sends a signal to its engine ([`Self::engine_pid`]), past the keeper.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal_engine(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.engine_pid()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.ok_or_else(|| io::Error::other("no process id"))?, signal)?)
    }

    /// How it ended; `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.exited.is_none() {
            self.exited = self.child.try_wait().ok().flatten();
        }
        self.exited
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it still runs after `limit`: with its last words.
    #[track_caller]
    pub fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        match self.try_exit(limit) {
            Ok(status) => status,
            Err(error) => panic!("{}: {error}; {}", self.name, self.last_words()),
        }
    }

    fn try_exit(&mut self, limit: Duration) -> Result<ExitStatus, TimedOut> {
        let what = format!("the end of process {}", self.pid());
        let mut status = None;
        let waited = try_until(limit, &what, || {
            status = self.exit_status();
            status.is_some()
        });
        status.ok_or_else(|| waited.err().unwrap_or(TimedOut { what, after: limit }))
    }

    /// The memory of its engine now.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory(&self) -> io::Result<Memory> {
        meter::memory(self.engine_pid())
    }

    /// Processor time of all living threads of its engine since that started.
    ///
    /// # Errors
    /// It has ended, or the kernel does not count.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        meter::cpu_time(self.engine_pid())
    }

    /// A field of `/proc/PID/status` of its main process, such as `Uid` or `CapEff`.
    ///
    /// # Errors
    /// It has ended, or the kernel has no such field.
    pub fn status(&self, field: &str) -> io::Result<String> {
        let unknown = || io::Error::other(format!("/proc/PID/status has no {field}"));
        meter::status(self.pid())?.remove(field).ok_or_else(unknown)
    }

    /// How many descriptors its engine has open.
    ///
    /// # Errors
    /// It has ended.
    pub fn descriptors(&self) -> io::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.engine_pid()))?.count())
    }

    /// Asks it to end with `signal`, gives it `limit`, then kills it and what it has forked.
    pub(super) fn end(&mut self, signal: Signal, limit: Duration) {
        if self.signal(signal).is_ok() {
            let _ = self.try_exit(limit);
        }
        self.kill();
    }

    /// Kills the process and its group, and reaps it.
    pub fn kill(&mut self) {
        if self.exit_status().is_none()
            && let Some(pid) = self.process_id()
        {
            // The group first: a master that is gone no longer answers for its workers. Neither
            // can fail but for processes that have ended meanwhile.
            let _ = kill_process_group(pid, Signal::KILL);
            let _ = kill_process(pid, Signal::KILL);
            self.exited = self.child.wait().ok();
        }
    }

    fn process_id(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test");
            eprintln!("{} of {test}: {}", self.name, self.last_words());
        }
    }
}
