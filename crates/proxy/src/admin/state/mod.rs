//! What the operator ordered at run time and the file does not say: kept in the state directory, so
//! that a restart, wanted or not, brings no endpoint back that somebody took out.
//!
//! For what changed in the file since it was ordered otherwise, the file wins.

mod file;
mod membership;
#[cfg(test)]
mod tests;

use super::request::{
    AdminState, EndpointAdd, EndpointRemove, EndpointSet, EndpointWeight, Request,
};
use super::{Moment, OverrideStatus, SaveOrder};
use eclusa_config::plan::{self, Plan, Program};
pub(crate) use membership::{Amended, first_line};

use file::{Place, Read};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where systemd puts the state of the service, unless the unit says otherwise.
const DIRECTORY: &str = "/var/lib/eclusa";

/// The state directory: the first of `$STATE_DIRECTORY` (`systemd.exec(5)`), or `/var/lib/eclusa`.
pub(crate) fn directory() -> PathBuf {
    let given = std::env::var("STATE_DIRECTORY").unwrap_or_default();
    let first = given.split(':').next().filter(|path| path.starts_with('/'));
    PathBuf::from(first.unwrap_or(DIRECTORY))
}

/// What is ordered of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// Its admin state.
    Admin(AdminState),
    /// Its weight, 1 to 256.
    Weight(u16),
    /// That it is there, with this weight, although the file does not list it.
    Added(u16),
    /// That it is not there, although the file lists it.
    Removed,
}

impl Order {
    /// Which of an endpoint's fields it is about: one order holds for each.
    fn field(self) -> Field {
        match self {
            Self::Admin(_) => Field::Admin,
            Self::Weight(_) => Field::Weight,
            Self::Added(_) | Self::Removed => Field::Membership,
        }
    }

    /// What the file says of the same.
    fn of_file(self, file: &File) -> Self {
        match self {
            Self::Admin(_) => Self::Admin(AdminState::Ready),
            Self::Weight(_) => Self::Weight(file.weight),
            Self::Added(_) => Self::Removed,
            Self::Removed => Self::Added(file.weight),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin(state) => f.write_str(state.name()),
            Self::Weight(weight) => write!(f, "weight {weight}"),
            Self::Added(1) => f.write_str("added"),
            Self::Added(weight) => write!(f, "added, weight {weight}"),
            Self::Removed => f.write_str("removed"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    /// First: what is not there has no weight.
    Membership,
    Admin,
    Weight,
}

/// What the file said of an endpoint when something else was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Its address, as written.
    pub(crate) address: String,
    /// Its weight.
    pub(crate) weight: u16,
}

impl File {
    /// What the file says of this endpoint.
    pub(crate) fn of(endpoint: &plan::Endpoint) -> Self {
        Self { address: endpoint.address.to_string(), weight: endpoint.weight }
    }
}

/// Something that was ordered of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Override {
    /// The name of the pool.
    pub(crate) pool: String,
    /// The name of the endpoint.
    pub(crate) endpoint: String,
    /// What was ordered.
    pub(crate) order: Order,
    /// What the file said then.
    pub(crate) file: File,
    /// When it was ordered.
    pub(crate) at: Moment,
    /// The user who ordered it.
    pub(crate) by: String,
    /// Until when it holds, by the wall clock; `None`: until somebody says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Moment>,
    /// Why, as the operator said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Override {
    /// Whether everything in it is within the bounds of a request for it.
    fn check(&self) -> Result<(), String> {
        let (pool, endpoint) = (self.pool.clone(), self.endpoint.clone());
        let reason = self.reason.clone();
        let for_seconds = None;
        let request = match self.order {
            Order::Admin(admin) => Request::EndpointSet(EndpointSet {
                pool,
                endpoint,
                admin,
                for_seconds,
                reason,
                force: false,
            }),
            Order::Weight(weight) => Request::EndpointWeight(EndpointWeight {
                pool,
                endpoint,
                weight,
                for_seconds,
                reason,
            }),
            Order::Added(weight) => {
                let endpoints = vec![format!("{}={endpoint}", self.file.address)];
                let weight = Some(weight);
                Request::EndpointAdd(EndpointAdd { pool, endpoints, weight, reason })
            }
            Order::Removed => {
                Request::EndpointRemove(EndpointRemove { pool, endpoint, reason, force: false })
            }
        };
        request.check()
    }

    fn key(&self) -> Key {
        (self.pool.clone(), self.endpoint.clone(), self.order.field())
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: {}", self.pool, self.endpoint, self.order)?;
        if let Some(until) = self.until {
            write!(f, " until {until}")?;
        }
        write!(f, ", ordered by {} at {}", self.by, self.at)?;
        match &self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

type Key = (String, String, Field);

/// An order that ended because of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// The order.
    pub(crate) order: Override,
    /// What happened in the file.
    pub(crate) why: String,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ended, {}", self.order, self.why)
    }
}

/// How long what was ordered holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Kept {
    /// Across restarts.
    Kept,
    /// Until the program ends; why, for whoever ordered it.
    UntilRestart(String),
}

