//! Configuration templates: `{word}` is replaced, every other brace stays what it is.

use crate::failure::{Failure, Outcome};
use std::collections::BTreeMap;

/// What the placeholders stand for.
pub type Values = BTreeMap<&'static str, String>;

/// Replaces each `{word}` (lower-case letters and underscores between the braces) by its value.
/// Braces around anything else are the candidate's own syntax.
///
/// # Errors
/// A placeholder without a value; the message names those that exist.
pub fn fill(template: &str, values: &Values) -> Outcome<String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        filled.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some(word) = placeholder(rest) {
            let Some(value) = values.get(word) else {
                let known: Vec<_> = values.keys().copied().collect();
                return Err(Failure::new(format!(
                    "unknown placeholder {{{word}}}; there are: {}",
                    known.join(", ")
                )));
            };
            filled.push_str(value);
            rest = &rest[word.len() + 2..];
        } else {
            filled.push('{');
            rest = &rest[1..];
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The word of the placeholder that `text` begins with.
fn placeholder(text: &str) -> Option<&str> {
    let (word, _) = text.strip_prefix('{')?.split_once('}')?;
    let fits = |c: char| c.is_ascii_lowercase() || c == '_';
    (!word.is_empty() && word.chars().all(fits)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values::from([("listen", "10.0.0.1:80".to_owned()), ("endpoint", "10.0.0.2:81".to_owned())])
    }

    #[test]
    fn placeholders_are_replaced() {
        let filled = fill("bind {listen}\nserver e {endpoint}\n", &values());
        assert_eq!(filled.ok().as_deref(), Some("bind 10.0.0.1:80\nserver e 10.0.0.2:81\n"));
    }

    #[test]
    fn other_braces_stay() {
        for text in ["events {\n  x 1;\n}", "a = { b = 1 }", "%{+Q}o ${HOME} {", "{}", "{{listen"] {
            assert_eq!(fill(text, &values()).ok().as_deref(), Some(text));
        }
        assert_eq!(fill("{{listen}}", &values()).ok().as_deref(), Some("{10.0.0.1:80}"));
    }

    #[test]
    fn an_unknown_placeholder_is_a_mistake_that_names_the_known_ones() {
        let message = fill("x {lisen} y", &values()).map_err(|e| e.to_string());
        assert_eq!(
            message,
            Err("unknown placeholder {lisen}; there are: endpoint, listen".to_owned())
        );
    }
}
