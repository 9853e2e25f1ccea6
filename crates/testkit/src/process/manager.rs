//! A stand-in for systemd, as far as a service talks to it: a real notification socket, a watchdog's
//! interval, and a store of descriptors that the next start gets (sd_notify(3), sd_listen_fds(3)).
//!
//! ```no_run
//! # use eclusa_testkit::process::{Manager, Runner};
//! # use std::time::Duration;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let manager = Manager::new()?;
//! let mut first = manager.runner(Runner::new("program")).start()?;
//! manager.wait_for(Duration::from_secs(5), "READY=1");
//! first.kill();
//! let second = manager.runner(Runner::new("program")).start()?;
//! # Ok(()) }
//! ```

use super::{Runner, Scratch};
use crate::wait::wait_until;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix,
    SocketFlags, SocketType, bind, recvmsg, socket_with, sockopt,
};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the receiver waits before it looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Its lines, `KEY=value`.
    pub lines: Vec<String>,
    /// The process that sent it.
    pub pid: u32,
    /// When.
    pub at: Instant,
}

#[derive(Debug, Default)]
struct Heard {
    notifications: Vec<Notification>,
    store: Vec<(String, Arc<OwnedFd>)>,
}

/// The stand-in; its store lasts as long as it does.
#[derive(Debug)]
pub struct Manager {
    heard: Arc<Mutex<Heard>>,
    ending: Arc<AtomicBool>,
    receiver: Option<JoinHandle<()>>,
    path: PathBuf,
    watchdog: Option<Duration>,
    _scratch: Scratch,
}

impl Manager {
    /// Opens the notification socket.
    ///
    /// # Errors
    /// The file system or the system has no room for it.
    pub fn new() -> io::Result<Self> {
        let scratch = Scratch::new("manager")?;
        let path = scratch.path().join("notify");
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrUnix::new(&path)?)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
        sockopt::set_socket_passcred(&socket, true)?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(LOOK_EVERY))?;
        let (heard, ending) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let (hearing, until) = (heard.clone(), ending.clone());
        let receive = move || {
            while !until.load(Ordering::Relaxed) {
                if let Some((notification, descriptors)) = receive(&socket) {
                    hear(&hearing, notification, descriptors);
                }
            }
        };
        let receiver = std::thread::Builder::new().name("manager".into()).spawn(receive)?;
        let receiver = Some(receiver);
        Ok(Self { heard, ending, receiver, path, watchdog: None, _scratch: scratch })
    }

    /// Wants to hear `WATCHDOG=1` within this time. (It does nothing when it does not: a test looks.)
    #[must_use]
    pub fn watchdog(mut self, interval: Duration) -> Self {
        self.watchdog = Some(interval);
        self
    }

    /// The service started under this manager: with what is in the store now.
    #[must_use]
    pub fn runner(&self, runner: Runner) -> Runner {
        let runner = runner.env("NOTIFY_SOCKET", &self.path);
        let runner = match self.watchdog {
            Some(interval) => runner.env("WATCHDOG_USEC", interval.as_micros().to_string()),
            None => runner,
        };
        runner.descriptors(self.locked().store.clone())
    }

    /// Everything heard so far.
    #[must_use]
    pub fn notifications(&self) -> Vec<Notification> {
        self.locked().notifications.clone()
    }

    /// Those that have a line which begins so.
    #[must_use]
    pub fn with(&self, beginning: &str) -> Vec<Notification> {
        let mut found = self.notifications();
        found.retain(|one| one.lines.iter().any(|line| line.starts_with(beginning)));
        found
    }

    /// Waits for a notification with a line that begins so; returns the first.
    ///
    /// # Panics
    /// There is none within `limit`: with all that there are.
    #[track_caller]
    pub fn wait_for(&self, limit: Duration, beginning: &str) -> Notification {
        let found = crate::wait::try_until(limit, beginning, || !self.with(beginning).is_empty());
        match (found, self.with(beginning).into_iter().next()) {
            (_, Some(notification)) => notification,
            (error, None) => panic!("{error:?}, only {:?}", self.notifications()),
        }
    }

    /// Names of the stored descriptors, in the order they came.
    #[must_use]
    pub fn stored(&self) -> Vec<String> {
        self.locked().store.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Waits until so many descriptors are stored.
    ///
    /// # Panics
    /// They are not within `limit`.
    #[track_caller]
    pub fn wait_stored(&self, limit: Duration, count: usize) {
        let what = format!("{count} stored descriptors");
        wait_until(limit, &what, || self.locked().store.len() == count);
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        // It looks twenty times a second.
        let _ = self.receiver.take().map(JoinHandle::join);
    }
}

fn receive(socket: &OwnedFd) -> Option<(Notification, Vec<OwnedFd>)> {
    let mut bytes = vec![0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253), ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags).ok()?;
    let (mut descriptors, mut pid) = (Vec::new(), 0);
    for message in control.drain() {
        match message {
            RecvAncillaryMessage::ScmRights(rights) => descriptors.extend(rights),
            RecvAncillaryMessage::ScmCredentials(sender) => {
                pid = u32::try_from(sender.pid.as_raw_nonzero().get()).unwrap_or(0);
            }
            _ => {}
        }
    }
    let text = String::from_utf8_lossy(bytes.get(..got.bytes)?).into_owned();
    let lines = text.lines().map(str::to_owned).collect();
    Some((Notification { lines, pid, at: Instant::now() }, descriptors))
}

fn hear(heard: &Mutex<Heard>, notification: Notification, descriptors: Vec<OwnedFd>) {
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    let value = |key: &str| notification.lines.iter().find_map(|line| line.strip_prefix(key));
    let name = value("FDNAME=").unwrap_or("stored").to_owned();
    if value("FDSTOREREMOVE=") == Some("1") {
        heard.store.retain(|(stored, _)| *stored != name);
    } else if value("FDSTORE=") == Some("1") {
        let stored = descriptors.into_iter().map(|one| (name.clone(), Arc::new(one)));
        heard.store.extend(stored);
    }
    heard.notifications.push(notification);
}
