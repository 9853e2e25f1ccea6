//! Tables with a line for each of several candidates in every row, from items that bring a `line`
//! (`e2e::proof::Item::line`): in full in their section, and in short at the top of the page.

use super::page::{Counts, cell, judge, text};
use serde_json::Value;
use std::fmt::Write as _;

/// One such table of a topic.
pub struct Grid {
    /// What the names of its items begin with, before a full stop ("3.1").
    pub number: &'static str,
    pub title: &'static str,
    /// How to read it.
    pub about: &'static str,
    /// How to read its short form.
    pub short: &'static str,
    /// Whose lines there are, in their order.
    pub who: &'static [&'static str],
}

impl Grid {
    /// Whether the item is a line of it.
    pub fn has(&self, item: &Value) -> bool {
        let rest = item["item"].as_str().and_then(|name| name.strip_prefix(self.number));
        item["line"].is_object() && rest.is_some_and(|rest| rest.starts_with('.'))
    }

    /// Its lines by rows; who has none in a row is left out.
    fn rows<'a>(&self, items: &'a [Value]) -> Vec<(&'a str, Vec<&'a Value>)> {
        let mut rows: Vec<(&str, Vec<&Value>)> = Vec::new();
        for item in items.iter().filter(|item| self.has(item)) {
            let name = item["line"]["row"].as_str().unwrap_or_default();
            match rows.iter_mut().find(|(row, _)| *row == name) {
                Some((_, lines)) => lines.push(item),
                None => rows.push((name, vec![item])),
            }
        }
        for (_, lines) in &mut rows {
            lines.sort_by_key(|item| self.who.iter().position(|who| item["line"]["who"] == **who));
        }
        rows
    }

    /// The whole table, and what must hold in it.
    pub fn full(&self, items: &[Value], commit: &str, counts: &mut Counts) -> String {
        let rows = self.rows(items);
        let Some(first) = rows.first().and_then(|(_, lines)| lines.first()) else {
            return String::new();
        };
        let columns: Vec<_> = cells(first).map(|(name, _)| name).collect();
        let mut out = format!("### {}\n\n{}\n\n", self.title, self.about);
        let _ = writeln!(out, "| event | | {} | n | result |", columns.join(" | "));
        let _ = writeln!(out, "|---|---|{}---|---|", "---|".repeat(columns.len()));
        for (row, lines) in &rows {
            let mut row = cell(row);
            for item in lines {
                let values: Vec<_> = cells(item).map(|(_, value)| value).collect();
                let who = text(&item["line"]["who"]);
                let (n, result) = (text(&item["n"]), judge(item, commit, counts));
                let _ =
                    writeln!(out, "| {row} | {who} | {} | {n} | {result} |", values.join(" | "));
                // Said once.
                row.clear();
            }
        }
        out + "\n" + &bounds(&rows) + "\n"
    }

    /// A line for each row: what stands for each candidate.
    pub fn in_short(&self, items: &[Value]) -> String {
        let rows = self.rows(items);
        if rows.is_empty() {
            return String::new();
        }
        let runs = items.iter().filter(|item| self.has(item)).filter_map(|item| item["n"].as_u64());
        let (least, most) = runs.fold((u64::MAX, 0), |(a, b), n| (a.min(n), b.max(n)));
        let n = if least < most { format!("{least} to {most}") } else { most.to_string() };
        let mut out = format!("**{}**: {} (n = {n}).\n\n", self.title, self.short);
        let _ = writeln!(out, "| event | {} |", self.who.join(" | "));
        let _ = writeln!(out, "|---|{}", "---|".repeat(self.who.len()));
        for (row, lines) in rows {
            let of = |who: &&str| {
                let item = lines.iter().find(|item| item["line"]["who"] == **who);
                item.map_or("-".to_owned(), |item| {
                    let short = text(&item["line"]["short"]);
                    if item["passed"] == true { short } else { format!("**{short}**") }
                })
            };
            let shorts: Vec<_> = self.who.iter().map(of).collect();
            let _ = writeln!(out, "| {} | {} |", cell(row), shorts.join(" | "));
        }
        out + "\n"
    }
}

/// The columns of a line and what stands in them.
fn cells(item: &Value) -> impl Iterator<Item = (String, String)> {
    let cells = item["line"]["cells"].as_array().into_iter().flatten();
    cells.map(|pair| (text(&pair[0]), text(&pair[1])))
}

/// What must hold, with the rows in which it must.
fn bounds(rows: &[(&str, Vec<&Value>)]) -> String {
    let mut bounds: Vec<(String, Vec<String>)> = Vec::new();
    for (row, lines) in rows {
        for bound in lines.iter().map(|item| text(&item["bound"])).filter(|it| !it.is_empty()) {
            match bounds.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, rows)) => rows.push(cell(row)),
                None => bounds.push((bound, vec![cell(row)])),
            }
        }
    }
    let lines = bounds.iter().map(|(bound, rows)| format!("- {bound}: {}.\n", rows.join("; ")));
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("What must hold in each run of ours:\n\n{lines}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const GRID: Grid = Grid {
        number: "3.1",
        title: "Falls",
        about: "From a horse.",
        short: "bones",
        who: &["ours", "theirs"],
    };

    fn item(number: &str, row: &str, who: &str, bones: &str, passed: bool) -> Value {
        json!({"item": format!("{number} {row}, {who}"), "n": 5, "passed": passed, "commit": "abc",
               "bound": if who == "ours" { "none broken" } else { "" }, "figure": bones,
               "line": {"row": row, "who": who, "cells": [["bones", bones], ["a|b", "1"]],
                        "short": bones}})
    }

    #[test]
    fn rows_have_a_line_for_each_candidate() {
        let items = [
            item("3.1.1", "trot", "theirs", "3", true),
            item("3.1.1", "trot", "ours", "0", true),
            item("3.1.2", "jump", "ours", "1", false),
            item("3.10.1", "other", "ours", "9", true),
        ];
        let mut counts = Counts::default();
        let full = GRID.full(&items, "abc", &mut counts);
        let wanted = "### Falls\n\nFrom a horse.\n\n\
            | event | | bones | a\\|b | n | result |\n|---|---|---|---|---|---|\n\
            | trot | ours | 0 | 1 | 5 | passed |\n\
            |  | theirs | 3 | 1 | 5 | beside |\n\
            | jump | ours | 1 | 1 | 5 | **FELL SHORT** |\n\n\
            What must hold in each run of ours:\n\n- none broken: trot; jump.\n\n";
        assert_eq!(full, wanted);
        // Who is beside has promised nothing.
        assert_eq!((counts.passed, counts.short.len()), (1, 1));
        let wanted = "**Falls**: bones (n = 5).\n\n| event | ours | theirs |\n|---|---|---|\n\
            | trot | 0 | 3 |\n| jump | **1** | - |\n\n";
        assert_eq!(GRID.in_short(&items), wanted);
        assert_eq!(GRID.in_short(&[]), "");
    }
}
