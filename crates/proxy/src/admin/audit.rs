//! What the log says of everything that was ordered: who, from where, what, what was so before and is
//! so now, why, and what came of it.

use super::{Outcome, Peer, Reply};
use crate::observe::{Event, Severity};

/// Somebody who orders something, and how it came here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By<'a> {
    /// Who; `None`: nobody can tell, as of a signal.
    pub(crate) peer: Option<&'a Peer>,
    /// How it came: `admin socket`, `SIGHUP`.
    pub(crate) from: &'static str,
}

/// The line about a request that was carried out, or was not; `words` and `reason` are the request's.
pub(crate) fn event(words: &str, reason: Option<&str>, by: By<'_>, reply: &Reply) -> Event {
    let severity = match reply.outcome {
        Outcome::Done => Severity::Notice,
        Outcome::Failed => Severity::Error,
        Outcome::Wrong | Outcome::Refused => Severity::Warning,
    };
    let outcome = reply.outcome.name();
    let who = by.peer.map_or_else(|| by.from.to_owned(), ToString::to_string);
    let mut event = Event::new("admin", format!("{words}, by {who}: {outcome}"))
        .severity(severity)
        .about("command", words)
        .about("outcome", outcome)
        .about("from", by.from);
    if let Some(peer) = by.peer {
        if let Some(uid) = peer.uid {
            event = event.about("uid", uid);
        }
        for (key, text) in [("user", &peer.user), ("program", &peer.program), ("at", &peer.from)] {
            if let Some(text) = text {
                event = event.about(key, text.clone());
            }
        }
        if let Some(pid) = peer.pid {
            event = event.about("pid", pid);
        }
    }
    if let (Some((before, after)), Outcome::Done) = (&reply.changed, reply.outcome) {
        event = event.about("before", before.clone()).about("after", after.clone());
    }
    match reason {
        Some(reason) => event.about("reason", reason),
        None => event,
    }
}
