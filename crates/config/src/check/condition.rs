//! Conditions: named ones, and those of routes. They may nest and use each other by name, but not
//! without end: what a session costs to route is bounded.

use super::leaves::facts;
use super::places::Places;
use crate::diagnostic::quoted;
use crate::document::{Data, Span};
use crate::reader::{Got, Reader, Report};
use crate::reference::table as keys;
use crate::values;
use eclusa_policy::condition::{Condition, Named};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

/// Conditions inside conditions, those behind names included.
const DEPTH_MAX: usize = 32;
/// Comparisons that one condition may cost, those behind names included.
const SIZE_MAX: usize = 10_000;

/// The named conditions of a document.
pub(super) struct Conditions<'a> {
    defined: Vec<Definition<'a>>,
    by_name: HashMap<Box<str>, usize>,
    /// Names whose definitions are being read, the outermost first.
    open: RefCell<Vec<usize>>,
    /// What pools and counters there are to ask about.
    pub(super) places: Places,
}

struct Definition<'a> {
    name: Got<Box<str>>,
    reader: Reader<'a>,
    read: RefCell<Option<Result<Compiled, Failed>>>,
    used: Cell<bool>,
}

/// A condition and what it costs.
#[derive(Clone)]
struct Compiled {
    condition: Condition,
    depth: usize,
    size: usize,
}

/// What is wrong has been told.
#[derive(Clone, Copy)]
struct Failed;

impl<'a> Conditions<'a> {
    /// Reads all of them, so that mistakes in unused ones are told as well.
    pub(super) fn read(top: &Reader<'a>) -> Self {
        let defined: Vec<_> = top
            .named(&keys::CONDITIONS, &keys::CONDITION)
            .into_iter()
            .map(|(name, reader)| {
                let (read, used) = (RefCell::new(None), Cell::new(false));
                Definition { name, reader, read, used }
            })
            .collect();
        let by_name = (0..).zip(&defined).map(|(i, one)| (one.name.value.clone(), i)).collect();
        let places = Places::read(top);
        let conditions = Self { defined, by_name, open: RefCell::default(), places };
        for index in 0..conditions.defined.len() {
            let _ = conditions.definition(index, conditions.defined[index].name.span);
        }
        conditions
    }

    /// The condition in the table `when`.
    pub(super) fn when(&self, reader: &Reader<'_>) -> Option<Condition> {
        self.compile(reader, 0).ok().map(|compiled| compiled.condition)
    }

    /// Tells of those that nobody uses.
    pub(super) fn report_unused(&self, report: &Report) {
        for definition in self.defined.iter().filter(|definition| !definition.used.get()) {
            let name = &definition.name;
            report.warning(
                name.span,
                &format!("no route uses the condition {}", quoted(&name.value)),
                "a route or condition that names it",
                &format!("write `named = \"{}\"` where it is meant, or remove it", name.value),
            );
        }
    }

    fn compile(&self, reader: &Reader<'_>, level: usize) -> Result<Compiled, Failed> {
        if level >= DEPTH_MAX {
            return Err(too_large(reader.report, reader.span));
        }
        let asked = facts(reader, &self.places);
        let mut parts: Vec<Compiled> = asked.into_iter().map(leaf).collect();
        let mut failed = false;
        let mut add = |part: Result<Compiled, Failed>| match part {
            Ok(part) => parts.push(part),
            Err(Failed) => failed = true,
        };
        if let Some(inner) = reader.tables(&keys::ALL, &keys::CONDITION) {
            add(self.several(&inner, level, Condition::All));
        }
        if let Some(inner) = reader.tables(&keys::ANY, &keys::CONDITION) {
            add(self.several(&inner, level, Condition::Any));
        }
        if let Some(Data::Table(_)) = reader.raw(&keys::NOT).map(|value| &value.data) {
            let inner = self.compile(&reader.table(&keys::NOT, &keys::CONDITION), level + 1);
            add(inner.map(|inner| inner.wrapped(|inner| Condition::Not(Box::new(inner)))));
        } else if reader.has(&keys::NOT) {
            // Tells of the wrong type.
            let _ = reader.table(&keys::NOT, &keys::CONDITION);
            add(Err(Failed));
        }
        if let Some(name) = reader.text(&keys::NAMED, values::label) {
            add(self.named(reader.report, &name));
        }
        let written = keys::LEAVES.iter().any(|key| reader.has(key));
        let written =
            written || [&keys::ALL, &keys::ANY, &keys::NAMED].iter().any(|key| reader.has(key));
        if parts.is_empty() && !failed && !written {
            let names: Vec<_> = keys::CONDITION.keys.iter().map(|key| key.name).collect();
            reader.report.absent(
                reader.span,
                &format!("the condition {} says nothing", reader.place()),
                &format!("at least one of {}", names.join(", ")),
                "add one, or remove the condition",
            );
        }
        let whole = if parts.len() == 1 {
            parts.pop().ok_or(Failed)?
        } else {
            Compiled::of(parts, Condition::All)
        };
        if failed || !whole.fits(level) {
            return Err(if failed { Failed } else { too_large(reader.report, reader.span) });
        }
        Ok(whole)
    }

