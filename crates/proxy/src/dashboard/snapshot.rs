//! The state of everything as the page reads it: `status`, with lists as tables by what names their
//! items, so that what changed can be told item by item.

use crate::admin::{CertificateStatus, EndpointStatus, Moment, StatusReport};
use crate::observe::Happened;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Since when an endpoint has its verdict is worked out anew each time, from two clocks: the same
/// moment may come out a second earlier or later.
const SAME: Duration = Duration::from_secs(2);

/// What follows from the configuration alone.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Shape {
    /// Whether it takes orders.
    pub(crate) orders: bool,
    /// The listeners, in the order written.
    pub(crate) listeners: Vec<ShapeListener>,
}

/// A listener, and where it leads.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShapeListener {
    /// Its name.
    pub(crate) name: String,
    /// What it speaks: `TCP`, `HTTPS`.
    pub(crate) speaks: &'static str,
    /// Its routes, in the order in which they are tried.
    pub(crate) routes: Vec<ShapeRoute>,
}

/// A route.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShapeRoute {
    /// Its condition, in words.
    pub(crate) when: String,
    /// Where it leads.
    pub(crate) to: Vec<ShapePart>,
}

/// A pool that a route leads to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShapePart {
    /// The name of the pool.
    pub(crate) pool: String,
    /// Its share beside the others of the route.
    pub(crate) share: u32,
}

/// The masters of a pool.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PoolQuorum {
    /// The name of the pool.
    #[serde(skip)]
    pub(crate) pool: String,
    /// Masters in all.
    pub(crate) members: usize,
    /// Masters that are up and may take sessions.
    pub(crate) ready: usize,
    /// Masters that etcd needs.
    pub(crate) needed: usize,
    /// How many of those that are ready may be lost.
    pub(crate) can_lose: usize,
}

/// A result of a probe.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Past {
    /// When.
    pub(crate) at: Moment,
    /// Whether it was good.
    pub(crate) good: bool,
    /// What it was, in words.
    pub(crate) what: String,
}

/// What stands beside `status`.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    pub(super) quorums: Vec<PoolQuorum>,
    pub(super) certificates: Vec<CertificateStatus>,
    pub(super) events: Vec<Arc<Happened>>,
}

/// Since when endpoints have their verdicts, as it was told.
pub(super) type Since = HashMap<(String, String), (String, Moment)>;

/// The state for the page. `since`: what was told last time, and then what is told this time.
pub(super) fn snapshot(
    mut status: StatusReport,
    shape: &Shape,
    beside: Beside,
    since: &mut Since,
) -> Value {
    let told = std::mem::take(since);
    for pool in &mut status.pools {
        for endpoint in &mut pool.endpoints {
            let key = (pool.name.clone(), key_of(endpoint));
            if let Some((verdict, moment)) = told.get(&key)
                && *verdict == endpoint.verdict
                && moment.since(endpoint.since).max(endpoint.since.since(*moment)) <= SAME
            {
                endpoint.since = *moment;
            }
            since.insert(key, (endpoint.verdict.clone(), endpoint.since));
        }
    }
    let mut certificates = beside.certificates;
    certificates.append(&mut status.certificates);
    let (listeners, pools) = (listeners(&status, shape), pools(&status, &beside.quorums));
    status.listeners.clear();
    status.pools.clear();
    let Ok(Value::Object(mut whole)) = serde_json::to_value(&status) else { return Value::Null };
    whole.insert("orders".to_owned(), shape.orders.into());
    whole.insert("listeners".to_owned(), listeners);
    whole.insert("pools".to_owned(), pools);
    whole.insert(
        "certificates".to_owned(),
        table(certificates.iter(), |certificate| {
            format!("{} {}", certificate.path, certificate.names.join(" "))
        }),
    );
    let events = beside.events.iter().map(|event| (event.number.to_string(), of_event(event)));
    whole.insert("events".to_owned(), Value::Object(events.collect()));
    Value::Object(whole)
}

/// What tells the endpoints of a pool apart.
fn key_of(endpoint: &EndpointStatus) -> String {
    format!("{} {}", endpoint.name, endpoint.address)
}

/// An event as the page reads it.
pub(super) fn of_event(event: &Happened) -> Value {
    let mut fields = event.fields();
    let mut told = Map::new();
    told.insert("at".to_owned(), json!(Moment::from(event.at)));
    told.insert("kind".to_owned(), event.kind.into());
    told.insert("grave".to_owned(), event.severity.code().into());
    for key in ["message", "pool", "endpoint"] {
        if let Some(value) = fields.remove(key) {
            told.insert(key.to_owned(), value);
        }
    }
    Value::Object(told)
}

/// Items by what names them; each knows its place, for a table has no order.
fn table<T: Serialize>(items: impl Iterator<Item = T>, key: impl Fn(&T) -> String) -> Value {
    let mut table = Map::new();
    for (place, item) in items.enumerate() {
        let key = key(&item);
        if let Ok(Value::Object(mut fields)) = serde_json::to_value(&item) {
            fields.insert("place".to_owned(), place.into());
            table.insert(key, Value::Object(fields));
        }
    }
    Value::Object(table)
}

fn listeners(status: &StatusReport, shape: &Shape) -> Value {
    let shapes: HashMap<_, _> = shape.listeners.iter().map(|it| (&*it.name, it)).collect();
    let mut listeners = table(status.listeners.iter(), |listener| listener.name.clone());
    for (name, fields) in listeners.as_object_mut().into_iter().flatten() {
        let Some(shape) = shapes.get(&**name) else { continue };
        fields["speaks"] = shape.speaks.into();
        fields["routes"] = serde_json::to_value(&shape.routes).unwrap_or_default();
    }
    listeners
}

fn pools(status: &StatusReport, quorums: &[PoolQuorum]) -> Value {
    let mut pools = table(status.pools.iter(), |pool| pool.name.clone());
    for pool in &status.pools {
        let fields = &mut pools[&pool.name];
        fields["endpoints"] = table(pool.endpoints.iter(), |endpoint| key_of(endpoint));
    }
    for quorum in quorums {
        if let Some(fields) = pools.get_mut(&quorum.pool) {
            fields["quorum"] = serde_json::to_value(quorum).unwrap_or_default();
        }
    }
    pools
}

/// What makes `new` of `old`, as a merge patch (RFC 7396); `None`: nothing.
pub(super) fn patch(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut changed = Map::new();
    for (key, value) in after {
        match before.get(key) {
            None => drop(changed.insert(key.clone(), value.clone())),
            Some(known) => {
                if let Some(patch) = patch(known, value) {
                    changed.insert(key.clone(), patch);
                }
            }
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        changed.insert(key.clone(), Value::Null);
    }
    (!changed.is_empty()).then_some(Value::Object(changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_has_what_differs_and_nothing_else() {
        let old = json!({"a": 1, "b": {"c": [1, 2], "d": {"e": "x"}}, "gone": {"f": 1}});
        let new = json!({"a": 1, "b": {"c": [1, 3], "d": {"e": "x"}}, "new": {"g": 2}});
        let expected = json!({"b": {"c": [1, 3]}, "gone": null, "new": {"g": 2}});
        assert_eq!(patch(&old, &new), Some(expected));
        assert_eq!(patch(&old, &old), None);
        assert_eq!(patch(&json!({"a": {}}), &json!({"a": 1})), Some(json!({"a": 1})));
    }
}
