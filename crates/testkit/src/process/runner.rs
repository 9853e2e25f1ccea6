//! From a binary and its unit to a running process.

use super::unit::{Unit, UnitError};
use super::{Running, Scratch, spawner};
use crate::netns::Host;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::geteuid;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The path that systemd gives to services.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/// Descriptors on their way to a program have numbers from this on.
const PASSED_FROM: RawFd = 400;

/// Why a program was not started.
#[derive(Debug)]
pub enum StartError {
    /// The unit cannot be followed.
    Unit(UnitError),
    /// A part of the preparation failed.
    Io(String, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit(error) => error.fmt(f),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<UnitError> for StartError {
    fn from(error: UnitError) -> Self {
        Self::Unit(error)
    }
}

/// A program about to be started.
#[derive(Clone, Debug)]
pub struct Runner {
    binary: PathBuf,
    unit: Option<Unit>,
    host: Option<Host>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    run_directory: Option<PathBuf>,
    /// User and group instead of the unit's.
    ids: Option<(u32, u32)>,
    mask: Option<String>,
    /// What it starts with, from descriptor 3 on, each with its name.
    descriptors: Vec<(String, Arc<OwnedFd>)>,
    /// Files that stand in place of others.
    instead: Vec<(PathBuf, PathBuf)>,
    preload: Option<PathBuf>,
}

impl Runner {
    /// A program that is started as the user of the test, unless a unit says otherwise.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            unit: None,
            host: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            run_directory: None,
            ids: None,
            mask: None,
            descriptors: Vec::new(),
            instead: Vec::new(),
            preload: None,
        }
    }

    /// As this unit would start it. Where the test is not root, the program keeps the test's
    /// user; [`Running::notes`] tell it.
    #[must_use]
    pub fn unit(mut self, unit: &Unit) -> Self {
        self.unit = Some(unit.clone());
        self
    }

