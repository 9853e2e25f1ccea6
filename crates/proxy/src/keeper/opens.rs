//! Which files of the host an engine may have: those that the configuration names, and of its
//! certificates those that belong to them by their layout (`laid_out`): a key beside a chain, what
//! lies in a directory that is named. Links lead nowhere else.

use crate::found::{self, Entry, Kind};
use crate::laid_out::{archive_of, is_archived_as, keys_of, may_be_below};
use eclusa_config::plan::Plan;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The files that a plan names.
#[derive(Debug, Default)]
pub(super) struct Opens {
    files: BTreeSet<PathBuf>,
    /// Of these, the certificates of listeners: files, or directories.
    certificates: BTreeSet<PathBuf>,
}

/// How an engine comes to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The configuration names it.
    Named,
    /// It is laid out beside or below what the configuration names; links stay in this directory, but
    /// for certbot's.
    LaidOut(PathBuf),
}

/// Why a file is not opened.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The configuration does not name it.
    NotListed(PathBuf, PathBuf),
    /// A link leads out of its directory.
    LeadsAway { path: PathBuf, target: PathBuf, tree: PathBuf },
    /// It is a directory, a device, a socket.
    NoFile(PathBuf),
    /// The system says so.
    System(io::Error),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotListed(path, file) => {
                write!(f, "{} is not named in {}", path.display(), file.display())
            }
            Self::LeadsAway { path, target, tree } => write!(
                f,
                "{} leads to {}, which is not below {}: name the file itself",
                path.display(),
                target.display(),
                tree.display()
            ),
            Self::NoFile(path) => write!(f, "{} is no regular file", path.display()),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl Opens {
    pub(super) fn of(plan: &Plan) -> Self {
        let files = plan.files().map(Path::to_owned).collect();
        let certificates = plan.certificates().map(Path::to_owned).collect();
        Self { files, certificates }
    }

    /// How an engine may come to `path`; `None`: not at all.
    pub(super) fn way(&self, path: &Path) -> Option<Way> {
        if self.files.contains(path) {
            return Some(Way::Named);
        }
        let directory = path.parent()?;
        let below = [Some(directory), directory.parent()].into_iter().flatten();
        let mut below = below.filter(|named| self.certificates.contains(*named));
        if let Some(named) = below.find(|named| may_be_below(named, path)) {
            return Some(Way::LaidOut(named.to_owned()));
        }
        let beside =
            self.certificates.iter().any(|chain| keys_of(chain).iter().any(|key| key == path));
        beside.then(|| Way::LaidOut(directory.to_owned()))
    }

    /// Whether `path` is named as certificates, and so may be listed.
    pub(super) fn has_certificates(&self, path: &Path) -> bool {
        self.certificates.contains(path)
    }
}

/// Opens a file, by a way that [`Opens::way`] has found.
pub(super) fn open(path: &Path, way: &Way) -> Result<File, Refusal> {
    let (tree, target) = match way {
        Way::Named => {
            let tree = tree_of(path).ok_or_else(|| Refusal::NoFile(path.to_owned()))?;
            (fs::canonicalize(tree)?, fs::canonicalize(path)?)
        }
        Way::LaidOut(directory) => laid_out(path, directory)?,
    };
    open_below(path, &tree, &target)
}

/// What is at a path, wherever links lead: no more than that is told of it.
pub(super) fn look(path: &Path) -> Result<Kind, Refusal> {
    Ok(found::look(path)?)
}

/// What a directory of certificates holds.
pub(super) fn list(directory: &Path) -> Result<Vec<Entry>, Refusal> {
    Ok(found::list(directory)?)
}

/// The directory that links of a file that the configuration names may not lead out of: that of the
/// file; in certbot's layout the one above `live`, for `live/NAME/privkey.pem` leads to
/// `archive/NAME/privkey1.pem`.
fn tree_of(path: &Path) -> Option<&Path> {
    let directory = path.parent()?;
    let above = directory.parent();
    if above.and_then(Path::file_name).is_some_and(|name| name == "live") {
        return above?.parent();
    }
    Some(directory)
}

/// Where the links of a file lead that is found by its layout, and the directory that they stay in:
/// `directory`, or the archive that certbot has for it, where it must be the file's own.
fn laid_out(path: &Path, directory: &Path) -> Result<(PathBuf, PathBuf), Refusal> {
    let tree = fs::canonicalize(directory)?;
    let target = fs::canonicalize(path)?;
    if target.starts_with(&tree) {
        return Ok((tree, target));
    }
    let own = path.parent().map(fs::canonicalize).transpose()?;
    let archive = own.filter(|own| own.starts_with(&tree)).and_then(|own| archive_of(&own));
    match archive {
        Some(archive)
            if target.parent() == Some(archive.as_path()) && is_archived_as(path, &target) =>
        {
            Ok((archive, target))
        }
        _ => Err(Refusal::LeadsAway { path: path.to_owned(), target, tree }),
    }
}

/// Opens `target`, where the links of `path` lead, below `tree`. Where they lead was found out before,
/// and that place is opened without following any more links, so that nobody can change them in
/// between.
fn open_below(path: &Path, tree: &Path, target: &Path) -> Result<File, Refusal> {
    let Ok(below) = target.strip_prefix(tree) else {
        let (path, target, tree) = (path.to_owned(), target.to_owned(), tree.to_owned());
        return Err(Refusal::LeadsAway { path, target, tree });
    };
    let directory = File::open(tree)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    // Not blocking: the file could have become a pipe that nobody writes to.
    let how = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = openat2(&directory, below, how, Mode::empty(), resolve);
    let file = File::from(opened.map_err(io::Error::from)?);
    if !file.metadata()?.is_file() {
        return Err(Refusal::NoFile(path.to_owned()));
    }
    Ok(file)
}
