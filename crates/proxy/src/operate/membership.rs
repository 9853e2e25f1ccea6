//! Endpoints that come and go by order: kept as all orders are, put in force again after a reload and a
//! restart, until the file itself lists them or does so no more.

use super::{Data, Moment, Operator, Outcome, Reply, done, wrong};
use crate::admin::{
    Amended, Dropped, EndpointAdd, EndpointRemove, File, Kept, Order, Override, Peer, first_line,
};
use crate::engine::{ReloadError, Reloaded};
use crate::files;
use eclusa_config::plan::Program;
use eclusa_config::{Diagnostics, Loaded, Mode};

/// Reads a text of a configuration.
pub(super) fn read(
    program: Program,
    name: &str,
    text: &str,
    mode: Mode,
) -> Result<Loaded, Diagnostics> {
    eclusa_config::parse_with(program, name, text, mode, files::open)
}

impl Operator {
    /// What was loaded, as it is with what was ordered.
    pub(super) fn amended(&self, loaded: Loaded, mode: Mode) -> Amended {
        let name = loaded.warnings.source().name().to_owned();
        let again = |text: &str| read(self.program, &name, text, mode);
        self.state.borrow().amend(self.program, loaded, again)
    }

    /// Ends the orders that a text has overtaken, and tells of it.
    pub(super) fn overtake(&self, overtaken: &[Dropped], on_trial: bool) -> Vec<String> {
        self.state.borrow_mut().overtake(overtaken, on_trial);
        let told: Vec<_> = overtaken.iter().map(ToString::to_string).collect();
        for order in &told {
            self.engine.tell("order_ended", order.clone());
        }
        told
    }

    pub(super) fn add(&self, add: &EndpointAdd, by: &Peer) -> Reply {
        let EndpointAdd { pool, endpoints, weight, reason } = add;
        if let Err(reply) = self.pool_of(pool) {
            return reply;
        }
        let weight = weight.unwrap_or(1);
        let orders: Vec<_> = endpoints
            .iter()
            .map(|endpoint| {
                let (address, name) = EndpointAdd::parts(endpoint);
                let file = File { address: address.to_owned(), weight };
                self.membership((pool, name), Order::Added(weight), file, (by, reason))
            })
            .collect();
        let names = names(&orders);
        let told = format!("{names}: added; on probation until probes have found it well");
        self.change(orders, true, &told).changed("not there", format!("{names}, weight {weight}"))
    }

    pub(super) fn remove(&self, remove: &EndpointRemove, by: &Peer) -> Reply {
        let EndpointRemove { pool, endpoint, reason, force } = remove;
        let found = match self.find(pool, endpoint) {
            Ok(found) => found,
            Err(reply) => return reply,
        };
        if !force && let Err(why) = self.may_leave(&found) {
            return Reply::not_done(Outcome::Refused, format!("{why}; if that is meant: --force"));
        }
        let sessions: u64 = found.endpoints.iter().map(|it| u64::from(it.sessions())).sum();
        let order =
            self.membership((pool, endpoint), Order::Removed, found.file.clone(), (by, reason));
        let told = match sessions {
            0 => format!("{pool}/{endpoint}: removed; no sessions stand on it"),
            1 => format!("{pool}/{endpoint}: removed; 1 session goes on to its end"),
            more => format!("{pool}/{endpoint}: removed; {more} sessions go on to their end"),
        };
        self.change(vec![order], *force, &told).changed(format!("{pool}/{endpoint}"), "removed")
    }

    fn membership(
        &self,
        (pool, endpoint): (&str, &str),
        order: Order,
        file: File,
        (by, reason): (&Peer, &Option<String>),
    ) -> Override {
        let (pool, endpoint, reason) = (pool.to_owned(), endpoint.to_owned(), reason.clone());
        let (at, by) = (Moment::now(), by.user());
        Override { pool, endpoint, order, file, at, by, until: None, reason }
    }

    /// Puts in force what is there by these orders, or changes nothing.
    fn change(&self, orders: Vec<Override>, force: bool, told: &str) -> Reply {
        let text = self.texts.borrow().now().cloned();
        let Some(text) = text else {
            let message = "the configuration was typed: there is no list to change";
            return Reply::not_done(Outcome::Failed, message);
        };
        let file = self.config.as_deref().map(|file| file.display().to_string());
        let name = format!("{} with what is ordered", file.unwrap_or_default());
        self.end_drill("endpoints come or go by order");
        let before = self.state.borrow().snapshot();
        self.state.borrow_mut().stage(orders.clone());
        match self.try_change(&name, &text, force, &orders) {
            Ok((amended, reloaded)) => {
                let kept = self.state.borrow_mut().commit();
                self.reconcile(&amended.loaded.plan);
                let message = format!("{} by order", names(&orders));
                self.engine.tell("amended", format!("{message}: {}", in_words(&reloaded)));
                let report = self.amendment(&amended, &reloaded);
                let mut reply = done(Data::Reload(Box::new(report))).line(told);
                for line in amended.loaded.warnings.lines() {
                    reply = reply.line(line);
                }
                match kept {
                    Kept::Kept => reply,
                    Kept::UntilRestart(why) => reply.line(format!("until a restart only: {why}")),
                }
            }
            Err(reply) => {
                self.state.borrow_mut().restore(before);
                reply
            }
        }
    }

    fn try_change(
        &self,
        name: &str,
        text: &str,
        force: bool,
        orders: &[Override],
    ) -> Result<(Amended, Reloaded), Reply> {
        let again = |text: &str| read(self.program, name, text, Mode::Start);
        let own =
            again(text).map_err(|broken| Reply::not_done(Outcome::Failed, first_line(&broken)))?;
        let amended = self.state.borrow().amend(self.program, own, again);
        let mine = |dropped: &&Dropped| {
            let is_it = |order: &Override| {
                (&*order.pool, &*order.endpoint) == (&*dropped.order.pool, &*dropped.order.endpoint)
            };
            orders.iter().any(is_it)
        };
        if let Some(Dropped { order, why }) = amended.overtaken.iter().find(mine) {
            let why = why.trim_start_matches("for ");
            return Err(wrong(format!("{}/{}: {why}", order.pool, order.endpoint)));
        }
        match self.engine.amend(&amended.loaded.plan, force) {
            Ok(reloaded) => Ok((amended, reloaded)),
            Err(ReloadError::Shrink(pools)) => {
                let message = format!("{}; if that is meant: --force", pools.join("; "));
                Err(Reply::not_done(Outcome::Refused, message))
            }
            Err(error) => Err(Reply::not_done(Outcome::Failed, error.to_string())),
        }
    }
}

fn names(orders: &[Override]) -> String {
    let names: Vec<_> =
        orders.iter().map(|order| format!("{}/{}", order.pool, order.endpoint)).collect();
    names.join(" ")
}

fn in_words(reloaded: &Reloaded) -> String {
    let changes: Vec<_> = reloaded.diff.changes.iter().map(ToString::to_string).collect();
    if changes.is_empty() { "nothing has changed".to_owned() } else { changes.join("; ") }
}
