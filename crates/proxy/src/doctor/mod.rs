//! `doctor`: what is wrong around the service, each with its remedy.
//!
//! | file | what |
//! |---|---|
//! | `table` | the one table of checks |
//! | `facts` | what is known before anything is judged |
//! | `host`, `unit` | looks at this host |
//! | `question`, `ask` | asks endpoints |
//! | `migration` | looks for what has to do with HAProxy, with `--migration` |
//! | `judge` | facts in, findings out |
//! | `report`, `show` | what was found |
//!
//! It changes nothing, and needs no running program. What only root sees (whose listeners these are, files of
//! others) it tells as not looked at to everybody else.

mod ask;
mod facts;
mod host;
mod judge;
mod migration;
mod question;
mod report;
mod show;
mod table;
mod unit;

pub(crate) use host::{secret_files, unit};
pub(crate) use judge::SYSCTLS;

use crate::admin::Moment;
use crate::admin::client::{self, Target};
use crate::command::file_of;
use crate::layer7::{Layer, unserved};
use clap::Args;
use eclusa_config::plan::{Plan, Program};
use eclusa_config::{Diagnostic, Diagnostics, Mode};
use facts::{Facts, Told};
use report::{Report, Severity};
use std::io::{IsTerminal, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

/// For the end of its help.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  nothing is wrong; there may be advice
  1  findings: warnings or errors
  2  it cannot run: the file or the command line is wrong

Run it as root: whose listeners these are, and files of others, nobody else sees. It changes nothing.
docs/doctor.md lists all checks.";

/// The exit code of findings.
const FOUND: u8 = 1;
/// The exit code where it cannot run.
const CANNOT: u8 = 2;

/// `doctor ...`
#[derive(Args, Clone, Debug, Default)]
pub struct Doctor {
    /// The configuration file; without it the default file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The admin socket; without it where the configuration or the run directory has it
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// The report as JSON, on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Tell what is looked at, and look at nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// Ask no endpoint, and nobody else on the network
    #[arg(long)]
    pub(crate) offline: bool,
    /// Also tell what would bring HAProxy back, or break, once it is masked
    #[arg(long)]
    pub(crate) migration: bool,
    /// A name or address that clients use, for certificates of masters; once for each
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Where else an apiserver may be, that an edge must not reach; once for each
    #[arg(long = "apiserver", value_name = "IP")]
    pub(crate) apiservers: Vec<IpAddr>,
}

impl Doctor {
    /// Which running program is asked.
    pub(crate) fn target(&self) -> Target {
        Target::new(self.config.clone(), self.socket.clone())
    }
}

/// Examines, tells what was found, and what that means for scripts.
#[must_use]
pub fn run(program: Program, wanted: &Doctor, layer: Option<Arc<dyn Layer>>) -> ExitCode {
    if wanted.list {
        let _ = std::io::stdout().write_all(show::list().as_bytes());
        return ExitCode::SUCCESS;
    }
    let report = match examine(program, wanted, layer.as_deref()) {
        Ok(report) => report,
        Err(why) => {
            let _ = write!(std::io::stderr(), "{why}");
            return ExitCode::from(CANNOT);
        }
    };
    let text = if wanted.json {
        serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
    } else {
        show::report(&report, client::has_colour(std::io::stdout().is_terminal()))
    };
    // As with `check`: a reader that has gone away is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    match report.worst {
        Severity::Ok | Severity::Advice => ExitCode::SUCCESS,
        Severity::Warning | Severity::Error => ExitCode::from(FOUND),
    }
}

/// Gathers and judges.
///
/// # Errors
/// The file cannot be understood, in words.
pub(crate) fn examine(
    program: Program,
    wanted: &Doctor,
    layer: Option<&dyn Layer>,
) -> Result<Report, String> {
    let file = file_of(program, wanted.config.as_deref());
    let read = read(program, file, wanted.offline)?;
    let facts = gather(program, file, read, wanted, layer);
    let mut findings = judge::judge(&facts);
    findings.sort();
    Ok(Report {
        program: program.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        file: file.display().to_string(),
        at: Moment::from(facts.now),
        offline: wanted.offline,
        worst: findings.worst(),
        findings: findings.findings,
        skipped: findings.skipped,
    })
}

