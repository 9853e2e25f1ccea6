//! The command line.

use crate::case::{Http, Work};
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Measures Eclusa beside HAProxy, nginx and a direct connection.
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
    /// Measure cases: processor time per unit, rate, latency.
    Run(Run),
    /// Measure what idle sessions keep in memory.
    Idle(IdleOptions),
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
    /// Cases (`tcp-ping-pong`) or single loads of them (`tcp-ping-pong/100`); all if none.
    pub cases: Vec<String>,
    /// How often each candidate is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
    /// How long each time, after a third of that for warming up.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub seconds: f64,
    /// Two rounds of 0.6 seconds: shows that it works, not who is faster.
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    pub quick: bool,
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
    /// Seconds after which nobody can still want it.
    #[arg(long, default_value_t = 60)]
    pub limit: u64,
}

impl Run {
    /// Rounds, warm-up and measuring time.
    #[must_use]
    pub fn effort(&self) -> (usize, Duration, Duration) {
        let (rounds, seconds) = if self.quick { (2, 0.6) } else { (self.rounds, self.seconds) };
        let measure = Duration::from_secs_f64(seconds);
        (usize::from(rounds), measure / 3, measure)
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
        assert_eq!(run.effort().0, 2);
        assert_eq!(run.cases, ["a", "b"]);
        assert!(parse("bench run --quick --rounds 3").is_err());
        assert!(parse("bench run --seconds 0").is_err());
        assert!(parse("bench run --seconds nan").is_err());
    }
}
