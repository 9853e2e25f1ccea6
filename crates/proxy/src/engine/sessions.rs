//! The sessions that a worker carries, for the operator who asks. Those that are still being set up
//! are asked for themselves: nothing is kept of them for the case that somebody wants to know.

use crate::admin::{Moment, Session, SessionFilter, Sort};
use crate::observe::{Opening, SessionId};
use crate::registry::{Registry, SettingUp, Tick, Watch};
use crate::signal::{SessionQuery, SessionsFound};
use std::cmp::Reverse;
use std::time::Duration;

/// How many tasks have their turn, at least, before one that yields has its own again.
const TASKS_PER_TURN: usize = 32;

/// The sessions that are being set up, as far as they can be what is asked for: to which pool and
/// endpoint they go is not known yet.
pub(super) async fn setting_up(registry: &Registry, ask: &SessionQuery) -> Vec<SettingUp> {
    if ask.filter.pool.is_some() || ask.filter.endpoint.is_some() {
        return Vec::new();
    }
    let asked = registry.ask_who_is_set_up();
    // Each needs one turn. One that ended meanwhile says nothing.
    for _ in 0..asked / TASKS_PER_TURN + 4 {
        if registry.said() >= asked {
            break;
        }
        tokio::task::yield_now().await;
    }
    registry.take_said()
}

/// Finds what is asked for, and closes it if that is asked for, too.
pub(super) fn find(
    registry: &Registry,
    worker: usize,
    ask: &SessionQuery,
    setting_up: &[SettingUp],
) -> SessionsFound {
    let mut found = SessionsFound::default();
    for one in setting_up {
        let client = one.peer.ip().to_canonical();
        if ask.filter.client.is_none_or(|wanted| wanted.contains(client)) {
            found.take(ask, one.id, &one.watch, || told_of_one_set_up(one, worker));
        }
    }
    for watch in registry.all() {
        let opening = watch.opening().borrow();
        let Some(opening) = opening.as_deref().filter(|it| matches(&ask.filter, it)) else {
            continue;
        };
        found.take(ask, opening.id, &watch, || told(opening, &watch, registry.now(), worker));
    }
    sort(&mut found.sessions, ask.sort);
    found.sessions.truncate(ask.limit);
    found
}

impl SessionsFound {
    /// Takes one that fulfils the filter, if it is asked for by its id or no ids are.
    fn take(
        &mut self,
        ask: &SessionQuery,
        id: SessionId,
        watch: &Watch,
        told: impl FnOnce() -> Session,
    ) {
        if let Some(ids) = &ask.ids {
            let id = id.to_string();
            if !ids.contains(&id) {
                return;
            }
            self.ids.push(id);
        }
        self.matching += 1;
        if ask.close {
            watch.close();
        } else {
            self.sessions.push(told());
        }
    }
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

fn matches(filter: &SessionFilter, opening: &Opening) -> bool {
    let pool = opening.pool.as_ref().map(|pool| pool.name());
    let endpoint = opening.endpoint.as_ref().map(|endpoint| endpoint.name());
    filter.pool.as_deref().is_none_or(|wanted| pool == Some(wanted))
        && filter.endpoint.as_deref().is_none_or(|wanted| endpoint.as_deref() == Some(wanted))
        && filter.client.is_none_or(|wanted| wanted.contains(opening.client.ip()))
}

fn told_of_one_set_up(one: &SettingUp, worker: usize) -> Session {
    let age = one.accepted.elapsed();
    Session {
        id: one.id.to_string(),
        listener: one.listener.to_string(),
        worker,
        client: one.peer,
        pool: None,
        endpoint: None,
        address: None,
        server_name: None,
        step: "setup".to_owned(),
        began: Moment::now().before(age),
        age_seconds: age.as_secs(),
        idle_seconds: age.as_secs(),
        bytes_up: 0,
        bytes_down: 0,
    }
}

fn told(opening: &Opening, watch: &Watch, now: Tick, worker: usize) -> Session {
    let age = opening.accepted.elapsed();
    let (bytes_up, bytes_down) = watch.bytes();
    Session {
        id: opening.id.to_string(),
        listener: opening.listener.to_string(),
        worker,
        client: opening.client,
        pool: opening.pool.as_ref().map(|pool| pool.name().to_owned()),
        endpoint: opening.endpoint.as_ref().map(|endpoint| endpoint.name().to_string()),
        address: opening.endpoint.as_ref().map(|endpoint| endpoint.address()),
        server_name: opening.server_name.as_deref().map(str::to_owned),
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
