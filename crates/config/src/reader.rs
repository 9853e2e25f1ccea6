//! The typed reader: takes values out of a document by the table of keys, writes down every
//! mistake, and goes on with the default.

mod tables;

use crate::diagnostic::{Diagnostic, Diagnostics, Severity, quoted};
use crate::document::{Data, Document, Span, Table, Value};
use crate::list::List;
use crate::nearest::nearest;
use crate::plan::{ByteSize, Program};
use crate::reference::{self, Default, Key, Kind, Section};
use crate::values::{self, Mistake};
use crate::{Mode, Opener};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeValue;

/// Where mistakes are written down while a document is checked.
pub(crate) struct Report {
    diagnostics: RefCell<Diagnostics>,
    pub(crate) program: Program,
    pub(crate) mode: Mode,
    /// How files that the document names are opened.
    pub(crate) open: Opener,
    /// Names of endpoints, to be resolved at the end.
    pub(crate) names: RefCell<Vec<Got<Box<str>>>>,
    /// Lists in files, each once.
    pub(crate) lists: RefCell<Vec<Arc<List>>>,
    /// Lines with broken syntax. If there are any, what seems to be missing may only not have been
    /// understood, and what stands on these lines may have been understood wrongly.
    broken: HashSet<usize>,
    /// From here on nothing is certain.
    doubtful_from: Option<usize>,
    /// Defaults that were asked for, each parsed once: most keys of most tables are left to them.
    defaults: RefCell<HashMap<&'static str, Option<Rc<Value>>>>,
}

impl Report {
    pub(crate) fn new(
        document: &Document,
        diagnostics: Diagnostics,
        program: Program,
        (mode, open): (Mode, Opener),
    ) -> Self {
        let line = |at| diagnostics.source().place(at).line;
        let spans = diagnostics.items().iter().filter_map(|item| item.span);
        let broken = spans.map(|span| line(span.start)).collect();
        let diagnostics = RefCell::new(diagnostics);
        Self {
            diagnostics,
            program,
            mode,
            open,
            names: RefCell::default(),
            lists: RefCell::default(),
            broken,
            doubtful_from: document.doubtful_from,
            defaults: RefCell::default(),
        }
    }

    /// A default of the reference, as if it were written.
    fn default(&self, text: &'static str) -> Option<Rc<Value>> {
        let mut defaults = self.defaults.borrow_mut();
        defaults.entry(text).or_insert_with(|| parsed(text).map(Rc::new)).clone()
    }

    pub(crate) fn push(&self, diagnostic: Diagnostic) {
        if self.is_incomplete() && self.is_uncertain(&diagnostic) {
            return;
        }
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    /// Whether it may only follow from the broken syntax.
    fn is_uncertain(&self, diagnostic: &Diagnostic) -> bool {
        let Some(span) = diagnostic.span else { return false };
        let line = self.diagnostics.borrow().source().place(span.start).line;
        diagnostic.severity == Severity::Warning
            || self.broken.contains(&line)
            || self.doubtful_from.is_some_and(|from| span.start >= from)
    }

    fn is_incomplete(&self) -> bool {
        !self.broken.is_empty()
    }

    pub(crate) fn error(&self, span: Span, message: &str, expected: &str, remedy: &str) {
        self.push(Diagnostic::error(span, message, expected, remedy));
    }

    pub(crate) fn warning(&self, span: Span, message: &str, expected: &str, remedy: &str) {
        self.push(Diagnostic::warning(span, message, expected, remedy));
    }

    /// An error about something that is not there.
    pub(crate) fn absent(&self, span: Span, message: &str, expected: &str, remedy: &str) {
        if !self.is_incomplete() {
            self.error(span, message, expected, remedy);
        }
    }

    /// Something is named that does not exist.
    pub(crate) fn unknown_name<'n>(
        &self,
        name: &Got<Box<str>>,
        what: &str,
        section: &str,
        known: impl Iterator<Item = &'n str>,
    ) {
        if self.is_incomplete() {
            return;
        }
        let hint = if self.is_full() { None } else { nearest(&name.value, known) };
        let remedy = match hint {
            Some(hint) => format!("did you mean `{hint}`?"),
            None => format!("add `[{section}.{}]`", quoted(&name.value).trim_matches('`')),
        };
        let message = format!("there is no {what} {}", quoted(&name.value));
        self.error(name.span, &message, &format!("the name of a {what} of this file"), &remedy);
    }

    /// Whether there is an error so far: then what seems to be unused may only be misspelt.
    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.borrow().has_errors()
    }

    fn is_full(&self) -> bool {
        self.diagnostics.borrow().is_full()
    }

    pub(crate) fn into_diagnostics(self) -> Diagnostics {
        self.diagnostics.into_inner()
    }
}

