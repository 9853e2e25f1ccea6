//! A row of a table: something happens, and something must hold.

use crate::bed::{Bed, Setup};
use crate::bound::Bound;
use crate::candidate::Kind;
use crate::seen::{Marks, Seen, Victims};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What a row does to a bed: when it returns, all is over and has been watched.
pub type Act = fn(&mut Bed) -> Acted;

/// What an act tells: its times, and how long it took from a master that serves to an answer, in
/// seconds.
#[derive(Debug)]
pub struct Acted {
    pub marks: Marks,
    pub first_answer: Option<f64>,
    /// A session that the row itself held, and that was cut: how, in words.
    pub cut: Option<String>,
}

impl From<Marks> for Acted {
    fn from(marks: Marks) -> Self {
        Self { marks, first_answer: None, cut: None }
    }
}

/// The phases of so many runs as there may be lie apart, between 0 and 1 s (the golden ratio); the
/// first is none.
fn phase(number: usize) -> Duration {
    Duration::from_secs_f64((number as f64 * 0.618).fract())
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
    /// Loads the machine itself: nothing else runs meanwhile.
    pub alone: bool,
    /// What a run takes in a proof, with its start, about.
    pub seconds: u64,
    pub setup: Setup,
    pub act: Act,
    pub victims: Victims,
    pub bounds: &'static [Bound],
}

impl Row {
    /// Runs it once; `number` counts the runs.
    pub fn run(&self, kind: Kind, number: usize) -> Seen {
        let run = || {
            let setup = Setup { phase: phase(number), ..self.setup };
            let mut bed = Bed::start(kind, &setup);
            let acted = (self.act)(&mut bed);
            let mut seen = Seen::of(&bed, acted.marks, &self.victims);
            seen.first_answer = acted.first_answer;
            if let Some(how) = acted.cut {
                seen.lasting_cut += 1;
                *seen.failures.entry(how).or_default() += 1;
            }
            seen.words = bed.candidate.words();
            seen
        };
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
            Seen { broken: Some(words.unwrap_or_default()), ..Seen::default() }
        })
    }

    /// Whether it is trouble that nobody may feel, and not a fault.
    pub fn is_alarm(&self) -> bool {
        self.bounds.iter().any(|bound| matches!(bound, Bound::ScoreZero))
    }

    /// The bounds that a run has broken, in words.
    pub fn broken(&self, seen: &Seen) -> Vec<String> {
        let bounds = self.bounds.iter().filter(|bound| !bound.holds(seen));
        let mut words: Vec<_> = bounds.map(|bound| bound.words()).collect();
        words.extend(seen.broken.clone());
        words
    }
}
