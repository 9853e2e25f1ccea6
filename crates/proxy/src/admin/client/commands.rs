//! The command lines of these commands, and the requests that they stand for.

use super::drill::DrillCommand;
use crate::admin::request::{
    AdminState, ClientNetwork, Confirm, EndpointAdd, EndpointRemove, EndpointReset, EndpointSet,
    EndpointWeight, Events, PlanOf, Reload, Request, Rollback, Save, SessionClose, SessionList,
    SessionShow, Sort, StatusOf,
};
use crate::admin::{Explain, Moment};
use clap::{Args, Subcommand};
use std::net::IpAddr;
use std::path::PathBuf;

/// For the end of the help texts.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  could not be done, or the program does not answer
  2  the command is wrong, or names what is not there
  3  refused by a guard, which --force passes by";

/// The commands that speak to a running program.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Put the changed configuration file in force, or change nothing and tell why
    #[command(after_long_help = EXIT_CODES)]
    Reload {
        /// Which program.
        #[command(flatten)]
        target: Target,
        /// Pass the shrink guard by, and nothing else
        ///
        /// It refuses a file that takes from a pool the last endpoint that is up, or more than half of
        /// those that are up, or that takes away more than half of the pools with an endpoint that is
        /// up. All else that is wrong with a file is refused with --force as well. `allow_shrink =
        /// true` in the file is the same for every reload.
        #[arg(long)]
        force: bool,
        /// Go back by itself unless `confirm` is said within this time (60s, 10m; at most 1d)
        ///
        /// What was in force before is put back as it was, whatever has become of the file, of this
        /// terminal, or of the process that carries the traffic: should that crash meanwhile, it is put
        /// back at once. No other reload can begin until then. `rollback` goes back sooner. The file is
        /// not touched; until the next reload it is not taken either: not by a restart under systemd, but
        /// by a stop and a start, and by a boot.
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        confirm: Option<u64>,
        /// Why, for the log.
        #[command(flatten)]
        why: Reason,
    },
    /// Keep what `reload --confirm` has put in force
    #[command(after_long_help = EXIT_CODES)]
    Confirm {
        /// Which program.
        #[command(flatten)]
        target: Target,
        /// Why, for the log.
        #[command(flatten)]
        why: Reason,
    },
    /// Put in force again what was so before the last reload
    ///
    /// As it was read then, and checked as a reload is. The file is not touched: correct it, and reload;
    /// a boot, or a stop and a start of the service, takes what it says. One step back: what was in force before that is not
    /// kept. While a confirmation is awaited it goes back at once.
    #[command(after_long_help = EXIT_CODES)]
    Rollback {
        /// Which program.
        #[command(flatten)]
        target: Target,
        /// Pass the shrink guard by, as with `reload`
        #[arg(long)]
        force: bool,
        /// Why, for the log.
        #[command(flatten)]
        why: Reason,
    },
    /// Show the last 1000 events: verdicts, reloads, orders, limits, all but sessions
    ///
    /// They are kept in memory by the process that carries the traffic (1 MiB at most), and begin anew
    /// with it; the log has those before, and what the keeper tells.
    #[command(after_long_help = EXIT_CODES)]
    Events(EventsCommand),
    /// Write what was ordered at run time into the configuration file
    ///
    /// As whoever calls it: who may not write the file cannot save. Weights can be written; what no file
    /// can say (drain, maint), and what ends by itself, is told and stays as it is. Comments and layout,
    /// mode and owner of the file are kept. It is refused where the file is not what is in force. Nothing
    /// changes in the program that runs: `reload` then ends the orders that the file says.
    #[command(after_long_help = EXIT_CODES)]
    Save {
        /// Which program.
        #[command(flatten)]
        target: Target,
        /// Show what would change, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Show pools, endpoints, verdicts, sessions, certificates
    #[command(after_long_help = EXIT_CODES)]
    Status {
        /// Which program.
        #[command(flatten)]
        target: Target,
        /// Only this pool
        #[arg(value_name = "POOL")]
        pool: Option<String>,
        /// Again every two seconds, until interrupted
        #[arg(long)]
        watch: bool,
    },
    /// Show what a reload would do now, and do nothing
    ///
    /// Item by item, with the sessions that stand on each. Without -c, or with the file of the program
    /// that runs, the program reads its file as a reload does. Another file named by -c is sent to it
    /// (at most 48 KiB); certificates, keys and lists that such a file names are not opened: `check`
    /// does that.
    #[command(after_long_help = EXIT_CODES)]
    Plan {
        /// Which program, and which file.
        #[command(flatten)]
        target: Target,
    },
    /// Show where a connection or a request goes, and why
    ///
    /// The access list, each rule and each route in order with what it asks and what was found, the
    /// pool, and each endpoint with why it is in or out. With --host and --path it is about a request,
    /// else about a connection.
    #[command(after_long_help = format!("{EXPLAINED}\n\n{EXIT_CODES}"))]
    Explain(ExplainCommand),
    /// Look at sessions, or close them
    #[command(subcommand)]
    Session(SessionCommand),
    /// Take endpoints out, bring them back, weigh them
    #[command(subcommand)]
    Endpoint(EndpointCommand),
    /// Treat an endpoint for some seconds as if it failed, and tell what clients saw
    #[command(subcommand)]
    Drill(DrillCommand),
}

