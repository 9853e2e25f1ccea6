//! What is found at a path: how the state of a file is told from another, what a directory holds.
//! The engine looks so at what it may read, and the keeper, for the engine, at what only root may.

use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A directory of certificates, with those in it, has no more entries than this.
pub const ENTRIES_MAX: usize = 50_000;

/// What tells one state of a file from another: of the file itself, wherever links led.
///
/// The time is that of the last change of the inode (ctime), which nobody can set: a copy that
/// keeps its old modification time is noticed, and so is a `chmod` that makes a file readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
    /// Length in bytes.
    pub length: u64,
    /// Last change: seconds since 1970 and nanoseconds.
    pub changed: (i64, i64),
}

impl From<&fs::Metadata> for Stamp {
    fn from(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What is at a path, wherever links lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file.
    File(Stamp),
    /// A directory.
    Directory,
    /// A link that leads nowhere.
    Nowhere,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name, without the directory.
    pub name: OsString,
    /// What it is, wherever links lead.
    pub kind: Kind,
    /// What it holds, if it is a directory; directories in that are not looked into.
    pub inside: Vec<Entry>,
}

/// What is at `path`.
///
/// # Errors
/// What the system says; `NotFound` where nothing is. `InvalidInput` for what is neither a file nor
/// a directory.
pub fn look(path: &Path) -> io::Result<Kind> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Ok(Kind::Directory);
    }
    if !metadata.is_file() {
        let text = "it is neither a file nor a directory";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(Kind::File(Stamp::from(&metadata)))
}

/// What a directory holds, and what the directories in it hold, in any order. What is hidden (its
/// name begins with a dot) is left out, and so is what is neither a file nor a directory.
///
/// # Errors
/// What the system says; `InvalidData` for more than [`ENTRIES_MAX`].
pub fn list(directory: &Path) -> io::Result<Vec<Entry>> {
    let mut left = ENTRIES_MAX;
    level(directory, true, &mut left)
}

fn level(directory: &Path, deeper: bool, left: &mut usize) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        *left = left.checked_sub(1).ok_or_else(|| {
            let text = format!("it has more than {ENTRIES_MAX} entries");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        let path = directory.join(&name);
        let (mut kind, mut inside) = (Kind::Nowhere, Vec::new());
        match look(&path) {
            Ok(found) => kind = found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => continue,
            Err(error) => return Err(error),
        }
        if deeper && kind == Kind::Directory {
            match level(&path, false, left) {
                Ok(found) => inside = found,
                // Somebody has just removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => kind = Kind::Nowhere,
                Err(error) => {
                    let text = format!("{}: {error}", path.display());
                    return Err(io::Error::new(error.kind(), text));
                }
            }
        }
        entries.push(Entry { name, kind, inside });
    }
    Ok(entries)
}
