//! What both command lines have in common: the file, `check`, `run`, the exit codes.

use crate::keeper::{KeeperError, keep};
use crate::layer7::{Layer, unserved};
use crate::run::{engine, run};
use clap::{Args, Parser};
use eclusa_config::diagnostic::counted;
use eclusa_config::plan::{Plan, Program};
use eclusa_config::{Diagnostics, Loaded, Mode};
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The exit code for a wrong configuration or command line.
const WRONG: u8 = 2;

/// The end of both help texts.
pub const EXIT_CODES_AND_SIGNALS: &str = "\
Exit codes:
  0  done; for `run`: stopped in order
  1  could not do its work: an address is taken, the log cannot be opened
  2  the configuration or the command line is wrong; stderr says where, and what to do

Signals:
  SIGTERM  take no more connections; sessions may end by themselves until `stop_deadline` (25 s),
           in its last 5 s those that are left are reset one after the other
  SIGINT   the same, without waiting
  SIGHUP   read the file again and take what has changed, without losing a connection
  SIGUSR1  open the files of the log anew, after they were moved away

`run` is two processes: the keeper, which signals go to, holds the listening sockets and starts the
engine, which carries the traffic. A crash of the engine refuses no connection; if the file is
broken by then the next engine goes on with what was in force, and `status` says so.";

/// `engine -c FILE`: what the keeper starts.
#[derive(Args, Debug)]
pub struct EngineArguments {
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// `check [-c FILE] [--offline]`
#[derive(Args, Debug)]
pub struct Check {
    /// The file; without it the default file
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Leave out what depends on this host: files, addresses, names
    #[arg(long)]
    offline: bool,
}

/// Parses the command line and runs what it says. Help and version go to stdout and succeed.
pub fn main<Cli: Parser>(obey: impl FnOnce(Cli) -> ExitCode) -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => obey(cli),
        Err(error) => {
            // Nobody is left to tell when the terminal is gone.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(WRONG))
        }
    }
}

/// Checks a file: warnings and `FILE: ok (...)`, or everything that is wrong with it.
#[must_use]
pub fn check(program: Program, wanted: &Check, layer: Option<Arc<dyn Layer>>) -> ExitCode {
    let file = file_of(program, wanted.config.as_deref());
    let mode = if wanted.offline { Mode::Offline } else { Mode::Host };
    match eclusa_config::load(program, file, mode) {
        Ok(loaded) => {
            tell(&loaded.warnings);
            // What a start would load; without the host there is nothing to load from.
            let unserved = match (layer, mode) {
                (None, _) => unserved(&loaded.plan),
                (Some(layer), Mode::Host) => layer.prepare(&loaded.plan).err(),
                (Some(_), _) => None,
            };
            if let Some(why) = unserved {
                eprintln!("{}: error: {why}", file.display());
                return ExitCode::from(WRONG);
            }
            let counts = counts(&loaded.plan);
            // As with all of these: a reader that has gone away is no failure of the check.
            let _ = writeln!(std::io::stdout(), "{}: ok ({counts})", file.display());
            ExitCode::SUCCESS
        }
        Err(diagnostics) => refuse(&diagnostics),
    }
}

/// Runs what a file says, until a signal ends it: as keeper and engine, or as the engine alone.
#[must_use]
pub fn run_file(
    program: Program,
    config: Option<&Path>,
    no_keeper: bool,
    layer: Option<Arc<dyn Layer>>,
) -> ExitCode {
    let file = file_of(program, config);
    if no_keeper {
        return run_loaded(eclusa_config::load(program, file, Mode::Start), Some(file), layer);
    }
    match keep(program, file) {
        Ok(code) => ExitCode::from(code),
        Err(KeeperError::Config(diagnostics)) => refuse(&diagnostics),
        Err(KeeperError::Io(what, error)) => {
            eprintln!("{}: {what}: {error}", program.name());
            ExitCode::FAILURE
        }
    }
}

/// Runs as the engine of a keeper.
#[must_use]
pub fn run_engine(
    program: Program,
    arguments: &EngineArguments,
    layer: Option<Arc<dyn Layer>>,
) -> ExitCode {
    engine(program, &arguments.config, layer).unwrap_or_else(|diagnostics| refuse(&diagnostics))
}

/// Runs a plan without a keeper, or tells why there is none.
#[must_use]
pub fn run_loaded(
    loaded: Result<Loaded, Diagnostics>,
    config: Option<&Path>,
    layer: Option<Arc<dyn Layer>>,
) -> ExitCode {
    match loaded {
        Ok(loaded) => run(&loaded, config, layer),
        Err(diagnostics) => refuse(&diagnostics),
    }
}

pub(crate) fn file_of(program: Program, config: Option<&Path>) -> &Path {
    config.unwrap_or_else(|| Path::new(program.default_file()))
}

fn counts(plan: &Plan) -> String {
    let endpoints = plan.pools.iter().map(|pool| pool.endpoints.len()).sum();
    format!("{}, {}", counted(plan.listeners.len(), "listener"), counted(endpoints, "endpoint"))
}

pub(crate) fn refuse(diagnostics: &Diagnostics) -> ExitCode {
    tell(diagnostics);
    ExitCode::from(WRONG)
}

fn tell(text: &dyn Display) {
    let _ = write!(std::io::stderr(), "{text}");
}
