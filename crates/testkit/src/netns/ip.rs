//! iproute2 in batches, and the other programs that set a namespace up.

use super::NetnsError;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Lines for `ip -batch` in one namespace.
#[derive(Debug, Default)]
pub(super) struct Batch(String);

impl Batch {
    pub(super) fn new(line: impl AsRef<str>) -> Self {
        let mut batch = Self::default();
        batch.line(line);
        batch
    }

    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        self.0.push_str(line.as_ref());
        self.0.push('\n');
    }

    pub(super) fn run_in(&self, namespace: &str) -> Result<(), NetnsError> {
        let mut ip = Command::new("ip");
        ip.args(["-netns", namespace, "-batch", "-"]);
        complete(ip, &self.0).map(drop)
    }
}

/// Runs the lines outside of any namespace.
pub(super) fn run(lines: &str) -> Result<(), NetnsError> {
    let mut ip = Command::new("ip");
    ip.args(["-batch", "-"]);
    complete(ip, lines).map(drop)
}

/// The same, going on behind lines that fail; those are told in the end.
pub(super) fn force(lines: &str) -> Result<(), NetnsError> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut ip = Command::new("ip");
    ip.args(["-force", "-batch", "-"]);
    complete(ip, lines).map(drop)
}

/// Runs a command to its end with `input`, and returns what it printed.
pub(super) fn complete(mut command: Command, input: &str) -> Result<String, NetnsError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = |command: &mut Command| -> std::io::Result<Output> {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that has ended early says why on its standard error.
            let _ = stdin.write_all(input.as_bytes());
        }
        child.wait_with_output()
    };
    let output = run(&mut command).map_err(|error| NetnsError(format!("{command:?}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(NetnsError(format!("{command:?} failed: {}", words.trim())))
}
