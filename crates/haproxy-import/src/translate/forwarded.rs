//! `option forwardfor`, as rules that tell who the client is. Both the section that clients come in by and the one
//! that they are led to may say it: the name is that of the latter, whom either leaves out is left out, and
//! `if-none` holds where all that say it say that.

use super::Work;
use super::action::changeable;
use super::listener::{Listener, Step};
use super::pool::pair;
use super::rules::{List, SIZE_MAX};
use crate::model::{Flag, Proxy};
use crate::report::{Kind, Ledger};
use crate::toml;
use crate::values;
use crate::when::{Key, Leaf, When};
use std::collections::HashSet;

/// What one section says.
#[derive(Clone, Debug)]
struct Said {
    name: String,
    if_none: bool,
    /// As written.
    except: Option<String>,
    line: usize,
}

/// What is done for those that are led to one section.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Telling {
    name: String,
    if_none: bool,
    except: Vec<String>,
    lines: Vec<usize>,
}

/// Those that a telling is for.
#[derive(Debug)]
struct Group {
    telling: Telling,
    /// When they are led there.
    whens: Vec<When>,
    size: usize,
    /// There are more of them than a rule can name.
    is_cut: bool,
}

/// What is said of lines that are carried over.
const REPLACED: &str = "what clients claim is replaced: HAProxy lets it stand beside what it saw, and \
                        applications that read the first are deceived";
const IF_NONE: &str = "a rule that sets the field where a request has none of that name: what clients claim stands, \
                       as with HAProxy";

impl Said {
    fn read(flag: &Flag) -> Self {
        let name = "X-Forwarded-For".to_owned();
        let mut said = Self { name, if_none: false, except: None, line: flag.line };
        let mut words = flag.words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "if-none" => said.if_none = true,
                "except" => said.except = words.next().cloned(),
                "header" => said.name = words.next().cloned().unwrap_or_default(),
                _ => {}
            }
        }
        said
    }

    fn of(proxy: &Proxy) -> Option<Self> {
        proxy.option("forwardfor").map(Self::read)
    }
}

impl Telling {
    /// What two sections say together.
    fn of(front: Option<&Said>, back: Option<&Said>) -> Option<Self> {
        let all = || back.into_iter().chain(front);
        let mut except: Vec<String> = all().filter_map(|said| said.except.clone()).collect();
        except.dedup();
        let mut lines: Vec<usize> = all().map(|said| said.line).collect();
        lines.dedup();
        let name = all().next()?.name.clone();
        Some(Self { name, if_none: all().all(|said| said.if_none), except, lines })
    }

    /// Whether the same is done, by whichever lines.
    fn is_like(&self, other: &Self) -> bool {
        let name = self.name.eq_ignore_ascii_case(&other.name);
        name && (self.if_none, &self.except) == (other.if_none, &other.except)
    }
}

/// Writes the rules; what is left to say of the listener's `http`.
pub(super) fn read(
    work: Work<'_>,
    (listener, front): (&Listener, &Proxy),
    steps: &[Step],
    list: &mut List<'_>,
    ledger: &mut Ledger,
) -> Vec<(String, String)> {
    if listener.pool.is_none() && listener.routes.is_empty() {
        return Vec::new(); // Nobody is asked.
    }
    let off = vec![pair("forwarded_for", "\"off\"")];
    let all = tellings(work, (listener, front), steps);
    if all.iter().all(|(telling, _)| telling.is_none()) {
        let is_told = |it: &str| it.starts_with("x-forwarded-") || it == "forwarded";
        if !list.changed.any(is_told) {
            ledger.note(format!(
                "listener {}: `X-Forwarded-For` and its kin pass as clients send them \
                 (`forwarded_for = \"off\"`), as HAProxy does without `option forwardfor`; leave the key \
                 out, and endpoints are told what is seen here",
                listener.name
            ));
        }
        return off;
    }
    let alike = |one: &Option<Telling>| match (one, &all[0].0) {
        (Some(one), Some(first)) => one.is_like(first),
        (one, first) => one == first,
    };
    let same = all.iter().all(|(telling, _)| alike(telling));
    let mut groups: Vec<Group> = Vec::new();
    for (telling, when) in all {
        let Some(telling) = telling else { continue };
        let at = groups.iter().position(|group| group.telling.is_like(&telling));
        let at = at.unwrap_or_else(|| {
            let telling = Telling { lines: Vec::new(), ..telling.clone() };
            groups.push(Group { telling, whens: Vec::new(), size: 0, is_cut: false });
            groups.len() - 1
        });
        let group = &mut groups[at];
        group.telling.lines.extend(telling.lines);
        if same {
            group.whens = vec![When::Always];
        } else {
            group.lead(when);
        }
    }
    // Not `forwarded_for = "set"`: that also tells of scheme, host and port, which a proxy in front may
    // have told better.
    for group in groups {
        tell(group, list, ledger);
    }
    off
}

