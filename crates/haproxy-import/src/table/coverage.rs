//! Counts the golden lines against the tables: each word has one that shows what the table says of it.

use super::{BIND, ENDPOINT, Fate, GLOBAL, OPTIONS, OTHER_SECTIONS, PROXY, Row};
use crate::sections::SECTIONS;
use crate::{Elsewhere, File, Kind, Options, import};
use eclusa_config::plan::Program;
use std::fs;
use std::path::{Path, PathBuf};

/// What is said of a line that nobody used.
const UNUSED: &str = "nothing in these files makes use of it";

/// What is carried over in part alone, so that its line is `unsupported`.
const IN_PART: [&str; 2] = ["send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"];

/// A line of a golden file, and what became of it.
struct Line {
    /// The section that it stands in.
    section: String,
    /// Its words, without `no` or `default` in front.
    words: Vec<String>,
    kind: Kind,
    is_unused: bool,
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Of each file of `tests/lines`, which `tests/golden/lines` has the reports of.
fn lines() -> Vec<Line> {
    let mut found = Vec::new();
    for entry in fs::read_dir(tests().join("lines")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let golden = tests().join("golden/lines").join(name.replace(".cfg", ".txt"));
        assert!(golden.is_file() || std::env::var_os("BLESS").is_some(), "no {golden:?}");
        let masters = name.starts_with("apiserver");
        let program = if masters { Program::Apiserver } else { Program::Edge };
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        let files = [File { name, text }];
        let report = import(program, &files, &Options::default(), &Elsewhere).report;
        let mut section = String::new();
        for told in report.lines {
            let mut words: Vec<String> = told.text.split_whitespace().map(str::to_owned).collect();
            if SECTIONS.contains(&words[0].as_str()) {
                section.clone_from(&words[0]);
            } else if words.len() > 1 && ["no", "default"].contains(&words[0].as_str()) {
                words.remove(0);
            }
            let is_unused = told.notes.iter().any(|note| note == UNUSED);
            found.push(Line { section: section.clone(), words, kind: told.kind, is_unused });
        }
    }
    found
}

fn is_proxy(section: &str) -> bool {
    ["defaults", "frontend", "backend", "listen"].contains(&section)
}

/// Whether a line is about a word of a table: which of its words is looked at.
type About = fn(&Line) -> Vec<&str>;

fn all(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

const TABLES: [(&str, &[Row], About); 6] = [
    ("global", GLOBAL, |line| match &line.words[..] {
        [word, ..] if line.section == "global" => vec![word.as_str()],
        _ => Vec::new(),
    }),
    ("proxies", PROXY, |line| match &line.words[..] {
        [word, ..] if is_proxy(&line.section) => vec![word.as_str()],
        _ => Vec::new(),
    }),
    ("options", OPTIONS, |line| match &line.words[..] {
        [word, name, ..] if word == "option" && is_proxy(&line.section) => vec![name.as_str()],
        _ => Vec::new(),
    }),
    ("bind", BIND, |line| match &line.words[..] {
        [word, _, rest @ ..] if word == "bind" && is_proxy(&line.section) => all(rest),
        _ => Vec::new(),
    }),
    ("server", ENDPOINT, |line| match &line.words[..] {
        [word, rest @ ..]
            if ["server", "server-template", "default-server"].contains(&word.as_str()) =>
        {
            all(rest)
        }
        _ => Vec::new(),
    }),
    ("sections", OTHER_SECTIONS, |line| match &line.words[..] {
        [word, ..] if *word == line.section => vec![word.as_str()],
        _ => Vec::new(),
    }),
];

/// Whether a line shows what the table says of a word that it has.
fn shows(line: &Line, fate: Fate) -> bool {
    match fate.kind() {
        Some(kind) => line.kind == kind,
        None => line.kind != Kind::Unsupported && !line.is_unused,
    }
}

#[test]
fn every_word_of_the_tables_has_a_golden_line_that_shows_it() {
    let lines = lines();
    let (mut count, mut missing) = (0, Vec::new());
    for (table, rows, about) in TABLES {
        for row in rows {
            for word in row.words.split(' ') {
                count += 1;
                let has = |found: &&str| match word.strip_suffix('*') {
                    Some(beginning) => found.starts_with(beginning),
                    None => *found == word,
                };
                let part = IN_PART.contains(&word);
                let golden = |line: &Line| {
                    let right = shows(line, row.fate) || part && line.kind == Kind::Unsupported;
                    right && about(line).iter().any(has)
                };
                if !lines.iter().any(golden) {
                    missing.push(format!("{table}: {word} ({:?})", row.fate));
                }
            }
        }
    }
    assert!(missing.is_empty(), "of {count} words no line shows {missing:#?}");
    assert!(count >= 450, "only {count} words");
    // Each kind of line, too.
    for kind in Kind::ALL {
        assert!(lines.iter().filter(|line| line.kind == kind).count() >= 20, "{kind:?}");
    }
}

/// What real files ask and do is among the samples.
#[test]
fn conditions_and_rules_of_real_files_are_among_the_samples() {
    let texts = |samples: Vec<super::Sample>| -> Vec<String> {
        samples.into_iter().map(|sample| sample.text).collect()
    };
    let (conditions, rules) = (texts(super::conditions()), texts(super::rules()));
    assert!(conditions.len() >= 80 && rules.len() >= 80, "{} {}", conditions.len(), rules.len());
    let fetch = |word: &str| word.split(['(', ',']).next().unwrap_or_default().to_owned();
    let asked: Vec<String> = conditions
        .iter()
        .chain(&rules)
        .flat_map(|text| text.split_whitespace().map(fetch).collect::<Vec<_>>())
        .collect();
    let mut missing = Vec::new();
    for entry in fs::read_dir(tests().join("cfg")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "cfg") {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            let named = match words[..] {
                ["acl", _, fetch, ..] => Some(fetch),
                ["http-request" | "http-response" | "tcp-response", action, ..] => Some(action),
                ["tcp-request", "connection" | "content" | "session", action, ..] => Some(action),
                _ => None,
            };
            let inside = words.windows(2).filter(|pair| pair[0] == "{").map(|pair| pair[1]);
            for word in named.into_iter().chain(inside) {
                let name = fetch(word);
                let is_lua = name.starts_with("lua.");
                if !is_lua && !name.starts_with('$') && !asked.contains(&name) {
                    missing.push(format!("{}: {word}", path.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
