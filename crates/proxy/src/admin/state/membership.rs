//! Endpoints that were added or removed at run time: the text of the configuration is changed by them
//! before it is read, so that everything a file is checked for, they are checked for.

use super::super::edit::{self, Change};
use super::{Dropped, Kept, Key, Order, Override, State};
use eclusa_config::plan::Program;
use eclusa_config::{Diagnostics, Loaded};
use std::collections::BTreeMap;

/// What was ordered at a moment.
#[derive(Debug)]
pub(crate) struct Snapshot(BTreeMap<Key, Override>, Vec<Override>);

/// What comes of a text and of what was ordered.
#[derive(Debug)]
pub(crate) struct Amended {
    /// The plan, with what is odd about it.
    pub(crate) loaded: Loaded,
    /// Orders that the text overtakes: [`State::overtake`] ends them.
    pub(crate) overtaken: Vec<Dropped>,
}

impl State {
    /// Whether an endpoint was added or removed.
    pub(crate) fn amends(&self) -> bool {
        self.memberships().next().is_some()
    }

    /// What a configuration says with the endpoints that were added, and without those that were removed.
    /// Where it lists the former by now, or not the latter, and where it does not go together with one of
    /// them, that order is overtaken. `read` reads a text as this one was read.
    pub(crate) fn amend(
        &self,
        program: Program,
        own: Loaded,
        read: impl Fn(&str) -> Result<Loaded, Diagnostics>,
    ) -> Amended {
        if !self.amends() {
            return Amended { loaded: own, overtaken: Vec::new() };
        }
        let text = own.warnings.source().text().to_owned();
        let (mut all, mut overtaken) = (text.clone(), Vec::new());
        let mut made = Vec::new();
        for order in self.memberships() {
            match changed(program, &all, order) {
                Ok(text) => {
                    all = text;
                    made.push(order);
                }
                Err(why) => overtaken.push(Dropped { order: order.clone(), why: for_file(&why) }),
            }
        }
        if made.is_empty() {
            return Amended { loaded: own, overtaken };
        }
        if let Ok(loaded) = read(&all) {
            return Amended { loaded, overtaken };
        }
        // One of them does not fit: each in its turn.
        let (mut all, mut loaded) = (text, own);
        for order in made {
            let tried = changed(program, &all, order).and_then(|text| match read(&text) {
                Ok(loaded) => Ok((text, loaded)),
                Err(broken) => Err(first_line(&broken)),
            });
            match tried {
                Ok(fits) => (all, loaded) = fits,
                Err(why) => overtaken.push(Dropped { order: order.clone(), why: for_file(&why) }),
            }
        }
        Amended { loaded, overtaken }
    }

    /// Ends orders that a text has overtaken; those that one on trial has come back with what was before.
    pub(crate) fn overtake(&mut self, overtaken: &[Dropped], on_trial: bool) {
        let mut ended = Vec::new();
        for Dropped { order, .. } in overtaken {
            ended.extend(self.orders.remove(&order.key()));
        }
        self.ended(&ended, on_trial);
    }

    /// Takes in orders about what is there, to see what comes of them; nothing is kept yet. One that says
    /// the opposite of another ends it.
    pub(crate) fn stage(&mut self, orders: Vec<Override>) {
        for order in orders {
            let key = order.key();
            let opposite = self.orders.get(&key).is_some_and(|other| match order.order {
                Order::Removed => true,
                _ => {
                    other.order == Order::Removed && is_at(&other.file.address, &order.file.address)
                }
            });
            match opposite {
                true => drop(self.orders.remove(&key)),
                false => drop(self.orders.insert(key, order)),
            }
        }
    }

    /// What is ordered now, for [`Self::restore`].
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot(self.orders.clone(), self.suspended.clone())
    }

    /// Undoes what was done since, of what is kept as well.
    pub(crate) fn restore(&mut self, Snapshot(orders, suspended): Snapshot) {
        (self.orders, self.suspended) = (orders, suspended);
        let _ = self.keep();
    }

    /// Keeps what was staged.
    pub(crate) fn commit(&mut self) -> Kept {
        self.keep()
    }

    fn memberships(&self) -> impl Iterator<Item = &Override> {
        // What comes first: a list must not be empty in between.
        let added = self.orders.values().filter(|order| matches!(order.order, Order::Added(_)));
        added.chain(self.orders.values().filter(|order| order.order == Order::Removed))
    }
}

fn changed(program: Program, text: &str, order: &Override) -> Result<String, String> {
    let change = match order.order {
        Order::Added(weight) => Change::Add(&order.file.address, weight),
        _ => Change::Remove,
    };
    edit::change(program, text, (&order.pool, &order.endpoint), change)
}

/// Whether an address is the one that is written, perhaps without its port.
fn is_at(address: &str, written: &str) -> bool {
    address.strip_prefix(written).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

fn for_file(why: &str) -> String {
    format!("for {why}")
}

/// What is wrong first, in one line.
pub(crate) fn first_line(broken: &Diagnostics) -> String {
    let text = broken.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
