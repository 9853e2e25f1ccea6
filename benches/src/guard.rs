//! The guard: instructions and system calls for each unit of work, beside those that are written down
//! in `guard.toml`. One connection in a closed loop does so many operations; that is the same each
//! time, so that a few percent more are somebody's doing and no noise.

use crate::case::{Case, Variant};
use crate::count::{Instructions, PATIENCE, SystemCalls, callgrind, workers};
use crate::failure::{Context, Failure, Outcome};
use crate::measure::mark;
use crate::process::Process;
use crate::scene::{Bench, Scene};
use crate::setup::{OURS, Setup};
use crate::stage::Stage;
use crate::statistics::Spread;
use crate::work::Form;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How much more than is written down is too much.
pub const TOLERANCE: f64 = 0.05;

/// How often what seems too much is counted in all.
const DOUBTED: usize = 3;

/// Counting that takes less has no share worth mentioning of what workers do in rhythms of their own.
const SWIFT: Duration = Duration::from_secs(2);

/// How long a worker at rest is looked at.
const REST: Duration = Duration::from_secs(2);

/// The largest share of a count that is taken for a rhythm.
const RHYTHM: f64 = 0.1;

/// What is guarded: streams of bulk are not, as how they are cut depends on who runs when.
const GUARDED: [Guarded; 11] = [
    Guarded::of("tcp-ping-pong", 400),
    Guarded::of("tcp-connect-close", 200),
    Guarded::of("http-small", 300),
    Guarded { form: Form::Dressed, ..Guarded::of("http-small", 300) },
    Guarded { workers: 2, ..Guarded::of("http-small", 300) },
    Guarded::of("http-fields", 300),
    Guarded::of("https-small", 300),
    Guarded::of("https-handshake", 40),
    Guarded::of("h2c", 200),
    Guarded::of("http-websocket", 400),
    Guarded::of("grpc-unary", 200),
];

/// A case and how much of it is done.
#[derive(Clone, Copy, Debug)]
struct Guarded {
    case: &'static str,
    form: Form,
    workers: usize,
    operations: u64,
}

impl Guarded {
    const fn of(case: &'static str, operations: u64) -> Self {
        Self { case, form: Form::Bare, workers: 1, operations }
    }

    /// As in the baseline.
    fn name(self) -> String {
        let form = if self.form == Form::Dressed { "-dressed" } else { "" };
        let workers =
            if self.workers > 1 { format!("-{}-workers", self.workers) } else { String::new() };
        format!("{}{form}{workers}", self.case)
    }
}

/// What a unit of work takes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Instructions of the worker outside the kernel.
    pub instructions: f64,
    /// System calls of the worker; `None` where they are a matter of time.
    pub system_calls: Option<f64>,
}

impl fmt::Display for Counts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.1} instructions", self.instructions)?;
        self.system_calls.map_or(Ok(()), |calls| write!(out, ", {calls:.3} system calls"))
    }
}

/// `guard.toml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The compiler: another one makes other code.
    pub rustc: String,
    /// What each unit took.
    pub counts: BTreeMap<String, Counts>,
}

impl Baseline {
    /// Reads the file.
    ///
    /// # Errors
    /// It is not there, or something else.
    pub fn read(file: &Path) -> Outcome<Self> {
        let text =
            std::fs::read_to_string(file).context(|| format!("cannot read {}", file.display()))?;
        toml::from_str(&text).context(|| file.display().to_string())
    }

    /// As the file has it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "# What a unit of work takes of a worker: `cargo xtask bench --guard` fails where it is over\n\
             # {:.0} % more. Written by `cargo xtask bench --guard --bless`, with the reason in the commit.\n\
             rustc = \"{}\"\n",
            TOLERANCE * 100.0,
            self.rustc
        );
        for (name, Counts { instructions, system_calls }) in &self.counts {
            let _ = write!(text, "\n[counts.{name}]\ninstructions = {instructions:.0}.0\n");
            if let Some(calls) = system_calls {
                let _ = writeln!(text, "system_calls = {calls:.2}");
            }
        }
        text
    }
}

/// The compiler's version, as the baseline has it.
#[must_use]
pub fn rustc() -> String {
    let output = std::process::Command::new("rustc").arg("--version").output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    said.unwrap_or_default()
}

