//! systemd itself with the shipped units, as PID 1 of a container on a host of the cluster: the real
//! thing, where [`Manager`](super::Manager) is a stand-in. `booted.sh` says what the container has of
//! its own, which is all but the kernel and the machine's libraries.
//!
//! ```no_run
//! # use eclusa_testkit::netns::{Cluster, Shape};
//! # use eclusa_testkit::process::Booted;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::new(Shape::default())?;
//! let booted = Booted::boot(&cluster.host("edge"), &["eclusa-edge"])?;
//! booted.write("/etc/eclusa/edge.toml", "...")?;
//! assert_eq!(booted.systemctl(&["start", "eclusa-edge"]).code, Some(0));
//! # Ok(()) }
//! ```

use super::binary::{binary, workspace};
use super::{Runner, Running, Scratch, Unit, meter};
use crate::netns::{self, Host};
use crate::wait::try_until;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What a boot may take; it takes two seconds.
const BOOT: Duration = Duration::from_secs(30);
/// What a command inside may take, for `timeout`: longer than a stop with systemd's own limit.
const COMMAND: &str = "90";
/// What the end of the container may take.
const END: Duration = Duration::from_secs(10);

/// Programs that it takes, beside those of the cluster; all are in Debian's essential packages, or
/// in systemd's.
const NEEDED: [&str; 5] = ["bash", "journalctl", "systemctl", "systemd-sysusers", "unshare"];

/// systemd, booted; dropping it ends the container with all that runs in it.
#[derive(Debug)]
pub struct Booted {
    running: Running,
    /// The id that PID 1 has outside.
    first: u32,
    // After the container: its files go when it is gone.
    _scratch: Scratch,
}

/// What a command inside said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// Both outputs, standard output first.
    pub text: String,
}

