//! How files are read. An unprivileged engine may not open what only root may read: its keeper does
//! that for it. So nothing here opens a file by itself; it is all done through [`Files`].

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file of certificates or keys is no longer than this, in bytes.
pub const FILE_MAX: u64 = 1 << 20;

/// A directory of certificates has no more entries than this.
pub const ENTRIES_MAX: usize = 10_000;

/// What tells one state of a file from another: of the file itself, wherever links led.
///
/// The time is that of the last change of the inode (ctime), which nobody can set: a copy that
/// keeps its old modification time is noticed, and so is a `chmod` that makes a file readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File(Stamp),
    /// A directory.
    Directory,
    /// A link that leads nowhere.
    Nowhere,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without the directory.
    pub name: OsString,
    /// What it is, wherever links lead.
    pub kind: Kind,
}

/// Reads files and directories. Calls may block: workers do not make them.
pub trait Files: Send + Sync {
    /// All bytes of a file.
    ///
    /// # Errors
    /// What the system says; `InvalidData` for more than [`FILE_MAX`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// What a directory holds, in any order; neither files nor directories are left out.
    ///
    /// # Errors
    /// What the system says; `InvalidData` for more than [`ENTRIES_MAX`].
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>>;

    /// What is at `path`.
    ///
    /// # Errors
    /// What the system says; `NotFound` where nothing is. `InvalidInput` for what is neither a file
    /// nor a directory.
    fn look(&self, path: &Path) -> io::Result<Kind>;
}

/// The files of the host, as this process may read them.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostFiles;

impl Files for HostFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than 1 MiB"));
        }
        Ok(bytes)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory)? {
            let name = entry?.file_name();
            let kind = match self.look(&directory.join(&name)) {
                Ok(kind) => kind,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Kind::Nowhere,
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => continue,
                Err(error) => return Err(error),
            };
            if entries.len() == ENTRIES_MAX {
                let text = format!("it has more than {ENTRIES_MAX} entries");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            entries.push(Entry { name, kind });
        }
        Ok(entries)
    }

    fn look(&self, path: &Path) -> io::Result<Kind> {
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
}
