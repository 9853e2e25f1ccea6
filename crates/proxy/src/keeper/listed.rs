//! What the configuration file names, and so what an engine may have: addresses to listen on, and
//! files to read. An engine in the wrong hands gets no other port, and no other file.
//!
//! And the text that was in force last, for an engine that crashes while the file is broken. The engine
//! says which one that is; the text itself is what was read here, so that no engine can hand down one
//! of its own to the next.

use super::message::NotTheFile;
use super::opens::{self, Opens, Refusal};
use super::remembered::Remembered;
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
    /// As it was when an engine took it for good.
    in_force: Option<Rc<Names>>,
    /// What was in force for good before that: somebody may want it back.
    before: Option<Rc<Names>>,
    /// An engine is about to go back to that, and may have what it names.
    going_back: bool,
    /// What an engine runs with until somebody confirms it, where it is known here.
    trial: Option<Rc<Names>>,
    on_trial: bool,
    /// An engine has gone back: the next one takes what is in force, and not the file.
    gone_back: bool,
    /// The text that is on trial, or that was gone back from.
    rejected: Option<u64>,
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
        let (in_force, before, trial) = (None, None, None);
        let (going_back, on_trial, gone_back) = (false, false, false);
        let listed = Self {
            program,
            file,
            stamp,
            now,
            in_force,
            before,
            going_back,
            trial,
            on_trial,
            gone_back,
            rejected: None,
        };
        Ok((listed, plan))
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

    /// An engine has taken the text of this digest for good; says whether that is known here, as what the
    /// file says or as what was in force before.
    pub(super) fn confirm(&mut self, digest: u64) -> bool {
        let found = self.find(digest);
        self.settle(false);
        self.rejected = None;
        let Some(names) = found else { return false };
        let other = |before: &Rc<Names>| before.digest != digest;
        if let Some(before) = self.in_force.replace(names).filter(other) {
            self.before = Some(before);
        }
        true
    }

    /// An engine runs with the text of this digest until somebody confirms it; says whether that is known
    /// here.
    pub(super) fn on_trial(&mut self, digest: u64) -> bool {
        self.trial = self.find(digest);
        (self.on_trial, self.rejected) = (true, Some(digest));
        self.trial.is_some()
    }

    /// An engine has gone back to the text of this digest; says whether that is known here.
    pub(super) fn gone_back(&mut self, digest: u64) -> bool {
        let found = self.find(digest);
        let known = found.is_some();
        let from = self.trial.as_ref().or(self.in_force.as_ref()).map(|names| names.digest);
        self.rejected = from.filter(|from| *from != digest).or(self.rejected);
        self.in_force = found.or_else(|| self.in_force.take());
        self.settle(true);
        // Once more would be the way forth again.
        self.before = None;
        known
    }

    /// Why an engine that starts now takes what is in force, and not the file. What was on trial with
    /// the one before is so no more: it may have been what ended it.
    pub(super) fn lapse(&mut self) -> Option<NotTheFile> {
        let why = match (self.on_trial, self.gone_back) {
            (true, _) => Some(NotTheFile::Unconfirmed),
            (false, true) => Some(NotTheFile::GoneBack),
            (false, false) => None,
        };
        self.settle(why.is_some());
        why
    }

    /// What a start of the service has to know beside the file.
    pub(super) fn to_remember(&self) -> Option<Remembered> {
        let (rejected, names) = (self.rejected?, self.in_force.as_ref()?);
        (names.digest != rejected).then(|| Remembered::new(rejected, self.on_trial, &names.text))
    }

    /// Goes on with what was in force before this keeper began, where the file says what is not to be
    /// taken; says whether it is so.
    pub(super) fn recall(&mut self, remembered: &Remembered) -> bool {
        let Remembered { rejected, on_trial, text, .. } = remembered;
        let names = Names::of(text.clone());
        let is_it = self.now.digest == *rejected && names.digest != *rejected;
        if !is_it || names.plan(self.program, &self.file).is_err() {
            return false;
        }
        self.in_force = Some(Rc::new(names));
        (self.on_trial, self.gone_back, self.rejected) = (*on_trial, !*on_trial, Some(*rejected));
        true
    }

    /// What was so recalled cannot be.
    pub(super) fn forget_recalled(&mut self) {
        self.settle(false);
        (self.in_force, self.rejected) = (None, None);
    }

    /// Nothing is on trial any more.
    fn settle(&mut self, gone_back: bool) {
        (self.on_trial, self.gone_back, self.going_back) = (false, gone_back, false);
        self.trial = None;
    }

    /// The text of this digest, where it is known or the file has it now.
    fn find(&self, digest: u64) -> Option<Rc<Names>> {
        let known = self.known().find(|names| names.digest == digest).cloned();
        known.or_else(|| {
            // An engine that runs with it has checked it.
            let read = eclusa_config::text_of(self.program, &self.file).map(Names::of);
            read.ok().filter(|names| names.digest == digest).map(Rc::new)
        })
    }

    fn known(&self) -> impl Iterator<Item = &Rc<Names>> {
        self.named().chain(&self.before)
    }

    fn named(&self) -> impl Iterator<Item = &Rc<Names>> {
        let before = self.before.as_ref().filter(|_| self.going_back);
        let others = [self.in_force.as_ref(), self.trial.as_ref(), before];
        std::iter::once(&self.now).chain(others.into_iter().flatten())
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

    /// The text that was in force before the last reload, for an engine that is about to go back to it.
    pub(super) fn before(&mut self) -> Option<&str> {
        self.going_back = true;
        self.before.as_ref().map(|names| &*names.text)
    }

    /// What the file names, and what is in force does or on trial; and what an engine goes back to.
    fn all(&mut self) -> impl Iterator<Item = &Named> {
        self.refresh();
        let (program, file) = (self.program, &*self.file);
        self.named().map(move |names| names.named(program, file))
    }

    /// Whether the configuration listens on this address.
    pub(super) fn has_address(&mut self, address: SocketAddr) -> bool {
        self.all().any(|named| named.addresses.contains(&address))
    }

    /// Opens a file that the configuration names, or that belongs to what it names.
    ///
    /// # Errors
    /// [`Refusal`]
    pub(super) fn open(&mut self, path: &Path) -> Result<File, Refusal> {
        let way = self.all().find_map(|named| named.opens.way(path));
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
        if self.all().any(|named| named.opens.way(path).is_some()) {
            return opens::look(path);
        }
        Err(self.not_listed(path))
    }

    /// Lists a directory of certificates that the configuration names.
    ///
    /// # Errors
    /// [`Refusal`]
    pub(super) fn list(&mut self, directory: &Path) -> Result<Vec<Entry>, Refusal> {
        if self.all().any(|named| named.opens.has_certificates(directory)) {
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
