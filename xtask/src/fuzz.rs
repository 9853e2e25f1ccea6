//! `cargo xtask fuzz`: targets for a while each, with the corpora that fuzz/README.md describes.

use crate::step::{self, Ran};
use crate::{Outcome, tree};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// What building the targets may take: a cold build of libFuzzer and the crates on a slow machine.
const BUILD: Duration = Duration::from_secs(900);

/// What reading the corpora may take.
const OVERDUE: Duration = Duration::from_secs(60);

/// What shows libFuzzer where an input leads, as `cargo fuzz build -s none` has it (0.13): its program would
/// take longer to build than these targets. One unit of code, or nothing is inlined across crates. Without the
/// address sanitizer the stable compiler will do; nothing that is fuzzed is unsafe.
const FLAGS: [&str; 9] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Cdebug-assertions",
    "-Ccodegen-units=1",
];

/// `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Targets; all if none.
    targets: Vec<String>,
    /// How long each runs.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
}

/// What became of one target.
#[derive(Debug, PartialEq, Eq)]
pub struct Fuzzed {
    /// Its name.
    pub target: String,
    /// Inputs that were tried.
    pub executions: u64,
    /// Places of the code that were reached, as libFuzzer counts them.
    pub coverage: u64,
    /// Why it did not end well.
    pub trouble: Option<String>,
}

impl std::fmt::Display for Fuzzed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { target, executions, coverage, trouble } = self;
        write!(out, "{target}: {executions} executions, coverage {coverage}, ")?;
        match trouble {
            None => write!(out, "clean"),
            Some(trouble) => write!(out, "{trouble}"),
        }
    }
}

/// Runs the targets that were asked for.
///
/// # Errors
/// There is no C++ compiler, a target is unknown, does not build, or crashed.
pub fn run(options: &Options) -> Outcome {
    missing().map_or(Ok(()), Err)?;
    let known = targets()?;
    if let Some(unknown) = options.targets.iter().find(|target| !known.contains(target)) {
        return Err(format!(
            "there is no fuzz target `{unknown}`; there are: {}",
            known.join(", ")
        ));
    }
    let wanted = if options.targets.is_empty() { known } else { options.targets.clone() };
    let mut fuzzed = Vec::new();
    each(&wanted, options.seconds, |one, _| fuzzed.push(one));
    fuzzed.iter().for_each(|fuzzed| println!("fuzz: {fuzzed}"));
    let failed = fuzzed.iter().filter(|fuzzed| fuzzed.trouble.is_some()).count();
    if failed > 0 {
        return Err(format!("{failed} of {} fuzz targets failed", fuzzed.len()));
    }
    Ok(())
}

/// The targets of fuzz/Cargo.toml.
///
/// # Errors
/// It cannot be read.
pub fn targets() -> Outcome<Vec<String>> {
    let text = fs::read_to_string(tree::root().join("fuzz/Cargo.toml"))
        .map_err(|error| format!("cannot read fuzz/Cargo.toml: {error}"))?;
    let document: toml::Table =
        text.parse().map_err(|error| format!("fuzz/Cargo.toml: {error}"))?;
    let programs = document.get("bin").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let names = programs.iter().filter_map(|program| program.get("name")?.as_str());
    Ok(names.map(ToOwned::to_owned).collect())
}

/// What to do when libFuzzer cannot be built.
pub fn missing() -> Option<String> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let found = step::said(Command::new(&compiler).arg("--version")).is_ok();
    (!found).then(|| {
        format!("no C++ compiler `{compiler}`, which libFuzzer is built with: apt-get install g++")
    })
}

/// Where they are built: not where `cargo fuzz` does it, which has flags of its own.
fn folder() -> PathBuf {
    step::target_directory().join("fuzz")
}

