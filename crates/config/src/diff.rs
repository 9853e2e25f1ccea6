//! What differs between two plans: what a reload tells the operator, and what it acts on.

use crate::plan::{Admin, Endpoint, EndpointAddress, Http, Listener, Plan, Pool};
use eclusa_policy::route::Target;
use eclusa_policy::rules::Rule;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// One difference, in the operator's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The thing: `pool masters`, `listener https`, `log`.
    pub of: String,
    /// What became of it.
    pub what: String,
    /// The same, for programs.
    pub kind: Kind,
    /// Of a pool the endpoint that it is about.
    pub endpoint: Option<EndpointAddress>,
}

/// What becomes of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was not there before.
    Added,
    /// It is there, and something of it is different.
    Changed,
    /// It is gone.
    Removed,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.of, self.what)
    }
}

/// The differences between the plan that runs and another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// What a reload changes, in the order of the new file; what is gone comes last.
    pub changes: Vec<Change>,
    /// What only a restart changes: it stays as it was.
    pub after_restart: Vec<Change>,
}

impl Diff {
    /// Whether a reload would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.after_restart.is_empty()
    }

    /// Compares the plan that runs with the one to be.
    #[must_use]
    pub fn between(old: &Plan, new: &Plan) -> Self {
        let mut diff = Self::default();
        diff.general(old, new);
        let listeners = by(&old.listeners, |listener| &listener.name);
        for listener in &new.listeners {
            match listeners.get(&listener.name) {
                Some(before) => diff.listener((before, old), (listener, new)),
                None => diff.tell(format!("listener {}", listener.name), Kind::Added, "added"),
            }
        }
        let pools = by(&old.pools, |pool| &pool.name);
        for pool in &new.pools {
            match pools.get(&pool.name) {
                Some(before) => diff.pool(before, pool),
                None => {
                    let what = format!("added, {} endpoints", pool.endpoints.len());
                    diff.tell(format!("pool {}", pool.name), Kind::Added, what);
                }
            }
        }
        diff.gone(old, new);
        diff
    }

    fn change(&mut self, of: String, what: impl Into<String>) {
        self.tell(of, Kind::Changed, what);
    }

    fn tell(&mut self, of: String, kind: Kind, what: impl Into<String>) {
        self.changes.push(Change { of, what: what.into(), kind, endpoint: None });
    }

    fn endpoint(&mut self, pool: &Pool, kind: Kind, (endpoint, what): (&Endpoint, String)) {
        let (of, endpoint) = (format!("pool {}", pool.name), Some(endpoint.address.clone()));
        self.changes.push(Change { of, what, kind, endpoint });
    }

    fn general(&mut self, old: &Plan, new: &Plan) {
        if old.stop_deadline != new.stop_deadline {
            let what = format!("{:?} -> {:?}", old.stop_deadline, new.stop_deadline);
            self.change("stop_deadline".to_owned(), what);
        }
        if old.errors != new.errors {
            self.change("errors".to_owned(), "pages changed");
        }
        if old.counters != new.counters {
            self.change("counter".to_owned(), "counters changed");
        }
        if drills(old) != drills(new) {
            let what = if drills(new) { "drills may be ordered" } else { "drills are off" };
            self.change("admin".to_owned(), what);
        }
        let mut later = |of: &str, differs: bool| {
            if differs {
                let what = "changed; takes effect at the next restart".to_owned();
                let of = of.to_owned();
                self.after_restart.push(Change { of, what, kind: Kind::Changed, endpoint: None });
            }
        };
        later("workers", old.workers != new.workers);
        later("sessions_max", old.sessions_max != new.sessions_max);
        later("run_directory", old.run_directory != new.run_directory);
        later("confine", old.confine != new.confine);
        let socket = |plan: &Plan| plan.admin.clone().map(|it| Admin { drills: false, ..it });
        later("admin", socket(old) != socket(new));
        later("haproxy_socket", old.haproxy_socket != new.haproxy_socket);
        later("log", old.log != new.log);
        later("observe", old.observe != new.observe);
        later("dashboard", old.dashboard != new.dashboard);
    }

    fn listener(&mut self, (old, old_plan): (&Listener, &Plan), (new, plan): (&Listener, &Plan)) {
        let of = || format!("listener {}", new.name);
        for listen in &new.addresses {
            if !old.addresses.iter().any(|before| before.address == listen.address) {
                self.change(of(), format!("listens on {} as well", listen.address));
            }
        }
        for listen in &old.addresses {
            if !new.addresses.iter().any(|after| after.address == listen.address) {
                self.change(of(), format!("listens on {} no more", listen.address));
            }
        }
        if !same_routes((old, old_plan), (new, plan)) {
            self.change(of(), "routes changed");
        }
        if old.access != new.access {
            self.change(of(), "access changed");
        }
        if old.tls != new.tls {
            self.change(of(), "TLS changed");
        }
        let rules = |listener: &'_ Listener| -> Vec<Rule> {
            listener.http.as_ref().map_or_else(Vec::new, |http| http.rules.clone())
        };
        if rules(old) != rules(new) {
            self.change(of(), "rules changed");
        }
        let limit = |listener: &Listener| listener.http.as_ref().map(|http| http.limit.clone());
        if let (Some(before), Some(after)) = (limit(old), limit(new))
            && before != after
        {
            self.change(of(), "limits changed");
        }
        if rest_of_http(old, new) != rest_of_http(new, new) {
            self.change(of(), "HTTP changed");
        }
        if settings_of(old) != settings_of(new) {
            self.change(of(), "settings changed");
        }
    }

    fn pool(&mut self, old: &Arc<Pool>, new: &Arc<Pool>) {
        if Arc::ptr_eq(old, new) || old == new {
            return;
        }
        let of = || format!("pool {}", new.name);
        let before = by(&old.endpoints, |endpoint| &endpoint.address);
        for endpoint in &new.endpoints {
            match before.get(&endpoint.address) {
                None => {
                    let what = format!("endpoint {} added", named(endpoint));
                    self.endpoint(new, Kind::Added, (endpoint, what));
                }
                Some(known) if *known != endpoint => {
                    let what = changed_endpoint(known, endpoint);
                    self.endpoint(new, Kind::Changed, (endpoint, what));
                }
                Some(_) => {}
            }
        }
        let after = by(&new.endpoints, |endpoint| &endpoint.address);
        for endpoint in &old.endpoints {
            if !after.contains_key(&endpoint.address) {
                let what = format!("endpoint {} removed", named(endpoint));
                self.endpoint(new, Kind::Removed, (endpoint, what));
            }
        }
        if old.probe != new.probe {
            self.change(of(), "probe changed");
        }
        if old.tls != new.tls {
            self.change(of(), "TLS changed");
        }
        if old.http != new.http {
            self.change(of(), "HTTP changed");
        }
        if without_parts(old) != without_parts(new) {
            self.change(of(), "settings changed");
        }
    }

    fn gone(&mut self, old: &Plan, new: &Plan) {
        let listeners = by(&new.listeners, |listener| &listener.name);
        for listener in &old.listeners {
            if !listeners.contains_key(&listener.name) {
                self.tell(format!("listener {}", listener.name), Kind::Removed, "removed");
            }
        }
        let pools = by(&new.pools, |pool| &pool.name);
        for pool in &old.pools {
            if !pools.contains_key(&pool.name) {
                self.tell(format!("pool {}", pool.name), Kind::Removed, "removed");
            }
        }
    }
}

