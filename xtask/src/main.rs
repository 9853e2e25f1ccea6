//! The project's chores: `cargo xtask CHORE`, one file per chore.

mod bench;
mod deny;
mod dist;
mod fuzz;
mod guard;
mod prepush;
mod prove;
mod step;
mod test;
mod tidy;
mod tree;
mod tuned;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What a chore yields; the text says what went wrong and what to do.
type Outcome<T = ()> = Result<T, String>;

/// The project's chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Options {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Run every test there is: the README's test command.
    Test(test::Options),
    /// What should pass before a push: format, tidy, clippy, the quick tests.
    Prepush,
    /// Check the style that a machine can check.
    Tidy(tidy::Options),
    /// Check licences, banned crates, sources and the size of the daemons' dependency trees.
    Deny(deny::Options),
    /// Build what operators install: Debian packages, tarballs, SBOMs, checksums.
    Dist(dist::Options),
    /// Build the programs with their code laid out by a profile, as `dist` packs them.
    Tuned(tuned::Options),
    /// Measure ours beside HAProxy, nginx and Envoy; or guard what a unit of work takes.
    Bench(bench::Options),
    /// Run fuzz targets for a while.
    Fuzz(fuzz::Options),
    /// Run what a topic promises, in full, and write docs/proof/TOPIC.md.
    Prove(prove::Options),
}

fn main() -> ExitCode {
    let done = match Options::parse().chore {
        Chore::Test(options) => test::run(&options),
        Chore::Prepush => prepush::run(),
        Chore::Tidy(options) => tidy::run(&options),
        Chore::Deny(options) => deny::run(&options),
        Chore::Dist(options) => dist::run(&options),
        Chore::Tuned(options) => tuned::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Prove(options) => prove::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            // Lines of their own, so that a closing line stays the last of standard output.
            eprintln!("xtask: {trouble}");
            ExitCode::FAILURE
        }
    }
}
