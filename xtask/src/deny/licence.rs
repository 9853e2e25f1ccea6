//! SPDX expressions: whether a list of licences satisfies one.

use std::collections::BTreeSet;

/// Whether `expression` (`MIT OR (Apache-2.0 WITH LLVM-exception AND ISC)`, or the old `MIT/ISC`)
/// can be satisfied with licences of the list. What cannot be read is not satisfied.
pub fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    reader.any().is_some_and(|good| good && reader.words.is_empty())
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a BTreeSet<String>,
}

impl Reader<'_> {
    fn next_is(&mut self, word: &str) -> bool {
        let is = self.words.first() == Some(&word);
        if is {
            self.words = &self.words[1..];
        }
        is
    }

    /// One or more joined by OR.
    fn any(&mut self) -> Option<bool> {
        let mut good = self.all()?;
        while self.next_is("OR") {
            good |= self.all()?;
        }
        Some(good)
    }

    /// One or more joined by AND.
    fn all(&mut self) -> Option<bool> {
        let mut good = self.one()?;
        while self.next_is("AND") {
            good &= self.one()?;
        }
        Some(good)
    }

    /// A licence, perhaps with an exception, or a group.
    fn one(&mut self) -> Option<bool> {
        if self.next_is("(") {
            let good = self.any()?;
            return self.next_is(")").then_some(good);
        }
        let (licence, rest) = self.words.split_first()?;
        if matches!(*licence, "OR" | "AND" | "WITH" | ")") {
            return None;
        }
        self.words = rest;
        // An exception only permits more.
        if self.next_is("WITH") {
            self.words = self.words.split_first()?.1;
        }
        Some(self.allowed.contains(*licence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_evaluated() {
        let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0"].map(ToOwned::to_owned));
        for good in [
            "MIT",
            "GPL-2.0 OR MIT",
            "MIT/Unlicense",
            "MIT AND ISC",
            "ISC AND (MIT OR Apache-2.0)",
            "ISC AND (MIT OR GPL-2.0) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(satisfied(good, &allowed), "{good}");
        }
        for bad in [
            "",
            "GPL-2.0",
            "MIT AND GPL-2.0",
            "(GPL-2.0 OR BSL-1.0) AND MIT",
            "(MIT",
            "MIT)",
            "MIT OR",
            "OR",
            "MIT ISC",
            "MIT WITH",
        ] {
            assert!(!satisfied(bad, &allowed), "{bad}");
        }
    }
}
