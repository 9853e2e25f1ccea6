//! `cargo xtask test`: every test there is, one summary, and as the last line of standard output
//! `N passed, N failed, N skipped`.

use crate::step::{self, Ran, Tally};
use crate::{Outcome, deny, fuzz, guard, tidy};
use std::process::Command;
use std::time::{Duration, Instant};

/// What a step may take before it is ended: far above what it takes on two slow cores.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// How long each fuzz target runs.
const FUZZ_SECONDS: u32 = 6;

/// `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A missing program or right is a failure instead of a skipped test.
    #[arg(long, env = "CI", value_parser = clap::builder::FalseyValueParser::new())]
    ci: bool,
}

/// Runs everything.
///
/// # Errors
/// A step failed; all of them have run.
pub fn run(options: &Options) -> Outcome {
    let mut steps = Steps::new(options.ci);
    steps.format();
    steps.tidy();
    steps.chore("deny", || deny::run(&deny::Options::brief()));
    steps.clippy();
    // With the programs that tests start and that are not theirs: by themselves they would have other features,
    // and so would be built twice. The fakes need no optimizing.
    steps.build("build tests", &mut cargo(&["build", "--workspace", "--all-targets", "--locked"]));
    // Alone, without the test bed, so that the tests run what ships, but for how hard the compiler tries.
    let built = steps.build("build programs", &mut step::programs(guard::PROFILE));
    let programs = if built { PROGRAMS } else { &[] };
    steps.cargo_test(&[], programs);
    steps.guard(built);
    steps.fuzz();
    steps.finish()
}

/// Programs and the variables by which the tests find them.
const PROGRAMS: &[(&str, &str)] =
    &[("ECLUSA_APISERVER_BINARY", "eclusa-apiserver"), ("ECLUSA_EDGE_BINARY", "eclusa-edge")];

/// A step that has ended.
#[derive(Debug)]
struct Done {
    name: String,
    took: Duration,
    tally: Tally,
    /// Why it failed or was skipped.
    trouble: Option<String>,
}

/// Steps, one after the other, and what became of them.
pub struct Steps {
    ci: bool,
    began: Instant,
    done: Vec<Done>,
}

impl Steps {
    /// None yet. With `ci` what is skipped fails.
    pub fn new(ci: bool) -> Self {
        Self { ci, began: Instant::now(), done: Vec::new() }
    }

    /// rustfmt.
    pub fn format(&mut self) {
        let mut command = step::cargo();
        command.args(["fmt", "--all", "--check"]);
        self.single("format", &mut command);
    }

    /// Our own style.
    pub fn tidy(&mut self) {
        self.chore("tidy", || tidy::run(&tidy::Options { paths: Vec::new() }));
    }

    /// clippy and the compiler's warnings.
    pub fn clippy(&mut self) {
        let mut command = step::cargo();
        command.args(["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--"]);
        command.args(["-D", "warnings"]);
        self.single("clippy", &mut command);
    }

    /// Tests of the workspace; `programs` are variables and optimized programs that they name.
    pub fn cargo_test(&mut self, arguments: &[&str], programs: &[(&str, &str)]) {
        let mut command = step::cargo();
        command.args(["test", "--workspace", "--locked", "--no-fail-fast"]).args(arguments);
        let path = |name| step::built(guard::PROFILE, name);
        command.envs(programs.iter().map(|(variable, name)| (variable, path(name))));
        let ran = self.begin("cargo test", &mut command);
        let mut tally = ran.tally();
        if ran.trouble.is_some() && tally.failed == 0 {
            tally.failed = 1; // It did not build, or a test took the whole program with it.
        }
        self.end("cargo test", ran.took, tally, ran.trouble);
    }

    /// What a unit of work takes, beside what is written down, and that more of it is noticed. Counted is what
    /// was `built`.
    fn guard(&mut self, built: bool) {
        const NAMES: [&str; 2] = ["guard", "guard noticing"];
        if !built {
            let tally = one(false);
            return self.end(NAMES[0], Duration::ZERO, tally, Some("nothing to count".into()));
        }
        if let Some(missing) = guard::missing() {
            return self.skip(NAMES[0], NAMES.len() as u64, missing);
        }
        let mut command = guard::command(guard::built_runner(), &[]);
        let ran = self.begin(NAMES[0], &mut command);
        self.end(NAMES[0], ran.took, one(ran.trouble.is_none()), ran.trouble);
        if self.stopped() {
            return;
        }
        announce(NAMES[1]);
        let (ran, trouble) = guard::burden(guard::built_runner());
        self.end(NAMES[1], ran.took, one(trouble.is_none()), trouble);
    }

    /// The fuzz targets, for a moment each.
    fn fuzz(&mut self) {
        let targets = fuzz::targets().unwrap_or_default();
        if let Some(missing) = fuzz::missing() {
            let count = targets.len().max(1) as u64;
            return self.skip("fuzz", count, missing);
        }
        if self.stopped() {
            return;
        }
        announce("fuzz");
        fuzz::each(&targets, FUZZ_SECONDS, |fuzzed, ran| {
            println!("fuzz: {fuzzed}");
            let name = format!("fuzz {}", fuzzed.target);
            self.end(&name, ran.took, one(fuzzed.trouble.is_none()), fuzzed.trouble);
        });
    }

