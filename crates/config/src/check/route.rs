//! Routes of a listener: conditions and pools in order.

use super::condition::{Conditions, facts};
use crate::diagnostic::{Diagnostic, quoted};
use crate::document::Span;
use crate::reader::{Got, Reader, Report};
use crate::reference::Key;
use crate::reference::table as keys;
use crate::values;
use eclusa_policy::condition::Condition;
use eclusa_policy::name::NamePattern;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// The pools of a document by their names.
#[derive(Default)]
pub(super) struct Pools {
    names: Vec<Got<Box<str>>>,
    by_name: HashMap<Box<str>, usize>,
    used: RefCell<HashSet<usize>>,
}

impl Pools {
    pub(super) fn new(names: Vec<Got<Box<str>>>) -> Self {
        let by_name = (0..).zip(&names).map(|(index, name)| (name.value.clone(), index)).collect();
        Self { names, by_name, used: RefCell::default() }
    }

    /// The pool that the reader's `key` names.
    fn named(&self, reader: &Reader<'_>, key: &Key) -> Option<Got<usize>> {
        let name = reader.text(key, values::label)?;
        let Some(index) = self.by_name.get(&name.value) else {
            let known = self.names.iter().map(|name| &*name.value);
            reader.report.unknown_name(&name, "pool", "pool", known);
            return None;
        };
        self.used.borrow_mut().insert(*index);
        Some(name.map(|_| *index))
    }

    /// Tells of those that no listener uses.
    pub(super) fn report_unused(&self, report: &Report) {
        let used = self.used.borrow();
        for (index, name) in self.names.iter().enumerate() {
            if used.contains(&index) {
                continue;
            }
            report.warning(
                name.span,
                &format!("no listener uses the pool {}", quoted(&name.value)),
                "a listener or route that names it",
                &format!("write `pool = \"{}\"` where it is meant, or remove it", name.value),
            );
        }
    }
}

/// A route, with its place.
pub(super) struct Routed {
    pub(super) when: Condition,
    pub(super) pool: usize,
    pub(super) span: Span,
}

/// The routes of a listener; the default pool last.
pub(super) fn read(
    listener: &Reader<'_>,
    pools: &Pools,
    conditions: &Conditions<'_>,
) -> Vec<Routed> {
    let written = listener.tables(&keys::ROUTES, &keys::ROUTE);
    if written.is_none() && !listener.has(&keys::ROUTES) && !listener.has(&keys::POOL) {
        listener.report.absent(
            listener.span,
            &format!("no pool {}: every connection would be closed", listener.place()),
            "`pool`, or at least one route",
            "add `pool = \"NAME\"`",
        );
    }
    let mut reach = Reach { report: listener.report, always: None, names: HashMap::new() };
    let mut routes = Vec::new();
    for reader in written.unwrap_or_default() {
        let when = condition(&reader, conditions);
        if let Some(when) = &when {
            reach.check(when, reader.span);
        }
        let pool = pools.named(&reader, &keys::ROUTE_POOL);
        if let (Some(when), Some(pool)) = (when, pool) {
            routes.push(Routed { when, pool: pool.value, span: reader.span });
        }
    }
    if let Some(pool) = pools.named(listener, &keys::POOL) {
        reach.check(&Condition::Always, pool.span);
        routes.push(Routed { when: Condition::Always, pool: pool.value, span: pool.span });
    }
    routes
}

/// `None`: a mistake has been told.
fn condition(reader: &Reader<'_>, conditions: &Conditions<'_>) -> Option<Condition> {
    let mut parts = facts(reader);
    let direct = [&keys::SERVER_NAME, &keys::CLIENT, &keys::PORT];
    let direct = direct.iter().find_map(|key| reader.key_span(key));
    let Some(when) = reader.key_span(&keys::WHEN) else {
        return match parts.len() {
            // What was written has been refused.
            0 if direct.is_some() => None,
            0 => Some(Condition::Always),
            1 => parts.pop(),
            _ => Some(Condition::All(parts)),
        };
    };
    if let Some(direct) = direct {
        reader.report.push(
            Diagnostic::error(
                direct,
                "a route has either conditions of its own or `when`",
                "one of the two",
                "move it into `when`, where all keys must hold, too",
            )
            .with_related(when, "`when`"),
        );
    }
    let table = reader.raw(&keys::WHEN).map(|value| &value.data);
    let inner = reader.table(&keys::WHEN, &keys::CONDITION);
    // Anything but a table has just been told.
    let Some(crate::document::Data::Table(_)) = table else { return None };
    conditions.when(&inner)
}

/// Which routes cannot be reached.
struct Reach<'a> {
    report: &'a Report,
    /// The first route that always holds.
    always: Option<Span>,
    /// Names that an earlier route takes whatever else holds.
    names: HashMap<NamePattern, Span>,
}

impl Reach<'_> {
    fn check(&mut self, when: &Condition, span: Span) {
        if let Some(always) = self.always {
            let message = "this is never reached: an earlier route always holds";
            return self.unreachable(span, message, always);
        }
        match when {
            Condition::Always => self.always = Some(span),
            Condition::ServerName(patterns) => {
                for pattern in patterns {
                    if let Some(first) = self.names.get(pattern).copied() {
                        let message = format!(
                            "nothing for `{pattern}` gets here: an earlier route takes it all"
                        );
                        self.unreachable(span, &message, first);
                    } else {
                        self.names.insert(pattern.clone(), span);
                    }
                }
            }
            _ => {}
        }
    }

    fn unreachable(&self, span: Span, message: &str, first: Span) {
        self.report.push(
            Diagnostic::warning(
                span,
                message,
                "routes in order, the narrowest first",
                "move it up, or remove it",
            )
            .with_related(first, "the earlier one"),
        );
    }
}
