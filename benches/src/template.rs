//! Configuration templates. `{word}` is replaced; every other brace is the candidate's own syntax.
//!
//! Lines of their own decide about those up to their `{end}`: `{if word}` and `{if not word}` whether
//! they are there, `{for list}` that they are there once for each item of a list, whose words go
//! before all others. `{setups a b}` in the first line names setups beside the plain one: each holds
//! as a word of its own name.

use crate::failure::{Failure, Outcome};
use std::collections::{BTreeMap, BTreeSet};

/// Words and what they stand for.
pub type Words = BTreeMap<&'static str, String>;

/// What a template can ask for.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// What the placeholders stand for.
    pub words: Words,
    /// Whether the words of conditions hold.
    pub conditions: BTreeMap<String, bool>,
    /// The items of lists, each with its words.
    pub lists: BTreeMap<&'static str, Vec<Words>>,
}

/// What a line decides about those that follow.
enum Directive<'a> {
    If { word: &'a str, wanted: bool },
    For(&'a str),
    End,
    Setups,
}

/// The names of the setups that a template has beside the plain one.
#[must_use]
pub fn setups(template: &str) -> Vec<&str> {
    let first = template.lines().next().unwrap_or_default();
    let names = first.strip_prefix("{setups ").and_then(|rest| rest.strip_suffix('}'));
    names.map(|names| names.split_ascii_whitespace().collect()).unwrap_or_default()
}

/// Fills a template.
///
/// # Errors
/// A word, condition or list that is not known (the message names those that are), or an `{end}` that
/// is missing or too many.
pub fn fill(template: &str, values: &Values) -> Outcome<String> {
    let lines: Vec<_> = template.split_inclusive('\n').collect();
    let mut filled = String::with_capacity(template.len());
    block(&lines, values, None, &mut filled)?;
    Ok(filled)
}

/// Fills a block of lines; `item` has the words of the innermost list.
fn block(
    lines: &[&str],
    values: &Values,
    item: Option<&Words>,
    filled: &mut String,
) -> Outcome<()> {
    let mut rest = lines;
    while let Some((line, after)) = rest.split_first() {
        rest = after;
        let directive = match Directive::of(line) {
            None => {
                words(line, values, item, filled)?;
                continue;
            }
            Some(Directive::Setups) => continue,
            Some(Directive::End) => return Err(Failure::new("an {end} without a beginning")),
            Some(directive) => directive,
        };
        let length =
            length(after).ok_or_else(|| Failure::new(format!("{} has no {{end}}", line.trim())))?;
        let (body, behind) = after.split_at(length);
        rest = &behind[1..];
        match directive {
            Directive::If { word, wanted } => {
                let holds = values.conditions.get(word);
                let holds =
                    holds.ok_or_else(|| unknown("condition", word, values.conditions.keys()))?;
                if *holds == wanted {
                    block(body, values, item, filled)?;
                }
            }
            Directive::For(list) => {
                let items = values.lists.get(list);
                let items = items.ok_or_else(|| unknown("list", list, values.lists.keys()))?;
                for item in items {
                    block(body, values, Some(item), filled)?;
                }
            }
            Directive::End | Directive::Setups => {}
        }
    }
    Ok(())
}

impl<'a> Directive<'a> {
    /// What the line decides; `None`: it is one of the candidate's.
    fn of(line: &'a str) -> Option<Self> {
        let inside = line.trim().strip_prefix('{')?.strip_suffix('}')?;
        if inside == "end" {
            return Some(Self::End);
        }
        let (verb, rest) = inside.split_once(' ')?;
        Some(match (verb, rest.strip_prefix("not ")) {
            ("if", Some(word)) => Self::If { word, wanted: false },
            ("if", None) => Self::If { word: rest, wanted: true },
            ("for", _) => Self::For(rest),
            ("setups", _) => Self::Setups,
            _ => return None,
        })
    }
}

/// Lines of the block that begins here, up to its `{end}`.
fn length(lines: &[&str]) -> Option<usize> {
    let mut depth = 1_usize;
    for (index, line) in lines.iter().enumerate() {
        match Directive::of(line) {
            Some(Directive::If { .. } | Directive::For(_)) => depth += 1,
            Some(Directive::End) => depth -= 1,
            Some(Directive::Setups) | None => {}
        }
        if depth == 0 {
            return Some(index);
        }
    }
    None
}

/// Replaces each `{word}` (lower-case letters and underscores between the braces) by its value.
fn words(line: &str, values: &Values, item: Option<&Words>, filled: &mut String) -> Outcome<()> {
    let mut rest = line;
    while let Some(start) = rest.find('{') {
        filled.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some(word) = placeholder(rest) {
            let of_item = item.and_then(|item| item.get(word));
            let Some(value) = of_item.or_else(|| values.words.get(word)) else {
                return Err(unknown("placeholder", word, values.words.keys()));
            };
            filled.push_str(value);
            rest = &rest[word.len() + 2..];
        } else {
            filled.push('{');
            rest = &rest[1..];
        }
    }
    filled.push_str(rest);
    Ok(())
}

/// The word of the placeholder that `text` begins with.
fn placeholder(text: &str) -> Option<&str> {
    let (word, _) = text.strip_prefix('{')?.split_once('}')?;
    let fits = |c: char| c.is_ascii_lowercase() || c == '_';
    (!word.is_empty() && word.chars().all(fits)).then_some(word)
}

fn unknown(kind: &str, word: &str, known: impl Iterator<Item = impl AsRef<str>>) -> Failure {
    let known: BTreeSet<_> = known.map(|name| name.as_ref().to_owned()).collect();
    let known: Vec<_> = known.into_iter().collect();
    Failure::new(format!("unknown {kind} {{{word}}}; there are: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let number = |number: usize| Words::from([("number", number.to_string())]);
        Values {
            words: Words::from([
                ("listen", "10.0.0.1:80".to_owned()),
                ("endpoint", "10.0.0.2:81".to_owned()),
            ]),
            conditions: BTreeMap::from([("tls".to_owned(), true), ("h2".to_owned(), false)]),
            lists: BTreeMap::from([("other", vec![number(0), number(1)]), ("none", Vec::new())]),
        }
    }

    fn filled(template: &str) -> Result<String, String> {
        fill(template, &values()).map_err(|error| error.to_string())
    }

    #[test]
    fn placeholders_are_replaced() {
        let wanted = "bind 10.0.0.1:80\nserver e 10.0.0.2:81\n";
        assert_eq!(filled("bind {listen}\nserver e {endpoint}\n").as_deref(), Ok(wanted));
    }

    #[test]
    fn other_braces_stay() {
        for text in ["events {\n  x 1;\n}", "a = { b = 1 }", "%{+Q}o ${HOME} {", "{}", "{{listen"] {
            assert_eq!(filled(text).as_deref(), Ok(text));
        }
        assert_eq!(filled("{{listen}}").as_deref(), Ok("{10.0.0.1:80}"));
    }

    #[test]
    fn conditions_and_lists_decide_about_lines() {
        let text = "a\n{if tls}\nb\n  {if not tls}\nc\n  {end}\n{end}\n{if h2}\nd\n{end}\ne\n";
        assert_eq!(filled(text).as_deref(), Ok("a\nb\ne\n"));
        let text =
            "{for other}\n{if tls}\napp{number} {endpoint}\n{end}\n{end}\n{for none}\nx\n{end}\n";
        assert_eq!(filled(text).as_deref(), Ok("app0 10.0.0.2:81\napp1 10.0.0.2:81\n"));
    }

    #[test]
    fn setups_are_named_in_the_first_line() {
        assert_eq!(setups("{setups splice big-buffers}\nx\n"), ["splice", "big-buffers"]);
        assert_eq!(setups("x\n{setups a}\n"), [""; 0]);
        assert_eq!(filled("{setups a}\nx\n").as_deref(), Ok("x\n"));
    }

    #[test]
    fn what_is_unknown_or_open_is_a_mistake_that_names_the_known() {
        let told = "unknown placeholder {lisen}; there are: endpoint, listen";
        assert_eq!(filled("x {lisen} y"), Err(told.to_owned()));
        let told = "unknown condition {tsl}; there are: h2, tls";
        assert_eq!(filled("{if tsl}\n{end}\n"), Err(told.to_owned()));
        assert_eq!(
            filled("{for all}\n{end}"),
            Err("unknown list {all}; there are: none, other".into())
        );
        assert_eq!(filled("{if tls}\nx\n"), Err("{if tls} has no {end}".to_owned()));
        assert!(filled("{end}\n").is_err());
    }
}
