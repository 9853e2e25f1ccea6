//! Which files belong together: certbot's directories, HAProxy's, and plain pairs.
//!
//! A path of the configuration is one of these:
//!
//! | path | chain | key |
//! |---|---|---|
//! | a file `NAME.pem` | itself | in it, or `NAME.pem.key`, or `NAME.key` |
//! | a file `fullchain.pem`, `fullchain3.pem` | itself | `privkey.pem`, `privkey3.pem` beside it |
//! | a directory with `fullchain.pem` (certbot's `live/NAME`) | that | `privkey.pem` |
//! | a directory with `fullchain3.pem` (certbot's `archive/NAME`) | the highest number | of that number |
//! | any other directory | each file `*.pem`, `*.crt`, `*.cer`, `*.rsa`, `*.ecdsa` | as for a file |
//! | | each directory in it that is certbot's `live/NAME` | as above |
//!
//! So `/etc/letsencrypt/live` and HAProxy's `crt /etc/haproxy/certs` are taken as they are.

use super::files::{Entry, Files, Kind, Stamp};
use super::mistake::Mistake;
use eclusa_proxy::laid_out::{holds_certificate, keys_of};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A certificate to be read: where its chain is, and its key if that is not in the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) chain: PathBuf,
    /// The file beside the chain that holds its key; looked at when there is no key in the chain's.
    pub(super) key: Option<PathBuf>,
    /// Which path of the configuration has led here: its number.
    pub(super) root: usize,
}

/// What there is at the paths of the configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    pub(super) pairs: Vec<Pair>,
    /// Each file that matters, and what state it is in; `None`: it is not there.
    pub(super) stamps: BTreeMap<PathBuf, Option<Stamp>>,
    /// Paths that lead to nothing usable: the number of each, and what is wrong.
    pub(super) mistakes: Vec<(usize, Mistake)>,
}

/// Looks at all paths, in their order; what a directory holds comes in the order of the names.
pub(super) fn survey(files: &dyn Files, paths: &[PathBuf]) -> Survey {
    let mut survey = Survey::default();
    for (root, path) in paths.iter().enumerate() {
        let found = match files.look(path) {
            Ok(Kind::Directory) => survey.directory(files, root, path),
            Ok(Kind::File(stamp)) => survey.file(files, root, path, stamp),
            Ok(Kind::Nowhere) => Err(Mistake::unreadable(path, &io::ErrorKind::NotFound.into())),
            Err(error) => Err(Mistake::unreadable(path, &error)),
        };
        if let Err(mistake) = found {
            survey.stamps.entry(path.clone()).or_default();
            survey.mistakes.push((root, mistake));
        }
    }
    survey
}

impl Survey {
    /// A file that the configuration names.
    fn file(
        &mut self,
        files: &dyn Files,
        root: usize,
        path: &Path,
        stamp: Stamp,
    ) -> Result<(), Mistake> {
        let mut key = None;
        for candidate in keys_of(path) {
            match files.look(&candidate) {
                Ok(Kind::File(stamp)) => {
                    self.stamps.insert(candidate.clone(), Some(stamp));
                    key = Some(candidate);
                    break;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // A keeper opens what the configuration names and nothing else: then there is none.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(Mistake::unreadable(&candidate, &error)),
            }
        }
        self.stamps.insert(path.to_owned(), Some(stamp));
        self.pairs.push(Pair { chain: path.to_owned(), key, root });
        Ok(())
    }

    /// A directory that the configuration names.
    fn directory(
        &mut self,
        files: &dyn Files,
        root: usize,
        directory: &Path,
    ) -> Result<(), Mistake> {
        let listed = files.list(directory);
        let entries = sorted(listed.map_err(|error| Mistake::unreadable(directory, &error))?);
        if self.certbot(root, directory, &entries, true) {
            return Ok(());
        }
        let before = self.pairs.len();
        for entry in &entries {
            let path = directory.join(&entry.name);
            if entry.kind == Kind::Directory {
                self.certbot(root, &path, &entry.inside, false);
            } else if holds_certificate(&path) {
                let key = keys_of(&path).into_iter().find(|key| has(&entries, key));
                for path in [Some(&path), key.as_ref()].into_iter().flatten() {
                    self.note(path, &entries);
                }
                self.pairs.push(Pair { chain: path, key, root });
            }
        }
        if self.pairs.len() == before {
            return Err(Mistake::new(
                directory,
                "there is no certificate in this directory",
                "certificates are files *.pem or *.crt in it, or directories as certbot makes them \
                 (NAME/fullchain.pem and NAME/privkey.pem)",
            ));
        }
        Ok(())
    }

    /// Takes a directory as certbot makes them, if it is one. `archive`: also one whose files have
    /// numbers.
    fn certbot(&mut self, root: usize, directory: &Path, entries: &[Entry], archive: bool) -> bool {
        let number = |entry: &Entry| {
            let number = entry.name.to_str()?.strip_prefix("fullchain")?.strip_suffix(".pem")?;
            if number.is_empty() {
                return Some(u32::MAX); // The one that holds.
            }
            number.parse().ok().filter(|_| archive)
        };
        let newest = entries
            .iter()
            .filter_map(|entry| Some((number(entry)?, entry)))
            .max_by_key(|(number, _)| *number);
        let Some((_, entry)) = newest else { return false };
        let chain = directory.join(&entry.name);
        let key = keys_of(&chain).into_iter().next();
        for path in [Some(&chain), key.as_ref()].into_iter().flatten() {
            self.note(path, entries);
        }
        self.pairs.push(Pair { chain, key, root });
        true
    }

    fn note(&mut self, path: &Path, entries: &[Entry]) {
        let entry = entries.iter().find(|entry| Some(entry.name.as_os_str()) == path.file_name());
        let stamp = entry.and_then(|entry| match entry.kind {
            Kind::File(stamp) => Some(stamp),
            _ => None,
        });
        self.stamps.insert(path.to_owned(), stamp);
    }
}

fn has(entries: &[Entry], path: &Path) -> bool {
    entries.iter().any(|entry| {
        Some(entry.name.as_os_str()) == path.file_name() && entry.kind != Kind::Directory
    })
}

/// In the order of their names.
fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}