impl Booted {
    /// Whether this machine can boot one, as far as that can be told before.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn possible() -> Result<(), String> {
        netns::available()?;
        let there = |program: &&&str| {
            let mut look = Command::new("sh");
            look.args(["-c", "command -v \"$0\" >/dev/null", program]);
            look.status().is_ok_and(|status| status.success())
        };
        if let Some(program) = NEEDED.iter().find(|program| !there(program)) {
            return Err(format!("`{program}` is not installed"));
        }
        if !Path::new("/usr/lib/systemd/systemd").exists() || !Path::new("/lib").is_symlink() {
            return Err("/lib/systemd/systemd is not there, or /usr not merged".into());
        }
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        if !known.contains("\tcgroup2\n") {
            return Err("this kernel has no control groups of version 2".into());
        }
        Ok(())
    }

    /// Boots it in the network namespace of `host`, to `multi-user.target`, with these programs and
    /// their shipped units. They are not started, and have no configuration yet.
    ///
    /// # Errors
    /// [`Self::possible`], or it did not come up: with what it said.
    pub fn boot(host: &Host, programs: &[&str]) -> Result<Self, String> {
        Self::possible()?;
        let scratch = Scratch::new("booted").map_err(|error| error.to_string())?;
        install(&scratch, programs).map_err(|error| format!("cannot install: {error}"))?;
        let script = scratch.write("booted.sh", include_str!("booted.sh"));
        let script = script.map_err(|error| error.to_string())?;
        let paths = programs.iter().map(|program| binary(program));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        let runner = Runner::new("unshare").host(host).args(["--mount", "bash"]);
        let runner = runner.args([script.as_path(), scratch.path()]).args(paths);
        let mut running = runner.start().map_err(|error| error.to_string())?;
        let mut first = None;
        let waited = try_until(BOOT, "PID 1 of the container", || {
            first = first_of(running.pid());
            first.is_some() || running.exit_status().is_some()
        });
        let Some(first) = first else {
            return Err(format!("no PID 1: {waited:?}; {}", running.last_words()));
        };
        let booted = Self { running, first, _scratch: scratch };
        let mut state = Said { code: None, text: String::new() };
        let waited = try_until(BOOT, "the end of its start", || {
            state = booted.systemctl(&["is-system-running"]);
            ["running", "degraded"].contains(&state.text.trim())
        });
        match waited {
            Ok(_) if state.text.trim() == "running" => Ok(booted),
            _ => Err(format!("it is {state:?}; {}", booted.last_words())),
        }
    }

    /// Runs a program inside to its end, as root.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Said {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", COMMAND, "nsenter", "--all", "--target"]);
        command.arg(self.first.to_string()).arg("--").args(words);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin");
        let output = command.output().unwrap_or_else(|error| panic!("{words:?}: {error}"));
        let text = [output.stdout, output.stderr].concat();
        Said { code: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    /// Runs `systemctl`.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    #[track_caller]
    pub fn systemctl(&self, words: &[&str]) -> Said {
        self.run(&[&["systemctl", "--no-pager"], words].concat())
    }

    /// A property of a unit (`ActiveState`), empty where systemd knows none.
    ///
    /// # Panics
    /// systemctl cannot be run.
    #[must_use]
    #[track_caller]
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.systemctl(&["show", "--value", "-p", name, unit]).text.trim().to_owned()
    }

    /// What the journal has of a unit, one message a line.
    ///
    /// # Panics
    /// journalctl cannot be run.
    #[must_use]
    #[track_caller]
    pub fn journal(&self, unit: &str) -> String {
        self.run(&["journalctl", "--no-pager", "--quiet", "-o", "cat", "-u", unit]).text
    }

    /// The outside path of an absolute path inside.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.first))
    }

    /// Writes a file inside, and the directories above it.
    ///
    /// # Errors
    /// What the file system said.
    pub fn write(&self, inside: &str, text: &str) -> io::Result<()> {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(path, text)
    }

    /// The main process of a service, by the id that it has outside; `None` while there is none.
    ///
    /// # Panics
    /// systemctl cannot be run.
    #[must_use]
    #[track_caller]
    pub fn main_pid(&self, unit: &str) -> Option<u32> {
        let inside = self.property(unit, "MainPID");
        let group = self.property(unit, "ControlGroup");
        // The kernel translates the ids for the reader.
        let file = self.path(&format!("/sys/fs/cgroup{group}/cgroup.procs"));
        let processes = fs::read_to_string(file).ok()?;
        let is_it = |pid: &u32| {
            let ids = meter::status(*pid).ok().and_then(|mut status| status.remove("NSpid"));
            ids.is_some_and(|ids| ids.split_ascii_whitespace().next_back() == Some(&inside))
        };
        processes.lines().filter_map(|pid| pid.parse().ok()).find(is_it)
    }

    /// The engine that a service's keeper has started, by the id that it has outside.
    ///
    /// # Panics
    /// systemctl cannot be run.
    #[must_use]
    #[track_caller]
    pub fn engine_pid(&self, unit: &str) -> Option<u32> {
        meter::engine_of(self.main_pid(unit)?)
    }

    /// Sends a signal to a process, by the id that it has outside.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, pid: u32, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.ok_or_else(|| io::Error::other("no process id"))?, signal)?)
    }

    fn last_words(&self) -> String {
        let failed = self.systemctl(&["list-units", "--failed", "--plain", "--no-legend"]).text;
        let journal = self.run(&["journalctl", "--no-pager", "-n", "40"]).text;
        format!("failed: {failed}; {}; its journal:\n{journal}", self.running.last_words())
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.last_words());
        }
        // With PID 1 everything in its namespace goes, and the script tidies up.
        if let Some(first) = i32::try_from(self.first).ok().and_then(Pid::from_raw) {
            let _ = kill_process(first, Signal::KILL);
        }
        let running = &mut self.running;
        let _ = try_until(END, "the end of the container", || running.exit_status().is_some());
    }
}

/// Lays down what is copied into the container's root.
fn install(scratch: &Scratch, programs: &[&str]) -> io::Result<()> {
    let files = scratch.path().join("files");
    let write = |path: &str, text: &str| {
        let path = files.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(path, text)
    };
    write("etc/passwd", "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")?;
    write("etc/group", "root:x:0:\nadm:x:4:\nnogroup:x:65534:\n")?;
    write("etc/machine-id", "ec105a00000000000000000000000000\n")?;
    write("etc/os-release", "ID=eclusa-test\n")?;
    let shipped = |name: &str| workspace().join("systemd").join(name);
    write("usr/lib/sysusers.d/eclusa.conf", &fs::read_to_string(shipped("eclusa.sysusers"))?)?;
    for program in programs {
        let unit = Unit::shipped(program).map_err(io::Error::other)?;
        let text = fs::read_to_string(unit.path())?;
        write(&format!("usr/lib/systemd/system/{program}.service"), &text)?;
    }
    Ok(())
}

/// systemd, as the grandchild of the script `pid`: script, `unshare`, PID 1. Before it is systemd it
/// is the script's second half.
fn first_of(pid: u32) -> Option<u32> {
    let child = |pid: u32| {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_ascii_whitespace().next()?.parse::<u32>().ok()
    };
    let first = child(child(pid)?)?;
    let name = fs::read_to_string(format!("/proc/{first}/comm")).ok()?;
    (name == "systemd\n").then_some(first)
}
