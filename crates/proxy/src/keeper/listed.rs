//! What the configuration file names, and so what an engine may have: addresses to listen on, and
//! files to read. An engine in the wrong hands gets no other port, and no other file.
//!
//! And the text that was in force last, for an engine that crashes while the file is broken. The engine
//! says which one that is; the text itself is what was read here, so that no engine can hand down one
//! of its own to the next.

use super::opens::{self, Opens, Refusal};
use crate::found::{Entry, Kind};
use eclusa_config::plan::{Plan, Program};
use eclusa_config::{Diagnostics, Mode};
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What tells one state of the file from another: device, inode, length, last change.
type Stamp = (u64, u64, u64, i64, i64);

/// What the configuration names.
#[derive(Debug)]
pub(super) struct Listed {
    program: Program,
    file: PathBuf,
    stamp: Option<Stamp>,
    /// The file as it was read last, and was right.
    now: Rc<Names>,
    /// As it was when an engine took it.
    in_force: Option<Rc<Names>>,
}

/// A text, and what it names.
#[derive(Debug)]
struct Names {
    text: String,
    digest: u64,
    /// Read from it when somebody asks: a large file takes a while, and a reload waits.
    named: OnceCell<Named>,
}

#[derive(Debug, Default)]
struct Named {
    addresses: BTreeSet<SocketAddr>,
    opens: Opens,
}

impl Names {
    /// The file, read and checked.
    fn read(program: Program, file: &Path) -> Result<(Self, Plan), Diagnostics> {
        let names = Self::of(eclusa_config::text_of(program, file)?);
        let plan = names.plan(program, file)?;
        let _ = names.named.set(Named::of(&plan));
        Ok((names, plan))
    }

    fn of(text: String) -> Self {
        Self { digest: eclusa_config::digest(&text), text, named: OnceCell::new() }
    }

    fn plan(&self, program: Program, file: &Path) -> Result<Plan, Diagnostics> {
        let name = file.display().to_string();
        Ok(eclusa_config::parse(program, &name, &self.text, Mode::Known)?.plan)
    }

    /// What it names: nothing, where it is wrong.
    fn named(&self, program: Program, file: &Path) -> &Named {
        let read = || self.plan(program, file).map(|plan| Named::of(&plan)).unwrap_or_default();
        self.named.get_or_init(read)
    }
}

impl Named {
    fn of(plan: &Plan) -> Self {
        Self { addresses: plan.addresses().collect(), opens: Opens::of(plan) }
    }
}

impl Listed {
    /// Reads the file; with the plan as it is without a look at the host.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn read(program: Program, file: &Path) -> Result<(Self, Plan), Diagnostics> {
        let stamp = stamp(file);
        let (names, plan) = Names::read(program, file)?;
        let (file, now) = (file.to_owned(), Rc::new(names));
        Ok((Self { program, file, stamp, now, in_force: None }, plan))
    }

    /// Reads the file again if it has changed. A file that is wrong changes nothing: no engine runs
    /// with it.
    fn refresh(&mut self) {
        let now = stamp(&self.file);
        if now == self.stamp || now.is_none() {
            return;
        }
        if let Ok((names, _)) = Names::read(self.program, &self.file) {
            self.now = Rc::new(names);
            self.stamp = now;
            if self.in_force.as_ref().is_some_and(|names| names.digest == self.now.digest) {
                self.in_force = Some(self.now.clone());
            }
        }
    }

    /// An engine has taken the text of this digest; says whether that is known here, as what the file
    /// says or as what was in force before.
    pub(super) fn confirm(&mut self, digest: u64) -> bool {
        if self.in_force.as_ref().is_some_and(|names| names.digest == digest) {
            return true;
        }
        if self.now.digest == digest {
            self.in_force = Some(self.now.clone());
            return true;
        }
        // An engine that runs with it has checked it.
        let read = eclusa_config::text_of(self.program, &self.file).map(Names::of);
        let Some(names) = read.ok().filter(|names| names.digest == digest) else { return false };
        self.in_force = Some(Rc::new(names));
        true
    }

    /// Whether the file says something else than what was in force last.
    pub(super) fn has_changed(&mut self) -> bool {
        self.refresh();
        self.in_force.as_ref().is_some_and(|names| names.digest != self.now.digest)
    }

    /// The text that was in force last.
    pub(super) fn in_force(&self) -> Option<&str> {
        self.in_force.as_ref().map(|names| &*names.text)
    }

    /// What the file names, and what is in force does.
    fn both(&mut self) -> impl Iterator<Item = &Named> {
        self.refresh();
        let all = [Some(&self.now), self.in_force.as_ref()].into_iter().flatten();
        let (program, file) = (self.program, &*self.file);
        all.map(move |names| names.named(program, file))
    }

    /// Whether the configuration listens on this address.
    pub(super) fn has_address(&mut self, address: SocketAddr) -> bool {
        self.both().any(|named| named.addresses.contains(&address))
    }

    /// Opens a file that the configuration names, or that belongs to what it names.
    ///
    /// # Errors
    /// [`Refusal`]
    pub(super) fn open(&mut self, path: &Path) -> Result<File, Refusal> {
        let way = self.both().find_map(|named| named.opens.way(path));
        match way {
            Some(way) => opens::open(path, &way),
            None => Err(self.not_listed(path)),
        }
    }

    /// Looks at what [`Self::open`] opens, or [`Self::list`] lists.
    ///
    /// # Errors
    /// [`Refusal`]
    pub(super) fn look(&mut self, path: &Path) -> Result<Kind, Refusal> {
        if self.both().any(|named| named.opens.way(path).is_some()) {
            return opens::look(path);
        }
        Err(self.not_listed(path))
    }

    /// Lists a directory of certificates that the configuration names.
    ///
    /// # Errors
    /// [`Refusal`]
    pub(super) fn list(&mut self, directory: &Path) -> Result<Vec<Entry>, Refusal> {
        if self.both().any(|named| named.opens.has_certificates(directory)) {
            return opens::list(directory);
        }
        Err(self.not_listed(directory))
    }

    fn not_listed(&self, path: &Path) -> Refusal {
        Refusal::NotListed(path.to_owned(), self.file.clone())
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(file).ok()?;
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    Some((metadata.dev(), metadata.ino(), metadata.len(), seconds, nanoseconds))
}

#[cfg(test)]
mod tests;