/// Builds targets and runs each for some seconds, as many at once as there are cores; `told` hears of
/// each, in order, with what it wrote.
pub fn each(targets: &[String], seconds: u32, mut told: impl FnMut(Fuzzed, &Ran)) {
    let built = build(targets);
    if built.trouble.is_some() {
        return targets.iter().for_each(|target| told(read(target, &built, true), &built));
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for some in targets.chunks(cores) {
        let ran: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> =
                some.iter().map(|target| scope.spawn(|| run_one(target, seconds))).collect();
            running.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        for (target, ran) in some.iter().zip(ran) {
            let ran = ran.unwrap_or_else(|_| failed("its thread has panicked".into()));
            told(read(target, &ran, false), &ran);
        }
    }
}

/// Builds the targets: with one call, since each call links one after the other.
fn build(targets: &[String]) -> Ran {
    let host = match step::host() {
        Ok(host) => host,
        Err(trouble) => return failed(trouble),
    };
    let mut build = step::cargo();
    build.args(["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml"]);
    // With a target named, nothing that runs while it compiles has the flags.
    build.args(["--target", &host, "--target-dir"]).arg(folder());
    build.args(targets.iter().flat_map(|target| ["--bin", target.as_str()]));
    build.env("RUSTFLAGS", format!("--cfg fuzzing {}", FLAGS.join(" ")));
    step::run(&mut build, BUILD)
}

/// Runs a target that was built.
fn run_one(target: &str, seconds: u32) -> Ran {
    // As `cargo fuzz` has them: what it found goes on here, and the other way round.
    let (found, crashes) =
        (format!("fuzz/target/corpus/{target}"), format!("fuzz/artifacts/{target}/"));
    for folder in [&found, &crashes] {
        if let Err(error) = fs::create_dir_all(tree::root().join(folder)) {
            return failed(format!("cannot make {folder}: {error}"));
        }
    }
    let program = match step::host() {
        Ok(host) => folder().join(host).join("release").join(target),
        Err(trouble) => return failed(trouble),
    };
    let mut command = step::program(&program.to_string_lossy());
    command.arg(format!("-artifact_prefix={crashes}")).arg(found);
    let kept = format!("fuzz/corpus/{target}");
    if tree::root().join(&kept).is_dir() {
        command.arg(kept);
    }
    command.args(["-print_final_stats=1", &format!("-max_total_time={seconds}")]);
    step::run_quietly(&mut command, OVERDUE + Duration::from_secs(u64::from(seconds) * 2))
}

/// What did not run.
fn failed(trouble: String) -> Ran {
    Ran { lines: Vec::new(), took: Duration::ZERO, trouble: Some(trouble) }
}

/// Reads what libFuzzer says.
fn read(target: &str, ran: &Ran, building: bool) -> Fuzzed {
    let mut fuzzed = Fuzzed { target: target.into(), executions: 0, coverage: 0, trouble: None };
    let mut input = None;
    for line in &ran.lines {
        if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
            fuzzed.executions = number.trim().parse().unwrap_or(0);
        } else if line.starts_with('#')
            && let Some((_, rest)) = line.split_once("cov: ")
        {
            let number = rest.split(' ').next().unwrap_or_default();
            fuzzed.coverage = number.parse().unwrap_or(fuzzed.coverage);
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            let path = Path::new(path.trim());
            input = Some(path.strip_prefix(tree::root()).unwrap_or(path).display().to_string());
        }
    }
    fuzzed.trouble = match (&ran.trouble, input) {
        (_, Some(input)) => Some(format!("CRASHED: the input is {input}")),
        (Some(trouble), None) if building => Some(format!("does not build: {trouble}")),
        (Some(trouble), None) => Some(trouble.clone()),
        (None, None) if fuzzed.executions == 0 => Some("tried no input at all".into()),
        (None, None) => None,
    };
    fuzzed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read() {
        let lines = [
            "#12\tINITED cov: 12 ft: 40 corp: 9/1Kb exec/s: 0 rss: 40Mb",
            "#524288\tDONE   cov: 345 ft: 900 corp: 99/8Kb lim: 400 exec/s: 1000 rss: 50Mb",
            "stat::number_of_executed_units: 524288",
        ];
        let fuzzed = read("a", &Ran::of(&lines, None), false);
        assert_eq!(fuzzed.to_string(), "a: 524288 executions, coverage 345, clean");
    }

    #[test]
    fn crashes_are_told() {
        let lines = ["artifact_prefix='x/'; Test unit written to fuzz/artifacts/a/crash-1"];
        let fuzzed = read("a", &Ran::of(&lines, Some("ended with exit status: 77")), false);
        assert_eq!(
            fuzzed.trouble.as_deref(),
            Some("CRASHED: the input is fuzz/artifacts/a/crash-1")
        );
        let fuzzed = read("a", &Ran::of(&[], Some("ended with exit status: 101")), true);
        assert!(fuzzed.trouble.is_some_and(|trouble| trouble.starts_with("does not build")));
        assert_eq!(
            read("a", &Ran::of(&[], None), false).trouble.as_deref(),
            Some("tried no input at all")
        );
    }

    #[test]
    fn the_targets_are_known() {
        let targets = targets().unwrap();
        assert!(targets.iter().any(|target| target == "proxy"), "{targets:?}");
    }
}
