//! A file that is appended to, and standard error.

use super::{Batch, Target};
use rustix::fs::fstat;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that is appended to.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    file: fs::File,
}

impl File {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: append_to(path)? })
    }
}

fn append_to(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().append(true).create(true).open(path)
}

impl Target for File {
    fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        write_rest(&mut self.file, batch)
    }

    fn reopen(&mut self) -> io::Result<bool> {
        self.file = append_to(&self.path)?;
        Ok(true)
    }
}

/// Standard error.
#[derive(Debug)]
pub(super) struct Stderr;

impl Target for Stderr {
    fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        write_rest(&mut io::stderr(), batch)
    }
}

/// Writes on where the last write broke off: after a full disk not even half a line is wrong.
pub(super) fn write_rest(out: &mut impl Write, batch: &mut Batch) -> io::Result<()> {
    while !batch.rest().is_empty() {
        match out.write(batch.rest()) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => batch.advance(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether what we write to standard error is read by the journal: `$JOURNAL_STREAM` names the
/// device and inode of that very stream (systemd.exec(5)).
pub(super) fn journal_reads_stderr() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Some((device, inode)) = stream.split_once(':') else { return false };
    fstat(io::stderr())
        .is_ok_and(|stat| device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino))
}
