//! The last things that happened, and those that will: `events`.

use super::request::Events;
use super::serve::{Client, Waited};
use super::{Data, Outcome, Reply, protocol};
use crate::observe::{Happened, MAX_FOLLOWERS, Recent};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventTable {
    /// How many events there were since the engine began.
    pub(crate) total: u64,
    /// Events that a follower did not get, because it read too slowly.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) missed: u64,
    /// The events, the oldest first.
    pub(crate) events: Vec<Told>,
}

/// One event: the fields that its line in the log has, with its `number`, from 1, when it happened (`at`)
/// and its `severity`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Told(pub(crate) Map<String, Value>);

impl From<&Happened> for Told {
    fn from(happened: &Happened) -> Self {
        let mut fields = happened.fields();
        let at = humantime::format_rfc3339_millis(happened.at).to_string();
        let severity = happened.severity.name();
        let own = [("number", happened.number.into()), ("at", at.into())];
        let own = own.into_iter().chain([("severity", severity.into())]);
        fields.extend(own.map(|(key, value): (&str, Value)| (key.to_owned(), value)));
        Self(fields)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Events {
    /// Those that are asked for, of those that are kept.
    pub(crate) fn of(&self, recent: &Recent) -> EventTable {
        let mut table = self.after(recent, 0);
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        table.events.drain(..table.events.len().saturating_sub(most));
        table.missed = 0;
        table
    }

    /// Those with a higher number than `after`; those that are kept no more are missed.
    fn after(&self, recent: &Recent, after: u64) -> EventTable {
        let (total, kept) = recent.after(after);
        let missed = total.saturating_sub(after).saturating_sub(kept.len() as u64);
        let since = self.since.map(SystemTime::from);
        let wanted = |event: &&Arc<Happened>| {
            let kind = self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == event.kind);
            kind && since.is_none_or(|since| event.at >= since)
        };
        let events = kept.iter().filter(wanted).map(|event| Told::from(&**event)).collect();
        EventTable { total, missed, events }
    }
}

/// Between two lines for a follower at least: what comes together is told together.
const GATHER: Duration = Duration::from_millis(20);

/// Tells a client what happened and what happens, a line each time, until it goes or does not read. What it
/// has not been told yet is not kept for it: it is told how many events it has missed.
pub(super) async fn follow(client: &mut Client, id: &Value, asked: &Events, recent: &Arc<Recent>) {
    let Some(mut follower) = recent.follow() else {
        let message = format!("{MAX_FOLLOWERS} clients follow already: ask without `follow`");
        let reply = Reply::not_done(Outcome::Failed, message);
        let _ = client.write(&protocol::reply_line(id, &reply)).await;
        return;
    };
    let mut table = asked.of(recent);
    let mut first = true;
    loop {
        let last = table.total;
        if first || !table.events.is_empty() || table.missed > 0 {
            let reply = Reply::done(Data::Events(Box::new(table)));
            let line = protocol::reply_line(id, &reply);
            drop(reply);
            if client.write(&line).await.is_err() {
                follower.count_cut();
                return;
            }
        }
        first = false;
        if client.wait_beside(follower.wait(last)).await == Waited::Gone {
            return;
        }
        tokio::time::sleep(GATHER).await;
        table = asked.after(recent, last);
    }
}
