//! The indexes of a route table: by host or server name, and behind each name by path.

use crate::condition::{Condition, Facts, PathPattern};
use crate::name::NamePattern;
use std::collections::HashMap;

/// Places that one route is filed under at most; one that would take more is tried for every path.
const PLACES_MAX: usize = 4_096;

/// Numbers of routes, ascending, under what must hold before their conditions can.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// Routes that ask for a host.
    hosts: Names,
    /// Routes that ask for a server name, and for no host.
    server_names: Names,
    /// All others.
    others: Paths,
}

impl Index {
    /// Files the route `number`, which is greater than all before.
    pub(super) fn file(&mut self, number: usize, condition: &Condition) {
        let mut paths = required(condition, &paths_of);
        let (names, index) = match required(condition, &hosts_of) {
            Some(hosts) => (hosts, &mut self.hosts),
            None => match required(condition, &server_names_of) {
                Some(names) => (names, &mut self.server_names),
                None => return self.others.file(number, paths.as_deref()),
            },
        };
        if paths.as_ref().is_some_and(|paths| paths.len() * names.len() > PLACES_MAX) {
            paths = None;
        }
        for name in names {
            index.of(name).file(number, paths.as_deref());
        }
    }

    /// Calls `see` with every list of routes that may hold for `facts`.
    pub(super) fn candidates(&self, facts: &Facts<'_>, see: &mut dyn FnMut(&[usize])) {
        let path = facts.request.map(|asked| asked.path());
        self.others.candidates(path, see);
        if let Some(asked) = facts.request {
            self.hosts.candidates(asked.request().host(), path, see);
        }
        if let Some(name) = facts.server_name {
            self.server_names.candidates(name, path, see);
        }
    }
}

/// By name: exact, or by the suffix of a wildcard.
#[derive(Clone, Debug, Default)]
struct Names {
    exact: HashMap<Box<str>, Paths>,
    suffix: HashMap<Box<str>, Paths>,
    /// The longest suffix: a name of hostile length is not looked up at each of its dots.
    longest: usize,
}

impl Names {
    fn of(&mut self, pattern: &NamePattern) -> &mut Paths {
        match pattern {
            NamePattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
            NamePattern::Wildcard(suffix) => {
                self.longest = self.longest.max(suffix.len());
                self.suffix.entry(suffix.clone()).or_default()
            }
        }
    }

    fn candidates(&self, name: &str, path: Option<&str>, see: &mut dyn FnMut(&[usize])) {
        if let Some(paths) = self.exact.get(name) {
            paths.candidates(path, see);
        }
        if self.suffix.is_empty() {
            return;
        }
        let mut rest = name;
        while let Some((_, suffix)) = rest.split_once('.') {
            if suffix.len() <= self.longest
                && let Some(paths) = self.suffix.get(suffix)
            {
                paths.candidates(path, see);
            }
            rest = suffix;
        }
    }
}

/// By path: exact, or by whole segments.
#[derive(Clone, Debug, Default)]
struct Paths {
    exact: HashMap<Box<str>, Vec<usize>>,
    prefix: HashMap<Box<str>, Vec<usize>>,
    /// The longest prefix: as with names.
    longest: usize,
    /// Routes that no path leads to.
    others: Vec<usize>,
}

impl Paths {
    fn file(&mut self, number: usize, patterns: Option<&[&PathPattern]>) {
        let Some(patterns) = patterns else { return add(&mut self.others, number) };
        for pattern in patterns {
            match pattern {
                PathPattern::Exact(path) => {
                    add(self.exact.entry(path.clone()).or_default(), number);
                }
                PathPattern::Prefix(path) => {
                    self.longest = self.longest.max(path.len());
                    add(self.prefix.entry(path.clone()).or_default(), number);
                }
                // `paths_of` leaves these out.
                PathPattern::Suffix(_) | PathPattern::Regex(_) => add(&mut self.others, number),
            }
        }
    }

    fn candidates(&self, path: Option<&str>, see: &mut dyn FnMut(&[usize])) {
        see(&self.others);
        let Some(path) = path else { return };
        if let Some(list) = self.exact.get(path) {
            see(list);
        }
        if self.prefix.is_empty() {
            return;
        }
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        for end in ends.take_while(|end| *end <= self.longest) {
            if let Some(list) = self.prefix.get(&path[..end]) {
                see(list);
            }
        }
    }
}

fn add(list: &mut Vec<usize>, number: usize) {
    if list.last() != Some(&number) {
        list.push(number);
    }
}

/// What must hold before a condition can: one at least of the patterns that `of` finds in it;
/// `None` where the condition can hold without any.
fn required<'c, T>(
    condition: &'c Condition,
    of: &dyn Fn(&'c Condition) -> Option<Vec<&'c T>>,
) -> Option<Vec<&'c T>> {
    match condition {
        Condition::All(parts) => parts.iter().find_map(|part| required(part, of)),
        Condition::Any(parts) => {
            let lists: Option<Vec<_>> = parts.iter().map(|part| required(part, of)).collect();
            lists.map(|lists| lists.into_iter().flatten().collect())
        }
        Condition::Named(named) => required(&named.condition, of),
        leaf => of(leaf),
    }
}

fn hosts_of(condition: &Condition) -> Option<Vec<&NamePattern>> {
    let Condition::Host(patterns) = condition else { return None };
    Some(patterns.iter().collect())
}

fn server_names_of(condition: &Condition) -> Option<Vec<&NamePattern>> {
    let Condition::ServerName(patterns) = condition else { return None };
    Some(patterns.iter().collect())
}

fn paths_of(condition: &Condition) -> Option<Vec<&PathPattern>> {
    let Condition::Path(patterns) = condition else { return None };
    let indexed = |pattern| matches!(pattern, &PathPattern::Exact(_) | &PathPattern::Prefix(_));
    patterns.iter().all(indexed).then(|| patterns.iter().collect())
}
