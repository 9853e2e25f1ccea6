//! What conditions ask beside the connection and the request: pools and counters, by their names.

use crate::document::Data;
use crate::plan::Counter;
use crate::reader::{Got, Reader, Report};
use crate::reference::table as keys;
use crate::reference::{Key, Kind};
use crate::values;
use eclusa_policy::condition::{Available, Condition, Counting, Over};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Endpoints of a pool.
const ENDPOINTS: Kind = Kind::Integer { min: 1, max: 100_000 };
/// Requests of a client.
const REQUESTS: Kind = Kind::Integer { min: 0, max: 1_000_000_000 };

/// The pools and counters of a document, by their places in the plan.
pub(super) struct Places {
    pools: HashMap<Box<str>, usize>,
    counters: HashMap<Box<str>, usize>,
    /// Counters that a rule counts at.
    counted: RefCell<HashSet<usize>>,
}

impl Places {
    pub(super) fn read(top: &Reader<'_>) -> Self {
        Self {
            pools: names(top, &keys::POOLS),
            counters: names(top, &keys::COUNTERS),
            counted: RefCell::default(),
        }
    }

    /// What the table of a condition asks of them.
    pub(super) fn asked(&self, reader: &Reader<'_>) -> Vec<Condition> {
        let mut parts = Vec::new();
        let pools = numbers(reader, (&keys::AVAILABLE, &ENDPOINTS), |name| {
            find(reader.report, name, "pool", &self.pools)
        });
        for (name, pool, least) in pools {
            parts.push(Condition::Available(Available { pool, name, least }));
        }
        let of_counters =
            [(&keys::COUNTED_OVER, Counting::Requests), (&keys::AT_ONCE_OVER, Counting::AtOnce)];
        for (key, what) in of_counters {
            let counters = numbers(reader, (key, &REQUESTS), |name| {
                find(reader.report, name, "counter", &self.counters)
            });
            for (name, counter, most) in counters {
                parts.push(Condition::Over(Over { counter, name, what, most }));
            }
        }
        parts
    }

    /// The counter that a rule counts at.
    pub(super) fn counter(&self, rule: &Reader<'_>) -> Option<(usize, Arc<str>)> {
        let name = rule.text(&keys::COUNT, values::label)?;
        let counter = find(rule.report, &name, "counter", &self.counters)?;
        self.counted.borrow_mut().insert(counter);
        Some((counter, name.value.into()))
    }

    /// Tells of counters at which nothing counts.
    pub(super) fn report_uncounted(&self, top: &Reader<'_>) {
        let counted = self.counted.borrow();
        for (name, _) in top.named(&keys::COUNTERS, &keys::COUNTER_SECTION) {
            if self.counters.get(&name.value).is_some_and(|counter| counted.contains(counter)) {
                continue;
            }
            top.report.warning(
                name.span,
                &format!("no rule counts at `{}`, so that nobody is ever over it", name.value),
                "a rule with `count` that names it",
                &format!("add a rule with `count = \"{}\"`, or remove it", name.value),
            );
        }
    }
}

/// `[counter.NAME]`, in order.
pub(super) fn counters(top: &Reader<'_>) -> Vec<Counter> {
    let read = |(name, reader): (Got<Box<str>>, Reader<'_>)| {
        let within = reader.duration(&keys::COUNTER_WITHIN).value;
        let forget_after = reader.duration_or_never(&keys::FORGET_AFTER).and_then(|got| got.value);
        let clients = reader.integer(&keys::COUNTER_CLIENTS).map_or(65_536, |got| got.value);
        Counter {
            name: name.value.into(),
            within,
            forget_after: forget_after.unwrap_or(within.saturating_mul(2)),
            clients: clients as usize,
        }
    };
    top.named(&keys::COUNTERS, &keys::COUNTER_SECTION).into_iter().map(read).collect()
}

/// The names of tables below `key` by their places, as [`Reader::named`] finds them.
fn names(top: &Reader<'_>, key: &Key) -> HashMap<Box<str>, usize> {
    let Some(Data::Table(tables)) = top.raw(key).map(|value| &value.data) else {
        return HashMap::new();
    };
    let named = tables.entries.iter().filter_map(|(name, value)| {
        let is_table = matches!(value.data, Data::Table(_));
        values::label(&name.name).ok().filter(|_| is_table)
    });
    named.zip(0..).collect()
}

fn find(
    report: &Report,
    name: &Got<Box<str>>,
    what: &str,
    known: &HashMap<Box<str>, usize>,
) -> Option<usize> {
    let found = known.get(&name.value).copied();
    if found.is_none() {
        report.unknown_name(name, what, what, known.keys().map(|name| &**name));
    }
    found
}

/// Names below a key, each with its place and a number.
fn numbers(
    reader: &Reader<'_>,
    (key, kind): (&Key, &Kind),
    place: impl Fn(&Got<Box<str>>) -> Option<usize>,
) -> Vec<(Arc<str>, usize, u32)> {
    let found = reader.entries(key, |name, value| {
        let got = Got { value: name.name.clone().into(), span: name.span, written: true };
        let (place, number) = (place(&got), reader.integer_of(key, kind, value));
        Some((Arc::from(got.value), place?, number?))
    });
    found.unwrap_or_default()
}
