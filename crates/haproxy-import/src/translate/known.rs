//! What conditions and texts of a section can name beside the request: pools, counters, variables.

use super::counting::{self, Table, Tracked};
use super::listener::Pools;
use super::pool::Pool;
use super::{Work, numbers};
use crate::model::acl::{Criterion, split};
use crate::model::endpoint::Endpoint;
use crate::model::{Proxy, Rule, Stage};
use crate::report::{Kind, Ledger};
use crate::when::{Key, Leaf, When};
use std::collections::HashMap;

/// A variable that is set once, for every request, by what the request says.
#[derive(Clone, Debug)]
struct Variable {
    /// What it stands for, as written.
    sample: String,
    line: usize,
    /// Answers know it, too: `txn.`
    lasts: bool,
}

/// Whose endpoints can be counted.
#[derive(Clone, Copy, Debug)]
enum Counted<'k> {
    /// The section has none.
    Nobody,
    /// Some of the section's could not be carried over.
    Lost,
    /// Those of this pool, and whether it has backups.
    Pool(&'k str, bool),
}

impl<'k> Counted<'k> {
    fn of(proxy: &Proxy, pool: Option<&'k Pool>) -> Self {
        let off = |endpoint: &&Endpoint| {
            endpoint.has("disabled") || endpoint.number("weight").is_some_and(|set| set.value == 0)
        };
        let wanted = proxy.endpoints.iter().filter(|endpoint| !off(endpoint)).count();
        match pool {
            _ if proxy.lost > 0 => Self::Lost,
            _ if wanted == 0 => Self::Nobody,
            Some(pool) if pool.members.len() == wanted => {
                Self::Pool(&pool.name, pool.members.iter().any(|member| member.backup))
            }
            _ => Self::Lost,
        }
    }
}

/// What a section that clients come in by can name.
#[derive(Clone, Default)]
pub(super) struct Known<'k> {
    /// Its own name.
    front: &'k str,
    /// Where sections and their pools are found.
    all: Option<(Work<'k>, Pools<'k>)>,
    variables: HashMap<String, Variable>,
    tables: Vec<Table>,
    tracked: Vec<Tracked>,
}

impl<'k> Known<'k> {
    /// For the section at `front`.
    pub(super) fn of(work: Work<'k>, front: usize, pools: &Pools<'k>, ledger: &mut Ledger) -> Self {
        let proxy = work.proxy(front);
        let mut known = Self { front: &proxy.name, all: Some((work, *pools)), ..Self::default() };
        if proxy.is_http() {
            known.variables = variables(work, front);
            (known.tables, known.tracked) = counting::read(work, front, ledger);
        }
        known
    }

    /// Without what rules of requests have found out, for what is asked before them.
    pub(super) fn before_rules(&self) -> Self {
        Self { front: self.front, all: self.all, tables: self.tables.clone(), ..Self::default() }
    }

    /// The tables that rules count at.
    pub(super) fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The counter at which a rule counts.
    pub(super) fn counter(&self, rule: &Rule) -> Option<&str> {
        Tracked::of(rule, &self.tracked)
    }

    /// Whether a rule sets a variable that is put where it is asked for.
    pub(super) fn sets(&self, rule: &Rule) -> Option<&str> {
        let name = rule.words.first().and_then(|word| variable(word))?;
        self.variables.get(name).filter(|it| it.line == rule.line).map(|it| it.sample.as_str())
    }

    /// The criterion with what its variable stands for; `None`: it asks for no variable. `line`: that of
    /// the rule that asks; `late`: it is one that comes behind all rules of the section.
    ///
    /// # Errors
    /// Nobody knows what the variable stands for.
    pub(super) fn resolved(
        &self,
        criterion: &Criterion,
        (line, late, answers): (usize, bool, bool),
    ) -> Result<Option<Criterion>, String> {
        if criterion.fetch != "var" {
            return Ok(None);
        }
        let found = self.variables.get(&criterion.argument);
        let found = found.filter(|it| (late || it.line < line) && (it.lasts || !answers));
        let none = || {
            format!(
                "the variable `{}` is not set once, for every request and before this",
                criterion.argument
            )
        };
        let sample = Criterion::read(&[found.ok_or_else(none)?.sample.clone()])?;
        let converters = sample.converters.into_iter().chain(criterion.converters.clone());
        let (fetch, argument) = (sample.fetch, sample.argument);
        let converters = converters.collect();
        Ok(Some(Criterion { fetch, argument, converters, ..criterion.clone() }))
    }

    /// The text of a rule with variables and names of its section put in. What is not known stays.
    pub(super) fn filled(&self, text: &str, (line, late, answers): (usize, bool, bool)) -> String {
        let mut text = text.replace("%[fe_name]", &self.front.replace('%', "%%"));
        for (name, it) in &self.variables {
            if !(late || it.line < line) || (answers && !it.lasts) {
                continue;
            }
            // Of answers `hdr` is another.
            let sample = match it.sample.strip_prefix("hdr(") {
                Some(rest) => format!("req.hdr({rest}"),
                None => it.sample.clone(),
            };
            for end in [']', ','] {
                text = text.replace(&format!("%[var({name}){end}"), &format!("%[{sample}{end}"));
            }
        }
        text
    }

