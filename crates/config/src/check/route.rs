//! Routes of a listener: conditions and pools in order.

use super::condition::Conditions;
use super::leaves::facts;
use crate::diagnostic::{Diagnostic, quoted};
use crate::document::{Data, Span};
use crate::reader::{Got, Reader, Report};
use crate::reference::Key;
use crate::reference::table as keys;
use crate::values;
use eclusa_policy::condition::Condition;
use eclusa_policy::name::NamePattern;
use eclusa_policy::route::{Split, Target};
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
        self.find(reader, reader.text(key, values::label)?)
    }

    fn find(&self, reader: &Reader<'_>, name: Got<Box<str>>) -> Option<Got<usize>> {
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
    pub(super) target: Target,
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
    let mut reach = Reach {
        report: listener.report,
        always: None,
        names: HashMap::new(),
        hosts: HashMap::new(),
    };
    let mut routes = Vec::new();
    for reader in written.unwrap_or_default() {
        let when = condition(&reader, conditions, "route");
        if let Some(when) = &when {
            reach.check(when, reader.span);
        }
        let target = target(&reader, pools);
        if let (Some(when), Some(target)) = (when, target) {
            routes.push(Routed { when, target, span: reader.span });
        }
    }
    if let Some(pool) = pools.named(listener, &keys::POOL) {
        reach.check(&Condition::Always, pool.span);
        let target = Target::Pool(pool.value);
        routes.push(Routed { when: Condition::Always, target, span: pool.span });
    }
    routes
}

/// Where a route leads: `pool`, or `split`.
fn target(reader: &Reader<'_>, pools: &Pools) -> Option<Target> {
    let pool = pools.named(reader, &keys::ROUTE_POOL);
    let shares = split(reader, pools);
    match (reader.key_span(&keys::ROUTE_POOL), reader.key_span(&keys::SPLIT)) {
        (None, None) => {
            reader.report.absent(
                reader.span,
                &format!("`pool` is missing {}", reader.place()),
                "the name of a pool, or `split`",
                "add `pool = \"web\"`",
            );
            None
        }
        (Some(pool), Some(split)) => {
            reader.report.push(
                Diagnostic::error(
                    split,
                    "a route leads to a pool or to several",
                    "one of `pool` and `split`",
                    "write all pools with their shares in `split`",
                )
                .with_related(pool, "`pool`"),
            );
            None
        }
        (Some(_), None) => pool.map(|pool| Target::Pool(pool.value)),
        (None, Some(span)) => {
            let shares = shares?;
            let split = Split::new(shares);
            if split.is_none() {
                reader.report.error(
                    span,
                    "no pool of the split gets anything",
                    "at least one share above 0",
                    "write for example `{ blue = 95, green = 5 }`",
                );
            }
            split.map(Target::Split)
        }
    }
}

/// The greatest share.
const SHARE_MAX: i64 = 1_000_000;

/// Shares and pools; `None`: there is a mistake, or nothing.
fn split(reader: &Reader<'_>, pools: &Pools) -> Option<Vec<(u32, usize)>> {
    let shares = reader.entries(&keys::SPLIT, |name, value| {
        let pool = Got { value: name.name.clone().into(), span: name.span, written: true };
        let pool = pools.find(reader, pool);
        let share = match value.data {
            Data::Integer(Some(share @ 0..=SHARE_MAX)) => u32::try_from(share).ok(),
            _ => {
                reader.report.error(
                    value.span,
                    &format!("the share of {} is none", quoted(&name.name)),
                    &format!("a whole number from 0 to {SHARE_MAX}"),
                    "write 95 and 5 for 95 % and 5 %",
                );
                None
            }
        };
        Some(share.zip(pool.map(|got| got.value)))
    })?;
    shares.into_iter().collect()
}

/// The condition of a route or a rule, as `what` says. `None`: a mistake has been told.
pub(super) fn condition(
    reader: &Reader<'_>,
    conditions: &Conditions<'_>,
    what: &str,
) -> Option<Condition> {
    let mut parts = facts(reader, &conditions.places);
    let mut written = keys::LEAVES.iter().filter_map(|key| reader.key_span(key));
    let direct = written.next();
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
                &format!("a {what} has either conditions of its own or `when`"),
                "one of the two",
                "move it into `when`, where all keys must hold, too",
            )
            .with_related(when, "`when`"),
        );
    }
    let table = reader.raw(&keys::WHEN).map(|value| &value.data);
    let inner = reader.table(&keys::WHEN, &keys::CONDITION);
    // Anything but a table has just been told.
    let Some(Data::Table(_)) = table else { return None };
    conditions.when(&inner)
}

/// Which routes cannot be reached.
struct Reach<'a> {
    report: &'a Report,
    /// The first route that always holds.
    always: Option<Span>,
    /// Server names that an earlier route takes whatever else holds.
    names: HashMap<NamePattern, Span>,
    /// Hosts likewise.
    hosts: HashMap<NamePattern, Span>,
}

impl Reach<'_> {
    fn check(&mut self, when: &Condition, span: Span) {
        if let Some(always) = self.always {
            let message = "this is never reached: an earlier route always holds";
            return self.unreachable(span, message, always);
        }
        let (patterns, taken) = match when {
            Condition::Always => return self.always = Some(span),
            Condition::ServerName(patterns) => (patterns, &mut self.names),
            Condition::Host(patterns) => (patterns, &mut self.hosts),
            _ => return,
        };
        let mut lost = Vec::new();
        for pattern in patterns {
            match taken.get(pattern) {
                Some(first) => lost.push((pattern, *first)),
                None => drop(taken.insert(pattern.clone(), span)),
            }
        }
        for (pattern, first) in lost {
            let message =
                format!("nothing for `{pattern}` gets here: an earlier route takes it all");
            self.unreachable(span, &message, first);
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
