//! The sessions that a worker carries, for the operator who asks. Those that are still being set up
//! are not told of: they last for moments.

use crate::admin::{Moment, Session, SessionFilter, Sort};
use crate::observe::Record;
use crate::registry::{Registry, Watch};
use crate::signal::{SessionQuery, SessionsFound};
use std::cmp::Reverse;
use std::time::Duration;

/// Finds what is asked for, and closes it if that is asked for, too.
pub(super) fn find(registry: &Registry, worker: usize, ask: &SessionQuery) -> SessionsFound {
    let mut found = SessionsFound::default();
    for watch in registry.all() {
        let record = watch.record().borrow();
        let Some(record) = record.as_deref().filter(|record| matches(&ask.filter, record)) else {
            continue;
        };
        if let Some(ids) = &ask.ids {
            let id = record.id.to_string();
            if !ids.contains(&id) {
                continue;
            }
            found.ids.push(id);
        }
        found.matching += 1;
        if ask.close {
            watch.close();
        } else {
            found.sessions.push(told(record, &watch, registry.now(), worker));
        }
    }
    sort(&mut found.sessions, ask.sort);
    found.sessions.truncate(ask.limit);
    found
}

/// Sorts sessions as asked for.
pub(crate) fn sort(sessions: &mut [Session], by: Sort) {
    match by {
        Sort::Age => sessions.sort_by_key(|session| session.began),
        Sort::Idle => sessions.sort_by_key(|session| Reverse(session.idle_seconds)),
        Sort::Bytes => {
            sessions.sort_by_key(|session| Reverse(session.bytes_up + session.bytes_down))
        }
    }
}

fn matches(filter: &SessionFilter, record: &Record) -> bool {
    let pool = record.pool.as_ref().map(|pool| pool.name());
    let endpoint = record.endpoint.as_ref().map(|endpoint| endpoint.name());
    filter.pool.as_deref().is_none_or(|wanted| pool == Some(wanted))
        && filter.endpoint.as_deref().is_none_or(|wanted| endpoint.as_deref() == Some(wanted))
        && filter.client.is_none_or(|wanted| wanted.contains(record.client.ip()))
}

fn told(record: &Record, watch: &Watch, now: crate::registry::Tick, worker: usize) -> Session {
    let age = record.accepted.elapsed();
    let (bytes_up, bytes_down) = watch.bytes();
    Session {
        id: record.id.to_string(),
        listener: record.listener.to_string(),
        worker,
        client: record.client,
        pool: record.pool.as_ref().map(|pool| pool.name().to_owned()),
        endpoint: record.endpoint.as_ref().map(|endpoint| endpoint.name().to_string()),
        address: record.endpoint.as_ref().map(|endpoint| endpoint.address()),
        server_name: record.server_name.as_deref().map(str::to_owned),
        step: "data".to_owned(),
        began: Moment::now().before(age),
        age_seconds: age.as_secs(),
        idle_seconds: watch.idle(now).min(age).as_secs(),
        bytes_up,
        bytes_down,
    }
}

/// How long a worker is waited for that tells of its sessions.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