/// Everything that was ordered and is in force.
#[derive(Debug)]
pub(crate) struct State {
    /// `None`: nothing is kept.
    place: Option<Place>,
    orders: BTreeMap<Key, Override>,
    /// What a reload on trial has ended: kept, so that it is back where that goes back, in an engine after
    /// a crash as well.
    suspended: Vec<Override>,
    /// What the last attempt to keep them failed with.
    problem: Option<String>,
    /// A line for the log about it.
    warning: Option<String>,
}

impl State {
    /// Orders that nobody keeps: of a trial without a configuration file.
    pub(crate) fn in_memory() -> Self {
        Self {
            place: None,
            orders: BTreeMap::new(),
            suspended: Vec::new(),
            problem: None,
            warning: None,
        }
    }

    /// What an earlier run left in the state directory. A file that cannot be used (rubbish, another
    /// version) is kept aside. Returned beside it: lines for the log about what was found. Whoever
    /// calls this calls [`State::reconcile`] next.
    pub(crate) fn open(directory: &Path, program: Program, now: Moment) -> (Self, Vec<String>) {
        let place = Place::new(directory, program);
        let mut notices = Vec::new();
        let found = match place.read() {
            Read::Nothing => Vec::new(),
            Read::Found(found) => found,
            Read::Unusable(notice) => {
                notices.push(notice);
                Vec::new()
            }
        };
        let orders = found.into_iter().map(|order| (order.key(), order)).collect();
        let (place, suspended) = (Some(place), Vec::new());
        let mut state = Self { place, orders, suspended, problem: None, warning: None };
        let ended = state.expire(now);
        notices.extend(ended.iter().map(|order| format!("{order}: its time is over")));
        (state, notices)
    }

    /// Takes in an order. One that says what the file says ends the one before it.
    pub(crate) fn set(&mut self, order: Override) -> Kept {
        // What a trial has ended does not come back against it.
        let key = order.key();
        self.suspended.retain(|other| other.key() != key);
        if order.order == order.order.of_file(&order.file) {
            self.orders.remove(&order.key());
        } else {
            self.orders.insert(order.key(), order);
        }
        self.keep()
    }

    /// Ends everything that was ordered of an endpoint, but that it is there.
    pub(crate) fn reset(&mut self, pool: &str, endpoint: &str) -> (Vec<Override>, Kept) {
        let ended = self.take(|order| {
            let is_its = order.pool == pool && order.endpoint == endpoint;
            is_its && order.order.field() != Field::Membership
        });
        self.suspended.retain(|order| {
            let is_its = order.pool == pool && order.endpoint == endpoint;
            !is_its || order.order.field() == Field::Membership
        });
        let kept = self.keep();
        (ended, kept)
    }

    /// Ends what has had its time, and returns it.
    pub(crate) fn expire(&mut self, now: Moment) -> Vec<Override> {
        let ended = self.take(|order| order.until.is_some_and(|until| until <= now));
        if !ended.is_empty() {
            // What comes of it is told when it is asked for.
            let _ = self.keep();
        }
        ended
    }

    /// Whether nothing is ordered.
    pub(crate) fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// When something ends next. By the wall clock: ask again when that may have been set.
    pub(crate) fn next_expiry(&self) -> Option<Moment> {
        self.orders.values().filter_map(|order| order.until).min()
    }

    /// Ends what the file has overtaken: the endpoint is gone or elsewhere, or the field has another
    /// value than when it was ordered.
    pub(crate) fn reconcile(&mut self, plan: &Plan) -> Vec<Dropped> {
        self.end_overtaken(plan, false)
    }

    /// The same, of a plan that is on trial: [`Self::resume`] brings back what ends.
    pub(crate) fn reconcile_on_trial(&mut self, plan: &Plan) -> Vec<Dropped> {
        self.end_overtaken(plan, true)
    }

    /// What was on trial stays, and what it has ended is over.
    pub(crate) fn settle(&mut self) {
        if !std::mem::take(&mut self.suspended).is_empty() {
            let _ = self.keep();
        }
    }

    /// What was on trial is gone: what it has ended is in force again, unless somebody ordered otherwise
    /// meanwhile, or its time is over.
    pub(crate) fn resume(&mut self, now: Moment) {
        if self.suspended.is_empty() {
            return;
        }
        for order in std::mem::take(&mut self.suspended) {
            self.orders.entry(order.key()).or_insert(order);
        }
        let _ = self.expire(now);
        let _ = self.keep();
    }

    fn end_overtaken(&mut self, plan: &Plan, on_trial: bool) -> Vec<Dropped> {
        if self.is_empty() {
            return Vec::new();
        }
        let written = written(plan);
        let mut why = Vec::new();
        let ended = self.take(|order| {
            let reason = overtaken(order, written.get(&(&*order.pool, &*order.endpoint)));
            let is_overtaken = reason.is_some();
            why.extend(reason);
            is_overtaken
        });
        self.ended(&ended, on_trial);
        ended.into_iter().zip(why).map(|(order, why)| Dropped { order, why }).collect()
    }

    fn ended(&mut self, ended: &[Override], on_trial: bool) {
        if ended.is_empty() {
            return;
        }
        if on_trial {
            self.suspended.extend_from_slice(ended);
        }
        let _ = self.keep();
    }