    /// In the network namespace of this host; else in that of the test process.
    #[must_use]
    pub fn host(mut self, host: &Host) -> Self {
        self.host = Some(host.clone());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// One more variable of its environment, which is otherwise systemd's and the unit's.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// This directory in place of a fresh one as `$RUNTIME_DIRECTORY`, so that two instances can
    /// share it ([`Running::run_directory`]).
    #[must_use]
    pub fn run_directory(mut self, path: &Path) -> Self {
        self.run_directory = Some(path.to_owned());
        self
    }

    /// On these processors only (`0`, `0,2`, `0-3`).
    #[must_use]
    pub fn processors(mut self, list: &str) -> Self {
        self.mask = Some(list.to_owned());
        self
    }

    /// With these descriptors, from 3 on, and the variables that tell of them (sd_listen_fds(3)).
    #[must_use]
    pub(super) fn descriptors(mut self, descriptors: Vec<(String, Arc<OwnedFd>)>) -> Self {
        self.descriptors = descriptors;
        self
    }

    /// For this program alone, the file `own` stands where the system's file `path` is
    /// (`/etc/resolv.conf`). Needs root.
    #[must_use]
    pub fn in_place_of(mut self, path: impl Into<PathBuf>, own: impl Into<PathBuf>) -> Self {
        self.instead.push((path.into(), own.into()));
        self
    }

    /// With this library in place of functions of others. Whoever starts the program is without it.
    #[must_use]
    pub fn preload(mut self, library: impl Into<PathBuf>) -> Self {
        self.preload = Some(library.into());
        self
    }

    /// As this user and group, without capabilities; for peers that come without a unit.
    #[must_use]
    pub(super) fn ids(mut self, ids: (u32, u32)) -> Self {
        self.ids = Some(ids);
        self
    }

    /// Starts it. What it says on both outputs goes to one file ([`Running::log`]).
    ///
    /// # Errors
    /// [`StartError`]. A program that starts and fails at once is no error here.
    pub fn start(&self) -> Result<Running, StartError> {
        let name = self.binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let io = |what: &str| {
            let what = format!("cannot start {name}: {what}");
            move |error| StartError::Io(what, error)
        };
        let mut notes = Vec::new();
        let scratch = Scratch::new(&name).map_err(io("no directory"))?;
        let as_unit = self.unit.as_ref().filter(|_| geteuid().is_root());
        let ids = self.ids.or_else(|| {
            let identity = as_unit?.identity();
            notes.extend(identity.note);
            Some(identity.ids)
        });
        let mut words = self.prefix();
        if let Some(unit) = &self.unit {
            if as_unit.is_none() {
                notes.push("not root: runs as the user of the test".into());
            }
            let (limit, note) = unit.descriptors().unzip();
            notes.extend(note.flatten());
            words.extend(limit.iter().flat_map(|limit| prlimit(*limit)));
        }
        words.extend(setpriv(as_unit, ids)?);
        if let Some(library) = &self.preload {
            words.extend(["env".into(), format!("LD_PRELOAD={}", library.display()).into()]);
        }
        let binary = reachable(&self.binary, &scratch, ids).map_err(io("no copy"))?;
        let passed = self.duplicates().map_err(io("no descriptor"))?;
        words.extend(self.wrapper(&passed));
        words.push(binary.into());
        words.extend(self.arguments.iter().cloned());
        let run_directory = match &self.run_directory {
            Some(path) => path.clone(),
            None => scratch.directory("run", ids).map_err(io("no run directory"))?,
        };
        let state = scratch.directory("state", ids).map_err(io("no state directory"))?;
        let log = scratch.path().join("log");
        let output = File::options().create(true).append(true).open(&log).map_err(io("no log"))?;
        let second = output.try_clone().map_err(io("no log"))?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(output).stderr(second);
        // A group of its own: Ctrl-C is for the test, which then ends the others by its guards.
        command.current_dir("/").process_group(0).env_clear().env("PATH", PATH);
        if let Some(unit) = &self.unit {
            command.envs(unit.environment());
            for (key, variable, path) in [
                ("RuntimeDirectory", "RUNTIME_DIRECTORY", &run_directory),
                ("StateDirectory", "STATE_DIRECTORY", &state),
            ] {
                if unit.last(key).is_some() {
                    command.env(variable, path);
                }
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if !passed.is_empty() {
            let names: Vec<_> = self.descriptors.iter().map(|(name, _)| name.as_str()).collect();
            command.env("LISTEN_FDS", passed.len().to_string());
            command.env("LISTEN_FDNAMES", names.join(":"));
        }
        let child = spawner::spawn(command, passed).map_err(io(&words[0].to_string_lossy()))?;
        Ok(Running::new(name, child, log, run_directory, scratch, notes))
    }

    /// The descriptors to pass, under numbers that are out of the way of those they will have.
    fn duplicates(&self) -> io::Result<Vec<OwnedFd>> {
        let duplicate = |(_, one): &(_, Arc<OwnedFd>)| fcntl_dupfd_cloexec(one, PASSED_FROM);
        Ok(self.descriptors.iter().map(duplicate).collect::<Result<_, _>>()?)
    }

    /// A shell that moves descriptors to 3, 4, ... and tells the program which process is meant,
    /// which only that process itself can know.
    fn wrapper(&self, passed: &[OwnedFd]) -> Vec<OsString> {
        if passed.is_empty() {
            return Vec::new();
        }
        let mut script = String::new();
        for (number, descriptor) in (3..).zip(passed) {
            let from = descriptor.as_raw_fd();
            script.push_str(&format!("exec {number}<&{from} {from}<&-; "));
        }
        script.push_str("LISTEN_PID=$$ exec \"$0\" \"$@\"");
        vec!["bash".into(), "-c".into(), script.into()]
    }

    /// What comes before the program and its privileges.
    fn prefix(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(host) = &self.host {
            words.push("nsenter".into());
            words.push(format!("--net={}", host.namespace_file().display()).into());
        }
        if let Some(mask) = &self.mask {
            words.extend(["taskset".into(), "--cpu-list".into(), mask.into()]);
        }
        if !self.instead.is_empty() {
            words.extend(["unshare".into(), "--mount".into()]);
        }
        for (path, own) in &self.instead {
            // Each mounts its file and goes on as the rest of the words.
            let mount = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
            words.extend(["sh", "-c", mount, "sh"].map(OsString::from));
            words.extend([own.into(), path.into()]);
        }
        words
    }
}

fn prlimit(descriptors: u64) -> [OsString; 2] {
    ["prlimit".into(), format!("--nofile={descriptors}:{descriptors}").into()]
}

/// The arguments of `setpriv`, which always comes: the child dies with the test process.
fn setpriv(unit: Option<&Unit>, ids: Option<(u32, u32)>) -> Result<Vec<OsString>, UnitError> {
    let mut words: Vec<OsString> = vec!["setpriv".into(), "--pdeathsig=KILL".into()];
    if let Some((user, group)) = ids {
        words.push(format!("--reuid={user}").into());
        words.push(format!("--regid={group}").into());
        words.push("--clear-groups".into());
    }
    if let Some(unit) = unit {
        let ambient =
            capability_list(&unit.capabilities("AmbientCapabilities")?.unwrap_or_default());
        words.push(format!("--inh-caps={ambient}").into());
        words.push(format!("--ambient-caps={ambient}").into());
        if let Some(bounding) = unit.capabilities("CapabilityBoundingSet")? {
            words.push(format!("--bounding-set={}", capability_list(&bounding)).into());
        }
        if unit.switch("NoNewPrivileges") {
            words.push("--no-new-privs".into());
        }
    }
    words.push("--".into());
    Ok(words)
}

fn capability_list(capabilities: &[String]) -> String {
    let mut list = "-all".to_owned();
    for capability in capabilities {
        list.push_str(",+");
        list.push_str(capability);
    }
    list
}

/// The program where the other user can reach it: where it is, or copied. The copy is made by
/// `cp`, not by us: a file that this process has open for writing could not be executed while
/// another thread forks.
fn reachable(binary: &Path, scratch: &Scratch, ids: Option<(u32, u32)>) -> io::Result<PathBuf> {
    let open_to_all = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o1 != 0)
    };
    // A bare name is looked for on the path.
    if ids.is_none() || binary.components().count() == 1 {
        return Ok(binary.to_owned());
    }
    let real = binary.canonicalize()?;
    if real.ancestors().all(open_to_all) {
        return Ok(real);
    }
    let copy = scratch.path().join(real.file_name().unwrap_or_default());
    let status = Command::new("cp").arg(&real).arg(&copy).status()?;
    if !status.success() {
        return Err(io::Error::other(format!("cp {}: {status}", real.display())));
    }
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755))?;
    Ok(copy)
}
