//! Tables below a key: sections, named tables, lists of tables, tables whose keys the document chooses.

use super::{Got, Reader};
use crate::diagnostic::quoted;
use crate::document::{Data, Table, Value};
use crate::reference::{Key, Section};
use crate::values;

impl<'a> Reader<'a> {
    /// The table below `key`, with defaults if it is not there.
    pub(crate) fn table(&self, key: &'static Key, section: &'static Section) -> Reader<'a> {
        let (table, span) = match self.table.and_then(|table| table.get(key.name)) {
            Some((_, value)) => match &value.data {
                Data::Table(table) => (Some(table), value.span),
                _ => {
                    self.wrong_type(key, &key.kind, value);
                    (None, value.span)
                }
            },
            None => (None, self.span),
        };
        Reader::new(self.report, section, self.below(key.name), table, span)
    }

    /// The table below a key that may also be `true`: a table of defaults. `None`: there is none.
    pub(crate) fn switched(
        &self,
        key: &'static Key,
        section: &'static Section,
    ) -> Option<Reader<'a>> {
        let value = self.written(key)?;
        let table = match &value.data {
            Data::Table(table) => Some(table),
            Data::Boolean(true) => None,
            Data::Boolean(false) => return None,
            _ => {
                self.wrong_type(key, &key.kind, value);
                return None;
            }
        };
        Some(Reader::new(self.report, section, self.below(key.name), table, value.span))
    }

    /// The table below a key if it is there, without defaults.
    pub(crate) fn written_table(
        &self,
        key: &'static Key,
        section: &'static Section,
    ) -> Option<Reader<'a>> {
        let reader = self.table(key, section);
        reader.table.is_some().then_some(reader)
    }

    /// The keys below `key`, which the document chooses, with their values. What `take` rejects is
    /// left out.
    pub(crate) fn entries<T>(
        &self,
        key: &Key,
        take: impl Fn(&crate::document::Key, &'a Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.written(key)?;
        let Data::Table(table) = &value.data else {
            self.wrong_type(key, &key.kind, value);
            return None;
        };
        if table.entries.is_empty() {
            let message = format!("`{}` is empty", key.name);
            let remedy = format!("write for example `{} = {}`", key.name, key.kind.example());
            self.report.error(value.span, &message, &key.kind.describe(), &remedy);
            return None;
        }
        Some(table.entries.iter().filter_map(|(name, value)| take(name, value)).collect())
    }

    /// `table`, which stands below `key`, as a section.
    pub(crate) fn open<'t>(
        &'t self,
        key: &Key,
        section: &'static Section,
        table: &'t Table,
    ) -> Reader<'t> {
        Reader::new(self.report, section, self.below(key.name), Some(table), table.span)
    }

    /// What is written under the key, as it is.
    pub(crate) fn raw(&self, key: &Key) -> Option<&'a Value> {
        self.written(key)
    }

    /// The named tables below `key`.
    pub(crate) fn named(
        &self,
        key: &'static Key,
        section: &'static Section,
    ) -> Vec<(Got<Box<str>>, Reader<'a>)> {
        let Some(value) = self.written(key) else { return Vec::new() };
        let Data::Table(tables) = &value.data else {
            self.wrong_type(key, &key.kind, value);
            return Vec::new();
        };
        let mut found = Vec::new();
        for (name, value) in &tables.entries {
            let Data::Table(table) = &value.data else {
                let message = format!("{} is {}", quoted(&name.name), value.kind());
                let remedy = format!("write `[{}.NAME]` before the keys of NAME", key.name);
                self.report.error(name.span, &message, "a table with a name", &remedy);
                continue;
            };
            let path = format!("{}.{}", self.below(key.name), name.name);
            let label = match values::label(&name.name) {
                Ok(label) => label,
                Err(mistake) => {
                    let expected = "a name";
                    self.report.error(name.span, &mistake.message, expected, &mistake.remedy);
                    continue;
                }
            };
            let got = Got { value: label, span: name.span, written: true };
            found.push((got, Reader::new(self.report, section, path, Some(table), value.span)));
        }
        found
    }

    /// The tables of the list below `key`.
    pub(crate) fn tables(
        &self,
        key: &'static Key,
        section: &'static Section,
    ) -> Option<Vec<Reader<'a>>> {
        let value = self.written(key)?;
        let Data::Array(items) = &value.data else {
            self.wrong_type(key, &key.kind, value);
            return None;
        };
        if items.is_empty() {
            let message = format!("`{}` is empty", key.name);
            let remedy = format!("add a table, or remove `{}`", key.name);
            self.report.error(value.span, &message, "at least one table", &remedy);
            return None;
        }
        let open = |item: &'a Value| {
            let Data::Table(table) = &item.data else {
                self.wrong_type(key, &key.kind, item);
                return None;
            };
            let path = self.below(key.name);
            Some(Reader::new(self.report, section, path, Some(table), item.span))
        };
        Some(items.iter().filter_map(open).collect())
    }
}