/// How counts are made.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    /// How often each is counted.
    pub repeat: usize,
    /// Whether candidates of the bare form are dressed: what the guard must notice.
    pub burden: bool,
    /// What is over this is counted again, so that the median decides.
    pub doubt: Option<&'a Baseline>,
}

/// Counts all that is guarded, or what `wanted` names.
///
/// # Errors
/// A tool is missing, something does not start or answer, a name fits nothing, a signal came.
pub fn count(
    bench: &Bench,
    cases: &[Case],
    wanted: &[String],
    manner: Manner<'_>,
) -> Outcome<BTreeMap<String, Vec<Counts>>> {
    let is_wanted = |guarded: &Guarded| {
        wanted.is_empty()
            || wanted.iter().any(|name| *name == guarded.name() || name == guarded.case)
    };
    let guarded: Vec<_> = GUARDED.into_iter().filter(is_wanted).collect();
    if guarded.is_empty() {
        let names: Vec<_> = GUARDED.iter().map(|guarded| guarded.name()).collect();
        return Err(Failure::new(format!(
            "none of these is guarded; there are: {}",
            names.join(", ")
        )));
    }
    let mut found = BTreeMap::new();
    for guarded in guarded {
        let case = cases.iter().find(|case| case.name == guarded.case);
        let case =
            case.ok_or_else(|| Failure::new(format!("there is no case {}", guarded.case)))?;
        found.insert(guarded.name(), several(bench, case, guarded, manner)?);
    }
    Ok(found)
}

/// The counts of one case.
fn several(
    bench: &Bench,
    case: &Case,
    guarded: Guarded,
    manner: Manner<'_>,
) -> Outcome<Vec<Counts>> {
    let name = guarded.name();
    let mut counts = Vec::new();
    let mut wanted = manner.repeat;
    while counts.len() < wanted {
        let again = |failure| {
            // A busy machine may have let a handshake take too long; once is enough for that.
            bench.interrupt.check()?;
            eprintln!("{name} again: {failure}");
            one(bench, case, guarded, manner.burden)
        };
        let found = one(bench, case, guarded, manner.burden).or_else(again)?;
        eprintln!("{name} count {}: {found}", counts.len() + 1);
        counts.push(found);
        let is_over = |written: &Baseline| !verdict(written.counts.get(&name), found).1;
        if manner.doubt.is_some_and(is_over) {
            wanted = wanted.max(DOUBTED);
        }
    }
    Ok(counts)
}

#[allow(clippy::cast_precision_loss)]
fn one(bench: &Bench, case: &Case, guarded: Guarded, burden: bool) -> Outcome<Counts> {
    let setup = Setup::of_case(case)?.into_iter().find(|setup| setup.name == OURS);
    let setup = setup.ok_or_else(|| Failure::new("the case has no template of ours"))?;
    let form = if burden { Form::Dressed } else { guarded.form };
    let variant = Variant { connections: 1, form };
    // One stream at a time, as one request: which of many come together is a matter of time.
    let http = case.http.map(|http| crate::case::Http { streams: http.streams.min(1), ..http });
    let stage = Stage {
        http,
        workers: guarded.workers,
        counted: true,
        ..Stage::of(case, &variant, &setup, 1000)
    };
    let operations = guarded.operations;
    // Whether a line of the log wakes the log's thread depends on what that is doing.
    let calls = if guarded.form == Form::Dressed {
        None
    } else {
        let scene = Scene::set(bench, &setup, stage, &[])?;
        let threads = workers(id(&scene)?, stage.workers, &bench.interrupt)?;
        done(bench, &scene, operations / 4)?;
        let calls = SystemCalls::of(&threads, scene.directory(), &bench.interrupt)?;
        // The end of its connection is not counted, for it may come a moment later.
        let began = Instant::now();
        let _load = done(bench, &scene, operations)?;
        let (calls, took) = (calls.read(&bench.interrupt)?, began.elapsed());
        Some(without_rhythm(calls, took, || {
            let calls = SystemCalls::of(&threads, scene.directory(), &bench.interrupt)?;
            bench.interrupt.wait(REST)?;
            Ok(calls.read(&bench.interrupt).unwrap_or(0))
        })?)
    };
    let directory = bench.scratch.path().join(format!("callgrind-{}", bench.places.get()));
    std::fs::create_dir(&directory).context(|| directory.display().to_string())?;
    let scene = Scene::set(bench, &setup, stage, &callgrind(&directory))?;
    let instructions = Instructions::of(id(&scene)?, &directory)?;
    done(bench, &scene, operations / 4)?;
    instructions.zero()?;
    let began = Instant::now();
    let _load = done(bench, &scene, operations)?;
    let ((thread, counted), took) = (instructions.read()?, began.elapsed());
    let counted = without_rhythm(counted, took, || {
        instructions.zero()?;
        bench.interrupt.wait(REST)?;
        instructions.read_of(&thread)
    })?;
    Ok(Counts {
        instructions: counted / operations as f64,
        system_calls: calls.map(|calls| calls / operations as f64),
    })
}