impl Group {
    /// And when these are led there; `None`: too many routes stand before theirs.
    fn lead(&mut self, when: Option<&When>) {
        let size = when.map_or(0, When::size);
        match when {
            Some(when) if self.size + size <= SIZE_MAX => {
                self.size += size;
                self.whens.push(when.clone());
            }
            _ => self.is_cut = true,
        }
    }
}

/// What is done for each section that clients are led to, and when they are.
fn tellings<'s>(
    work: Work<'_>,
    (listener, front): (&Listener, &Proxy),
    steps: &'s [Step],
) -> Vec<(Option<Telling>, Option<&'s When>)> {
    let of_front = Said::of(front);
    let backs = steps.iter().filter_map(|step| Some((step, step.back?)));
    let mut all: Vec<_> = backs
        .map(|(step, back)| {
            let of_back = Said::of(work.proxy(back)).filter(|_| back != listener.front);
            (Telling::of(of_front.as_ref(), of_back.as_ref()), step.when.as_ref())
        })
        .collect();
    if all.is_empty() {
        all.push((Telling::of(of_front.as_ref(), None), Some(&When::Always)));
    }
    all
}

/// The rule of one telling.
fn tell(group: Group, list: &mut List<'_>, ledger: &mut Ledger) {
    let Group { telling, whens, is_cut, .. } = group;
    let Telling { name, if_none, except, mut lines } = telling;
    let mut seen = HashSet::new();
    lines.retain(|line| seen.insert(*line));
    let lost = |why: &str, ledger: &mut Ledger| {
        let note = format!(
            "it told endpoints in `{name}` who the client is; now what clients claim there passes: {why}; write \
             a rule `set_header`"
        );
        lines.iter().for_each(|line| ledger.tell(*line, Kind::Unsupported, note.clone()));
    };
    if let Err(why) = changeable(&name) {
        return lost(&why, ledger);
    }
    if is_cut {
        let why = "too many routes stand before one that it is said of, and not of all, for a rule to name them";
        lost(why, ledger);
    }
    if whens.is_empty() {
        return;
    }
    if if_none && list.changed.any(|it| name.eq_ignore_ascii_case(it)) {
        let why = "`if-none` means what a rule before it has left there, and here conditions see what came";
        return lost(why, ledger);
    }
    let mut parts = vec![When::any(whens)];
    for text in &except {
        match values::network(text) {
            Some(network) => parts.push(When::texts("source", vec![network]).negated()),
            None => {
                let note = format!(
                    "`except {text}` is no network that can be asked; now it is told of clients from there, too; \
                     write its addresses"
                );
                lines.iter().for_each(|line| ledger.tell(*line, Kind::Unsupported, note.clone()));
            }
        }
    }
    if if_none {
        let key = Key::Field("header", name.clone(), "present");
        parts.push(When::Is(Leaf { key, values: Vec::new() }).negated());
    }
    for line in &lines {
        match if_none {
            true => ledger.tell(*line, Kind::Same, IF_NONE),
            false => ledger.tell(*line, Kind::Improved, REPLACED),
        }
    }
    let field = toml::inline(&[(name.clone(), "\"{client}\"".to_owned())]);
    list.push(lines.first().copied(), vec![pair("set_header", field)], &When::all(parts));
}