/// Which program is meant, and how it answers.
#[derive(Args, Debug)]
pub struct Target {
    /// The configuration file of the program that runs; it may say where the socket is
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The admin socket; without it where the configuration or the run directory has it
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub(super) socket: Option<PathBuf>,
    /// The answer as JSON, on standard output
    #[arg(long)]
    pub(super) json: bool,
}

impl Target {
    /// The program whose file or socket this is; by default where it usually is.
    pub(crate) fn new(config: Option<PathBuf>, socket: Option<PathBuf>) -> Self {
        Self { config, socket, json: false }
    }
}

/// For the end of its help.
const EXPLAINED: &str = "\
Examples:
  explain --from 203.0.113.7 --sni git.example.com --port 443
  explain --from 203.0.113.7 --host shop.example.com --path '/api/orders?page=2' --method POST
  explain --offline -c new.toml --from 203.0.113.7 --host shop.example.com --path /

It is done (0) whatever becomes of what was asked.";

/// Why.
#[derive(Args, Debug)]
pub struct Reason {
    /// Why, for those who read the log
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// `events ...`
#[derive(Args, Debug)]
pub struct EventsCommand {
    /// Which program.
    #[command(flatten)]
    target: Target,
    /// And those that come, until interrupted; with --json one object in each line
    #[arg(short, long)]
    follow: bool,
    /// Not those before: a time ago (10m, 2h) or a moment (2026-11-25T05:00:00Z)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Of this kind alone (verdict, reloaded, admin, ...); once for each
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// The last so many
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: u32,
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    let ago = eclusa_config::duration(text).map_err(|_| {
        "write a time such as 10m, or a moment such as 2026-11-25T05:00:00Z".to_owned()
    })?;
    Ok(Moment::now().before(ago))
}

/// `explain ...`
#[derive(Args, Debug)]
pub struct ExplainCommand {
    /// Which program.
    #[command(flatten)]
    pub(super) target: Target,
    /// Of the file alone, without a running program: all endpoints count as up
    #[arg(long, conflicts_with = "socket")]
    pub(super) offline: bool,
    /// The client's address; behind a proxy the one that its PROXY header names
    #[arg(long, value_name = "IP")]
    from: IpAddr,
    /// The listener; may be left out where only one can be meant
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// The port that the client connects to
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The server name of its ClientHello; where TLS is terminated the host, if left out
    #[arg(long, value_name = "NAME")]
    sni: Option<String>,
    /// The host of its request
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The path, with or without a query
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The method (default: GET)
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// A header field; once for each
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// A cookie; once for each
    #[arg(long, value_name = "NAME=VALUE")]
    cookie: Vec<String>,
}

impl ExplainCommand {
    fn into_request(self) -> (Target, Request) {
        let Self { target, from, listener, port, sni, host, path, method, header, cookie, .. } =
            self;
        let (headers, cookies) = (header, cookie);
        let asked = Explain { from, listener, port, sni, host, path, method, headers, cookies };
        (target, Request::Explain(Box::new(asked)))
    }
}

/// `session ...`
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List sessions, the oldest first
    #[command(after_long_help = EXIT_CODES)]
    List {
        /// Which program.
        #[command(flatten)]
        target: Target,
        /// Of which sessions.
        #[command(flatten)]
        of: Which,
        /// At most so many, up to 10000
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// In which order.
        #[command(flatten)]
        order: SortBy,
    },
    /// Show one session
    #[command(after_long_help = EXIT_CODES)]
    Show {
        /// Which program.
        #[command(flatten)]
        target: Target,
        /// Its id, as in the log and in `session list`
        #[arg(value_name = "ID")]
        session: String,
    },
    /// Close sessions: those with these ids, or all that fulfil the options
    #[command(after_long_help = EXIT_CODES)]
    Close {
        /// Which program.
        #[command(flatten)]
        target: Target,
        /// Their ids
        #[arg(value_name = "ID", required_unless_present_any = ["pool", "endpoint", "client"],
              conflicts_with_all = ["pool", "endpoint", "client"])]
        sessions: Vec<String>,
        /// Of which sessions.
        #[command(flatten)]
        of: Which,
    },
}

