//! The files that the configuration names: certificates, keys, tokens, lists. The engine may not be
//! allowed to open them, or to look at them; its keeper is.

use crate::found::{self, Entry, Kind};
use crate::keeper::Client;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The keeper of this process, if it has one.
static KEEPER: OnceLock<Arc<Client>> = OnceLock::new();

/// From now on the keeper is asked for what this process may not open. Once for each process.
pub(crate) fn ask(keeper: Arc<Client>) {
    // A process has one keeper.
    let _ = KEEPER.set(keeper);
}

/// Opens a file for reading; where this process may not, through the keeper.
///
/// # Errors
/// What the system says, or the keeper's reason.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    or_keeper(File::open(path), |keeper| keeper.open(path))
}

/// What is at a path, as [`open`] opens it.
///
/// # Errors
/// As [`open`]; `NotFound` where nothing is.
pub(crate) fn look(path: &Path) -> io::Result<Kind> {
    or_keeper(found::look(path), |keeper| keeper.look(path))
}

/// What a directory of certificates holds, and what the directories in it hold.
///
/// # Errors
/// As [`open`]; `InvalidData` for more than [`found::ENTRIES_MAX`] entries.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<Entry>> {
    or_keeper(found::list(directory), |keeper| keeper.list(directory))
}

fn or_keeper<T>(own: io::Result<T>, ask: impl FnOnce(&Client) -> io::Result<T>) -> io::Result<T> {
    match (own, KEEPER.get()) {
        (Err(error), Some(keeper)) if error.kind() == io::ErrorKind::PermissionDenied => {
            ask(keeper)
        }
        (own, _) => own,
    }
}

/// The text of a file, at most [`eclusa_config::FILE_MAX`] bytes of it.
///
/// # Errors
/// As [`open`]; `InvalidData` when it is not UTF-8.
pub(crate) fn read_to_string(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.take(eclusa_config::FILE_MAX as u64).read_to_string(&mut text)?;
    Ok(text)
}
