//! Directories for one run.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "eclusa-";

/// A directory below the system's temporary one, removed with all that is in it when dropped.
/// Others may pass through it and read, not write. The first one of a process takes away what
/// processes that were killed have left.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes a directory with `label` in its name.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(label: &str) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{PREFIX}{}-{number}-{label}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    let scratch = Self(path);
                    let passable = std::fs::Permissions::from_mode(0o755);
                    std::fs::set_permissions(scratch.path(), passable)?;
                    return Ok(scratch);
                }
                // Left by a process that had our id and was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it that everybody may read, and returns its path.
    ///
    /// # Errors
    /// What the file system said.
    pub fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
        Ok(path)
    }

    /// Makes a directory in it that belongs to `owner` (user and group id).
    ///
    /// # Errors
    /// It cannot be made, or not be given away (that takes root).
    pub fn directory(&self, name: &str, owner: Option<(u32, u32)>) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        std::fs::create_dir_all(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(&path, Some(user), Some(group))?;
        }
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is a few files below the temporary directory; a test must not fail for it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Removes the directories of processes that are gone.
pub(super) fn sweep() {
    let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let owner = entry.file_name().to_str().and_then(owner);
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Another user's cannot be removed, and another run may be at it as well.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that made the directory called `name`, if it is one of ours.
fn owner(name: &str) -> Option<u32> {
    let mut parts = name.strip_prefix(PREFIX)?.splitn(3, '-');
    let pid = parts.next()?.parse().ok()?;
    parts.next()?.parse::<u32>().ok()?;
    parts.next().map(|_| pid)
}
