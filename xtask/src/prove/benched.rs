//! Steps that the bench runner measures or counts, or that a run of it has measured already.

use super::measured::{self, Bar};
use super::work::{BUILD, ended};
use super::{Yield, facts};
use crate::step::{self, cargo, typed};
use crate::{Outcome, guard, tree, tuned};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// What a measurement of one load may take.
const MEASURE: Duration = Duration::from_secs(1800);

/// How often what one and two workers take is counted.
const COUNTS: &str = "3";

/// What a step is asked for.
pub struct Asked<'a> {
    /// Its name.
    pub step: &'static str,
    /// Figures of a whole run, which are taken where they have the load; else it is measured.
    pub figures: Option<&'a Value>,
}

/// What the bench runner finds.
pub enum Measure {
    /// Processor time per unit, each beside others.
    Bars(&'static [Bar]),
    /// Resident memory of idle sessions; `fewer` of them where the limit of descriptors forbids.
    Idle { item: &'static str, sessions: u32, fewer: u32, most_kibibytes: f64 },
    /// KiB resident of each session at rest: item, load, the most.
    AtRest(&'static [(&'static str, &'static str, f64)]),
    /// Latency in open loops.
    Tails { item: &'static str, loads: &'static [&'static str] },
    /// Processor time per unit with more of something beside that with one.
    Flat { item: &'static str, loads: &'static [&'static str], most: f64 },
    /// Instructions and system calls per unit with two workers beside those with one.
    Workers { item: &'static str, most: f64 },
    /// Everything for a moment, with tables and plots, in so many seconds.
    Quick { item: &'static str, seconds: u64 },
    /// What a unit takes beside what is written down, and that more of it is noticed.
    Guard { items: [&'static str; 2] },
}

impl Measure {
    /// Runs it; files go to `folder`.
    pub fn run(&self, folder: &Path, asked: &Asked<'_>) -> Yield {
        match self {
            Self::Bars(bars) => Self::bars(bars, folder, asked),
            Self::Idle { item, sessions, fewer, most_kibibytes } => {
                // Two descriptors for each session and some for the rest.
                let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile);
                let enough = u64::from(*sessions) * 2 + 2000;
                let many = descriptors.maximum.is_none_or(|maximum| maximum >= enough);
                let sessions = if many { sessions } else { fewer }.to_string();
                let words = ["idle", "--sessions", &sessions, "--mebibytes", "1"];
                bench(&words, folder, asked, |report| measured::idle(report, item, *most_kibibytes))
            }
            Self::AtRest(rows) => {
                let loads: Vec<_> = rows.iter().map(|(_, load, _)| *load).collect();
                found(&loads, false, folder, asked, |report| {
                    let row = |(item, load, most): &(&str, &str, f64)| {
                        measured::at_rest(report, item, load, *most)
                    };
                    rows.iter().flat_map(row).collect()
                })
            }
            Self::Tails { item, loads } => found(loads, false, folder, asked, |report| {
                let tail = |(at, load): (usize, &&str)| {
                    measured::tail(report, &format!("{item}.{}", at + 1), load)
                };
                loads.iter().enumerate().map(tail).collect()
            }),
            Self::Flat { item, loads, most } => found(loads, true, folder, asked, |report| {
                let flat = |(at, load): (usize, &&str)| {
                    measured::flat(report, &format!("{item}.{}", at + 1), load, *most)
                };
                loads.iter().enumerate().flat_map(flat).collect()
            }),
            Self::Workers { item, most } => workers(item, *most, folder),
            Self::Quick { item, seconds } => quick(item, *seconds, folder),
            Self::Guard { items } => guarded(*items),
        }
    }

    /// Processor time beside others.
    pub fn bars(bars: &[Bar], folder: &Path, asked: &Asked<'_>) -> Yield {
        let mut loads: Vec<_> = bars.iter().map(|bar| bar.load).collect();
        loads.dedup();
        found(&loads, true, folder, asked, |report| {
            bars.iter().map(|bar| measured::comparison(report, bar)).collect()
        })
    }
}

/// Items of loads: out of figures that there are, or measured, if `closed` without open loops.
fn found(
    loads: &[&str],
    closed: bool,
    folder: &Path,
    asked: &Asked<'_>,
    read: impl FnOnce(&Value) -> Vec<Value>,
) -> Yield {
    let has_all = |report: &&Value| loads.iter().all(|load| measured::has(report, load));
    if let Some(report) = asked.figures.filter(has_all) {
        return taken(report, read);
    }
    let words = std::iter::once("run").chain(loads.iter().copied());
    let words: Vec<_> = words.chain(closed.then_some("--closed")).collect();
    bench(&words, folder, asked, read)
}

/// Items out of figures that there are.
fn taken(report: &Value, read: impl FnOnce(&Value) -> Vec<Value>) -> Yield {
    let command =
        fact(report, "command").unwrap_or_else(|| "a run that does not say its command".into());
    let commit = fact(report, "commit").unwrap_or_else(|| "unknown".into());
    let date = fact(report, "date").unwrap_or_default();
    Yield {
        items: read(report),
        trouble: unfit(&command),
        command,
        tables: "All tables: [`performance.md`](../performance.md).\n".into(),
        of: Some((facts::full(&commit, &facts::commit()), date)),
    }
}

/// Why figures of a command are none of a proof.
fn unfit(command: &str) -> Option<String> {
    let is_packed = ["--tuned", "BENCH_ECLUSA="].iter().any(|word| command.contains(word));
    if command.contains("--quick") {
        Some("the figures are of one short round (--quick)".into())
    } else if is_packed {
        None
    } else {
        Some("the figures are not of the programs as packages have them (--tuned)".into())
    }
}

fn fact(report: &Value, name: &str) -> Option<String> {
    let facts = report["facts"].as_array()?;
    Some(facts.iter().find(|fact| fact[0] == *name)?[1].as_str()?.to_owned())
}

/// What is measured: the edge as it is packed. Built once.
fn packed_edge() -> Outcome<PathBuf> {
    static TUNED: OnceLock<Outcome<PathBuf>> = OnceLock::new();
    let build = || tuned::build(None).map(|tuned| tuned.programs.join("eclusa-edge"));
    TUNED.get_or_init(build).clone()
}

/// A command of the runner with the program that is measured.
fn runner(words: &[&str]) -> Outcome<Command> {
    let program = packed_edge()?;
    let mut command = cargo();
    command.args(["run", "--release", "--locked", "--quiet", "-p", "bench", "--"]).args(words);
    command.env("BENCH_ECLUSA", program);
    Ok(command)
}

/// Runs the runner and reads its report.
fn bench(
    words: &[&str],
    folder: &Path,
    asked: &Asked<'_>,
    read: impl FnOnce(&Value) -> Vec<Value>,
) -> Yield {
    let mut command = match runner(words) {
        Ok(command) => command,
        Err(trouble) => return Yield { trouble: Some(trouble), ..Yield::default() },
    };
    let json = folder.join(format!("{}.bench", asked.step));
    let markdown = json.with_extension("tables");
    let _ = (fs::remove_file(&json), fs::remove_file(&markdown));
    let short = format!("cargo xtask tuned; BENCH_ECLUSA=... {}", typed(&command));
    command.arg("--json").arg(&json).arg("--markdown").arg(&markdown);
    let many = u32::try_from(words.len()).unwrap_or(1);
    let ran = step::run(&mut command, BUILD + MEASURE * many);
    let mut yielded = Yield { command: short, ..ended(&command, &ran) };
    match value(&json) {
        Ok(report) => yielded.items = read(&report),
        Err(error) => {
            yielded.trouble.get_or_insert(format!("there is no report: {error}"));
        }
    }
    yielded.tables = fs::read_to_string(&markdown).unwrap_or_default();
    yielded
}

/// A file of JSON.
///
/// # Errors
/// It is not there, or something else.
pub fn value(file: &Path) -> Outcome<Value> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
}

fn workers(item: &str, most: f64, folder: &Path) -> Yield {
    if let Some(trouble) = guard::missing().or_else(|| guard::build(BUILD).err()) {
        return Yield { trouble: Some(trouble), ..Yield::default() };
    }
    let file = folder.join("workers.counts");
    let _ = fs::remove_file(&file);
    let words = ["http-small", "--repeat", COUNTS];
    let mut command = guard::command(guard::runner(), &words);
    let short = format!("cargo xtask bench --guard {}", words.join(" "));
    let ran = step::run(command.arg("--json").arg(&file), BUILD + guard::COUNT);
    let mut yielded = Yield { command: short, ..ended(&command, &ran) };
    match value(&file) {
        Ok(counts) => {
            let names = ("http-small", "http-small-2-workers");
            yielded.items = measured::workers(&counts, item, names, most);
        }
        Err(error) => {
            yielded.trouble.get_or_insert(format!("nothing was counted: {error}"));
        }
    }
    yielded.tables = table(&ran.lines);
    yielded
}

/// The runner's table out of what it has printed.
fn table(lines: &[String]) -> String {
    lines.iter().filter(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect()
}

fn guarded([holds, notices]: [&str; 2]) -> Yield {
    let mut yielded =
        Yield { command: "cargo xtask bench --guard [--burden]".into(), ..Yield::default() };
    if let Some(trouble) = guard::missing().or_else(|| guard::build(BUILD).err()) {
        return Yield { trouble: Some(trouble), ..yielded };
    }
    let mut command = guard::command(guard::runner(), &[]);
    let ran = step::run(&mut command, BUILD + guard::COUNT);
    let cases = guard::cases(&ran.lines).count();
    yielded.items.push(json!({
        "item": format!("{holds} instructions and system calls per unit"),
        "figure": format!("{cases} cases counted"),
        "bound": "none over 5 % more than is written down",
        "n": cases,
        "passed": ran.trouble.is_none() && cases > 0,
        "note": ran.trouble,
    }));
    yielded.tables = table(&ran.lines);
    let (ran, trouble) = guard::burden(guard::runner());
    yielded.items.push(json!({
        "item": format!("{notices} a deliberate slowdown ({}, dressed)", guard::BURDENED),
        "figure": if trouble.is_none() { "the guard fails" } else { "the guard does not fail" },
        "bound": "the guard fails",
        "n": 1,
        "passed": trouble.is_none(),
        "note": trouble,
    }));
    yielded.tables += "\nWith the burden:\n\n";
    yielded.tables += &table(&ran.lines);
    yielded
}

fn quick(item: &str, seconds: u64, folder: &Path) -> Yield {
    let out = folder.join("quick");
    let _ = fs::remove_dir_all(&out);
    // Built before: what it takes to run is promised.
    let mut build = cargo();
    build.args(["build", "--release", "--locked", "-p", "bench"]);
    let built = step::run(&mut build, BUILD).trouble.map_or(Ok(()), Err);
    let mut command = match built.and_then(|()| runner(&["run", "--quick", "--out"])) {
        Ok(command) => command,
        Err(trouble) => return Yield { trouble: Some(trouble), ..Yield::default() },
    };
    let ran = step::run(command.arg(&out), Duration::from_secs(seconds * 3));
    let figures = value(&out.join("report.json")).unwrap_or_default();
    let told = fs::read_to_string(out.join("report.md")).unwrap_or_default();
    let cases = names(&tree::root().join("benches/cases"));
    let lacks = |case: &&String| !told.contains(&format!("\n## {case}/"));
    let lacking: Vec<_> = cases.iter().filter(lacks).cloned().collect();
    let loads = ["tables", "idle"].map(|key| figures[key].as_array().map_or(0, Vec::len));
    let (loads, plots): (usize, _) = (loads.iter().sum(), names(&out.join("plots")).len());
    let in_time = ran.took <= Duration::from_secs(seconds);
    let is_whole = lacking.is_empty() && loads >= cases.len() && plots >= loads;
    let mut note = ran.trouble.iter().cloned().collect::<Vec<_>>();
    note.extend((!lacking.is_empty()).then(|| format!("no table of {}", lacking.join(", "))));
    let took = ran.took.as_secs();
    let item = json!({
        "item": format!("{item} bench --quick"),
        "figure": format!("{took} s: {loads} loads of {} cases, {plots} plots", cases.len()),
        "bound": format!("within {seconds} s, each case with its table, each load with a plot, nothing failed"),
        "n": 1,
        "passed": ran.trouble.is_none() && in_time && is_whole && !cases.is_empty(),
        "note": note.join("; "),
    });
    Yield {
        items: vec![item],
        command: "cargo xtask bench --tuned --quick --out DIR".into(),
        ..Yield::default()
    }
}

/// The names of what is in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_whole_run_are_taken_with_their_commit() {
        let report = json!({
            "facts": [["date", "today"], ["commit", "abc1234"], ["command", "cargo xtask bench --tuned"]],
            "tables": [{"name": "a/1"}], "idle": [{"name": "b/1"}],
        });
        let asked = Asked { step: "x", figures: Some(&report) };
        let items = |_: &Value| vec![json!({"item": "1"})];
        let yielded = found(&["a/1", "b/1"], true, Path::new("/"), &asked, items);
        assert_eq!((yielded.items.len(), yielded.trouble), (1, None));
        assert_eq!(yielded.command, "cargo xtask bench --tuned");
        assert_eq!(yielded.of, Some(("abc1234".into(), "today".into())));
    }

    #[test]
    fn figures_of_something_else_prove_nothing() {
        assert!(unfit("cargo xtask bench").is_some_and(|why| why.contains("--tuned")));
        assert!(
            unfit("cargo xtask bench --quick --tuned").is_some_and(|why| why.contains("short"))
        );
        assert_eq!(unfit("BENCH_ECLUSA=... cargo xtask bench"), None);
    }
}
