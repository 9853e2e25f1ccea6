//! `bench`: ours beside HAProxy, nginx and a direct connection.

use bench::binaries::{Binary, Kind};
use bench::case::{Case, Work, choose};
use bench::certificate;
use bench::failure::{Context, Failure, Outcome};
use bench::idle::{self, AT_ONCE, Idle, IdleReport};
use bench::interrupt::Interrupt;
use bench::machine::{self, Fact};
use bench::markdown;
use bench::measure::{Bench, Times};
use bench::options::{Command, Common, EndpointOptions, IdleOptions, LoadOptions, Options, Run};
use bench::place::{Cores, may_make_namespaces};
use bench::process::Scratch;
use bench::report::Report;
use bench::run;
use bench::service::Identity;
use bench::setup::Setup;
use bench::traffic::{answers, endpoint, load};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Where cases and templates are: this package's folder.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn main() -> ExitCode {
    let done = match Options::parse().command {
        Command::List => list().map(|()| true),
        Command::Run(options) => measure(&options),
        Command::Idle(options) => measure_idle(&options),
        Command::Endpoint(options) => serve_endpoint(&options),
        Command::Load(options) => serve_load(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("bench: there were failures or errors, see above");
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn serve_endpoint(options: &EndpointOptions) -> Outcome<bool> {
    let limit = Duration::from_secs(options.limit);
    match options.http {
        Some(http) => answers::run(options.listen, http, limit),
        None => endpoint::run(options.listen, options.work, options.bytes, limit),
    }
    .map(|()| true)
}

fn serve_load(options: &LoadOptions) -> Outcome<bool> {
    let LoadOptions { to, work, connections, bytes, at_once, http, limit } = *options;
    let load = load::Load { to, work, connections, bytes, at_once, http };
    load::run(load, Duration::from_secs(limit)).map(|()| true)
}

fn list() -> Outcome<()> {
    for case in Case::read_all(Path::new(ROOT))? {
        let loads: Vec<_> = case.variants.iter().map(|v| case.variant_name(v)).collect();
        println!("{}\n    {}", loads.join("  "), case.description.replace('\n', "\n    "));
        let setups: Vec<_> = Setup::of_case(&case)?.into_iter().map(|setup| setup.name).collect();
        println!("    setups: {}\n", setups.join(", "));
    }
    Ok(())
}

fn measure(options: &Run) -> Outcome<bool> {
    let cases = choose(&Case::read_all(Path::new(ROOT))?, &options.cases)?;
    let (bench, mut facts) = prepare(&options.common)?;
    let (rounds, warm_up, measure) = options.effort();
    facts.push(("rounds".into(), format!("{rounds} of {measure:?} after {warm_up:?}")));
    let mut tables = Vec::new();
    for (case, variant) in &cases {
        let setups = setups(&bench, case, &options.common.candidates)?;
        let times = Times { warm_up, measure };
        tables.push(run::run(&bench, case, variant, &setups, rounds, times)?);
    }
    let report = Report { facts, tables };
    publish(&options.common, &markdown::report(&report), &report)?;
    Ok(report.good())
}

fn measure_idle(options: &IdleOptions) -> Outcome<bool> {
    let cases = Case::read_all(Path::new(ROOT))?;
    let case = cases.iter().find(|case| case.work == Work::Idle);
    let case = case.ok_or_else(|| Failure::new("there is no case with idle work"))?;
    let (sessions, mebibytes) = (options.sessions as usize, options.mebibytes as usize);
    let idle = Idle { sessions, mebibytes };
    let (bench, facts) = prepare(&options.common)?;
    idle::check(idle, bench.descriptors)?;
    let mut setups = setups(&bench, case, &options.common.candidates)?;
    setups.retain(|setup| setup.template.is_some());
    let rows = idle::run(&bench, case, &setups, idle)?;
    let report = IdleReport { facts, sessions, at_once: AT_ONCE, mebibytes, rows };
    publish(&options.common, &markdown::idle(&report), &report)?;
    Ok(report.good())
}

/// Finds out what this machine has, and says it.
fn prepare(common: &Common) -> Outcome<(Bench, Vec<Fact>)> {
    let workspace = Path::new(ROOT).parent().unwrap_or(Path::new(ROOT));
    let mut facts = machine::facts(workspace);
    let scratch = Scratch::new()?;
    certificate::write(scratch.path())?;
    let interrupt = Interrupt::new()?;
    let mut binaries = Vec::new();
    for kind in Kind::ALL {
        match Binary::find(kind, workspace, scratch.path()) {
            Ok(binary) => {
                facts.push((kind.name().into(), binary.version.clone()));
                binaries.push(binary);
            }
            Err(failure) => {
                eprintln!("ABSENT: {}: {failure}", kind.name());
                facts.push((kind.name().into(), format!("**absent**: {failure}")));
            }
        }
    }
    let root = may_make_namespaces();
    let namespaces = root && !common.loopback;
    let unit = workspace.join("systemd/eclusa-edge.service");
    let identity = root.then(|| Identity::of_unit(&unit)).transpose()?;
    let cores = Cores::choose()?;
    facts.push(("place".into(), place(namespaces, cores)));
    facts.push(("candidates run as".into(), whom(identity.as_ref())));
    let bench = Bench {
        program: std::env::current_exe().context(|| "this program's path".into())?,
        scratch,
        identity,
        cores,
        namespaces,
        binaries,
        descriptors: raise_descriptors()?,
        interrupt,
        places: Cell::new(0),
    };
    Ok((bench, facts))
}

fn place(namespaces: bool, cores: Option<Cores>) -> String {
    let place = if namespaces {
        "three network namespaces joined by veth, congestion control reno"
    } else {
        "loopback (congestion control as the machine has it)"
    };
    let cores = cores.map_or_else(
        || "one core for all, nothing pinned".to_owned(),
        |c| format!("candidate on core {}, generator and endpoint on core {}", c.candidate, c.load),
    );
    format!("{place}; {cores}")
}

fn whom(identity: Option<&Identity>) -> String {
    let Some(identity) = identity else { return "the user of this run".into() };
    let user = identity.user.as_deref().unwrap_or("no user named by the unit");
    format!(
        "{user} (id {}), capabilities: {}",
        identity.ids.0,
        if identity.ambient.is_empty() { "none".into() } else { identity.ambient.join(" ") }
    )
}

/// Allows this process, and so its children, as many descriptors as it may have.
fn raise_descriptors() -> Outcome<u64> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context(|| "cannot raise the limit of descriptors".into())?;
    // nginx sizes a table by it.
    Ok(limit.maximum.unwrap_or(u64::MAX).min(200_000))
}

/// The setups of a case that are wanted and whose program is here.
fn setups(bench: &Bench, case: &Case, candidates: &[String]) -> Outcome<Vec<Setup>> {
    let all = Setup::of_case(case)?;
    let unknown = |name: &&String| !all.iter().any(|s| s.wanted(std::slice::from_ref(*name)));
    if let Some(name) = candidates.iter().find(unknown) {
        let names: Vec<_> = all.iter().map(|setup| setup.name.as_str()).collect();
        return Err(Failure::new(format!("no candidate {name}; there are: {}", names.join(", "))));
    }
    let mut setups: Vec<_> = all.into_iter().filter(|s| s.wanted(candidates)).collect();
    setups.retain(|setup| match &setup.template {
        Some((kind, _)) => bench.binaries.iter().any(|binary| binary.kind == *kind),
        None => true,
    });
    if setups.is_empty() {
        return Err(Failure::new("none of the wanted candidates is here"));
    }
    Ok(setups)
}

/// Prints the tables and writes the files.
fn publish(common: &Common, markdown: &str, report: &impl Serialize) -> Outcome<()> {
    print!("{markdown}");
    let write = |path: &Path, text: &str| {
        fs::write(path, text).context(|| format!("cannot write {}", path.display()))
    };
    if let Some(path) = &common.markdown {
        write(path, markdown)?;
    }
    if let Some(path) = &common.json {
        let json = serde_json::to_string_pretty(report).context(|| "report".into())?;
        write(path, &json)?;
    }
    Ok(())
}
