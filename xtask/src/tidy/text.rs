//! Text of any kind: blanks, places of one developer's machine, what is left for later.

use super::{Problem, Tree};
use crate::tree::File;

/// Kept as they were found, or written by a tool.
const UNTOUCHED: [&str; 5] = [
    "crates/haproxy-import/tests/cfg/",
    "fuzz/corpus/",
    "docs/proof/",
    "packaging/completions/",
    "packaging/man/",
];

/// Folders that are on one developer's machine and not on another's.
const MACHINE: [&str; 3] = [concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Where crates come from is everybody's own affair.
const SOURCES: [&str; 3] = ["replace-with", "[registries", "[source."];

/// Marks of work that is left.
const MARKS: [&str; 2] = [concat!("FIX", "ME"), concat!("X", "XX")];

/// Checks all text files.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in &tree.files {
        // Golden files are as the tests need them.
        let is_golden = file.path.contains("/golden/");
        let is_untouched = UNTOUCHED.iter().any(|folder| file.path.starts_with(folder));
        if is_golden || is_untouched || file.path.ends_with(".lock") {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            problems.extend(in_line(file, line).map(|(what, why, remedy)| Problem {
                path: file.path.clone(),
                line: index + 1,
                what,
                why,
                remedy,
            }));
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            problems.push(Problem {
                path: file.path.clone(),
                line: file.text.lines().count(),
                what: "no line end at the end of the file".into(),
                why: "tools that join files join the lines too",
                remedy: "add it",
            });
        }
    }
    problems.extend(left_for_later(tree));
    problems
}

type Found = (String, &'static str, &'static str);

fn in_line(file: &File, line: &str) -> impl Iterator<Item = Found> {
    let mut found: Vec<Found> = Vec::new();
    if line.contains('\t') {
        let why = "a tab is as wide as the reader's settings say";
        found.push(("a tab".into(), why, "use blanks; `\\t` where a string needs one"));
    }
    if line.trim_end() != line {
        let why = "it shows up in other people's changes";
        found.push(("blanks at the end of the line".into(), why, "delete them"));
    }
    if let Some(path) = MACHINE.iter().find(|path| names_path(line, path)) {
        found.push((
            format!("`{path}`, a path of one machine"),
            "it is not there on anybody else's",
            "name it relative to the repository, or take it from the environment",
        ));
    }
    let is_settings = file.has_extension("toml");
    if let Some(source) = SOURCES.iter().find(|s| is_settings && line.trim_start().starts_with(**s))
    {
        found.push((
            format!("`{source}`, a source of crates"),
            "which mirror is near depends on where one is",
            "put it into the cargo configuration of the machine",
        ));
    }
    if let Some(mark) = MARKS.iter().find(|mark| has_word(line, mark)) {
        found.push((
            format!("`{mark}`"),
            "what is left is forgotten",
            "do it now, or file it where work is planned",
        ));
    }
    found.into_iter()
}

/// Whether an absolute path begins with `path`; `$here/` and `https://host/` before it do not count.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|char| char.is_alphanumeric() || ".)}$~_-*>".contains(char))
    })
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(is_part)
            && !line[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

/// `todo!` and `unimplemented!` in code.
fn left_for_later(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, source) in &tree.sources {
        for (token, next) in source.tokens.iter().zip(source.tokens.iter().skip(1)) {
            if matches!(token.text.as_str(), "todo" | "unimplemented") && next.text == "!" {
                problems.push(Problem {
                    path: file.path.clone(),
                    line: token.line,
                    what: format!("`{}!`", token.text),
                    why: "it panics, and a panic takes other sessions with it",
                    remedy: "write it, or return an error that says it is not there",
                });
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::tests::only;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<Problem> {
        check(&Tree::of(&[(path, text)]))
    }

    #[test]
    fn blanks_are_found() {
        only(&found("a.md", "a\n\tb\n"), 2, "a tab");
        only(&found("a.md", "a \n"), 1, "blanks at the end");
        only(&found("a.md", "a\nb"), 2, "no line end");
        assert_eq!(found("fuzz/corpus/proxy/a", "PROXY \t"), []);
        assert_eq!(found("crates/config/tests/golden/a.toml", "a\tb"), []);
        assert_eq!(found("a.md", ""), []);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for path in MACHINE {
            only(&found("a.sh", &format!("a={path}b\n")), 1, "path of one machine");
            only(&found("a.rs", &format!("include!(\"{path}b\")\n")), 1, "path of one machine");
            let fine = format!("$here{path} https://example.com{path} /srv{path} {{}}{path}\n");
            assert_eq!(found("a.sh", &fine), []);
        }
    }

    #[test]
    fn sources_of_crates_are_found() {
        only(&found("config.toml", "[source.crates-io]\n"), 1, "source of crates");
        assert_eq!(found("README.md", "[source.md](a)\n"), []);
    }

    #[test]
    fn work_that_is_left_is_found() {
        for mark in MARKS {
            only(&found("a.sh", &format!("# {mark}: later\n")), 1, mark);
            assert_eq!(found("a.sh", &format!("mktemp a.{mark}{mark}\n")), []);
        }
        only(&found("a.rs", "fn a() { todo!() }\n"), 1, "`todo!`");
        assert_eq!(found("a.rs", "// todo!\n"), []);
    }
}
