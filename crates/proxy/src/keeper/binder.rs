//! Who binds: takes the lock of an address, looks for foreign listeners, opens the sockets. The
//! keeper does it, or the engine where there is no keeper.

use super::instance::{self, InstanceError, InstanceLock};
use super::sockets::Wanted;
use eclusa_sys::socket::listen;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// The locks of all addresses that this process listens on.
#[derive(Debug)]
pub(super) struct Binder {
    program: &'static str,
    /// The plan's `run_directory`.
    wanted: Option<PathBuf>,
    /// The one in use; known with the first lock.
    directory: Option<PathBuf>,
    locks: HashMap<SocketAddr, InstanceLock>,
}

impl Binder {
    /// For a program; locks go to `run_directory`, or where they go by default.
    pub(super) fn new(program: &'static str, run_directory: Option<PathBuf>) -> Self {
        Self { program, wanted: run_directory, directory: None, locks: HashMap::new() }
    }

    /// Takes the lock of an address; where no socket of ours is on it yet, makes sure that none of
    /// somebody else is.
    ///
    /// Returns whether the lock is new.
    pub(super) fn claim(&mut self, address: SocketAddr, ours: bool) -> Result<bool, InstanceError> {
        if self.locks.contains_key(&address) {
            return Ok(false);
        }
        let directory = match &self.directory {
            Some(directory) => directory,
            None => self.directory.insert(instance::run_directory(self.wanted.as_deref())?),
        };
        let lock = instance::lock(directory, address, self.program)?;
        if !ours {
            instance::look(address)?;
        }
        self.locks.insert(address, lock);
        Ok(true)
    }

    /// Opens `count` more sockets on an address that was claimed; all or none.
    pub(super) fn open(&self, wanted: &Wanted, count: usize) -> io::Result<Vec<OwnedFd>> {
        let open = |_| listen(wanted.address, wanted.backlog, wanted.keepalive());
        (0..count).map(open).collect()
    }

    /// Gives up the lock of an address.
    pub(super) fn release(&mut self, address: SocketAddr) {
        self.locks.remove(&address);
    }

    /// Gives up all locks.
    pub(super) fn release_all(&mut self) {
        self.locks.clear();
    }
}
