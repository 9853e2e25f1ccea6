//! A configuration file with other endpoints and weights: everything else in it stays as it is, to the
//! letter.

mod list;
#[cfg(test)]
mod tests;

use super::{SaveOrder, first_line};
use eclusa_config::Mode;
use eclusa_config::diff::{Diff, Kind};
use eclusa_config::plan::{Plan, Program};
use std::sync::Arc;
use toml_edit::{DocumentMut, Item};

/// What of an endpoint is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// Its weight.
    Weight(u16),
    /// It is to be in the list, at this address, as it is written there.
    Add(&'a str, u16),
    /// It is not to be in the list.
    Remove,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Edited {
    /// The new text.
    pub(super) text: String,
    /// What it says now, a line each.
    pub(super) written: Vec<String>,
    /// What it does not say, with why, a line each.
    pub(super) left_out: Vec<String>,
}

/// Writes orders into a text. Each is checked: the file must then mean what it meant, but for that order.
///
/// # Errors
/// The text is no configuration.
pub(super) fn write(program: Program, text: &str, orders: &[SaveOrder]) -> Result<Edited, String> {
    let mut edited = Edited { text: text.to_owned(), ..Edited::default() };
    let mut plan = plan_of(program, text)?;
    // What comes first: a list must not be empty in between.
    let comes = |order: &&SaveOrder| order.address.is_some();
    let others = orders.iter().filter(|order| !comes(order));
    for order in orders.iter().filter(comes).chain(others) {
        let SaveOrder { pool, endpoint, order: words, .. } = order;
        let name = format!("{pool}/{endpoint}: {words}");
        let change = match order.change() {
            _ if order.ends => Err("it ends by itself".to_owned()),
            None => Err("a file cannot say it; it goes on as it was ordered".to_owned()),
            Some(change) => Ok(change),
        };
        let tried = change.and_then(|change| {
            let text = self::change(program, &edited.text, (pool, endpoint), change)?;
            let means = plan_of(program, &text)?;
            match is_all(&plan, &means, (pool, endpoint), change) {
                true => Ok((text, means)),
                false => Err("the file has no place for it alone".to_owned()),
            }
        });
        match tried {
            Ok((text, means)) => {
                (edited.text, plan) = (text, means);
                edited.written.push(name);
            }
            Err(why) => edited.left_out.push(format!("{name}: {why}")),
        }
    }
    Ok(edited)
}

fn plan_of(program: Program, text: &str) -> Result<Plan, String> {
    let loaded = eclusa_config::parse(program, "the file", text, Mode::Known);
    Ok(loaded.map_err(|broken| first_line(&broken))?.plan)
}

/// Whether that is all that differs between two plans.
fn is_all(old: &Plan, new: &Plan, of: (&str, &str), change: Change<'_>) -> bool {
    let kind = match change {
        Change::Weight(weight) => return Diff::between(&expected(old, of, weight), new).is_empty(),
        Change::Add(..) => Kind::Added,
        Change::Remove => Kind::Removed,
    };
    // Of the masters' list there is one for several ports, and so a pool for each.
    let diff = Diff::between(old, new);
    let mut pools: Vec<_> = diff.changes.iter().map(|change| &change.of).collect();
    pools.dedup();
    let each = diff.changes.iter().all(|it| it.endpoint.is_some() && it.kind == kind);
    each && diff.after_restart.is_empty() && pools.len() == diff.changes.len() && !pools.is_empty()
}

/// The plan with another weight.
fn expected(plan: &Plan, (pool, endpoint): (&str, &str), weight: u16) -> Plan {
    let mut plan = plan.clone();
    for found in plan.pools.iter_mut().filter(|found| *found.name == *pool) {
        let found = Arc::make_mut(found);
        for one in found.endpoints.iter_mut().filter(|one| *one.name == *endpoint) {
            one.weight = weight;
        }
    }
    plan
}

/// A text with this change of an endpoint, which is named by its pool and its own name.
///
/// # Errors
/// It cannot be made, in words: there is no such endpoint, or it is there already.
pub(crate) fn change(
    program: Program,
    text: &str,
    (pool, endpoint): (&str, &str),
    change: Change<'_>,
) -> Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    let root = document.as_table_mut();
    let list = match program {
        Program::Apiserver => root.get_mut("masters"),
        Program::Edge => root
            .get_mut("pool")
            .and_then(|pools| pools.as_table_like_mut()?.get_mut(pool))
            .and_then(|pool| pool.as_table_like_mut()?.get_mut("endpoints")),
    };
    let done = match list {
        Some(Item::Value(toml_edit::Value::Array(list))) => list::array(list, endpoint, change),
        Some(Item::ArrayOfTables(tables)) => list::tables(tables, endpoint, change),
        _ => return Err(format!("the file lists no endpoints of {pool}")),
    };
    match (done, change) {
        (true, _) => Ok(document.to_string()),
        (false, Change::Add(..)) => Err("the file lists it already".to_owned()),
        (false, _) => Err("the file has no such endpoint".to_owned()),
    }
}