    /// `nbsrv`: how many endpoints of a section are up. `None`: it asks for something else.
    pub(super) fn available(&self, criterion: &Criterion) -> Option<Result<When, String>> {
        (criterion.fetch == "nbsrv").then(|| self.endpoints(criterion))
    }

    /// Whose endpoints the section of this name has; `None`: there is none.
    fn counted_of(&self, name: &str) -> Option<Counted<'k>> {
        let (work, pools) = self.all?;
        let back = *work.config.backs.get(name)?;
        Some(Counted::of(work.proxy(back), pools.usable(back)))
    }

    fn endpoints(&self, criterion: &Criterion) -> Result<When, String> {
        let name =
            if criterion.argument.is_empty() { self.front } else { criterion.argument.as_str() };
        let found = self.counted_of(name).ok_or_else(|| format!("there is no section `{name}`"))?;
        let ranges = numbers::ranges(criterion)?;
        let (pool, backups) = match found {
            Counted::Nobody => (None, false),
            Counted::Pool(pool, backups) => (Some(pool), backups),
            Counted::Lost => {
                return Err(format!("not all endpoints of `{name}` could be carried over"));
            }
        };
        if backups && ranges.iter().any(|(first, last)| *first > 1 || last.is_some_and(|it| it > 0))
        {
            // HAProxy counts one backup, or all of them, by `allbackups`.
            return Err(format!(
                "more than one endpoint of `{name}`, which has backups, is asked for"
            ));
        }
        Ok(numbers::any(&ranges, |least| match pool {
            Some(pool) => {
                let key = Key::Number("available", pool.to_owned());
                When::Is(Leaf { key, values: vec![least.to_string()] })
            }
            None => When::Never,
        }))
    }

    /// Requests that were counted of a client. `None`: it asks for something else.
    pub(super) fn counted(
        &self,
        criterion: &Criterion,
        (line, late): (usize, bool),
    ) -> Option<Result<When, String>> {
        counting::asked(criterion, (self.front, &self.tables, &self.tracked), (line, late))
    }
}

/// `txn.a` of `set-var(txn.a)`.
fn variable(word: &str) -> Option<&str> {
    word.strip_prefix("set-var(")?.strip_suffix(')')
}

/// Variables that one rule of the section sets, and sets always; whatever else may set them is no rule
/// at all.
fn variables(work: Work<'_>, front: usize) -> HashMap<String, Variable> {
    let mut found: HashMap<String, Vec<Option<Variable>>> = HashMap::new();
    let backs = work.reached(front).into_iter().filter(|back| *back != front);
    for index in std::iter::once(front).chain(backs) {
        let proxy = work.proxy(index);
        for (stage, rule) in &proxy.rules {
            // Scripts and agents set what they like.
            let strange = |word: &String| word.starts_with("lua") || word == "send-spoe-group";
            // `content set-var(txn.a)` of `tcp-request`
            let mut words = rule.words.iter().take(2);
            if rule.words.iter().any(strange) {
                return HashMap::new();
            }
            // `set-var(txn.a,ifnotset)`, `set-var-fmt(txn.a)`, `unset-var(txn.a)`
            let Some((_, rest)) = words.find_map(|word| word.split_once("set-var")) else {
                continue;
            };
            let inside = rest.split_once('(').map_or("", |(_, inside)| inside);
            let name = inside.trim_end_matches(')').split(',').next().unwrap_or_default();
            let own = index == front && *stage == Stage::Request;
            let set = own.then(|| always_set(rule, proxy)).flatten();
            found.entry(name.to_owned()).or_default().push(set);
        }
    }
    let once = found.into_iter().filter_map(|(name, mut sets)| match sets.len() {
        1 => Some((name, sets.pop()??)),
        _ => None,
    });
    once.collect()
}

/// What a rule sets for every request, if it does.
fn always_set(rule: &Rule, proxy: &Proxy) -> Option<Variable> {
    let [first, sample] = &rule.words[..] else { return None };
    let name = variable(first)?;
    let lasts = name.starts_with("txn.");
    let plain = rule.when.is_none() && (lasts || name.starts_with("req."));
    // One before it could have ended the list.
    let mut before = proxy.rules_of(Stage::Request).take_while(|other| other.line != rule.line);
    let reached = !before.any(|other| other.words.first().is_some_and(|word| word == "allow"));
    let known = split(sample).len() == 1 && !sample.starts_with("var(");
    (plain && reached && known).then(|| Variable { sample: sample.clone(), line: rule.line, lasts })
}

/// Tells of a rule that sets a variable: where it is asked for stands what it stands for.
pub(super) fn told_of_variable(line: usize, changed: Option<&str>, ledger: &mut Ledger) {
    match changed {
        None => ledger.tell(line, Kind::Same, "where the variable is asked for stands what it is"),
        Some(what) => {
            let note = format!(
                "it remembers `{what}`, which a rule before it changes: here conditions see the request \
                 as it came; now what asks for it sees what came; check that it means that"
            );
            ledger.tell(line, Kind::Unsupported, note);
        }
    }
}
