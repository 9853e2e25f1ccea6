//! The engine's end of the channel to its keeper.

use super::instance::InstanceError;
use super::message::{Answer, Ask, How, MESSAGE_MAX, NotTheFile, STATUS_MAX, VERSION};
use super::sockets::Wanted;
use crate::found::{Entry, Kind};
use eclusa_sys::channel::{self, Received};
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long the keeper may take to answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a listing at most: names of 255 bytes, each byte written as a number.
const LIST_MAX: u64 = 64 << 20;

/// The engine's end of the channel. Questions block until they are answered, some milliseconds;
/// one at a time. What is only told does not wait.
#[derive(Debug)]
pub struct Client {
    channel: OwnedFd,
    /// One question at a time; a thread that panicked in between has left no half of a message. Holds
    /// how many answers are still to come to questions whose askers have given up.
    asking: Mutex<u32>,
    gone: AtomicBool,
    stores: bool,
    heartbeat: Option<Duration>,
    crashes: u64,
    not_the_file: Option<NotTheFile>,
}

impl Client {
    /// Over the channel that the keeper has made this process's standard input, which becomes
    /// `/dev/null`.
    ///
    /// # Errors
    /// Standard input is no channel, or at its other end is another version.
    pub fn over_stdin() -> io::Result<Self> {
        let stdin = io::stdin();
        if !channel::is_channel(stdin.as_fd()) {
            return Err(io::Error::other("`engine` is started by `run`, not by hand"));
        }
        let channel = stdin.as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        channel::set_patience(channel.as_fd(), PATIENCE)?;
        let (asking, gone) = (Mutex::default(), AtomicBool::new(false));
        let (stores, heartbeat, crashes, not_the_file) = (false, None, 0, None);
        let mut client = Self { channel, asking, gone, stores, heartbeat, crashes, not_the_file };
        match client.ask(&Ask::Hello { version: VERSION })?.0 {
            Answer::Hello { version: VERSION, stored, heartbeat, crashes, last_good } => {
                client.not_the_file = last_good;
                client.crashes = crashes;
                client.stores = stored;
                client.heartbeat = heartbeat.map(Duration::from_millis);
                Ok(client)
            }
            _ => Err(io::Error::other("the keeper is of another version")),
        }
    }

    /// Whether systemd stores the sockets.
    #[must_use]
    pub fn stores(&self) -> bool {
        self.stores
    }

    /// Engines that have crashed before this one, since the keeper began.
    #[must_use]
    pub fn crashes(&self) -> u64 {
        self.crashes
    }

    /// Why this engine is to begin with what was in force last, and not with the file.
    pub(crate) fn not_the_file(&self) -> Option<NotTheFile> {
        self.not_the_file
    }

    /// How often [`Self::heartbeat`] wants to be called; `None`: nobody watches.
    #[must_use]
    pub fn heartbeat_every(&self) -> Option<Duration> {
        self.heartbeat
    }