    /// A command that makes what later steps need; counted only when it fails.
    pub fn build(&mut self, name: &str, command: &mut Command) -> bool {
        let ran = self.begin(name, command);
        let good = ran.trouble.is_none();
        let tally = if good { Tally::default() } else { one(false) };
        self.end(name, ran.took, tally, ran.trouble);
        good
    }

    /// A chore of this program, counted as one test.
    fn chore(&mut self, name: &str, chore: impl FnOnce() -> Outcome) {
        if self.stopped() {
            return;
        }
        announce(name);
        let began = Instant::now();
        let trouble = chore().err();
        self.end(name, began.elapsed(), one(trouble.is_none()), trouble);
    }

    /// A command, counted as one test.
    fn single(&mut self, name: &str, command: &mut Command) {
        let ran = self.begin(name, command);
        self.end(name, ran.took, one(ran.trouble.is_none()), ran.trouble);
    }

    fn begin(&self, name: &str, command: &mut Command) -> Ran {
        if self.stopped() {
            let trouble = Some("stopped by a signal".to_owned());
            return Ran { lines: Vec::new(), took: Duration::ZERO, trouble };
        }
        announce(name);
        step::run(command, LIMIT)
    }

    fn stopped(&self) -> bool {
        step::interrupted()
    }

    fn skip(&mut self, name: &str, count: u64, reason: String) {
        println!("SKIPPED: {name}: {reason}");
        let tally = Tally { skipped: count, ..Tally::default() };
        self.end(name, Duration::ZERO, tally, Some(reason));
    }

    fn end(&mut self, name: &str, took: Duration, tally: Tally, trouble: Option<String>) {
        if let Some(trouble) = &trouble {
            eprintln!("xtask: {name}: {trouble}");
        }
        self.done.push(Done { name: name.into(), took, tally, trouble });
    }

    /// Prints the summary; the closing line is the last of standard output.
    ///
    /// # Errors
    /// Something failed, or was skipped where nothing may be.
    pub fn finish(self) -> Outcome {
        let (summary, total) = summary(&self.done, self.began.elapsed());
        println!("\n{summary}{total}");
        if step::interrupted() {
            return Err("stopped by a signal".into());
        }
        if total.failed > 0 {
            return Err(format!("{} failed; the first lines above say why", total.failed));
        }
        if self.ci && total.skipped > 0 {
            return Err(format!(
                "{} skipped: in CI every program and right must be there (.ci/run installs them)",
                total.skipped
            ));
        }
        if total.passed == 0 {
            return Err("nothing ran at all".into());
        }
        Ok(())
    }
}

/// A command of cargo's.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = step::cargo();
    command.args(arguments);
    command
}

fn announce(name: &str) {
    eprintln!("\n== {name}");
}

fn one(passed: bool) -> Tally {
    Tally { passed: u64::from(passed), failed: u64::from(!passed), skipped: 0 }
}

fn summary(done: &[Done], took: Duration) -> (String, Tally) {
    let mut text = String::new();
    let mut total = Tally::default();
    for Done { name, took, tally, trouble } in done {
        let tally_text = if *tally == Tally::default() { String::new() } else { tally.to_string() };
        text += format!("{:>7.1} s  {name:<16} {tally_text}", took.as_secs_f64()).trim_end();
        if let Some(trouble) = trouble {
            text += &format!("  ({})", trouble.lines().next().unwrap_or_default());
        }
        text += "\n";
        total += *tally;
    }
    text += &format!("{:>7.1} s  in all\n", took.as_secs_f64());
    (text, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_ends_with_the_counts() {
        let mut steps = Steps::new(false);
        steps.end("tidy", Duration::from_millis(1500), one(true), None);
        steps.end("build", Duration::from_secs(100), Tally::default(), None);
        steps.end("clippy", Duration::from_secs(2), one(false), Some("bad\nworse".into()));
        let (text, total) = summary(&steps.done, Duration::from_secs(104));
        assert_eq!(
            text,
            "    1.5 s  tidy             1 passed, 0 failed, 0 skipped\n  \
               100.0 s  build\n    \
                 2.0 s  clippy           0 passed, 1 failed, 0 skipped  (bad)\n  \
               104.0 s  in all\n"
        );
        assert_eq!(total, Tally { passed: 1, failed: 1, skipped: 0 });
        assert!(steps.finish().is_err_and(|error| error.starts_with("1 failed")));
    }

    #[test]
    fn what_is_skipped_fails_in_ci_only() {
        for ci in [false, true] {
            let mut steps = Steps::new(ci);
            steps.end("tidy", Duration::ZERO, one(true), None);
            steps.skip("fuzz", 2, "no C++ compiler".into());
            assert_eq!(steps.finish().is_err(), ci);
        }
        assert!(Steps::new(false).finish().is_err(), "nothing ran");
    }

    #[test]
    fn a_chore_counts_as_one() {
        let mut steps = Steps::new(false);
        steps.chore("good", || Ok(()));
        steps.chore("bad", || Err("why".into()));
        assert_eq!(
            summary(&steps.done, Duration::ZERO).1,
            Tally { passed: 1, failed: 1, skipped: 0 }
        );
    }
}
