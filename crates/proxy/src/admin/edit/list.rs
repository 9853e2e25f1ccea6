//! One list of endpoints: an array of addresses and tables, or tables of their own.

use super::Change;
use toml_edit::{Array, ArrayOfTables, Decor, InlineTable, Item, Table, TableLike, Value};

/// Changes an endpoint of an array; `false`: there is none of that name, or one that is to be added.
pub(super) fn array(list: &mut Array, endpoint: &str, change: Change<'_>) -> bool {
    let is_it = |value: &Value| match value {
        Value::String(address) => address.value() == endpoint,
        Value::InlineTable(table) => is_named(table, endpoint),
        _ => false,
    };
    let index = list.iter().position(is_it);
    match (index, change) {
        (Some(index), Change::Weight(weight)) => {
            list.get_mut(index).is_some_and(|value| weigh(value, weight))
        }
        (Some(index), Change::Remove) => {
            remove(list, index);
            true
        }
        (None, Change::Add(address, weight)) => {
            push(list, entry(endpoint, address, weight));
            true
        }
        _ => false,
    }
}

/// The same of tables of their own.
pub(super) fn tables(tables: &mut ArrayOfTables, endpoint: &str, change: Change<'_>) -> bool {
    let index = tables.iter().position(|table| is_named(table, endpoint));
    match (index, change) {
        (Some(index), Change::Weight(weight)) => tables.get_mut(index).is_some_and(|table| {
            set(table, weight);
            true
        }),
        (Some(index), Change::Remove) => {
            tables.remove(index);
            true
        }
        (None, Change::Add(address, weight)) => {
            let mut table = Table::new();
            for (key, value) in fields(endpoint, address, weight) {
                table.insert(key, Item::Value(value));
            }
            tables.push(table);
            true
        }
        _ => false,
    }
}

/// An endpoint is called by its name, or as its address is written.
fn is_named(table: &dyn TableLike, endpoint: &str) -> bool {
    let name = table.get("name").or_else(|| table.get("address"));
    name.and_then(Item::as_str) == Some(endpoint)
}

fn fields(endpoint: &str, address: &str, weight: u16) -> Vec<(&'static str, Value)> {
    let mut fields = vec![("address", address.into())];
    if endpoint != address {
        fields.push(("name", endpoint.into()));
    }
    if weight != 1 {
        fields.push(("weight", i64::from(weight).into()));
    }
    fields
}

/// As short as it can be written.
fn entry(endpoint: &str, address: &str, weight: u16) -> Value {
    let fields = fields(endpoint, address, weight);
    match fields.len() {
        1 => address.into(),
        _ => Value::InlineTable(InlineTable::from_iter(fields)),
    }
}

fn weigh(value: &mut Value, weight: u16) -> bool {
    if let Value::InlineTable(table) = value {
        set_inline(table, weight);
        return true;
    }
    // An address alone becomes a table, where it stands.
    let decor = value.decor().clone();
    let mut address = value.clone();
    address.decor_mut().clear();
    let mut table = InlineTable::new();
    table.insert("address", address);
    table.insert("weight", i64::from(weight).into());
    *value = Value::InlineTable(table);
    *value.decor_mut() = decor;
    true
}

fn set_inline(table: &mut InlineTable, weight: u16) {
    if table.contains_key("weight") {
        return set(table, weight);
    }
    // What stands behind the last value (a space, most often) stands behind the new one then.
    let last = table.iter_mut().last().map(|(_, value)| value);
    let behind = last.and_then(|last| {
        let behind = last.decor().suffix().cloned();
        last.decor_mut().set_suffix("");
        behind
    });
    let mut value = Value::from(i64::from(weight));
    value.decor_mut().set_prefix(" ");
    if let Some(behind) = behind {
        value.decor_mut().set_suffix(behind);
    }
    table.insert("weight", value);
}

fn set(table: &mut dyn TableLike, weight: u16) {
    let number = i64::from(weight);
    match table.get_mut("weight").and_then(Item::as_value_mut) {
        Some(value) => {
            let decor = value.decor().clone();
            *value = number.into();
            *value.decor_mut() = decor;
        }
        None => drop(table.insert("weight", toml_edit::value(number))),
    }
}

/// What stands before a value, or behind it, as text.
fn prefix(decor: &Decor) -> String {
    decor.prefix().and_then(|raw| raw.as_str()).unwrap_or_default().to_owned()
}

fn suffix(decor: &Decor) -> String {
    decor.suffix().and_then(|raw| raw.as_str()).unwrap_or_default().to_owned()
}

/// Adds a value at the end, on a line of its own where the others have one. A comment behind the last
/// value stays there.
fn push(list: &mut Array, mut value: Value) {
    let comma = list.trailing_comma();
    let last = list.len().checked_sub(1).and_then(|last| list.get(last));
    let (before, own) = match last {
        Some(last) => (prefix(last.decor()), suffix(last.decor())),
        None => (String::new(), String::new()),
    };
    let behind = if comma { list.trailing().as_str().unwrap_or_default().to_owned() } else { own };
    let (kept, end) = match (behind.rfind('\n'), list.is_empty()) {
        (Some(at), _) => {
            let (comment, end) = behind.split_at(at);
            let indent = before.rsplit('\n').next().unwrap_or_default();
            (format!("{comment}\n{indent}"), end.to_owned())
        }
        (None, true) => (String::new(), String::new()),
        (None, false) => (" ".to_owned(), behind),
    };
    value.decor_mut().set_prefix(kept);
    if comma {
        value.decor_mut().set_suffix("");
        list.set_trailing(end);
    } else {
        let last = list.len().checked_sub(1).and_then(|last| list.get_mut(last));
        if let Some(last) = last {
            last.decor_mut().set_suffix("");
        }
        value.decor_mut().set_suffix(end);
    }
    list.push_formatted(value);
}

/// Takes a value out, with the comment behind it on its line; comments on lines of their own stay.
fn remove(list: &mut Array, index: usize) {
    let (comma, is_last) = (list.trailing_comma(), index + 1 == list.len());
    let gone = list.remove(index);
    let before = prefix(gone.decor());
    let lines = before.rfind('\n').map(|at| before[..=at].to_owned());
    // Without the rest of the line of the value that is gone.
    let join = |behind: &str| match (&lines, behind.find('\n')) {
        (Some(lines), Some(at)) => format!("{lines}{}", &behind[at + 1..]),
        _ => before.clone(),
    };
    match (is_last, list.get_mut(index)) {
        (false, Some(next)) => {
            let joined = join(&prefix(next.decor()));
            next.decor_mut().set_prefix(joined);
        }
        _ if comma => {
            let behind = list.trailing().as_str().unwrap_or_default().to_owned();
            let joined = match behind.contains('\n') {
                true => join(&behind),
                false => behind,
            };
            list.set_trailing(joined);
        }
        _ => {
            let behind = suffix(gone.decor());
            let joined = match behind.contains('\n') {
                true => join(&behind),
                false => behind,
            };
            let last = list.len().checked_sub(1).and_then(|last| list.get_mut(last));
            if let Some(last) = last {
                last.decor_mut().set_suffix(joined);
            }
        }
    }
}
