//! What passes between a service and systemd: notifications, some with descriptors
//! (sd_notify(3)), and the descriptors that a service is started with (sd_listen_fds(3)).

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, sendmsg_addr, socket_with, sockopt,
};
use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The first descriptor that systemd passes (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;
/// How long a notification waits for a manager that does not read.
const PATIENCE: Duration = Duration::from_secs(1);

/// The way to the manager's notification socket.
#[derive(Debug)]
pub struct Notifier {
    socket: OwnedFd,
    manager: SocketAddrUnix,
}

impl Notifier {
    /// For the socket that `$NOTIFY_SOCKET` names: a path, or `@` and an abstract name.
    ///
    /// # Errors
    /// The name is none of a socket, or there is no descriptor left.
    pub fn new(name: &OsStr) -> io::Result<Self> {
        let manager = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddrUnix::new_abstract_name(name)?,
            None => SocketAddrUnix::new(name)?,
        };
        let kind = SocketType::DGRAM;
        let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(PATIENCE))?;
        Ok(Self { socket, manager })
    }

    /// Sends lines of `KEY=value`, and a descriptor where they want one.
    ///
    /// # Errors
    /// The manager is gone, or has not read for a second.
    pub fn send(&self, lines: &str, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors: Vec<_> = descriptor.into_iter().collect();
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let lines = [IoSlice::new(lines.as_bytes())];
        sendmsg_addr(&self.socket, &self.manager, &lines, &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// Takes the `count` descriptors that this process was started with, from 3 on, and has them closed
/// on exec. Once for each process: a second call gets none. Those that are not open are left out,
/// so the result has as many items as were asked for, some of them `None`.
#[must_use]
pub fn take_descriptors(count: usize) -> Vec<Option<OwnedFd>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    let count = RawFd::try_from(count).unwrap_or(0);
    (FIRST..FIRST.saturating_add(count)).map(take).collect()
}

fn take(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl(2) takes any number; F_GETFD only asks whether a descriptor is open.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: it is open, and whoever started this process gave it to us under this number
    // (`LISTEN_PID` says that it is us who are meant); nothing else in this process owns it, for
    // descriptors that are opened here get other numbers, and `take_descriptors` gives each away
    // once.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    // Cannot fail on an open descriptor.
    let _ = fcntl_setfd(&descriptor, FdFlags::CLOEXEC);
    Some(descriptor)
}