    fn several(
        &self,
        inner: &[Reader<'_>],
        level: usize,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Compiled, Failed> {
        let parts: Vec<_> = inner.iter().map(|reader| self.compile(reader, level + 1)).collect();
        Ok(Compiled::of(parts.into_iter().collect::<Result<_, _>>()?, join))
    }

    fn named(&self, report: &Report, name: &Got<Box<str>>) -> Result<Compiled, Failed> {
        let Some(index) = self.by_name.get(&name.value) else {
            let known = self.defined.iter().map(|definition| &*definition.name.value);
            report.unknown_name(name, "condition", "condition", known);
            return Err(Failed);
        };
        self.defined[*index].used.set(true);
        self.definition(*index, name.span)
    }

    /// The condition behind a name, read once. `at`: who asks.
    fn definition(&self, index: usize, at: Span) -> Result<Compiled, Failed> {
        let definition = &self.defined[index];
        if let Some(read) = &*definition.read.borrow() {
            return read.clone();
        }
        let report = definition.reader.report;
        if let Some(first) = self.open.borrow().iter().position(|open| *open == index) {
            self.report_cycle(report, first, index, at);
            return Err(Failed);
        }
        // Each name on the way down costs stack.
        if self.open.borrow().len() >= DEPTH_MAX {
            return Err(too_large(report, at));
        }
        self.open.borrow_mut().push(index);
        let compiled = self.compile(&definition.reader, 0);
        self.open.borrow_mut().pop();
        let named = compiled.map(|compiled| {
            compiled.wrapped(|condition| {
                let name = definition.name.value.clone().into();
                Condition::Named(Arc::new(Named { name, condition }))
            })
        });
        *definition.read.borrow_mut() = Some(named.clone());
        named
    }

    fn report_cycle(&self, report: &Report, first: usize, index: usize, at: Span) {
        let open = self.open.borrow();
        let way = open[first..].iter().chain([&index]);
        let names: Vec<_> = way.map(|index| &*self.defined[*index].name.value).collect();
        report.error(
            at,
            &format!("a condition stands for itself: {}", names.join(" → ")),
            "conditions that lead to an end",
            "remove one of these `named`",
        );
    }
}

impl Compiled {
    fn wrapped(self, wrap: impl FnOnce(Condition) -> Condition) -> Self {
        let size = self.size.saturating_add(1);
        Self { condition: wrap(self.condition), depth: self.depth + 1, size }
    }

    fn of(parts: Vec<Self>, join: fn(Vec<Condition>) -> Condition) -> Self {
        let depth = parts.iter().map(|part| part.depth).max().unwrap_or(0) + 1;
        let size = parts.iter().fold(1_usize, |sum, part| sum.saturating_add(part.size));
        let condition = join(parts.into_iter().map(|part| part.condition).collect());
        Self { condition, depth, size }
    }

    fn fits(&self, level: usize) -> bool {
        level + self.depth <= DEPTH_MAX && self.size <= SIZE_MAX
    }
}

fn leaf(condition: Condition) -> Compiled {
    Compiled { condition, depth: 1, size: 1 }
}

fn too_large(report: &Report, span: Span) -> Failed {
    report.error(
        span,
        "the condition is too large",
        &format!("at most {DEPTH_MAX} conditions inside each other, and {SIZE_MAX} in all"),
        "split it into several routes, or list names and networks in one `server_name` or `source`",
    );
    Failed
}
