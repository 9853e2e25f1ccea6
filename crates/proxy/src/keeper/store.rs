//! The listening sockets that the keeper owns. They outlive every engine; with systemd's store they
//! outlive the keeper, too.

use super::binder::Binder;
use super::instance::InstanceError;
use super::message::SOCKETS_MAX;
use super::sockets::Wanted;
use super::systemd::Systemd;
use eclusa_sys::socket::{listening_address, renew};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

/// The sockets of one address.
#[derive(Debug, Default)]
struct Held {
    /// Each with the name that the manager knows it by.
    sockets: Vec<(String, OwnedFd)>,
    /// The engine that runs has them.
    given: bool,
}

/// All sockets, by address.
#[derive(Debug)]
pub(super) struct Store {
    binder: Binder,
    held: BTreeMap<SocketAddr, Held>,
}

impl Store {
    pub(super) fn new(binder: Binder) -> Self {
        Self { binder, held: BTreeMap::new() }
    }

    /// Takes over what the manager has kept from a former run; what is no listening socket is
    /// closed and forgotten.
    pub(super) fn take_over(&mut self, stored: Vec<(String, OwnedFd)>, systemd: &Systemd) {
        for (name, socket) in stored {
            match listening_address(socket.as_fd()) {
                Some(address) => {
                    self.held.entry(address).or_default().sockets.push((name, socket));
                }
                None => systemd.forget(&name),
            }
        }
    }

    /// How many sockets there are.
    pub(super) fn len(&self) -> usize {
        self.held.values().map(|held| held.sockets.len()).sum()
    }

    /// Makes sure that an address is ours.
    pub(super) fn claim(&mut self, address: SocketAddr) -> Result<(), InstanceError> {
        let ours = self.held.get(&address).is_some_and(|held| !held.sockets.is_empty());
        self.binder.claim(address, ours).map(|_| ())
    }

    /// The sockets of an address, bound as far as they are not there yet: at least as many as are
    /// wanted.
    ///
    /// # Errors
    /// What the system says of binding one; then there are as many as before.
    pub(super) fn give(&mut self, wanted: &Wanted, systemd: &Systemd) -> io::Result<Vec<&OwnedFd>> {
        let count = wanted.sockets.clamp(1, SOCKETS_MAX);
        let there = self.held.get(&wanted.address).map_or(&[][..], |held| &held.sockets);
        for (_, socket) in there {
            renew(socket.as_fd(), wanted.backlog, wanted.keepalive())?;
        }
        let missing = count.saturating_sub(there.len());
        let opened = self.binder.open(wanted, missing)?;
        let held = self.held.entry(wanted.address).or_default();
        for socket in opened {
            let name = free_name(wanted.address, &held.sockets);
            systemd.store(&name, &socket);
            held.sockets.push((name, socket));
        }
        held.given = true;
        Ok(held.sockets.iter().map(|(_, socket)| socket).collect())
    }

    /// The engine no longer listens on an address. Sockets that it never had are left: it only
    /// failed to get them.
    pub(super) fn release(&mut self, address: SocketAddr, systemd: &Systemd) {
        let kept = self.held.get(&address).is_some_and(|held| !held.given);
        if !kept {
            self.drop_sockets(address, systemd);
        }
        self.binder.release(address);
    }

    /// The engine listens nowhere any more.
    pub(super) fn release_all(&mut self, systemd: &Systemd) {
        for address in self.held.keys().copied().collect::<Vec<_>>() {
            self.drop_sockets(address, systemd);
        }
        self.binder.release_all();
    }

    /// The engine has ended: it has no sockets any more.
    pub(super) fn take_back(&mut self) {
        for held in self.held.values_mut() {
            held.given = false;
        }
    }

    /// The engine has all that it wants: the others go. Returns their addresses.
    pub(super) fn drop_unwanted(&mut self, systemd: &Systemd) -> Vec<SocketAddr> {
        let unwanted = self.held.iter().filter(|(_, held)| !held.given);
        let unwanted: Vec<_> = unwanted.map(|(address, _)| *address).collect();
        for address in &unwanted {
            self.drop_sockets(*address, systemd);
            self.binder.release(*address);
        }
        unwanted
    }

    fn drop_sockets(&mut self, address: SocketAddr, systemd: &Systemd) {
        for (name, _) in self.held.remove(&address).unwrap_or_default().sockets {
            systemd.forget(&name);
        }
    }
}

/// A name that no other socket of the address has. Colons separate names in `LISTEN_FDNAMES`.
fn free_name(address: SocketAddr, sockets: &[(String, OwnedFd)]) -> String {
    let address = address.to_string().replace(':', "_");
    let name = |index: usize| format!("{address}-{index}");
    let is_free = |wanted: &String| !sockets.iter().any(|(taken, _)| taken == wanted);
    // One of the first n + 1 names is free among n.
    (0..=sockets.len()).map(name).find(is_free).unwrap_or_else(|| name(sockets.len()))
}
