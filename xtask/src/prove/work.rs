//! The kinds of steps: how each runs, and how its items are found.

use super::benched::{Asked, Measure};
use super::checks::{self, Check};
use super::measured::{Against, Bar};
use super::{Yield, packages, start};
use crate::step::{self, Ran, cargo, count, program, typed};
use crate::{Outcome, fuzz};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What building in release may take.
pub const BUILD: Duration = Duration::from_secs(1800);

/// A kind of step, with what it needs to know.
pub enum Work {
    /// A program of the project that must end well.
    Program {
        item: &'static str,
        bound: &'static str,
        arguments: &'static [&'static str],
        seconds: u64,
    },
    /// `.ci/run` on a clone of the commit with nothing built: items with their seconds.
    FreshClone { all: (&'static str, u64), tests: (&'static str, u64) },
    /// Test targets of a package in full size (`ECLUSA_PROOF=1`), one at a time. They append their items as
    /// lines of JSON to the file that `ECLUSA_PROOF_OUT` names. Where `only` names some, those whose names
    /// contain one of these; in any case none that a list of `skip` names.
    Tests {
        package: &'static str,
        targets: &'static [&'static str],
        only: &'static [&'static str],
        skip: &'static [&'static [&'static str]],
        seconds: u64,
    },
    /// Tests of a package that writes no items: each run is one. `targets` are cargo's options that
    /// choose among its targets.
    Checks { package: &'static str, targets: &'static [&'static str], checks: &'static [Check] },
    /// Processor time per unit beside a peer, or beside the best of them.
    Bench { load: &'static str, item: &'static str, peer: Option<&'static str>, most: f64 },
    /// What else the bench runner finds.
    Measure(Measure),
    /// Fuzz targets.
    Fuzz { item: &'static str, targets: &'static [&'static str], seconds: u32 },
    /// The packages of `cargo xtask dist`, in a clean Debian root.
    Packages,
    /// The first page of the operator's book, in a clean Debian root.
    Start,
}

impl Work {
    /// Runs it; files go to `folder`. Of tests only those that `filter` names. What fails is told in what it
    /// yields.
    pub fn run(&self, folder: &Path, filter: Option<&str>, asked: &Asked<'_>) -> Yield {
        let name = asked.step;
        match self {
            Self::Program { item, bound, arguments, seconds } => {
                let mut command = cargo();
                command.args(*arguments);
                let ran = step::run(&mut command, Duration::from_secs(*seconds));
                let figure = format!("ended after {} s", ran.took.as_secs());
                let item = json!({"item": item, "figure": figure, "bound": bound, "n": 1,
                                  "passed": ran.trouble.is_none()});
                Yield { items: vec![item], ..ended(&command, &ran) }
            }
            Self::FreshClone { all, tests } => fresh_clone(folder, *all, *tests),
            Self::Tests { package, targets, only, skip, seconds } => {
                let out = folder.join(format!("{name}.lines"));
                let names: Vec<_> = match filter {
                    Some(filter) => vec![filter],
                    None => only.to_vec(),
                };
                let skip = skip.iter().copied().flatten().flat_map(|name| ["--skip", *name]);
                let names: Vec<_> = names.into_iter().chain(skip).collect();
                tests((package, targets), &out, &names, Duration::from_secs(*seconds))
            }
            Self::Checks { package, targets, checks } => checks::run(package, targets, checks),
            Self::Bench { load, item, peer, most } => {
                let against = peer.map_or(Against::Best, Against::Peer);
                let bar = Bar { load, item, against, most: *most };
                Measure::bars(std::slice::from_ref(&bar), folder, asked)
            }
            Self::Measure(measure) => measure.run(folder, asked),
            Self::Packages => packages::run(folder),
            Self::Start => start::run(folder),
            Self::Fuzz { item, targets, seconds } => fuzz_targets(item, targets, *seconds),
        }
    }
}

/// What a command's end says by itself.
pub(super) fn ended(command: &Command, ran: &Ran) -> Yield {
    Yield { command: typed(command), trouble: ran.trouble.clone(), ..Yield::default() }
}

/// Builds what ships, alone, as it ships.
fn build_release() -> Option<String> {
    let trouble = step::run(&mut step::programs("release"), BUILD).trouble;
    trouble.map(|trouble| format!("the programs do not build: {trouble}"))
}

/// Builds the fakes that tests start as processes of their own, beside the tests.
fn build_fakes() -> Option<String> {
    let mut command = cargo();
    command.args(["build", "--release", "--locked", "-p", "eclusa-testkit"]);
    command.args(["--no-default-features", "--bin", "eclusa-fake", "--bin", "eclusa-flood"]);
    step::run(&mut command, BUILD)
        .trouble
        .map(|trouble| format!("the fakes do not build: {trouble}"))
}

/// The program that is a fake: built here, or at hand where the programs are that are packed
/// (`ECLUSA_BINARIES`).
///
/// # Errors
/// It does not build.
pub(super) fn fake() -> Outcome<PathBuf> {
    let at_hand = std::env::var_os("ECLUSA_BINARIES").map(PathBuf::from);
    if let Some(at_hand) = at_hand {
        return Ok(at_hand.join("eclusa-fake"));
    }
    match build_fakes() {
        None => Ok(step::built("release", "eclusa-fake")),
        Some(trouble) => Err(trouble),
    }
}

fn fresh_clone(folder: &Path, all: (&str, u64), tests: (&str, u64)) -> Yield {
    let clone = folder.join("clone");
    let mut command = program("bash");
    // Nothing of this checkout may help: neither what it has built nor its variables.
    command.args([
        "-c",
        "rm -rf \"$1\" && git clone --quiet . \"$1\" && cd \"$1\" && ./.ci/run",
        "ci",
    ]);
    command.arg(&clone).env_remove("CARGO_TARGET_DIR");
    let ran = step::run(&mut command, Duration::from_secs(all.1 * 2));
    // What it built is large and of no use to anybody.
    let _ = fs::remove_dir_all(&clone);
    let tally = ran.lines.iter().rev().find(|line| closing(line));
    let took = ran.took.as_secs();
    let figure = tally.map_or("no closing line".into(), |tally| format!("{took} s: {tally}"));
    let passed = ran.trouble.is_none() && tally.is_some() && took <= all.1;
    let mut items = vec![json!({"item": all.0, "figure": figure, "passed": passed, "n": 1,
        "bound": format!("green within {} s, nothing built before", all.1)})];
    let seconds: Vec<_> = ["build tests", "cargo test"]
        .iter()
        .filter_map(|name| ran.lines.iter().rev().find_map(|line| seconds_of(line, name)))
        .collect();
    let sum: f64 = seconds.iter().sum();
    #[allow(clippy::cast_precision_loss)]
    let passed = seconds.len() == 2 && sum <= tests.1 as f64;
    items.push(json!({"item": tests.0, "figure": format!("{sum:.0} s with building"), "n": 1,
        "bound": format!("{} s", tests.1), "passed": passed}));
    Yield {
        items,
        command: "git clone . CLONE && cd CLONE && .ci/run".into(),
        ..ended(&command, &ran)
    }
}

/// `N passed, N failed, N skipped`.
fn closing(line: &str) -> bool {
    let parts: Vec<_> = line.split(", ").collect();
    let ends = [" passed", " failed", " skipped"];
    parts.len() == 3
        && parts.iter().zip(ends).all(|(part, end)| {
            part.strip_suffix(end).is_some_and(|number| number.parse::<u64>().is_ok())
        })
}

/// The seconds of a line of the summary of `cargo xtask test`.
fn seconds_of(line: &str, step: &str) -> Option<f64> {
    let (seconds, rest) = line.trim_start().split_once(" s  ")?;
    rest.starts_with(step).then(|| seconds.parse().ok())?
}

fn tests(
    (package, targets): (&str, &[&str]),
    out: &Path,
    names: &[&str],
    limit: Duration,
) -> Yield {
    if let Some(trouble) = build_release().or_else(build_fakes) {
        return Yield { trouble: Some(trouble), ..Yield::default() };
    }
    if let Err(error) = fs::write(out, "") {
        return Yield { trouble: Some(format!("{}: {error}", out.display())), ..Yield::default() };
    }
    let mut command = cargo();
    command.args(["test", "--release", "--locked", "--no-fail-fast", "-p", package]);
    command.args(targets.iter().flat_map(|target| ["--test", *target])).arg("--");
    command.args(names).args(["--nocapture", "--test-threads=1"]);
    command.env("ECLUSA_PROOF", "1").env("ECLUSA_PROOF_OUT", out);
    command.env("ECLUSA_APISERVER_BINARY", step::built("release", "eclusa-apiserver"));
    command.env("ECLUSA_EDGE_BINARY", step::built("release", "eclusa-edge"));
    let ran = step::run(&mut command, limit);
    let mut yielded = ended(&command, &ran);
    yielded.command = format!("ECLUSA_PROOF=1 {}", yielded.command);
    let tally = count(ran.lines.iter().map(String::as_str));
    match items(&fs::read_to_string(out).unwrap_or_default()) {
        Ok(items) if items.is_empty() => {
            yielded.trouble.get_or_insert_with(|| format!("the tests left no items ({tally})"));
        }
        Ok(items) => yielded.items = items,
        Err(error) => yielded.trouble = Some(error),
    }
    if tally.skipped > 0 && yielded.trouble.is_none() {
        yielded.trouble = Some(format!("tests were skipped: {tally}"));
    }
    yielded
}

/// Items as the tests wrote them, a line each. One that was written several times (a retry) counts
/// with its last line.
fn items(lines: &str) -> Outcome<Vec<Value>> {
    let mut items: Vec<Value> = Vec::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let item: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        if !item["item"].is_string() || !item["passed"].is_boolean() {
            return Err(format!(
                "an item needs `item` (text) and `passed` (true or false): {line}"
            ));
        }
        items.retain(|old| old["item"] != item["item"]);
        items.push(item);
    }
    Ok(items)
}

fn fuzz_targets(item: &str, targets: &[&str], seconds: u32) -> Yield {
    let command = format!("cargo xtask fuzz --seconds {seconds} {}", targets.join(" "));
    if let Some(missing) = fuzz::missing() {
        return Yield { command, trouble: Some(missing), ..Yield::default() };
    }
    let targets: Vec<_> = targets.iter().map(|target| (*target).to_owned()).collect();
    let mut items = Vec::new();
    fuzz::each(&targets, seconds, |fuzzed, _| {
        let fuzz::Fuzzed { target, executions, coverage, trouble } = fuzzed;
        items.push(json!({
            "item": format!("{item}.{} fuzz {target}", items.len() + 1),
            "figure": format!("{executions} executions, coverage {coverage}"),
            "bound": format!("{seconds} s, clean"),
            "n": executions,
            "passed": trouble.is_none(),
            "note": trouble,
        }));
    });
    Yield { items, command, ..Yield::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_lines_of_json() {
        let text =
            "{\"item\": \"3.1 a\", \"passed\": false}\n\n{\"item\": \"3.1 a\", \"passed\": true}\n";
        assert_eq!(items(text).unwrap(), [json!({"item": "3.1 a", "passed": true})]);
        assert!(items("{\"item\": \"a\"}").is_err_and(|error| error.contains("`passed`")));
        assert!(items("nonsense").is_err());
    }

    #[test]
    fn the_summary_of_test_is_read() {
        assert!(closing("12 passed, 0 failed, 3 skipped"));
        assert!(!closing("test result: ok. 12 passed, 0 failed, 3 skipped"));
        let line = "  123.4 s  cargo test       12 passed, 0 failed, 0 skipped";
        assert_eq!(seconds_of(line, "cargo test"), Some(123.4));
        assert_eq!(seconds_of(line, "build tests"), None);
        assert_eq!(seconds_of("nothing", "cargo test"), None);
    }
}
