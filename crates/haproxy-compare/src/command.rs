//! `import --check-live`.

use crate::comparison::{Failed, Wanted, compare};
use clap::Args;
use eclusa_config::plan::Program;
use eclusa_haproxy_import::command::{self as haproxy, Here};
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The most requests of one comparison.
const REQUESTS_MAX: u64 = 100_000;

/// `import FILE...`, and what `--check-live` makes of it.
#[derive(Args, Debug)]
#[group(skip)]
pub struct Import {
    #[command(flatten)]
    import: haproxy::Import,
    #[command(flatten)]
    live: Live,
}

/// `--check-live` and what goes with it.
#[derive(Args, Debug)]
struct Live {
    /// Write nothing: run HAProxy and the import side by side on loopback, and tell what differs
    ///
    /// Both get copies in which every address is one of loopback, endpoints that record what reaches
    /// them, and the same traffic, made from what the file asks. Nothing leaves this host, nothing on it
    /// is changed, nothing that the file names is run, and what was started ends with the command.
    #[arg(long, conflicts_with_all = ["output", "keepalived"])]
    check_live: bool,
    /// HAProxy, where it is not in PATH
    #[arg(long, value_name = "PATH", requires = "check_live", default_value = "haproxy")]
    haproxy: PathBuf,
    /// How many requests are sent to each; of checks there is a round for each hundred, four at most
    #[arg(long, value_name = "N", requires = "check_live", default_value_t = 300,
          value_parser = clap::value_parser!(u64).range(1..=REQUESTS_MAX))]
    requests: u64,
    /// Another seed makes other traffic; the same makes the same
    #[arg(long, value_name = "N", requires = "check_live", default_value_t = 1)]
    seed: u64,
}

/// What stands below the options of the command.
#[must_use]
pub fn after_help() -> String {
    format!(
        "{}\n\n\
         With --check-live each difference is one of\n  \
         improved     the report says of the line that it is better so, and why\n  \
         unsupported  the report says that the line is not carried over\n  \
         differs      neither: tell us\n\
         and the exit codes are 0 for what is equal or improved, 1 for other differences and where something was\n\
         not compared that was to be, 2 where nothing was: HAProxy is not there, or refuses the file. Scripts of\n\
         Lua, engines and programs that the file names are not run, and told.\n\n{}",
        haproxy::AFTER_HELP,
        crate::report::NOT_COMPARED,
    )
}

/// Imports, or compares.
#[must_use]
pub fn run(program: Program, wanted: &Import) -> ExitCode {
    if !wanted.live.check_live {
        return haproxy::run(program, &wanted.import);
    }
    let is_json = wanted.import.wants_json();
    let found = looked(program, wanted);
    let (text, code) = match &found {
        Ok(found) if is_json => (format!("{:#}\n", found.json()), u8::from(!found.is_well())),
        Ok(found) => (found.human(), u8::from(!found.is_well())),
        Err(failed) => {
            let (outcome, said) = told(failed);
            if is_json {
                (format!("{:#}\n", json!({ "outcome": outcome, "message": said })), 2)
            } else {
                eprintln!("{}: {outcome}{said}", program.name());
                (String::new(), 2)
            }
        }
    };
    // A reader that has gone away is no failure.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::from(code)
}

fn told(failed: &Failed) -> (&'static str, String) {
    match failed {
        Failed::HaproxyRefuses(said) => ("HAProxy refuses it", format!(":\n{said}")),
        Failed::OursRefuses(said) => ("Eclusa refuses what the import wrote", format!(":\n{said}")),
        Failed::Nothing => ("nothing to compare", ": nothing in it serves clients".to_owned()),
        Failed::Other(why) => ("not compared", format!(": {why}")),
    }
}

fn looked(program: Program, wanted: &Import) -> Result<crate::comparison::Found, Failed> {
    let files = wanted.import.files()?;
    let executable = std::env::current_exe()
        .map_err(|error| Failed::Other(format!("where this program is cannot be told: {error}")))?;
    let live = &wanted.live;
    let wanted = Wanted {
        program,
        executable,
        haproxy: live.haproxy.clone(),
        requests: usize::try_from(live.requests).unwrap_or(usize::MAX),
        seed: live.seed,
    };
    compare(&wanted, &files, &haproxy::options(), &Here)
}