/// What sessions have in common.
#[derive(Args, Debug)]
pub struct Which {
    /// Of this pool
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// On this endpoint
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Of clients with this address or in this network
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    client: Option<String>,
}

/// Which sessions come first.
#[derive(Args, Debug)]
pub struct SortBy {
    /// Which come first
    #[arg(long, value_enum, default_value_t = Sort::Age)]
    sort: Sort,
}

/// `endpoint ...`
#[derive(Debug, Subcommand)]
pub enum EndpointCommand {
    /// No new sessions; those that stand go on
    #[command(after_long_help = EXIT_CODES)]
    Drain(Taking),
    /// Back into service, as far as its verdict lets it
    #[command(after_long_help = EXIT_CODES)]
    Ready(Returning),
    /// Out of service: no new sessions, no probes; sessions that stand go on
    #[command(after_long_help = EXIT_CODES)]
    Maint(Taking),
    /// Another share of new sessions than the file says
    #[command(after_long_help = EXIT_CODES)]
    Weight {
        /// Which endpoint.
        #[command(flatten)]
        on: Returning,
        /// The share relative to the others, 1 to 256
        #[arg(value_name = "WEIGHT")]
        weight: u16,
        /// How long, and why.
        #[command(flatten)]
        order: Why,
    },
    /// Endpoints that the file does not list, until it does
    ///
    /// As if they stood in its list: everything that is checked there is checked. They are on probation
    /// until probes have found them well. Kept across reloads and restarts; `save` writes them into the
    /// file. Masters are added to all ports.
    #[command(after_long_help = EXIT_CODES)]
    Add {
        /// Which program.
        #[command(flatten)]
        target: Target,
        /// The pool, by the name that `status` shows
        #[arg(value_name = "POOL")]
        pool: String,
        /// Where they are, as in the file; they are called NAME, or as their address is written
        #[arg(value_name = "ADDRESS[=NAME]", required = true)]
        endpoints: Vec<String>,
        /// The share of each relative to the others, 1 to 256
        #[arg(long, value_name = "WEIGHT")]
        weight: Option<u16>,
        /// Why, for the log.
        #[command(flatten)]
        why: Reason,
    },
    /// An endpoint less, until the file does not list it either
    ///
    /// It takes no new sessions, and is probed until the last of those that stand has ended by itself.
    /// Kept across reloads and restarts; `save` takes it out of the file.
    #[command(after_long_help = EXIT_CODES)]
    Remove {
        /// Which endpoint.
        #[command(flatten)]
        on: Returning,
        /// Even if that breaks the quorum of the masters, or takes most of a pool
        #[arg(long)]
        force: bool,
        /// Why, for the log.
        #[command(flatten)]
        why: Reason,
    },
    /// Back to what the file says, weight and all; what was added or removed stays so
    #[command(after_long_help = EXIT_CODES)]
    Reset(Returning),
}

/// What it takes to take an endpoint out.
#[derive(Args, Debug)]
pub struct Taking {
    #[command(flatten)]
    on: Returning,
    #[command(flatten)]
    order: Why,
    /// Even if that breaks the quorum of the masters, or leaves a pool without an endpoint
    #[arg(long)]
    force: bool,
}

/// Which endpoint.
#[derive(Args, Debug)]
pub struct Returning {
    #[command(flatten)]
    pub(super) target: Target,
    /// The endpoint, by the names that `status` shows
    #[arg(value_name = "POOL/NAME", value_parser = endpoint)]
    pub(super) endpoint: (String, String),
}

