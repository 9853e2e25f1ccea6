//! landlock(7): which files a process can open, whatever its user may.

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, Scope,
};
use std::io;
use std::path::PathBuf;

/// The newest set of rights that this code knows; of an older kernel's, those that it has.
const KNOWN: ABI = ABI::V6;

/// What may be opened; a directory stands for all below it. Paths that do not exist are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// For reading.
    pub read: Vec<PathBuf>,
    /// For reading and writing; in directories files can be made, renamed and removed.
    pub write: Vec<PathBuf>,
}

/// Restricts this thread, and all that it starts later, to these files. Descriptors that are open
/// already stay what they are. From ABI 6 on (Linux 6.12) it can also send signals and connect to
/// abstract sockets only among its own.
///
/// Returns the version of Landlock (its ABI) that is in force; `None`: this kernel has none, and
/// nothing holds.
///
/// # Errors
/// The kernel has Landlock and refuses a rule.
pub fn restrict_files(files: &Files) -> io::Result<Option<u32>> {
    let failed = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // No special files, nothing to execute.
    let write = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeSock
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer;
    let created = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(|rules| rules.scope(Scope::from_all(KNOWN)))
        .and_then(Ruleset::create)
        .map_err(|error| failed(&error))?;
    let rules = rules(&files.read, read).chain(rules(&files.write, write));
    let restricted = created
        .no_new_privs(true)
        .add_rules(rules.map(Ok::<_, landlock::RulesetError>))
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|error| failed(&error))?;
    Ok(match restricted.landlock {
        LandlockStatus::Available { effective_abi, .. } => Some(effective_abi as u32),
        _ => None,
    })
}

fn rules(
    paths: &[PathBuf],
    access: impl Into<landlock::BitFlags<AccessFs>>,
) -> impl Iterator<Item = PathBeneath<PathFd>> {
    let access = access.into();
    paths.iter().filter_map(move |path| {
        let descriptor = PathFd::new(path).ok()?;
        // A file has no rights of directories.
        let possible = if path.is_dir() { access } else { access & AccessFs::from_file(KNOWN) };
        Some(PathBeneath::new(descriptor, possible))
    })
}