/// A count without what a worker does in rhythms of its own (four times a second), where counting took so long
/// that this weighs: found by looking at the worker at rest.
#[allow(clippy::cast_precision_loss)]
fn without_rhythm(
    counted: u64,
    took: Duration,
    at_rest: impl FnOnce() -> Outcome<u64>,
) -> Outcome<f64> {
    let counted = counted as f64;
    if took < SWIFT {
        return Ok(counted);
    }
    let own = at_rest()? as f64 * took.as_secs_f64() / REST.as_secs_f64();
    Ok(counted - own.min(counted * RHYTHM))
}

fn id(scene: &Scene<'_>) -> Outcome<u32> {
    let candidate = scene.candidate.as_ref().map(Process::id);
    candidate.ok_or_else(|| Failure::new("there is no candidate to count"))
}

/// Has so many operations done; their connection lasts as long as what is returned.
fn done(bench: &Bench, scene: &Scene<'_>, operations: u64) -> Outcome<Process> {
    let arguments = [("--connections", "1".to_owned()), ("--count", operations.to_string())];
    let mut load = scene.load(&arguments)?;
    let mut done = 0;
    bench.interrupt.wait_for("end of the operations", PATIENCE, || {
        let report = mark(&mut load, &bench.interrupt)?;
        if let Some(error) = report.first_error {
            return Err(Failure::new(format!("after {done} operations: {error}")));
        }
        done += report.count;
        Ok((done >= operations).then_some(()))
    })?;
    if done > operations {
        return Err(Failure::new(format!("{done} operations instead of {operations}")));
    }
    Ok(load)
}

/// The median of what was counted.
#[must_use]
pub fn median(counts: &[Counts]) -> Option<Counts> {
    let instructions = Spread::of(counts.iter().map(|c| c.instructions))?.median;
    let calls = Spread::of(counts.iter().filter_map(|c| c.system_calls));
    Some(Counts { instructions, system_calls: calls.map(|calls| calls.median) })
}

