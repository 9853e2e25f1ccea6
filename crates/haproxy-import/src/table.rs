//! What becomes of each word of haproxy.cfg: the one table that lines are judged by and that the page
//! `docs/coming-from-haproxy.md` is printed from, in two languages.

mod global;
mod options;
mod page;
mod proxies;
mod samples;
mod words;

pub use page::{Language, render};
pub use samples::{Sample, conditions, rules};

pub(crate) use global::GLOBAL;
pub(crate) use options::OPTIONS;
pub(crate) use proxies::{OTHER_SECTIONS, PROXY};
pub(crate) use words::{BIND, ENDPOINT};

use crate::report::Kind;

/// What becomes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is carried over; what is to be told of it depends on its arguments.
    Carried,
    Default,
    Improved,
    /// From the reviewed list: each with its reason.
    Ignored,
    Unsupported,
}

impl Fate {
    /// What is told of a line with it, unless that depends on its arguments.
    pub(crate) fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Carried => return None,
            Self::Default => Kind::Default,
            Self::Improved => Kind::Improved,
            Self::Ignored => Kind::Ignored,
            Self::Unsupported => Kind::Unsupported,
        })
    }
}

/// A word, or several alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Separated by blanks. One that ends in `*` stands for all that begin so.
    pub(crate) words: &'static str,
    /// Of options of `bind` and `server`: how many arguments it has.
    pub(crate) takes: usize,
    pub(crate) fate: Fate,
    /// What becomes of it; why; where it is lost what it did, what happens now, what to do.
    pub(crate) says: &'static str,
}

impl Row {
    fn has(&self, word: &str) -> bool {
        self.words.split(' ').any(|known| match known.strip_suffix('*') {
            Some(beginning) => word.starts_with(beginning),
            None => known == word,
        })
    }
}

/// The row of a word.
pub(crate) fn find(rows: &'static [Row], word: &str) -> Option<&'static Row> {
    rows.iter().find(|row| row.has(word))
}

const fn row(words: &'static str, fate: Fate, says: &'static str) -> Row {
    Row { words, takes: 0, fate, says }
}

const fn with(words: &'static str, takes: usize, fate: Fate, says: &'static str) -> Row {
    Row { words, takes, fate, says }
}

#[cfg(test)]
mod coverage;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_word_stands_once_and_says_something() {
        for rows in [GLOBAL, PROXY, OPTIONS, BIND, ENDPOINT, OTHER_SECTIONS] {
            let mut seen = HashSet::new();
            for row in rows {
                assert!(!row.says.is_empty(), "{row:?}");
                for word in row.words.split(' ') {
                    assert!(seen.insert(word), "{word}");
                }
            }
        }
    }

    #[test]
    fn what_is_lost_says_what_it_did_what_happens_and_what_to_do() {
        for row in [GLOBAL, PROXY, OPTIONS, BIND, ENDPOINT, OTHER_SECTIONS].into_iter().flatten() {
            if row.fate == Fate::Unsupported {
                assert!(row.says.matches("; ").count() >= 2, "{row:?}");
            }
        }
    }
}
