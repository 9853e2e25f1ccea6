//! Exceptions from the lints that are ours say why they are sound.

use super::rust::{closing, find};
use super::{Problem, Tree};

/// Lints that the workspace switches on, or whose lists are in clippy.toml.
const OURS: [&str; 12] = [
    "await_holding_refcell_ref",
    "dbg_macro",
    "disallowed_methods",
    "disallowed_types",
    "expect_used",
    "large_futures",
    "missing_docs",
    "todo",
    "undocumented_unsafe_blocks",
    "unimplemented",
    "unsafe_code",
    "unwrap_used",
];

/// Checks all Rust files.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, source) in &tree.sources {
        let tokens = &source.tokens;
        let mut problem = |line, what, why, remedy| {
            problems.push(Problem { path: file.path.clone(), line, what, why, remedy });
        };
        for word in ["allow", "expect"] {
            for at in find(tokens, &[word, "("]) {
                let before = at.checked_sub(1).map(|before| tokens[before].text.as_str());
                if !matches!(before, Some("[" | ",")) {
                    continue; // A function of that name.
                }
                let Some(end) = closing(tokens, at + 1) else { continue };
                let inside = &tokens[at + 2..end];
                let lint = inside.iter().find(|token| OURS.contains(&token.text.as_str()));
                let has_reason = find(inside, &["reason", "="]).next().is_some();
                if let Some(lint) = lint.filter(|_| !has_reason) {
                    problem(
                        tokens[at].line,
                        format!("`{}` is allowed without a reason", lint.text),
                        "an exception that nobody can judge becomes the rule",
                        "add `reason = \"...\"` to the attribute",
                    );
                }
            }
        }
        for at in find(tokens, &["#", "[", "ignore"]) {
            let line = file.text.lines().nth(tokens[at].line - 1).unwrap_or_default();
            if line.contains("\"a part of ") {
                continue; // Another test runs it.
            }
            problem(
                tokens[at].line,
                "an ignored test".into(),
                "what nobody runs is broken and nobody knows",
                "run it, shorten it, or delete it; if another test runs it as its own program, begin the \
                 reason with \"a part of\"",
            );
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::tests::only;
    use super::*;

    fn found(text: &str) -> Vec<Problem> {
        check(&Tree::of(&[("a.rs", text)]))
    }

    #[test]
    fn exceptions_need_reasons() {
        only(&found("\n#[allow(clippy::disallowed_methods)]"), 2, "`disallowed_methods`");
        only(&found("#![cfg_attr(test, allow(clippy::unwrap_used))]"), 1, "`unwrap_used`");
        only(&found("#[expect(unsafe_code)]"), 1, "`unsafe_code`");
        assert_eq!(found("#[allow(clippy::unwrap_used, reason = \"a test\")]"), []);
        assert_eq!(found("#[allow(clippy::cast_precision_loss)]"), []);
        assert_eq!(found("allow(todo); a.expect(\"b\");"), []);
    }

    #[test]
    fn tests_run() {
        assert_eq!(found("#[ignore = \"a part of the next, which kills it\"]"), []);
        only(&found("#[test]\n#[ignore = \"slow\"]\nfn a() {}"), 2, "ignored");
    }
}
