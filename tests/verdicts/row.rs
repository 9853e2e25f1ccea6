//! A row of a table: something happens, and something must hold.

use crate::bed::{Bed, Setup};
use crate::bound::Bound;
use crate::candidate::Kind;
use crate::seen::{Marks, Seen, Victims};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a row does to a bed: when it returns, all is over and has been watched.
pub type Act = fn(&mut Bed) -> Acted;

/// What an act tells: its times, and a measure of its own.
#[derive(Clone, Copy, Debug)]
pub struct Acted {
    pub marks: Marks,
    pub extra: Option<f64>,
}

impl From<Marks> for Acted {
    fn from(marks: Marks) -> Self {
        Self { marks, extra: None }
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its word in `ECLUSA_ROWS`.
    pub key: &'static str,
    pub name: &'static str,
    /// Whether it runs every day.
    pub quick: bool,
    /// Whether it says nothing of other balancers (a key of our file).
    pub ours_only: bool,
    /// Takes so long that peers run it twice only.
    pub long: bool,
    pub setup: Setup,
    pub act: Act,
    pub victims: Victims,
    pub bounds: &'static [Bound],
}

impl Row {
    /// Runs it once.
    pub fn run(&self, kind: Kind) -> Seen {
        let run = || {
            let mut bed = Bed::start(kind, &self.setup);
            let acted = (self.act)(&mut bed);
            let mut seen = Seen::of(&bed, acted.marks, &self.victims);
            seen.extra = acted.extra;
            let words = bed.candidate.words();
            if !words.is_empty() {
                println!("    log: {}", words.join(" | "));
            }
            seen
        };
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
            Seen { broken: Some(words.unwrap_or_default()), ..Seen::default() }
        })
    }

    /// The bounds that a run has broken, in words.
    pub fn broken(&self, seen: &Seen) -> Vec<String> {
        let bounds = self.bounds.iter().filter(|bound| !bound.holds(seen));
        let mut words: Vec<_> = bounds.map(|bound| bound.words()).collect();
        words.extend(seen.broken.clone());
        words
    }
}