    /// Blocks until the keeper has gone.
    pub fn wait_for_end(&self) {
        // No error is known for a socket; if there is one, better to stop than to run unwatched.
        let _ = channel::wait_for_end(self.channel.as_fd());
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::wait_for_end`] has seen its end.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub(super) fn claim(&self, address: SocketAddr) -> Result<(), InstanceError> {
        let told = |error: io::Error| InstanceError::Told(error.to_string());
        self.ask(&Ask::Claim { address }).map(|_| ()).map_err(told)
    }

    pub(super) fn listen(&self, wanted: &Wanted) -> io::Result<Vec<OwnedFd>> {
        let mut owed = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        self.send(&Ask::Listen(*wanted), true)?;
        let mut sockets = Vec::new();
        loop {
            let (answer, received) = self.receive(&mut owed)?;
            sockets.extend(received);
            match answer {
                Answer::Sockets { left: 0 } => return Ok(sockets),
                Answer::Sockets { .. } => {}
                _ => return Err(unexpected()),
            }
        }
    }

    pub(super) fn release(&self, address: SocketAddr) {
        // The keeper is gone: so are its sockets.
        let _ = self.ask(&Ask::Release { address });
    }

    pub(super) fn release_all(&self) {
        let _ = self.ask(&Ask::ReleaseAll);
    }

    /// Opens a file that the configuration names.
    ///
    /// # Errors
    /// `PermissionDenied` where the configuration does not name it, or a link leads out of its
    /// directory; what the system says of it.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        self.ask_for_file(&Ask::Open { path: path.to_owned() })
    }

    /// Looks at a file or directory that the configuration names.
    ///
    /// # Errors
    /// As [`Self::open`]; `NotFound` where nothing is.
    pub(crate) fn look(&self, path: &Path) -> io::Result<Kind> {
        match self.ask(&Ask::Look { path: path.to_owned() })?.0 {
            Answer::Found { kind } => Ok(kind),
            _ => Err(unexpected()),
        }
    }

    /// Lists a directory of certificates that the configuration names.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        let file = self.ask_for_file(&Ask::List { directory: directory.to_owned() })?;
        let mut text = Vec::new();
        file.take(LIST_MAX).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn ask_for_file(&self, question: &Ask) -> io::Result<File> {
        let (Answer::File, received) = self.ask(question)? else { return Err(unexpected()) };
        received.into_iter().next().map(File::from).ok_or_else(unexpected)
    }

    /// The configuration that was in force when the engine before this one ended.
    ///
    /// # Errors
    /// There was none.
    pub(crate) fn last_good(&self) -> io::Result<String> {
        self.ask_for_text(&Ask::LastGood)
    }

    /// The configuration that was in force before the last reload.
    ///
    /// # Errors
    /// There was none.
    pub(crate) fn before(&self) -> io::Result<String> {
        self.ask_for_text(&Ask::Before)
    }

    fn ask_for_text(&self, question: &Ask) -> io::Result<String> {
        let file = self.ask_for_file(question)?;
        let mut text = String::new();
        file.take(eclusa_config::FILE_MAX as u64).read_to_string(&mut text)?;
        Ok(text)
    }

    /// The configuration whose text has this digest is in force for good.
    pub(crate) fn in_force(&self, digest: u64) {
        self.tell_in_force(digest, How::File);
    }

    /// It is in force until somebody confirms it, with [`Self::in_force`]: an engine that crashes before
    /// takes it along.
    pub(crate) fn on_trial(&self, digest: u64) {
        self.tell_in_force(digest, How::Trial);
    }

    /// It is in force again, as it was before; the file is not, until somebody reloads it.
    pub(crate) fn gone_back(&self, digest: u64) {
        self.tell_in_force(digest, How::Back);
    }

    fn tell_in_force(&self, digest: u64, how: How) {
        // A keeper that is gone starts no other engine.
        let _ = self.ask(&Ask::InForce { digest, how });
    }

    /// Connections are taken. Ends a reload, too, done or refused.
    pub fn ready(&self) {
        self.tell(&Ask::Ready);
    }

    /// A reload has begun.
    pub fn reloading(&self) {
        self.tell(&Ask::Reloading);
    }

    /// The engine is stopping, and will have ended within this time.
    pub fn stopping(&self, within: Duration) {
        let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        self.tell(&Ask::Stopping { within });
    }

    /// One line for people, which `systemctl status` shows; cut off at 1024 bytes.
    pub fn status(&self, text: &str) {
        let mut end = text.len().min(STATUS_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default().to_owned();
        self.tell(&Ask::Status { text });
    }

    /// The engine is alive: every worker is.
    pub fn heartbeat(&self) {
        self.tell(&Ask::Heartbeat);
    }

    /// What is lost because the keeper does not read is told again, or has no consequence.
    fn tell(&self, what: &Ask) {
        let _ = self.send(what, matches!(what, Ask::Ready | Ask::Reloading | Ask::Stopping { .. }));
    }

    fn ask(&self, question: &Ask) -> io::Result<(Answer, Vec<OwnedFd>)> {
        let mut owed = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        self.send(question, true)?;
        self.receive(&mut owed)
    }

    fn send(&self, message: &Ask, wait: bool) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        channel::send(self.channel.as_fd(), &bytes, &[], wait)
    }

    /// The next message of the keeper; where none comes in time, it is owed.
    fn message(&self, owed: &mut u32) -> io::Result<(Answer, Vec<OwnedFd>)> {
        let received = channel::receive(self.channel.as_fd(), MESSAGE_MAX, true);
        let received = received.inspect_err(|_| *owed = owed.saturating_add(1))?;
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the keeper is gone");
        let Received { bytes, descriptors } = received.ok_or_else(gone)?;
        Ok((serde_json::from_slice(&bytes)?, descriptors))
    }

    /// The answer to the question that was asked last: those that nobody waits for any more come before.
    fn receive(&self, owed: &mut u32) -> io::Result<(Answer, Vec<OwnedFd>)> {
        while *owed > 0 {
            let (late, _) = self.message(owed)?;
            if !matches!(late, Answer::Sockets { left: 1.. }) {
                *owed -= 1;
            }
        }
        let (answer, descriptors) = self.message(owed)?;
        match answer {
            Answer::Refused { message } => {
                Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
            }
            // The error itself, so that it is told and judged as if it had happened here.
            Answer::Failed { errno, message } => match io::Error::from_raw_os_error(errno) {
                known if errno != 0 => Err(known),
                _ => Err(io::Error::other(message)),
            },
            answer => Ok((answer, descriptors)),
        }
    }
}

fn unexpected() -> io::Error {
    io::Error::other("the keeper gave an answer to another question")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A keeper that is starved answers late: the answer must not be taken for that to the next question.
    #[test]
    fn a_late_answer_is_not_taken_for_the_next() {
        let (channel, keeper) = channel::pair().unwrap();
        channel::set_patience(channel.as_fd(), Duration::from_millis(20)).unwrap();
        let client = Client {
            channel,
            asking: Mutex::default(),
            gone: AtomicBool::new(false),
            stores: false,
            heartbeat: None,
            crashes: 0,
            not_the_file: None,
        };
        let say = |answer: &Answer| {
            let bytes = serde_json::to_vec(answer).unwrap();
            channel::send(keeper.as_fd(), &bytes, &[], true).unwrap();
        };
        let ask = || client.ask(&Ask::Look { path: PathBuf::from("/a") }).map(|(answer, _)| answer);
        assert!(ask().is_err() && ask().is_err(), "it says nothing");
        say(&Answer::Sockets { left: 1 });
        say(&Answer::Sockets { left: 0 });
        say(&Answer::Failed { errno: 11, message: String::new() });
        say(&Answer::Done);
        assert!(matches!(ask(), Ok(Answer::Done)));
        say(&Answer::File);
        assert!(matches!(ask(), Ok(Answer::File)), "nothing is owed any more");
    }
}
