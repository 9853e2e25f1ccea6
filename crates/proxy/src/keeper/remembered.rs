//! What a restart of the service has to know: that the file says what nobody has confirmed, or what somebody
//! has gone back from, and what was in force before it. It lies in memory, sealed, in the manager's store: no
//! engine can write there, and a start of the host begins with the file.

use super::Keeper;
use super::tell::Line;
use eclusa_sys::memory;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;

/// What the manager knows it by.
const NAME: &str = "unconfirmed";
/// The version of what is written.
const VERSION: u32 = 1;
/// More than a configuration file may have.
const LONGEST: u64 = 64 << 20;

/// That the file is not to be taken, and what is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) version: u32,
    /// The digest of the text that is not to be taken.
    pub(super) rejected: u64,
    /// It was still to be confirmed.
    pub(super) on_trial: bool,
    /// What was in force before.
    pub(super) text: String,
}

impl Remembered {
    pub(super) fn new(rejected: u64, on_trial: bool, text: &str) -> Self {
        Self { version: VERSION, rejected, on_trial, text: text.to_owned() }
    }

    fn seal(&self) -> io::Result<OwnedFd> {
        let text = serde_json::to_vec(self).map_err(io::Error::from)?;
        memory::sealed(NAME, &text).map(OwnedFd::from)
    }

    fn read(descriptor: OwnedFd) -> Option<Self> {
        let mut file = File::from(descriptor);
        // Whoever has read it before has moved on in it.
        file.rewind().ok()?;
        let mut text = Vec::new();
        file.take(LONGEST).read_to_end(&mut text).ok()?;
        let read: Self = serde_json::from_slice(&text).ok()?;
        (read.version == VERSION).then_some(read)
    }
}

/// Takes it out of what the manager has kept; says whether anything of the kind was there.
pub(super) fn take(stored: &mut Vec<(String, OwnedFd)>) -> (Option<Remembered>, bool) {
    let (own, others): (Vec<_>, Vec<_>) = stored.drain(..).partition(|(name, _)| name == NAME);
    *stored = others;
    let was_there = !own.is_empty();
    // The last that was stored.
    (own.into_iter().last().and_then(|(_, descriptor)| Remembered::read(descriptor)), was_there)
}

impl Keeper {
    /// Goes on with what was in force before the last keeper ended, where the file still says what is not
    /// to be taken.
    pub(super) fn recall(&mut self, (remembered, was_there): (Option<Remembered>, bool)) {
        let Some(remembered) = remembered.filter(|it| self.listed.recall(it)) else {
            if was_there {
                self.systemd.forget(NAME);
            }
            return;
        };
        (self.remembered, self.recalled) = (Some(remembered), true);
        let message = "the file says what nobody has confirmed, or what somebody has gone back from: what was \
                       in force before goes on; `reload` takes the file";
        self.tell(Line::new("recalled", message));
    }

    /// Has the manager keep what the next start has to know, or forget it.
    pub(super) fn remember(&mut self) {
        let wanted = self.listed.to_remember();
        if wanted == self.remembered {
            return;
        }
        self.systemd.forget(NAME);
        if let Some(wanted) = &wanted {
            match wanted.seal() {
                Ok(descriptor) => self.systemd.store(NAME, &descriptor),
                Err(error) => {
                    let message = format!("a restart will take the file as it is: {error}");
                    self.tell(Line::new("warning", message));
                }
            }
        }
        self.remembered = wanted;
    }

    /// No engine can start with what was in force before: rather the file than nothing.
    pub(super) fn give_up_recalled(&mut self) {
        self.listed.forget_recalled();
        self.systemd.forget(NAME);
        (self.remembered, self.recalled) = (None, false);
        let message = "no engine starts with what was in force before: the file is taken, which nobody has \
                       confirmed";
        self.tell(Line::new("warning", message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_read_again_and_again() {
        let wanted = Remembered::new(7, true, "masters = []\n");
        let descriptor = wanted.seal().unwrap();
        for _ in 0..2 {
            let again = descriptor.try_clone().unwrap();
            assert_eq!(Remembered::read(again), Some(wanted.clone()));
        }
        let mut stored =
            vec![("a".to_owned(), wanted.seal().unwrap()), (NAME.to_owned(), descriptor)];
        assert_eq!(take(&mut stored), (Some(wanted), true));
        assert_eq!(stored.len(), 1);
        assert_eq!(take(&mut stored), (None, false));
        let other = memory::sealed(NAME, b"{\"version\":2}").unwrap();
        let mut stored = vec![(NAME.to_owned(), OwnedFd::from(other))];
        assert_eq!(take(&mut stored), (None, true));
    }
}