/// All of them by what names each: there may be thousands.
fn by<T, K: Eq + Hash>(all: &[T], key: impl Fn(&T) -> &K) -> HashMap<&K, &T> {
    // The first of two with one name is the one that counts.
    all.iter().rev().map(|one| (key(one), one)).collect()
}

/// Whether drills may be ordered.
fn drills(plan: &Plan) -> bool {
    plan.admin.as_ref().is_some_and(|admin| admin.drills)
}

/// Routes name pools by index; what counts is which pools those are, and their shares.
fn same_routes((old, old_plan): (&Listener, &Plan), (new, plan): (&Listener, &Plan)) -> bool {
    let target = |plan: &Plan, target: &Target| -> Vec<(u32, Option<Arc<str>>)> {
        let name = |index: usize| plan.pools.get(index).map(|pool| pool.name.clone());
        match target {
            Target::Pool(pool) => vec![(1, name(*pool))],
            Target::Split(split) => {
                split.shares().iter().map(|(share, pool)| (*share, name(*pool))).collect()
            }
        }
    };
    old.routes.len() == new.routes.len()
        && old.routes.iter().zip(&new.routes).all(|(before, after)| {
            before.when == after.when
                && target(old_plan, &before.target) == target(plan, &after.target)
        })
}

/// HTTP without what has a line of its own; limits are those of `new`.
fn rest_of_http(listener: &Listener, new: &Listener) -> Option<Http> {
    let limit = new.http.as_ref().map(|http| http.limit.clone());
    listener.http.clone().map(|http| {
        let limit = limit.unwrap_or_else(|| http.limit.clone());
        Http { rules: Vec::new(), limit, ..http }
    })
}

/// Everything of a listener that has no line of its own.
fn settings_of(listener: &Listener) -> impl PartialEq + '_ {
    (
        (listener.peek, listener.preamble_timeout, &listener.proxy_from, listener.backlog),
        (listener.idle_timeout, listener.half_closed_timeout, listener.dead_peer),
    )
}

/// The pool without what has lines of its own.
fn without_parts(pool: &Pool) -> Pool {
    let (probe, http) = (crate::plan::Probe::None, crate::plan::PoolHttp::default());
    Pool { endpoints: Vec::new(), probe, tls: None, http, ..pool.clone() }
}

fn named(endpoint: &Endpoint) -> String {
    let address = endpoint.address.to_string();
    if *endpoint.name == *address { address } else { format!("{} ({address})", endpoint.name) }
}

fn changed_endpoint(old: &Endpoint, new: &Endpoint) -> String {
    let mut words = Vec::new();
    if old.weight != new.weight {
        words.push(format!("weight {} -> {}", old.weight, new.weight));
    }
    if old.backup != new.backup {
        words.push(if new.backup { "is a backup now" } else { "is no backup any more" }.to_owned());
    }
    if old.name != new.name {
        words.push(format!("was named {}", old.name));
    }
    if words.is_empty() {
        words.push("changed".to_owned());
    }
    format!("endpoint {}: {}", named(new), words.join(", "))
}
