//! The page `docs/coming-from-haproxy.md`.

use super::{BIND, ENDPOINT, Fate, GLOBAL, OPTIONS, OTHER_SECTIONS, PROXY, Row};
use std::fmt::Write;

/// What stands in front of the tables.
const HEAD: &str = include_str!("page/head.txt");

/// The page, as it is committed.
#[must_use]
pub fn render() -> String {
    let mut page = HEAD.to_owned();
    for (title, rows) in [
        ("`global`", GLOBAL),
        ("`defaults`, `frontend`, `backend`, `listen`", PROXY),
        ("`option NAME`", OPTIONS),
        ("`bind ADDRESS`", BIND),
        ("`server NAME ADDRESS`, `default-server`", ENDPOINT),
        ("Other sections", OTHER_SECTIONS),
    ] {
        let _ = write!(page, "\n### {title}\n\n| HAProxy | | here |\n|---|---|---|\n");
        for row in rows {
            line(&mut page, row);
        }
    }
    page
}

fn line(page: &mut String, row: &Row) {
    let words: Vec<_> = row.words.split(' ').map(|word| format!("`{word}`")).collect();
    let kind = match row.fate {
        Fate::Carried => "carried over",
        fate => fate.kind().map_or("", crate::Kind::word),
    };
    let says = row.says.replace('|', "\\|");
    let _ = writeln!(page, "| {} | {kind} | {says} |", words.join(", "));
}
