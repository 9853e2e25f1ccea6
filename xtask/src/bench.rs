//! `cargo xtask bench`: ours beside HAProxy, nginx and Envoy on this host; `--guard`: what a unit of work
//! takes beside what is written down. Both are done by the package `bench`; here is what it needs built.

use crate::{Outcome, guard, step, tuned};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// What building in release may take.
const BUILD: Duration = Duration::from_secs(3600);

/// What all measurements may take: a full run of all cases takes hours.
const MEASURE: Duration = Duration::from_secs(12 * 3600);

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
    /// Write the figures into the marked part of this page: `docs/performance.md`.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// With `--page`: measure nothing, and take the figures of these files (`--json`, `report.json` of
    /// `--out`); where several have a load, the last.
    #[arg(long, value_delimiter = ',', value_name = "FILES", requires = "page", conflicts_with_all = ["cases", "peers", "rounds", "seconds", "quick", "json", "out", "closed", "loopback", "tuned", "list", "guard"])]
    figures: Vec<PathBuf>,
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
    #[arg(long, conflicts_with_all = ["peers", "rounds", "seconds", "quick", "out", "page", "closed", "loopback", "tuned"])]
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
    let is_named = std::env::var_os("BENCH_ECLUSA").is_some();
    if options.list {
        return told(guard::runner().arg("list"), BUILD);
    }
    if !options.figures.is_empty() {
        return told(guard::runner().args(options.of_page()), BUILD);
    }
    if options.guard {
        if !is_named {
            guard::build(BUILD)?;
        }
        let words = options.of_guard();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        return told(&mut guard::command(guard::runner(), &words), BUILD + guard::COUNT);
    }
    let mut command = step::cargo();
    command.args(["run", "--release", "--locked", "--quiet", "-p", "bench", "--"]);
    // Where the environment names another, that is measured.
    if !is_named {
        command.env("BENCH_ECLUSA", program(options.tuned)?);
    }
    told(command.args(options.of_run()), BUILD + MEASURE)
}

/// What is measured.
fn program(tuned: bool) -> Outcome<PathBuf> {
    if tuned {
        return Ok(tuned::build(None)?.programs.join("eclusa-edge"));
    }
    told(&mut step::programs("release"), BUILD)?;
    Ok(step::built("release", "eclusa-edge"))
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
        words.extend(with("--page", absolute(self.page.as_ref())));
        words.extend(flag("--quick", self.quick));
        words.extend(flag("--closed", self.closed));
        words.extend(flag("--loopback", self.loopback));
        words.extend(["--typed".to_owned(), self.typed()]);
        words
    }

    /// What stands in the report as what was typed: what decides about figures, and no names of files.
    fn typed(&self) -> String {
        let is_set = |name: &&str| std::env::var_os(name).is_some();
        let named = ["BENCH_ECLUSA", "BENCH_HAPROXY", "BENCH_NGINX", "BENCH_ENVOY"];
        let named = named.iter().filter(|name| is_set(name)).map(|name| format!("{name}=..."));
        let mut words: Vec<_> = named.collect();
        words.push("cargo xtask bench".to_owned());
        words.extend(self.cases.iter().cloned());
        words.extend(with("--peers", (!self.peers.is_empty()).then(|| self.peers.join(","))));
        words.extend(with("--rounds", self.rounds));
        words.extend(with("--seconds", self.seconds));
        let flags = [
            ("--quick", self.quick),
            ("--closed", self.closed),
            ("--loopback", self.loopback),
            ("--tuned", self.tuned),
        ];
        words.extend(flags.into_iter().filter_map(|(name, set)| flag(name, set)));
        words.join(" ")
    }

    fn of_page(&self) -> Vec<String> {
        let files = self.figures.iter().filter_map(|file| absolute(Some(file)));
        let page = absolute(self.page.as_ref());
        std::iter::once("page".to_owned()).chain(page).chain(files).collect()
    }

    fn of_guard(&self) -> Vec<String> {
        let mut words: Vec<_> = self.cases.clone();
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
        assert_eq!(words(""), Ok("run --typed cargo xtask bench".into()));
        assert_eq!(
            words("http-small --peers nginx,envoy --rounds 3 --json /a.json --page /b.md --closed"),
            Ok("run http-small --candidates direct,eclusa,nginx,envoy --rounds 3 --json /a.json \
                --page /b.md --closed --typed cargo xtask bench http-small --peers nginx,envoy --rounds 3 \
                --closed"
                .into())
        );
        let counted = options("--guard --repeat 5 http-small").map(|o| o.of_guard().join(" "));
        assert_eq!(counted, Ok("http-small --repeat 5".into()));
        let page = options("--page /b.md --figures /1.json,/2.json").map(|o| o.of_page());
        assert_eq!(page, Ok(["page", "/b.md", "/1.json", "/2.json"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let burdened = "--guard --bless --burden";
        let rendered = "--figures a.json --page b.md --rounds 3";
        for line in [
            "--quick --rounds 3",
            "--bless",
            "--guard --quick",
            burdened,
            "--figures a.json",
            rendered,
        ] {
            assert!(options(line).is_err(), "{line}");
        }
    }
}
