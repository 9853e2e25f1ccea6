//! Orders about endpoints: what is wanted of them, and their weight.

use super::status::endpoint_status;
use super::{Data, Moment, Operator, Outcome, Reply, done, wrong};
use crate::admin::{
    AdminState, EndpointReset, EndpointSet, EndpointWeight, File, Kept, Order, Override, Peer,
};
use crate::pool::{Endpoint, Ordered, Pool};
use eclusa_config::plan::{Plan, Program};
use eclusa_policy::quorum::Quorum;
use eclusa_policy::verdict::Tier;
use std::sync::Arc;
use std::time::Duration;

/// An endpoint that an order is about.
pub(super) struct Found {
    pub(super) pool: Arc<Pool>,
    /// Its addresses; one, unless a name stands for several.
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    pub(super) file: File,
}

impl Operator {
    pub(super) fn set(&self, set: EndpointSet, by: &Peer) -> Reply {
        let found = match self.find(&set.pool, &set.endpoint) {
            Ok(found) => found,
            Err(reply) => return reply,
        };
        if set.admin != AdminState::Ready
            && !set.force
            && let Err(why) = self.may_leave(&found)
        {
            return Reply::not_done(Outcome::Refused, format!("{why}; if that is meant: --force"));
        }
        let (order, until) = (Order::Admin(set.admin), until(set.for_seconds));
        self.order((set.pool, set.endpoint), order, (until, set.reason), by, &found)
    }

    pub(super) fn weigh(&self, weight: EndpointWeight, by: &Peer) -> Reply {
        let found = match self.find(&weight.pool, &weight.endpoint) {
            Ok(found) => found,
            Err(reply) => return reply,
        };
        let (order, until) = (Order::Weight(weight.weight), until(weight.for_seconds));
        self.order((weight.pool, weight.endpoint), order, (until, weight.reason), by, &found)
    }

    pub(super) fn reset(&self, reset: &EndpointReset) -> Reply {
        let found = match self.find(&reset.pool, &reset.endpoint) {
            Ok(found) => found,
            Err(reply) => return reply,
        };
        let (ended, kept) = self.state.borrow_mut().reset(&reset.pool, &reset.endpoint);
        self.apply();
        let before: Vec<_> = ended.iter().map(|order| order.order.to_string()).collect();
        let before = if before.is_empty() { "as the file says".into() } else { before.join(", ") };
        let told = match ended.len() {
            0 => format!("{}/{}: nothing was ordered", reset.pool, reset.endpoint),
            _ => format!("{}/{}: as the file says", reset.pool, reset.endpoint),
        };
        self.reply(&found, told, kept).changed(before, "as the file says")
    }

    fn order(
        &self,
        (pool, endpoint): (String, String),
        order: Order,
        (until, reason): (Option<Moment>, Option<String>),
        by: &Peer,
        found: &Found,
    ) -> Reply {
        let told = format!("{pool}/{endpoint}: {order}");
        let told = until.map_or(told.clone(), |until| format!("{told} until {until}"));
        let (file, at, by) = (found.file.clone(), Moment::now(), by.user());
        let before = self.state.borrow().now(&pool, &endpoint, order, &file);
        let after = until.map_or(order.to_string(), |until| format!("{order} until {until}"));
        let order = Override { pool, endpoint, order, file, at, by, until, reason };
        let kept = self.state.borrow_mut().set(order);
        self.apply();
        self.reply(found, told, kept).changed(before, after)
    }

    fn reply(&self, found: &Found, told: String, kept: Kept) -> Reply {
        let data = match found.endpoints.first() {
            Some(endpoint) => {
                let status = endpoint_status(self, &found.pool, endpoint);
                Data::Endpoint(Box::new(status))
            }
            None => Data::None,
        };
        let reply = done(data).line(told);
        match kept {
            Kept::Kept => reply,
            Kept::UntilRestart(why) => reply.line(format!("until a restart only: {why}")),
        }
    }

    /// A pool of this name.
    pub(super) fn pool_of(&self, name: &str) -> Result<Arc<Pool>, Reply> {
        let pools = self.engine.status().pools;
        let found = pools.iter().find(|known| known.name() == name);
        found.cloned().ok_or_else(|| {
            let nearest = eclusa_config::nearest(name, pools.iter().map(|known| known.name()));
            wrong(unknown("pool", name, nearest))
        })
    }

