//! `cargo xtask tidy`: the style that a machine can check. All mistakes at once.

mod allows;
mod links;
mod manifests;
mod purity;
mod rust;
mod serde_forms;
mod sizes;
mod text;
mod words;

use crate::tree::File;
use crate::{Outcome, tree};
use rust::Source;

/// `cargo xtask tidy`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only tell what is wrong with these files and folders; all if none.
    pub paths: Vec<String>,
}

/// A mistake: where, what, why it is one, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Relative to the root.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// Why that is wrong.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, line, what, why, remedy } = self;
        write!(out, "{path}:{line}: {what}\n    why: {why}\n    remedy: {remedy}")
    }
}

/// The repository, taken apart once.
pub struct Tree {
    /// All text files.
    pub files: Vec<File>,
    /// The Rust sources among them.
    pub sources: Vec<(File, Source)>,
}

impl Tree {
    /// Takes the Rust files apart.
    pub fn new(files: Vec<File>) -> Self {
        let rust = files.iter().filter(|file| file.has_extension("rs"));
        let sources = rust.map(|file| (file.clone(), Source::new(&file.text))).collect();
        Self { files, sources }
    }

    /// A tree of samples.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self::new(files.iter().map(|(path, text)| File::new(path, text)).collect())
    }

    /// The file at `path`.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// Every rule; a new one is one file and one line here.
const RULES: [fn(&Tree) -> Vec<Problem>; 8] = [
    sizes::check,
    words::check,
    serde_forms::check,
    purity::check,
    allows::check,
    text::check,
    manifests::check,
    links::check,
];

/// All mistakes of a tree, in order of place.
fn problems(tree: &Tree) -> Vec<Problem> {
    let mut problems: Vec<_> = RULES.iter().flat_map(|rule| rule(tree)).collect();
    problems.sort();
    problems.dedup();
    problems
}

/// Prints every mistake and how many there are.
///
/// # Errors
/// There are mistakes.
pub fn run(options: &Options) -> Outcome {
    let tree = Tree::new(tree::files()?);
    let mut problems = problems(&tree);
    if !options.paths.is_empty() {
        let wanted = |problem: &Problem| {
            options.paths.iter().any(|path| {
                let path = path.trim_start_matches("./").trim_end_matches('/');
                problem.path.strip_prefix(path).is_some_and(|r| r.is_empty() || r.starts_with('/'))
            })
        };
        problems.retain(wanted);
    }
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => {
            println!("tidy: {} files, nothing to mend", tree.files.len());
            Ok(())
        }
        1 => Err("tidy: 1 mistake".into()),
        count => Err(format!("tidy: {count} mistakes")),
    }
}

/// Crates that ship.
const PRODUCT: [&str; 10] = [
    "crates/wire/",
    "crates/sys/",
    "crates/policy/",
    "crates/config/",
    "crates/proxy/",
    "crates/http/",
    "crates/apiserver-lb/",
    "crates/edge-lb/",
    "crates/haproxy-compare/",
    "crates/haproxy-import/",
];

/// Whether a path is the source of a crate that ships.
fn is_product(path: &str) -> bool {
    PRODUCT.iter().any(|folder| path.starts_with(folder)) && !is_test(path)
}

/// Whether all of a file is tests.
fn is_test(path: &str) -> bool {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    path.contains("/tests/") || stem.ends_with("/tests") || stem.ends_with("_tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether exactly one mistake is found, at `line`, with `words` in it.
    pub(super) fn only(problems: &[Problem], line: usize, words: &str) {
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].line, line, "{problems:?}");
        assert!(problems[0].what.contains(words), "{problems:?}");
    }

    #[test]
    fn a_mistake_has_place_reason_and_remedy() {
        let tree = Tree::of(&[("crates/wire/src/a.rs", "//! A.\n\nunsafe fn a() {}\n")]);
        let text = problems(&tree).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert_eq!(
            text,
            "crates/wire/src/a.rs:3: `unsafe` outside of crates/sys\n    why: soundness is \
             reviewed in one place\n    remedy: put the call into crates/sys behind a safe function"
        );
    }

    #[test]
    fn product_and_tests_are_told_apart() {
        assert!(is_product("crates/wire/src/lib.rs"));
        assert!(!is_product("crates/wire/tests/corpus.rs"));
        assert!(!is_product("crates/policy/src/balance/tests.rs"));
        assert!(!is_product("crates/testkit/src/lib.rs"));
        assert!(is_test("benches/src/report_tests.rs"));
    }
}
