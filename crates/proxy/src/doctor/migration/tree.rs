//! Files below a root, read with bounds: regular ones alone, of each so much. Links are followed, and lead
//! nowhere but below the root.

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2, readlinkat};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// So much of a file is read, in bytes.
const FILE_MAX: usize = 256 << 10;

/// So many entries of a directory are looked at.
const ENTRIES_MAX: usize = 2_000;

/// A root, and what is below it.
pub(super) struct Tree {
    root: OwnedFd,
}

/// A regular file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// What stands in it; bytes that are no UTF-8 are replaced.
    pub(super) text: String,
    /// It goes on beyond what is read.
    pub(super) cut: bool,
    /// Somebody may run it.
    pub(super) runs: bool,
    /// Device and inode: the same file under another name.
    pub(super) id: (u64, u64),
}

/// What is at a path, wherever links lead.
enum At {
    File(OwnedFd, rustix::fs::Stat),
    Folder(OwnedFd),
    Else,
}

impl Tree {
    /// Opens the root.
    ///
    /// # Errors
    /// It is no directory that can be opened.
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        let how = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: rustix::fs::open(root, how, Mode::empty())? })
    }

    fn open(&self, path: &Path, how: OFlags) -> io::Result<OwnedFd> {
        // Opened as a path alone: nothing happens to a device or a pipe by that.
        let how = how | OFlags::PATH | OFlags::CLOEXEC;
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(&self.root, path, how, Mode::empty(), within)?)
    }

    fn at(&self, path: &Path) -> io::Result<At> {
        let opened = match self.open(path, OFlags::empty()) {
            Ok(opened) => opened,
            Err(error) if is_absent(&error) => return Ok(At::Else),
            Err(error) => return Err(error),
        };
        let found = fstat(&opened)?;
        Ok(match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => At::File(opened, found),
            FileType::Directory => At::Folder(opened),
            _ => At::Else,
        })
    }

    /// Reads a regular file; `None`: there is none. With `script` only what begins with `#!` is read.
    ///
    /// # Errors
    /// It may not be read by this user.
    pub(super) fn read(&self, path: &Path, script: bool) -> io::Result<Option<Text>> {
        let At::File(opened, found) = self.at(path)? else { return Ok(None) };
        let mut file = File::open(of(&opened))?;
        let mut bytes = vec![0; 2];
        let begun = read_up_to(&mut file, &mut bytes)?;
        bytes.truncate(begun);
        if script && bytes != b"#!" {
            return Ok(None);
        }
        file.take(FILE_MAX as u64).read_to_end(&mut bytes)?;
        let cut = bytes.len() > FILE_MAX;
        bytes.truncate(FILE_MAX);
        Ok(Some(Text {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            cut,
            runs: found.st_mode & 0o111 != 0,
            id: (found.st_dev, found.st_ino),
        }))
    }

    /// What a directory holds, in order, and whether it holds more; `None`: there is no such directory.
    ///
    /// # Errors
    /// It may not be read by this user.
    pub(super) fn names(&self, path: &Path) -> io::Result<Option<(Vec<OsString>, bool)>> {
        let At::Folder(opened) = self.at(path)? else { return Ok(None) };
        let mut entries = fs::read_dir(of(&opened))?;
        let names = entries.by_ref().take(ENTRIES_MAX).map(|entry| Ok(entry?.file_name()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(Some((names, entries.next().is_some())))
    }

    /// Whether a directory is there.
    pub(super) fn is_folder(&self, path: &Path) -> bool {
        matches!(self.at(path), Ok(At::Folder(_)))
    }

    /// Where a link leads, as it is written; `None`: it is none.
    pub(super) fn link(&self, path: &Path) -> Option<PathBuf> {
        let opened = self.open(path, OFlags::NOFOLLOW).ok()?;
        let target = readlinkat(&opened, "", Vec::new()).ok()?;
        Some(PathBuf::from(OsStr::from_bytes(target.as_bytes())))
    }

    /// The length of what is itself a regular file, not a link to one.
    pub(super) fn own_length(&self, path: &Path) -> Option<u64> {
        let found = fstat(self.open(path, OFlags::NOFOLLOW).ok()?).ok()?;
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        is_file.then(|| u64::try_from(found.st_size).unwrap_or(0))
    }
}

/// The way to open what was opened as a path alone.
fn of(opened: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", opened.as_raw_fd())
}

/// Nothing is there, or a link that leads nowhere or in a circle.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

fn read_up_to(file: &mut File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < bytes.len() {
        match file.read(&mut bytes[got..])? {
            0 => break,
            read => got += read,
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_testkit::process::Scratch;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_but_regular_files_below_the_root_is_read() {
        let scratch = Scratch::new("tree").unwrap();
        let root = scratch.path().join("root");
        fs::create_dir_all(root.join("etc/a")).unwrap();
        fs::write(root.join("etc/a/one"), "#!/bin/sh\nx\n").unwrap();
        fs::write(root.join("etc/two"), "2").unwrap();
        fs::write(scratch.path().join("secret"), "outside").unwrap();
        // A link as it stands on the host: from its root on.
        symlink("/etc/two", root.join("etc/a/link")).unwrap();
        symlink("../../../secret", root.join("etc/a/out")).unwrap();
        symlink("round", root.join("etc/a/round")).unwrap();
        symlink("/dev/null", root.join("etc/a/masked")).unwrap();
        let pipe = root.join("etc/a/pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::from_raw_mode(0o600)).unwrap();
        let tree = Tree::new(&root).unwrap();
        let read = |path: &str| tree.read(Path::new(path), false).unwrap().map(|it| it.text);
        assert_eq!(read("/etc/a/one").as_deref(), Some("#!/bin/sh\nx\n"));
        assert_eq!(read("/etc/a/link").as_deref(), Some("2"));
        for none in ["/etc/a/out", "/etc/a/round", "/etc/a/masked", "/etc/a/pipe", "/etc/a", "/x/y"]
        {
            assert_eq!(read(none), None, "{none}");
        }
        let (names, more) = tree.names(Path::new("/etc/a")).unwrap().unwrap();
        assert!(!more);
        assert_eq!(names, ["link", "masked", "one", "out", "pipe", "round"]);
        assert!(tree.names(Path::new("/etc/two")).unwrap().is_none());
        assert_eq!(tree.link(Path::new("/etc/a/masked")), Some("/dev/null".into()));
        assert_eq!(tree.link(Path::new("/etc/two")), None);
        assert_eq!(tree.own_length(Path::new("/etc/two")), Some(1));
        assert_eq!(tree.own_length(Path::new("/etc/a/link")), None);
        assert!(tree.read(Path::new("/etc/a/one"), true).unwrap().is_some());
        assert_eq!(tree.read(Path::new("/etc/two"), true).unwrap(), None);
    }

    #[test]
    fn of_a_long_file_the_beginning_is_read() {
        let scratch = Scratch::new("tree-long").unwrap();
        scratch.write("long", &"a\n".repeat(FILE_MAX)).unwrap();
        let tree = Tree::new(scratch.path()).unwrap();
        let read = tree.read(Path::new("/long"), false).unwrap().unwrap();
        assert_eq!((read.text.len(), read.cut), (FILE_MAX, true));
    }
}
