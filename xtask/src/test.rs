//! `cargo xtask test`: every test there is, one summary, and as the last line of standard output
//! `N passed, N failed, N skipped`.

use crate::step::{self, Ran, Tally};
use crate::{Outcome, deny, fuzz, tidy};
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
    steps.build("build tests", &["test", "--workspace", "--locked", "--no-run"]);
    // Programs that tests start and that are not theirs; the fakes need no optimizing.
    steps.build("build programs", &["build", "--workspace", "--locked", "--bins"]);
    // Alone, without the test bed, so that the tests run what ships.
    let release = ["build", "--release", "--locked", "-p", "eclusa-apiserver", "-p", "eclusa-edge"];
    let built = steps.build("build release", &release);
    let programs = if built { RELEASE } else { &[] };
    steps.cargo_test(&[], programs);
    steps.fuzz();
    steps.finish()
}

/// Programs and the variables by which the tests find them.
const RELEASE: &[(&str, &str)] =
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

    /// Tests of the workspace; `programs` are variables and release binaries that they name.
    pub fn cargo_test(&mut self, arguments: &[&str], programs: &[(&str, &str)]) {
        let mut command = step::cargo();
        command.args(["test", "--workspace", "--locked", "--no-fail-fast"]).args(arguments);
        let release = step::target_directory().join("release");
        command.envs(programs.iter().map(|(variable, name)| (variable, release.join(name))));
        let ran = self.begin("cargo test", &mut command);
        let mut tally = ran.tally();
        if ran.trouble.is_some() && tally.failed == 0 {
            tally.failed = 1; // It did not build, or a test took the whole program with it.
        }
        self.end("cargo test", ran.took, tally, ran.trouble);
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
    pub fn build(&mut self, name: &str, arguments: &[&str]) -> bool {
        let mut command = step::cargo();
        command.args(arguments);
        let ran = self.begin(name, &mut command);
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
            steps.skip("fuzz", 2, "no cargo-fuzz".into());
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
