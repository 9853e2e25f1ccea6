//! Sizes of files and functions, and the comment that says what a file is for.

use super::rust::{Source, closing};
use super::{Problem, Tree};

/// Lines of a file before its unit tests.
const FILE: usize = 600;

/// Lines of a function, from `fn` to its closing brace.
const FUNCTION: usize = 70;

/// Checks all Rust files.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, source) in &tree.sources {
        let mut problem = |line, what, why, remedy| {
            problems.push(Problem { path: file.path.clone(), line, what, why, remedy });
        };
        let lines = source.lines_before_tests();
        if lines > FILE {
            problem(
                lines,
                format!("{lines} lines before the unit tests; {FILE} are the most"),
                "a long file hides its decisions",
                "split it along its story: one file, one purpose",
            );
        }
        for (line, name, lines) in functions(source) {
            if lines > FUNCTION {
                problem(
                    line,
                    format!("`{name}` has {lines} lines; {FUNCTION} are the most"),
                    "a long function hides its decisions",
                    "give its parts names of their own",
                );
            }
        }
        if let Some(line) = lacks_module_comment(&file.text) {
            problem(
                line,
                "no module comment".into(),
                "a reader should know from the first line what a file is for",
                "begin the file with `//! ...`",
            );
        }
    }
    problems
}

/// Line, name and length of every function with a body.
fn functions(source: &Source) -> Vec<(usize, String, usize)> {
    let tokens = &source.tokens;
    let mut functions = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let Some(name) = tokens.get(index + 1) else { break };
        // `fn(u8)` is a type.
        if token.text != "fn" || name.text == "(" {
            continue;
        }
        let mut at = index + 2;
        let end = loop {
            match tokens.get(at).map(|token| token.text.as_str()) {
                Some("(" | "[") => match closing(tokens, at) {
                    Some(close) => at = close + 1,
                    None => break None,
                },
                Some("{") => break closing(tokens, at),
                Some(";") | None => break None,
                Some(_) => at += 1,
            }
        };
        if let Some(end) = end {
            functions.push((token.line, name.text.clone(), tokens[end].line - token.line + 1));
        }
    }
    functions
}

/// The first line that is neither blank nor an inner attribute, unless it is a module comment.
fn lacks_module_comment(text: &str) -> Option<usize> {
    let first = text.lines().position(|line| {
        let line = line.trim();
        !(line.is_empty() || line.starts_with("#!["))
    });
    match first {
        Some(index) if text.lines().nth(index).is_some_and(|l| l.starts_with("//!")) => None,
        Some(index) => Some(index + 1),
        None => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::only;
    use super::*;

    fn found(text: &str) -> Vec<Problem> {
        check(&Tree::of(&[("a.rs", text)]))
    }

    #[test]
    fn long_files_are_found_without_their_tests() {
        let body = "const A: u8 = 0;\n".repeat(599);
        let tests = "#[cfg(test)]\nmod tests {\n".to_owned() + &"\n".repeat(300) + "}\n";
        assert_eq!(found(&format!("//! A.\n{body}{tests}")), []);
        only(&found(&format!("//! A.\n\n{body}{tests}")), 601, "601 lines");
    }

    #[test]
    fn long_functions_are_found() {
        let function = |lines: usize| {
            let body = "    f();\n".repeat(lines - 2);
            format!("//! A.\ntype F = fn(u8);\nfn a<T: Fn([u8; 2])>(b: T) -> u8 {{\n{body}}}\n")
        };
        assert_eq!(found(&function(70)), []);
        only(&found(&function(71)), 3, "`a` has 71 lines");
        assert_eq!(found("//! A.\ntrait A { fn a(); fn b() {} }\n"), []);
    }

    #[test]
    fn module_comments_are_wanted() {
        assert_eq!(found("#![no_main]\n\n//! A.\n"), []);
        only(&found("\nuse a;\n"), 2, "no module comment");
        only(&found("// A.\n"), 1, "no module comment");
        only(&found(""), 1, "no module comment");
    }
}
