//! `canary`: a share of the new connections to where HAProxy listens goes to our listener, by nftables.
//!
//! | file | what |
//! |---|---|
//! | `rule` | what nftables is told: pure text |
//! | `nft` | runs it, and reads what stands |
//! | `judge` | facts in, refusals or the way out |
//! | `host` | gathers the facts |
//! | `hold` | looks after it every second, where that is wanted |
//! | `show` | what is in force |
//!
//! The command changes nftables and ends: what is in force ends by itself there. Neither our service nor HAProxy
//! knows of it.

mod hold;
mod host;
mod judge;
mod nft;
mod rule;
mod show;

use crate::admin::client::Target;
use crate::admin::in_words;
use crate::command::{file_of, refuse};
use clap::Args;
use eclusa_config::Mode;
use eclusa_config::plan::{Plan, Program};
use judge::{Facts, Passes, Refusal, Way};
use nft::{Found, Nft, Standing};
use rule::{End, Rule, Share, Table};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// For the end of its help.
pub const HELP: &str = "\
Our listener has a port of its own, and HAProxy goes on where it is. By nftables a share of the
connections that begin goes to ours; those that stand are not touched, and clients see no difference:
  canary 5% --take 10.0.0.5:6443    5% of what comes to this address
  canary                            what is in force, with its counters
  canary 50%                        another share, in one step
  canary off                        at once