/// The plan, and what is wrong with the file. One that only this host makes wrong is judged all the same.
fn read(program: Program, file: &Path, offline: bool) -> Result<(Plan, Vec<Told>), String> {
    let mode = if offline { Mode::Start } else { Mode::Host };
    let strict = eclusa_config::load(program, file, mode);
    let (loaded, mut told) = match strict {
        Ok(loaded) => {
            let told = in_words(&loaded.warnings);
            (loaded, told)
        }
        // Files that are missing, expectations that do not hold.
        Err(errors) => match eclusa_config::load(program, file, Mode::Known) {
            Ok(loaded) => (loaded, in_words(&errors)),
            Err(_) => return Err(errors.to_string()),
        },
    };
    told.dedup();
    Ok((loaded.plan, told))
}

fn in_words(diagnostics: &Diagnostics) -> Vec<Told> {
    let told = |(line, item): (String, &Diagnostic)| {
        let remedy = item.remedy.clone();
        // Its line ends in the remedy, which has a place of its own here.
        let found = line.strip_suffix(&format!(" ({remedy})")).unwrap_or(&line).to_owned();
        Told { is_error: item.severity == eclusa_config::Severity::Error, found, remedy }
    };
    diagnostics.lines().into_iter().zip(diagnostics.items()).map(told).collect()
}

fn gather(
    program: Program,
    file: &Path,
    (plan, mut told): (Plan, Vec<Told>),
    wanted: &Doctor,
    layer: Option<&dyn Layer>,
) -> Facts {
    let status = client::status(program, &wanted.target());
    let service = host::service(program, status);
    let host = host::host(&plan, service.runs);
    let examined = layer.map(|layer| layer.examine(&plan)).unwrap_or_default();
    let refused = match layer {
        None => unserved(&plan),
        // What the certificates are guilty of is told by themselves.
        Some(layer) if examined.iter().all(|it| !it.is_wrong()) => layer.check(&plan).err(),
        Some(_) => None,
    };
    let lines = refused.iter().flat_map(|why| why.lines());
    told.extend(lines.map(|line| Told {
        is_error: true,
        found: line.to_owned(),
        remedy: format!("{} check", program.name()),
    }));
    let mut facts = Facts {
        program,
        file: file.to_owned(),
        now: SystemTime::now(),
        files: host::files(&plan),
        examined,
        plan,
        told,
        host,
        service,
        network: None,
        names: wanted.names.clone(),
        migration: None,
    };
    if wanted.migration {
        let ports = judge::listener_ports(&facts.plan);
        facts.migration = Some(migration::here(&ports, host::haproxy_state()));
    }
    if !wanted.offline {
        let suspects = match program {
            Program::Edge => host::suspects(&facts, &wanted.apiservers),
            Program::Apiserver => Vec::new(),
        };
        facts.network = ask::ask(&facts.plan, suspects).ok();
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_testkit::process::Scratch;

    const THREE: &str = "masters = [\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.13\"]\n";

    fn told(text: &str) -> Vec<Told> {
        let scratch = Scratch::new("doctor-read").unwrap();
        let file = scratch.write("a.toml", text).unwrap();
        read(Program::Apiserver, &file, true).unwrap_or_else(|why| panic!("{why}")).1
    }

    #[test]
    fn what_the_reader_says_is_told_with_its_remedy() {
        let even = told("masters = [\"10.0.0.11\", \"10.0.0.12\"]\n");
        assert_eq!(even.len(), 1, "{even:?}");
        assert!(!even[0].is_error && even[0].found.contains("a.toml:1:1: 2 masters"), "{even:?}");
        assert!(even[0].remedy.starts_with("add a master"), "{even:?}");
        assert!(!even[0].found.contains(&even[0].remedy), "{even:?}");
        assert_eq!(told(THREE), []);
    }

    #[test]
    fn a_file_that_this_host_makes_wrong_is_judged_all_the_same() {
        let probe = "[probe]\nca = \"/nowhere/ca.crt\"\nserver_name = \"kubernetes\"\n";
        let missing = told(&format!("{THREE}{probe}"));
        assert_eq!(missing.len(), 1, "{missing:?}");
        assert!(missing[0].is_error && missing[0].found.contains("/nowhere/ca.crt"), "{missing:?}");
        let scratch = Scratch::new("doctor-broken").unwrap();
        let broken = scratch.write("a.toml", "masters = 5\n").unwrap();
        assert!(read(Program::Apiserver, &broken, true).is_err());
    }
}
