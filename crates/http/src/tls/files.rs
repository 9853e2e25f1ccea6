//! How files are read. An unprivileged engine may not open what only root may read: its keeper does
//! that for it. So nothing here opens a file by itself; it is all done through [`Files`].

use eclusa_proxy::found;
pub use eclusa_proxy::found::{Entry, Kind, Stamp};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// A file of certificates or keys is no longer than this, in bytes.
pub const FILE_MAX: u64 = 1 << 20;

/// Reads files and directories. Calls may block: workers do not make them.
pub trait Files: Send + Sync {
    /// All bytes of a file.
    ///
    /// # Errors
    /// What the system says; `InvalidData` for more than [`FILE_MAX`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// What a directory holds, and what the directories in it hold, in any order. What is hidden is
    /// left out, and so is what is neither a file nor a directory.
    ///
    /// # Errors
    /// What the system says; `InvalidData` for more than [`found::ENTRIES_MAX`] entries.
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
        found::list(directory)
    }

    fn look(&self, path: &Path) -> io::Result<Kind> {
        found::look(path)
    }
}