/// A value that was read, or the default in its place.
#[derive(Clone, Debug)]
pub(crate) struct Got<T> {
    pub(crate) value: T,
    /// Where it stands; for a default, where its table begins.
    pub(crate) span: Span,
    /// It is in the document (and right): no default.
    pub(crate) written: bool,
}

impl<T> Got<T> {
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Got<U> {
        Got { value: change(self.value), span: self.span, written: self.written }
    }
}

/// A table of the document, read as a section.
pub(crate) struct Reader<'a> {
    pub(crate) report: &'a Report,
    /// As in the document: `listener.web.dead_peer`; empty at the top.
    path: String,
    table: Option<&'a Table>,
    /// Where the table begins.
    pub(crate) span: Span,
}

impl<'a> Reader<'a> {
    /// Begins to read `table` (`None`: it is not there, and defaults hold); keys that the section
    /// does not have are mistakes.
    pub(crate) fn new(
        report: &'a Report,
        section: &'static Section,
        path: String,
        table: Option<&'a Table>,
        span: Span,
    ) -> Self {
        let reader = Self { report, path, table, span };
        for (key, _) in table.map_or(&[][..], |table| &table.entries) {
            if !section.keys.iter().any(|known| known.name == key.name) {
                reader.unknown_key(section, key);
            }
        }
        reader
    }

    fn unknown_key(&self, section: &'static Section, key: &crate::document::Key) {
        let message = format!("unknown key {} {}", quoted(&key.name), self.place());
        let known: Vec<_> = section.keys.iter().map(|known| known.name).collect();
        let expected = format!("one of {}", known.join(", "));
        let program = self.report.program;
        let hint = || nearest(&key.name, known.iter().copied());
        let useless = "remove it; docs/configuration.md lists all keys".to_owned();
        let remedy = if self.report.is_full() {
            useless
        } else if let Some(places) = places(program, &key.name) {
            format!("`{}` belongs {places}", key.name)
        } else if let Some(hint) = hint() {
            format!("did you mean `{hint}`?")
        } else if let Some(places) = places(other(program), &key.name).filter(|_| self.is_top()) {
            format!("`{}` is a key of {}: {places}", key.name, other(program).name())
        } else {
            useless
        };
        self.report.error(key.span, &message, &expected, &remedy);
    }

    fn is_top(&self) -> bool {
        self.path.is_empty()
    }

    /// Where this is, for messages.
    pub(crate) fn place(&self) -> String {
        if self.is_top() {
            return "at the top level".to_owned();
        }
        format!("in {}", quoted(&self.path))
    }

    fn below(&self, key: &str) -> String {
        if self.is_top() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether the key is in the document.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.written(key).is_some()
    }

    /// Where the key stands, if it does.
    pub(crate) fn key_span(&self, key: &Key) -> Option<Span> {
        self.table?.get(key.name).map(|(key, _)| key.span)
    }

