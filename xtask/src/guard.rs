//! The guard of what a unit of work takes (`bench guard`), as a step of `cargo xtask test`, as
//! `cargo xtask bench --guard`, and as what `prove speed` shows.
//!
//! Counted is the build that the tests run (`checked`): it takes a fraction of the time, and code that does
//! more does more in it, too.

use crate::step::{self, Ran};
use crate::{Outcome, tree};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// The profile of what is counted.
pub const PROFILE: &str = "checked";

/// The case that shows that a burden is noticed: what it is burdened with costs it 15 % more.
pub const BURDENED: &str = "http-small";

/// What the runner says of a case that takes more than is written down.
const OVER: &str = "**over ";

/// What counting may take.
pub const COUNT: Duration = Duration::from_secs(1800);

/// What counting wants; packages of Debian have the same names.
const TOOLS: [&str; 2] = ["strace", "valgrind"];

/// Why nothing can be counted here, or not beside what is written down; with what to do.
pub fn missing() -> Option<String> {
    for program in TOOLS {
        if step::said(Command::new(program).arg("--version")).is_err() {
            return Some(format!("no `{program}`: apt-get install {program}"));
        }
    }
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    if !rustix::process::geteuid().is_root() && !matches!(scope.trim(), "" | "0") {
        return Some(
            "strace may follow nobody: run it as root, or set kernel.yama.ptrace_scope to 0".into(),
        );
    }
    let written = compiler_of(&fs::read_to_string(tree::root().join("benches/guard.toml")).ok()?)?;
    let here = step::said(Command::new("rustc").arg("--version")).ok()?;
    (here != written).then(|| {
        format!(
            "counted with {written}, this is {here}: see docs/performance.md, and renew the counts \
             (cargo xtask bench --guard --bless)"
        )
    })
}

/// The compiler that a baseline names.
fn compiler_of(baseline: &str) -> Option<String> {
    let table: toml::Table = baseline.parse().ok()?;
    Some(table.get("rustc")?.as_str()?.to_owned())
}

/// Builds what is counted.
///
/// # Errors
/// It does not build.
pub fn build(limit: Duration) -> Outcome {
    let mut command = step::programs(PROFILE);
    let trouble = step::run(&mut command, limit).trouble;
    trouble.map_or(Ok(()), |why| Err(format!("{}: {why}", step::typed(&command))))
}

/// A command of the runner with these words, told what to count.
pub fn command(mut runner: Command, words: &[&str]) -> Command {
    runner.arg("guard").args(words);
    if std::env::var_os("BENCH_ECLUSA").is_none() {
        runner.env("BENCH_ECLUSA", step::built(PROFILE, "eclusa-edge"));
    }
    runner
}

/// The runner, built here on the way; it only counts, and need not be fast.
pub fn runner() -> Command {
    let mut command = step::cargo();
    command.args(["run", "--locked", "--quiet", "-p", "bench", "--"]);
    command
}

/// The runner as `cargo build --all-targets` has left it.
pub fn built_runner() -> Command {
    step::program(&step::built("debug", "bench").to_string_lossy())
}

/// Burdens ours and looks whether that is noticed: why not, if it is not.
pub fn burden(runner: Command) -> (Ran, Option<String>) {
    let ran = step::run(&mut command(runner, &[BURDENED, "--burden"]), COUNT);
    let trouble = unnoticed(&ran);
    (ran, trouble)
}

fn unnoticed(ran: &Ran) -> Option<String> {
    let is_told = cases(&ran.lines).any(|line| line.contains(OVER));
    match (&ran.trouble, is_told) {
        (Some(_), true) => None,
        (Some(trouble), false) => Some(format!("it was not counted: {trouble}")),
        (None, _) => Some("what costs 15 % more was let through".into()),
    }
}

/// The rows of the runner's table.
pub fn cases(lines: &[String]) -> impl Iterator<Item = &String> {
    let rows = lines.iter().filter(|line| line.starts_with("| "));
    rows.filter(|line| !line.starts_with("| case |"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burden_must_fail_and_for_what_it_costs() {
        let head = "| case | instructions | written down | | verdict |";
        let over = "| http-small | 30690 | 26355 | 1.164 | **over 5 % more, or not the same** |";
        let fine = "| http-small | 26355 | 26355 | 1.000 | as written down |";
        let failed = Some("ended with exit status: 1");
        assert_eq!(unnoticed(&Ran::of(&[head, over], failed)), None);
        assert!(
            unnoticed(&Ran::of(&[head, fine], None)).is_some_and(|why| why.contains("let through"))
        );
        let why = unnoticed(&Ran::of(&["bench: cannot run vgdb"], failed));
        assert!(why.is_some_and(|why| why.starts_with("it was not counted")));
        assert_eq!(cases(&Ran::of(&[head, "|---|", over, fine], None).lines).count(), 2);
    }

    #[test]
    fn the_compiler_is_written_down() {
        let text = fs::read_to_string(tree::root().join("benches/guard.toml")).unwrap();
        assert!(compiler_of(&text).is_some_and(|compiler| compiler.starts_with("rustc 1.")));
        assert_eq!(compiler_of("rustc = 1"), None);
    }
}
