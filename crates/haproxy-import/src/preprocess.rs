//! `.if`, `.elif`, `.else`, `.endif`, and the messages `.diag`, `.notice`, `.warning`, `.alert`
//! (section 2.4 of HAProxy's configuration manual).

use crate::report::Kind;
use std::collections::BTreeMap;

/// Parentheses inside each other.
const DEPTH_MAX: usize = 64;

/// The version that conditions are told: that of Debian 12.
const VERSION: [u64; 3] = [2, 6, 12];

/// What is to be done with a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is no directive, and stands where lines count.
    Read,
    /// It stands in a block that does not count.
    Skipped,
    /// It is a directive; this is to be told of it.
    Done(Kind, String),
}

/// The blocks that a line stands in.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    open: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    line: usize,
    /// Whether what is around it counts.
    around: bool,
    /// Whether this branch counts.
    now: bool,
    /// Whether a branch has counted.
    done: bool,
    last: bool,
}

impl Blocks {
    /// Whether lines count here.
    pub(crate) fn is_read(&self) -> bool {
        self.open.last().is_none_or(|block| block.now)
    }

    /// The line of a block that is still open at the end of a file, where HAProxy refuses it.
    pub(crate) fn end(&mut self) -> Option<usize> {
        let line = self.open.first().map(|block| block.line);
        self.open.clear();
        line
    }

    pub(crate) fn line(
        &mut self,
        line: usize,
        words: &[String],
        environment: &BTreeMap<String, String>,
    ) -> Outcome {
        let Some(word) = words.first() else { return Outcome::Read };
        let condition = words[1..].join(" ");
        match word.as_str() {
            ".if" => {
                let around = self.is_read();
                let (now, outcome) = judge(&condition, environment, around);
                self.open.push(Block { line, around, now, done: now, last: false });
                outcome
            }
            ".elif" => {
                let Some(block) = self.open.last_mut().filter(|block| !block.last) else {
                    return misplaced(word);
                };
                let asked = block.around && !block.done;
                let (now, outcome) = judge(&condition, environment, asked);
                block.now = now;
                block.done |= now;
                outcome
            }
            ".else" => {
                let Some(block) = self.open.last_mut().filter(|block| !block.last) else {
                    return misplaced(word);
                };
                block.now = block.around && !block.done;
                block.last = true;
                let state = if block.now { "it counts here" } else { "it does not count here" };
                Outcome::Done(Kind::Same, state.to_owned())
            }
            ".endif" => match self.open.pop() {
                Some(_) => Outcome::Done(Kind::Same, String::new()),
                None => misplaced(word),
            },
            _ if !self.is_read() => Outcome::Skipped,
            ".diag" | ".notice" | ".warning" => {
                Outcome::Done(Kind::Ignored, format!("it tells: {condition}"))
            }
            ".alert" => {
                Outcome::Done(Kind::Unsupported, format!("HAProxy does not start: {condition}"))
            }
            _ => Outcome::Read,
        }
    }
}

fn misplaced(word: &str) -> Outcome {
    Outcome::Done(Kind::Unsupported, format!("`{word}` without its `.if`: HAProxy refuses it"))
}

/// Whether a branch counts, and what is told of its line.
fn judge(condition: &str, environment: &BTreeMap<String, String>, asked: bool) -> (bool, Outcome) {
    if !asked {
        let note = "what stands before it decides: it does not count here";
        return (false, Outcome::Done(Kind::Same, note.to_owned()));
    }
    match evaluate(condition, environment) {
        Ok(true) => (true, Outcome::Done(Kind::Same, "true here: what follows counts".into())),
        Ok(false) => {
            (false, Outcome::Done(Kind::Same, "false here: what follows does not count".into()))
        }
        Err(why) => {
            let note = format!("{why}: taken to be false; HAProxy refuses it");
            (false, Outcome::Done(Kind::Unsupported, note))
        }
    }
}

/// Whether a condition holds; features are taken to be there.
///
/// # Errors
/// It is none.
fn evaluate(condition: &str, environment: &BTreeMap<String, String>) -> Result<bool, String> {
    if condition.trim().is_empty() {
        return Ok(false);
    }
    let mut parser = Parser { rest: condition, environment, depth: 0 };
    let held = parser.any()?;
    if parser.rest.trim().is_empty() {
        Ok(held)
    } else {
        Err(format!("`{}` is not understood", parser.rest.trim()))
    }
}

