//! A descriptor in tokio's reactor that is only watched: tokio's own listener would register what it
//! accepts with the reactor of the thread that accepted, and a connection could not be handed over.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor for being readable, with the reactor of this thread.
///
/// # Errors
/// Whatever epoll_ctl(2) says.
pub fn watch_readable(descriptor: Rc<OwnedFd>) -> io::Result<AsyncFd<Rc<OwnedFd>>> {
    // SAFETY: an `OwnedFd` is open and stays the same descriptor for as long as it lives, and it
    // lives at least as long as the `AsyncFd`, which holds a share of it; nobody can take it out of
    // an `Rc` that others share.
    let watched = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    Ok(watched?)
}