    pub(super) fn find(&self, pool: &str, endpoint: &str) -> Result<Found, Reply> {
        let found = self.pool_of(pool)?;
        let plan = found.plan();
        let written = plan.endpoints.iter().find(|written| *written.name == *endpoint);
        let Some(written) = written else {
            let names = plan.endpoints.iter().map(|written| &*written.name);
            return Err(wrong(unknown(
                "endpoint",
                endpoint,
                eclusa_config::nearest(endpoint, names),
            )));
        };
        let all = found.endpoints();
        let endpoints = all.iter().filter(|known| *known.name() == *endpoint).cloned().collect();
        Ok(Found { pool: found.clone(), endpoints, file: File::of(written) })
    }

    /// Whether the pool can do without the endpoint.
    pub(super) fn may_leave(&self, found: &Found) -> Result<(), String> {
        let all = found.pool.endpoints();
        // What is in a drill is not to be relied on.
        let ready = |endpoint: &Endpoint| {
            endpoint.admin() == AdminState::Ready && !self.is_drilled(endpoint)
        };
        if self.program == Program::Apiserver {
            let reports: Vec<_> = all.iter().map(|other| (other.report(), ready(other))).collect();
            let quorum = Quorum::count(reports.iter().map(|(report, ready)| (report, *ready)));
            let breaks = |it: &Arc<Endpoint>| ready(it) && quorum.drain_breaks_it(&it.report());
            if found.endpoints.iter().any(breaks) {
                return Err(format!("pool {}: {quorum}", found.pool.name()));
            }
            return Ok(());
        }
        let leaves = |other: &Endpoint| found.endpoints.iter().any(|it| it.key() == other.key());
        let is_well = |other: &Endpoint| other.report().tier <= Tier::Suspect;
        let (mut stay, mut stays_well, mut leaves_well) = (false, false, false);
        for other in all.iter().filter(|other| ready(other)) {
            match leaves(other) {
                true => leaves_well |= is_well(other),
                false => (stay, stays_well) = (true, stays_well || is_well(other)),
            }
        }
        let name = found.pool.name();
        match (stay, stays_well || !leaves_well) {
            (false, _) => Err(format!("pool {name} would be left without an endpoint")),
            (true, false) => {
                Err(format!("pool {name} would be left without an endpoint that is well"))
            }
            (true, true) => Ok(()),
        }
    }

    /// Ends what a file has overtaken, tells of it, and puts the rest in force.
    pub(super) fn reconcile(&self, plan: &Plan) -> Vec<String> {
        let on_trial = self.unconfirmed().is_some();
        let dropped = match on_trial {
            true => self.state.borrow_mut().reconcile_on_trial(plan),
            false => self.state.borrow_mut().reconcile(plan),
        };
        let dropped: Vec<_> = dropped.iter().map(ToString::to_string).collect();
        for order in &dropped {
            self.engine.tell("order_ended", order.clone());
        }
        self.apply();
        self.tell_warning();
        dropped
    }

    /// Ends what has had its time.
    pub(crate) fn expire(&self) {
        let now = Moment::now();
        if self.state.borrow().next_expiry().is_none_or(|at| at > now) {
            // A name may have got another address since.
            return self.apply();
        }
        for order in self.state.borrow_mut().expire(now) {
            self.engine.tell("order_ended", format!("{order}: its time is over"));
        }
        self.apply();
        self.tell_warning();
    }

    /// Puts in force what is ordered.
    fn apply(&self) {
        let state = self.state.borrow();
        // This is called every second, and there may be thousands of endpoints.
        if !self.ordered.replace(!state.is_empty()) && state.is_empty() {
            return;
        }
        for pool in self.engine.status().pools.iter() {
            pool.set_ordered(|endpoint| Ordered {
                admin: state.admin(pool.name(), endpoint).map_or(AdminState::Ready, |(it, _)| it),
                weight: state.weight(pool.name(), endpoint).map(|(weight, _)| weight),
            });
        }
    }
}

fn until(for_seconds: Option<u64>) -> Option<Moment> {
    for_seconds.map(|seconds| Moment::now().after(Duration::from_secs(seconds)))
}

fn unknown(what: &str, name: &str, nearest: Option<&str>) -> String {
    let hint = nearest.map_or(String::new(), |nearest| format!("; did you mean {nearest}?"));
    format!("there is no {what} {name}{hint}")
}