struct Parser<'p> {
    rest: &'p str,
    environment: &'p BTreeMap<String, String>,
    depth: usize,
}

impl Parser<'_> {
    fn eat(&mut self, sign: &str) -> bool {
        self.rest = self.rest.trim_start();
        let found = self.rest.strip_prefix(sign);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn any(&mut self) -> Result<bool, String> {
        let mut held = self.all()?;
        while self.eat("||") {
            held |= self.all()?;
        }
        Ok(held)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut held = self.one()?;
        while self.eat("&&") {
            held &= self.one()?;
        }
        Ok(held)
    }

    fn one(&mut self) -> Result<bool, String> {
        let mut negated = false;
        while self.eat("!") {
            negated = !negated;
        }
        if self.eat("(") {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err("too many parentheses".to_owned());
            }
            let held = self.any()?;
            self.depth -= 1;
            return if self.eat(")") {
                Ok(held != negated)
            } else {
                Err("a `)` is missing".into())
            };
        }
        Ok(self.predicate()? != negated)
    }

    fn predicate(&mut self) -> Result<bool, String> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        if let Ok(number) = name.parse::<u64>() {
            return Ok(number != 0);
        }
        if !self.eat("(") {
            return Err(format!("`{name}` is no condition"));
        }
        let Some((inside, rest)) = self.rest.split_once(')') else {
            return Err("a `)` is missing".to_owned());
        };
        self.rest = rest;
        let arguments: Vec<&str> = inside.split(',').map(str::trim).collect();
        match (name, &arguments[..]) {
            ("defined", [name]) => Ok(self.environment.contains_key(*name)),
            ("feature", [_]) => Ok(true),
            ("streq", [one, other]) => Ok(one == other),
            ("strneq", [one, other]) => Ok(one != other),
            ("version_atleast", [text]) => Ok(VERSION >= version(text)),
            ("version_before", [text]) => Ok(VERSION < version(text)),
            _ => Err(format!("`{name}({inside})` is no condition")),
        }
    }
}

fn version(text: &str) -> [u64; 3] {
    let mut numbers = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(condition: &str) -> Result<bool, String> {
        evaluate(condition, &BTreeMap::from([("A".to_owned(), String::new())]))
    }

    #[test]
    fn conditions_are_those_of_the_manual() {
        for (condition, expected) in [
            ("", false),
            ("0", false),
            ("1", true),
            ("!0", true),
            ("defined(A)", true),
            ("defined(B)", false),
            ("streq(a,a) && strneq(a,b)", true),
            ("0 && 0 || 1", true),
            ("0 && (0 || 1)", false),
            ("feature(OPENSSL)", true),
            ("version_atleast(2.4-dev19)", true),
            ("version_atleast(2.8)", false),
            ("version_before(2.6.13)", true),
            ("!(1 && 0)", true),
        ] {
            assert_eq!(holds(condition), Ok(expected), "{condition}");
        }
        for wrong in ["maybe", "streq(a)", "(1", "1 1", "defined(A"] {
            assert!(holds(wrong).is_err(), "{wrong}");
        }
        assert!(holds(&"(".repeat(10_000)).is_err());
    }

    #[test]
    fn one_branch_counts() {
        let mut blocks = Blocks::default();
        let mut line = |text: &str| {
            let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
            blocks.line(0, &words, &BTreeMap::new())
        };
        let is_done = |outcome| matches!(outcome, Outcome::Done(Kind::Same, _));
        assert!(is_done(line(".if 0")));
        assert_eq!(line("a"), Outcome::Skipped);
        assert!(is_done(line(".if 1")));
        assert_eq!(line("b"), Outcome::Skipped, "what is around it does not count");
        assert!(is_done(line(".endif")));
        assert!(is_done(line(".elif 1")));
        assert_eq!(line("c"), Outcome::Read);
        assert!(is_done(line(".else")));
        assert_eq!(line("d"), Outcome::Skipped);
        assert!(is_done(line(".endif")));
        assert_eq!(line("e"), Outcome::Read);
        assert!(matches!(line(".endif"), Outcome::Done(Kind::Unsupported, _)));
        assert!(matches!(line(".alert x"), Outcome::Done(Kind::Unsupported, _)));
    }
}
