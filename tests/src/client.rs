//! Programs of others that ask and read as users do: curl, Python, Node, Go.

use std::io::{self, Write};
use std::process::{Command, Stdio};

/// The Debian package of each.
const PACKAGES: [(&str, &str); 7] = [
    ("curl", "curl"),
    ("go", "golang-go"),
    ("h2load", "nghttp2-client"),
    ("nghttp", "nghttp2-client"),
    ("node", "nodejs"),
    ("promtool", "prometheus"),
    ("python3", "python3"),
];

/// Whether `program` is missing. Then `SKIPPED: reason` goes to standard error past the test
/// harness, as where a whole test is left out, and whoever runs the tests counts it.
#[must_use]
pub fn missing(test: &str, program: &str) -> bool {
    let mut look = Command::new("sh");
    look.args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null());
    if look.status().is_ok_and(|status| status.success()) {
        return false;
    }
    let package =
        PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |found| found.1);
    let reason = format!("`{program}` is not installed: apt-get install {package}");
    let _ = writeln!(io::stderr(), "SKIPPED: {test} with {program}: {reason}");
    true
}
