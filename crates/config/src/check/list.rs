//! Lists in files, where a list of names or networks may stand: `"@/etc/eclusa/partners.txt"`.

use super::listener::{plain, twice};
use crate::diagnostic::quoted;
use crate::list::{LIST_MAX, LISTS_MAX, List};
use crate::reader::{Got, Reader, Report};
use crate::reference::Key;
use crate::values::{self, Mistake};
use eclusa_policy::condition::{Condition, List as _, Listed, Networks, Subject};
use eclusa_policy::name::NamePattern;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

/// What stands in a list: an entry, or the name of a file with more.
enum Item<T> {
    Entry(T),
    File(PathBuf),
}

/// The names below `key`, as a condition.
pub(super) fn names(
    reader: &Reader<'_>,
    key: &Key,
    parse: fn(&str) -> Result<NamePattern, Mistake>,
    (subject, condition): (Subject, fn(Vec<NamePattern>) -> Condition),
) -> Option<Condition> {
    let (entries, files) = items(reader, key, parse)?;
    let entries = (!entries.is_empty()).then(|| condition(plain(entries)));
    any(entries, listed(reader.report, subject, files))
}

/// The networks below `key`, as a condition.
pub(super) fn sources(reader: &Reader<'_>, key: &Key) -> Option<Condition> {
    let (entries, files) = items(reader, key, values::network)?;
    twice(reader.report, &entries);
    let networks = (!entries.is_empty()).then(|| Networks::new(plain(entries)));
    any(networks.map(Condition::Source), listed(reader.report, Subject::Source, files))
}

type Items<T> = (Vec<Got<T>>, Vec<Got<PathBuf>>);

fn items<T>(
    reader: &Reader<'_>,
    key: &Key,
    parse: fn(&str) -> Result<T, Mistake>,
) -> Option<Items<T>> {
    let item = |text: &str| match text.strip_prefix('@') {
        Some("") => values::mistake("`@` names no file", "write \"@/etc/eclusa/list.txt\""),
        Some(path) => values::path(path).map(Item::File),
        None => parse(text).map(Item::Entry),
    };
    let (mut entries, mut files) = (Vec::new(), Vec::new());
    for Got { value, span, written } in reader.texts(key, item)?.value {
        match value {
            Item::Entry(value) => entries.push(Got { value, span, written }),
            Item::File(value) => files.push(Got { value, span, written }),
        }
    }
    Some((entries, files))
}

fn any(entries: Option<Condition>, lists: Vec<Condition>) -> Option<Condition> {
    let mut all: Vec<_> = entries.into_iter().chain(lists).collect();
    if all.len() > 1 { Some(Condition::Any(all)) } else { all.pop() }
}

fn listed(report: &Report, subject: Subject, files: Vec<Got<PathBuf>>) -> Vec<Condition> {
    files.into_iter().map(|file| Condition::Listed(Listed(list(report, subject, file)))).collect()
}

/// The list of a file: several conditions share it.
fn list(report: &Report, subject: Subject, file: Got<PathBuf>) -> Arc<List> {
    let known = report.lists.borrow().iter().find_map(|list| {
        let same = list.subject() == subject && list.file() == file.value;
        same.then(|| Arc::clone(list))
    });
    if let Some(list) = known {
        return list;
    }
    let list = Arc::new(List::new(subject, file.value.clone()));
    read(report, &list, &file);
    let mut lists = report.lists.borrow_mut();
    lists.push(Arc::clone(&list));
    if lists.len() == LISTS_MAX + 1 {
        report.error(
            file.span,
            "there are too many lists in files",
            &format!("at most {LISTS_MAX} of them"),
            "put what belongs together into one file",
        );
    }
    list
}

fn read(report: &Report, list: &List, file: &Got<PathBuf>) {
    if report.mode.is_offline() {
        return;
    }
    let mut text = Vec::new();
    let opened = (report.open)(&file.value);
    let opened = opened.and_then(|file| file.take(LIST_MAX as u64 + 1).read_to_end(&mut text));
    let shown = quoted(&file.value.display().to_string());
    let expected = match list.subject() {
        Subject::Source => "a file with a network or an address on each line; `#` begins a comment",
        _ => "a file with a name on each line; `#` begins a comment",
    };
    if let Err(error) = opened {
        let remedy = "put the file there, or correct the path";
        return report.error(
            file.span,
            &format!("{shown} cannot be read: {error}"),
            expected,
            remedy,
        );
    }
    if let Err(error) = list.take(&text) {
        let place = error.line.map_or(String::new(), |line| format!(" line {line}:"));
        let message = format!("{shown}{place} {}", error.message);
        report.error(file.span, &message, expected, &error.remedy);
    }
}
