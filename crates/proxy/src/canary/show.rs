//! What is in force, for people and for programs.

use super::nft::{Found, Standing};
use crate::admin::{StatusReport, in_words};
use eclusa_config::plan::Program;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;

/// All canaries.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    canaries: Vec<One>,
    /// Tables with such a name that are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    foreign: Vec<String>,
}

/// A canary.
#[derive(Debug, Serialize)]
struct One {
    take: SocketAddr,
    to: String,
    listener: Option<String>,
    share_percent: f64,
    #[serde(skip)]
    share: String,
    /// Connections are moved now.
    moving: bool,
    /// Until it ends by itself; within 5 s where a process renews it.
    ends_in_seconds: Option<u64>,
    /// The process that renews it (`--hold`).
    held_by: Option<u32>,
    new_connections: u64,
    moved: u64,
    returned: u64,
    /// Connections at the port of our listener.
    standing: usize,
    /// Sessions of our listener, by what the service says.
    sessions: Option<u64>,
    table: String,
}

/// Gathers what is told. `connections`: how many a port has.
pub(super) fn told(
    found: &Found,
    status: Result<&StatusReport, &String>,
    connections: impl Fn(u16) -> usize,
) -> Told {
    let one = |it: &Standing| {
        let sessions = status.ok().and_then(|status| {
            let own = |one: &&crate::admin::ListenerStatus| Some(&one.name) == it.listener.as_ref();
            status.listeners.iter().find(own).map(|one| one.sessions)
        });
        One {
            take: it.take,
            to: it.to.to_string(),
            listener: it.listener.clone(),
            share_percent: it.share.percent(),
            share: it.share.to_string(),
            moving: it.left.is_some(),
            ends_in_seconds: it.left,
            held_by: it.holder(),
            new_connections: it.seen,
            moved: it.moved,
            returned: it.returned,
            standing: connections(it.to.port),
            sessions,
            table: it.table.to_string(),
        }
    };
    Told {
        canaries: found.standing.iter().map(one).collect(),
        foreign: found.foreign.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn json(told: &Told) -> String {
    serde_json::to_string_pretty(told).unwrap_or_default() + "\n"
}

/// `silent`: why the service says nothing.
pub(super) fn text(program: Program, told: &Told, silent: Option<&String>) -> String {
    let mut lines = Vec::new();
    if told.canaries.is_empty() {
        lines.push("no canary is in force".to_owned());
    }
    for one in &told.canaries {
        canary(&mut lines, program, one);
    }
    if let Some(why) = silent.filter(|_| !told.canaries.is_empty()) {
        lines.push(format!("the service says nothing: {why}"));
    }
    for table in &told.foreign {
        lines.push(format!("table {table} is no canary of ours: nft list table {table}"));
    }
    lines.join("\n") + "\n"
}

fn canary(lines: &mut Vec<String>, program: Program, one: &One) {
    let One { take, to, share, new_connections, moved, returned, standing, table, .. } = one;
    let whom =
        one.listener.as_ref().map(|name| format!("listener `{name}` at ")).unwrap_or_default();
    lines.push(match (one.ends_in_seconds, one.held_by) {
        (Some(_), Some(pid)) => {
            format!(
                "{take}: {share} of new connections go to {whom}{to}, while process {pid} holds it"
            )
        }
        (Some(left), None) => format!(
            "{take}: {share} of new connections go to {whom}{to}, for {} more",
            in_words(Duration::from_secs(left))
        ),
        (None, _) => format!("{take}: nothing is moved any more (it was {share}, to {whom}{to})"),
    });
    lines.push(format!("  new connections  {new_connections}, of which {moved} were moved"));
    if *returned > 0 {
        lines.push(format!(
            "  returned         {returned}: without an answer from {to} they went where all go, a second late. \
             Does a packet filter let port {} in? Is the service there ({} status)?",
            to.rsplit(':').next().unwrap_or_default(),
            program.name()
        ));
    }
    let sessions = one.sessions.map(|sessions| format!("; the listener has {sessions} sessions"));
    lines.push(format!(
        "  standing         {standing} connections at {to}{}",
        sessions.unwrap_or_default()
    ));
    if one.ends_in_seconds.is_none() {
        let name = program.name();
        lines.push(match standing {
            0 => format!("  left             the empty table {table}: `{name} canary off` takes it away"),
            _ => format!(
                "  left             the table {table}, from which they live: `{name} canary off` takes it away \
                 when they have ended"
            ),
        });
    }
}