    fn written(&self, key: &Key) -> Option<&'a Value> {
        self.table?.get(key.name).map(|(_, value)| value)
    }

    /// What is written, or else the default (which the same code reads).
    fn read<T>(&self, key: &Key, take: impl Fn(&Value, Span) -> Option<T>) -> Option<Got<T>> {
        match self.written(key) {
            Some(value) => {
                if let Some(taken) = take(value, value.span) {
                    return Some(Got { value: taken, span: value.span, written: true });
                }
            }
            None if matches!(key.default, Default::Required) => {
                self.report.absent(
                    self.span,
                    &format!("`{}` is missing {}", key.name, self.place()),
                    &key.kind.describe(),
                    &format!("add `{} = {}`", key.name, key.kind.example()),
                );
            }
            None => {}
        }
        let default = self.report.default(key.default.value(self.report.program)?)?;
        Some(Got { value: take(&default, self.span)?, span: self.span, written: false })
    }

    fn wrong_type(&self, key: &Key, kind: &Kind, value: &Value) {
        let remedy = match (kind, &value.data) {
            (Kind::Duration { .. }, Data::Integer(Some(number))) if *number >= 0 => {
                format!("write a unit: \"{number}s\" for seconds")
            }
            (Kind::Integer { .. } | Kind::Boolean, Data::String(_)) => {
                "write it without quotes".to_owned()
            }
            (Kind::Status, Data::Integer(Some(number))) if *number >= 0 => {
                format!("write it in quotes: \"{number}\"")
            }
            (Kind::TableOrFalse(_), Data::Boolean(_)) => format!("remove `{}`", key.name),
            (Kind::Switch(_), _) => {
                format!("write `true`, or a table: `{} = {{ ... }}`", key.name)
            }
            (Kind::Size { .. }, Data::Integer(Some(number))) if *number >= 0 => {
                format!("write a unit: \"{number}B\" for bytes")
            }
            (Kind::Table(_) | Kind::TableOrFalse(_), _) => {
                format!("write a table: `{} = {{ ... }}`", key.name)
            }
            (Kind::Named(_), _) => format!("write tables with names: `[{}.NAME]`", key.name),
            (Kind::Tables(_), _) => format!("write a list of tables: `{} = [{{ ... }}]`", key.name),
            _ => format!("write for example {}", kind.example()),
        };
        let item = if std::ptr::eq(kind, &raw const key.kind) { "" } else { "an item of " };
        let message = format!("{item}`{}` is {}", key.name, value.kind());
        self.report.error(value.span, &message, &kind.describe(), &remedy);
    }

    fn wrong_text(&self, kind: &Kind, span: Span, mistake: &Mistake) {
        self.report.error(span, &mistake.message, &kind.describe(), &mistake.remedy);
    }

    pub(crate) fn boolean(&self, key: &Key) -> Option<Got<bool>> {
        self.read(key, |value, _| match &value.data {
            Data::Boolean(flag) => Some(*flag),
            _ => {
                self.wrong_type(key, &key.kind, value);
                None
            }
        })
    }

    pub(crate) fn integer(&self, key: &Key) -> Option<Got<u32>> {
        self.read(key, |value, _| self.integer_of(key, &key.kind, value))
    }

    pub(crate) fn integer_of(&self, key: &Key, kind: &Kind, value: &Value) -> Option<u32> {
        let Kind::Integer { min, max } = kind else { return None };
        let Data::Integer(number) = &value.data else {
            self.wrong_type(key, kind, value);
            return None;
        };
        let number = number.and_then(|number| u32::try_from(number).ok());
        if let Some(number) = number.filter(|number| (*min..=*max).contains(number)) {
            return Some(number);
        }
        let message = format!("`{}` is out of range", key.name);
        let remedy = if key.name.starts_with("port") {
            "write a port from 1 to 65535; there is no port 0".to_owned()
        } else {
            format!("write a number from {min} to {max}")
        };
        self.report.error(value.span, &message, &kind.describe(), &remedy);
        None
    }

    /// A number from 0 to 1, in millionths.
    pub(crate) fn fraction(&self, key: &Key) -> Option<Got<u32>> {
        self.read(key, |value, _| {
            let number = match &value.data {
                Data::Float(number) => *number,
                Data::Integer(Some(number @ (0 | 1))) => *number as f64,
                Data::Integer(_) => f64::NAN,
                _ => {
                    self.wrong_type(key, &key.kind, value);
                    return None;
                }
            };
            if (0.0..=1.0).contains(&number) {
                return Some((number * 1e6).round() as u32);
            }
            let message = format!("`{}` is out of range", key.name);
            let remedy = "write 0.1 for one of ten";
            self.report.error(value.span, &message, &key.kind.describe(), remedy);
            None
        })
    }

    /// A duration that may be `never`.
    pub(crate) fn duration_or_never(&self, key: &Key) -> Option<Got<Option<Duration>>> {
        let Kind::Duration { min, max, never, whole } = key.kind else { return None };
        self.read(key, |value, span| {
            let Data::String(text) = &value.data else {
                self.wrong_type(key, &key.kind, value);
                return None;
            };
            if never && text == "never" {
                return Some(None);
            }
            let checked = values::duration(text)
                .and_then(|duration| values::within(duration, min, max, whole));
            match checked {
                Ok(duration) => Some(Some(duration)),
                Err(mistake) => {
                    self.wrong_text(&key.kind, span, &mistake);
                    None
                }
            }
        })
    }

    /// A duration; the table has a default for each.
    pub(crate) fn duration(&self, key: &Key) -> Got<Duration> {
        let fallback = Got { value: Duration::ZERO, span: self.span, written: false };
        self.duration_or_never(key).map_or(fallback, |got| got.map(Option::unwrap_or_default))
    }

    /// One of the words of the key's list, by its index.
    pub(crate) fn choice(&self, key: &Key) -> Option<Got<&'static str>> {
        let Kind::Choice(words) = key.kind else { return None };
        self.read(key, |value, span| {
            let Data::String(text) = &value.data else {
                self.wrong_type(key, &key.kind, value);
                return None;
            };
            let known = words.iter().find(|word| *word == text);
            if known.is_none() {
                let message = format!("{} is none of the choices", quoted(text));
                let remedy = match nearest(text, words.iter().copied()) {
                    Some(hint) => format!("did you mean \"{hint}\"?"),
                    None => format!("write {}", key.kind.describe()),
                };
                self.report.error(span, &message, &key.kind.describe(), &remedy);
            }
            known.copied()
        })
    }

    /// Some of the words of the key's list, each once.
    pub(crate) fn choices(&self, key: &Key) -> Vec<&'static str> {
        let Kind::List(Kind::Choice(words)) = key.kind else { return Vec::new() };
        let found = self.texts(key, |text| {
            let known = words.iter().find(|word| **word == text).copied();
            known.ok_or_else(|| Mistake {
                message: format!("{} is none of the choices", quoted(text)),
                remedy: match nearest(text, words.iter().copied()) {
                    Some(hint) => format!("did you mean \"{hint}\"?"),
                    None => format!("write one of {}", words.join(", ")),
                },
            })
        });
        let mut words = Vec::new();
        for got in found.map(|got| got.value).unwrap_or_default() {
            if words.contains(&got.value) {
                let message = format!("{} is there twice", quoted(got.value));
                self.report.warning(got.span, &message, "each word once", "remove one of the two");
            } else {
                words.push(got.value);
            }
        }
        words
    }

    /// A number of bytes.
    pub(crate) fn size(&self, key: &Key) -> Option<ByteSize> {
        let Kind::Size { min, max } = key.kind else { return None };
        self.text(key, |text| crate::web::size(text, min, max)).map(|got| got.value)
    }

    /// A text that `parse` makes something of.
    pub(crate) fn text<T>(
        &self,
        key: &Key,
        parse: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Option<Got<T>> {
        self.read(key, |value, _| self.text_of(key, &key.kind, value, &parse))
    }

    pub(crate) fn text_of<T>(
        &self,
        key: &Key,
        kind: &Kind,
        value: &Value,
        parse: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Option<T> {
        let Data::String(text) = &value.data else {
            self.wrong_type(key, kind, value);
            return None;
        };
        match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(mistake) => {
                self.wrong_text(kind, value.span, &mistake);
                None
            }
        }
    }

    pub(crate) fn path_of(&self, key: &Key) -> Option<Got<PathBuf>> {
        self.text(key, values::path)
    }

    /// The items of a list, or the one item that stands without brackets. Items that `take`
    /// rejects are left out.
    pub(crate) fn list<T>(
        &self,
        key: &Key,
        take: impl Fn(&Kind, &Value) -> Option<T>,
    ) -> Option<Got<Vec<Got<T>>>> {
        let Kind::List(kind) = key.kind else { return None };
        self.read(key, |value, at| {
            let items = match &value.data {
                Data::Array(items) => items.as_slice(),
                _ => std::slice::from_ref(value),
            };
            if items.is_empty() {
                self.report.error(
                    at,
                    &format!("`{}` is empty", key.name),
                    &format!("at least one item: {}", kind.describe()),
                    &empty_remedy(key, kind),
                );
                return None;
            }
            let written = self.has(key);
            let got = |item: &Value| {
                let span = if written { item.span } else { at };
                Some(Got { value: take(kind, item)?, span, written })
            };
            Some(items.iter().filter_map(got).collect())
        })
    }

    /// A list of texts that `parse` makes something of.
    pub(crate) fn texts<T>(
        &self,
        key: &Key,
        parse: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Option<Got<Vec<Got<T>>>> {
        self.list(key, |kind, item| self.text_of(key, kind, item, &parse))
    }

    /// A list of numbers.
    pub(crate) fn integers(&self, key: &Key) -> Option<Got<Vec<Got<u32>>>> {
        self.list(key, |kind, item| self.integer_of(key, kind, item))
    }
}

fn empty_remedy(key: &Key, kind: &Kind) -> String {
    match key.default {
        Default::Required => format!("add one, such as {}", kind.example()),
        _ => format!("add one, such as {}, or remove `{}`", kind.example(), key.name),
    }
}

fn parsed(default: &str) -> Option<Value> {
    let parsed = DeValue::parse(default).ok()?;
    Some(crate::document::value(parsed))
}

fn other(program: Program) -> Program {
    match program {
        Program::Apiserver => Program::Edge,
        Program::Edge => Program::Apiserver,
    }
}

/// Where a program knows a key of this name, in words.
fn places(program: Program, name: &str) -> Option<String> {
    let mut places = Vec::new();
    reference::walk(program, &mut |path, section| {
        // An expectation repeats the words of others.
        if path != "expect" && section.keys.iter().any(|key| key.name == name) {
            places.push(match path {
                "" => "at the top, before the first `[table]`".to_owned(),
                path => format!("in `[{path}]`"),
            });
        }
    });
    // A name that stands for several things in many places is no hint.
    (1..=2).contains(&places.len()).then(|| places.join(" or "))
}
