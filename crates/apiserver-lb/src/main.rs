//! Load balancer for the Kubernetes API: nodes to masters on :6443. The command line.

use clap::{Args, Parser, Subcommand};
use eclusa_config::plan::Program;
use eclusa_config::{CommandOption, Mode};
use eclusa_haproxy_compare::{self as haproxy, Import};
use eclusa_proxy::admin::client::{self, AdminCommand};
use eclusa_proxy::bundle::{self, SupportBundle};
use eclusa_proxy::canary::{self, Canary};
use eclusa_proxy::command::{self, Check, EXIT_CODES_AND_SIGNALS, EngineArguments};
use eclusa_proxy::doctor::{self, Doctor};
use eclusa_proxy::observing::{self, Observe};
use std::path::PathBuf;
use std::process::ExitCode;

const PROGRAM: Program = Program::Apiserver;

/// Load balancer for the Kubernetes API: nodes to masters on :6443
///
/// TCP from the nodes to the Kubernetes masters, TLS end to end: nothing is decrypted. Masters that
/// do not answer get no new sessions; sessions that stand are left alone.
#[derive(Debug, Parser)]
#[command(name = "eclusa-apiserver", version, after_long_help = after_help())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Run),
    #[command(hide = true)]
    Engine(EngineArguments),
    /// Tell everything that is wrong with a file, and do nothing else
    Check(Check),
    /// Look for what is wrong around the service, and tell the remedy
    ///
    /// Settings of the kernel, limits, who listens, files and certificates, masters and their certificates,
    /// clocks, what is in force. It changes nothing, and runs whether the service does or not.
    #[command(after_long_help = doctor::EXIT_CODES)]
    Doctor(Doctor),
    /// Write one file for who helps from afar, without secrets
    #[command(after_long_help = bundle::HELP)]
    SupportBundle(SupportBundle),
    /// Write a configuration from haproxy.cfg, and tell of every line what became of it
    ///
    /// The files are read as HAProxy reads them. What leads to the masters is carried over; the rest is
    /// told to be for eclusa-edge. Nothing on this host is changed.
    #[command(after_long_help = haproxy::after_help())]
    Import(Import),
    /// Judge the masters beside the HAProxy that carries the traffic, and carry nothing
    ///
    /// The probes and verdicts are those of the service. What would have followed from them is told, and
    /// where HAProxy says something else. Nothing is listened on but the address of the metrics.
    #[command(after_long_help = observing::help(PROGRAM))]
    Observe(Observe),
    /// Move a share of the new connections from where HAProxy listens to our listener, or show or undo that
    ///
    /// By rules of nftables that go back by themselves. For a migration: docs/canary.md.
    #[command(after_long_help = canary::HELP)]
    Canary(Canary),
    #[command(flatten)]
    Admin(AdminCommand),
}

/// Balance, until a signal ends it
///
/// What to do is read from a file, or, for a trial, from the options `--master` and `--listen`.
#[derive(Args, Debug)]
struct Run {
    /// The file; without it, and without --master, the default file
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["master", "listen"])]
    config: Option<PathBuf>,
    /// Instead of a file: a master, with or without a port; once for each
    #[arg(long, value_name = "ADDRESS")]
    master: Vec<String>,
    /// With --master: an address to listen on (default: all, on port 6443); once for each
    #[arg(long, value_name = "ADDRESS", requires = "master")]
    listen: Vec<String>,
    /// One process, without a keeper: a crash closes the listeners. For containers; with --master it
    /// is always so
    #[arg(long)]
    no_keeper: bool,
}

fn after_help() -> String {
    format!(
        "The shortest file, {}:
  masters = [\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.13\"]
What it leaves out is right for Kubernetes masters; docs/configuration.md lists all keys.

A trial without a file:
  eclusa-apiserver run --listen 127.0.0.1:6443 --master 10.0.0.11 --master 10.0.0.12:6443

{EXIT_CODES_AND_SIGNALS}

Files:
  {}  what to do
  /run/eclusa                 locks that keep a second instance off the same address",
        PROGRAM.default_file(),
        PROGRAM.default_file(),
    )
}

fn main() -> ExitCode {
    command::main(|cli: Cli| match cli.command {
        Command::Run(wanted) => run(wanted),
        Command::Engine(arguments) => command::run_engine(PROGRAM, &arguments, None),
        Command::Check(wanted) => command::check(PROGRAM, &wanted, None),
        Command::Doctor(wanted) => doctor::run(PROGRAM, &wanted, None),
        Command::SupportBundle(wanted) => bundle::run(PROGRAM, &wanted, None),
        Command::Import(wanted) => haproxy::run(PROGRAM, &wanted),
        Command::Observe(wanted) => observing::run(PROGRAM, &wanted),
        Command::Canary(wanted) => canary::run(PROGRAM, &wanted),
        Command::Admin(wanted) => client::run(PROGRAM, wanted),
    })
}

fn run(wanted: Run) -> ExitCode {
    if wanted.master.is_empty() {
        return command::run_file(PROGRAM, wanted.config.as_deref(), wanted.no_keeper, None);
    }
    let options = [
        CommandOption { key: "listen", option: "--listen", values: wanted.listen },
        CommandOption { key: "masters", option: "--master", values: wanted.master },
    ];
    let typed = format!("{} run", PROGRAM.name());
    command::run_loaded(eclusa_config::options(PROGRAM, &typed, &options, Mode::Start), None, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn manual_pages_and_completions_are_up_to_date() {
        eclusa_testkit::pages::are_up_to_date(Cli::command());
    }

    #[test]
    fn the_book_is_right() {
        eclusa_testkit::book::commands_parse(&Cli::command());
        eclusa_testkit::book::files_are_right("apiserver", |text, whole| {
            let mode = if whole { Mode::Offline } else { Mode::Known };
            let loaded = eclusa_config::parse(PROGRAM, "the book", text, mode);
            loaded.map(drop).map_err(|mistakes| mistakes.to_string())
        });
    }
}
