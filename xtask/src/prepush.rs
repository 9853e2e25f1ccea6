//! `cargo xtask prepush`: what should pass before a push, in a few minutes.

use crate::Outcome;
use crate::test::{Steps, cargo};

/// Format, tidy, clippy and the quick tests.
///
/// # Errors
/// A step failed; all of them have run.
pub fn run() -> Outcome {
    let mut steps = Steps::new(false);
    steps.format();
    steps.tidy();
    steps.clippy();
    // Tests of the test bed start programs of the workspace.
    steps.build("build programs", &mut cargo(&["build", "--workspace", "--locked", "--bins"]));
    // The end-to-end tests are for `cargo xtask test`.
    steps.cargo_test(&["--exclude", "e2e"], &[]);
    steps.finish()
}
