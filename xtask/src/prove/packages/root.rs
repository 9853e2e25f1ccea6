//! A clean Debian root, and its systemd booted in a container.

use crate::step::{self, program};
use crate::{Outcome, tree};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The Debian that packages are for.
const SUITE: &str = "bookworm";

/// What fetching and unpacking Debian may take.
const FETCH: Duration = Duration::from_secs(1800);
/// What a boot may take, or anything else that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a command inside may take, for `timeout`.
const COMMAND: &str = "180";
/// How often a wait looks.
const LOOK: Duration = Duration::from_millis(50);

/// A root below `folder` with Debian's smallest system and its systemd, as fetched once; what is there
/// from an earlier run is a copy of it and made anew.
///
/// # Errors
/// This is no Debian, or what it fetches cannot be had.
pub fn clean(folder: &Path) -> Outcome<PathBuf> {
    let (base, root) = (folder.join("debian"), folder.join("root"));
    if !base.join("fetched").exists() {
        fetch(&base)?;
    }
    // Within one file system only: nothing that an earlier run has left mounted is entered.
    tool(program("rm").args(["-rf", "--one-file-system", "--"]).arg(&root))?;
    tool(program("cp").args(["-a", "--"]).arg(base.join("root")).arg(&root))?;
    Ok(root)
}

/// From where this machine's apt has its own packages.
fn fetch(base: &Path) -> Outcome {
    let root = base.join("root");
    let mut targets = program("apt-get");
    targets.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]);
    targets.args(["Component: main", &format!("Codename: {SUITE}")]);
    let output = targets.output().map_err(|error| format!("apt-get: {error}"))?;
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let mirror = output.lines().next().ok_or(format!("this machine's apt knows no {SUITE}"))?;
    tool(program("rm").args(["-rf", "--one-file-system", "--"]).arg(base))?;
    fs::create_dir_all(base).map_err(|error| format!("{}: {error}", base.display()))?;
    tool(program("debootstrap").args(["--variant=minbase", SUITE]).arg(&root).arg(mirror))?;
    for words in [
        &["apt-get", "install", "-y", "-qq", "--no-install-recommends", "systemd"][..],
        &["apt-get", "clean"],
    ] {
        let mut command = program("chroot");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg(&root).args(words);
        tool(&mut command)?;
    }
    fs::write(base.join("fetched"), "").map_err(|error| error.to_string())
}

/// Runs a program of this machine to its end.
fn tool(command: &mut Command) -> Outcome {
    let ran = step::run_quietly(command, FETCH);
    ran.trouble.map_or(Ok(()), |trouble| Err(format!("{}: {trouble}", step::typed(command))))
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Whether it ended with 0.
    pub good: bool,
    /// Both outputs, standard output first.
    pub text: String,
}

/// systemd, booted; dropping it ends the container with all that runs in it.
#[derive(Debug)]
pub struct Container {
    script: Child,
    /// The id that PID 1 has outside, once it runs.
    first: u32,
}

impl Container {
    /// Boots the systemd of `root`.
    ///
    /// # Errors
    /// It does not come up, with what it says.
    pub fn boot(root: &Path) -> Outcome<Self> {
        // However this program ends, the container ends with it.
        let mut command = program("setpriv");
        command.args(["--pdeathsig=KILL", "unshare", "--mount", "--net", "--pid", "--fork"]);
        command.args(["--kill-child=KILL", "--uts", "--ipc", "bash"]);
        command.arg(tree::root().join("xtask/src/prove/packages/boot.sh")).arg(root);
        command.arg(std::process::id().to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        let script = command.spawn().map_err(|error| format!("unshare: {error}"))?;
        let mut container = Self { script, first: 0 };
        let mut state = String::from("no PID 1");
        let up = wait(|| {
            let Some(first) = container.find_first() else { return false };
            container.first = first;
            state = container.run(&["systemctl", "is-system-running"]).text;
            ["running", "degraded"].contains(&state.trim())
        });
        if up { Ok(container) } else { Err(format!("the container does not boot: {state}")) }
    }

    /// The child of `unshare`, when it has become systemd.
    fn find_first(&self) -> Option<u32> {
        let pid = self.script.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        let first = children.split_ascii_whitespace().next()?.parse().ok()?;
        let name = fs::read_to_string(format!("/proc/{first}/comm")).ok()?;
        (name == "systemd\n").then_some(first)
    }

    /// Runs a program inside to its end, as root.
    pub fn run(&self, words: &[&str]) -> Said {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", COMMAND, "nsenter", "--all", "--target"]);
        command.arg(self.first.to_string()).arg("--").args(words).env_clear();
        command
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive");
        match command.stdin(Stdio::null()).output() {
            Ok(output) => Said {
                good: output.status.success(),
                text: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into(),
            },
            Err(error) => Said { good: false, text: error.to_string() },
        }
    }

    /// The id that PID 1 has outside.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// A property of a unit (`ActiveState`).
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.run(&["systemctl", "show", "--value", "-p", name, unit]).text.trim().to_owned()
    }

    /// The outside path of an absolute path inside.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.first))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // With `unshare` its child ends, and with PID 1 all others.
        let _ = (self.script.kill(), self.script.wait());
        let first = PathBuf::from(format!("/proc/{}", self.first));
        wait(|| !first.exists());
    }
}

/// Waits until something holds; `false` when it did not in time.
pub fn wait(mut holds: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if holds() {
            return true;
        }
        thread::park_timeout(LOOK);
    }
    false
}
