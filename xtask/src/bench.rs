//! `cargo xtask bench`: ours beside HAProxy, nginx and Envoy on this host; `--guard`: what a unit of work
//! takes beside what is written down. Both are done by the package `bench`; here is what it needs built.

use crate::{Outcome, step, tuned};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// What building in release may take.
const BUILD: Duration = Duration::from_secs(3600);

/// What all measurements may take: a full run of all cases takes hours.
const MEASURE: Duration = Duration::from_secs(12 * 3600);

/// What counting may take.
const COUNT: Duration = Duration::from_secs(1800);

/// `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Cases (`http-small`) or loads (`tcp-ping-pong/100`, `http-small/64/bare`); all if none. What there
    /// is: `--list`.
    cases: Vec<String>,
    /// Measured beside ours: `haproxy`, `haproxy-tuned`, `nginx`, `envoy`; all that are here if none.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    peers: Vec<String>,
    /// How often each candidate is measured.
    #[arg(long)]
    rounds: Option<u16>,
    /// How long each time.
    #[arg(long, conflicts_with = "quick")]
    seconds: Option<f64>,
    /// One short round of everything, in under ten minutes: shows that it works, not who is faster.
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// Write all figures of all rounds to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write report, figures and plots to this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Leave the open loops out.
    #[arg(long)]
    closed: bool,
    /// Everything on 127.0.0.1 instead of in namespaces; without root there is no other way.
    #[arg(long)]
    loopback: bool,
    /// Measure ours as packages have it, its code laid out by a profile (`cargo xtask tuned`).
    #[arg(long)]
    tuned: bool,
    /// Say what there is to measure.
    #[arg(long)]
    list: bool,
    /// Count instructions and system calls of a unit of work; over 5 % more than what is written down in
    /// `benches/guard.toml` fails.
    #[arg(long, conflicts_with_all = ["peers", "rounds", "seconds", "quick", "out", "closed", "loopback", "tuned"])]
    guard: bool,
    /// With `--guard`: write down what is found.
    #[arg(long, requires = "guard")]
    bless: bool,
    /// With `--guard`: how often each is counted.
    #[arg(long, requires = "guard")]
    repeat: Option<u16>,
    /// With `--guard`: burden ours with what the counts are without, to see the guard fail.
    #[arg(long, requires = "guard", conflicts_with = "bless")]
    burden: bool,
}

/// Builds, then measures or counts.
///
/// # Errors
/// Something does not build; the runner has found that not all is as it should be.
pub fn run(options: &Options) -> Outcome {
    let mut command = runner(!options.guard && !options.list);
    if options.list {
        command.arg("list");
        return told(&mut command, BUILD);
    }
    // Where the environment names another, that is measured.
    if std::env::var_os("BENCH_ECLUSA").is_none() {
        command.env("BENCH_ECLUSA", program(options.tuned)?);
    }
    if options.guard {
        command.args(options.of_guard());
        return told(&mut command, BUILD + COUNT);
    }
    command.args(options.of_run());
    told(&mut command, BUILD + MEASURE)
}

/// The program that measures; where it only counts it need not be fast.
fn runner(release: bool) -> Command {
    let mut command = step::cargo();
    command.arg("run").args(release.then_some("--release"));
    command.args(["--locked", "--quiet", "-p", "bench", "--"]);
    command
}

/// What is measured.
fn program(tuned: bool) -> Outcome<PathBuf> {
    if tuned {
        return Ok(tuned::build(None)?.programs.join("eclusa-edge"));
    }
    // Both, alone, as `cargo xtask test` builds them: what else is built with them changes their features.
    let mut command = step::cargo();
    command.args(["build", "--release", "--locked", "-p", "eclusa-apiserver", "-p", "eclusa-edge"]);
    told(&mut command, BUILD)?;
    Ok(step::target_directory().join("release/eclusa-edge"))
}

fn told(command: &mut Command, limit: Duration) -> Outcome {
    match step::run(command, limit).trouble {
        None => Ok(()),
        Some(trouble) => Err(format!("bench: {}: {trouble}", step::typed(command))),
    }
}

/// An option with its value, if there is one.
fn with(name: &str, value: Option<impl ToString>) -> Vec<String> {
    value.map_or_else(Vec::new, |value| vec![name.to_owned(), value.to_string()])
}

/// An option without a value, if it is set.
fn flag(name: &str, set: bool) -> Option<String> {
    set.then(|| name.to_owned())
}

impl Options {
    fn of_run(&self) -> Vec<String> {
        let mut words = vec!["run".to_owned()];
        words.extend(self.cases.iter().cloned());
        if !self.peers.is_empty() {
            // Ours, and the null test, are in every run.
            let candidates = ["direct", "eclusa"].into_iter().map(str::to_owned);
            let candidates: Vec<_> = candidates.chain(self.peers.iter().cloned()).collect();
            words.extend(["--candidates".to_owned(), candidates.join(",")]);
        }
        words.extend(with("--rounds", self.rounds));
        words.extend(with("--seconds", self.seconds));
        words.extend(with("--json", absolute(self.json.as_ref())));
        words.extend(with("--out", absolute(self.out.as_ref())));
        words.extend(flag("--quick", self.quick));
        words.extend(flag("--closed", self.closed));
        words.extend(flag("--loopback", self.loopback));
        words
    }

    fn of_guard(&self) -> Vec<String> {
        let mut words = vec!["guard".to_owned()];
        words.extend(self.cases.iter().cloned());
        words.extend(with("--repeat", self.repeat));
        words.extend(with("--json", absolute(self.json.as_ref())));
        words.extend(flag("--bless", self.bless));
        words.extend(flag("--burden", self.burden));
        words
    }
}

/// The runner runs at the root of the repository, wherever it is started from.
fn absolute(path: Option<&PathBuf>) -> Option<String> {
    let path = path.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    path.map(|path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(words: &str) -> Result<Options, String> {
        let words = std::iter::once("bench").chain(words.split_ascii_whitespace());
        Line::try_parse_from(words).map(|line| line.options).map_err(|error| error.to_string())
    }

    #[test]
    fn the_runner_is_told_what_was_asked_for() {
        let words = |line| options(line).map(|options| options.of_run().join(" "));
        assert_eq!(words(""), Ok("run".into()));
        assert_eq!(
            words("http-small --peers nginx,envoy --rounds 3 --json /a.json --closed"),
            Ok("run http-small --candidates direct,eclusa,nginx,envoy --rounds 3 --json /a.json \
                --closed"
                .into())
        );
        let counted = options("--guard --repeat 5 http-small").map(|o| o.of_guard().join(" "));
        assert_eq!(counted, Ok("guard http-small --repeat 5".into()));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for line in ["--quick --rounds 3", "--bless", "--guard --quick", "--guard --bless --burden"]
        {
            assert!(options(line).is_err(), "{line}");
        }
    }
}