It goes back by itself: after --for, after a reboot, and connection by connection where ours does not
answer (the client's SYN comes again after a second, and goes to HAProxy). Connections that were moved
live on until they end, from the table that stays in nftables: `nft flush ruleset`, and so a reload of
nftables.service, cuts them.

Exit codes:
  0  done
  1  could not be done, or with --hold: had to be undone
  2  the command line or the file is wrong
  3  refused: standard error says why, and what to do

docs/canary.md tells the rest.";

const WRONG: u8 = 2;
const REFUSED: u8 = 3;
/// The longest canary: a month.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// How long it lasts where nobody says.
const USUAL: Duration = Duration::from_secs(3600);

/// `canary [SHARE|off] ...`
#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "options of a command line")]
pub struct Canary {
    /// The share of new connections (5%, 50%, 100%; at least 0.1%), or `off`; without it: what is in force
    #[arg(value_name = "SHARE", value_parser = order)]
    order: Option<Order>,
    /// The configuration file; without it the default file
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The admin socket; without it where the configuration or the run directory has it
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Where clients go and HAProxy listens; 0.0.0.0 or [::] for all addresses of this host. With one canary in
    /// force it need not be said again; `off` without it ends all
    #[arg(long, value_name = "ADDRESS:PORT")]
    take: Option<SocketAddr>,
    /// Which of our listeners gets them; without it the only one
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Go back after this time (90s, 10m, 2h; at most 30d). Without it after an hour
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Stay, look at our service every second, and go back when it is not fit or this command ends
    #[arg(long, conflicts_with = "time")]
    hold: bool,
    /// The address moves between hosts (keepalived), and may be on another one now
    #[arg(long)]
    vip: bool,
    /// Who connects sends a PROXY header, as HAProxy's `accept-proxy` expects
    #[arg(long)]
    proxied: bool,
    /// Move connections although pools are not fine, and pass nothing else by
    #[arg(long)]
    force: bool,
    /// What is in force, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Off,
    Share(Share),
}

fn order(text: &str) -> Result<Order, String> {
    if text == "off" { Ok(Order::Off) } else { text.parse().map(Order::Share) }
}

fn time(text: &str) -> Result<Duration, String> {
    let time = eclusa_config::duration(text)?;
    let fits = (Duration::from_secs(1)..=LONGEST).contains(&time);
    fits.then_some(time).ok_or_else(|| "from 1s to 30d".to_owned())
}

/// Why a command has not done what it says.
enum Trouble {
    /// The command line, or the file.
    Wrong(String),
    /// The file, as its check tells it.
    File(eclusa_config::Diagnostics),
    /// It would hurt.
    Refused(Vec<Refusal>),
    /// It could not be done.
    Failed(String),
}

/// Does what the command line says, and tells what came of it.
#[must_use]
pub fn run(program: Program, wanted: &Canary) -> ExitCode {
    let done = checked(wanted).map_err(Trouble::Wrong).and_then(|()| nft()).and_then(|nft| {
        match wanted.order {
            None => show(program, wanted, &nft),
            Some(Order::Off) => off(program, wanted, &nft),
            Some(Order::Share(share)) => set(program, wanted, &nft, share),
        }
    });
    let name = program.name();
    match done {
        Ok(code) => code,
        Err(Trouble::Wrong(why)) => {
            eprintln!("{name}: {why}");
            ExitCode::from(WRONG)
        }
        Err(Trouble::File(diagnostics)) => refuse(&diagnostics),
        Err(Trouble::Failed(why)) => {
            eprintln!("{name}: {why}");
            ExitCode::FAILURE
        }
        Err(Trouble::Refused(refusals)) => {
            eprintln!("{name}: nothing is changed:");
            refusals.iter().for_each(|one| eprintln!("  {one}"));
            ExitCode::from(REFUSED)
        }
    }
}

/// What is said in vain is told, not passed over.
fn checked(wanted: &Canary) -> Result<(), String> {
    let Canary { listener, time, hold, vip, proxied, force, json, .. } = wanted;
    let of_share = [
        ("--listener", listener.is_some()),
        ("--for", time.is_some()),
        ("--hold", *hold),
        ("--vip", *vip),
        ("--proxied", *proxied),
        ("--force", *force),
    ];
    let said = of_share.into_iter().find(|(_, said)| *said).map(|(option, _)| option);
    match (wanted.order, said) {
        (Some(Order::Share(_)), _) if *json => {
            Err("--json shows what is in force: say it without a share".into())
        }
        (Some(Order::Share(_)), _) | (_, None) => Ok(()),
        (_, Some(option)) => Err(format!("{option} belongs to a share, such as `canary 5%`")),
    }
}

fn nft() -> Result<Nft, Trouble> {
    let refused = |found: &str, remedy: &str| {
        let refusal = Refusal { found: found.to_owned(), remedy: remedy.to_owned() };
        Err(Trouble::Refused(vec![refusal]))
    };
    if !host::may_change_the_network() {
        return refused("nftables is for root (CAP_NET_ADMIN)", "run it by sudo");
    }
    match Nft::find() {
        Some(nft) => Ok(nft),
        None => refused(
            "the program nft is not installed",
            "apt-get install nftables; its service need not run, and a firewall by iptables stays as it is",
        ),
    }
}

fn found(program: Program, nft: &Nft) -> Result<Found, Trouble> {
    nft.found(program).map_err(Trouble::Failed)
}

fn target(wanted: &Canary) -> Target {
    Target::new(wanted.config.clone(), wanted.socket.clone())
}

fn show(program: Program, wanted: &Canary, nft: &Nft) -> Result<ExitCode, Trouble> {
    let mut found = found(program, nft)?;
    found.standing.retain(|one| wanted.take.is_none_or(|take| take == one.take));
    let status = crate::admin::client::status(program, &target(wanted));
    let told = show::told(&found, status.as_deref(), host::connections);
    let text = if wanted.json {
        show::json(&told)
    } else {
        show::text(program, &told, status.as_ref().err())
    };
    // A reader that has gone away is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

fn off(program: Program, wanted: &Canary, nft: &Nft) -> Result<ExitCode, Trouble> {
    let found = found(program, nft)?;
    let ending: Vec<_> = found
        .standing
        .iter()
        .filter(|one| wanted.take.is_none_or(|take| take == one.take))
        .collect();
    if ending.is_empty() {
        let of = wanted.take.map(|take| format!(" for {take}")).unwrap_or_default();
        println!("no canary is in force{of}");
        return Ok(ExitCode::SUCCESS);
    }
    // All at once, before anything is counted.
    let text: String = ending.iter().map(|one| one.table.off(&one.set)).collect();
    nft.apply(&text).map_err(Trouble::Failed)?;
    for one in ending {
        println!("{}", ended(program, one, nft)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes the table away where no connection lives from it, and tells.
fn ended(program: Program, one: &Standing, nft: &Nft) -> Result<String, Trouble> {
    let Standing { take, to, table, .. } = one;
    let stand = host::connections(to.port);
    if stand == 0 {
        nft.apply(&table.delete()).map_err(Trouble::Failed)?;
        return Ok(format!("{take}: nothing is moved any more, and nothing is left of it"));
    }
    Ok(format!(
        "{take}: nothing is moved any more; {stand} connections at {to} live on until they end, from the table \
         {table}, which stays for them: `{} canary off` later takes it away, and so does a reboot",
        program.name()
    ))
}

fn set(program: Program, wanted: &Canary, nft: &Nft, share: Share) -> Result<ExitCode, Trouble> {
    let loaded =
        eclusa_config::load(program, file_of(program, wanted.config.as_deref()), Mode::Known);
    let plan = loaded.map_err(Trouble::File)?.plan;
    let (facts, way) = way(program, wanted, nft, plan)?;
    let rule = Rule {
        table: Table::of(program, facts.take),
        take: facts.take,
        share,
        to: way.to,
        listener: way.listener.clone(),
        end: match wanted.hold {
            true => End::Held(std::process::id()),
            false => End::After(wanted.time.unwrap_or(USUAL)),
        },
    };
    let text = rule.text();
    // This loads what the kernel needs: only then it tells how many connections it can track.
    nft.check(&text).map_err(|why| {
        Trouble::Failed(format!(
            "nftables does not take the rules: {why} (the kernel needs nft_nat, nft_numgen, nft_fib, nft_ct as \
             modules or built in)"
        ))
    })?;
    judge::tracked(host::tracked()).map_err(|one| Trouble::Refused(vec![one]))?;
    nft.apply(&text).map_err(Trouble::Failed)?;
    println!("{}", done(&rule, &way));
    println!(
        "see it: {0} canary; undo it at once: {0} canary off; until moved connections have ended, \
         `nft flush ruleset` and a reload of nftables.service cut them",
        program.name()
    );
    if wanted.hold {
        return Ok(hold::hold(program, &target(wanted), nft, &hold::Held { facts, way, rule }));
    }
    Ok(ExitCode::SUCCESS)
}

/// Gathers and judges.
fn way(program: Program, wanted: &Canary, nft: &Nft, plan: Plan) -> Result<(Facts, Way), Trouble> {
    let found = found(program, nft)?;
    let listening = host::listening();
    let take = match (wanted.take, found.standing.as_slice()) {
        (Some(take), _) => take,
        (None, [one]) => one.take,
        (None, _) => {
            return Err(Trouble::Wrong(format!(
                "say where clients go now, --take ADDRESS:PORT ({})",
                judge::haproxys(&listening)
            )));
        }
    };
    let own = found.standing.iter().find(|one| one.take == take);
    let facts = Facts {
        program,
        take,
        listener: wanted.listener.clone().or_else(|| own?.listener.clone()),
        plan,
        status: crate::admin::client::status(program, &target(wanted)),
        networks: host::networks(),
        listening,
        tracked: host::tracked(),
        moved: own.map_or(0, |one| host::connections(one.to.port)),
        passes: Passes { vip: wanted.vip, proxied: wanted.proxied, force: wanted.force },
        found,
    };
    let way = judge::judge(&facts).map_err(Trouble::Refused)?;
    Ok((facts, way))
}

/// What is in force now, for people.
fn done(rule: &Rule, way: &Way) -> String {
    let Rule { take, share, to, end, .. } = rule;
    let until = match end {
        End::After(time) => format!("for {}; then all go to {} again", in_words(*time), way.from),
        End::Held(_) => format!("while this command runs; then all go to {} again", way.from),
    };
    let away = match way.is_away {
        true => format!(" ({} is not on this host now: nothing is moved until it is)", take.ip()),
        false => String::new(),
    };
    format!(
        "{share} of the new connections to {take} go to listener `{}` at {to}, {until}{away}",
        way.listener
    )
}

#[cfg(test)]
mod tests;