    /// The orders that [`State::reconcile`] would end.
    pub(crate) fn would_end(&self, plan: &Plan) -> Vec<Dropped> {
        let written = written(plan);
        let ended = self.orders.values().filter_map(|order| {
            let why = overtaken(order, written.get(&(&*order.pool, &*order.endpoint)))?;
            Some(Dropped { order: order.clone(), why })
        });
        ended.collect()
    }

    /// What was ordered for the admin state of an endpoint.
    pub(crate) fn admin(&self, pool: &str, endpoint: &str) -> Option<(AdminState, &Override)> {
        let order = self.get(pool, endpoint, Field::Admin)?;
        match order.order {
            Order::Admin(state) => Some((state, order)),
            _ => None,
        }
    }

    /// What was ordered for the weight of an endpoint.
    pub(crate) fn weight(&self, pool: &str, endpoint: &str) -> Option<(u16, &Override)> {
        let order = self.get(pool, endpoint, Field::Weight)?;
        match order.order {
            Order::Weight(weight) => Some((weight, order)),
            _ => None,
        }
    }

    /// What is so now of what an order is about, in words.
    pub(crate) fn now(&self, pool: &str, endpoint: &str, order: Order, file: &File) -> String {
        match self.get(pool, endpoint, order.field()) {
            None => order.of_file(file).to_string(),
            Some(Override { order, until: None, .. }) => order.to_string(),
            Some(Override { order, until: Some(until), .. }) => format!("{order} until {until}"),
        }
    }

    /// Everything, by pool and endpoint, for `status`.
    pub(crate) fn report(&self) -> Vec<OverrideStatus> {
        let kept = self.place.is_some() && self.problem.is_none();
        let report = |order: &Override| OverrideStatus {
            pool: order.pool.clone(),
            endpoint: order.endpoint.clone(),
            order: order.order.to_string(),
            file: match order.order {
                Order::Added(_) => "not listed".to_owned(),
                Order::Removed => "listed".to_owned(),
                other => other.of_file(&order.file).to_string(),
            },
            at: order.at,
            by: order.by.clone(),
            until: order.until,
            reason: order.reason.clone(),
            kept,
        };
        self.orders.values().map(report).collect()
    }

    /// Everything, for who writes it into the file.
    pub(crate) fn to_save(&self) -> Vec<SaveOrder> {
        let save = |order: &Override| SaveOrder {
            pool: order.pool.clone(),
            endpoint: order.endpoint.clone(),
            weight: match order.order {
                Order::Weight(weight) | Order::Added(weight) => Some(weight),
                Order::Admin(_) | Order::Removed => None,
            },
            address: matches!(order.order, Order::Added(_)).then(|| order.file.address.clone()),
            remove: order.order == Order::Removed,
            order: order.order.to_string(),
            ends: order.until.is_some(),
        };
        self.orders.values().map(save).collect()
    }

    /// A line for the log, once for each time that keeping begins to fail.
    pub(crate) fn take_warning(&mut self) -> Option<String> {
        self.warning.take()
    }

    fn get(&self, pool: &str, endpoint: &str, field: Field) -> Option<&Override> {
        self.orders.get(&(pool.to_owned(), endpoint.to_owned(), field))
    }

    fn take(&mut self, mut whether: impl FnMut(&Override) -> bool) -> Vec<Override> {
        let mut taken = Vec::new();
        self.orders.retain(|_, order| {
            let take = whether(order);
            if take {
                taken.push(order.clone());
            }
            !take
        });
        taken
    }

    fn keep(&mut self) -> Kept {
        let Some(place) = &self.place else {
            let message = "kept until the program ends: it runs without a configuration file";
            return Kept::UntilRestart(message.to_owned());
        };
        // Of two about the same the later one counts, for who reads them.
        match place.write(self.suspended.iter().chain(self.orders.values())) {
            Ok(()) => {
                self.problem = None;
                Kept::Kept
            }
            Err(problem) => {
                let message = format!("kept until the next restart only: {problem}");
                if self.problem.is_none() {
                    self.warning = Some(format!("what was ordered is {message}"));
                }
                self.problem = Some(problem);
                Kept::UntilRestart(message)
            }
        }
    }
}

/// How the file has overtaken an order; `file`: what it says of the endpoint now.
fn written(plan: &Plan) -> BTreeMap<(&str, &str), File> {
    let mut written = BTreeMap::new();
    for pool in &plan.pools {
        for endpoint in &pool.endpoints {
            written.insert((&*pool.name, &*endpoint.name), File::of(endpoint));
        }
    }
    written
}

fn overtaken(order: &Override, file: Option<&File>) -> Option<String> {
    // The plan has been made with it.
    if order.order.field() == Field::Membership {
        return None;
    }
    let Some(file) = file else { return Some("the file has no such endpoint".to_owned()) };
    if file.address != order.file.address {
        return Some(format!("for the file has it at {} now", file.address));
    }
    let (then, now) = (order.order.of_file(&order.file), order.order.of_file(file));
    (then != now).then(|| format!("for the file says {now} now, and said {then}"))
}
