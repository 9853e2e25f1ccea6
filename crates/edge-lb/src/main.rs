//! Load balancer at the edge: outside traffic to the ingress VIPs. The command line.

use clap::{Args, Parser, Subcommand};
use eclusa_config::plan::Program;
use eclusa_haproxy_compare::{self as haproxy, Import};
use eclusa_http::Http;
use eclusa_proxy::admin::client::{self, AdminCommand, EXIT_CODES, Target};
use eclusa_proxy::bundle::{self, SupportBundle};
use eclusa_proxy::canary::{self, Canary};
use eclusa_proxy::command::{self, Check, EXIT_CODES_AND_SIGNALS, EngineArguments};
use eclusa_proxy::doctor::{self, Doctor};
use eclusa_proxy::drop_in::{self, DropIn};
use eclusa_proxy::layer7::Layer;
use eclusa_proxy::observing::{self, Observe};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

const PROGRAM: Program = Program::Edge;

/// Load balancer at the edge: outside traffic to the ingress VIPs
///
/// From outside to the virtual IPs of the cluster's ingress controllers: TCP and TLS passthrough,
/// chosen by server name, client network or port, of which nothing is decrypted; where a listener
/// says so, TLS is terminated and HTTP/1.1 is routed by request.
#[derive(Debug, Parser)]
#[command(name = "eclusa-edge", version, after_long_help = after_help())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Balance, until a signal ends it
    Run(Run),
    #[command(hide = true)]
    Engine(EngineArguments),
    /// Tell everything that is wrong with a file, and do nothing else
    Check(Check),
    /// Look for what is wrong around the service, and tell the remedy
    ///
    /// Settings of the kernel, limits, who listens, files and certificates, what endpoints answer with a PROXY
    /// header and without, what must not be reached from here, clocks, what is in force. It changes nothing,
    /// and runs whether the service does or not.
    #[command(after_long_help = doctor::EXIT_CODES)]
    Doctor(Doctor),
    /// Write one file for who helps from afar, without secrets
    #[command(after_long_help = bundle::HELP)]
    SupportBundle(SupportBundle),
    /// Write a configuration from haproxy.cfg, and tell of every line what became of it
    ///
    /// The files are read as HAProxy reads them. Nothing on this host is changed.
    #[command(after_long_help = haproxy::after_help())]
    Import(Import),
    /// Judge the endpoints beside the HAProxy that carries the traffic, and carry nothing
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
    /// Print a drop-in for the unit that keeps the service from all other addresses
    ///
    /// `IPAddressDeny=` and `IPAddressAllow=` of systemd.resource-control(5), for what the file says:
    /// clients, endpoints, resolvers, syslog, the other host. Where every listener has an `allow` list,
    /// or --clients says from where clients come, all other addresses are denied; else the private and
    /// link-local ones, so that nobody who takes the service over comes from outside into the networks
    /// behind this host.
    #[command(after_long_help = DROP_IN)]
    DropIn(DropIn),
    /// Show the last 100 requests and answers that were refused as no HTTP, with their bytes
    ///
    /// What a client got 400 for, or an endpoint's answer 502: the reason, the bytes, and where in them
    /// reading ended. Values of Authorization, Cookie and Set-Cookie are blanked.
    #[command(after_long_help = EXIT_CODES)]
    Errors(Target),
    #[command(flatten)]
    Admin(AdminCommand),
}

const DROP_IN: &str = "\
To put it in force, after each change of the file that changes it:
  eclusa-edge drop-in > /etc/systemd/system/eclusa-edge.service.d/addresses.conf
  systemctl daemon-reload
  systemctl restart eclusa-edge

What it does not know, standard error tells: read it before you restart. Clients in private networks
beside those of the whole internet:
  eclusa-edge drop-in --clients 0.0.0.0/0 --clients 192.168.1.0/24";

#[derive(Args, Debug)]
struct Run {
    /// The file; without it the default file
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One process, without a keeper: a crash closes the listeners. For containers
    #[arg(long)]
    no_keeper: bool,
}

fn after_help() -> String {
    format!(
        "The shortest file, {}:
  [listener.web]
  listen = [\"0.0.0.0:443\"]
  pool = \"ingress\"

  [pool.ingress]
  endpoints = [\"10.0.1.100:443\"]
docs/configuration.md lists all keys; config/ has a file for each scenario.

{EXIT_CODES_AND_SIGNALS}

Files:
  {}  what to do
  /run/eclusa            locks that keep a second instance off the same address",
        PROGRAM.default_file(),
        PROGRAM.default_file(),
    )
}

/// What speaks TLS and HTTP at listeners that ask for it.
fn layer() -> Arc<dyn Layer> {
    Arc::new(Http::default())
}

fn main() -> ExitCode {
    command::main(|cli: Cli| match cli.command {
        Command::Run(wanted) => {
            command::run_file(PROGRAM, wanted.config.as_deref(), wanted.no_keeper, Some(layer()))
        }
        Command::Engine(arguments) => command::run_engine(PROGRAM, &arguments, Some(layer())),
        Command::Check(wanted) => command::check(PROGRAM, &wanted, Some(layer())),
        Command::Doctor(wanted) => doctor::run(PROGRAM, &wanted, Some(layer())),
        Command::SupportBundle(wanted) => bundle::run(PROGRAM, &wanted, Some(layer())),
        Command::Import(wanted) => haproxy::run(PROGRAM, &wanted),
        Command::Observe(wanted) => observing::run(PROGRAM, &wanted),
        Command::Canary(wanted) => canary::run(PROGRAM, &wanted),
        Command::DropIn(wanted) => drop_in::print(PROGRAM, &wanted),
        Command::Errors(target) => client::errors(PROGRAM, &target),
        Command::Admin(wanted) => client::run(PROGRAM, wanted),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use eclusa_config::Mode;

    #[test]
    fn manual_pages_and_completions_are_up_to_date() {
        eclusa_testkit::pages::are_up_to_date(Cli::command());
    }

    #[test]
    fn the_book_is_right() {
        eclusa_testkit::book::commands_parse(&Cli::command());
        eclusa_testkit::book::files_are_right("edge", |text, whole| {
            let mode = if whole { Mode::Offline } else { Mode::Known };
            let loaded = eclusa_config::parse(PROGRAM, "the book", text, mode);
            loaded.map(drop).map_err(|mistakes| mistakes.to_string())
        });
    }
}
