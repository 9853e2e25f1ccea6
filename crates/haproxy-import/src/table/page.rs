//! The pages `docs/coming-from-haproxy.md` and `docs/pt-BR/coming-from-haproxy.md`.

use super::samples::{self, Sample};
use super::{BIND, ENDPOINT, Fate, GLOBAL, OPTIONS, OTHER_SECTIONS, PROXY, Row};
use crate::Kind;
use std::fmt::Write;

/// The language of a page. Words of the tables are those of the report, in English.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `docs/coming-from-haproxy.md`
    English,
    /// `docs/pt-BR/coming-from-haproxy.md`
    Portuguese,
}

/// What a page says in its own language.
struct Words {
    /// What stands in front of the tables.
    head: &'static str,
    here: &'static str,
    place: &'static str,
    other: &'static str,
    conditions: &'static str,
    rules: &'static str,
}

const ENGLISH: Words = Words {
    head: include_str!("page/head.txt"),
    here: "here",
    place: "in",
    other: "Other sections",
    conditions: "Conditions: `acl NAME ...`, `if { ... }`",
    rules: "Rules: `http-request`, `http-response`, `tcp-request`",
};

const PORTUGUESE: Words = Words {
    head: include_str!("page/head.pt-BR.txt"),
    here: "aqui",
    place: "em",
    other: "Outras seções",
    conditions: "Condições: `acl NAME ...`, `if { ... }`",
    rules: "Regras: `http-request`, `http-response`, `tcp-request`",
};

/// A page, as it is committed.
#[must_use]
pub fn render(language: Language) -> String {
    let words = match language {
        Language::English => ENGLISH,
        Language::Portuguese => PORTUGUESE,
    };
    let mut page = words.head.to_owned();
    for (title, rows) in [
        ("`global`", GLOBAL),
        ("`defaults`, `frontend`, `backend`, `listen`", PROXY),
        ("`option NAME`", OPTIONS),
        ("`bind ADDRESS`", BIND),
        ("`server NAME ADDRESS`, `default-server`", ENDPOINT),
        (words.other, OTHER_SECTIONS),
    ] {
        let _ = write!(page, "\n### {title}\n\n| HAProxy | | {} |\n|---|---|---|\n", words.here);
        for row in rows {
            line(&mut page, row);
        }
    }
    for (title, all) in [(words.conditions, samples::conditions()), (words.rules, samples::rules())]
    {
        let Words { place, here, .. } = words;
        let _ =
            write!(page, "\n### {title}\n\n| HAProxy | {place} | | {here} |\n|---|---|---|---|\n");
        for one in &all {
            sample(&mut page, one);
        }
    }
    page
}

fn line(page: &mut String, row: &Row) {
    let words: Vec<_> = row.words.split(' ').map(|word| format!("`{word}`")).collect();
    let kind = match row.fate {
        Fate::Carried => "carried over",
        fate => fate.kind().map_or("", Kind::word),
    };
    let _ = writeln!(page, "| {} | {kind} | {} |", words.join(", "), cell(row.says));
}

fn sample(page: &mut String, sample: &Sample) {
    let Sample { text, place, kind, notes, writes } = sample;
    let code = |line: &String| format!("`{}`", cell(line));
    let writes: Vec<_> = writes.iter().map(code).collect();
    let notes: Vec<_> = notes.iter().map(|note| cell(core(note))).collect();
    // What is written says it; where that is nothing, or not the same, the notes do.
    let says = match kind {
        Kind::Same | Kind::Default if !writes.is_empty() => writes.join(", "),
        Kind::Unsupported => notes.join("; "),
        _ => [writes.join(", "), notes.join("; ")]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(": "),
    };
    let _ = writeln!(page, "| `{}` | {place} | {} | {says} |", cell(text), kind.word());
}

/// A note without what is the same for all samples.
fn core(note: &str) -> &str {
    const BEGINS: [&str; 2] = [
        "its condition cannot be asked: ",
        "it led to `other`; now what it took goes on to the lines behind it: ",
    ];
    let asked = BEGINS.iter().find_map(|begin| note.strip_prefix(begin));
    asked.and_then(|rest| rest.split("; ").next()).unwrap_or(note)
}

/// Text of a cell: a `|` would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
