//! What listeners, pools and endpoints may be called.

use std::collections::HashSet;

/// The longest name.
const LENGTH_MAX: usize = 64;

/// Names that are taken.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// The name itself, or one like it that nobody has.
    pub(crate) fn take(&mut self, wanted: &str) -> String {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
        let clean: String = wanted
            .chars()
            .map(|char| if fits(char) { char } else { '-' })
            .take(LENGTH_MAX)
            .collect();
        let base = if clean.is_empty() { "unnamed".to_owned() } else { clean };
        let mut name = base.clone();
        let mut number = 2_usize;
        while !self.taken.insert(name.clone()) {
            let end = format!("-{number}");
            name = base.chars().take(LENGTH_MAX - end.len()).chain(end.chars()).collect();
            number += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_taken_once() {
        let mut names = Names::default();
        assert_eq!(names.take("web"), "web");
        assert_eq!(names.take("web"), "web-2");
        assert_eq!(names.take("a b/ü"), "a-b--");
        assert_eq!(names.take(""), "unnamed");
        let long = "x".repeat(100);
        assert_eq!(names.take(&long).len(), 64);
        assert!(names.take(&long).ends_with("-2"));
    }
}
