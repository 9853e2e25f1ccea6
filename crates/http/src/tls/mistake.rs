//! What is wrong with a file that an operator gave us.

use std::fmt;
use std::path::{Path, PathBuf};

/// A mistake in a file: where, what, and how to mend it. Shown as one line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The file (or directory), as it was named.
    pub file: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Mistake {
    pub(super) fn new(file: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { file: file.to_owned(), what: what.into(), remedy: remedy.into() }
    }

    /// A file that cannot be read.
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let (what, remedy) = match error.kind() {
            ErrorKind::NotFound => {
                ("there is no such file", "mend the path, or put the file there")
            }
            ErrorKind::PermissionDenied => (
                "it may not be read",
                "let the service's user, or root where it has a keeper, read it",
            ),
            _ => {
                return Self::new(
                    file,
                    error.to_string(),
                    "it must be the file of a certificate, key or CA",
                );
            }
        };
        Self::new(file, what, remedy)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file.display(), self.what, self.remedy)
    }
}
