//! Bulk data without touching it: pages that are sent by reference and bytes that the kernel
//! throws away.

use super::Interest;
use crate::failure::{Context, Outcome};
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

/// Bytes moved by one call at most.
pub const AT_ONCE: usize = 1 << 20;

/// What one call achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes went through.
    Moved(usize),
    /// Nothing can go through now.
    Blocked,
    /// The other side has ended its direction.
    Ended,
    /// The connection is broken.
    Broken(Errno),
}

fn progress(result: Result<usize, Errno>) -> Progress {
    match result {
        Ok(0) => Progress::Ended,
        Ok(moved) => Progress::Moved(moved),
        Err(Errno::AGAIN | Errno::INTR) => Progress::Blocked,
        Err(error) => Progress::Broken(error),
    }
}

/// Memory to send from: `sendfile` passes its pages on instead of copying them.
pub struct Blob(OwnedFd);

impl Blob {
    /// [`AT_ONCE`] bytes.
    ///
    /// # Errors
    /// There is no memory.
    pub fn new() -> Outcome<Self> {
        let file = rustix::fs::memfd_create("bench", rustix::fs::MemfdFlags::CLOEXEC)
            .context(|| "memfd".into())?;
        let bytes: Vec<u8> = (0..AT_ONCE).map(|i| (i % 251) as u8).collect();
        let mut written = 0;
        while written < bytes.len() {
            written += rustix::io::write(&file, &bytes[written..]).context(|| "memfd".into())?;
        }
        Ok(Self(file))
    }

    /// Sends at most `limit` bytes (and at most [`AT_ONCE`]) to a socket that does not block.
    #[must_use]
    pub fn send(&self, socket: impl AsFd, limit: usize) -> Progress {
        let mut offset = 0;
        progress(rustix::fs::sendfile(socket, &self.0, Some(&mut offset), limit.min(AT_ONCE)))
    }
}

/// Receives without copying.
pub struct Drain(Vec<u8>);

impl Drain {
    /// Throws away at most [`AT_ONCE`] bytes per call. The memory is never touched, so it costs
    /// none.
    #[must_use]
    pub fn new() -> Self {
        Self(vec![0; AT_ONCE])
    }

    /// Receives and throws away what is there.
    #[must_use]
    pub fn receive(&mut self, socket: impl AsFd) -> Progress {
        let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
        progress(recv(socket, &mut self.0[..], flags).map(|(_, length)| length))
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

/// What is left to exchange on a connection of the idle case, both ways at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    to_send: usize,
    to_receive: usize,
}

impl Exchange {
    /// `bytes` each way.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { to_send: bytes, to_receive: bytes }
    }

    /// Whether all has gone through.
    #[must_use]
    pub fn done(self) -> bool {
        self.to_send == 0 && self.to_receive == 0
    }

    /// Goes on until the socket blocks (it is watched edge-triggered) or all is done.
    ///
    /// # Errors
    /// What broke the connection, in words.
    pub fn go_on(
        &mut self,
        socket: &OwnedFd,
        blob: &Blob,
        drain: &mut Drain,
    ) -> Result<(), String> {
        while self.to_send > 0 {
            match blob.send(socket, self.to_send) {
                Progress::Moved(bytes) => self.to_send -= bytes,
                Progress::Blocked => break,
                Progress::Ended => return Err("sent nothing".into()),
                Progress::Broken(error) => return Err(format!("send: {error}")),
            }
        }
        while self.to_receive > 0 {
            match drain.receive(socket) {
                Progress::Moved(bytes) if bytes > self.to_receive => {
                    return Err(format!("{} bytes too many", bytes - self.to_receive));
                }
                Progress::Moved(bytes) => self.to_receive -= bytes,
                Progress::Blocked => break,
                Progress::Ended => return Err(format!("{} bytes missing", self.to_receive)),
                Progress::Broken(error) => return Err(format!("receive: {error}")),
            }
        }
        Ok(())
    }
}

/// Watches nothing of `socket` but its end: a sender that rests.
///
/// # Errors
/// The socket is not watched at all.
pub fn quiet(interest: &Interest, socket: &OwnedFd, token: u64) -> Outcome<()> {
    interest.change(socket, token, EventFlags::RDHUP)
}
