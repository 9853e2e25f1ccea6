//! Child processes that do not outlive their guard.

use crate::failure::{Context, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::meter;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to end when it is asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(1);

/// How long a process may take to answer.
pub const ANSWER: Duration = Duration::from_secs(10);

/// Bytes of a process's last words that go into a failure.
const LAST_WORDS: usize = 1500;

/// A child process; dropping it ends it and all its descendants.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Answers read and not yet taken.
    pending: Vec<u8>,
    /// How long it may take to end when it is asked to.
    grace: Duration,
}

impl Process {
    /// Starts `command`, which is called `name` in messages; what it says on both outputs goes to
    /// `log`, input is empty.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Outcome<Self> {
        let file = append(log)?;
        let both = file.try_clone().context(|| "descriptor".into())?;
        command.stdin(Stdio::null()).stdout(both).stderr(file);
        Self::spawn(name, command, log)
    }

    /// Starts `command` with input and output connected to [`Self::ask`]; errors go to `log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn talking(name: &str, mut command: Command, log: &Path) -> Outcome<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(append(log)?);
        Self::spawn(name, command, log)
    }

    fn spawn(name: &str, mut command: Command, log: &Path) -> Outcome<Self> {
        // A group of its own: Ctrl-C is for the runner, which then ends the others in order.
        command.process_group(0);
        let child = command.spawn().context(|| format!("cannot start {name} ({command:?})"))?;
        let (name, log) = (name.to_owned(), log.to_owned());
        Ok(Self { name, child, log, pending: Vec::new(), grace: GRACE })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Checks that it still runs.
    ///
    /// # Errors
    /// It has ended; the message has its last words.
    pub fn alive(&mut self) -> Outcome<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.fault(&format!("ended: {status}"))),
            Err(error) => Err(self.fault(&error.to_string())),
        }
    }

    /// Sends a command and waits for its line of answer.
    ///
    /// # Errors
    /// It ended, did not answer in [`ANSWER`], or a signal came.
    pub fn ask(&mut self, command: &str, interrupt: &Interrupt) -> Outcome<String> {
        let sent = match &mut self.child.stdin {
            Some(stdin) => stdin.write_all(format!("{command}\n").as_bytes()),
            None => Err(std::io::ErrorKind::NotConnected.into()),
        };
        if let Err(error) = sent {
            return Err(self.fault(&format!("does not listen: {error}")));
        }
        self.line(interrupt)
    }

    /// Waits for the next line of output.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn line(&mut self, interrupt: &Interrupt) -> Outcome<String> {
        let end = Instant::now() + ANSWER;
        loop {
            if let Some(length) = self.pending.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=length).collect();
                return Ok(String::from_utf8_lossy(&line[..length]).into_owned());
            }
            if Instant::now() >= end {
                return Err(self.fault(&format!("no answer within {ANSWER:?}")));
            }
            let Some(stdout) = &mut self.child.stdout else {
                return Err(self.fault("cannot answer"));
            };
            if interrupt.readable(Some(stdout), end)? {
                let mut chunk = [0u8; 4096];
                match stdout.read(&mut chunk) {
                    Ok(0) => return Err(self.fault("ended")),
                    Ok(length) => self.pending.extend_from_slice(&chunk[..length]),
                    Err(error) => return Err(self.fault(&format!("cannot be heard: {error}"))),
                }
            }
        }
    }

    /// Ends it without waiting for what it would like to finish first.
    pub fn end_at_once(mut self) {
        self.grace = Duration::ZERO;
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It is gone.
    pub fn signal(&self, signal: Signal) -> Outcome<()> {
        let handle = handle(self.id()).ok_or_else(|| self.fault("is gone"))?;
        pidfd_send_signal(handle, signal).map_err(|error| self.fault(&error.to_string()))
    }

    /// A failure with the last words of the process.
    fn fault(&self, what: &str) -> Failure {
        let log = fs::read(&self.log).unwrap_or_default();
        let words = String::from_utf8_lossy(&log[log.len().saturating_sub(LAST_WORDS)..]);
        Failure::new(format!("{} {what}; its last words:\n{}", self.name, words.trim_end()))
    }

    /// Waits until the process has ended, at most for `limit`; says whether it has. Not stopped by
    /// signals: this is what cleaning up waits with.
    fn ended_within(&mut self, handle: &OwnedFd, limit: Duration) -> bool {
        if let Ok(timeout) = Timespec::try_from(limit) {
            let _ = poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&timeout));
        }
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take()); // the end of input ends ours
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // Handles, since an id may belong to somebody else by the time it is used.
        let family: Vec<_> = meter::family(self.id()).into_iter().filter_map(handle).collect();
        let Some((own, descendants)) = family.split_first() else {
            let _ = self.child.kill();
            let _ = self.child.wait();
            return;
        };
        let _ = pidfd_send_signal(own, Signal::TERM);
        if !self.ended_within(own, self.grace) {
            let _ = pidfd_send_signal(own, Signal::KILL);
            self.ended_within(own, GRACE);
        }
        // Workers whose master ended without taking them along.
        for descendant in descendants {
            let _ = pidfd_send_signal(descendant, Signal::KILL);
        }
    }
}

fn handle(id: u32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(i32::try_from(id).ok()?)?, PidfdFlags::empty()).ok()
}

fn append(log: &Path) -> Outcome<File> {
    File::options()
        .create(true)
        .append(true)
        .open(log)
        .context(|| format!("cannot open {}", log.display()))
}

/// A directory for one run; removed with all that is in it when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes a directory that others may pass through but not write to.
    ///
    /// # Errors
    /// It cannot be made, or its name is taken.
    pub fn new() -> Outcome<Self> {
        let path = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
        fs::create_dir(&path).context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
