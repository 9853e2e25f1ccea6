//! The command line.

use crate::case::{Http, Work};
use crate::idle::Idle;
use crate::measure::Times;
use crate::run::Effort;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Measures Eclusa beside HAProxy, nginx, Envoy and a direct connection. `cargo xtask bench` builds what
/// it needs and runs it.
///
/// Each candidate is started fresh in every round, as the unprivileged user of the shipped systemd
/// unit, on a core of its own; generator and endpoint share another. With root everything happens
/// in network namespaces that go when the run ends. Other binaries: BENCH_ECLUSA, BENCH_HAPROXY,
/// BENCH_NGINX, BENCH_ENVOY.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the cases and their setups.
    List,
    /// Measure cases: processor time per unit, rate, latency; memory of idle sessions.
    Run(Run),
    /// Measure what as many idle sessions as one likes keep in memory.
    Idle(IdleOptions),
    /// Count instructions and system calls per unit, beside those that are written down.
    Guard(GuardOptions),
    /// Write the figures of runs into the marked part of a page.
    Page(PageOptions),
    /// The endpoint of a measurement; started by the others.
    #[command(hide = true)]
    Endpoint(EndpointOptions),
    /// The generator of a measurement; started by the others.
    #[command(hide = true)]
    Load(LoadOptions),
}

/// What `run` and `idle` have in common.
#[derive(Debug, Args)]
pub struct Common {
    /// Only these candidates (`direct`, `eclusa`, `haproxy`, `haproxy-tuned`, `nginx`, `envoy`) or setups
    /// (`haproxy-tuned.splice-auto`).
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub candidates: Vec<String>,
    /// Write all figures of all rounds to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the tables, which also go to standard output, to this file.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Everything on 127.0.0.1 instead of in namespaces; without root there is no other way.
    #[arg(long)]
    pub loopback: bool,
}

/// `bench run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Cases (`tcp-ping-pong`) or single loads of them (`tcp-ping-pong/100`, `http-small/64/bare`); all if
    /// none, with `--quick` each in its first form.
    pub cases: Vec<String>,
    /// How often each candidate is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
    /// How long each time, after a third of that for warming up.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub seconds: f64,
    /// One round of 0.3 seconds, a tenth of the idle sessions: shows that it works, not who is faster.
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    pub quick: bool,
    /// Leave the open loops out.
    #[arg(long)]
    pub closed: bool,
    /// Write report, figures and plots to this folder, anew after each load.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write the figures into the marked part of this page.
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
    /// What the report names as the command; without it this program's own.
    #[arg(long, value_name = "WORDS", hide = true)]
    pub typed: Option<String>,
    /// What it shares.
    #[command(flatten)]
    pub common: Common,
}

/// `bench idle`.
#[derive(Debug, Args)]
pub struct IdleOptions {
    /// Sessions; the candidate needs two descriptors for each.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub sessions: u32,
    /// What each session carries each way before it falls silent.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub mebibytes: u32,
    /// What it shares.
    #[command(flatten)]
    pub common: Common,
}

/// `bench guard`.
#[derive(Debug, Args)]
pub struct GuardOptions {
    /// What is counted, of what is guarded; all if none.
    pub cases: Vec<String>,
    /// Where the counts are written down.
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/guard.toml"))]
    pub baseline: PathBuf,
    /// Write down what is found.
    #[arg(long)]
    pub bless: bool,
    /// How often each is counted.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub repeat: u16,
    /// Burden ours with logs, figures and routes that the counts written down are without: shows that
    /// the guard notices.
    #[arg(long, conflicts_with = "bless")]
    pub burden: bool,
    /// Write all counts to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `bench page`.
#[derive(Debug, Args)]
pub struct PageOptions {
    /// The page.
    pub page: PathBuf,
    /// Files that `--json` or `--out` of a run has written; where several have a load, the last counts.
    #[arg(required = true)]
    pub figures: Vec<PathBuf>,
}

/// `bench endpoint`.
#[derive(Debug, Args)]
pub struct EndpointOptions {
    /// Address and port.
    #[arg(long)]
    pub listen: SocketAddr,
    /// What to do with connections.
    #[arg(long)]
    pub work: Work,
    /// Bytes each way of a session of the idle work.
    #[arg(long, default_value_t = 0)]
    pub bytes: usize,
    /// The messages of the HTTP work.
    #[arg(long, value_parser = Http::from_word)]
    pub http: Option<Http>,
    /// Seconds after which nobody can still want it.
    #[arg(long, default_value_t = 60)]
    pub limit: u64,
}

/// `bench load`.
#[derive(Debug, Args)]
pub struct LoadOptions {
    /// Address and port.
    #[arg(long)]
    pub to: SocketAddr,
    /// What to do there.
    #[arg(long)]
    pub work: Work,
    /// Connections, or lanes of connections.
    #[arg(long)]
    pub connections: usize,
    /// Bytes each way of a session of the idle work.
    #[arg(long, default_value_t = 0)]
    pub bytes: usize,
    /// Sessions of the idle work that exchange at the same time.
    #[arg(long, default_value_t = crate::idle::AT_ONCE)]
    pub at_once: usize,
    /// The messages of the HTTP work.
    #[arg(long, value_parser = Http::from_word)]
    pub http: Option<Http>,
    /// Operations that are begun each second, whatever becomes of them.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Operations after which it rests.
    #[arg(long)]
    pub count: Option<u64>,
    /// Seconds after which nobody can still want it.
    #[arg(long, default_value_t = 60)]
    pub limit: u64,
}

/// Of `--quick`: a share of idle sessions, and their MiB.
const FEWER: usize = 10;

impl Run {
    /// Rounds, warm-up and measuring time.
    #[must_use]
    pub fn effort(&self) -> Effort {
        let (rounds, seconds) = if self.quick { (1, 0.3) } else { (self.rounds, self.seconds) };
        let measure = Duration::from_secs_f64(seconds);
        let times = Times { warm_up: measure / 3, measure };
        Effort { rounds: usize::from(rounds), times, open_loops: !self.closed }
    }

    /// How many of so many idle sessions, where the limit of descriptors lets no more than `most`.
    #[must_use]
    pub fn idle(&self, sessions: usize, most: usize) -> Idle {
        let sessions = if self.quick { sessions / FEWER } else { sessions };
        Idle { sessions: sessions.min(most).max(1), mebibytes: 1 }
    }
}

/// Between a tenth of a second and five minutes.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.1..=300.0).contains(&seconds) {
        return Ok(seconds);
    }
    Err("must be between 0.1 and 300".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn quick_is_short_and_excludes_the_others() {
        let parse = |words: &str| Options::try_parse_from(words.split(' '));
        let Ok(Options { command: Command::Run(run) }) = parse("bench run --quick a b") else {
            panic!("a good command line");
        };
        assert_eq!(run.effort().rounds, 1);
        assert_eq!((run.idle(5000, 9000).sessions, run.idle(5000, 300).sessions), (500, 300));
        assert_eq!(run.cases, ["a", "b"]);
        assert!(parse("bench run --quick --rounds 3").is_err());
        assert!(parse("bench run --seconds 0").is_err());
        assert!(parse("bench run --seconds nan").is_err());
    }
}
