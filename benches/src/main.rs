//! `bench`: ours beside HAProxy, nginx, Envoy and a direct connection.

use bench::case::{Case, Work, choose};
use bench::failure::{Failure, Outcome};
use bench::guard::{self, Baseline};
use bench::idle::{self, Idle, IdleReport};
use bench::markdown;
use bench::options::{
    Command, Common, EndpointOptions, GuardOptions, IdleOptions, LoadOptions, Options, PageOptions,
    Run,
};
use bench::page;
use bench::prepare::{prepare, setups};
use bench::publish;
use bench::report::Report;
use bench::run;
use bench::setup::Setup;
use bench::traffic::{answers, endpoint, load, terminated};
use clap::Parser;
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
        Command::Guard(options) => count(&options),
        Command::Page(PageOptions { page, figures }) => {
            page::read(&figures).and_then(|report| page::put(&page, &report)).map(|()| true)
        }
        Command::Endpoint(options) => serve_endpoint(&options),
        Command::Load(options) => serve_load(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("bench: not all is as it should be, see above");
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
        Some(http) if http.tls || http.streams > 0 => terminated::run(options.listen, http, limit),
        Some(http) => answers::run(options.listen, http, limit),
        None => endpoint::run(options.listen, options.work, options.bytes, limit),
    }
    .map(|()| true)
}

fn serve_load(options: &LoadOptions) -> Outcome<bool> {
    let LoadOptions { to, work, connections, bytes, at_once, http, rate, count, limit } = *options;
    let load = load::Load { to, work, connections, bytes, at_once, http, rate, count };
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
    let all = Case::read_all(Path::new(ROOT))?;
    let mut cases = choose(&all, &options.cases)?;
    if options.quick && options.cases.is_empty() {
        cases.retain(|(case, variant)| {
            case.variants.first().is_some_and(|v| v.form == variant.form)
        });
    }
    let Common { candidates, loopback, .. } = &options.common;
    let known = known(&all)?;
    let (bench, mut facts) = prepare(Path::new(ROOT), *loopback, false)?;
    let effort = options.effort();
    let run::Effort { rounds, times, .. } = effort;
    facts.push((
        "rounds".into(),
        format!("{rounds} of {:?} after {:?}", times.measure, times.warm_up),
    ));
    facts.push(("command".into(), options.typed.clone().unwrap_or_else(typed)));
    let mut report = Report { facts, tables: Vec::new(), idle: Vec::new() };
    for (case, variant) in &cases {
        let setups = setups(&bench, case, candidates, &known)?;
        if case.work == Work::Idle {
            let idle = options.idle(variant.connections, idle::most(bench.descriptors));
            report.idle.push(idle::run(&bench, (case, variant), &setups, idle)?);
        } else {
            report.tables.push(run::run(&bench, case, variant, &setups, effort)?);
        }
        // All takes hours: what there is so far survives a signal.
        if let Some(folder) = &options.out {
            publish::folder(folder, &report)?;
        }
    }
    tell(&options.common, &markdown::report(&report, None), &report)?;
    if let Some(page) = &options.page {
        page::put(page, &report)?;
    }
    Ok(report.good())
}

/// This program's own command line, without where it is.
fn typed() -> String {
    std::iter::once("bench".to_owned())
        .chain(std::env::args().skip(1))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Every setup of every case.
fn known(cases: &[Case]) -> Outcome<Vec<Setup>> {
    let setups: Vec<_> = cases.iter().map(Setup::of_case).collect::<Outcome<_>>()?;
    Ok(setups.into_iter().flatten().collect())
}

fn measure_idle(options: &IdleOptions) -> Outcome<bool> {
    let cases = Case::read_all(Path::new(ROOT))?;
    let case = cases.iter().find(|case| case.work == Work::Idle && case.http.is_none());
    let case = case.ok_or_else(|| Failure::new("there is no case of idle TCP"))?;
    let variant = case.variants.first().ok_or_else(|| Failure::new("the case has no load"))?;
    let (sessions, mebibytes) = (options.sessions as usize, options.mebibytes as usize);
    let idle = Idle { sessions, mebibytes };
    let Common { candidates, loopback, .. } = &options.common;
    let (bench, facts) = prepare(Path::new(ROOT), *loopback, false)?;
    idle::check(idle, bench.descriptors)?;
    let setups = setups(&bench, case, candidates, &known(&cases)?)?;
    let table = idle::run(&bench, (case, variant), &setups, idle)?;
    let (markdown, good) = (markdown::idle_report(&facts, &table), table.good());
    let report = IdleReport { facts, sessions, mebibytes, rows: table.rows };
    tell(&options.common, &markdown, &report)?;
    Ok(good)
}

fn count(options: &GuardOptions) -> Outcome<bool> {
    let cases = Case::read_all(Path::new(ROOT))?;
    // As CI has it: on loopback, as whoever runs this.
    let (mut bench, _) = prepare(Path::new(ROOT), true, true)?;
    // Wherever there is time.
    bench.cores = None;
    let GuardOptions { baseline: file, bless, burden, .. } = options;
    let mut baseline =
        if *bless && !file.exists() { Baseline::default() } else { Baseline::read(file)? };
    let manner = guard::Manner {
        repeat: usize::from(options.repeat),
        burden: *burden,
        doubt: (!bless && !burden).then_some(&baseline),
    };
    let found = guard::count(&bench, &cases, &options.cases, manner)?;
    if let Some(file) = &options.json {
        publish::json(file, &found)?;
    }
    if *bless {
        baseline.rustc = guard::rustc();
        let medians =
            found.iter().filter_map(|(name, counts)| Some((name.clone(), guard::median(counts)?)));
        baseline.counts.extend(medians);
        publish::write(file, &baseline.to_text())?;
    }
    let (text, good) = guard::judge(&baseline, &found);
    print!("{text}");
    Ok(good)
}

/// Prints the tables and writes the files.
fn tell(common: &Common, markdown: &str, report: &impl serde::Serialize) -> Outcome<()> {
    print!("{markdown}");
    if let Some(path) = &common.markdown {
        publish::write(path, markdown)?;
    }
    if let Some(path) = &common.json {
        publish::json(path, report)?;
    }
    Ok(())
}