/// How long, and why.
#[derive(Args, Debug)]
pub struct Why {
    /// For so long (90s, 30m, 2h, 7d), across restarts; without it until ordered otherwise
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    for_seconds: Option<u64>,
    /// Why, for those who see it in `status`
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

fn network(text: &str) -> Result<String, String> {
    text.parse::<ClientNetwork>().map(|network| network.to_string())
}

pub(super) fn seconds(text: &str) -> Result<u64, String> {
    match eclusa_config::duration(text)?.as_secs() {
        0 => Err("at least 1s".to_owned()),
        seconds => Ok(seconds),
    }
}

fn endpoint(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((pool, name)) if !pool.is_empty() && !name.is_empty() => {
            Ok((pool.to_owned(), name.to_owned()))
        }
        _ => Err("write POOL/NAME, as `status` shows them".to_owned()),
    }
}

impl AdminCommand {
    pub(in crate::admin) fn into_request(self) -> (Target, Request) {
        match self {
            Self::Reload { target, force, confirm: confirm_seconds, why: Reason { reason } } => {
                (target, Request::Reload(Reload { force, confirm_seconds, reason }))
            }
            Self::Confirm { target, why: Reason { reason } } => {
                (target, Request::Confirm(Confirm { reason }))
            }
            Self::Rollback { target, force, why: Reason { reason } } => {
                (target, Request::Rollback(Rollback { force, reason }))
            }
            Self::Events(EventsCommand { target, follow, since, kinds, limit }) => {
                (target, Request::Events(Events { follow, since, kinds, limit }))
            }
            Self::Save { target, .. } => (target, Request::Save(Save {})),
            Self::Status { target, pool, .. } => (target, Request::Status(StatusOf { pool })),
            // What -c names is read when it is sent.
            Self::Plan { target } => (target, Request::Plan(PlanOf::default())),
            Self::Explain(command) => command.into_request(),
            Self::Session(command) => command.into_request(),
            Self::Endpoint(command) => command.into_request(),
            Self::Drill(command) => command.into_request(),
        }
    }
}

impl SessionCommand {
    fn into_request(self) -> (Target, Request) {
        match self {
            Self::List { target, of, limit, order } => {
                let (pool, endpoint, client) = of.into_parts();
                let list = SessionList { pool, endpoint, client, limit, sort: order.sort };
                (target, Request::SessionList(list))
            }
            Self::Show { target, session } => {
                (target, Request::SessionShow(SessionShow { session }))
            }
            Self::Close { target, sessions, of } => {
                let (pool, endpoint, client) = of.into_parts();
                let close = SessionClose { sessions, pool, endpoint, client };
                (target, Request::SessionClose(close))
            }
        }
    }
}

impl Which {
    fn into_parts(self) -> (Option<String>, Option<String>, Option<ClientNetwork>) {
        // It was parsed once.
        let client = self.client.and_then(|client| client.parse().ok());
        (self.pool, self.endpoint, client)
    }
}

impl EndpointCommand {
    fn into_request(self) -> (Target, Request) {
        match self {
            Self::Drain(taking) => taking.into_request(AdminState::Drain),
            Self::Maint(taking) => taking.into_request(AdminState::Maint),
            Self::Ready(on) => {
                let order = Why { for_seconds: None, reason: None };
                Taking { on, order, force: false }.into_request(AdminState::Ready)
            }
            Self::Weight { on, weight, order } => {
                let (pool, endpoint) = on.endpoint;
                let Why { for_seconds, reason } = order;
                let weight = EndpointWeight { pool, endpoint, weight, for_seconds, reason };
                (on.target, Request::EndpointWeight(weight))
            }
            Self::Add { target, pool, endpoints, weight, why: Reason { reason } } => {
                (target, Request::EndpointAdd(EndpointAdd { pool, endpoints, weight, reason }))
            }
            Self::Remove { on, force, why: Reason { reason } } => {
                let (pool, endpoint) = on.endpoint;
                let remove = EndpointRemove { pool, endpoint, reason, force };
                (on.target, Request::EndpointRemove(remove))
            }
            Self::Reset(on) => {
                let (pool, endpoint) = on.endpoint;
                (on.target, Request::EndpointReset(EndpointReset { pool, endpoint }))
            }
        }
    }
}

impl Taking {
    fn into_request(self, admin: AdminState) -> (Target, Request) {
        let (pool, endpoint) = self.on.endpoint;
        let Why { for_seconds, reason } = self.order;
        let force = self.force;
        let set = EndpointSet { pool, endpoint, admin, for_seconds, reason, force };
        (self.on.target, Request::EndpointSet(set))
    }
}
