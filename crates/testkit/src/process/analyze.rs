//! What `systemd-analyze` says of a unit file.

use super::{Scratch, Unit};
use std::io::{self, Write};
use std::process::Command;

/// What it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// Whether it is content.
    pub content: bool,
    /// Both outputs.
    pub said: String,
}

impl Unit {
    /// Has `systemd-analyze` (with `arguments`, such as `verify`) look at the unit; at a copy whose
    /// program exists, which here is not installed. `None`, told as skipped, where there is no
    /// systemd-analyze.
    ///
    /// # Errors
    /// The copy cannot be made.
    pub fn analyze(&self, arguments: &[&str]) -> io::Result<Option<Analysis>> {
        let name = self.path().file_stem().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(self.path())?;
        let text = text.replace(&format!("/usr/bin/{name} "), "/bin/true ");
        let scratch = Scratch::new("unit")?;
        let copy = scratch.write(&format!("{name}.service"), &text)?;
        let mut command = Command::new("systemd-analyze");
        let Ok(output) = command.args(arguments).arg(copy).output() else {
            // Past the test harness, as all that is skipped.
            let _ = writeln!(io::stderr(), "SKIPPED: {name}: systemd-analyze is not installed");
            return Ok(None);
        };
        let both = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&both).into_owned();
        Ok(Some(Analysis { content: output.status.success(), said }))
    }
}
