//! The file of what was ordered: one object of JSON, replaced as a whole.

use super::Override;
use eclusa_config::plan::Program;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The version of the file.
const VERSION: u64 = 1;
/// The longest file that is read, in bytes: 20,000 orders and more.
const FILE_MAX: u64 = 16 << 20;

/// Where the file is.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    path: PathBuf,
    program: Program,
}

/// What was found there.
pub(super) enum Read {
    Nothing,
    Found(Vec<Override>),
    /// A line for the log.
    Unusable(String),
}

#[derive(Serialize)]
struct Written<'a> {
    version: u64,
    program: &'static str,
    overrides: Vec<&'a Override>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "version")]
    _version: u64,
    program: String,
    overrides: Vec<Override>,
}

/// Read first: whatever else a file of another version has in it.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

impl Place {
    pub(super) fn new(directory: &Path, program: Program) -> Self {
        let path = directory.join(format!("{}.json", program.short_name()));
        Self { directory: directory.to_owned(), path, program }
    }

    pub(super) fn read(&self) -> Read {
        // Of a run that was killed while it wrote.
        let _ = fs::remove_file(self.beside("new"));
        let bytes = match self.bytes() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Read::Nothing,
            Err(error) => {
                let path = self.path.display();
                return Read::Unusable(format!(
                    "what was ordered before is not known: {path} cannot be read: {error}"
                ));
            }
        };
        match self.understand(&bytes) {
            Ok(orders) => Read::Found(orders),
            Err(problem) => Read::Unusable(self.put_aside(&problem)),
        }
    }

    fn bytes(&self) -> io::Result<Vec<u8>> {
        // Neither a link nor a pipe is followed or waited for: neither is ours.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(&self.path, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let mut bytes = Vec::new();
        (&mut file).take(FILE_MAX + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn understand(&self, bytes: &[u8]) -> Result<Vec<Override>, String> {
        if bytes.len() as u64 > FILE_MAX {
            return Err(format!("has more than {} MiB", FILE_MAX >> 20));
        }
        let Version { version } = serde_json::from_slice(bytes)
            .map_err(|error| format!("is not what this program writes ({error})"))?;
        if version != VERSION {
            return Err(format!("has version {version}, and this program writes {VERSION}"));
        }
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| format!("is not what this program writes ({error})"))?;
        if document.program != self.program.name() {
            return Err(format!("is not of {}", self.program.name()));
        }
        for order in &document.overrides {
            order.check().map_err(|error| format!("is not what this program writes ({error})"))?;
        }
        Ok(document.overrides)
    }

    fn put_aside(&self, problem: &str) -> String {
        let (path, bad) = (self.path.display(), self.beside("bad"));
        let what = format!("what was ordered before is ignored: {path} {problem}");
        // Serde's words may quote the file.
        let what: String = what.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        match fs::rename(&self.path, &bad) {
            Ok(()) => format!("{what}; it is kept as {}", bad.display()),
            Err(error) => format!("{what}; it cannot be put aside: {error}"),
        }
    }

    /// Replaces the file: a crash at any point leaves the old one or the new one.
    ///
    /// # Errors
    /// What could not be done, in words.
    pub(super) fn write<'a>(
        &self,
        orders: impl Iterator<Item = &'a Override>,
    ) -> Result<(), String> {
        let overrides: Vec<_> = orders.collect();
        if overrides.is_empty() && !self.path.exists() {
            return Ok(());
        }
        let document = Written { version: VERSION, program: self.program.name(), overrides };
        let mut bytes = serde_json::to_vec_pretty(&document).map_err(|error| error.to_string())?;
        bytes.push(b'\n');
        let new = self.beside("new");
        let replaced = self.replace(&new, &bytes);
        replaced.map_err(|error| {
            let _ = fs::remove_file(&new);
            format!("{} cannot be written: {error}", self.path.display())
        })
    }

    fn replace(&self, new: &Path, bytes: &[u8]) -> io::Result<()> {
        if !self.directory.is_dir() {
            DirBuilder::new().mode(0o750).create(&self.directory)?;
        }
        match fs::remove_file(new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(new, &self.path)?;
        File::open(&self.directory)?.sync_all()
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(ending);
        name.into()
    }
}
