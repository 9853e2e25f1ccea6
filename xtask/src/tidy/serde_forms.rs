//! Forms of serde that swallow mistakes or lose their place.

use super::rust::{Token, closing, find};
use super::{Problem, Tree};

/// Checks all Rust files.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, source) in &tree.sources {
        let tokens = &source.tokens;
        for at in find(tokens, &["serde", "("]) {
            let Some(end) = closing(tokens, at + 1) else { continue };
            for (line, form) in forms(&tokens[at + 2..end]) {
                problems.push(Problem {
                    path: file.path.clone(),
                    line,
                    what: format!("serde's `{form}`"),
                    why: "`flatten` switches the check for unknown keys off and swallows wrong \
                          values, `untagged` and `tag` lose where a mistake is",
                    remedy: "spell the fields out, or read the value by hand",
                });
            }
        }
    }
    problems
}

fn forms(tokens: &[Token]) -> Vec<(usize, &str)> {
    let mut forms = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let is_key = index == 0 || tokens[index - 1].text == ",";
        let followed_by_value = tokens.get(index + 1).is_some_and(|next| next.text == "=");
        let form = match token.text.as_str() {
            "flatten" | "untagged" if is_key => token.text.as_str(),
            "tag" if is_key && followed_by_value => "tag =",
            _ => continue,
        };
        forms.push((token.line, form));
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::super::tests::only;
    use super::*;

    fn found(text: &str) -> Vec<Problem> {
        check(&Tree::of(&[("a.rs", text)]))
    }

    #[test]
    fn the_three_forms_are_found() {
        only(&found("\n#[serde(flatten)]"), 2, "`flatten`");
        only(&found("#[serde(default, untagged)]"), 1, "`untagged`");
        only(&found("#[cfg_attr(a, serde(tag = \"b\"))]"), 1, "`tag =`");
    }

    #[test]
    fn other_forms_are_fine() {
        assert_eq!(found("#[serde(rename = \"flatten\", deny_unknown_fields)] a.flatten();"), []);
        assert_eq!(found("#[command(flatten)] // serde(flatten)"), []);
    }
}
