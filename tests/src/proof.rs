//! The proof recorder: what a test has shown, as one item of `cargo xtask prove`.
//!
//! ```no_run
//! e2e::proof::Item::new("2.1 kubelets").bound("0 failed").n(1000).record(true, "0 of 1000 failed");
//! ```

use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;

/// The variable that asks for tests in full size.
const FULL: &str = "ECLUSA_PROOF";
/// The variable that names the file for items.
const OUT: &str = "ECLUSA_PROOF_OUT";

/// Whether tests run in full size, for a proof; else in the short form of every day.
#[must_use]
pub fn full() -> bool {
    std::env::var_os(FULL).is_some_and(|value| value == "1")
}

/// `full` in a proof, else `short`.
#[must_use]
pub fn size<T>(full_size: T, short: T) -> T {
    if full() { full_size } else { short }
}

/// One thing that a test shows.
#[derive(Clone, Debug)]
pub struct Item {
    item: String,
    bound: String,
    n: u64,
    worst: Option<String>,
    median: Option<String>,
    note: Option<String>,
    line: Value,
}

impl Item {
    /// An item; its name begins with the number of what the issue wants shown.
    #[must_use]
    pub fn new(item: impl Into<String>) -> Self {
        let (bound, n) = (String::new(), 1);
        let line = Value::Null;
        Self { item: item.into(), bound, n, worst: None, median: None, note: None, line }
    }

    /// What must hold, in words.
    #[must_use]
    pub fn bound(mut self, bound: impl Into<String>) -> Self {
        self.bound = bound.into();
        self
    }

    /// How many times it was tried; without it, once.
    #[must_use]
    pub fn n(mut self, n: impl TryInto<u64>) -> Self {
        self.n = n.try_into().unwrap_or(u64::MAX);
        self
    }

    /// The worst of all tries, with its unit.
    #[must_use]
    pub fn worst(mut self, worst: impl ToString) -> Self {
        self.worst = Some(worst.to_string());
        self
    }

    /// The median of all tries, with its unit.
    #[must_use]
    pub fn median(mut self, median: impl ToString) -> Self {
        self.median = Some(median.to_string());
        self
    }

    /// Something that a reader of the figure must know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Makes it a line of a table that has a line for each of several candidates in every row:
    /// the row, whose line it is, its cells by the names of their columns, and what stands for it
    /// where there is no room for these.
    #[must_use]
    pub fn line(
        mut self,
        row: &str,
        who: &str,
        cells: &[(&str, String)],
        short: impl Into<String>,
    ) -> Self {
        let short = short.into();
        self.line = json!({ "row": row, "who": who, "cells": cells, "short": short });
        self
    }

    /// Records it and asserts that it passed. In the short form it is only asserted.
    ///
    /// # Panics
    /// It has not passed, or in a proof its line cannot be written.
    #[track_caller]
    pub fn record(self, passed: bool, figure: impl Into<String>) {
        let figure = figure.into();
        if full()
            && let Some(path) = std::env::var_os(OUT)
        {
            let line = json!({
                "item": self.item, "figure": figure, "bound": self.bound, "n": self.n,
                "worst": self.worst, "median": self.median, "passed": passed, "note": self.note,
                "line": self.line,
            });
            let opened = File::options().create(true).append(true).open(&path);
            opened
                .and_then(|mut file| writeln!(file, "{line}"))
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        println!("{}: {figure} (bound: {})", self.item, self.bound);
        assert!(passed, "{}: {figure}; bound: {}", self.item, self.bound);
    }
}

/// How many of `n` went wrong, and the first of them.
#[must_use]
pub fn wrong_of(n: usize, wrong: &[String]) -> String {
    match wrong.first() {
        None => format!("0 of {n} wrong"),
        Some(first) => format!("{} of {n} wrong; the first: {first}", wrong.len()),
    }
}

/// The middle of `values`, in order of size; the upper one of two. `None` without values.
#[must_use]
pub fn median<T: PartialOrd + Copy>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    sorted.get(sorted.len() / 2).copied()
}

/// The smallest of `values` that at least 99 of 100 do not exceed. `None` without values.
#[must_use]
pub fn p99<T: Ord + Copy>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len() * 99).div_ceil(100).saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_hundred_is_above() {
        assert_eq!(p99(&(1..=200).collect::<Vec<_>>()), Some(198));
        assert_eq!(p99(&[7]), Some(7));
        assert_eq!(p99::<u8>(&[]), None);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3, 1, 2]), Some(2));
        assert_eq!(median::<u8>(&[]), None);
    }

    #[test]
    #[should_panic(expected = "1 height: 1 m; bound: 2 m")]
    fn what_falls_short_panics() {
        Item::new("1 height").bound("2 m").record(false, "1 m");
    }
}
