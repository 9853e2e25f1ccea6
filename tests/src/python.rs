//! Python with packages of PyPI, and scripts that run in the cluster.

use eclusa_testkit::netns::Host;
use eclusa_testkit::wait::{pause, try_until};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The variable that names a directory of packages (`pip install --target`), where Python does not
/// find them by itself.
const PACKAGES: &str = "ECLUSA_PYTHON";
/// How often the end of a script is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// Whether Python or one of these modules is missing. Then `SKIPPED: reason` goes to standard error
/// past the test harness, and whoever runs the tests counts it.
#[must_use]
pub fn missing(test: &str, modules: &[&str]) -> bool {
    let mut look = here();
    look.args(["-c", &format!("import {}", modules.join(", "))]);
    if look.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return false;
    }
    let reason = format!(
        "no python3 with {0}: pip install --target DIRECTORY {0}, and {PACKAGES}=DIRECTORY",
        modules.join(" ")
    );
    let _ = writeln!(io::stderr(), "SKIPPED: {test}: {reason}");
    true
}

/// A command of Python, in the namespace of the test.
#[must_use]
pub fn here() -> Command {
    let mut command = Command::new("python3");
    with_packages(&mut command);
    command
}

/// A command that runs a script on `host`.
#[must_use]
pub fn command(host: &Host, script: &Path) -> Command {
    let mut command = host.command("python3");
    with_packages(&mut command);
    command.arg(script);
    command
}

fn with_packages(command: &mut Command) {
    if let Some(folder) = std::env::var_os(PACKAGES) {
        command.env("PYTHONPATH", folder);
    }
}

/// A script at work, killed when dropped. What it says on both outputs goes to a file.
#[derive(Debug)]
pub struct Script {
    child: Child,
    log: PathBuf,
}

impl Script {
    /// Starts `command`; `log` is a file that is not there yet.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start(mut command: Command, log: PathBuf) -> Self {
        let mut start = || {
            let file = File::create(&log)?;
            command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()
        };
        let child = start().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log }
    }

    /// What it has said so far.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has said this line.
    ///
    /// # Panics
    /// It does not within `limit`, with what it has said instead.
    #[track_caller]
    pub fn wait_for(&self, limit: Duration, line: &str) {
        let has_said = || self.said().lines().any(|said| said == line);
        if let Err(error) = try_until(limit, line, has_said) {
            panic!("{error}; it said: {}", self.said());
        }
    }

    /// Waits for its end and returns what it has said.
    ///
    /// # Panics
    /// It fails, or runs for longer than `limit`; with what it has said.
    #[must_use]
    #[track_caller]
    pub fn finish(mut self, limit: Duration) -> String {
        let end = std::time::Instant::now() + limit;
        while std::time::Instant::now() < end {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return self.said(),
                Ok(Some(status)) => panic!("{status}; it said: {}", self.said()),
                Ok(None) => pause(LOOK),
                Err(error) => panic!("{error}"),
            }
        }
        panic!("no end after {limit:?}; it said: {}", self.said());
    }

    /// Kills it.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.kill();
    }
}