/// What was found beside what is written down, and whether it may be.
#[must_use]
pub fn judge(baseline: &Baseline, found: &BTreeMap<String, Vec<Counts>>) -> (String, bool) {
    let mut text = String::from(
        "| case | instructions | written down | | system calls | written down | | verdict |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let mut good = true;
    for (name, counts) in found {
        let Some(median) = median(counts) else {
            let _ = writeln!(text, "| {name} | – | – | – | – | – | – | **nothing was counted** |");
            good = false;
            continue;
        };
        let written = baseline.counts.get(name);
        let (verdict, is_good) = verdict(written, median);
        good &= is_good;
        let instructions = Spread::of(counts.iter().map(|c| c.instructions));
        let calls = Spread::of(counts.iter().filter_map(|c| c.system_calls));
        let instructions = beside(instructions, written.map(|w| w.instructions), 0);
        let calls = beside(calls, written.and_then(|w| w.system_calls), 2);
        let _ = writeln!(text, "| {name} | {instructions} | {calls} | {verdict} |");
    }
    let compiler = rustc();
    if !good && baseline.rustc != compiler {
        let _ = writeln!(
            text,
            "\nThe baseline is of {}, this is {compiler}: where the compiler alone has changed, count the \
             commit before with it, and renew the baseline (--bless).",
            baseline.rustc
        );
    }
    (text, good)
}

/// Three cells: what was found, what is written down, the ratio.
fn beside(found: Option<Spread>, written: Option<f64>, digits: usize) -> String {
    let none = || "–".to_owned();
    let shown = match found {
        Some(s) if s.max > s.min => {
            format!("{:.digits$} ({:.digits$}–{:.digits$})", s.median, s.min, s.max)
        }
        Some(s) => format!("{:.digits$}", s.median),
        None => none(),
    };
    let ratio = found.zip(written).map(|(found, written)| format!("{:.3}", found.median / written));
    let written = written.map_or_else(none, |written| format!("{written:.digits$}"));
    format!("{shown} | {written} | {}", ratio.unwrap_or_else(none))
}

/// What is said of a case.
fn verdict(written: Option<&Counts>, found: Counts) -> (String, bool) {
    let Some(written) = written else {
        return ("**not written down: --bless**".into(), false);
    };
    let calls = match (found.system_calls, written.system_calls) {
        (Some(found), Some(written)) => found / written - 1.0,
        (None, None) => 0.0,
        _ => f64::NAN,
    };
    let changes = [found.instructions / written.instructions - 1.0, calls];
    if changes.iter().any(|change| *change > TOLERANCE || !change.is_finite()) {
        return (format!("**over {:.0} % more, or not the same**", TOLERANCE * 100.0), false);
    }
    if changes.iter().any(|change| *change < -TOLERANCE) {
        return ("less: renew the baseline (--bless)".into(), true);
    }
    ("as written down".into(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(instructions: f64, system_calls: f64) -> Counts {
        Counts { instructions, system_calls: Some(system_calls) }
    }

    fn baseline() -> Baseline {
        let counts = BTreeMap::from([("a".to_owned(), counts(10_000.0, 4.0))]);
        Baseline { rustc: "rustc 1".into(), counts }
    }

    fn judged(found: &[Counts]) -> (String, bool) {
        judge(&baseline(), &BTreeMap::from([("a".to_owned(), found.to_vec())]))
    }

    #[test]
    fn over_five_percent_of_either_fails() {
        assert!(judged(&[counts(10_400.0, 4.1)]).1);
        for found in [counts(10_600.0, 4.0), counts(1e4, 4.3), counts(f64::NAN, 4.0)] {
            let (text, good) = judged(&[found]);
            assert!(
                !good && (text.contains("over 5 % more") || text.contains("nothing was counted")),
                "{text}"
            );
        }
    }

    #[test]
    fn the_median_counts_and_the_spread_is_told() {
        let (text, good) =
            judged(&[counts(10_010.0, 4.0), counts(99_000.0, 4.0), counts(10_020.0, 4.0)]);
        assert!(good && text.contains("10020 (10010–99000) | 10000 | 1.002"), "{text}");
    }

    #[test]
    fn what_takes_less_or_is_not_written_down_is_told() {
        let (text, good) = judged(&[counts(9_000.0, 4.0)]);
        assert!(good && text.contains("renew the baseline"), "{text}");
        let other = BTreeMap::from([("b".to_owned(), vec![counts(1.0, 1.0)])]);
        let (text, good) = judge(&baseline(), &other);
        assert!(!good && text.contains("not written down"), "{text}");
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written() {
        let mut written = baseline();
        let dressed = Counts { instructions: 3.0, system_calls: None };
        written.counts.insert("a-dressed".into(), dressed);
        let read: Baseline = toml::from_str(&written.to_text()).expect("a baseline");
        assert_eq!(read, written);
        let found = BTreeMap::from([("a-dressed".to_owned(), vec![dressed])]);
        assert!(judge(&written, &found).1);
        assert!(!judge(&written, &BTreeMap::from([("a".to_owned(), vec![dressed])])).1);
    }

    #[test]
    fn what_workers_do_by_themselves_is_left_out_where_it_weighs() {
        let of = |seconds, own| without_rhythm(1000, Duration::from_secs(seconds), || Ok(own));
        let found = |seconds, own| of(seconds, own).expect("a count");
        // 8 in two seconds at rest are 40 in ten.
        assert_eq!([found(1, 8), found(10, 8), found(10, 800)], [1000.0, 960.0, 900.0]);
        assert!(without_rhythm(1, SWIFT, || Err(Failure::new("why"))).is_err());
    }

    #[test]
    fn names_of_what_is_guarded_differ() {
        let names: std::collections::BTreeSet<_> = GUARDED.iter().map(|g| g.name()).collect();
        assert_eq!(names.len(), GUARDED.len());
        assert!(names.contains("http-small-2-workers") && names.contains("http-small-dressed"));
    }
}
